"""Further explanations: each is the stage `explain` on a track of its own.

It explains why the network gave the label that it gave, by another method or at another layer, and
changes neither the scan's state nor its report.
"""

from sqlmodel import Session

from neuroscan.contracts.enums import ScanState, StageName, StageState
from neuroscan.contracts.further import ExplanationPage, ExplanationRequest, FurtherExplanation
from neuroscan.contracts.problems import Conflict, NotFound, NotReady
from neuroscan.contracts.results import ExplainResult
from services.gateway.audit import record as audit
from services.gateway.audit.record import Action, ObjectKind
from services.gateway.auth.principal import Principal
from services.gateway.db.session import snapshot, transaction
from services.gateway.db.tables import Explanation, Scan, Stage
from services.gateway.explanations import repository
from services.gateway.explanations.views import explanation_path, further_explanation
from services.gateway.idempotency.once import OnceOnly
from services.gateway.paging import decode_cursor, encode_cursor
from services.gateway.pipeline import ledger, steering
from services.gateway.pipeline.assembly import Pipeline
from services.gateway.scans.artefacts import Artefact, StoredArtefact, explanation_key, fetch
from services.gateway.scans.repository import stages_of, visible


class ExplanationService:
    """Explanations of a scan, over the ledger and the store."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._engine = pipeline.engine

    def ask(
        self,
        scan_id: str,
        request: ExplanationRequest,
        by: Principal,
        once: OnceOnly | None = None,
    ) -> FurtherExplanation:
        """Queue one more; `NotReady` before the scan is classified, `Conflict` if it never was."""
        with transaction(self._engine) as session:
            scan = visible(session, scan_id, by, lock=True)
            classify = stages_of(session, scan_id)[StageName.CLASSIFY]
            require_classified(scan, classify)
            asked = Explanation(
                scan_id=scan_id, method=request.method, layer=request.layer, asked_by=by.id
            )
            digest = ledger.input_digest(scan.sha256, classify.input_digest, asked.id)
            ref = steering.open_track(session, scan_id, asked.id, [StageName.EXPLAIN], digest)
            session.add(asked)
            audit.note(session, by, Action.EXPLAINED, ObjectKind.SCAN, scan_id)
            session.flush()
            view = further_explanation(_found(session, scan, asked.id), asked.id)
            if once is not None:
                path = explanation_path(scan_id, asked.id)
                once.keep(session, view, location=path, scan_id=scan_id)
        self._pipeline.publisher.publish_soon(ref)
        return view

    def list(
        self, scan_id: str, by: Principal, *, cursor: str | None, limit: int
    ) -> ExplanationPage:
        """One page: the scan's own on top of the first, then those asked for, newest first."""
        facts: dict[str, str | None] = {"list": "explanations", "scan": scan_id}
        after_id = decode_cursor(cursor, facts) if cursor else None
        with transaction(self._engine) as session:
            snapshot(session)
            scan = visible(session, scan_id, by)
            found = repository.list_asked(session, scan_id, after_id=after_id, limit=limit + 1)
            own = repository.own(session, scan)
            audit.note_reads(session, by, ObjectKind.SCAN, [scan_id])
        shown = [own, *found[:limit]] if after_id is None else found[:limit]
        items = [further_explanation(each, each.id) for each in shown if each.id]
        more = len(found) > limit
        return ExplanationPage(
            items=items, next_cursor=encode_cursor(items[-1].id, facts) if more else None
        )

    def get(self, scan_id: str, explanation_id: str, by: Principal) -> FurtherExplanation:
        """An explanation as it is now; raises `NotFound`."""
        return further_explanation(self._find(scan_id, explanation_id, by), explanation_id)

    def artefact(
        self, scan_id: str, explanation_id: str, artefact: Artefact, by: Principal
    ) -> StoredArtefact:
        """A file of an explanation; `NotReady` while it is being made, `NotFound` otherwise."""
        stage = self._find(scan_id, explanation_id, by).stage
        result = ExplainResult.model_validate(stage.output) if stage.output else None
        over = stage.state in (StageState.FAILED, StageState.CANCELED)
        storage = self._pipeline.storage
        return fetch(storage, explanation_key(result, artefact), artefact, over=over)

    def _find(self, scan_id: str, explanation_id: str, by: Principal) -> repository.Explained:
        with transaction(self._engine) as session:
            snapshot(session)
            scan = visible(session, scan_id, by)
            found = _found(session, scan, explanation_id)
            audit.note_reads(session, by, ObjectKind.SCAN, [scan_id])
        return found


def _found(session: Session, scan: Scan, explanation_id: str) -> repository.Explained:
    found = repository.find(session, scan, explanation_id)
    if found is None:
        raise NotFound("The scan has no explanation with this id.")
    return found


def require_classified(scan: Scan, classify: Stage) -> None:
    """Raise for a scan without a class: `NotReady` while one may come, else `Conflict`."""
    if classify.state == StageState.DONE:
        return
    if ScanState(scan.state).final:
        raise Conflict("The scan ended before it was classified. Send the slice again.")
    raise NotReady("The scan is not classified yet. Try again in a moment.", retry_after_s=1)
