"""How often each operation waits for Postgres: a bound that whoever adds a query has to raise.

One scan goes from the upload to the report in this process, over the stack's own inference and
reports services and a broker of the test's own; the workers' results are made here.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from neuroscan.contracts.enums import Role, ScanState, StageName
from neuroscan.heartbeat import Heartbeat
from neuroscan.imaging.pool import DecodePool
from neuroscan.settings import GatewaySettings
from neuroscan.stack import Stack
from services.gateway.auth.principal import Principal
from services.gateway.auth.secrets import ServerSecret
from services.gateway.auth.service import AccessService
from services.gateway.events.feeds import ScanFeed
from services.gateway.patients.service import PatientService
from services.gateway.pipeline import keys
from services.gateway.pipeline.assembly import Pipeline
from services.gateway.pipeline.clients import InferenceClient, ReportsClient
from services.gateway.pipeline.publish import Publisher
from services.gateway.recorder import Recorder
from services.gateway.scans.intake import Intake, Sender
from services.gateway.scans.repository import ScanFilter
from services.gateway.scans.service import ScanService
from tests import pictures
from tests.integration.gateway.broker import Broker
from tests.integration.gateway.ledger import (
    add_patient,
    completed_scan,
    finished,
    stage_row,
    started,
)
from tests.integration.gateway.trips import Trips, counted
from tests.integration.gateway.uploads import upload

READER = Principal("key:reader", Role.CLINICIAN)
LISTED = 50
KEY = "nsk_test_" + "k" * 43

# A transaction takes two: what it reads, with its beginning; what it writes, with its end.
BOUNDS = {
    "find the caller": 1,
    "POST: store; record the class and queue explain": 4,
    "POST with a key and a patient": 10,
    "POST: answer": 2,
    "explain: started": 2,
    "explain: record and queue measure": 2,
    "measure: started": 2,
    "measure: record and queue report": 2,
    "report: start; read what is printed; record": 5,
    "poll an unchanged scan": 1,
    "GET scan": 2,
    "GET list of 50, first time": 4,
    "GET list of 50": 2,
    "GET history of 20": 5,
    "event stream: a change": 3,
}
# From the upload to the report, with the answer to the upload.
SCAN = tuple(name for name in BOUNDS if name.startswith(("POST: ", "explain", "measure", "report")))


@pytest.fixture
def working(pipeline: Pipeline, stack: Stack, broker: Broker) -> Iterator[Pipeline]:
    """A pipeline over the stack's services, a broker that takes messages, an empty database."""
    addresses = {name: stack.state.services[name].url or "" for name in ("inference", "reports")}
    settings = GatewaySettings(
        inference_url=addresses["inference"],
        reports_url=addresses["reports"],
        inline_classify_limit=timedelta(seconds=9),
    )
    working = replace(
        pipeline,
        publisher=Publisher(broker.settings, pipeline.engine, timedelta(seconds=5)),
        inference=InferenceClient(settings),
        reports=ReportsClient(settings),
        settings=settings,
    )
    yield working
    working.publisher.close()
    working.inference.close()
    working.reports.close()


def measured(working: Pipeline, broker: Broker, decoder: DecodePool) -> dict[str, Trips]:
    """Every operation once, after each was done once before: connections are open by then."""
    engine = working.engine
    scans, intake = ScanService(working), Intake(working, decoder)
    access = AccessService(engine, ServerSecret("s" * 32))
    access.put_key("test", "test", Role.CLINICIAN, KEY)
    heartbeat = Heartbeat("test", broker.settings, [], lambda: None)
    recorder = Recorder(working, broker.settings, heartbeat)
    sender = Sender(READER, "request")
    taken: dict[str, Trips] = {}

    def submitted(patient_id: str | None = None, key: str | None = None) -> str:
        return intake.submit(upload(patient_id), key=key, sender=sender).scan_id

    def scan_through() -> str:
        with counted(engine) as taken["POST: store; record the class and queue explain"]:
            scan_id = submitted()
        with counted(engine) as taken["POST: answer"]:
            scans.get(scan_id, READER)
        for stage, following in (("explain", "measure"), ("measure", "report")):
            name = StageName(stage)
            message = started(scan_id, name).model_dump(mode="json")
            with counted(engine) as taken[f"{stage}: started"]:
                recorder.started(message)
            message = finished(engine, scan_id, name).model_dump(mode="json")
            # The report shows the pictures.
            for picture in ("heatmap", "overlay"):
                content = pictures.png()
                working.storage.put(f"{message['prefix']}/{picture}.png", content)
            with counted(engine) as taken[f"{stage}: record and queue {following}"]:
                recorder.finished(message)
        report(scan_id)
        return scan_id

    def report(scan_id: str) -> None:
        row = stage_row(engine, scan_id, StageName.REPORT)
        task = {
            "scan_id": scan_id,
            "attempt": row.attempt,
            "input_digest": row.input_digest,
            "request_id": "request",
            "prefix": keys.attempt_prefix(scan_id, StageName.REPORT, row.attempt),
            "stage": StageName.REPORT,
        }
        with counted(engine) as taken["report: start; read what is printed; record"]:
            recorder.report(task)

    scan_through()
    scan_id = scan_through()
    assert scans.get(scan_id, READER).state is ScanState.COMPLETED
    patient_id = add_patient(engine)
    for number in (1, 2):
        with counted(engine) as taken["POST with a key and a patient"]:
            submitted(patient_id, key=f"key {number}")
    for _ in range(LISTED):
        completed_scan(engine)
    feed = ScanFeed(engine, scans, scan_id, READER)
    filters, patients = ScanFilter(), PatientService(working, scans)
    others = {
        "find the caller": lambda: access.by_bearer(KEY),
        "poll an unchanged scan": lambda: scans.version(scan_id, READER),
        "GET scan": lambda: scans.get(scan_id, READER),
        "GET list of 50": lambda: scans.listed(filters, READER, cursor=None, limit=LISTED),
        "GET history of 20": lambda: patients.history(patient_id, READER, cursor=None, limit=20),
        "event stream: begin": lambda: feed.begin(None),
        "event stream: a change": feed.read,
    }
    for name, operation in others.items():
        with counted(engine) as taken[f"{name}, first time"]:
            operation()
        with counted(engine) as taken[name]:
            operation()
    return taken


def test_nobody_waits_for_postgres_more_often_than_before(
    working: Pipeline, broker: Broker, decoder: DecodePool
) -> None:
    taken = measured(working, broker, decoder)
    for name, trips in taken.items():
        print(f"{name}: {trips.count} trips, {trips.transactions} transactions")
    print("a scan:", sum(taken[name].count for name in SCAN))
    over = [
        f"{name}: at most {bound}, but {taken[name]}"
        for name, bound in BOUNDS.items()
        if taken[name].count > bound
    ]
    assert not over, "\n".join(over)
