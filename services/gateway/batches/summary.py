"""`summary.pdf`: the batch as one table, which the reports service makes when it is asked for."""

from collections.abc import Iterable
from datetime import datetime

from neuroscan.contracts.batch import REFUSED
from neuroscan.contracts.problems import NeuroscanError, StageFailed, Unavailable
from neuroscan.contracts.report import SummaryItem, SummaryRequest
from neuroscan.contracts.results import ModelFacts
from neuroscan.process import code_version
from neuroscan.storage import ObjectNotFound, Storage
from neuroscan.telemetry import get_logger
from services.gateway.batches.results import ResultRow, problem_of
from services.gateway.db.tables import Batch, Patient
from services.gateway.patients.views import patient_view
from services.gateway.pipeline.assembly import Pipeline
from services.gateway.pipeline.breaker import Dropped
from services.gateway.pipeline.keys import thumbnail_key

log = get_logger(__name__)


def print_summary(
    pipeline: Pipeline,
    batch: Batch,
    patient: Patient | None,
    rows: Iterable[ResultRow],
    request_id: str,
) -> bytes:
    """The PDF; `Unavailable` when the reports service does not make it in time, or at all.

    The same batch as it is gives the same bytes: its time is that of its latest change.
    """
    items: list[SummaryItem] = []
    models: dict[str, ModelFacts] = {}
    changed: datetime = batch.created_at
    for row in rows:
        items.append(_item(row, pipeline.storage))
        if row.scan is not None:
            changed = max(changed, row.scan.updated_at)
            if row.scan.model is not None:
                models[row.scan.model.sha256] = row.scan.model
    request = SummaryRequest(
        batch_id=batch.id,
        created_at=batch.created_at,
        patient=patient_view(patient) if patient else None,
        items=items,
        models=sorted(models.values(), key=lambda each: (each.name, each.version, each.sha256)),
        software_version=code_version(),
        made_at=changed,
        page_size=pipeline.settings.report_page_size,
    )
    limit_s = pipeline.settings.summary_limit.total_seconds()
    try:
        return pipeline.reports.render_summary(request, request_id=request_id, timeout_s=limit_s)
    except (StageFailed, Dropped) as error:
        raise Unavailable("The summary could not be made. Try again later.") from error


def summary_or_none(
    pipeline: Pipeline,
    batch: Batch,
    patient: Patient | None,
    rows: Iterable[ResultRow],
    request_id: str,
) -> bytes | None:
    """The PDF for an archive, which is of use without it too."""
    try:
        return print_summary(pipeline, batch, patient, rows, request_id)
    except NeuroscanError as error:
        log.warning("batch.summary_left_out", batch_id=batch.id, code=error.code)
        return None


def _item(row: ResultRow, storage: Storage) -> SummaryItem:
    scan, problem = row.scan, problem_of(row)
    # Not validated: the picture is bytes, where the contract's own reader expects base64.
    return SummaryItem.model_construct(
        position=row.item.position,
        file=row.item.file,
        scan_id=row.item.scan_id,
        state=scan.state if scan else REFUSED,
        classification=scan.classification if scan else None,
        input_accepted=scan.input_check.accepted if scan and scan.input_check else None,
        review=scan.review.label if scan and scan.review else None,
        problem=problem,
        thumbnail=_thumbnail(row, storage),
    )


def _thumbnail(row: ResultRow, storage: Storage) -> bytes | None:
    if row.item.scan_id is None:
        return None
    try:
        return storage.get(thumbnail_key(row.item.scan_id))
    except ObjectNotFound:
        return None
