"""Bad input of every kind ends in its problem, and leaves no trace."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx
import pytest

from tests import pictures
from tests.integration.gateway.calls import new_patient, newest_scan, submit, wait_final


@dataclass(frozen=True)
class Bad:
    """A bad upload and the problem that it must end in."""

    make: Callable[[], bytes]
    status: int
    code: str
    name: str = "slice.bin"
    media_type: str = "application/octet-stream"
    fields: dict[str, str] = field(default_factory=dict)


CASES = {
    "empty": Bad(lambda: b"", 422, "empty_file"),
    "truncated-png": Bad(lambda: pictures.png()[:-2000], 422, "truncated_image"),
    "truncated-jpeg": Bad(lambda: pictures.jpeg()[:-1500], 422, "truncated_image"),
    "truncated-dicom": Bad(lambda: pictures.dicom()[:-2000], 422, "truncated_image"),
    "not-an-image": Bad(lambda: b"hello, this is text" * 50, 415, "not_an_image"),
    "pdf": Bad(lambda: b"%PDF-1.7\n" + b"x" * 500, 415, "not_an_image"),
    "wrong-magic": Bad(pictures.jpeg, 415, "format_mismatch", "slice.png", "image/png"),
    "over-32-mib": Bad(lambda: b"\xff\xd8\xff" + b"\0" * (32 << 20), 413, "file_too_large"),
    "over-32-megapixels": Bad(pictures.giant_png_header, 422, "image_too_large"),
    "deflated-bomb": Bad(pictures.deflated_bomb, 422, "decode_limit"),
    "animated": Bad(pictures.animated_png, 422, "frame_required"),
    "multi-frame": Bad(lambda: pictures.dicom(frames=3), 422, "frame_required"),
    "frame-out-of-range": Bad(
        lambda: pictures.dicom(frames=3), 422, "frame_out_of_range", fields={"frame": "3"}
    ),
    "no-pixel-data": Bad(lambda: pictures.dicom(with_pixels=False), 422, "dicom_without_pixels"),
    "transfer-syntax": Bad(
        lambda: pictures.dicom().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.9\0"),
        415,
        "unsupported_transfer_syntax",
    ),
    "unknown-patient": Bad(
        pictures.png, 422, "unknown_patient", fields={"patient_id": str(uuid.uuid4())}
    ),
    "patient-id-no-uuid": Bad(pictures.png, 422, "invalid_request", fields={"patient_id": "x"}),
    "bad-spacing": Bad(pictures.png, 422, "invalid_request", fields={"pixel_spacing_mm": "zero"}),
    "negative-spacing": Bad(
        pictures.png, 422, "invalid_request", fields={"pixel_spacing_mm": "-1"}
    ),
    "null-character": Bad(pictures.png, 422, "invalid_request", fields={"reference": "a\0b"}),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_bad_input_ends_in_its_problem(api: httpx.Client, case: Bad) -> None:
    before = newest_scan(api)
    answer = submit(api, case.make(), name=case.name, media_type=case.media_type, **case.fields)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (case.status, case.code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem.keys() == {"type", "title", "status", "detail", "instance", "code"}
    assert problem["status"] == case.status
    assert problem["instance"] == "/v1/scans"
    assert newest_scan(api) == before


def test_a_chosen_frame_is_taken(api: httpx.Client) -> None:
    answer = submit(api, pictures.dicom(frames=3), frame="2")
    assert answer.status_code == 202


def test_dicom_of_another_patient_is_refused(api: httpx.Client) -> None:
    patient = new_patient(api, medical_record_number="A-1")
    fields = {"patient_id": patient["id"]}
    other = submit(api, pictures.dicom(patient_number="B-2"), **fields)
    assert (other.status_code, other.json()["code"]) == (409, "patient_mismatch")
    assert "B-2" not in other.text
    same = submit(api, pictures.dicom(patient_number="A-1"), **fields)
    assert same.status_code == 202


def test_another_modality_is_a_scan_that_is_turned_away(api: httpx.Client) -> None:
    answer = submit(api, pictures.dicom(modality="CT"))
    assert answer.status_code == 202
    scan = wait_final(api, answer.json()["id"])
    assert scan["state"] == "completed"
    assert scan["input_check"]["accepted"] is False
    assert scan["classification"]["calibrated"] is False
    assert len(scan["classification"]["prediction_set"]) == 4


def test_reused_key_with_other_content_is_refused(api: httpx.Client) -> None:
    key = uuid.uuid4().hex
    first = submit(api, pictures.png(pictures.head(seed=1)), key=key)
    other = submit(api, pictures.png(pictures.head(seed=2)), key=key)
    fields = submit(api, pictures.png(pictures.head(seed=1)), key=key, notes="other")
    assert first.status_code == 202
    for refused in (other, fields):
        assert (refused.status_code, refused.json()["code"]) == (409, "idempotency_conflict")


@pytest.mark.parametrize("cursor", ["x", "AAAA", "bm90LWpzb24", "W10", "%00", "eyJhIjoxfQ", "🙂"])
@pytest.mark.parametrize("path", ["/v1/scans", "/v1/patients"])
def test_bad_cursor_is_refused(api: httpx.Client, path: str, cursor: str) -> None:
    answer = api.get(path, params={"cursor": cursor})
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_cursor")


def test_cursor_of_another_list_is_refused(api: httpx.Client) -> None:
    for seed in (1, 2):
        submit(api, pictures.png(pictures.head(seed=seed)), reference="cursor-test")
    page = api.get("/v1/scans", params={"reference": "cursor-test", "limit": 1}).json()
    answer = api.get("/v1/scans", params={"cursor": page["next_cursor"], "limit": 1})
    assert answer.json()["code"] == "bad_cursor"


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", f"/v1/scans/{uuid.uuid4()}", 404, "not_found"),
        ("GET", f"/v1/patients/{uuid.uuid4()}", 404, "not_found"),
        ("DELETE", f"/v1/scans/{uuid.uuid4()}", 404, "not_found"),
        ("POST", f"/v1/scans/{uuid.uuid4()}/cancel", 404, "not_found"),
        ("GET", "/v1/scans/not-an-id", 422, "invalid_request"),
        ("GET", "/nowhere", 404, "not_found"),
        ("PUT", "/v1/scans", 405, "method_not_allowed"),
        ("GET", "/v1/scans?limit=0", 422, "invalid_request"),
        ("GET", f"/v1/scans/{uuid.uuid4()}/passwd", 404, "not_found"),
    ],
)
def test_paths_and_ids_that_lead_nowhere(
    api: httpx.Client, method: str, path: str, status: int, code: str
) -> None:
    answer = api.request(method, path)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_a_body_without_a_length_is_bounded_too(api: httpx.Client) -> None:
    boundary = b"frontier"

    def body() -> object:
        yield b"--" + boundary + b'\r\nContent-Disposition: form-data; name="image"; '
        yield b'filename="a.png"\r\nContent-Type: image/png\r\n\r\n'
        for _ in range(40):
            yield b"\0" * (1 << 20)
        yield b"\r\n--" + boundary + b"--\r\n"

    headers = {"Content-Type": "multipart/form-data; boundary=frontier"}
    answer = api.post("/v1/scans", content=body(), headers=headers)  # type: ignore[arg-type]
    assert (answer.status_code, answer.json()["code"]) == (413, "file_too_large")


@pytest.mark.parametrize("unfinished", ["patient_id", "image"])
@pytest.mark.parametrize("ending", [b"\r\n", b"\r\n--x", b"\r\n--x\r\n"])
def test_a_form_that_ends_before_its_last_boundary_makes_no_scan(
    api: httpx.Client, unfinished: str, ending: bytes
) -> None:
    patient = new_patient(api)
    parts = {
        "image": b'name="image"; filename="a.png"\r\n\r\n' + pictures.png(),
        "patient_id": b'name="patient_id"\r\n\r\n' + patient["id"].encode(),
    }
    order = sorted(parts, key=lambda name: name == unfinished)
    whole = b"\r\n".join(b"--x\r\nContent-Disposition: form-data; " + parts[n] for n in order)
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    before = newest_scan(api)
    answer = api.post("/v1/scans", content=whole + ending, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")
    assert "last boundary" in answer.json()["detail"]
    assert newest_scan(api) == before
    for end in (b"\r\n--x--", b"\r\n--x--\r\n", b"\r\n--x--\r\nwhat follows"):
        answer = api.post("/v1/scans", content=whole + end, headers=headers)
        assert (answer.status_code, answer.json()["patient_id"]) == (202, patient["id"])


def test_missing_image_and_broken_form(api: httpx.Client) -> None:
    assert api.post("/v1/scans", data={"notes": "x"}).json()["code"] == "invalid_request"
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    answer = api.post("/v1/scans", content=b"--y\r\nnonsense", headers=headers)
    assert 400 <= answer.status_code < 500
    assert answer.headers["content-type"] == "application/problem+json"


def test_foreign_host_and_foreign_origin_are_refused(api: httpx.Client) -> None:
    host = api.get("/v1/scans", headers={"Host": "evil.example"})
    assert (host.status_code, host.json()["code"]) == (400, "host_not_allowed")
    origin = api.post(
        "/v1/patients",
        json={"medical_record_number": "x"},
        headers={"Origin": "https://evil.example"},
    )
    assert (origin.status_code, origin.json()["code"]) == (403, "cross_origin")
