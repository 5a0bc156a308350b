"""`python -m training` says what is wrong in a sentence."""

import subprocess
import sys
from pathlib import Path

from neuroscan.settings import REPOSITORY, SHIPPED_BUNDLE


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "training", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=REPOSITORY,
    )


def test_a_missing_bundle_or_data_folder_is_one_line(tmp_path: Path) -> None:
    bundle = str(SHIPPED_BUNDLE)
    no_data = command("calibrate", "--bundle", bundle, "--data", str(tmp_path))
    assert no_data.returncode == 1
    assert no_data.stderr.splitlines() == [
        f"{tmp_path} has neither manifest.csv nor Training and Testing"
    ]
    no_bundle = command("calibrate", "--bundle", str(tmp_path), "--data", str(tmp_path))
    assert no_bundle.returncode == 1
    assert "bundle.json can't be read" in no_bundle.stderr
    assert "Traceback" not in no_bundle.stderr


def test_without_a_command_the_usage_is_shown() -> None:
    done = command()
    assert done.returncode == 2
    assert "calibrate" in done.stderr
