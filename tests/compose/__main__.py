"""`python -m tests.compose`: build the images, run the stack, harm it, restore it.

Needs a Docker engine and docker-compose; as root, since the secrets' files get the services' group.
"""

import argparse
import sys
import time

from tests.compose.campaign import Campaign
from tests.compose.engine import EngineError, Installation, missing_tools
from tests.compose.watching import COLLECTOR_PORT, collector_service


def main(arguments: list[str]) -> int:
    """0 when all is as it should be, 1 when not, 2 when this machine can't run it."""
    parser = argparse.ArgumentParser(prog="python -m tests.compose")
    parser.add_argument("--keep", action="store_true", help="leave a failed stack running")
    chosen = parser.parse_args(arguments)
    missing = missing_tools()
    if missing:
        print(f"compose-test needs {', '.join(missing)}.", file=sys.stderr)
        return 2
    began = time.monotonic()
    place = Installation(
        {"collector": collector_service()},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://collector:{COLLECTOR_PORT}"},
    )
    right = False
    try:
        Campaign(place).run()
        right = True
    except (AssertionError, EngineError) as error:
        print(f"FAILED: {error}", file=sys.stderr)
        for service in ("nginx", "gateway", "recorder"):
            print(place.logs(service), file=sys.stderr)
    finally:
        if right or not chosen.keep:
            place.down()
            place.remove()
    print(f"{time.monotonic() - began:6.0f} s in all: {'passed' if right else 'failed'}")
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
