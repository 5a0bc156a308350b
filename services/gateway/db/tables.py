"""The ledger's tables. A scan is a row, each of its stages is a row, each change is an event.

Tables are never used as request or response bodies: `table=True` models don't validate.
"""

from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import BigInteger, Column, DateTime, ForeignKey, Identity, Index, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from neuroscan.contracts.enums import ScanState, Sex, StageName, StageState
from neuroscan.ids import new_id

Json = dict[str, Any]

_ID = Uuid(as_uuid=False)
_TIME = DateTime(timezone=True)


def now() -> datetime:
    """The present, in UTC."""
    return datetime.now(UTC)


class Patient(SQLModel, table=True):
    """A person. The only table, besides the notes of a scan, that holds what names one."""

    __tablename__ = "patient"

    id: str = Field(default_factory=new_id, primary_key=True, sa_type=_ID)
    medical_record_number: str = Field(unique=True)
    name: str | None = None
    birth_date: date | None = None
    sex: str = Sex.UNKNOWN
    notes: str = ""
    created_at: datetime = Field(default_factory=now, sa_type=_TIME)
    updated_at: datetime = Field(default_factory=now, sa_type=_TIME)


class Scan(SQLModel, table=True):
    """One slice and how far it has come. `version` grows with every change a client can see."""

    __tablename__ = "scan"
    __table_args__ = (
        Index("scan_newest", text("id DESC")),
        Index("scan_patient_newest", "patient_id", text("id DESC")),
        Index("scan_state_newest", "state", text("id DESC")),
        Index("scan_label_newest", "label", text("id DESC")),
        Index("scan_reference_newest", "reference", text("id DESC")),
    )

    id: str = Field(default_factory=new_id, primary_key=True, sa_type=_ID)
    version: int = 1
    state: str = ScanState.RECEIVED
    reference: str | None = None
    patient_id: str | None = Field(
        default=None, sa_column=Column(_ID, ForeignKey("patient.id", ondelete="CASCADE"))
    )
    created_at: datetime = Field(default_factory=now, sa_type=_TIME)
    updated_at: datetime = Field(default_factory=now, sa_type=_TIME)
    acquired_at: datetime | None = Field(default=None, sa_type=_TIME)
    notes: str | None = None
    request_id: str
    image_format: str
    width: int
    height: int
    sha256: str
    original_key: str
    original_media_type: str
    geometry: Json = Field(sa_type=JSONB)
    label: str | None = None


class Stage(SQLModel, table=True):
    """One stage of a scan: who works on it until when, and what came out."""

    __tablename__ = "stage"
    __table_args__ = (
        Index(
            "stage_queued",
            "published_at",
            postgresql_where=text("state = 'queued'"),
        ),
        Index("stage_running", "lease_until", postgresql_where=text("state = 'running'")),
        Index("stage_started", "name", "started_at"),
    )

    scan_id: str = Field(
        sa_column=Column(_ID, ForeignKey("scan.id", ondelete="CASCADE"), primary_key=True)
    )
    name: str = Field(primary_key=True)
    state: str = StageState.WAITING
    attempt: int = 1
    available_at: datetime = Field(default_factory=now, sa_type=_TIME)
    published_at: datetime | None = Field(default=None, sa_type=_TIME)
    lease_until: datetime | None = Field(default=None, sa_type=_TIME)
    started_at: datetime | None = Field(default=None, sa_type=_TIME)
    finished_at: datetime | None = Field(default=None, sa_type=_TIME)
    input_digest: str = ""
    code_version: str | None = None
    model_version: str | None = None
    prefix: str | None = None
    output: Json | None = Field(default=None, sa_type=JSONB)
    problem: Json | None = Field(default=None, sa_type=JSONB)


class ScanEvent(SQLModel, table=True):
    """One change of a scan, in the order of changes."""

    __tablename__ = "scan_event"
    __table_args__ = (Index("scan_event_scan", "scan_id", "sequence"),)

    sequence: int | None = Field(
        default=None, sa_column=Column(BigInteger, Identity(always=True), primary_key=True)
    )
    scan_id: str = Field(
        sa_column=Column(_ID, ForeignKey("scan.id", ondelete="CASCADE"), nullable=False)
    )
    at: datetime = Field(default_factory=now, sa_type=_TIME)
    version: int
    state: str
    stage: str | None = None
    stage_state: str | None = None


class IdempotencyKey(SQLModel, table=True):
    """A client's key: inserted before anything is stored, bound to a scan when there is one."""

    __tablename__ = "idempotency_key"

    principal: str = Field(primary_key=True)
    route: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    fingerprint: str
    scan_id: str | None = Field(
        default=None, sa_column=Column(_ID, ForeignKey("scan.id", ondelete="CASCADE"))
    )
    held_until: datetime = Field(sa_type=_TIME)
    expires_at: datetime = Field(sa_type=_TIME, index=True)


class Erasure(SQLModel, table=True):
    """Objects that must go: written with the rows' deletion, removed when the objects are gone."""

    __tablename__ = "erasure"

    prefix: str = Field(primary_key=True)
    asked_at: datetime = Field(default_factory=now, sa_type=_TIME)


STAGE_ORDER = (StageName.CLASSIFY, StageName.EXPLAIN, StageName.MEASURE, StageName.REPORT)
