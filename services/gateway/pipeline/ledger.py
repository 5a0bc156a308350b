"""A scan's row and its stages under one lock, and the one way to say that they changed.

Every function takes a session inside a transaction (docs/architecture.md, "The ledger"). The scan's
row is locked first, so that two messages about one scan are handled one after the other. What
happens on the track of further work (a stage's `track`) gives the scan a new version, and changes
nothing else of it.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from sqlalchemy import insert
from sqlalchemy.orm import QueryableAttribute, defer, undefer
from sqlmodel import Session, col, select

from neuroscan.contracts.enums import ScanState, StageName, StageState
from services.gateway.db.session import at_end
from services.gateway.db.tables import OWN_TRACK, Json, Scan, ScanEvent, Stage, Webhook, now
from services.gateway.pipeline import metrics
from services.gateway.webhooks import outbox

OVER = (StageState.DONE, StageState.FAILED, StageState.CANCELED)


@dataclass(frozen=True)
class StageRef:
    """A stage of a scan: one of its own four, or one on the track of further work."""

    scan_id: str
    name: StageName
    track: str = OWN_TRACK


@dataclass(frozen=True)
class Held:
    """A scan whose row is locked, with the stages of its own track and of another.

    `heard` is False when there is no webhook at all.
    """

    scan: Scan
    stages: dict[tuple[str, str], Stage]
    heard: bool

    def stage(self, ref: StageRef) -> Stage:
        """The stage that is meant; `KeyError` when there is none."""
        return self.stages[ref.track, ref.name]


def input_digest(*parts: str) -> str:
    """SHA-256 over what a stage's output depends on."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def lock(session: Session, scan_id: str) -> Scan | None:
    """The scan's row as it is now, locked until the transaction ends; None when there is none."""
    return session.get(Scan, scan_id, with_for_update=True)


def hold(session: Session, ref: StageRef, *, outputs: bool = False) -> Held | None:
    """As `lock`, with the stages of the scan's own track and the ref's, in one query.

    The stages are locked too: what a query finds beside a row that it had to wait for is otherwise
    as it was before the wait. Their outputs are read only if asked for, or when they are used. None
    when there is no scan.
    """
    output = cast("QueryableAttribute[Json | None]", Stage.output)
    rows = session.execute(
        select(Scan, Stage, select(Webhook.id).exists())
        .join(Stage, col(Stage.scan_id) == col(Scan.id))
        .where(Scan.id == ref.scan_id, col(Stage.track).in_((OWN_TRACK, ref.track)))
        .options(undefer(output) if outputs else defer(output))
        .with_for_update(of=(Scan, Stage))
        .execution_options(populate_existing=True)
    ).all()
    if not rows:
        return None
    stages = {(stage.track, stage.name): stage for _, stage, _ in rows}
    scan, _, heard = rows[0]
    return Held(scan, stages, heard)


def stage_of(session: Session, ref: StageRef) -> Stage:
    """The stage that is meant; `NoResultFound` when there is none."""
    return session.get_one(Stage, (ref.scan_id, ref.track, ref.name))


def stages_of(session: Session, scan_id: str, track: str | None) -> Sequence[Stage]:
    """A scan's stages on one track or on all."""
    stages = select(Stage).where(Stage.scan_id == scan_id)
    if track is not None:
        stages = stages.where(Stage.track == track)
    return session.exec(stages).all()


def queue_stage(stage: Stage) -> None:
    """Make a stage wait for a worker from now on."""
    stage.state = StageState.QUEUED
    stage.available_at = now()
    stage.published_at = None
    stage.lease_until = None


def cancel_rest(session: Session, scan_id: str, track: str | None = None) -> None:
    """Cancel what is not over yet, on one track or on all."""
    for stage in stages_of(session, scan_id, track):
        if stage.state not in OVER:
            stage.state = StageState.CANCELED
            stage.lease_until = None
            session.add(stage)


def changed(
    session: Session,
    scan: Scan,
    stage: Stage | None,
    *,
    state: ScanState | None = None,
    heard: bool = True,
) -> None:
    """Give the scan a new version, and a new state if there is one, and say so in an event.

    Nobody is told of it when it is known that nobody has `heard`.
    """
    if state is not None:
        scan.state = state
    scan.version += 1
    scan.updated_at = now()
    session.add(scan)
    if stage is not None:
        session.add(stage)
    if state is not None:
        if heard:
            outbox.enqueue(session, scan)
        if state.final:
            metrics.scan_came_to(session, scan, state)
    note_event(session, scan, stage)


def note_event(session: Session, scan: Scan, stage: Stage | None = None) -> None:
    """Write a scan's present version down as an event; its sequence is drawn under the lock."""
    event = insert(ScanEvent.__table__).values(  # type: ignore[attr-defined]
        scan_id=scan.id,
        at=now(),
        version=scan.version,
        state=scan.state,
        track=stage.track if stage else OWN_TRACK,
        stage=stage.name if stage else None,
        stage_state=stage.state if stage else None,
    )
    at_end(session, event.inline())
