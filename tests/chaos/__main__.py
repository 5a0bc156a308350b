"""`python -m tests.chaos`: a long run of scans while every part of the stack is treated badly.

Started as root it runs itself as the user `nobody`, since root can write into what is read-only.
"""

import argparse
import os
import sys
from pathlib import Path

from neuroscan.stack import Stack, StackError
from tests.chaos.campaign import Campaign, Plan
from tests.chaos.faults import every_fault
from tests.chaos.unprivileged import NotPossible, run_as_nobody

_TAIL_LINES = 60


def main(arguments: list[str]) -> int:
    """Run the campaign; 0 when every scan came through."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos")
    parser.add_argument("--scans", type=int, default=200)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--every", type=float, default=15.0, help="seconds between faults")
    parser.add_argument("--data-dir", type=Path, help="keep the stack's folder, with its log")
    chosen = parser.parse_args(arguments)
    if os.geteuid() == 0:
        try:
            return run_as_nobody("tests.chaos", arguments)
        except NotPossible as error:
            print(error, file=sys.stderr)
            return 2
    plan = Plan(every_fault(), chosen.scans, chosen.clients, chosen.every)
    try:
        with Stack(chosen.data_dir) as stack:
            stack.wait_ready()
            print(
                f"{plan.scans} scans from {plan.clients} clients, {len(plan.faults)} faults, one "
                f"every {plan.every_s:g} s, as user {os.geteuid()}",
                flush=True,
            )
            outcome = Campaign(stack, plan, "chaos").run()
            print(*outcome.lines(), sep="\n")
            if not outcome.right:
                log = stack.log.read_text(errors="replace").splitlines()
                print(*log[-_TAIL_LINES:], sep="\n", file=sys.stderr)
    except StackError as error:
        print(error, file=sys.stderr)
        return 2
    return 0 if outcome.right else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
