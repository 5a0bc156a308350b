"""The ledger's tables. A scan is a row, each of its stages is a row, each change is an event.

Tables are never used as request or response bodies: `table=True` models don't validate.
"""

from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    LargeBinary,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from neuroscan.contracts.enums import DeliveryState, ScanState, Sex, StageName, StageState
from neuroscan.ids import new_id

Json = dict[str, Any]

# The track of a scan's own four stages.
OWN_TRACK = ""

_ID = Uuid(as_uuid=False)
_TIME = DateTime(timezone=True)


def now() -> datetime:
    """The present, in UTC."""
    return datetime.now(UTC)


class Patient(SQLModel, table=True):
    """A person. The only table, besides the notes of a scan, that holds what names one."""

    __tablename__ = "patient"
    __table_args__ = (
        # For the search by a part of either.
        Index(
            "patient_name_parts",
            "name",
            postgresql_using="gin",
            postgresql_ops={"name": "gin_trgm_ops"},
        ),
        Index(
            "patient_number_parts",
            "medical_record_number",
            postgresql_using="gin",
            postgresql_ops={"medical_record_number": "gin_trgm_ops"},
        ),
        # For what many have in common: the first in the order of the answer are found at once.
        Index("patient_by_name", "name", "id"),
    )

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
        Index("scan_owner_newest", "owner", text("id DESC")),
        Index("scan_batch", "batch_id"),
        Index("scan_patient_picture", "patient_id", "sha256"),
        # A patient's history by the date of acquisition, else of arrival.
        Index(
            "scan_patient_acquired",
            "patient_id",
            text("coalesce(acquired_at, created_at) DESC"),
        ),
        Index("scan_duplicate_of", "duplicate_of"),
        # For retention, which would otherwise look at every scan that has lost its original.
        Index("scan_with_original", "id", postgresql_where=text("original_key IS NOT NULL")),
    )

    id: str = Field(default_factory=new_id, primary_key=True, sa_type=_ID)
    # The principal that sent it: `key:…` or `oidc:…`.
    owner: str
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
    batch_id: str | None = Field(
        default=None, sa_column=Column(_ID, ForeignKey("batch.id", ondelete="SET NULL"))
    )
    # The patient's first scan of the very same picture.
    duplicate_of: str | None = Field(
        default=None, sa_column=Column(_ID, ForeignKey("scan.id", ondelete="SET NULL"))
    )
    request_id: str
    image_format: str
    width: int
    height: int
    sha256: str
    # None once retention has removed the original.
    original_key: str | None
    original_media_type: str
    geometry: Json = Field(sa_type=JSONB)
    # What a DICOM file says that it is, one of the defined terms; None for any other.
    modality: str | None = None
    label: str | None = None


class Stage(SQLModel, table=True):
    """One stage of a scan: who works on it until when, and what came out.

    `track` is empty for the scan's own four stages; further work on the scan has a track of its
    own, named by the id of the `explanation` or `analysis` that asked for it.
    """

    __tablename__ = "stage"
    __table_args__ = (
        Index(
            "stage_queued",
            "published_at",
            postgresql_where=text("state = 'queued'"),
        ),
        Index("stage_waiting", "available_at", postgresql_where=text("state = 'queued'")),
        Index("stage_running", "lease_until", postgresql_where=text("state = 'running'")),
        Index("stage_started", "name", "started_at"),
        Index("stage_dead", "finished_at", postgresql_where=text("state = 'failed'")),
    )

    scan_id: str = Field(
        sa_column=Column(_ID, ForeignKey("scan.id", ondelete="CASCADE"), primary_key=True)
    )
    track: str = Field(default=OWN_TRACK, primary_key=True)
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
    """One change of a scan, in the order of changes; `track` is that of the stage."""

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
    track: str = OWN_TRACK
    stage: str | None = None
    stage_state: str | None = None


class IdempotencyKey(SQLModel, table=True):
    """A client's key: inserted before anything is stored, bound to what the request made.

    It goes with the scan, batch or patient that it made. `response` is the answer of a call whose
    result is not read anew, encrypted with the server's secret.
    """

    __tablename__ = "idempotency_key"

    principal: str = Field(primary_key=True)
    route: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    fingerprint: str
    bound: bool = False
    scan_id: str | None = Field(
        default=None, sa_column=Column(_ID, ForeignKey("scan.id", ondelete="CASCADE"), index=True)
    )
    batch_id: str | None = Field(
        default=None, sa_column=Column(_ID, ForeignKey("batch.id", ondelete="CASCADE"), index=True)
    )
    patient_id: str | None = Field(
        default=None,
        sa_column=Column(_ID, ForeignKey("patient.id", ondelete="CASCADE"), index=True),
    )
    response: bytes | None = Field(default=None, sa_type=LargeBinary)
    held_until: datetime = Field(sa_type=_TIME)
    expires_at: datetime = Field(sa_type=_TIME, index=True)


class Erasure(SQLModel, table=True):
    """Objects that must go: written with the rows' deletion, removed when the objects are gone."""

    __tablename__ = "erasure"

    prefix: str = Field(primary_key=True)
    asked_at: datetime = Field(default_factory=now, sa_type=_TIME)


class Explanation(SQLModel, table=True):
    """A further explanation of a scan; its work is the stage `explain` on the track of its id."""

    __tablename__ = "explanation"
    __table_args__ = (Index("explanation_scan", "scan_id", text("id DESC")),)

    id: str = Field(default_factory=new_id, primary_key=True, sa_type=_ID)
    scan_id: str = Field(
        sa_column=Column(_ID, ForeignKey("scan.id", ondelete="CASCADE"), nullable=False)
    )
    method: str | None = None
    layer: str | None = None
    asked_by: str
    created_at: datetime = Field(default_factory=now, sa_type=_TIME)


class Analysis(SQLModel, table=True):
    """A further analysis of a scan by the present model; its stages are on the track of its id."""

    __tablename__ = "analysis"
    __table_args__ = (Index("analysis_scan", "scan_id", text("id DESC")),)

    id: str = Field(default_factory=new_id, primary_key=True, sa_type=_ID)
    scan_id: str = Field(
        sa_column=Column(_ID, ForeignKey("scan.id", ondelete="CASCADE"), nullable=False)
    )
    asked_by: str
    created_at: datetime = Field(default_factory=now, sa_type=_TIME)


class Review(SQLModel, table=True):
    """A reader's verdict on a scan. Every one is kept; the newest counts."""

    __tablename__ = "review"
    __table_args__ = (
        Index("review_scan_newest", "scan_id", text("id DESC")),
        Index("review_at", "at"),
    )

    id: str = Field(default_factory=new_id, primary_key=True, sa_type=_ID)
    scan_id: str = Field(
        sa_column=Column(_ID, ForeignKey("scan.id", ondelete="CASCADE"), nullable=False)
    )
    principal: str
    label: str
    agrees: bool
    comment: str = ""
    # What the network had said, and which one.
    predicted: str
    model_sha256: str
    at: datetime = Field(default_factory=now, sa_type=_TIME)


class Batch(SQLModel, table=True):
    """Many slices that were sent together; `patient_id` is that of all of them."""

    __tablename__ = "batch"
    __table_args__ = (Index("batch_owner_newest", "owner", text("id DESC")),)

    id: str = Field(default_factory=new_id, primary_key=True, sa_type=_ID)
    owner: str
    patient_id: str | None = Field(
        default=None,
        sa_column=Column(_ID, ForeignKey("patient.id", ondelete="CASCADE"), index=True),
    )
    created_at: datetime = Field(default_factory=now, sa_type=_TIME)


class BatchItem(SQLModel, table=True):
    """One file of a batch: the scan that it became, or the problem with it.

    `upload` names the request that brought it and `upload_index` its place there, so that a
    request sent again finds what it has brought already. `file` is as the client named it and
    may name a person: never log it.
    """

    __tablename__ = "batch_item"
    __table_args__ = (UniqueConstraint("batch_id", "upload", "upload_index"),)

    batch_id: str = Field(
        sa_column=Column(_ID, ForeignKey("batch.id", ondelete="CASCADE"), primary_key=True)
    )
    position: int = Field(primary_key=True)
    upload: str
    upload_index: int
    file: str
    # Of the file as sent; the batch's bound counts it.
    size: int = Field(sa_type=BigInteger)
    sha256: str
    scan_id: str | None = Field(
        default=None, sa_column=Column(_ID, ForeignKey("scan.id", ondelete="CASCADE"), index=True)
    )
    problem: Json | None = Field(default=None, sa_type=JSONB)


class ApiKey(SQLModel, table=True):
    """A key of a program or a person: `secret_mac` is HMAC-SHA256 with the server's pepper."""

    __tablename__ = "api_key"

    id: str = Field(primary_key=True)
    name: str
    role: str
    secret_mac: str
    created_by: str
    created_at: datetime = Field(default_factory=now, sa_type=_TIME)
    expires_at: datetime | None = Field(default=None, sa_type=_TIME)
    last_used_at: datetime | None = Field(default=None, sa_type=_TIME)
    revoked_at: datetime | None = Field(default=None, sa_type=_TIME)


class BrowserSession(SQLModel, table=True):
    """A page's session, by the HMAC of its cookie. One that a key opened ends with that key."""

    __tablename__ = "browser_session"

    token_mac: str = Field(primary_key=True)
    principal: str
    role: str
    key_id: str | None = Field(
        default=None, sa_column=Column(ForeignKey("api_key.id", ondelete="CASCADE"))
    )
    created_at: datetime = Field(default_factory=now, sa_type=_TIME)
    expires_at: datetime = Field(sa_type=_TIME, index=True)


class LinkCode(SQLModel, table=True):
    """A code that opens one session, by its HMAC; removed when it is used."""

    __tablename__ = "link_code"

    code_mac: str = Field(primary_key=True)
    key_id: str = Field(
        sa_column=Column(ForeignKey("api_key.id", ondelete="CASCADE"), nullable=False)
    )
    expires_at: datetime = Field(sa_type=_TIME, index=True)


class Webhook(SQLModel, table=True):
    """Where to send notices of a principal's scans; the signing secret is encrypted."""

    __tablename__ = "webhook"

    id: str = Field(default_factory=new_id, primary_key=True, sa_type=_ID)
    owner: str
    # The owner's role when it was made: a submitter hears of own scans only.
    role: str
    url: str
    states: list[str] = Field(sa_type=JSONB)
    secret: bytes = Field(sa_type=LargeBinary)
    created_at: datetime = Field(default_factory=now, sa_type=_TIME)


class WebhookDelivery(SQLModel, table=True):
    """One notice to one webhook, written in the transaction of the change that it tells of.

    `payload` is the notice's data. A pending one is tried at `next_at`, which is moved ahead as a
    lease by whoever tries it. It goes with its scan: nothing is told of one that was deleted.
    """

    __tablename__ = "webhook_delivery"
    __table_args__ = (
        Index(
            "webhook_delivery_due",
            "webhook_id",
            "next_at",
            postgresql_where=text("state = 'pending'"),
        ),
        Index("webhook_delivery_newest", "webhook_id", text("id DESC")),
        Index("webhook_delivery_scan", "scan_id"),
        Index(
            "webhook_delivery_finished",
            "finished_at",
            postgresql_where=text("finished_at IS NOT NULL"),
        ),
    )

    id: str = Field(default_factory=new_id, primary_key=True, sa_type=_ID)
    webhook_id: str = Field(
        sa_column=Column(_ID, ForeignKey("webhook.id", ondelete="CASCADE"), nullable=False)
    )
    scan_id: str = Field(
        sa_column=Column(_ID, ForeignKey("scan.id", ondelete="CASCADE"), nullable=False)
    )
    payload: Json = Field(sa_type=JSONB)
    state: str = DeliveryState.PENDING
    attempts: int = 0
    next_at: datetime | None = Field(default_factory=now, sa_type=_TIME)
    status_code: int | None = None
    error: str | None = None
    created_at: datetime = Field(default_factory=now, sa_type=_TIME)
    finished_at: datetime | None = Field(default=None, sa_type=_TIME)


class Audit(SQLModel, table=True):
    """Who did what to which patient or scan: append-only, one partition a month.

    The application may insert and select; triggers refuse any other change, the owner's too.
    `fields` are names of changed fields, never values.
    """

    __tablename__ = "audit"
    __table_args__ = (
        Index("audit_object", "object_id", "principal", "at"),
        Index("audit_newest", text("at DESC")),
        Index("audit_principal", "principal", text("at DESC")),
        Index("audit_action", "action", text("at DESC")),
        Index("audit_object_kind", "object_kind", text("at DESC")),
        {"postgresql_partition_by": "RANGE (at)"},
    )

    id: str = Field(default_factory=new_id, primary_key=True, sa_type=_ID)
    at: datetime = Field(default_factory=now, sa_column=Column(_TIME, primary_key=True))
    principal: str
    action: str
    object_kind: str
    object_id: str | None = Field(default=None, sa_type=_ID)
    fields: list[str] = Field(default_factory=list, sa_type=JSONB)
    request_id: str | None = None


STAGE_ORDER = (StageName.CLASSIFY, StageName.EXPLAIN, StageName.MEASURE, StageName.REPORT)
