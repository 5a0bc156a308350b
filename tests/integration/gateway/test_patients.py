"""Patients over HTTP."""

import uuid
from datetime import UTC, datetime, timedelta

import httpx

from neuroscan.stack import Stack
from neuroscan.storage import Storage
from tests import pictures
from tests.integration.gateway.calls import new_patient, submit, wait_final


def test_a_patient_can_be_made_read_changed_and_found(api: httpx.Client) -> None:
    patient = new_patient(api, name="Grace Ω 花子", birth_date="1950-12-09", sex="female")
    url = f"/v1/patients/{patient['id']}"
    assert api.get(url).json() == patient
    changed = api.patch(url, json={"notes": "allergic to <script>"}).json()
    assert changed["notes"] == "allergic to <script>"
    assert changed["name"] == patient["name"]
    found = api.post("/v1/patients/search", json={"q": "花子"}).json()["items"]
    assert patient["id"] in [each["id"] for each in found]
    number = patient["medical_record_number"].lower()
    found = api.post("/v1/patients/search", json={"q": number}).json()["items"]
    assert [each["id"] for each in found] == [patient["id"]]


def test_search_takes_wildcards_literally(api: httpx.Client) -> None:
    new_patient(api, name="Plain Name")
    percent = new_patient(api, name="100% sure_")
    for text in ("%", "_", "100%"):
        found = api.post("/v1/patients/search", json={"q": text}).json()["items"]
        assert percent["id"] in [each["id"] for each in found]
        assert all(text in each["name"] for each in found if each["name"])


def test_letters_are_the_same_however_they_were_typed(api: httpx.Client) -> None:
    composed, in_parts = "Zo\u00eb", "Zoe\u0308"
    number = f"{in_parts}-{uuid.uuid4().hex}"
    patient = new_patient(api, name=in_parts, medical_record_number=number)
    assert patient["name"] == composed
    for text in (composed, in_parts):
        found = api.post("/v1/patients/search", json={"q": text}).json()["items"]
        assert patient["id"] in [each["id"] for each in found]
    again = number.replace(in_parts, composed)
    answer = api.post("/v1/patients", json={"medical_record_number": again})
    assert answer.json()["code"] == "duplicate_patient"


def test_nobody_is_born_in_the_future(api: httpx.Client) -> None:
    today = datetime.now(UTC).date()
    patient = new_patient(api, birth_date=f"{today}")
    late = {"birth_date": f"{today + timedelta(days=2)}"}
    answer = api.patch(f"/v1/patients/{patient['id']}", json=late)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    number = {"medical_record_number": uuid.uuid4().hex}
    assert api.post("/v1/patients", json=number | late).status_code == 422


def test_a_taken_record_number_is_refused(api: httpx.Client) -> None:
    first, second = new_patient(api), new_patient(api)
    number = {"medical_record_number": first["medical_record_number"]}
    again = api.post("/v1/patients", json=number)
    assert (again.status_code, again.json()["code"]) == (409, "duplicate_patient")
    renamed = api.patch(f"/v1/patients/{second['id']}", json=number)
    assert (renamed.status_code, renamed.json()["code"]) == (409, "duplicate_patient")


def test_values_of_bad_fields_are_not_repeated(api: httpx.Client) -> None:
    answer = api.post("/v1/patients", json={"medical_record_number": "x", "sex": "Secretname"})
    assert answer.json()["code"] == "invalid_request"
    assert "Secretname" not in answer.text
    answer = api.post("/v1/patients", json={"medical_record_number": "a\0b"})
    assert answer.status_code == 422


def test_what_is_required_can_not_be_removed(api: httpx.Client) -> None:
    patient = new_patient(api)
    answer = api.patch(f"/v1/patients/{patient['id']}", json={"medical_record_number": None})
    assert answer.json()["code"] == "invalid_request"


def test_deleting_a_patient_removes_scans_and_objects(api: httpx.Client, stack: Stack) -> None:
    patient = new_patient(api)
    scan_id = submit(api, pictures.png(), patient_id=patient["id"]).json()["id"]
    wait_final(api, scan_id)
    assert api.delete(f"/v1/patients/{patient['id']}").status_code == 204
    assert api.get(f"/v1/patients/{patient['id']}").status_code == 404
    assert api.get(f"/v1/scans/{scan_id}").status_code == 404
    assert Storage(stack.state.object_store_url or "").list(f"scans/{scan_id}") == []


def test_unknown_patient_has_no_history(api: httpx.Client) -> None:
    assert api.get(f"/v1/patients/{uuid.uuid4()}/scans").status_code == 404
