"""The two stages that the recorder does itself, by HTTP: classify (from the queue) and report."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine

from neuroscan.contracts.enums import StageName
from neuroscan.contracts.messages import RecorderTask
from neuroscan.contracts.patient import PatientView
from neuroscan.contracts.problems import NeuroscanError, StageFailed, Unavailable
from neuroscan.contracts.report import ReportPictures, ReportRequest
from neuroscan.process import code_version
from neuroscan.telemetry import get_logger
from services.gateway.db.session import one_statement, transaction
from services.gateway.db.tables import Patient, Scan
from services.gateway.patients.views import patient_view
from services.gateway.pipeline import record, results
from services.gateway.pipeline.assembly import Pipeline
from services.gateway.pipeline.doubts import with_doubts
from services.gateway.pipeline.keys import slice_key
from services.gateway.scans.repository import found
from services.gateway.scans.views import explain_result, scan_view

REPORT_OBJECT = "report.pdf"

log = get_logger(__name__)


def classify(pipeline: Pipeline, task: RecorderTask) -> None:
    """Classify from the queue: a batch's scan, an analysis, or what got no answer in line."""
    settings, ref = pipeline.settings, record.ref_of(task)
    with transaction(pipeline.engine) as session:
        stage = record.start(session, ref, task.attempt, settings.classify_lease)
        scan = session.get(Scan, task.scan_id)
    if stage is None or scan is None:
        return
    with _reported_failures(pipeline, task):
        result = pipeline.inference.classify(
            pipeline.storage.get(slice_key(task.scan_id)),
            request_id=task.request_id,
            timeout_s=settings.classify_lease.total_seconds() / 2,
        )
        result = with_doubts(scan, result)
        pipeline.save(results.classified(ref, task.input_digest, result))


def report(pipeline: Pipeline, task: RecorderTask) -> None:
    """Have the PDF made, store it, and complete the scan, or replace its PDF."""
    ref = record.ref_of(task)
    with transaction(pipeline.engine) as session:
        stage = record.start(session, ref, task.attempt, pipeline.settings.lease)
    if stage is None:
        return
    with _reported_failures(pipeline, task):
        request = _report_request(pipeline, task.scan_id)
        pdf = pipeline.reports.render(
            request,
            request_id=task.request_id,
            timeout_s=pipeline.settings.report_wait.total_seconds(),
        )
        digest = hashlib.sha256(pdf).hexdigest()
        prefix = f"{task.prefix}-{digest[:8]}"
        pipeline.storage.put(f"{prefix}/{REPORT_OBJECT}", pdf)
        pipeline.save(
            record.StageResult(
                ref=ref,
                output={
                    "key": f"{prefix}/{REPORT_OBJECT}",
                    "sha256": digest,
                    "version": request.version,
                },
                # What was read was read after the start, and so fits the stage as it was then.
                digest=stage.input_digest,
                prefix=prefix,
                code_version=code_version(),
            )
        )


@contextmanager
def _reported_failures(pipeline: Pipeline, task: RecorderTask) -> Iterator[None]:
    """Tell the ledger what went wrong inside."""
    try:
        yield
    except NeuroscanError as error:
        known = isinstance(error, StageFailed | Unavailable)
        problem = (error if known else StageFailed(error.detail)).problem()
        log.warning("stage.failed", stage=task.stage, code=error.code)
        with transaction(pipeline.engine) as session:
            record.attempt_failed(
                session,
                record.ref_of(task),
                task.attempt,
                problem,
                pipeline.settings.attempts_max,
            )


def printed_patient(engine: Engine, patient_id: str) -> PatientView | None:
    """The patient as a report prints them, after any change of them that is being made.

    Such a change renews the reports that were made, or in the making, when it looked; one that
    begins since must not read what stood there before. None when there is no such patient.
    """
    with transaction(engine) as session:
        patient = session.get(Patient, patient_id, with_for_update={"read": True})
        return patient_view(patient) if patient else None


def _report_request(pipeline: Pipeline, scan_id: str) -> ReportRequest:
    with one_statement(pipeline.engine) as session:
        shown = found(session, scan_id, None)
    scan, stages = shown.scan, shown.stages
    patient = printed_patient(pipeline.engine, scan.patient_id) if scan.patient_id else None
    explained = explain_result(stages)
    earlier = stages[StageName.REPORT].output
    storage = pipeline.storage
    return ReportRequest(
        scan=scan_view(scan, stages, shown.review),
        patient=patient,
        notes=scan.notes,
        pictures=ReportPictures.model_construct(
            slice=storage.get(slice_key(scan_id)),
            heatmap=storage.get(explained.objects.heatmap) if explained else None,
            overlay=storage.get(explained.objects.overlay) if explained else None,
        ),
        software_version=code_version(),
        made_at=scan.updated_at,
        version=earlier["version"] + 1 if earlier else 1,
        page_size=pipeline.settings.report_page_size,
    )
