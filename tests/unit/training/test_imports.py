"""Training and the network run on a bare GPU machine, where the service libraries are missing."""

import subprocess
import sys

from neuroscan.settings import REPOSITORY

FORBIDDEN = ("pydantic", "fastapi", "celery", "structlog", "obstore")


def test_the_network_and_calibration_need_no_service_library() -> None:
    # None in sys.modules makes an import fail, as it does where the package is missing.
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({FORBIDDEN!r}));"
        "import training.calibrate, neuroscan.network.bundle; print('imported')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=REPOSITORY
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "imported"
