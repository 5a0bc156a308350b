"""From the ledger's rows to the public batch."""

from collections.abc import Mapping

from neuroscan.contracts.batch import (
    REFUSED,
    BatchItemView,
    BatchSummary,
    BatchView,
    ByState,
)
from neuroscan.contracts.enums import ScanState, TumorClass
from neuroscan.contracts.problems import Problem
from services.gateway.batches.repository import ItemRow, are_over
from services.gateway.db.tables import Batch


def batch_path(batch_id: str) -> str:
    """The public path of a batch."""
    return f"/v1/batches/{batch_id}"


def summary_view(batch: Batch, states: Mapping[str, int]) -> BatchSummary:
    """A batch by the number of its items in each state."""
    path = batch_path(batch.id)
    return BatchSummary(
        id=batch.id,
        created_at=batch.created_at,
        patient_id=batch.patient_id,
        total=sum(states.values()),
        by_state=ByState.model_validate(states),
        done=are_over(states),
        links={
            "self": path,
            "events": f"{path}/events",
            "results": f"{path}/results.csv",
            "reports": f"{path}/report.zip",
            "summary": f"{path}/summary.pdf",
        },
    )


def batch_view(batch: Batch, rows: list[ItemRow]) -> BatchView:
    """A batch with its items."""
    items = [item_view(row) for row in rows]
    states: dict[str, int] = {}
    for item in items:
        states[item.state] = states.get(item.state, 0) + 1
    return BatchView(**dict(summary_view(batch, states)), items=items)


def item_view(row: ItemRow) -> BatchItemView:
    """One file and what became of it."""
    problem = row.problem or row.failure
    return BatchItemView(
        position=row.position,
        file=row.file,
        scan_id=row.scan_id,
        state=ScanState(row.state) if row.state else REFUSED,
        label=TumorClass(row.label) if row.label else None,
        confidence=row.confidence,
        prediction_set=(
            [TumorClass(name) for name in row.prediction_set] if row.prediction_set else None
        ),
        input_accepted=row.input_accepted,
        problem=Problem.model_validate(problem) if problem else None,
    )
