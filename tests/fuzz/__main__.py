"""`python -m tests.fuzz`: damaged files against a gateway of a stack of its own."""

import argparse
import sys

from neuroscan.stack import Stack
from tests.fuzz.fuzzing import fuzz

SEED = 5


def main() -> int:
    """Print what was answered; 1 when anything but 2xx and 4xx was, or a process suffered."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--clients", type=int, default=4)
    arguments = parser.parse_args()
    with Stack(environment={"REQUESTS_PER_MINUTE": "1000000"}) as stack:
        stack.wait_ready()
        fuzzed = fuzz(stack, count=arguments.count, seed=arguments.seed, clients=arguments.clients)
    print(*fuzzed.lines(), sep="\n")
    return 1 if fuzzed.wrongs else 0


if __name__ == "__main__":
    sys.exit(main())
