"""Readers' verdicts, and how they agree with the network."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import httpx
import pytest
from sqlalchemy import Engine
from sqlmodel import Session, col, select

from neuroscan.contracts.enums import Role, TumorClass
from neuroscan.contracts.problems import InvalidRequest, NotFound, NotReady
from neuroscan.contracts.review import Agreement, ReviewCreate
from neuroscan.ids import new_id
from neuroscan.phantoms import default_specs, make_phantom
from services.gateway.auth.principal import Principal
from services.gateway.db.session import transaction
from services.gateway.db.tables import Audit, Review, ScanEvent
from services.gateway.reviews.service import ReviewService
from tests import pictures
from tests.integration.gateway.calls import submit, wait_final
from tests.integration.gateway.ledger import MODEL, add_scan, classify, scan_row

READER = Principal(id="key:reader", role=Role.CLINICIAN)
GLIOMA, MENINGIOMA, PITUITARY = TumorClass.GLIOMA, TumorClass.MENINGIOMA, TumorClass.PITUITARY
YES = ReviewCreate(label=GLIOMA, agrees=True)
NO = ReviewCreate(label=MENINGIOMA, agrees=False, comment="dural tail")


@pytest.fixture
def reviews(engine: Engine) -> ReviewService:
    return ReviewService(engine)


@pytest.fixture
def scan_id(engine: Engine) -> str:
    """A scan that was classified as a glioma."""
    scan_id = add_scan(engine)
    classify(engine, scan_id)
    return scan_id


def test_the_newest_review_counts_and_all_are_kept(
    engine: Engine, reviews: ReviewService, scan_id: str
) -> None:
    assert reviews.put(scan_id, YES, READER).review is not None
    shown = reviews.put(scan_id, NO, READER).review
    assert shown is not None
    assert (shown.label, shown.agrees, shown.comment) == (MENINGIOMA, False, "dural tail")
    assert shown.principal == READER.id
    with Session(engine) as session:
        rows = session.exec(select(Review).order_by(col(Review.id))).all()
    assert [row.agrees for row in rows] == [True, False]
    assert {(row.predicted, row.model_sha256) for row in rows} == {(GLIOMA, MODEL.sha256)}


def test_a_review_is_a_change_of_the_scan(
    engine: Engine, reviews: ReviewService, scan_id: str
) -> None:
    before = scan_row(engine, scan_id)
    assert reviews.put(scan_id, YES, READER).version == before.version + 1
    after = scan_row(engine, scan_id)
    assert (after.version, after.state) == (before.version + 1, before.state)
    with Session(engine) as session:
        events = session.exec(select(ScanEvent).order_by(col(ScanEvent.sequence))).all()
        noted = session.exec(select(Audit).where(Audit.object_id == scan_id)).one()
    assert (events[-1].version, events[-1].stage) == (after.version, None)
    assert (noted.action, noted.principal) == ("reviewed", READER.id)
    assert noted.fields == ["agrees", "comment", "label"]


def test_reviews_at_the_same_time_all_count(
    engine: Engine, reviews: ReviewService, scan_id: str
) -> None:
    before = scan_row(engine, scan_id).version
    with ThreadPoolExecutor(4) as threads:
        views = list(threads.map(lambda _: reviews.put(scan_id, YES, READER), range(8)))
    assert sorted(view.version for view in views) == list(range(before + 1, before + 9))


@pytest.mark.parametrize(("label", "agrees"), [(MENINGIOMA, True), (GLIOMA, False)])
def test_a_verdict_that_contradicts_itself_leaves_nothing(
    engine: Engine, reviews: ReviewService, scan_id: str, label: TumorClass, agrees: bool
) -> None:
    before = scan_row(engine, scan_id).version
    with pytest.raises(InvalidRequest, match="glioma"):
        reviews.put(scan_id, ReviewCreate(label=label, agrees=agrees), READER)
    assert scan_row(engine, scan_id).version == before
    with Session(engine) as session:
        assert session.exec(select(Review)).all() == []
        assert session.exec(select(Audit)).all() == []


def test_a_scan_without_a_class_can_not_be_reviewed_yet(
    engine: Engine, reviews: ReviewService
) -> None:
    scan_id = add_scan(engine)
    with pytest.raises(NotReady):
        reviews.put(scan_id, YES, READER)
    assert scan_row(engine, scan_id).version == 1
    with pytest.raises(NotFound):
        reviews.put(new_id(), YES, READER)


def review_at(engine: Engine, at: datetime, predicted: TumorClass, label: TumorClass) -> str:
    scan_id = add_scan(engine)
    add_review(engine, scan_id, at, predicted, label)
    return scan_id


def add_review(
    engine: Engine, scan_id: str, at: datetime, predicted: TumorClass, label: TumorClass
) -> None:
    with transaction(engine) as session:
        session.add(
            Review(
                scan_id=scan_id,
                principal=READER.id,
                label=label,
                agrees=label is predicted,
                predicted=predicted,
                model_sha256="",
                at=at,
            )
        )


def test_agreement_by_month_and_class(engine: Engine, reviews: ReviewService) -> None:
    june, august = (datetime(2026, month, 15, tzinfo=UTC) for month in (6, 8))
    for label in (GLIOMA, GLIOMA, GLIOMA, MENINGIOMA):
        review_at(engine, june, GLIOMA, label)
    review_at(engine, june, PITUITARY, PITUITARY)
    review_at(engine, august, GLIOMA, PITUITARY)
    # In UTC still July.
    east = datetime.fromisoformat("2026-08-01T01:00:00+02:00")
    review_at(engine, east, MENINGIOMA, MENINGIOMA)
    found = reviews.agreement()
    assert [(row.month, row.label, row.count, row.agreed, row.share) for row in found.by_month] == [
        ("2026-08", GLIOMA, 1, 0, 0.0),
        ("2026-07", MENINGIOMA, 1, 1, 1.0),
        ("2026-06", GLIOMA, 4, 3, 0.75),
        ("2026-06", PITUITARY, 1, 1, 1.0),
    ]
    assert [(row.label, row.corrected_to, row.count) for row in found.corrections] == [
        (GLIOMA, MENINGIOMA, 1),
        (GLIOMA, PITUITARY, 1),
    ]


def test_of_each_scan_only_its_newest_review_counts(engine: Engine, reviews: ReviewService) -> None:
    june, july = (datetime(2026, month, 15, tzinfo=UTC) for month in (6, 7))
    scan_id = review_at(engine, june, GLIOMA, MENINGIOMA)
    add_review(engine, scan_id, july, GLIOMA, GLIOMA)
    found = reviews.agreement()
    assert [(row.month, row.count, row.agreed) for row in found.by_month] == [("2026-07", 1, 1)]
    assert found.corrections == []


def test_a_picture_that_was_turned_away_does_not_count(
    engine: Engine, reviews: ReviewService, scan_id: str
) -> None:
    turned_away = add_scan(engine)
    classify(engine, turned_away, GLIOMA, accepted=False)
    assert reviews.put(turned_away, NO, READER).review is not None
    reviews.put(scan_id, YES, READER)
    found = reviews.agreement()
    assert [(row.count, row.agreed) for row in found.by_month] == [(1, 1)]
    assert found.corrections == []


def test_nobody_has_reviewed_anything(reviews: ReviewService) -> None:
    assert reviews.agreement() == Agreement(by_month=[], corrections=[])


def test_a_review_over_http_changes_the_tag_and_shows_in_the_scan(api: httpx.Client) -> None:
    content = pictures.png(make_phantom(default_specs()[0]).pixels)
    scan = wait_final(api, submit(api, content).json()["id"])
    # Or the verdict would not count.
    assert scan["input_check"]["accepted"]
    url = f"/v1/scans/{scan['id']}"
    tag = api.get(url).headers["ETag"]
    label = scan["classification"]["label"]
    answer = api.put(f"{url}/review", json={"label": label, "agrees": True, "comment": "clear"})
    assert answer.status_code == 200, answer.text
    assert answer.headers["ETag"] != tag
    read = api.get(url, headers={"If-None-Match": tag})
    assert (read.status_code, read.headers["ETag"]) == (200, answer.headers["ETag"])
    assert read.json() == answer.json()
    assert read.json()["review"]["comment"] == "clear"
    listed = api.get("/v1/scans", params={"limit": "1"}).json()["items"][0]
    assert listed["review"] == read.json()["review"]
    month = f"{datetime.now(UTC):%Y-%m}"
    by_month = api.get("/v1/model/agreement").json()["by_month"]
    assert any((row["month"], row["label"]) == (month, label) for row in by_month)


def test_bad_reviews_over_http(api: httpx.Client) -> None:
    scan = wait_final(api, submit(api, pictures.png()).json()["id"])
    url = f"/v1/scans/{scan['id']}/review"
    other = next(each for each in TumorClass if each != scan["classification"]["label"])
    wrong = api.put(url, json={"label": other, "agrees": True})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "invalid_request")
    bodies: list[object] = [{"label": other}, {"label": "cyst", "agrees": False}, {}, []]
    for body in bodies:
        assert api.put(url, json=body).status_code == 422
    unknown = f"/v1/scans/{uuid.uuid4()}/review"
    assert api.put(unknown, json={"label": other, "agrees": False}).status_code == 404
