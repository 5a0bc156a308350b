"""`python -m tests.integration.gateway.schema`: schemathesis against a stack of its own.

Every operation of the document but the event streams, valid and invalid requests, and chains of
requests that use what earlier ones made; every check that schemathesis has.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from neuroscan.contracts.enums import Role
from neuroscan.settings import REPOSITORY
from neuroscan.stack import Stack
from tests import pictures
from tests.integration.gateway.access import make_key
from tests.integration.gateway.calls import new_patient, submit, wait_final
from tests.integration.gateway.schema_hooks import THINGS

SEED = 5
SUBMIT = "POST /v1/scans"


@dataclass(frozen=True)
class Findings:
    """What a run did and found; `output` is what it printed."""

    cases: int
    failures: list[Any]
    accepted_uploads: int
    complete: bool
    output: str


def try_document(api: httpx.Client, folder: Path, *, per_operation: int, seed: int) -> Findings:
    """Run schemathesis with a key and things of its own; its files stay in `folder`."""
    key = make_key(api, Role.ADMIN)
    things = _make_things(api) | {"key_id": key.id}
    document, report = api.base_url.join("/v1/openapi.json"), folder / "report.json"
    command = [
        *(
            sys.executable,
            "-m",
            "schemathesis.cli",
            "run",
            str(document),
        ),
        *("--header", f"Authorization: Bearer {key.key}", "--seed", str(seed)),
        *("--max-examples", str(per_operation), "--exclude-path-regex", "/events$"),
        # Generated keys would be replaced by the real one, and be taken for accepted.
        *("--generation-with-security-parameters", "false", "--generation-database", "none"),
        *("--continue-on-failure", "--request-timeout", "60", "--no-color"),
        *("--report", "json", "--report-json-path", str(report)),
    ]
    environment = {
        **os.environ,
        "PYTHONPATH": str(REPOSITORY),
        "SCHEMATHESIS_HOOKS": "tests.integration.gateway.schema_hooks",
        THINGS: json.dumps(things),
    }
    shown = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if not report.exists():
        raise RuntimeError(f"schemathesis did not run:\n{shown.stdout}{shown.stderr}")
    found = json.loads(report.read_text(encoding="utf-8"))
    rates = found["valid_rates"].get(SUBMIT, {})
    return Findings(
        cases=found["test_cases"]["generated"],
        failures=[*found["failures"], *found["errors"]],
        accepted_uploads=sum(phase["accepted"] for phase in rates.values()),
        complete=found["complete"],
        output=shown.stdout,
    )


def _make_things(api: httpx.Client) -> dict[str, str]:
    """One of each thing that a path can name, by the name of its parameter."""
    scan_id = wait_final(api, submit(api, pictures.png()).json()["id"])["id"]
    picture = ("slice.png", pictures.png(), "image/png")
    made = {
        "explanation_id": api.post(
            f"/v1/scans/{scan_id}/explanations", json={"method": "gradcam", "layer": "layer3[-1]"}
        ),
        "analysis_id": api.post(f"/v1/scans/{scan_id}/reanalyze"),
        "batch_id": api.post("/v1/batches", files={"images": picture}),
        "webhook_id": api.post("/v1/webhooks", json={"url": "http://127.0.0.1:9/run"}),
    }
    for answer in made.values():
        answer.raise_for_status()
    ids = {name: str(answer.json()["id"]) for name, answer in made.items()}
    return ids | {"scan_id": scan_id, "patient_id": new_patient(api)["id"]}


def main() -> int:
    """Print what was found; 1 when anything was, or when too little was tried."""
    parser = argparse.ArgumentParser(prog="python -m tests.integration.gateway.schema")
    parser.add_argument("--count", type=int, default=2000, help="test cases at least")
    parser.add_argument("--per-operation", type=int, default=25, help="examples of each call")
    parser.add_argument("--seed", type=int, default=SEED)
    arguments = parser.parse_args()
    environment = {"REQUESTS_PER_MINUTE": "1000000", "WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8"}
    with tempfile.TemporaryDirectory() as folder, Stack(environment=environment) as stack:
        url = stack.wait_ready()
        headers = {"Authorization": f"Bearer {stack.key}"}
        with httpx.Client(base_url=url, headers=headers, trust_env=False) as api:
            found = try_document(
                api, Path(folder), per_operation=arguments.per_operation, seed=arguments.seed
            )
    print(found.output)
    enough = found.complete and found.cases >= arguments.count
    print(f"{found.cases} cases, {len(found.failures)} findings")
    return 0 if enough and not found.failures else 1


if __name__ == "__main__":
    sys.exit(main())
