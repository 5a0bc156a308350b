"""One request that brings files: each is taken in alone, as it comes, and stays.

While one file is taken in the next is read, and no more than that: a batch needs the memory of two
files, however many it has. Files are taken in one after the other, so that they keep their order
and single scans find a process that decodes.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace

from anyio import CapacityLimiter
from anyio.to_thread import run_sync

from neuroscan.contracts.problems import (
    BadImage,
    FileTooLarge,
    IdempotencyConflict,
    InvalidRequest,
    NeuroscanError,
    PatientMismatch,
    Unavailable,
    UnknownPatient,
)
from neuroscan.ids import new_id
from neuroscan.telemetry import get_logger
from services.gateway.audit import record as audit
from services.gateway.audit.record import Action, ObjectKind
from services.gateway.auth.principal import Principal
from services.gateway.auth.repository import require_live
from services.gateway.batches import repository
from services.gateway.batches.multipart import FILES_FIELD, FormError, Part, SentFile, TextField
from services.gateway.batches.place import AlreadyBrought, BatchPlace, First, Limits
from services.gateway.db.session import one_statement, transaction
from services.gateway.db.tables import Batch
from services.gateway.idempotency import claims
from services.gateway.idempotency.repository import KeyUse
from services.gateway.pipeline.assembly import Pipeline, patiently
from services.gateway.scans.erase import IN_REQUEST_S, erase_scans
from services.gateway.scans.form import upload_without_file
from services.gateway.scans.intake import Intake, Sender, Upload, check_may_name

CREATE_ROUTE = "POST /v1/batches"
ADD_ROUTE = "POST /v1/batches/{batch_id}/items"
# Of all batches together: single scans keep threads and connections of their own.
FILES_IN_WORK = CapacityLimiter(2)
# How long a file waits for a part of the system that is away, before the request gives up.
_PATIENCE_S = 10.0

# Whether the server is about to end.
Stopping = Callable[[], bool]

log = get_logger(__name__)


@dataclass(frozen=True)
class Caller:
    """Who sends the files, in which request, under which idempotency key."""

    principal: Principal
    request_id: str
    key: str | None


class BatchUpload:
    """One request's files on their way into a batch: a new one, or `batch` when files are added.

    `batch_id` is None until the batch exists, `replayed` says whether an earlier request with the
    same key had made it.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        intake: Intake,
        caller: Caller,
        *,
        batch: Batch | None = None,
        limits: Limits | None = None,
        stopping: Stopping = lambda: False,
    ) -> None:
        self.batch_id = batch.id if batch else None
        self.replayed = False
        self._pipeline = pipeline
        self._intake = intake
        self._caller = caller
        self._batch = batch
        self._limits = limits or Limits()
        self._stopping = stopping
        self._target: _Target | None = None
        self._brought: list[int] = []

    @property
    def files(self) -> int:
        """How many files this request has brought so far."""
        return len(self._brought)

    async def run(self, parts: AsyncIterator[Part]) -> str:
        """Take in every file; the id of the batch.

        A form that is off brings nothing; any other end of the request keeps what has come.
        """
        try:
            return await self._take_parts(parts)
        except FormError as error:
            await run_sync(self._take_back)
            raise error.refusal from error
        except BaseException:
            await run_sync(self._release)
            raise

    async def _take_parts(self, parts: AsyncIterator[Part]) -> str:
        fields: dict[str, str] = {}
        working: asyncio.Task[None] | None = None
        index = 0
        try:
            async for part in parts:
                if isinstance(part, TextField):
                    fields[part.name] = part.text
                    continue
                if self._target is None:
                    self._target = await run_sync(self._open, fields)
                if working is not None:
                    await working
                await run_sync(self._may_go_on)
                working = asyncio.create_task(self._take(self._target, index, part))
                index += 1
                # One more would be held in memory with this one and the one that is read.
                del part
            if working is not None:
                await working
        finally:
            # What is being taken in stays, whatever ended the request.
            if working is not None and not working.done():
                await asyncio.wait([working])
            if working is not None and working.done():
                _ = working.cancelled() or working.exception()
        if self._target is None:
            raise FormError(InvalidRequest(f"Send at least one file as `{FILES_FIELD}`."))
        return self._target.batch_id

    def _may_go_on(self) -> None:
        """Raise `Unavailable` when the server ends, `Unauthenticated` when the key has ended."""
        if self._stopping():
            raise Unavailable("The server is about to stop. Send the request again.")
        for attempt in patiently(_PATIENCE_S):
            with attempt, one_statement(self._pipeline.engine) as session:
                require_live(session, self._caller.principal)

    def _open(self, fields: dict[str, str]) -> "_Target":
        """Check the fields and claim the key, before anything is stored."""
        caller, engine = self._caller, self._pipeline.engine
        try:
            template = self._template(fields)
            name, use = new_id(), None
            if caller.key is not None:
                name, use = self._use_of(caller.key, template)
        except InvalidRequest as error:
            raise FormError(error) from error
        check_may_name(template.patient_id, caller.principal)
        if template.patient_id is not None:
            with transaction(engine) as session:
                if not repository.share_patient(session, template.patient_id):
                    raise UnknownPatient
        known = claims.claim(engine, self._pipeline.settings, use) if use else None
        if known is not None:
            assert known.batch_id is not None
            self.replayed = True
            self.batch_id = known.batch_id
            return _Target(known.batch_id, name, template, use=None, first=None)
        batch_id = self._batch.id if self._batch else new_id()
        first = First(
            principal=caller.principal,
            batch_id=batch_id,
            is_new=self._batch is None,
            patient_id=template.patient_id,
            use=use,
        )
        return _Target(batch_id, name, template, use=use, first=first)

    def _template(self, fields: dict[str, str]) -> Upload:
        template = upload_without_file(fields)
        if self._batch is None:
            return template
        if template.patient_id not in (None, self._batch.patient_id):
            raise InvalidRequest("`patient_id` is the batch's own. Leave it out, or send that one.")
        return replace(template, patient_id=self._batch.patient_id)

    def _use_of(self, key: str, template: Upload) -> tuple[str, KeyUse]:
        """The name of the key's upload, and the key's use. Files are not known yet."""
        principal = self._caller.principal.id
        route = ADD_ROUTE if self._batch else CREATE_ROUTE
        print_ = claims.fingerprint(self._batch.id if self._batch else "", template.fields())
        use = claims.use_of(key, principal=principal, route=route, print_=print_)
        return upload_name(principal, route, key), use

    async def _take(self, target: "_Target", index: int, file: SentFile) -> None:
        await run_sync(self._take_file, target, index, file, limiter=FILES_IN_WORK)
        self.batch_id = target.batch_id

    def _take_file(self, target: "_Target", index: int, file: SentFile) -> None:
        place = BatchPlace(
            batch_id=target.batch_id,
            upload=target.name,
            upload_index=index,
            file=file.name,
            size=file.size,
            sha256=file.sha256,
            limits=self._limits,
            first=target.first if index == 0 else None,
        )
        try:
            if self.replayed:
                self._look_for(place)
            for attempt in patiently(_PATIENCE_S):
                with attempt:
                    self._make_item(place, file, target.template)
        except AlreadyBrought as known:
            if known.sha256 != file.sha256:
                raise IdempotencyConflict(
                    f"File {index + 1} of this request is not the one that came with the same key "
                    "before. Use a new key for other files."
                ) from known
        else:
            self._brought.append(index)

    def _make_item(self, place: BatchPlace, file: SentFile, template: Upload) -> None:
        """The file as a scan, or as an item with its problem."""
        sender = Sender(self._caller.principal, self._caller.request_id, place)
        try:
            if file.content is None:
                raise FileTooLarge
            upload = replace(
                template,
                content=file.content,
                declared_type=file.media_type,
                suffix=file.suffix,
            )
            self._intake.submit(upload, key=None, sender=sender)
        except (BadImage, PatientMismatch) as error:
            self._refuse(place, error)

    def _refuse(self, place: BatchPlace, error: NeuroscanError) -> None:
        with transaction(self._pipeline.engine) as session:
            position = place.reserve(session)
            session.add(place.item(position, problem=error.problem()))
        log.info("batch.file_refused", batch_id=place.batch_id, code=error.code)

    def _look_for(self, place: BatchPlace) -> None:
        """Raise `AlreadyBrought` before the work is done again."""
        with transaction(self._pipeline.engine) as session:
            sha256 = repository.brought(session, place.batch_id, place.upload, place.upload_index)
        if sha256 is not None:
            raise AlreadyBrought(sha256)

    def _take_back(self) -> None:
        """Remove what this request has brought, and the batch if this request made it."""
        target, by = self._target, self._caller.principal
        if target is None:
            return
        self._release()
        with transaction(self._pipeline.engine) as session:
            gone = repository.take_back(session, target.batch_id, target.name, self._brought)
            audit.note_deleted_scans(session, by, gone)
            made_here = target.first is not None and target.first.is_new
            if made_here and repository.delete_empty(session, target.batch_id):
                audit.note(session, by, Action.DELETED, ObjectKind.BATCH, target.batch_id)
                self.batch_id = None
        erase_scans(self._pipeline, gone, for_s=IN_REQUEST_S)

    def _release(self) -> None:
        """Forget the key, unless it is bound to the batch by now."""
        if self._target is not None and self._target.use is not None:
            claims.release(self._pipeline.engine, self._target.use)


def upload_name(principal: str, route: str, key: str) -> str:
    """The name of the upload that a key stands for: the same whenever it is sent again."""
    return hashlib.sha256("\n".join((principal, route, key)).encode()).hexdigest()[:32]


@dataclass(frozen=True)
class _Target:
    batch_id: str
    # See `BatchItem.upload`.
    name: str
    template: Upload
    use: KeyUse | None
    first: First | None
