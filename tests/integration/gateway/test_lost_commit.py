"""A database that goes away during the commit of a new scan must not cost a committed scan."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError
from sqlmodel import Session, select

from neuroscan.contracts.enums import Role
from neuroscan.contracts.problems import Unavailable
from neuroscan.imaging.pool import DecodePool
from services.gateway.auth.principal import Principal
from services.gateway.db.tables import Erasure, Scan
from services.gateway.pipeline.assembly import Pipeline
from services.gateway.pipeline.keys import scan_prefix
from services.gateway.scans.intake import Intake, Sender
from tests.integration.gateway.uploads import upload

SENDER = Sender(Principal("key:test", Role.SUBMITTER), "r")


@pytest.fixture(scope="module")
def decoder() -> Iterator[DecodePool]:
    decoder = DecodePool(1, 20, 2048)
    yield decoder
    decoder.close()


def lose_connection_once(when: str) -> None:
    """Break the first transaction that adds a scan, `before_commit` or `after_commit`."""
    adds_scan: set[int] = set()

    def noticed(session: Session, *_: object) -> None:
        if any(isinstance(row, Scan) for row in session.new):
            adds_scan.add(id(session))

    def broken(session: Session) -> None:
        if id(session) in adds_scan:
            event.remove(Session, "before_flush", noticed)
            event.remove(Session, when, broken)
            raise OperationalError("COMMIT", {}, Exception("the connection is gone"))

    event.listen(Session, "before_flush", noticed)
    event.listen(Session, when, broken)


def test_a_scan_whose_commit_came_through_unheard_keeps_its_objects(
    pipeline: Pipeline, decoder: DecodePool
) -> None:
    lose_connection_once("after_commit")
    service = Intake(pipeline, decoder)
    key = uuid.uuid4().hex
    made = service.submit(upload(), key=key, sender=SENDER)
    assert pipeline.storage.get(f"{scan_prefix(made.scan_id)}/slice.png")
    again = service.submit(upload(), key=key, sender=SENDER)
    assert (again.scan_id, again.replayed) == (made.scan_id, True)


def test_a_scan_whose_commit_failed_leaves_nothing(pipeline: Pipeline, decoder: DecodePool) -> None:
    lose_connection_once("before_commit")
    service = Intake(pipeline, decoder)
    key = uuid.uuid4().hex
    with pytest.raises(Unavailable):
        service.submit(upload(), key=key, sender=SENDER)
    assert pipeline.storage.list("scans") == []
    assert not service.submit(upload(), key=key, sender=SENDER).replayed


def test_what_a_store_that_is_away_may_hold_of_a_failed_scan_is_ordered_to_go(
    pipeline: Pipeline, decoder: DecodePool, tmp_path: Path
) -> None:
    (tmp_path / "objects").rename(tmp_path / "away")
    with pytest.raises(Unavailable):
        Intake(pipeline, decoder).submit(upload(), key=None, sender=SENDER)
    with Session(pipeline.engine) as session:
        orders = session.exec(select(Erasure.prefix)).all()
        assert session.exec(select(Scan)).all() == []
    assert len(orders) == 1
    assert orders[0].startswith("scans/")
