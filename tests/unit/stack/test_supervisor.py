"""The supervisor, with real processes."""

import asyncio
import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from neuroscan.stack.output import Output
from neuroscan.stack.supervisor import Backoff, Supervisor
from tests.unit.stack.programs import is_alive, python_program, until

SLEEP = "import time; time.sleep(60)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf'); {SLEEP}"


def supervised(work: Callable[[Supervisor, io.StringIO], Awaitable[None]]) -> str:
    """Run `work` with a supervisor that is stopped afterwards; returns what was printed."""
    printed = io.StringIO()

    async def run() -> None:
        supervisor = Supervisor(Output(printed))
        try:
            await work(supervisor, printed)
        finally:
            await supervisor.stop()
            # The pipes are drained by the loop.
            await asyncio.sleep(0.1)

    asyncio.run(run())
    return printed.getvalue()


def pid_of(supervisor: Supervisor, name: str) -> int | None:
    return supervisor.programs()[name][1]


def test_a_killed_program_is_started_again() -> None:
    async def work(supervisor: Supervisor, _: io.StringIO) -> None:
        supervisor.keep(python_program("worker", SLEEP))
        first = pid_of(supervisor, "worker")
        assert first is not None
        os.kill(first, signal.SIGKILL)
        await until(lambda: pid_of(supervisor, "worker") not in (None, first))
        assert supervisor.restarts("worker") == 1
        assert not is_alive(first)

    assert "worker ended (SIGKILL); starting it again in 0.5 s" in supervised(work)


def test_a_disk_that_is_full_does_not_end_the_care() -> None:
    def full() -> None:
        raise OSError(28, "No space left on device")

    async def run() -> None:
        supervisor = Supervisor(Output(io.StringIO()), full)
        supervisor.keep(python_program("worker", SLEEP))
        first = pid_of(supervisor, "worker")
        assert first is not None
        os.kill(first, signal.SIGKILL)
        try:
            await until(lambda: pid_of(supervisor, "worker") not in (None, first))
        finally:
            await supervisor.stop()

    asyncio.run(run())


def test_a_program_that_keeps_dying_is_started_less_and_less_often() -> None:
    async def work(supervisor: Supervisor, _: io.StringIO) -> None:
        supervisor.keep(python_program("worker", "raise SystemExit(3)"))
        await until(lambda: supervisor.restarts("worker") == 2)

    printed = supervised(work)
    assert "worker ended (exit code 3); starting it again in 0.5 s" in printed
    assert "worker ended (exit code 3); starting it again in 1 s" in printed


def test_children_of_a_killed_program_end_with_it() -> None:
    code = f"import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', '{SLEEP}']).pid)"

    async def work(supervisor: Supervisor, printed: io.StringIO) -> None:
        supervisor.keep(python_program("pool", f"{code}; sys.stdout.flush(); {SLEEP}"))
        await until(lambda: "\n" in printed.getvalue())
        grandchild = int(printed.getvalue().split("|")[1])
        leader = pid_of(supervisor, "pool")
        assert leader is not None
        assert is_alive(grandchild)
        os.kill(leader, signal.SIGKILL)
        await until(lambda: not is_alive(grandchild))

    supervised(work)


def test_lower_ranks_have_ended_before_higher_ones_are_asked_to() -> None:
    code = (
        "import signal, sys, time\n"
        "def end(*_):\n    time.sleep(0.3); print('over', flush=True); sys.exit()\n"
        "signal.signal(signal.SIGTERM, end)\nprint('up', flush=True)\ntime.sleep(60)"
    )

    async def work(supervisor: Supervisor, printed: io.StringIO) -> None:
        for name, rank in (("server", 2), ("gateway", 0), ("worker", 1)):
            supervisor.keep(python_program(name, code, stop_rank=rank))
        await until(lambda: printed.getvalue().count("up") == 3)

    ended = [line.split()[0] for line in supervised(work).splitlines() if line.endswith("over")]
    assert ended == ["gateway", "worker", "server"]


def test_a_program_that_ignores_the_request_is_killed_after_its_grace() -> None:
    async def work(supervisor: Supervisor, printed: io.StringIO) -> None:
        supervisor.keep(python_program("deaf", f"{STUBBORN}", grace_s=0.3))
        await until(lambda: pid_of(supervisor, "deaf") is not None)
        pid = pid_of(supervisor, "deaf")
        assert pid is not None
        await asyncio.sleep(0.5)
        began = time.monotonic()
        await supervisor.stop()
        assert 0.2 < time.monotonic() - began < 5
        assert not is_alive(pid)

    supervised(work)


def test_quit_ends_a_deaf_program_at_once() -> None:
    async def work(supervisor: Supervisor, _: io.StringIO) -> None:
        supervisor.keep(python_program("deaf", STUBBORN))
        pid = pid_of(supervisor, "deaf")
        assert pid is not None
        await asyncio.sleep(0.3)
        stop = asyncio.create_task(supervisor.stop())
        await asyncio.sleep(0.1)
        supervisor.quit()
        await asyncio.wait_for(stop, 3)
        assert not is_alive(pid)

    supervised(work)


def test_programs_end_when_their_launcher_is_killed(tmp_path: Path) -> None:
    launcher = tmp_path / "launcher.py"
    launcher.write_text(
        "import asyncio\n"
        "from neuroscan.stack.output import Output\n"
        "from neuroscan.stack.supervisor import Supervisor\n"
        "from tests.unit.stack.programs import python_program\n"
        "async def main():\n"
        "    supervisor = Supervisor(Output())\n"
        f"    supervisor.keep(python_program('worker', {SLEEP!r}))\n"
        "    print(supervisor.programs()['worker'][1], flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    with subprocess.Popen([sys.executable, launcher], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        worker = int(process.stdout.readline())
        assert is_alive(worker)
        process.kill()
    asyncio.run(until(lambda: not is_alive(worker)))


def test_every_line_stands_behind_its_programs_name() -> None:
    code = "import sys; print('one'); print('two', file=sys.stderr); sys.stdout.write('no newline')"

    async def work(supervisor: Supervisor, _: io.StringIO) -> None:
        assert await supervisor.run_once(python_program("short", code)) == 0

    lines = {line for line in supervised(work).splitlines() if line.startswith("short")}
    assert lines == {"short     | one", "short     | two", "short     | no newline"}


@given(st.lists(st.floats(min_value=0, max_value=29.9), min_size=1, max_size=20))
def test_waits_grow_to_the_longest_and_never_shrink_while_lives_are_short(
    lives_s: list[float],
) -> None:
    backoff = Backoff()
    waits_s = [backoff.after(alive_s) for alive_s in lives_s]
    assert waits_s == sorted(waits_s)
    assert waits_s[0] == backoff.first_s
    assert max(waits_s) <= backoff.longest_s
    assert backoff.after(alive_s=30.0) == backoff.first_s
