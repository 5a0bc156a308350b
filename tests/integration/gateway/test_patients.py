"""Patients over HTTP."""

import uuid

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
