"""Multipart bodies of batches, and a way to send them to the service without a server."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import anyio
from sqlalchemy import func
from sqlmodel import SQLModel, select
from starlette.requests import ClientDisconnect

from neuroscan.contracts.batch import BatchView
from neuroscan.contracts.enums import Role
from neuroscan.imaging.pool import DecodePool
from services.gateway.auth.principal import Principal
from services.gateway.batches import repository
from services.gateway.batches.multipart import read_parts
from services.gateway.batches.place import Limits
from services.gateway.batches.service import BatchService
from services.gateway.batches.upload import BatchUpload, Caller
from services.gateway.db.session import transaction
from services.gateway.pipeline.assembly import Pipeline
from services.gateway.scans.intake import Intake
from tests import pictures

BOUNDARY = b"frontier"
CONTENT_TYPE = "multipart/form-data; boundary=frontier"
END = b"--frontier--\r\n"
SENDER = Principal("key:sender", Role.SUBMITTER)
OTHER = Principal("key:other", Role.SUBMITTER)
CLINICIAN = Principal("key:clinician", Role.CLINICIAN)

Files = Sequence[tuple[str, bytes]]
PICTURES = [pictures.png(pictures.head(size=64, seed=seed)) for seed in range(12)]


def text(name: str, value: str) -> bytes:
    """A field."""
    return _part(f'name="{name}"', value.encode())


def file(name: str, content: bytes, form_name: str = "images") -> bytes:
    """A file."""
    return _part(f'name="{form_name}"; filename="{name}"', content)


def form(files: Files, **fields: str) -> list[bytes]:
    """A whole body, a piece for each part."""
    parts = [text(name, value) for name, value in fields.items()]
    return [*parts, *(file(name, content) for name, content in files), END]


def _part(disposition: str, content: bytes) -> bytes:
    head = f"Content-Disposition: form-data; {disposition}".encode()
    return b"--" + BOUNDARY + b"\r\n" + head + b"\r\n\r\n" + content + b"\r\n"


@dataclass
class Desk:
    """A batch service on a test's own ledger and store."""

    pipeline: Pipeline
    decoder: DecodePool
    limits: Limits = field(default_factory=Limits)

    @property
    def service(self) -> BatchService:
        """Reads."""
        return BatchService(self.pipeline, Intake(self.pipeline, self.decoder))

    def send(
        self,
        pieces: Sequence[bytes],
        *,
        key: str | None = None,
        by: Principal = SENDER,
        to: str | None = None,
        breaks: bool = False,
    ) -> BatchUpload:
        """Send a body; with `breaks` the connection ends after its last piece."""
        upload = self.upload(key=key, by=by, to=to)
        anyio.run(partial(self.run, upload, pieces, breaks=breaks))
        return upload

    def upload(
        self, *, key: str | None = None, by: Principal = SENDER, to: str | None = None
    ) -> BatchUpload:
        """A request that has not sent anything yet."""
        batch = None
        if to is not None:
            with transaction(self.pipeline.engine) as session:
                batch = repository.visible(session, to, by)
        return BatchUpload(
            self.pipeline,
            Intake(self.pipeline, self.decoder),
            Caller(by, "request-1", key),
            batch=batch,
            limits=self.limits,
        )

    async def run(
        self, upload: BatchUpload, pieces: Sequence[bytes], *, breaks: bool = False
    ) -> None:
        """Send a body through an upload."""
        await upload.run(read_parts(_stream(pieces, breaks=breaks), CONTENT_TYPE))

    def read(self, upload: BatchUpload, by: Principal = SENDER) -> BatchView:
        """The batch that an upload made."""
        assert upload.batch_id is not None
        return self.service.get(upload.batch_id, by)[0]


def some(count: int) -> Files:
    """So many files, named by their place."""
    return [(f"slice {number}.png", PICTURES[number]) for number in range(count)]


def rows(desk: Desk, table: type[SQLModel]) -> int:
    """How many rows a table has."""
    with transaction(desk.pipeline.engine) as session:
        return session.exec(select(func.count()).select_from(table)).one()


async def _stream(pieces: Sequence[bytes], *, breaks: bool) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece
    if breaks:
        raise ClientDisconnect
