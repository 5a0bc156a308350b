"""All SQL about how reviews agree; a scan's own reviews are read with the scan."""

from sqlalchemy import Subquery, func
from sqlalchemy.dialects.postgresql import distinct_on
from sqlmodel import Session, col, select

from neuroscan.contracts.enums import TumorClass
from neuroscan.contracts.review import Correction, MonthlyAgreement
from services.gateway.db.tables import Review
from services.gateway.scans.repository import turned_away


def agreement_by_month(session: Session) -> list[MonthlyAgreement]:
    """Counts by month and predicted class, newest month first."""
    newest = _newest()
    agreed = func.count().filter(newest.c.agrees)
    rows = session.execute(
        select(newest.c.month, newest.c.predicted, func.count(), agreed)
        .group_by(newest.c.month, newest.c.predicted)
        .order_by(newest.c.month.desc(), newest.c.predicted)
    )
    return [
        MonthlyAgreement(
            month=month,
            label=TumorClass(predicted),
            count=count,
            agreed=agreeing,
            share=agreeing / count,
        )
        for month, predicted, count, agreeing in rows
    ]


def corrections(session: Session) -> list[Correction]:
    """What predicted classes were corrected to, the most frequent first within each."""
    newest = _newest()
    count = func.count()
    rows = session.execute(
        select(newest.c.predicted, newest.c.label, count)
        .where(~newest.c.agrees)
        .group_by(newest.c.predicted, newest.c.label)
        .order_by(newest.c.predicted, count.desc(), newest.c.label)
    )
    return [
        Correction(label=TumorClass(predicted), corrected_to=TumorClass(label), count=times)
        for predicted, label, times in rows
    ]


def _newest() -> Subquery:
    """The newest review of each scan, with its month.

    Not of pictures that were turned away: the network claims nothing of them.
    """
    month = func.to_char(func.timezone("UTC", col(Review.at)), "YYYY-MM")
    return (
        select(Review.predicted, Review.label, Review.agrees, month.label("month"))
        .where(~turned_away(col(Review.scan_id)))
        .order_by(col(Review.scan_id), col(Review.id).desc())
        .ext(distinct_on(col(Review.scan_id)))
        .subquery()
    )
