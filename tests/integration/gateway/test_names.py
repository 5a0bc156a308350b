"""No name in logs, messages, object keys or URLs, whatever a name is sent as."""

import time
import uuid

import httpx
from pydicom.uid import ExplicitVRLittleEndian

from neuroscan.queues import broker_client
from neuroscan.settings import BrokerSettings
from neuroscan.stack import Stack
from neuroscan.storage import Storage
from tests import pictures
from tests.integration.gateway.calls import log_after, submit, wait_final
from tests.unit.imaging.files import dicom, gradient, to_file

MARK = "Zzyzxmark"


def named_dicom(number: str) -> bytes:
    dataset = dicom(gradient(64, 64))
    dataset.PatientName = f"{MARK}^Anna"
    dataset.PatientID = number
    dataset.ReferringPhysicianName = f"{MARK}^Doctor"
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return to_file(dataset)


def everything_in(broker: object) -> bytes:
    """Every key of the broker, and what each holds."""
    found = [key.encode() for key in broker.scan_iter(match="*")]  # type: ignore[attr-defined]
    for key in list(found):
        kind = broker.execute_command("TYPE", key)  # type: ignore[attr-defined]
        read = {"list": ("LRANGE", key, 0, -1), "hash": ("HGETALL", key), "string": ("GET", key)}
        if kind in read:
            found.append(str(broker.execute_command(*read[kind])).encode())  # type: ignore[attr-defined]
    return b"\n".join(found)


def test_a_marked_name_stays_where_it_belongs(api: httpx.Client, stack: Stack) -> None:
    number = f"{MARK}-{uuid.uuid4().hex[:8]}"
    made = api.post(
        "/v1/patients",
        json={"medical_record_number": number, "name": f"{MARK}, Anna", "notes": f"of {MARK}"},
        headers={"Idempotency-Key": uuid.uuid4().hex},
    )
    assert made.status_code == 201
    patient = made.json()
    broker = broker_client(BrokerSettings(broker_url=stack.state.broker_url or ""))
    seen_in_broker = []

    sent = submit(api, named_dicom(number), name=f"{MARK}.dcm", patient_id=patient["id"])
    assert sent.status_code == 202, sent.text
    seen_in_broker.append(everything_in(broker))
    plain = submit(
        api, pictures.png(), name=f"{MARK}.png", patient_id=patient["id"], notes=f"{MARK} again"
    )
    batch = api.post(
        "/v1/batches",
        data={"patient_id": patient["id"]},
        files=[
            ("images", (f"{MARK}-{n}.png", pictures.png(pictures.head(seed=n)))) for n in (1, 2)
        ],
    )
    assert batch.status_code == 202, batch.text
    seen_in_broker.append(everything_in(broker))
    scans = [sent.json()["id"], plain.json()["id"]]
    scans += [item["scan_id"] for item in batch.json()["items"]]
    for scan_id in scans:
        wait_final(api, scan_id)
        seen_in_broker.append(everything_in(broker))

    # What goes wrong must not repeat what was sent.
    assert api.post("/v1/patients/search", json={"q": MARK}).json()["items"]
    assert api.get(f"/v1/patients/{MARK}").status_code == 404
    assert api.get(f"/v1/{MARK}").status_code == 404
    assert api.get("/v1/scans", params={"state": MARK}).status_code == 422
    assert api.post("/v1/patients", json={"medical_record_number": number}).status_code == 409
    assert api.post("/v1/patients", json={"sex": MARK}).status_code == 422
    assert submit(api, MARK.encode(), name=f"{MARK}.txt").status_code == 415
    assert submit(api, named_dicom("another"), patient_id=patient["id"]).status_code == 409
    bad = api.post("/v1/batches", files=[("images", (f"{MARK}.png", MARK.encode()))])
    assert bad.status_code == 202
    export = api.get(f"/v1/patients/{patient['id']}/export")
    assert MARK.encode() in api.get(f"/v1/patients/{patient['id']}").content
    assert api.delete(f"/v1/patients/{patient['id']}").status_code == 204

    log = log_after(stack, f"/v1/patients/{patient['id']}")
    time.sleep(0.5)
    log = stack.log.read_text(errors="replace")
    assert MARK not in log
    assert MARK.lower() not in log.lower()
    assert MARK.encode() not in b"\n".join([*seen_in_broker, everything_in(broker)])
    stored = Storage(stack.state.object_store_url or "")
    assert MARK not in "\n".join(stored.list(""))
    assert MARK not in sent.headers["location"] + batch.headers["location"]
    assert MARK not in "".join(sent.json()["links"].values())
    assert MARK not in export.headers["content-disposition"]
