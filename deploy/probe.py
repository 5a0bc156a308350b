"""The images' health check: `probe.py http PORT PATH` or `probe.py beat FILE SECONDS`.

Standard library only and nothing of ours imported: it runs every few seconds in each container.
"""

import http.client
import sys
import time
from pathlib import Path

ANSWER_LIMIT_S = 4.0


def answers(port: int, path: str) -> bool:
    """Whether this container's own server answers 200."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_LIMIT_S)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def beats(file: Path, limit_s: float) -> bool:
    """Whether a worker has touched its file lately; it begins when its model is loaded."""
    try:
        return time.time() - file.stat().st_mtime < limit_s
    except FileNotFoundError:
        return False


def main(arguments: list[str]) -> int:
    """0 when well, 1 when not."""
    kind, first, second = arguments
    well = answers(int(first), second) if kind == "http" else beats(Path(first), float(second))
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
