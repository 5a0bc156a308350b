"""Notices are written with the change that they tell of, to those who may hear of it."""

from sqlalchemy import Engine
from sqlmodel import Session

from neuroscan.contracts.access import KeyCreate
from neuroscan.contracts.enums import DeliveryState, Role, ScanState, StageName, TumorClass
from neuroscan.contracts.problems import StageFailed
from services.gateway.auth.principal import Principal
from services.gateway.auth.service import AccessService
from services.gateway.db.session import transaction
from services.gateway.db.tables import Explanation, Scan
from services.gateway.pipeline import ledger, record, steering
from services.gateway.pipeline.ledger import StageRef
from services.gateway.scans.repository import delete_scan
from services.gateway.webhooks import outbox
from services.gateway.webhooks.repository import delete_webhook
from tests.integration.gateway.hooks import (
    ALL_STATES,
    SERVER_SECRET,
    add_hook,
    canceled_scan,
    deliveries,
)
from tests.integration.gateway.ledger import (
    add_scan,
    classified_scan,
    classify,
    completed_scan,
    fail_for_good,
    scan_row,
)

ADMIN = Principal(id="key:admin", role=Role.ADMIN)
MENINGIOMA, PITUITARY = TumorClass.MENINGIOMA, TumorClass.PITUITARY


def test_a_scan_without_listeners_writes_nothing(engine: Engine) -> None:
    completed_scan(engine)
    assert deliveries(engine) == []


def test_each_new_state_is_told_once_in_order(engine: Engine) -> None:
    hook = add_hook(engine, states=ALL_STATES)
    scan_id = completed_scan(engine)
    rows = deliveries(engine, hook)
    assert [row.payload for row in rows] == [
        {
            "scan_id": scan_id,
            "state": state,
            "version": version,
            "label": "glioma",
            "prediction_set": ["glioma"],
            "input_accepted": True,
            "links": {"self": f"/v1/scans/{scan_id}"},
        }
        for version, state in enumerate(("classified", "explained", "measured", "completed"), 2)
    ]
    assert {row.state for row in rows} == {DeliveryState.PENDING}


def test_a_new_scan_is_told_of_before_its_first_event(engine: Engine) -> None:
    hook = add_hook(engine, states=(ScanState.RECEIVED,))
    scan_id = add_scan(engine)
    with transaction(engine) as session:
        outbox.enqueue(session, scan_row(engine, scan_id))
    [row] = deliveries(engine, hook)
    assert (row.payload["state"], row.payload["version"]) == ("received", 1)
    assert not {"label", "prediction_set", "input_accepted"} & row.payload.keys()


def test_a_notice_is_no_more_certain_than_the_prediction_set(engine: Engine) -> None:
    hook = add_hook(engine, states=ALL_STATES)
    for accepted in (True, False):
        classify(engine, add_scan(engine), MENINGIOMA, PITUITARY, accepted=accepted)
    told = [row.payload for row in deliveries(engine, hook)]
    assert [each["prediction_set"] for each in told] == [["meningioma", "pituitary"]] * 2
    assert [each["input_accepted"] for each in told] == [True, False]


def test_a_change_of_a_stage_alone_is_not_told(engine: Engine) -> None:
    hook = add_hook(engine, states=ALL_STATES)
    scan_id = add_scan(engine)
    with transaction(engine) as session:
        ledger.note_event(session, session.get_one(Scan, scan_id))
    problem, ref = StageFailed().problem(), StageRef(scan_id, StageName.CLASSIFY)
    for attempt in (1, 2, 3):
        assert deliveries(engine, hook) == []
        with transaction(engine) as session:
            record.attempt_failed(session, ref, attempt, problem, 3)
    [row] = deliveries(engine, hook)
    assert (row.payload["state"], row.payload["version"]) == ("failed", 4)


def test_only_the_chosen_states_are_told(engine: Engine) -> None:
    hook = add_hook(engine, states=(ScanState.CLASSIFIED, ScanState.FAILED))
    completed_scan(engine)
    assert [row.payload["state"] for row in deliveries(engine, hook)] == ["classified"]


def test_a_submitter_hears_of_own_scans_only(engine: Engine) -> None:
    # The scans of these tests are those of `key:test`.
    other = add_hook(engine, owner="oidc:other", role=Role.SUBMITTER)
    clinician = add_hook(engine, owner="oidc:reader", role=Role.CLINICIAN)
    own = add_hook(engine, owner="key:test", role=Role.SUBMITTER)
    access = AccessService(engine, SERVER_SECRET)
    access.put_key("test", "a test", Role.SUBMITTER, f"nsk_test_{'x' * 43}")
    canceled_scan(engine)
    told = [len(deliveries(engine, hook)) for hook in (other, clinician, own)]
    assert told == [0, 1, 1]


def test_nothing_is_written_for_a_key_that_was_revoked(engine: Engine) -> None:
    access = AccessService(engine, SERVER_SECRET)
    key = access.create_key(KeyCreate(name="pacs", role=Role.CLINICIAN), ADMIN)
    hook = add_hook(engine, owner=f"key:{key.id}", role=Role.CLINICIAN)
    canceled_scan(engine)
    access.revoke_key(key.id, ADMIN)
    canceled_scan(engine)
    assert len(deliveries(engine, hook)) == 1


def test_a_change_that_is_rolled_back_tells_nothing(engine: Engine) -> None:
    add_hook(engine, states=ALL_STATES)
    scan_id = add_scan(engine)
    with Session(engine) as session:
        steering.cancel(session, scan_id)
        session.flush()
        session.rollback()
    assert deliveries(engine) == []


def test_notices_go_with_their_scan(engine: Engine) -> None:
    add_hook(engine, states=ALL_STATES)
    first, second = canceled_scan(engine), canceled_scan(engine)
    with transaction(engine) as session:
        delete_scan(session, first)
    assert {row.scan_id for row in deliveries(engine)} == {second}


def test_a_hook_that_is_being_deleted_holds_no_scan_up(engine: Engine) -> None:
    going, staying = add_hook(engine), add_hook(engine)
    with Session(engine) as deleting:
        delete_webhook(deleting, going)
        canceled_scan(engine)
        deleting.commit()
    assert [row.webhook_id for row in deliveries(engine)] == [staying]


def test_a_retried_scan_is_told_of_again(engine: Engine) -> None:
    hook = add_hook(engine, states=ALL_STATES)
    scan_id = classified_scan(engine)
    fail_for_good(engine, StageRef(scan_id, StageName.EXPLAIN))
    with transaction(engine) as session:
        steering.retry(session, scan_id)
    payloads = [row.payload for row in deliveries(engine, hook)]
    assert [each["state"] for each in payloads] == ["classified", "failed", "classified"]
    versions = [each["version"] for each in payloads]
    assert versions == sorted(set(versions))


def test_further_work_on_a_scan_tells_nothing(engine: Engine) -> None:
    scan_id = completed_scan(engine)
    hook = add_hook(engine, states=ALL_STATES)
    row = Explanation(scan_id=scan_id, asked_by="key:test")
    with transaction(engine) as session:
        session.add(row)
        session.flush()
        steering.open_track(session, scan_id, row.id, [StageName.EXPLAIN], "1" * 64)
    fail_for_good(engine, StageRef(scan_id, StageName.EXPLAIN, row.id))
    assert scan_row(engine, scan_id).version > 5
    assert deliveries(engine, hook) == []
