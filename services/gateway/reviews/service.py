"""Give a verdict on a scan; see how verdicts and network agree."""

from sqlalchemy import Engine

from neuroscan.contracts.problems import InvalidRequest, NotFound, NotReady
from neuroscan.contracts.review import Agreement, ReviewCreate
from neuroscan.contracts.scan import ScanView
from services.gateway.audit import record as audit
from services.gateway.audit.record import Action, ObjectKind
from services.gateway.auth.principal import Principal
from services.gateway.db.session import snapshot, transaction
from services.gateway.db.tables import Review, now
from services.gateway.pipeline import steering
from services.gateway.pipeline.renewal import renew_reports
from services.gateway.reviews import repository
from services.gateway.scans.repository import stages_of
from services.gateway.scans.views import classification, scan_view


class ReviewService:
    """Reviews, over the ledger."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def put(self, scan_id: str, verdict: ReviewCreate, by: Principal) -> ScanView:
        """A further review, which counts from now on, in the report too; earlier ones are kept.

        Raises `NotFound`, `NotReady` before the scan has a class, `InvalidRequest` for a verdict
        that contradicts itself.
        """
        with transaction(self._engine) as session:
            # The lock that comes with it keeps reviews of one scan in order.
            scan = steering.touch(session, scan_id)
            if scan is None:
                raise NotFound("No scan has this id. It may have been deleted.")
            stages = stages_of(session, scan_id)
            found = classification(stages)
            if found is None:
                raise NotReady("The scan has no class yet that could be reviewed.")
            predicted = found.classification.label
            if verdict.agrees != (verdict.label is predicted):
                raise InvalidRequest(
                    f"`agrees` must be true with the network's own class, `{predicted}`, and "
                    "false with any other."
                )
            review = Review(
                scan_id=scan_id,
                principal=by.id,
                label=verdict.label,
                agrees=verdict.agrees,
                comment=verdict.comment,
                predicted=predicted,
                model_sha256=found.model.sha256,
                at=now(),
            )
            session.add(review)
            renew_reports(session, [scan_id])
            fields = sorted(ReviewCreate.model_fields)
            audit.note(session, by, Action.REVIEWED, ObjectKind.SCAN, scan_id, fields)
            return scan_view(scan, stages, review)

    def agreement(self) -> Agreement:
        """How often readers agree, by class and month."""
        with transaction(self._engine) as session:
            snapshot(session)
            return Agreement(
                by_month=repository.agreement_by_month(session),
                corrections=repository.corrections(session),
            )
