"""An export holds everything that is stored about a patient, and nothing of another."""

import io
import json
from zipfile import ZipFile

import httpx

from neuroscan.stack import Stack
from neuroscan.storage import Storage
from tests import pictures
from tests.integration.gateway.calls import new_patient, submit, wait_final


def exported(api: httpx.Client, patient_id: str) -> dict[str, bytes]:
    answer = api.get(f"/v1/patients/{patient_id}/export")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/zip"
    with ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def test_an_export_holds_rows_and_objects(api: httpx.Client, stack: Stack) -> None:
    patient = new_patient(api, name="Żółć, Anna")
    other = new_patient(api, name="Somebody else")
    content = pictures.png(pictures.head(seed=61))
    first = submit(api, content, patient_id=patient["id"]).json()["id"]
    again = submit(api, content, patient_id=patient["id"]).json()
    assert again["duplicate_of"] == first
    foreign = submit(api, content, patient_id=other["id"]).json()
    assert foreign["duplicate_of"] is None
    for scan_id in (first, again["id"]):
        assert wait_final(api, scan_id)["state"] == "completed"
    label = api.get(f"/v1/scans/{first}").json()["classification"]["label"]
    verdict = {"label": label, "agrees": True, "comment": "as seen"}
    assert api.put(f"/v1/scans/{first}/review", json=verdict).status_code == 200

    files = exported(api, patient["id"])
    assert json.loads(files["patient.json"])["name"] == "Żółć, Anna"
    store = Storage(stack.state.object_store_url or "")
    for scan_id in (first, again["id"]):
        for key in store.list(f"scans/{scan_id}"):
            suffix = ".png" if key.endswith("/original") else ""
            assert files[f"{key}{suffix}"] == store.get(key)
    scan = json.loads(files[f"scans/{first}/scan.json"])
    assert scan["scan"]["id"] == first
    assert [row["comment"] for row in scan["rows"]["review"]] == ["as seen"]
    assert {row["name"] for row in scan["rows"]["stage"]} == {
        "classify",
        "explain",
        "measure",
        "report",
    }
    audit = [json.loads(line) for line in files["audit.jsonl"].splitlines()]
    assert {"created", "reviewed", "exported"} <= {row["action"] for row in audit}
    assert not any(foreign["id"] in name for name in files)
    assert foreign["id"].encode() not in b"".join(files.values())


def test_nobody_has_no_export(api: httpx.Client) -> None:
    nobody = "01998c1e-0000-7000-8000-00000000ffff"
    assert api.get(f"/v1/patients/{nobody}/export").status_code == 404
