"""Stages that failed for good, and another try."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

from neuroscan.contracts.enums import StageName
from neuroscan.contracts.further import DeadStage, DeadStagePage
from neuroscan.contracts.problems import BadCursor, Conflict, Problem
from neuroscan.contracts.scan import ScanView
from services.gateway.audit import record as audit
from services.gateway.audit.record import Action, ObjectKind
from services.gateway.auth.principal import Principal
from services.gateway.db.session import transaction
from services.gateway.db.tables import Stage
from services.gateway.idempotency.once import OnceOnly
from services.gateway.moments import in_utc
from services.gateway.paging import decode_position, encode_position
from services.gateway.pipeline import steering
from services.gateway.pipeline.assembly import Pipeline
from services.gateway.scans.repository import visible
from services.gateway.scans.service import ScanService
from services.gateway.scans.views import scan_path
from services.gateway.stages import repository
from services.gateway.stages.repository import Position

# What can be listed.
Listed = Literal["dead"]
# Each may take half a second; the sweeper sends the others.
_PUBLISH_AT_ONCE = 4


class StageService:
    """Dead stages, over the ledger."""

    def __init__(self, pipeline: Pipeline, scans: ScanService) -> None:
        self._pipeline = pipeline
        self._scans = scans
        self._engine = pipeline.engine

    def list(
        self, state: Listed, by: Principal, *, cursor: str | None, limit: int
    ) -> DeadStagePage:
        """One page of all scans' stages that failed for good, the latest first."""
        facts: dict[str, str | None] = {"list": "stages", "state": state}
        after = _position(decode_position(cursor, facts, 4)) if cursor else None
        with transaction(self._engine) as session:
            rows = repository.list_failed(session, after=after, limit=limit + 1)
            shown = rows[:limit]
            scan_ids = sorted({stage.scan_id for stage in shown})
            audit.note_reads(session, by, ObjectKind.SCAN, scan_ids)
        more = len(rows) > limit
        return DeadStagePage(
            items=[_dead(stage) for stage in shown],
            next_cursor=encode_position(_values(shown[-1]), facts) if more else None,
        )

    def retry(
        self, scan_id: str, track: str | None, by: Principal, once: OnceOnly | None = None
    ) -> ScanView:
        """Try failed stages of a scan again, on one track or on all.

        Raises `Conflict` when none has failed.
        """
        with transaction(self._engine) as session:
            visible(session, scan_id, by)
            again = steering.retry(session, scan_id, track)
            if not again:
                raise Conflict("Nothing of this scan has failed for good, so nothing was retried.")
            audit.note(session, by, Action.RETRIED, ObjectKind.SCAN, scan_id)
            session.flush()
            view = self._scans.view(session, scan_id, by)
            if once is not None:
                once.keep(session, view, location=scan_path(scan_id), scan_id=scan_id)
        for ref in again[:_PUBLISH_AT_ONCE]:
            self._pipeline.publisher.publish_soon(ref)
        return view


def _dead(stage: Stage) -> DeadStage:
    assert stage.finished_at is not None
    return DeadStage(
        scan_id=stage.scan_id,
        track=stage.track or None,
        name=StageName(stage.name),
        attempt=stage.attempt,
        started_at=stage.started_at,
        finished_at=stage.finished_at,
        problem=Problem.model_validate(stage.problem) if stage.problem else None,
    )


def _values(stage: Stage) -> Sequence[str]:
    """A stage's place in the list, as text."""
    return _dead(stage).finished_at.isoformat(), stage.scan_id, stage.track, stage.name


def _position(values: Sequence[str]) -> Position:
    at, scan_id, track, name = values
    try:
        moment = in_utc("cursor", datetime.fromisoformat(at))
        return moment, str(UUID(scan_id)), str(UUID(track)) if track else track, StageName(name)
    except ValueError as error:
        raise BadCursor from error
