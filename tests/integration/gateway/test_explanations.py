"""Further explanations: a stage on a track of its own, which leaves the scan as it is."""

import io
import uuid
from datetime import timedelta
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from sqlalchemy import Engine, func
from sqlmodel import col, select

from neuroscan.contracts.enums import CamMethod, Role, ScanState, StageName, StageState, WorkState
from neuroscan.contracts.further import ExplanationRequest, FurtherExplanation
from neuroscan.contracts.messages import ExplainTask
from neuroscan.contracts.problems import Conflict, NotFound, NotReady
from services.gateway.auth.principal import Principal
from services.gateway.db.session import transaction
from services.gateway.db.tables import Explanation, ScanEvent, Stage, now
from services.gateway.explanations.service import ExplanationService
from services.gateway.pipeline import record, results, steering
from services.gateway.pipeline.assembly import Pipeline
from services.gateway.pipeline.keys import scan_prefix
from services.gateway.pipeline.ledger import StageRef
from services.gateway.pipeline.messages import stage_message
from services.gateway.pipeline.record import Recorded
from services.gateway.scans.artefacts import Artefact
from services.gateway.scans.repository import delete_scan
from tests import pictures
from tests.integration.gateway.calls import submit, wait_final, wait_over
from tests.integration.gateway.ledger import (
    add_scan,
    classified_scan,
    completed_scan,
    fail_for_good,
    finish,
    finished,
    scan_row,
    stage_row,
    started,
)

CLINICIAN = Principal("key:clinician", Role.CLINICIAN)
SENDER = Principal("key:test", Role.SUBMITTER)
OTHER = Principal("key:other", Role.SUBMITTER)
LEASE = timedelta(seconds=30)
GRADCAM = ExplanationRequest(method=CamMethod.GRADCAM, layer="layer2[-1]")


@pytest.fixture
def explanations(pipeline: Pipeline) -> ExplanationService:
    return ExplanationService(pipeline)


def ref_of(asked: FurtherExplanation) -> StageRef:
    return StageRef(asked.scan_id, StageName.EXPLAIN, asked.id)


def test_one_that_is_asked_for_is_queued_and_bumps_the_version_only(
    engine: Engine, explanations: ExplanationService
) -> None:
    scan_id = completed_scan(engine)
    before = scan_row(engine, scan_id)
    asked = explanations.ask(scan_id, GRADCAM, SENDER)
    assert (asked.state, asked.method, asked.layer) == (WorkState.QUEUED, "gradcam", "layer2[-1]")
    after = scan_row(engine, scan_id)
    assert (after.state, after.label) == (before.state, before.label)
    assert after.version == before.version + 1
    with transaction(engine) as session:
        events = select(ScanEvent).order_by(col(ScanEvent.sequence).desc()).limit(1)
        newest = session.exec(events).one()
        assert (newest.track, newest.stage, newest.state) == (asked.id, "explain", "completed")


def test_its_worker_is_told_the_method_the_layer_and_the_label_that_was_given(
    engine: Engine, explanations: ExplanationService
) -> None:
    scan_id = completed_scan(engine)
    asked = explanations.ask(scan_id, GRADCAM, SENDER)
    with transaction(engine) as session:
        message = stage_message(session, ref_of(asked))
    assert message is not None
    task = message.task
    assert isinstance(task, ExplainTask)
    assert (task.track, task.method, task.layer) == (asked.id, CamMethod.GRADCAM, "layer2[-1]")
    assert task.label == "glioma"
    assert task.prefix == f"scans/{scan_id}/{asked.id}/explain/1"


def test_when_it_is_done_it_stands_beside_the_scans_own(
    engine: Engine, explanations: ExplanationService
) -> None:
    scan_id = completed_scan(engine)
    own = stage_row(engine, scan_id, StageName.EXPLAIN)
    asked = explanations.ask(scan_id, GRADCAM, SENDER)
    with transaction(engine) as session:
        session.get_one(Stage, (scan_id, asked.id, "explain")).published_at = now()
    with transaction(engine) as session:
        record.started(session, started(scan_id, StageName.EXPLAIN, track=asked.id), LEASE)
    assert explanations.get(scan_id, asked.id, SENDER).state is WorkState.RUNNING
    assert finish(engine, scan_id, StageName.EXPLAIN, track=asked.id) == Recorded()
    done = explanations.get(scan_id, asked.id, SENDER)
    assert done.state is WorkState.DONE
    assert done.explanation is not None
    assert done.explanation.id == asked.id
    folder = f"/v1/scans/{scan_id}/explanations/{asked.id}"
    assert done.explanation.images.overlay == f"{folder}/overlay.png"
    assert done.links["cam"] == f"{folder}/cam.npz"
    assert scan_row(engine, scan_id).state == ScanState.COMPLETED
    assert stage_row(engine, scan_id, StageName.EXPLAIN).prefix == own.prefix


def test_one_that_fails_shows_its_problem_and_leaves_the_scan_alone(
    engine: Engine, explanations: ExplanationService
) -> None:
    scan_id = classified_scan(engine)
    asked, other = (explanations.ask(scan_id, GRADCAM, SENDER) for _ in range(2))
    fail_for_good(engine, ref_of(asked))
    failed = explanations.get(scan_id, asked.id, SENDER)
    assert failed.state is WorkState.FAILED
    assert failed.problem is not None
    assert failed.problem.code == "stage_failed"
    assert scan_row(engine, scan_id).state == ScanState.CLASSIFIED
    assert stage_row(engine, scan_id, StageName.EXPLAIN).state == StageState.QUEUED
    assert explanations.get(scan_id, other.id, SENDER).state is WorkState.QUEUED


def test_before_the_class_is_known_there_is_nothing_to_explain(
    engine: Engine, explanations: ExplanationService
) -> None:
    scan_id = add_scan(engine)
    with pytest.raises(NotReady):
        explanations.ask(scan_id, GRADCAM, SENDER)
    with transaction(engine) as session:
        steering.cancel(session, scan_id)
    with pytest.raises(Conflict, match="before it was classified"):
        explanations.ask(scan_id, GRADCAM, SENDER)
    with transaction(engine) as session:
        assert session.exec(select(func.count()).select_from(Explanation)).one() == 0


def test_a_scan_that_was_canceled_once_it_had_a_class_can_be_explained(
    engine: Engine, explanations: ExplanationService
) -> None:
    scan_id = classified_scan(engine)
    early = explanations.ask(scan_id, GRADCAM, SENDER)
    with transaction(engine) as session:
        steering.cancel(session, scan_id)
    assert explanations.get(scan_id, early.id, SENDER).state is WorkState.CANCELED
    late = explanations.ask(scan_id, GRADCAM, SENDER)
    finish(engine, scan_id, StageName.EXPLAIN, track=late.id)
    assert explanations.get(scan_id, late.id, SENDER).state is WorkState.DONE
    assert scan_row(engine, scan_id).state == ScanState.CANCELED


def test_canceling_a_scan_that_is_over_does_not_stop_them(
    engine: Engine, explanations: ExplanationService
) -> None:
    scan_id = completed_scan(engine)
    asked = explanations.ask(scan_id, GRADCAM, SENDER)
    with transaction(engine) as session:
        steering.cancel(session, scan_id)
    assert explanations.get(scan_id, asked.id, SENDER).state is WorkState.QUEUED


def test_the_result_of_a_canceled_one_is_dropped_with_its_objects(
    engine: Engine, explanations: ExplanationService
) -> None:
    scan_id = classified_scan(engine)
    asked = explanations.ask(scan_id, GRADCAM, SENDER)
    with transaction(engine) as session:
        steering.cancel(session, scan_id)
    late = finish(engine, scan_id, StageName.EXPLAIN, track=asked.id)
    assert late.discard == f"scans/{scan_id}/{asked.id}/explain/1-r"


def test_a_deleted_scan_takes_them_and_late_results_with_it(
    engine: Engine, explanations: ExplanationService
) -> None:
    scan_id = completed_scan(engine)
    asked = explanations.ask(scan_id, GRADCAM, SENDER)
    message = finished(engine, scan_id, StageName.EXPLAIN, track=asked.id)
    with transaction(engine) as session:
        assert delete_scan(session, scan_id)
    with transaction(engine) as session:
        recorded = record.record(session, results.from_message(message))
        assert session.exec(select(func.count()).select_from(Explanation)).one() == 0
    assert recorded == Recorded(discard=scan_prefix(scan_id))
    with pytest.raises(NotFound):
        explanations.get(scan_id, asked.id, SENDER)


def test_the_list_has_the_scans_own_first_then_the_newest(
    engine: Engine, explanations: ExplanationService
) -> None:
    scan_id = completed_scan(engine)
    asked = [explanations.ask(scan_id, GRADCAM, SENDER).id for _ in range(5)]
    own = stage_row(engine, scan_id, StageName.EXPLAIN).output
    assert own is not None
    newest_first = [own["explanation"]["id"], *reversed(asked)]
    page = explanations.list(scan_id, SENDER, cursor=None, limit=2)
    seen = [item.id for item in page.items]
    while page.next_cursor:
        page = explanations.list(scan_id, SENDER, cursor=page.next_cursor, limit=2)
        assert len(page.items) <= 2
        seen += [item.id for item in page.items]
    assert seen == newest_first


def test_the_list_is_empty_while_nothing_is_made(
    engine: Engine, explanations: ExplanationService
) -> None:
    assert explanations.list(classified_scan(engine), SENDER, cursor=None, limit=2).items == []


def test_only_those_who_see_the_scan_see_its_explanations(
    engine: Engine, explanations: ExplanationService
) -> None:
    scan_id, other_id = completed_scan(engine), completed_scan(engine)
    asked = explanations.ask(scan_id, GRADCAM, CLINICIAN)
    assert explanations.get(scan_id, asked.id, SENDER).id == asked.id
    for call in (
        lambda: explanations.ask(scan_id, GRADCAM, OTHER),
        lambda: explanations.list(scan_id, OTHER, cursor=None, limit=1),
        lambda: explanations.get(scan_id, asked.id, OTHER),
        lambda: explanations.artefact(scan_id, asked.id, Artefact.CAM, OTHER),
        # Of another scan.
        lambda: explanations.get(other_id, asked.id, SENDER),
    ):
        with pytest.raises(NotFound):
            call()


def test_its_files_are_not_ready_then_there_and_never_when_it_failed(
    engine: Engine, explanations: ExplanationService, pipeline: Pipeline
) -> None:
    scan_id = completed_scan(engine)
    asked, failing = (explanations.ask(scan_id, GRADCAM, SENDER) for _ in range(2))
    with pytest.raises(NotReady):
        explanations.artefact(scan_id, asked.id, Artefact.OVERLAY, SENDER)
    finish(engine, scan_id, StageName.EXPLAIN, track=asked.id)
    key = f"scans/{scan_id}/{asked.id}/explain/1-r/overlay.png"
    pipeline.storage.put(key, b"picture")
    found = explanations.artefact(scan_id, asked.id, Artefact.OVERLAY, SENDER)
    assert found.content == b"picture"
    fail_for_good(engine, ref_of(failing))
    with pytest.raises(NotFound, match="ended before"):
        explanations.artefact(scan_id, failing.id, Artefact.OVERLAY, SENDER)


@pytest.fixture(scope="module")
def scan(api: httpx.Client) -> dict[str, Any]:
    scan = wait_final(api, submit(api, pictures.png(pictures.head(seed=71))).json()["id"])
    assert scan["state"] == "completed"
    return scan


def test_another_method_at_other_layers_is_made(api: httpx.Client, scan: dict[str, Any]) -> None:
    url = scan["links"]["explanations"]
    asked = api.post(url, json={"method": "gradcam++", "layer": "layer2[-1]+layer3[-1]"})
    assert asked.status_code == 202, asked.text
    location = asked.headers["Location"]
    assert location == f"{url}/{asked.json()['id']}"
    done = wait_over(api, location)
    assert done["state"] == "done"
    assert done["explanation"]["method"] == "gradcam++"
    assert done["explanation"]["target_label"] == scan["classification"]["label"]
    cam = np.load(io.BytesIO(api.get(done["links"]["cam"]).content), allow_pickle=False)
    assert str(cam["layer"]) == "layer2[-1]+layer3[-1]"
    overlay = api.get(done["links"]["overlay"])
    assert Image.open(io.BytesIO(overlay.content)).size == (
        scan["image"]["width"],
        scan["image"]["height"],
    )
    own = api.get(scan["links"]["overlay"])
    assert own.headers["ETag"] != overlay.headers["ETag"]
    part = api.get(done["links"]["overlay"], headers={"Range": "bytes=0-7"})
    assert (part.status_code, part.content) == (206, overlay.content[:8])
    known = {"If-None-Match": overlay.headers["ETag"]}
    assert api.get(done["links"]["overlay"], headers=known).status_code == 304
    again = api.get(f"/v1/scans/{scan['id']}").json()
    assert again["explanation"] == scan["explanation"]
    assert (again["state"], again["report"]) == (scan["state"], scan["report"])
    assert again["version"] > scan["version"]


def test_the_scans_own_explanation_has_a_page_of_its_own(
    api: httpx.Client, scan: dict[str, Any]
) -> None:
    listed = api.get(scan["links"]["explanations"]).json()["items"]
    assert listed[0]["explanation"] == scan["explanation"]
    own = f"{scan['links']['explanations']}/{scan['explanation']['id']}"
    assert api.get(own).json() == listed[0]
    assert api.get(f"{own}/heatmap.png").content == api.get(scan["links"]["heatmap"]).content


def test_a_layer_that_the_network_lacks_is_the_explanations_problem(
    api: httpx.Client, scan: dict[str, Any]
) -> None:
    asked = api.post(
        scan["links"]["explanations"], json={"method": "hirescam", "layer": "layer3[77]"}
    )
    failed = wait_over(api, asked.headers["Location"])
    assert failed["state"] == "failed"
    assert failed["problem"]["code"] == "invalid_request"
    assert "layer3" in failed["problem"]["detail"]
    assert api.get(f"{asked.headers['Location']}/cam.npz").status_code == 404
    assert api.get(f"/v1/scans/{scan['id']}").json()["state"] == "completed"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"method": "saliency"},
        {"method": "gradcam", "layer": "fc"},
        {"method": "gradcam", "layer": "layer3[-1]\n"},
        {"method": "gradcam", "layer": "+".join(["layer3[-1]"] * 5)},
        {"method": "gradcam", "target": "glioma"},
    ],
)
def test_what_cannot_be_asked_for_is_refused(
    api: httpx.Client, scan: dict[str, Any], body: dict[str, str]
) -> None:
    refused = api.post(scan["links"]["explanations"], json=body)
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_request")


def test_an_unknown_explanation_is_not_found(api: httpx.Client, scan: dict[str, Any]) -> None:
    url = f"{scan['links']['explanations']}/{uuid.uuid4()}"
    for path in (url, f"{url}/overlay.png", f"/v1/scans/{uuid.uuid4()}/explanations"):
        assert api.get(path).status_code == 404
    assert api.get(f"{url}/report.pdf").status_code == 404
