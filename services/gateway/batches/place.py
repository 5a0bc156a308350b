"""A file's place in a batch, taken in the very transaction that makes its scan.

The batch's row is locked meanwhile, so that positions follow one another, the bounds hold, and a
request that is sent twice at the same time brings nothing twice.
"""

from dataclasses import dataclass

from sqlmodel import Session

from neuroscan.contracts.batch import BATCH_BYTES_MAX, BATCH_FILES_MAX
from neuroscan.contracts.problems import NotFound, Problem, TooManyFiles, UnknownPatient
from services.gateway.audit import record as audit
from services.gateway.audit.record import Action, ObjectKind
from services.gateway.auth.principal import Principal
from services.gateway.batches import repository
from services.gateway.db.tables import Batch, BatchItem
from services.gateway.idempotency.repository import KeyUse, bind_key


class AlreadyBrought(Exception):
    """An earlier request, or another at the same time, has brought the file of this place."""

    def __init__(self, sha256: str) -> None:
        super().__init__()
        self.sha256 = sha256


@dataclass(frozen=True)
class Limits:
    """The bounds of a whole batch."""

    files: int = BATCH_FILES_MAX
    bytes: int = BATCH_BYTES_MAX


@dataclass(frozen=True)
class First:
    """What a request's first file brings about: the batch itself if it is new, the bound key."""

    principal: Principal
    batch_id: str
    is_new: bool
    patient_id: str | None
    use: KeyUse | None

    def open(self, session: Session) -> None:
        """Make the batch."""
        if self.patient_id and not repository.share_patient(session, self.patient_id):
            raise UnknownPatient
        session.add(
            Batch(id=self.batch_id, owner=self.principal.id, patient_id=self.patient_id),
        )
        session.flush()

    def follow(self, session: Session) -> None:
        """Note it, and bind the key."""
        action = Action.CREATED if self.is_new else Action.CHANGED
        fields = () if self.is_new else ("items",)
        audit.note(session, self.principal, action, ObjectKind.BATCH, self.batch_id, fields)
        if self.use is not None:
            bind_key(session, self.use, batch_id=self.batch_id)


@dataclass(frozen=True)
class BatchPlace:
    """A file of a batch, and its place in the request that brought it; see `BatchItem`."""

    batch_id: str
    upload: str
    upload_index: int
    file: str
    size: int
    sha256: str
    limits: Limits
    first: First | None

    def reserve(self, session: Session) -> int:
        """The file's position in the batch, which is locked until the transaction ends.

        Raises `AlreadyBrought`, `TooManyFiles`, and `NotFound` for a batch that was deleted.
        """
        if repository.lock(session, self.batch_id):
            brought = repository.brought(session, self.batch_id, self.upload, self.upload_index)
            if brought is not None:
                raise AlreadyBrought(brought)
        elif self.first is not None and self.first.is_new:
            self.first.open(session)
        else:
            raise NotFound("The batch was deleted in the meantime.")
        held = repository.held(session, self.batch_id)
        if held.files >= self.limits.files or held.bytes + self.size > self.limits.bytes:
            raise TooManyFiles
        if self.first is not None:
            self.first.follow(session)
        return held.next_position

    def item(
        self, position: int, *, scan_id: str | None = None, problem: Problem | None = None
    ) -> BatchItem:
        """The row of a file that became a scan, or that has a problem."""
        return BatchItem(
            batch_id=self.batch_id,
            position=position,
            upload=self.upload,
            upload_index=self.upload_index,
            file=self.file,
            size=self.size,
            sha256=self.sha256,
            scan_id=scan_id,
            problem=problem.model_dump(mode="json") if problem else None,
        )
