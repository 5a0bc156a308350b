"""A stage worker's pool that can't work ends, so that it loses no message."""

import os
import signal
import subprocess
import sys

from neuroscan.stack import Stack

PROGRAM = """
from neuroscan.contracts.enums import StageName
from neuroscan.contracts.messages import MeasureTask
from neuroscan.worker import stage_worker

def load():
    raise RuntimeError("no model")

stage_worker(service="broken", stage=StageName.MEASURE, task_type=MeasureTask, load=load).run()
"""


def test_a_worker_whose_stage_cannot_be_loaded_ends(stack: Stack) -> None:
    broker_url = f"{stack.state.broker_url}?virtual_host=7"
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "BROKER_URL": broker_url},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == -signal.SIGKILL
    assert b"worker.cannot_load" in ended.stdout + ended.stderr
