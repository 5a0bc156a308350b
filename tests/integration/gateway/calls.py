"""Calls of the public API that many tests make."""

import time
import uuid
from typing import Any

import httpx

from neuroscan.stack import Stack

FINAL = ("completed", "failed", "canceled")


def submit(
    api: httpx.Client,
    content: bytes,
    *,
    name: str = "slice",
    media_type: str = "application/octet-stream",
    key: str | None = None,
    **fields: str,
) -> httpx.Response:
    """POST a scan."""
    headers = {"Idempotency-Key": key} if key else {}
    files = {"image": (name, content, media_type)}
    return api.post("/v1/scans", files=files, data=fields, headers=headers)


def log_after(stack: Stack, path: str) -> str:
    """The stack's log once the line of a finished call of `path` stands in it.

    A line is written after its answer is sent, and passes through the supervisor's pipe.
    """
    wanted = (f"path='{path}'", f'"path": "{path}"')
    deadline = time.monotonic() + 10
    log = ""
    while not any(line in log for line in wanted):
        assert time.monotonic() < deadline, f"{path} is not in the log"
        time.sleep(0.05)
        log = stack.log.read_text(errors="replace")
    return log


def wait_final(api: httpx.Client, scan_id: str, limit_s: float = 60) -> dict[str, Any]:
    """The scan once it is over."""
    ends = time.monotonic() + limit_s
    scan: dict[str, Any] = api.get(f"/v1/scans/{scan_id}").json()
    while scan["state"] not in FINAL and time.monotonic() < ends:
        api.get(f"/v1/scans/{scan_id}?wait=5", headers={"If-None-Match": f'"{scan["version"]}"'})
        scan = api.get(f"/v1/scans/{scan_id}").json()
    return scan


def wait_over(api: httpx.Client, url: str, limit_s: float = 60) -> dict[str, Any]:
    """A further explanation or analysis once it is over."""
    ends = time.monotonic() + limit_s
    found: dict[str, Any] = api.get(url).json()
    while found["state"] in ("queued", "running") and time.monotonic() < ends:
        time.sleep(0.1)
        found = api.get(url).json()
    return found


def new_patient(api: httpx.Client, **fields: str) -> dict[str, Any]:
    """A patient with a number of its own."""
    body = {"medical_record_number": f"MRN-{uuid.uuid4().hex[:10]}", **fields}
    answer = api.post("/v1/patients", json=body)
    assert answer.status_code == 201, answer.text
    patient: dict[str, Any] = answer.json()
    return patient


def newest_scan(api: httpx.Client) -> str | None:
    """The id of the scan that was made last."""
    items = api.get("/v1/scans", params={"limit": "1"}).json()["items"]
    return items[0]["id"] if items else None
