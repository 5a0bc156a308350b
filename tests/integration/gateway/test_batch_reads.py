"""Who sees a batch, and when it has changed."""

import io
import zipfile

import pytest
from sqlmodel import col, select

from neuroscan.contracts.enums import TumorClass
from neuroscan.contracts.problems import (
    Forbidden,
    NotFound,
    Unavailable,
)
from services.gateway.batches.upload import Caller
from services.gateway.db.session import transaction
from services.gateway.db.tables import Audit, Scan
from tests.integration.gateway.batch_forms import (
    CLINICIAN,
    OTHER,
    SENDER,
    Desk,
    form,
    some,
)
from tests.integration.gateway.ledger import classify


def audited(desk: Desk) -> list[tuple[str, str, str | None]]:
    with transaction(desk.pipeline.engine) as session:
        noted = session.exec(select(Audit).order_by(col(Audit.at)))
        return [(row.action, row.object_kind, row.object_id) for row in noted]


def test_a_batch_is_not_there_for_another_submitter(desk: Desk) -> None:
    sent = desk.send(form(some(1)))
    assert sent.batch_id is not None
    service = desk.service
    for call in (service.get, service.version, service.results):
        with pytest.raises(NotFound):
            call(sent.batch_id, OTHER)
    for made in (service.reports, service.summary):
        with pytest.raises(NotFound):
            made(sent.batch_id, OTHER, "request-1")
    with pytest.raises(NotFound):
        service.more(sent.batch_id, Caller(OTHER, "r", None), stopping=lambda: False)
    assert service.list(OTHER, cursor=None, limit=10).items == []
    assert service.get(sent.batch_id, CLINICIAN)[0].total == 1
    assert service.list(CLINICIAN, cursor=None, limit=10).items[0].id == sent.batch_id
    with pytest.raises(Forbidden):
        service.more(sent.batch_id, Caller(CLINICIAN, "r", None), stopping=lambda: False)


def test_an_item_holds_the_classes_that_are_possible(desk: Desk) -> None:
    sent = desk.send(form(some(2)))
    first, second = desk.read(sent).items
    assert (first.prediction_set, second.prediction_set) == (None, None)
    assert second.scan_id is not None
    classify(desk.pipeline.engine, second.scan_id, TumorClass.MENINGIOMA, TumorClass.PITUITARY)
    first, second = desk.read(sent).items
    assert first.prediction_set is None
    assert second.prediction_set == [TumorClass.MENINGIOMA, TumorClass.PITUITARY]


def test_lists_go_on_where_the_cursor_says(desk: Desk) -> None:
    made = [desk.send(form([*some(1), ("bad", b"")])).batch_id for _ in range(3)]
    first = desk.service.list(SENDER, cursor=None, limit=2)
    rest = desk.service.list(SENDER, cursor=first.next_cursor, limit=2)
    assert [batch.id for batch in first.items + rest.items] == made[::-1]
    assert rest.next_cursor is None
    summary = first.items[0]
    assert (summary.total, summary.by_state.received, summary.by_state.refused) == (2, 1, 1)
    assert not summary.done


def test_batches_and_scans_are_in_the_audit(desk: Desk) -> None:
    sent = desk.send(form(some(1)))
    desk.send(form(some(2)[1:]), to=sent.batch_id)
    scans = [item.scan_id for item in desk.read(sent).items]
    desk.read(sent)
    noted = audited(desk)
    assert noted.count(("created", "batch", sent.batch_id)) == 1
    assert noted.count(("changed", "batch", sent.batch_id)) == 1
    assert noted.count(("read", "batch", sent.batch_id)) == 1
    for scan_id in scans:
        assert noted.count(("created", "scan", scan_id)) == 1
        assert noted.count(("read", "scan", scan_id)) == 1


def test_a_known_summary_is_not_made_again(desk: Desk) -> None:
    sent = desk.send(form(some(1)))
    assert sent.batch_id is not None
    # Nobody makes reports here: only what is known already can be answered.
    with pytest.raises(Unavailable):
        desk.service.summary(sent.batch_id, SENDER, "request-1")
    known = desk.service.summary(sent.batch_id, SENDER, "request-1", "*")
    assert known.content == b""
    assert desk.service.summary(sent.batch_id, SENDER, "r", known.etag).etag == known.etag
    desk.send(form([("bad", b"")]), to=sent.batch_id)
    with pytest.raises(Unavailable):
        desk.service.summary(sent.batch_id, SENDER, "request-1", known.etag)


def test_the_archive_comes_without_a_summary_that_nobody_makes(desk: Desk) -> None:
    sent = desk.send(form(some(1)))
    assert sent.batch_id is not None
    content = b"".join(desk.service.reports(sent.batch_id, SENDER, "request-1"))
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        assert file.namelist() == ["results.csv"]


def test_the_version_changes_with_items_and_their_scans(desk: Desk) -> None:
    sent = desk.send(form(some(2)))
    assert sent.batch_id is not None
    versions = [desk.service.version(sent.batch_id, SENDER)[0]]
    desk.send(form([("bad", b"")]), to=sent.batch_id)
    versions.append(desk.service.version(sent.batch_id, SENDER)[0])
    scan_id = desk.read(sent).items[0].scan_id
    with transaction(desk.pipeline.engine) as session:
        session.get_one(Scan, scan_id).version += 1
    versions.append(desk.service.version(sent.batch_id, SENDER)[0])
    with transaction(desk.pipeline.engine) as session:
        session.delete(session.get_one(Scan, scan_id))
    versions.append(desk.service.version(sent.batch_id, SENDER)[0])
    assert len(set(versions)) == 4
    assert desk.service.version(sent.batch_id, SENDER)[0] == versions[-1]
