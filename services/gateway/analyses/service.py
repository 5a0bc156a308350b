"""Further analyses: classify, explain and measure again on a track of their own.

The newer model's result stands beside the older one; state, label, geometry and report of the scan
stay what they are.
"""

from neuroscan.contracts.enums import ScanState, StageName
from neuroscan.contracts.further import AnalysisPage, AnalysisView
from neuroscan.contracts.problems import NotFound, NotReady
from services.gateway.analyses import repository
from services.gateway.analyses.views import STAGES, analysis_path, analysis_view
from services.gateway.audit import record as audit
from services.gateway.audit.record import Action, ObjectKind
from services.gateway.auth.principal import Principal
from services.gateway.db.session import snapshot, transaction
from services.gateway.db.tables import Analysis
from services.gateway.explanations.service import require_classified
from services.gateway.idempotency.once import OnceOnly
from services.gateway.paging import decode_cursor, encode_cursor
from services.gateway.pipeline import ledger, steering
from services.gateway.pipeline.assembly import Pipeline
from services.gateway.scans.repository import stages_of, visible


class AnalysisService:
    """Analyses of a scan, over the ledger."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._engine = pipeline.engine

    def ask(self, scan_id: str, by: Principal, once: OnceOnly | None = None) -> AnalysisView:
        """Queue one; `NotReady` while the scan runs, `Conflict` if it was never classified."""
        with transaction(self._engine) as session:
            scan = visible(session, scan_id, by, lock=True)
            if not ScanState(scan.state).final:
                raise NotReady(
                    "The scan still runs. Ask again when its state is final.", retry_after_s=1
                )
            require_classified(scan, stages_of(session, scan_id)[StageName.CLASSIFY])
            analysis = Analysis(scan_id=scan_id, asked_by=by.id)
            digest = ledger.input_digest(scan.sha256, analysis.id)
            ref = steering.open_track(session, scan_id, analysis.id, STAGES, digest)
            session.add(analysis)
            audit.note(session, by, Action.REANALYZED, ObjectKind.SCAN, scan_id)
            session.flush()
            stages = stages_of(session, scan_id, analysis.id)
            view = analysis_view(analysis, list(stages.values()))
            if once is not None:
                path = analysis_path(scan_id, analysis.id)
                once.keep(session, view, location=path, scan_id=scan_id)
        self._pipeline.publisher.publish_soon(ref)
        return view

    def list(self, scan_id: str, by: Principal, *, cursor: str | None, limit: int) -> AnalysisPage:
        """One page, newest first."""
        facts: dict[str, str | None] = {"list": "analyses", "scan": scan_id}
        after_id = decode_cursor(cursor, facts) if cursor else None
        with transaction(self._engine) as session:
            snapshot(session)
            visible(session, scan_id, by)
            found = repository.list_analyses(session, scan_id, after_id=after_id, limit=limit + 1)
            shown = found[:limit]
            stages = repository.stages_on(session, scan_id, [each.id for each in shown])
            audit.note_reads(session, by, ObjectKind.SCAN, [scan_id])
        items = [analysis_view(each, stages[each.id]) for each in shown]
        more = len(found) > limit
        return AnalysisPage(
            items=items, next_cursor=encode_cursor(items[-1].id, facts) if more else None
        )

    def get(self, scan_id: str, analysis_id: str, by: Principal) -> AnalysisView:
        """An analysis as it is now; raises `NotFound`."""
        with transaction(self._engine) as session:
            snapshot(session)
            visible(session, scan_id, by)
            analysis = session.get(Analysis, analysis_id)
            if analysis is None or analysis.scan_id != scan_id:
                raise NotFound("The scan has no analysis with this id.")
            stages = stages_of(session, scan_id, analysis.id)
            audit.note_reads(session, by, ObjectKind.SCAN, [scan_id])
        return analysis_view(analysis, list(stages.values()))
