"""Further analyses: the newer model's result beside the older one."""

import httpx
import pytest
from sqlalchemy import Engine

from neuroscan.contracts.enums import (
    OrientationSource,
    Plane,
    Role,
    ScanState,
    SpacingSource,
    StageName,
    TumorClass,
    WorkState,
)
from neuroscan.contracts.geometry import Geometry, Orientation
from neuroscan.contracts.messages import MeasureTask, RecorderTask
from neuroscan.contracts.problems import Conflict, NotFound, NotReady
from services.gateway.analyses.service import AnalysisService
from services.gateway.auth.principal import Principal
from services.gateway.db.session import transaction
from services.gateway.db.tables import Scan, Stage
from services.gateway.explanations.service import ExplanationService
from services.gateway.pipeline import record, results, steering
from services.gateway.pipeline.assembly import Pipeline
from services.gateway.pipeline.keys import scan_prefix
from services.gateway.pipeline.ledger import StageRef
from services.gateway.pipeline.messages import stage_message
from services.gateway.pipeline.record import Recorded
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
    inference_result,
    scan_row,
    stage_row,
)

SENDER = Principal("key:test", Role.SUBMITTER)
OTHER = Principal("key:other", Role.SUBMITTER)


@pytest.fixture
def analyses(pipeline: Pipeline) -> AnalysisService:
    return AnalysisService(pipeline)


def classify(engine: Engine, scan_id: str, track: str, label: TumorClass) -> Recorded:
    ref = StageRef(scan_id, StageName.CLASSIFY, track)
    digest = stage_row(engine, scan_id, StageName.CLASSIFY, track).input_digest
    with transaction(engine) as session:
        return record.record(session, results.classified(ref, digest, inference_result(label)))


def test_its_stages_run_one_after_the_other_and_end_without_a_report(
    engine: Engine, analyses: AnalysisService
) -> None:
    scan_id = completed_scan(engine)
    asked = analyses.ask(scan_id, SENDER)
    assert asked.state is WorkState.QUEUED
    assert [stage.name for stage in asked.stages] == ["classify", "explain", "measure"]
    first = classify(engine, scan_id, asked.id, TumorClass.PITUITARY)
    assert first.publish == StageRef(scan_id, StageName.EXPLAIN, asked.id)
    assert analyses.get(scan_id, asked.id, SENDER).state is WorkState.RUNNING
    second = finish(engine, scan_id, StageName.EXPLAIN, track=asked.id)
    assert second.publish == StageRef(scan_id, StageName.MEASURE, asked.id)
    assert finish(engine, scan_id, StageName.MEASURE, track=asked.id) == Recorded()
    done = analyses.get(scan_id, asked.id, SENDER)
    assert done.state is WorkState.DONE
    assert done.classification is not None
    assert done.classification.label == "pituitary"
    assert done.explanation is not None
    assert done.explanation.id == asked.id
    assert done.spatial is not None


def test_the_scan_keeps_its_label_its_geometry_and_its_state(
    engine: Engine, analyses: AnalysisService
) -> None:
    scan_id = completed_scan(engine)
    with transaction(engine) as session:
        session.get_one(Scan, scan_id).geometry = Geometry(row_mm=2).model_dump(mode="json")
    asked = analyses.ask(scan_id, SENDER)
    version = scan_row(engine, scan_id).version
    classify(engine, scan_id, asked.id, TumorClass.PITUITARY)
    finish(engine, scan_id, StageName.EXPLAIN, track=asked.id)
    finish(engine, scan_id, StageName.MEASURE, track=asked.id)
    scan = scan_row(engine, scan_id)
    assert (scan.state, scan.label, scan.geometry["row_mm"]) == ("completed", "glioma", 2)
    assert scan.version == version + 3


def test_its_workers_get_its_own_results_and_never_the_scans(
    engine: Engine, analyses: AnalysisService
) -> None:
    scan_id = completed_scan(engine)
    asked = analyses.ask(scan_id, SENDER)
    with transaction(engine) as session:
        message = stage_message(session, StageRef(scan_id, StageName.CLASSIFY, asked.id))
    assert message is not None
    assert isinstance(message.task, RecorderTask)
    assert (message.task.track, message.queue) == (asked.id, "recorder")
    classify(engine, scan_id, asked.id, TumorClass.PITUITARY)
    finish(engine, scan_id, StageName.EXPLAIN, track=asked.id)
    with transaction(engine) as session:
        message = stage_message(session, StageRef(scan_id, StageName.MEASURE, asked.id))
    assert message is not None
    assert isinstance(message.task, MeasureTask)
    assert message.task.label == "pituitary"
    assert message.task.prediction_set == ["pituitary"]


def test_what_an_earlier_measurement_inferred_is_not_taken_for_stated(
    engine: Engine, analyses: AnalysisService
) -> None:
    scan_id = completed_scan(engine)
    inferred = Geometry(
        row_mm=0.9,
        column_mm=0.9,
        source=SpacingSource.HEAD_SIZE,
        plane=Plane.CORONAL,
        plane_confidence=0.55,
        orientation=Orientation(source=OrientationSource.DECLARED),
    )
    with transaction(engine) as session:
        session.get_one(Scan, scan_id).geometry = inferred.model_dump(mode="json")
    asked = analyses.ask(scan_id, SENDER)
    classify(engine, scan_id, asked.id, TumorClass.GLIOMA)
    finish(engine, scan_id, StageName.EXPLAIN, track=asked.id)
    with transaction(engine) as session:
        message = stage_message(session, StageRef(scan_id, StageName.MEASURE, asked.id))
    assert message is not None
    assert isinstance(message.task, MeasureTask)
    assert message.task.geometry == Geometry(orientation=inferred.orientation)


def test_one_that_fails_says_where_and_leaves_the_scan_alone(
    engine: Engine, analyses: AnalysisService
) -> None:
    scan_id = completed_scan(engine)
    asked = analyses.ask(scan_id, SENDER)
    fail_for_good(engine, StageRef(scan_id, StageName.CLASSIFY, asked.id))
    failed = analyses.get(scan_id, asked.id, SENDER)
    assert failed.state is WorkState.FAILED
    assert [stage.state for stage in failed.stages] == ["failed", "canceled", "canceled"]
    assert failed.stages[0].problem is not None
    assert scan_row(engine, scan_id).state == ScanState.COMPLETED


def test_only_a_scan_that_is_over_and_was_classified_is_analyzed_again(
    engine: Engine, analyses: AnalysisService
) -> None:
    running = classified_scan(engine)
    with pytest.raises(NotReady, match="still runs"):
        analyses.ask(running, SENDER)
    never = add_scan(engine)
    for scan_id in (running, never):
        with transaction(engine) as session:
            steering.cancel(session, scan_id)
    with pytest.raises(Conflict, match="before it was classified"):
        analyses.ask(never, SENDER)
    assert analyses.ask(running, SENDER).state is WorkState.QUEUED


def test_only_those_who_see_the_scan_see_its_analyses(
    engine: Engine, analyses: AnalysisService
) -> None:
    scan_id, other_id = completed_scan(engine), completed_scan(engine)
    asked = analyses.ask(scan_id, SENDER)
    for call in (
        lambda: analyses.ask(scan_id, OTHER),
        lambda: analyses.list(scan_id, OTHER, cursor=None, limit=1),
        lambda: analyses.get(scan_id, asked.id, OTHER),
        lambda: analyses.get(other_id, asked.id, SENDER),
    ):
        with pytest.raises(NotFound):
            call()


def test_the_list_is_newest_first_in_pages(engine: Engine, analyses: AnalysisService) -> None:
    scan_id = completed_scan(engine)
    asked = [analyses.ask(scan_id, SENDER).id for _ in range(3)]
    page = analyses.list(scan_id, SENDER, cursor=None, limit=2)
    rest = analyses.list(scan_id, SENDER, cursor=page.next_cursor, limit=2)
    assert [item.id for item in [*page.items, *rest.items]] == asked[::-1]
    assert rest.next_cursor is None


def test_it_is_not_listed_as_an_explanation_but_can_be_read_as_one(
    engine: Engine, analyses: AnalysisService, pipeline: Pipeline
) -> None:
    scan_id = completed_scan(engine)
    asked = analyses.ask(scan_id, SENDER)
    explanations = ExplanationService(pipeline)
    assert explanations.get(scan_id, asked.id, SENDER).state is WorkState.QUEUED
    listed = explanations.list(scan_id, SENDER, cursor=None, limit=5).items
    assert asked.id not in [item.id for item in listed]


def test_a_deleted_scan_takes_late_results_of_its_analyses_with_it(
    engine: Engine, analyses: AnalysisService
) -> None:
    scan_id = completed_scan(engine)
    asked = analyses.ask(scan_id, SENDER)
    classify(engine, scan_id, asked.id, TumorClass.GLIOMA)
    message = finished(engine, scan_id, StageName.EXPLAIN, track=asked.id)
    with transaction(engine) as session:
        assert delete_scan(session, scan_id)
    with transaction(engine) as session:
        recorded = record.record(session, results.from_message(message))
        assert session.get(Stage, (scan_id, asked.id, "explain")) is None
    assert recorded == Recorded(discard=scan_prefix(scan_id))


def test_the_present_model_analyzes_a_scan_again(api: httpx.Client) -> None:
    scan = wait_final(api, submit(api, pictures.png(pictures.head(seed=72))).json()["id"])
    asked = api.post(f"/v1/scans/{scan['id']}/reanalyze")
    assert asked.status_code == 202, asked.text
    location = asked.headers["Location"]
    assert location == f"{scan['links']['analyses']}/{asked.json()['id']}"
    done = wait_over(api, location)
    assert done["state"] == "done"
    # The same model finds the same.
    for part in ("label", "probabilities", "prediction_set"):
        assert done["classification"][part] == scan["classification"][part]
    assert done["model"] == scan["model"]
    assert done["explanation"]["region"] == scan["explanation"]["region"]
    assert done["spatial"] == scan["spatial"]
    overlay = api.get(done["explanation"]["images"]["overlay"])
    assert overlay.content == api.get(scan["links"]["overlay"]).content
    assert overlay.headers["ETag"] != api.get(scan["links"]["overlay"]).headers["ETag"]
    listed = api.get(scan["links"]["analyses"]).json()
    assert [item["id"] for item in listed["items"]] == [done["id"]]
    again = api.get(f"/v1/scans/{scan['id']}").json()
    same = ("state", "classification", "explanation", "spatial", "report", "stages", "image")
    assert all(again[part] == scan[part] for part in same)
