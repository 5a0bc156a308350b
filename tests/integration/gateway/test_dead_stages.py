"""Stages that failed for good: listed for an administrator, who can have them tried again."""

import uuid

import httpx
import pytest
from sqlalchemy import Engine
from sqlmodel import col, select

from neuroscan.contracts.enums import CamMethod, Role, ScanState, StageName, StageState, WorkState
from neuroscan.contracts.further import ExplanationRequest
from neuroscan.contracts.problems import BadCursor, Conflict, NotFound
from services.gateway.auth.principal import Principal
from services.gateway.db.session import transaction
from services.gateway.db.tables import Audit, ScanEvent
from services.gateway.explanations.service import ExplanationService
from services.gateway.paging import encode_position
from services.gateway.pipeline import steering
from services.gateway.pipeline.assembly import Pipeline
from services.gateway.pipeline.ledger import StageRef
from services.gateway.scans.service import ScanService
from services.gateway.stages.service import StageService
from tests import pictures
from tests.integration.gateway.calls import submit
from tests.integration.gateway.ledger import (
    add_scan,
    classified_scan,
    completed_scan,
    fail_for_good,
    finish,
    scan_row,
    stage_row,
)

ADMIN = Principal("key:admin", Role.ADMIN)
GRADCAM = ExplanationRequest(method=CamMethod.GRADCAM)
FACTS: dict[str, str | None] = {"list": "stages", "state": "dead"}


@pytest.fixture
def stages(pipeline: Pipeline) -> StageService:
    return StageService(pipeline, ScanService(pipeline))


def failed_scan(engine: Engine) -> str:
    """A scan that failed at its explanation."""
    scan_id = classified_scan(engine)
    fail_for_good(engine, StageRef(scan_id, StageName.EXPLAIN))
    return scan_id


def failed_explanation(engine: Engine, pipeline: Pipeline, scan_id: str) -> str:
    """A further explanation that failed."""
    asked = ExplanationService(pipeline).ask(scan_id, GRADCAM, ADMIN)
    fail_for_good(engine, StageRef(scan_id, StageName.EXPLAIN, asked.id))
    return asked.id


def test_the_latest_failure_comes_first_with_its_problem(
    engine: Engine, stages: StageService, pipeline: Pipeline
) -> None:
    completed_scan(engine)
    scan_ids = [failed_scan(engine) for _ in range(3)]
    track = failed_explanation(engine, pipeline, scan_ids[0])
    page = stages.list("dead", ADMIN, cursor=None, limit=3)
    rest = stages.list("dead", ADMIN, cursor=page.next_cursor, limit=3)
    assert rest.next_cursor is None
    found = [*page.items, *rest.items]
    assert [(each.scan_id, each.track) for each in found] == [
        (scan_ids[0], track),
        *((scan_id, None) for scan_id in reversed(scan_ids)),
    ]
    assert found[0].problem is not None
    assert (found[0].name, found[0].attempt, found[0].problem.code) == (
        "explain",
        3,
        "stage_failed",
    )


@pytest.mark.parametrize(
    "position",
    [
        ["x", str(uuid.uuid4()), "", "explain"],
        ["2026-01-01T00:00:00+00:00", "x", "", "explain"],
        ["2026-01-01T00:00:00+00:00", str(uuid.uuid4()), "\x00", "explain"],
        ["2026-01-01T00:00:00+00:00", str(uuid.uuid4()), "", "\ud800"],
        ["2026-01-01T00:00:00+00:00", str(uuid.uuid4()), ""],
    ],
)
def test_a_forged_cursor_is_refused(stages: StageService, position: list[str]) -> None:
    with pytest.raises(BadCursor):
        stages.list("dead", ADMIN, cursor=encode_position(position, FACTS), limit=3)


def test_a_retried_scan_goes_back_to_what_it_had_reached_and_on_to_the_end(
    engine: Engine, stages: StageService
) -> None:
    scan_id = failed_scan(engine)
    assert scan_row(engine, scan_id).state == ScanState.FAILED
    version = scan_row(engine, scan_id).version
    stages.retry(scan_id, None, ADMIN)
    scan = scan_row(engine, scan_id)
    assert (scan.state, scan.version) == (ScanState.CLASSIFIED, version + 1)
    explain = stage_row(engine, scan_id, StageName.EXPLAIN)
    assert (explain.state, explain.attempt, explain.problem) == (StageState.QUEUED, 1, None)
    assert explain.finished_at is None
    for name in (StageName.MEASURE, StageName.REPORT):
        assert stage_row(engine, scan_id, name).state == StageState.WAITING
    finish(engine, scan_id, StageName.EXPLAIN)
    finish(engine, scan_id, StageName.MEASURE)
    assert scan_row(engine, scan_id).state == ScanState.MEASURED
    assert stage_row(engine, scan_id, StageName.REPORT).state == StageState.QUEUED
    assert stages.list("dead", ADMIN, cursor=None, limit=3).items == []


@pytest.mark.parametrize(
    ("failed", "reached"),
    [
        (StageName.CLASSIFY, ScanState.RECEIVED),
        (StageName.MEASURE, ScanState.EXPLAINED),
        (StageName.REPORT, ScanState.MEASURED),
    ],
)
def test_each_failed_stage_leads_back_to_the_state_before_it(
    engine: Engine, stages: StageService, failed: StageName, reached: ScanState
) -> None:
    scan_id = add_scan(engine) if failed is StageName.CLASSIFY else classified_scan(engine)
    for name in (StageName.EXPLAIN, StageName.MEASURE):
        if failed is StageName.CLASSIFY or failed is name:
            break
        finish(engine, scan_id, name)
    fail_for_good(engine, StageRef(scan_id, failed))
    stages.retry(scan_id, None, ADMIN)
    assert scan_row(engine, scan_id).state == reached


def test_a_retried_stage_that_fails_again_ends_the_scan_again(
    engine: Engine, stages: StageService
) -> None:
    scan_id = failed_scan(engine)
    stages.retry(scan_id, None, ADMIN)
    fail_for_good(engine, StageRef(scan_id, StageName.EXPLAIN))
    assert scan_row(engine, scan_id).state == ScanState.FAILED


def test_further_work_is_retried_alone_or_with_the_scan(
    engine: Engine, stages: StageService, pipeline: Pipeline
) -> None:
    scan_id = failed_scan(engine)
    explanations = ExplanationService(pipeline)
    first, second = (failed_explanation(engine, pipeline, scan_id) for _ in range(2))
    stages.retry(scan_id, first, ADMIN)
    states = [explanations.get(scan_id, each, ADMIN).state for each in (first, second)]
    assert states == [WorkState.QUEUED, WorkState.FAILED]
    assert scan_row(engine, scan_id).state == ScanState.FAILED
    stages.retry(scan_id, None, ADMIN)
    assert explanations.get(scan_id, second, ADMIN).state is WorkState.QUEUED
    assert scan_row(engine, scan_id).state == ScanState.CLASSIFIED


def test_what_did_not_fail_is_not_retried(engine: Engine, stages: StageService) -> None:
    canceled = classified_scan(engine)
    with transaction(engine) as session:
        steering.cancel(session, canceled)
    for scan_id in (completed_scan(engine), classified_scan(engine), canceled):
        version = scan_row(engine, scan_id).version
        with pytest.raises(Conflict):
            stages.retry(scan_id, None, ADMIN)
        assert scan_row(engine, scan_id).version == version
    with pytest.raises(Conflict):
        stages.retry(failed_scan(engine), str(uuid.uuid4()), ADMIN)
    with pytest.raises(NotFound):
        stages.retry(str(uuid.uuid4()), None, ADMIN)


def test_a_retry_is_audited_and_told(engine: Engine, stages: StageService) -> None:
    scan_id = failed_scan(engine)
    stages.retry(scan_id, None, ADMIN)
    with transaction(engine) as session:
        noted = session.exec(select(Audit).where(Audit.action == "retried")).one()
        assert (noted.principal, noted.object_id) == (ADMIN.id, scan_id)
        newest = select(ScanEvent).order_by(col(ScanEvent.sequence).desc()).limit(1)
        event = session.exec(newest).one()
        assert (event.state, event.stage, event.stage_state) == ("classified", "explain", "queued")


def test_over_http(api: httpx.Client) -> None:
    listed = api.get("/v1/stages", params={"state": "dead", "limit": 1})
    assert listed.status_code == 200
    assert len(listed.json()["items"]) <= 1
    assert api.get("/v1/stages", params={"state": "queued"}).status_code == 422
    scan_id = submit(api, pictures.png(pictures.head(seed=73))).json()["id"]
    refused = api.post(f"/v1/scans/{scan_id}/retry")
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")


def test_only_administrators_list_and_retry(api: httpx.Client) -> None:
    made = api.post("/v1/keys", json={"name": "reads", "role": "clinician"}).json()
    clinician = {"Authorization": f"Bearer {made['key']}"}
    assert api.get("/v1/stages", headers=clinician).status_code == 403
    retried = api.post(f"/v1/scans/{uuid.uuid4()}/retry", headers=clinician)
    assert retried.status_code == 403
