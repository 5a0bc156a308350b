"""The ledger's rules: one result a stage, leases, attempts, cancellation."""

from datetime import timedelta

import pytest
from sqlalchemy import Engine, func
from sqlmodel import select

from neuroscan.contracts.enums import ScanState, StageName, StageState
from neuroscan.contracts.messages import Failed
from neuroscan.contracts.problems import NeuroscanError, StageFailed, Unavailable
from neuroscan.ids import new_id
from services.gateway.db.session import transaction
from services.gateway.db.tables import Erasure, Scan, ScanEvent, Stage, now
from services.gateway.pipeline import record, results, steering
from services.gateway.pipeline.breaker import Dropped, NoAnswer
from services.gateway.pipeline.keys import scan_prefix
from services.gateway.pipeline.ledger import StageRef
from services.gateway.pipeline.record import Recorded
from services.gateway.scans.repository import delete_scan
from tests.integration.gateway.ledger import (
    add_scan,
    finish,
    finished,
    inference_result,
    scan_row,
    stage_row,
    started,
)

LEASE = timedelta(seconds=30)
MAX = 3


def classify(engine: Engine, scan_id: str) -> Recorded:
    digest = stage_row(engine, scan_id, StageName.CLASSIFY).input_digest
    ref = StageRef(scan_id, StageName.CLASSIFY)
    with transaction(engine) as session:
        return record.record(session, results.classified(ref, digest, inference_result()))


def publish(engine: Engine, scan_id: str, stage: StageName) -> None:
    with transaction(engine) as session:
        session.get_one(Stage, (scan_id, "", stage)).published_at = now()


def start(engine: Engine, scan_id: str, stage: StageName, attempt: int = 1) -> None:
    with transaction(engine) as session:
        record.started(session, started(scan_id, stage, attempt), LEASE)


def fail(engine: Engine, scan_id: str, attempt: int, error: Exception | None = None) -> None:
    problem = (error if isinstance(error, Unavailable) else StageFailed()).problem()
    message = Failed(
        scan_id=scan_id,
        stage=StageName.EXPLAIN,
        attempt=attempt,
        run="r",
        prefix="scans/x/explain/1-r",
        problem=problem,
    )
    with transaction(engine) as session:
        record.failed(session, message, MAX)


def test_each_result_queues_the_next_stage_and_the_last_completes(engine: Engine) -> None:
    scan_id = add_scan(engine)
    assert classify(engine, scan_id).publish == StageRef(scan_id, StageName.EXPLAIN)
    assert scan_row(engine, scan_id).state == ScanState.CLASSIFIED
    assert scan_row(engine, scan_id).label == "glioma"
    assert finish(engine, scan_id, StageName.EXPLAIN).publish == StageRef(
        scan_id, StageName.MEASURE
    )
    assert finish(engine, scan_id, StageName.MEASURE).publish == StageRef(scan_id, StageName.REPORT)
    assert scan_row(engine, scan_id).geometry["row_mm"] == 0.5
    report = stage_row(engine, scan_id, StageName.REPORT)
    with transaction(engine) as session:
        result = record.StageResult(
            StageRef(scan_id, StageName.REPORT), {"key": "k"}, report.input_digest
        )
        assert record.record(session, result) == Recorded()
    scan = scan_row(engine, scan_id)
    assert (scan.state, scan.version) == (ScanState.COMPLETED, 5)
    with transaction(engine) as session:
        assert session.exec(select(func.count()).select_from(ScanEvent)).one() == 4


def test_a_later_result_is_dropped_with_its_own_objects(engine: Engine) -> None:
    scan_id = add_scan(engine)
    classify(engine, scan_id)
    finish(engine, scan_id, StageName.EXPLAIN, run="first")
    version = scan_row(engine, scan_id).version
    late = finish(engine, scan_id, StageName.EXPLAIN, run="second")
    assert late == Recorded(discard=f"scans/{scan_id}/explain/1-second")
    assert scan_row(engine, scan_id).version == version


def test_the_same_message_twice_keeps_the_committed_objects(engine: Engine) -> None:
    scan_id = add_scan(engine)
    classify(engine, scan_id)
    finish(engine, scan_id, StageName.EXPLAIN)
    assert finish(engine, scan_id, StageName.EXPLAIN) == Recorded()


def test_a_result_for_another_input_is_dropped(engine: Engine) -> None:
    scan_id = add_scan(engine)
    classify(engine, scan_id)
    message = finished(engine, scan_id, StageName.EXPLAIN).model_copy(update={"input_digest": "x"})
    with transaction(engine) as session:
        assert record.record(session, results.from_message(message)).discard == message.prefix
    assert stage_row(engine, scan_id, StageName.EXPLAIN).state == StageState.QUEUED


def test_results_of_a_deleted_scan_take_all_its_objects_with_them(engine: Engine) -> None:
    scan_id = add_scan(engine)
    classify(engine, scan_id)
    message = finished(engine, scan_id, StageName.EXPLAIN)
    with transaction(engine) as session:
        assert delete_scan(session, scan_id)
    with transaction(engine) as session:
        recorded = record.record(session, results.from_message(message))
    assert recorded == Recorded(discard=scan_prefix(scan_id))


def test_late_results_of_an_erased_scan_are_ordered_to_go_again(engine: Engine) -> None:
    scan_id = add_scan(engine)
    classify(engine, scan_id)
    message = finished(engine, scan_id, StageName.EXPLAIN)
    with transaction(engine) as session:
        assert delete_scan(session, scan_id)
    with transaction(engine) as session:
        # The sweeper has carried out the order that came with the deletion.
        session.delete(session.get_one(Erasure, scan_prefix(scan_id)))
    for _ in range(2):
        with transaction(engine) as session:
            record.record(session, results.from_message(message))
    with transaction(engine) as session:
        assert session.get(Erasure, scan_prefix(scan_id)) is not None


def test_started_begins_the_lease_once(engine: Engine) -> None:
    scan_id = add_scan(engine)
    classify(engine, scan_id)
    publish(engine, scan_id, StageName.EXPLAIN)
    start(engine, scan_id, StageName.EXPLAIN)
    stage = stage_row(engine, scan_id, StageName.EXPLAIN)
    assert stage.state == StageState.RUNNING
    assert stage.lease_until is not None
    assert timedelta(seconds=25) < stage.lease_until - now() <= LEASE
    start(engine, scan_id, StageName.EXPLAIN)
    assert stage_row(engine, scan_id, StageName.EXPLAIN).lease_until == stage.lease_until


def test_started_of_a_run_that_has_failed_since_changes_nothing(engine: Engine) -> None:
    scan_id = add_scan(engine)
    classify(engine, scan_id)
    publish(engine, scan_id, StageName.EXPLAIN)
    fail(engine, scan_id, 1, Unavailable())
    start(engine, scan_id, StageName.EXPLAIN)
    assert stage_row(engine, scan_id, StageName.EXPLAIN).state == StageState.QUEUED
    publish(engine, scan_id, StageName.EXPLAIN)
    start(engine, scan_id, StageName.EXPLAIN)
    assert stage_row(engine, scan_id, StageName.EXPLAIN).state == StageState.RUNNING


def test_started_after_finished_changes_nothing(engine: Engine) -> None:
    scan_id = add_scan(engine)
    classify(engine, scan_id)
    finish(engine, scan_id, StageName.EXPLAIN)
    start(engine, scan_id, StageName.EXPLAIN)
    assert stage_row(engine, scan_id, StageName.EXPLAIN).state == StageState.DONE


def test_the_third_failure_ends_the_scan_and_keeps_what_was_made(engine: Engine) -> None:
    scan_id = add_scan(engine)
    classify(engine, scan_id)
    for attempt in (1, 2):
        fail(engine, scan_id, attempt)
        stage = stage_row(engine, scan_id, StageName.EXPLAIN)
        assert (stage.state, stage.attempt) == (StageState.QUEUED, attempt + 1)
    fail(engine, scan_id, 3)
    stage = stage_row(engine, scan_id, StageName.EXPLAIN)
    assert stage.state == StageState.FAILED
    assert stage.problem is not None
    assert stage.problem["code"] == "stage_failed"
    assert scan_row(engine, scan_id).state == ScanState.FAILED
    assert stage_row(engine, scan_id, StageName.CLASSIFY).state == StageState.DONE
    assert stage_row(engine, scan_id, StageName.REPORT).state == StageState.CANCELED


def test_a_failure_told_twice_spends_one_attempt(engine: Engine) -> None:
    scan_id = add_scan(engine)
    classify(engine, scan_id)
    fail(engine, scan_id, 1)
    fail(engine, scan_id, 1)
    assert stage_row(engine, scan_id, StageName.EXPLAIN).attempt == 2


def test_a_part_that_does_not_answer_spends_no_attempt(engine: Engine) -> None:
    scan_id = add_scan(engine)
    classify(engine, scan_id)
    for _ in range(5):
        fail(engine, scan_id, 1, Unavailable())
    stage = stage_row(engine, scan_id, StageName.EXPLAIN)
    assert (stage.state, stage.attempt) == (StageState.QUEUED, 1)
    assert stage.available_at > now()


@pytest.mark.parametrize(
    ("age", "wait_s"),
    [(timedelta(0), 2), (timedelta(seconds=60), 6), (timedelta(hours=5), 15)],
)
def test_a_part_that_stays_away_is_tried_less_and_less_often(
    engine: Engine, age: timedelta, wait_s: float
) -> None:
    scan_id = add_scan(engine)
    classify(engine, scan_id)
    with transaction(engine) as session:
        session.get_one(Scan, scan_id).created_at = now() - age
    fail(engine, scan_id, 1, Unavailable())
    wait = stage_row(engine, scan_id, StageName.EXPLAIN).available_at - now()
    assert wait_s - 1 < wait.total_seconds() < wait_s + 1


def run_out(engine: Engine, scan_id: str, ref: StageRef | None = None) -> None:
    ref = ref or StageRef(scan_id, StageName.CLASSIFY)
    with transaction(engine) as session:
        stage = session.get_one(Stage, (scan_id, ref.track, ref.name))
        stage.state = StageState.RUNNING
        stage.lease_until = now() - timedelta(seconds=1)
    with transaction(engine) as session:
        record.lease_ran_out(session, ref, MAX)


def test_a_lease_that_still_runs_is_left_alone(engine: Engine) -> None:
    scan_id = add_scan(engine, lease_until=now() + timedelta(seconds=30))
    with transaction(engine) as session:
        record.lease_ran_out(session, StageRef(scan_id, StageName.CLASSIFY), MAX)
    assert stage_row(engine, scan_id, StageName.CLASSIFY).state == StageState.RUNNING


def test_only_the_second_lease_that_runs_out_spends_an_attempt(engine: Engine) -> None:
    scan_id = add_scan(engine)
    for attempt in (1, 2, 3):
        run_out(engine, scan_id)
        stage = stage_row(engine, scan_id, StageName.CLASSIFY)
        assert (stage.state, stage.attempt) == (StageState.QUEUED, attempt)
    run_out(engine, scan_id)
    assert scan_row(engine, scan_id).state == ScanState.FAILED


def test_only_the_second_time_that_a_service_ends_over_it_spends_an_attempt(engine: Engine) -> None:
    scan_id = add_scan(engine)
    ref = StageRef(scan_id, StageName.CLASSIFY)

    def end_over_it(error: NeuroscanError) -> tuple[str, int]:
        with transaction(engine) as session:
            attempt = session.get_one(Stage, (scan_id, "", ref.name)).attempt
            record.attempt_failed(session, ref, attempt, error.problem(), MAX)
        stage = stage_row(engine, scan_id, ref.name)
        return stage.state, stage.attempt

    assert end_over_it(Dropped()) == (StageState.QUEUED, 1)
    # Away in between, as it is while it starts again.
    assert end_over_it(NoAnswer()) == (StageState.QUEUED, 1)
    assert end_over_it(Dropped()) == (StageState.QUEUED, 2)
    assert end_over_it(Dropped()) == (StageState.QUEUED, 3)
    assert end_over_it(Dropped()) == (StageState.FAILED, 3)
    assert scan_row(engine, scan_id).state == ScanState.FAILED


def test_a_failure_of_its_own_is_no_lease_that_ran_out(engine: Engine) -> None:
    scan_id = add_scan(engine)
    with transaction(engine) as session:
        classify = StageRef(scan_id, StageName.CLASSIFY)
        record.attempt_failed(session, classify, 1, StageFailed().problem(), MAX)
    # The first worker that is lost spends none, whatever went wrong before; the second does.
    for attempt in (2, 3):
        run_out(engine, scan_id)
        assert stage_row(engine, scan_id, StageName.CLASSIFY).attempt == attempt


def test_an_earlier_attempt_that_comes_back_first_wins(engine: Engine) -> None:
    scan_id = add_scan(engine)
    classify(engine, scan_id)
    first = finished(engine, scan_id, StageName.EXPLAIN, run="slow")
    fail(engine, scan_id, 1)
    with transaction(engine) as session:
        recorded = record.record(session, results.from_message(first))
    assert recorded.publish == StageRef(scan_id, StageName.MEASURE)
    assert stage_row(engine, scan_id, StageName.EXPLAIN).state == StageState.DONE


def test_a_canceled_scan_takes_no_more_results(engine: Engine) -> None:
    scan_id = add_scan(engine)
    classify(engine, scan_id)
    with transaction(engine) as session:
        steering.cancel(session, scan_id)
    late = finish(engine, scan_id, StageName.EXPLAIN)
    assert late.discard == f"scans/{scan_id}/explain/1-r"
    assert scan_row(engine, scan_id).state == ScanState.CANCELED
    assert stage_row(engine, scan_id, StageName.CLASSIFY).state == StageState.DONE


def further(engine: Engine, scan_id: str, *names: StageName) -> StageRef:
    """Further work on a scan, its first stage sent."""
    track = new_id()
    with transaction(engine) as session:
        ref = steering.open_track(session, scan_id, track, names or [StageName.EXPLAIN], "digest")
    assert ref is not None
    with transaction(engine) as session:
        session.get_one(Stage, (scan_id, track, ref.name)).published_at = now()
    return ref


def test_a_message_about_one_track_changes_no_other(engine: Engine) -> None:
    scan_id = add_scan(engine)
    classify(engine, scan_id)
    publish(engine, scan_id, StageName.EXPLAIN)
    one, other = further(engine, scan_id), further(engine, scan_id)
    with transaction(engine) as session:
        record.started(session, started(scan_id, StageName.EXPLAIN, track=one.track), LEASE)
    states = [
        stage_row(engine, scan_id, StageName.EXPLAIN, track).state
        for track in (one.track, other.track, "")
    ]
    assert states == [StageState.RUNNING, StageState.QUEUED, StageState.QUEUED]
    finish(engine, scan_id, StageName.EXPLAIN)
    assert stage_row(engine, scan_id, StageName.EXPLAIN, one.track).state == StageState.RUNNING
    assert stage_row(engine, scan_id, StageName.EXPLAIN, other.track).state == StageState.QUEUED


def test_a_later_result_on_a_track_is_dropped_with_its_own_objects(engine: Engine) -> None:
    scan_id = add_scan(engine)
    classify(engine, scan_id)
    ref = further(engine, scan_id)
    assert finish(engine, scan_id, StageName.EXPLAIN, "first", ref.track) == Recorded()
    late = finish(engine, scan_id, StageName.EXPLAIN, "second", ref.track)
    assert late == Recorded(discard=f"scans/{scan_id}/{ref.track}/explain/1-second")


def test_leases_and_attempts_on_a_track_are_counted_alike(engine: Engine) -> None:
    scan_id = add_scan(engine)
    classify(engine, scan_id)
    ref = further(engine, scan_id, StageName.EXPLAIN, StageName.MEASURE)
    for attempt in (1, 2, 3):
        run_out(engine, scan_id, ref)
        stage = stage_row(engine, scan_id, StageName.EXPLAIN, ref.track)
        assert (stage.state, stage.attempt) == (StageState.QUEUED, attempt)
    run_out(engine, scan_id, ref)
    dead = stage_row(engine, scan_id, StageName.EXPLAIN, ref.track)
    rest = stage_row(engine, scan_id, StageName.MEASURE, ref.track)
    assert (dead.state, rest.state) == (StageState.FAILED, StageState.CANCELED)
    assert scan_row(engine, scan_id).state == ScanState.CLASSIFIED
    assert stage_row(engine, scan_id, StageName.EXPLAIN).state == StageState.QUEUED
    assert stage_row(engine, scan_id, StageName.MEASURE).state == StageState.WAITING


def test_a_scan_that_fails_leaves_further_work_on_it_alone(engine: Engine) -> None:
    scan_id = add_scan(engine)
    classify(engine, scan_id)
    ref = further(engine, scan_id)
    for attempt in (1, 2, 3):
        fail(engine, scan_id, attempt)
    assert scan_row(engine, scan_id).state == ScanState.FAILED
    finish(engine, scan_id, StageName.EXPLAIN, track=ref.track)
    assert stage_row(engine, scan_id, StageName.EXPLAIN, ref.track).state == StageState.DONE
    assert scan_row(engine, scan_id).state == ScanState.FAILED


def test_a_change_is_made_from_the_row_as_it_is_and_not_as_it_was_read(engine: Engine) -> None:
    scan_id = add_scan(engine)
    with transaction(engine) as session:
        version = session.get_one(Scan, scan_id).version
        classify(engine, scan_id)
        steering.cancel(session, scan_id)
    scan = scan_row(engine, scan_id)
    assert (scan.state, scan.label, scan.version) == (ScanState.CANCELED, "glioma", version + 2)
