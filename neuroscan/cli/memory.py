"""How much memory the processes of a stack take, each shared page counted once (PSS)."""

from pathlib import Path

from neuroscan.stack import StackState

LAUNCHER = "launcher"


def pss_bytes(state: StackState) -> dict[str, int]:
    """PSS by service, children of each included; the launcher counts too.

    Reads /proc, so it needs to run as the stack's user, or as root.
    """
    parents = _parents()
    owners = {service.pid: name for name, service in state.services.items() if service.pid}
    owners[state.launcher_pid] = LAUNCHER
    totals = dict.fromkeys(owners.values(), 0)
    for pid in parents:
        owner = _owner(pid, parents, owners)
        if owner is not None:
            totals[owner] += _pss_bytes(pid)
    return totals


def _parents() -> dict[int, int]:
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                # Ended in between.
                continue
            parents[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
    return parents


def _owner(pid: int, parents: dict[int, int], owners: dict[int, str]) -> str | None:
    while pid and pid not in owners:
        pid = parents.get(pid, 0)
    return owners.get(pid)


def _pss_bytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
