"""Scans over HTTP, through the whole pipeline."""

import io
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest
from PIL import Image

from neuroscan.contracts.scan import ScanView
from neuroscan.phantoms import default_specs, make_phantom
from neuroscan.stack import Stack
from neuroscan.storage import Storage
from tests import pictures
from tests.integration.gateway.calls import log_after, new_patient, submit, wait_final


@pytest.fixture(scope="module")
def scan(api: httpx.Client) -> ScanView:
    """A completed scan of a DICOM slice."""
    answer = submit(api, pictures.dicom(), reference="case-7", notes="left <b>side</b>")
    assert answer.status_code == 202
    return ScanView.model_validate(wait_final(api, answer.json()["id"]))


def test_the_answer_says_where_the_scan_is_and_what_was_found(api: httpx.Client) -> None:
    answer = submit(api, pictures.png())
    body = answer.json()
    assert answer.status_code == 202
    assert answer.headers["Location"] == f"/v1/scans/{body['id']}"
    assert answer.headers["Retry-After"] == "1"
    assert uuid.UUID(body["id"]).version == 7
    assert body["classification"]["label"] in ("glioma", "meningioma", "no_tumor", "pituitary")
    assert body["state"] in ("classified", "explained", "measured", "completed")


def test_every_stage_leaves_its_part(scan: ScanView) -> None:
    assert scan.state == "completed"
    assert [(stage.name, stage.state) for stage in scan.stages] == [
        ("classify", "done"),
        ("explain", "done"),
        ("measure", "done"),
        ("report", "done"),
    ]
    assert scan.classification is not None
    assert scan.explanation is not None
    assert scan.spatial is not None
    assert scan.report is not None
    assert scan.model is not None
    assert scan.notice == "Research use only. Not for diagnosis."
    assert scan.reference == "case-7"
    geometry = scan.image.geometry
    assert (geometry.row_mm, geometry.source, geometry.plane) == (0.5, "dicom", "axial")
    assert sum(scan.classification.probabilities.model_dump().values()) == pytest.approx(1)


def test_artefacts_open_and_have_the_size_of_the_image(api: httpx.Client, scan: ScanView) -> None:
    for name in ("slice.png", "heatmap.png", "overlay.png"):
        picture = Image.open(io.BytesIO(api.get(scan.links[name.split(".")[0]]).content))
        assert picture.size == (scan.image.width, scan.image.height)
    cam = np.load(io.BytesIO(api.get(scan.links["cam"]).content), allow_pickle=False)
    assert np.isfinite(cam["map"]).all()
    pdf = api.get(scan.links["report"])
    assert pdf.content.startswith(b"%PDF-")
    assert pdf.headers["content-type"] == "application/pdf"
    thumbnail = Image.open(io.BytesIO(api.get(scan.links["thumbnail"]).content))
    assert max(thumbnail.size) <= 192


def test_artefacts_take_ranges_and_tags(api: httpx.Client, scan: ScanView) -> None:
    url = scan.links["report"]
    whole = api.get(url)
    size = len(whole.content)

    def part(header: str) -> httpx.Response:
        return api.get(url, headers={"Range": header})

    first = part("bytes=0-4")
    assert (first.status_code, first.content) == (206, b"%PDF-")
    assert first.headers["content-range"] == f"bytes 0-4/{size}"
    assert part("bytes=-6").content == whole.content[-6:]
    assert part("bytes=10-").content == whole.content[10:]
    assert part(f"bytes={size}-").status_code == 416
    # No range at all, and so ignored (RFC 9110, 14.1.2).
    assert part("bytes=9-3").content == whole.content
    assert part("nonsense").status_code == 200
    known = api.get(url, headers={"If-None-Match": whole.headers["etag"]})
    assert (known.status_code, known.content) == (304, b"")


def test_a_known_version_is_not_sent_again(api: httpx.Client, scan: ScanView) -> None:
    first = api.get(f"/v1/scans/{scan.id}")
    again = api.get(f"/v1/scans/{scan.id}", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_waiting_on_a_scan_that_is_over_returns_at_once(api: httpx.Client, scan: ScanView) -> None:
    began = time.monotonic()
    api.get(f"/v1/scans/{scan.id}?wait=20", headers={"If-None-Match": f'"{scan.version}"'})
    assert time.monotonic() - began < 5


def test_waiting_returns_with_the_next_change(api: httpx.Client) -> None:
    body = submit(api, pictures.png()).json()
    tag = f'"{body["version"]}"'
    changed = api.get(f"/v1/scans/{body['id']}?wait=20", headers={"If-None-Match": tag})
    assert changed.status_code == 200
    assert changed.json()["version"] > body["version"]


def test_same_request_twice_makes_one_scan(api: httpx.Client) -> None:
    key = uuid.uuid4().hex
    content = pictures.png(pictures.head(seed=3))

    def send(_: int) -> httpx.Response:
        return submit(api, content, key=key, reference=key)

    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(send, range(6)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert sum("Idempotency-Replayed" in answer.headers for answer in answers) == 5
    assert len(api.get("/v1/scans", params={"reference": key}).json()["items"]) == 1


def test_a_key_whose_request_failed_can_be_used_again(api: httpx.Client) -> None:
    key = uuid.uuid4().hex
    assert submit(api, b"nonsense", key=key).status_code == 415
    assert submit(api, pictures.png(), key=key).status_code == 202


def test_list_is_newest_first_and_pages_without_gaps(api: httpx.Client) -> None:
    reference = uuid.uuid4().hex
    ids = [
        submit(api, pictures.png(pictures.head(seed=seed)), reference=reference).json()["id"]
        for seed in range(5)
    ]
    found: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = api.get("/v1/scans", params={"reference": reference, "limit": 2, **cursor}).json()
        found += [item["id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert found == ids[::-1]


def test_deleting_a_scan_leaves_nothing(api: httpx.Client, stack: Stack) -> None:
    scan_id = submit(api, pictures.png()).json()["id"]
    wait_final(api, scan_id)
    store = Storage(stack.state.object_store_url or "")
    assert store.list(f"scans/{scan_id}")
    assert api.delete(f"/v1/scans/{scan_id}").status_code == 204
    assert api.get(f"/v1/scans/{scan_id}").status_code == 404
    assert api.get(f"/v1/scans/{scan_id}/slice.png").status_code == 404
    assert store.list(f"scans/{scan_id}") == []


def test_deleting_a_scan_at_work_leaves_nothing(api: httpx.Client, stack: Stack) -> None:
    store = Storage(stack.state.object_store_url or "")
    ids = [submit(api, pictures.png(pictures.head(seed=9))).json()["id"] for _ in range(3)]
    for scan_id in ids:
        assert api.delete(f"/v1/scans/{scan_id}").status_code == 204
    last = submit(api, pictures.png()).json()["id"]
    wait_final(api, last)
    ends = time.monotonic() + 15
    while any(store.list(f"scans/{each}") for each in ids) and time.monotonic() < ends:
        time.sleep(0.2)
    assert [store.list(f"scans/{each}") for each in ids] == [[], [], []]


def test_a_canceled_scan_stays_readable(api: httpx.Client) -> None:
    scan_id = submit(api, pictures.png()).json()["id"]
    canceled = api.post(f"/v1/scans/{scan_id}/cancel").json()
    assert canceled["state"] in ("canceled", "completed")
    assert api.get(f"/v1/scans/{scan_id}/slice.png").status_code == 200
    assert wait_final(api, scan_id)["state"] == canceled["state"]


def test_patients_history_shows_the_trend_of_one_plane(api: httpx.Client) -> None:
    patient = new_patient(api, name="Ada Example")
    # Only slices that the input check accepts are in a trend: a drawn head is none.
    lesion = next(spec for spec in default_specs() if spec.lesion)
    content = pictures.png(make_phantom(lesion).pixels)
    for day in ("2026-01-05", "2026-02-05"):
        fields = {"patient_id": patient["id"], "acquired_at": f"{day}T10:00:00Z"}
        wait_final(api, submit(api, content, **fields).json()["id"])
    history = api.get(f"/v1/patients/{patient['id']}/scans").json()
    assert [item["acquired_at"][:10] for item in history["items"]] == ["2026-02-05", "2026-01-05"]
    assert history["trend"]["note"].endswith("Not a volume.")
    accepted = [item for item in history["items"] if item["input_check"]["accepted"]]
    points = history["trend"]["points"]
    assert len(points) == 2
    assert [point["scan_id"] for point in points] == [item["id"] for item in accepted[::-1]]


def test_no_name_reaches_logs_keys_or_urls(api: httpx.Client, stack: Stack) -> None:
    marked = "Zyxwvut Marked"
    patient = new_patient(api, name=marked)
    content = pictures.dicom(
        patient_number=patient["medical_record_number"], patient_name="Zyxwvut^Marked"
    )
    fields = {"patient_id": patient["id"], "notes": marked}
    answer = submit(api, content, name="Zyxwvut Marked.dcm", **fields)
    scan = wait_final(api, answer.json()["id"])
    api.post("/v1/patients/search", json={"q": "Zyxwvut"})
    assert "Zyxwvut" not in log_after(stack, "/v1/patients/search")
    store = Storage(stack.state.object_store_url or "")
    keys = store.list(f"scans/{scan['id']}")
    assert not any("zyx" in key.lower() for key in keys)
    assert not any(b"Zyxwvut" in store.get(key) for key in keys if not key.endswith(".pdf"))
    assert "Zyxwvut" not in str(scan)
