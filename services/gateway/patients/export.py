"""Everything that is stored about a patient, as a zip that is made while it is sent.

One portion of rows and one object are held at a time, and no transaction while the caller reads.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field

from neuroscan.contracts.enums import ImageFormat
from neuroscan.contracts.patient import PatientView
from neuroscan.storage import ObjectNotFound
from services.gateway.audit import record as audit
from services.gateway.audit.record import Action, ObjectKind
from services.gateway.audit.repository import AuditFilter, list_entries
from services.gateway.audit.views import audit_entry
from services.gateway.auth.principal import Principal
from services.gateway.db.session import snapshot, transaction
from services.gateway.db.tables import Audit, Json
from services.gateway.patients import export_repository
from services.gateway.pipeline import keys
from services.gateway.pipeline.assembly import Pipeline
from services.gateway.scans.repository import newest_reviews, stages_of_many
from services.gateway.scans.views import scan_view
from services.gateway.zips import ZipEntry

_SCANS_AT_ONCE = 20
_AUDIT_AT_ONCE = 500
_ORIGINAL_SUFFIX = {ImageFormat.JPEG: ".jpg", ImageFormat.PNG: ".png", ImageFormat.DICOM: ".dcm"}
_README = """\
Everything that this NeuroScan installation stores about one patient.

patient.json            the patient
scans/{id}/scan.json    a scan: as the API shows it ("scan"), its own row ("row"), and every row
                        that belongs to it ("rows"), by table: stages with their results, events,
                        reviews, further explanations and analyses, its place in a batch
scans/{id}/...          the scan's files: the upload without what identified the patient in it
                        (unless it was removed after the time that is set), the slice, pictures,
                        maps, reports
batches/{id}.json       batches of this patient, with the names of their files
audit.jsonl             who read or changed any of these, newest first for each of them; this
                        export too

Not in it: clients' idempotency keys, which live a day; notices of webhooks, which hold ids and
states only; what backups hold.

Research use only. Not for diagnosis.
"""


@dataclass
class _Told:
    """The ids of what was put in so far, for the audit at the end."""

    scans: list[str] = field(default_factory=list)
    batches: list[str] = field(default_factory=list)


class Export:
    """The entries of one patient's archive. The export is noted as it goes, scan by scan."""

    def __init__(self, pipeline: Pipeline, patient: PatientView, by: Principal) -> None:
        self._engine = pipeline.engine
        self._storage = pipeline.storage
        self._patient = patient
        self._by = by

    def entries(self) -> Iterator[ZipEntry]:
        """The archive's files; raises `Unavailable` when database or store go away."""
        told = _Told()
        yield ZipEntry("README.txt", [_README.encode()])
        yield _json("patient.json", self._patient.model_dump(mode="json"))
        yield from self._scans(told)
        yield from self._batches(told)
        ids = [self._patient.id, *told.scans, *told.batches]
        yield ZipEntry("audit.jsonl", self._audit(ids))

    def _scans(self, told: _Told) -> Iterator[ZipEntry]:
        after_id: str | None = None
        while portion := self._portion(after_id):
            for scan_id, (content, suffix) in portion.items():
                told.scans.append(scan_id)
                yield _json(f"scans/{scan_id}/scan.json", content)
                yield from self._objects(scan_id, suffix)
                after_id = scan_id

    def _portion(self, after_id: str | None) -> dict[str, tuple[Json, str]]:
        """Some scans: each with its JSON and the suffix of its original."""
        with transaction(self._engine) as session:
            snapshot(session)
            scans = export_repository.scans_after(
                session, self._patient.id, after_id, _SCANS_AT_ONCE
            )
            ids = [scan.id for scan in scans]
            stages = stages_of_many(session, ids)
            reviews = newest_reviews(session, ids)
            rows = export_repository.rows_of_scans(session, ids)
            for scan_id in ids:
                audit.note(session, self._by, Action.EXPORTED, ObjectKind.SCAN, scan_id)
            return {
                scan.id: (
                    {
                        "scan": scan_view(scan, stages[scan.id], reviews.get(scan.id)).model_dump(
                            mode="json"
                        ),
                        "row": export_repository.as_json(scan),
                        "rows": rows[scan.id],
                    },
                    _ORIGINAL_SUFFIX[ImageFormat(scan.image_format)],
                )
                for scan in scans
            }

    def _objects(self, scan_id: str, original_suffix: str) -> Iterator[ZipEntry]:
        for key in sorted(self._storage.list(keys.scan_prefix(scan_id))):
            try:
                content = self._storage.get(key)
            except ObjectNotFound:
                # Deleted since it was listed.
                continue
            suffix = original_suffix if key == keys.original_key(scan_id) else ""
            yield ZipEntry(f"{key}{suffix}", [content])

    def _batches(self, told: _Told) -> Iterator[ZipEntry]:
        with transaction(self._engine) as session:
            ids = export_repository.batches_of(session, self._patient.id)
        for batch_id in ids:
            with transaction(self._engine) as session:
                snapshot(session)
                rows = export_repository.batch_rows(session, batch_id)
                if rows is not None:
                    audit.note(session, self._by, Action.EXPORTED, ObjectKind.BATCH, batch_id)
            if rows is not None:
                told.batches.append(batch_id)
                yield _json(f"batches/{batch_id}.json", rows)

    def _audit(self, ids: list[str]) -> Iterator[bytes]:
        for object_id in ids:
            after: Audit | None = None
            while True:
                with transaction(self._engine) as session:
                    rows = list_entries(
                        session,
                        AuditFilter(object_id=object_id),
                        after=after,
                        limit=_AUDIT_AT_ONCE,
                    )
                for row in rows:
                    yield audit_entry(row).model_dump_json().encode() + b"\n"
                if len(rows) < _AUDIT_AT_ONCE:
                    break
                after = rows[-1]


def _json(name: str, content: object) -> ZipEntry:
    text = json.dumps(content, indent=1, ensure_ascii=False)
    return ZipEntry(name, [text.encode()])
