"""Requests that no polite client sends: each gets an answer that says what is off, never a 500."""

import uuid
from datetime import UTC, datetime

import httpx
import pytest

from neuroscan.stack import Stack
from tests import pictures
from tests.integration.gateway.calls import log_after, newest_scan, submit, wait_final

FIRST_YEAR, LAST_YEAR = "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"


@pytest.mark.parametrize("moment", [FIRST_YEAR, LAST_YEAR, "1899-12-31", "9999-01-01"])
def test_a_moment_that_some_time_zone_has_not_is_refused(api: httpx.Client, moment: str) -> None:
    before = newest_scan(api)
    answer = submit(api, pictures.png(), acquired_at=moment)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert "acquired_at" in answer.json()["detail"]
    assert newest_scan(api) == before
    listed = api.get("/v1/scans", params={"created_after": moment})
    assert (listed.status_code, listed.json()["code"]) == (422, "invalid_request")


def test_times_without_an_offset_are_utc(api: httpx.Client) -> None:
    scan = submit(api, pictures.png(), acquired_at="2026-03-01T10:00:00").json()
    assert datetime.fromisoformat(scan["acquired_at"]) == datetime(2026, 3, 1, 10, tzinfo=UTC)
    east = submit(api, pictures.png(), acquired_at="2026-03-01T10:00:00+02:00").json()
    assert datetime.fromisoformat(east["acquired_at"]) == datetime(2026, 3, 1, 8, tzinfo=UTC)


@pytest.mark.parametrize("origin", ["http://[", "http://[::1", "null", "http://a@127.0.0.1"])
def test_an_origin_that_is_none_is_refused(api: httpx.Client, origin: str) -> None:
    answer = api.post("/v1/patients/search", json={"q": "x"}, headers={"Origin": origin})
    assert (answer.status_code, answer.json()["code"]) == (403, "cross_origin")


def test_a_made_up_method_is_refused_and_remembered_nowhere(
    api: httpx.Client, stack: Stack
) -> None:
    for number in range(3):
        answer = api.request(f"JANE-DOE-{number}", "/v1/scans", headers={"Authorization": ""})
        assert answer.status_code == 401
        answer = api.request(f"JANE-DOE-{number}", "/v1/scans")
        assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    last = f"/v1/scans/{uuid.uuid4()}"
    api.get(last)
    assert "JANE-DOE" not in log_after(stack, last)


def test_ranges_and_tags_of_any_length(api: httpx.Client) -> None:
    scan = wait_final(api, submit(api, pictures.png()).json()["id"])
    url = scan["links"]["slice"]
    whole = api.get(url)
    for asked in (f"bytes={'9' * 5000}-", f"bytes=-{'9' * 5000}", "bytes=٣-", "bytes=0-0,2-3"):
        answer = api.get(url, headers=[(b"Range", asked.encode())])
        assert (answer.status_code, answer.content) == (200, whole.content)
    beyond = api.get(url, headers={"Range": f"bytes={len(whole.content)}-"})
    assert (beyond.status_code, beyond.json()["code"]) == (416, "range_not_satisfiable")
    assert beyond.headers["content-range"] == f"bytes */{len(whole.content)}"


def test_tags_in_every_form_are_known(api: httpx.Client) -> None:
    scan = wait_final(api, submit(api, pictures.png()).json()["id"])
    for url in (f"/v1/scans/{scan['id']}", scan["links"]["slice"]):
        tag = api.get(url).headers["ETag"]
        for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
            assert api.get(url, headers={"If-None-Match": known}).status_code == 304
        for unknown in ('"other"', '"*"', "", ",,"):
            assert api.get(url, headers={"If-None-Match": unknown}).status_code == 200


def test_any_tag_waits_for_the_next_change(api: httpx.Client) -> None:
    scan = submit(api, pictures.png()).json()
    url = f"/v1/scans/{scan['id']}?wait=20"
    versions = [scan["version"]]
    # Each of the four stages starts and ends; one that is over answers 304 at once.
    for _ in range(20):
        answer = api.get(url, headers={"If-None-Match": "*"})
        if answer.status_code != 200:
            break
        versions.append(answer.json()["version"])
    assert answer.status_code == 304
    assert versions == sorted(set(versions))
    assert len(versions) > 1


def _form(api: httpx.Client, *parts: tuple[str, bytes]) -> httpx.Response:
    body = b"".join(
        b"--frontier\r\nContent-Disposition: form-data; %b\r\n\r\n%b\r\n" % (head.encode(), content)
        for head, content in parts
    )
    headers = {"Content-Type": "multipart/form-data; boundary=frontier"}
    return api.post("/v1/scans", content=body + b"--frontier--\r\n", headers=headers)


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        (('name="image"; filename="b.png"', pictures.png()), "more than once"),
        (('name="reference"', b"2"), "more than once"),
        (('name="patientid"', b"x"), "unknown field"),
    ],
)
def test_nothing_in_a_form_is_dropped_silently(
    api: httpx.Client, extra: tuple[str, bytes], said: str
) -> None:
    before = newest_scan(api)
    image = ('name="image"; filename="a.png"', pictures.png())
    answer = _form(api, ('name="reference"', b"1"), image, extra)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert said in answer.json()["detail"]
    assert newest_scan(api) == before


def test_fields_may_follow_the_image(api: httpx.Client) -> None:
    image = ('name="image"; filename="../../a b.png"', pictures.png())
    answer = _form(api, image, ('name="reference"', b"after"))
    assert (answer.status_code, answer.json()["reference"]) == (202, "after")


def test_an_image_without_a_file_name_is_explained(api: httpx.Client) -> None:
    answer = _form(api, ('name="image"', pictures.png()))
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert "filename" in answer.json()["detail"]


def test_calls_without_a_file_take_no_large_body(api: httpx.Client) -> None:
    def pieces() -> object:
        for _ in range(300):
            yield b" " * 1024

    json = {"Content-Type": "application/json"}
    for body in (b" " * 300 * 1024, pieces()):
        answer = api.post("/v1/patients", content=body, headers=json)  # type: ignore[arg-type]
        assert (answer.status_code, answer.json()["code"]) == (413, "request_too_large")


def test_a_name_in_a_path_stays_out_of_the_log(api: httpx.Client, stack: Stack) -> None:
    scan_id = submit(api, pictures.png()).json()["id"]
    for path in (
        "/v1/patients/Qwxyz Marked",
        "/Qwxyz/Marked",
        f"/v1/scans/{scan_id}/Qwxyz.pdf",
        "/v1/patients/Qwxyz Marked/scans?cursor=Qwxyz",
    ):
        assert api.get(path).status_code in (404, 422)
    assert api.get(f"/v1/scans/{scan_id}").status_code == 200
    assert "Qwxyz" not in log_after(stack, f"/v1/scans/{scan_id}")


def test_the_document_says_what_is_answered(api: httpx.Client) -> None:
    document = api.get("/v1/openapi.json").json()
    schemas = document["components"]["schemas"]
    assert "HTTPValidationError" not in schemas
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            for status, response in operation["responses"].items():
                if status[0] in "23" or (path, status) == ("/health/ready", "503"):
                    continue
                where = f"{method} {path} {status}"
                assert response["content"].keys() == {"application/problem+json"}, where
    assert set(schemas["Problem"]["required"]) <= set(api.get("/nowhere").json())
    submitted = document["paths"]["/v1/scans"]["post"]["responses"]["202"]
    answered = submit(api, pictures.png(), key="document-test")
    again = submit(api, pictures.png(), key="document-test")
    assert submitted["headers"].keys() - {"Idempotency-Replayed"} <= {
        name.title().replace("Etag", "ETag") for name in answered.headers
    }
    assert "Idempotency-Replayed" in again.headers
