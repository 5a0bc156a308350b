"""Batches over HTTP, through the whole pipeline."""

import contextlib
import csv
import http.client
import io
import socket
import time
import uuid
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from pypdf import PdfReader

from neuroscan.stack import Stack
from tests import pictures
from tests.integration.gateway.batch_forms import CONTENT_TYPE, Files, form
from tests.integration.gateway.calls import log_after

MARK = "Qwxyz Marked"
MIB = 1 << 20


def send(
    api: httpx.Client,
    files: Files,
    *,
    key: str | None = None,
    to: str = "/v1/batches",
    **fields: str,
) -> httpx.Response:
    """POST a batch, or more of it."""
    sent = [("images", (name, content, "application/octet-stream")) for name, content in files]
    headers = {"Idempotency-Key": key} if key else {}
    return api.post(to, files=sent, data=fields, headers=headers)


def wait_done(api: httpx.Client, batch_id: str, limit_s: float = 120) -> dict[str, Any]:
    """The batch once all of it is over."""
    ends = time.monotonic() + limit_s
    tag = ""
    while time.monotonic() < ends:
        answer = api.get(f"/v1/batches/{batch_id}?wait=10", headers={"If-None-Match": tag})
        if answer.status_code == 200:
            batch: dict[str, Any] = answer.json()
            if batch["done"]:
                return batch
            tag = answer.headers["ETag"]
    raise AssertionError(batch)


@pytest.fixture(scope="module")
def batch(api: httpx.Client) -> dict[str, Any]:
    """A batch of two slices and a file that is none, all of it over."""
    files = [
        (f"=1+1 {MARK}.png", pictures.png(pictures.head(seed=1))),
        (f"{MARK}.txt", b"no picture"),
        (f"../../{MARK}.dcm", pictures.dicom()),
    ]
    answer = send(api, files, reference="series-9")
    assert answer.status_code == 202, answer.text
    assert answer.headers["Location"] == f"/v1/batches/{answer.json()['id']}"
    return wait_done(api, answer.json()["id"])


def test_a_batch_tells_of_each_file(batch: dict[str, Any]) -> None:
    first, bad, second = batch["items"]
    assert batch["by_state"]["completed"] == 2
    assert batch["by_state"]["refused"] == 1
    assert batch["notice"] == "Research use only. Not for diagnosis."
    assert bad["problem"]["code"] == "not_an_image"
    for item in (first, second):
        assert item["state"] == "completed"
        assert item["label"] in ("glioma", "meningioma", "no_tumor", "pituitary")
        assert 0 < item["confidence"] <= 1
        assert isinstance(item["input_accepted"], bool)


def test_an_item_s_scan_names_its_batch(api: httpx.Client, batch: dict[str, Any]) -> None:
    scan = api.get(f"/v1/scans/{batch['items'][0]['scan_id']}").json()
    assert (scan["batch_id"], scan["reference"]) == (batch["id"], "series-9")
    assert scan["classification"]["confidence"] == batch["items"][0]["confidence"]


def test_a_known_version_is_not_sent_again(api: httpx.Client, batch: dict[str, Any]) -> None:
    url = batch["links"]["self"]
    tag = api.get(url).headers["ETag"]
    for known in (tag, f"W/{tag}", "*"):
        answer = api.get(url, headers={"If-None-Match": known})
        assert (answer.status_code, answer.content) == (304, b"")
    assert api.get(url, headers={"If-None-Match": '"other"'}).status_code == 200
    began = time.monotonic()
    assert api.get(f"{url}?wait=20", headers={"If-None-Match": tag}).status_code == 304
    assert time.monotonic() - began < 5


def test_waiting_returns_with_the_next_change(api: httpx.Client) -> None:
    sent = send(api, [("a.png", pictures.png())])
    url, tag = sent.headers["Location"], sent.headers["ETag"]
    assert sent.headers["Retry-After"] == "2"
    changed = api.get(f"{url}?wait=20", headers={"If-None-Match": tag})
    assert changed.status_code == 200
    assert changed.headers["ETag"] != tag


def test_results_are_a_table(api: httpx.Client, batch: dict[str, Any]) -> None:
    answer = api.get(batch["links"]["results"])
    assert answer.headers["Content-Type"].startswith("text/csv; charset=utf-8")
    assert f"batch-{batch['id']}.csv" in answer.headers["Content-Disposition"]
    lines = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    assert [line["scan_id"] for line in lines] == [item["scan_id"] or "" for item in batch["items"]]
    assert lines[0]["file"] == f"'=1+1 {MARK}.png"
    assert lines[1]["problem"] == "not_an_image"
    for line, item in zip(lines, batch["items"], strict=True):
        assert line["state"] == item["state"]
        if item["scan_id"]:
            assert float(line["confidence"]) == item["confidence"]
            assert line["report"] == f"/v1/scans/{item['scan_id']}/report.pdf"
            assert line["tumor_volume_status"]


def test_reports_are_an_archive(api: httpx.Client, batch: dict[str, Any]) -> None:
    answer = api.get(batch["links"]["reports"])
    assert answer.headers["Content-Type"] == "application/zip"
    first, _, second = (item["scan_id"] for item in batch["items"])
    with zipfile.ZipFile(io.BytesIO(answer.content)) as file:
        assert file.testzip() is None
        assert file.namelist() == [
            f"0001-{first}.pdf",
            f"0003-{second}.pdf",
            "summary.pdf",
            "results.csv",
        ]
        assert file.read("summary.pdf") == api.get(batch["links"]["summary"]).content
        pdf = file.read(f"0001-{first}.pdf")
        assert pdf == api.get(f"/v1/scans/{first}/report.pdf").content
        table = list(csv.DictReader(io.StringIO(file.read("results.csv").decode(), newline="")))
    assert [line["report"] for line in table] == [f"0001-{first}.pdf", "", f"0003-{second}.pdf"]


def test_summary_is_a_pdf_with_a_row_a_file(api: httpx.Client, batch: dict[str, Any]) -> None:
    answer = api.get(batch["links"]["summary"])
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "application/pdf"
    (page,) = PdfReader(io.BytesIO(answer.content)).pages
    text = " ".join(page.extract_text().split())
    for expected in ("3: 2 completed, 1 refused", "Needs a look", f"{MARK}.txt", batch["id"]):
        assert expected in text
    assert len(page.images) == 2
    tag = answer.headers["ETag"]
    known = api.get(batch["links"]["summary"], headers={"If-None-Match": tag})
    assert (known.status_code, known.content) == (304, b"")
    part = api.get(batch["links"]["summary"], headers={"Range": "bytes=0-4"})
    assert (part.status_code, part.content) == (206, b"%PDF-")


def test_file_names_stay_out_of_the_log(
    api: httpx.Client, stack: Stack, batch: dict[str, Any]
) -> None:
    path = batch["links"]["self"]
    assert MARK in api.get(path).text
    assert "Qwxyz" not in log_after(stack, path)


def test_a_batch_is_found_in_the_list(api: httpx.Client, batch: dict[str, Any]) -> None:
    cursor: dict[str, str] = {}
    while True:
        page = api.get("/v1/batches", params={"limit": "2", **cursor}).json()
        found = [each for each in page["items"] if each["id"] == batch["id"]]
        if found or not page["next_cursor"]:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert found[0]["by_state"] == batch["by_state"]
    assert "items" not in found[0]
    assert api.get("/v1/batches", params={"cursor": "x"}).json()["code"] == "bad_cursor"


def test_a_submitter_sees_no_other_caller_s_batch(
    api: httpx.Client, stack: Stack, batch: dict[str, Any]
) -> None:
    new = api.post("/v1/keys", json={"name": "batch sender", "role": "submitter"}).json()
    bearer = {"Authorization": f"Bearer {new['key']}"}
    url = batch["links"]["self"]
    with httpx.Client(base_url=stack.url, headers=bearer, timeout=60, trust_env=False) as other:
        for path in (url, f"{url}/results.csv", f"{url}/report.zip", f"{url}/summary.pdf"):
            assert other.get(path).status_code == 404
        picture = [("a.png", pictures.png())]
        assert send(other, picture, to=f"{url}/items").status_code == 404
        assert other.get("/v1/batches").json()["items"] == []
        own = send(other, picture).json()
        assert [each["id"] for each in other.get("/v1/batches").json()["items"]] == [own["id"]]
        refused = send(api, picture, to=f"/v1/batches/{own['id']}/items")
        assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")


def test_more_items_can_be_added(api: httpx.Client) -> None:
    url = send(api, [("a.png", pictures.png())]).headers["Location"]
    more = [("b.png", pictures.png(pictures.head(seed=2)))]
    for _ in range(2):
        answer = send(api, more, to=f"{url}/items", key=f"more-{url}")
        assert answer.status_code == 202
        assert [item["file"] for item in answer.json()["items"]] == ["a.png", "b.png"]
    assert answer.headers["Idempotency-Replayed"] == "true"
    assert send(api, more, to=f"/v1/batches/{uuid.uuid4()}/items").status_code == 404


@pytest.mark.parametrize(
    ("body", "content_type", "status", "code"),
    [
        (b"{}", "application/json", 400, "bad_request"),
        (b"x", "multipart/form-data", 400, "bad_request"),
        (b"x", "multipart/form-data; boundary=" + "x" * 300, 400, "bad_request"),
        (b"".join(form([])), CONTENT_TYPE, 422, "invalid_request"),
        (b"".join(form([("a", b"")], name="x")), CONTENT_TYPE, 422, "invalid_request"),
        (b"".join(form([("a", b"")], patient_id=str(uuid.UUID(int=1)))), CONTENT_TYPE, 422, None),
        (b"", CONTENT_TYPE, 400, "bad_request"),
    ],
)
def test_a_form_that_is_off_is_explained(
    api: httpx.Client, body: bytes, content_type: str, status: int, code: str | None
) -> None:
    before = _newest(api).get("id")
    answer = api.post("/v1/batches", content=body, headers={"Content-Type": content_type})
    assert (answer.status_code, answer.json()["code"]) == (status, code or "unknown_patient")
    assert "Location" not in answer.headers
    assert _newest(api).get("id") == before


def test_a_body_beyond_all_bounds_is_refused_before_it_is_sent(stack: Stack) -> None:
    host, port = stack.url.removeprefix("http://").split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=10)
    connection.putrequest("POST", "/v1/batches")
    connection.putheader("Authorization", f"Bearer {stack.key}")
    connection.putheader("Content-Type", CONTENT_TYPE)
    connection.putheader("Content-Length", str((2 << 30) + 2 * MIB))
    connection.endheaders()
    answer = connection.getresponse()
    assert answer.status == 413
    assert b"too_many_files" in answer.read()
    connection.close()


def test_the_501st_file_is_refused_and_the_others_stay(api: httpx.Client) -> None:
    answer = send(api, [(str(number), b"no picture") for number in range(502)])
    assert (answer.status_code, answer.json()["code"]) == (413, "too_many_files")
    batch = api.get(answer.headers["Location"]).json()
    assert (batch["total"], batch["by_state"]["refused"], batch["done"]) == (500, 500, True)
    assert [int(item["file"]) for item in batch["items"]] == list(range(500))


def test_a_broken_upload_goes_on_where_it_was(api: httpx.Client, stack: Stack) -> None:
    files = [(f"{seed}.png", pictures.png(pictures.head(seed=seed))) for seed in range(4)]
    pieces = form(files, notes="broken")
    body = b"".join(pieces)
    key = uuid.uuid4().hex
    head = (
        "POST /v1/batches HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Authorization: Bearer {stack.key}\r\nIdempotency-Key: {key}\r\n"
        f"Content-Type: {CONTENT_TYPE}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    before = _newest(api).get("id")
    host, port = stack.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(head.encode() + body[: sum(map(len, pieces[:3])) + 500])
        ends = time.monotonic() + 20
        # The second file is complete once the third has begun.
        while (found := _newest(api)).get("id") == before or found["total"] < 2:
            assert time.monotonic() < ends
            time.sleep(0.1)
    resumed = send(api, files, key=key, notes="broken")
    assert (resumed.status_code, resumed.json()["id"]) == (202, found["id"])
    assert resumed.headers["Idempotency-Replayed"] == "true"
    assert [item["file"] for item in resumed.json()["items"]] == [name for name, _ in files]
    batch = wait_done(api, found["id"])
    assert batch["by_state"]["completed"] == 4


def test_memory_does_not_grow_with_the_batch(api: httpx.Client, stack: Stack) -> None:
    pid = stack.pid("gateway")
    assert pid is not None
    noise = np.random.default_rng(0).integers(0, 256, (1000, 1000), dtype=np.uint8)
    picture = pictures.png(noise)
    assert 0.9 * MIB < len(picture) < 1.1 * MIB
    made: list[str] = []
    peaks = []
    with _deleting(api, made):
        for count in (8, 60):
            files = [(f"{number}.png", picture) for number in range(count)]
            with _peak_memory(pid) as peak:
                answer = send(api, files)
            assert answer.status_code == 202, answer.text
            made += [item["scan_id"] for item in answer.json()["items"]]
            peaks.append(peak[0])
    assert len(made) == 68
    # 52 MiB more were sent.
    assert peaks[1] - peaks[0] < 20 * MIB


def _newest(api: httpx.Client) -> dict[str, Any]:
    items = api.get("/v1/batches", params={"limit": "1"}).json()["items"]
    return items[0] if items else {}


@contextlib.contextmanager
def _peak_memory(pid: int) -> Iterator[list[int]]:
    """The most memory that a process holds in the meantime, in bytes."""
    process = Path(f"/proc/{pid}")
    # Begins a new peak (proc(5), clear_refs).
    (process / "clear_refs").write_text("5")
    peak: list[int] = []
    yield peak
    (line,) = (
        line for line in (process / "status").read_text().splitlines() if line.startswith("VmHWM")
    )
    peak.append(int(line.split()[1]) * 1024)


@contextlib.contextmanager
def _deleting(api: httpx.Client, scan_ids: list[str]) -> Iterator[None]:
    """Delete scans afterwards, so that no worker is busy with them."""
    try:
        yield
    finally:
        for scan_id in scan_ids:
            api.delete(f"/v1/scans/{scan_id}")


def test_whoever_waits_for_a_batch_learns_that_it_was_deleted(api: httpx.Client) -> None:
    sent = send(api, [(f"{n}.png", pictures.png(pictures.head(seed=60 + n))) for n in range(8)])
    path, scan_ids = sent.headers["Location"], [item["scan_id"] for item in sent.json()["items"]]
    with ThreadPoolExecutor(1) as threads:
        tag = {"If-None-Match": sent.headers["ETag"]}
        waiting = threads.submit(api.get, f"{path}?wait=30", headers=tag)
        assert api.delete(path).status_code == 204
        answer = waiting.result()
        if answer.status_code == 200:
            # A scan had moved on before.
            answer = api.get(f"{path}?wait=30", headers={"If-None-Match": answer.headers["ETag"]})
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert api.delete(path).status_code == 404
    assert {api.get(f"/v1/scans/{scan_id}").status_code for scan_id in scan_ids} == {404}
