"""Settings from the environment, one class a concern; every service reads only what it names."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from neuroscan.contracts.report import PageSize

REPOSITORY = Path(__file__).resolve().parent.parent
# The one line that names the model in use when nobody chooses another.
SHIPPED_BUNDLE = REPOSITORY / "models" / "guided"
SECRET_LENGTH_MIN = 32


class _FromEnvironment(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="", extra="ignore", frozen=True)


class LogSettings(_FromEnvironment):
    """`LOG_LEVEL`, `LOG_FORMAT` (json or console)."""

    log_level: str = "INFO"
    log_format: str = "json"


class BrokerSettings(_FromEnvironment):
    """`BROKER_URL`, as Celery takes it: redis://… or redis+socket:///path."""

    broker_url: str = "redis://127.0.0.1:6379/0"

    @property
    def client_url(self) -> str:
        """The same broker, as redis-py takes it."""
        return self.broker_url.replace("redis+socket://", "unix://", 1)


class StoreSettings(_FromEnvironment):
    """`OBJECT_STORE_URL`: file:///folder, s3://bucket/prefix, or memory:// in tests."""

    object_store_url: str = f"file://{REPOSITORY / 'neuroscan-data' / 'objects'}"


class ModelSettings(_FromEnvironment):
    """`MODEL_BUNDLE`, `DEVICE` (auto, cpu, cuda), `TORCH_THREADS`."""

    model_bundle: Path = SHIPPED_BUNDLE
    device: str = "auto"
    torch_threads: int = Field(default=1, ge=1)


class InferenceSettings(ModelSettings):
    """The micro-batcher's bounds."""

    batch_max: int = Field(default=16, ge=1)
    batch_wait: timedelta = timedelta(milliseconds=2)
    queue_max: int = Field(default=256, ge=1)
    item_deadline: timedelta = timedelta(seconds=10)


class SecretSettings(_FromEnvironment):
    """`SERVER_SECRET`, or `SERVER_SECRET_FILE` that holds it: at least 32 characters, no default.

    Changing it ends every key, session and webhook secret.
    """

    server_secret: SecretStr | None = None
    server_secret_file: Path | None = None

    def read(self) -> str:
        """The secret; raises `ValueError` when there is none or it is too short."""
        secret = self.server_secret.get_secret_value() if self.server_secret else ""
        if not secret and self.server_secret_file:
            secret = self.server_secret_file.read_text(encoding="utf-8").strip()
        if len(secret) < SECRET_LENGTH_MIN:
            raise ValueError(
                f"SERVER_SECRET (or SERVER_SECRET_FILE) must hold {SECRET_LENGTH_MIN} characters "
                "at least. Make one with: openssl rand -hex 32"
            )
        return secret


class DatabaseSettings(_FromEnvironment):
    """`DATABASE_URL` of the application's role, `DATABASE_OWNER_URL` of the role that owns tables.

    Without the second the first does both, and the audit has its triggers only.
    """

    database_url: str = "postgresql+psycopg://neuroscan@127.0.0.1/neuroscan"
    database_owner_url: str | None = None


class RetentionSettings(_FromEnvironment):
    """How long things are kept; not set: for ever.

    `KEEP_ORIGINALS` (the uploads themselves), `KEEP_RESULTS` (scans with everything made of them),
    `KEEP_AUDIT` (whole months of the audit): a number of days, as in `90`, or an ISO 8601 duration,
    as in `P90D`; a day at least. `MAINTENANCE_EVERY` says how often this is looked after.
    """

    keep_originals: timedelta | None = Field(default=None, ge=timedelta(days=1))
    keep_results: timedelta | None = Field(default=None, ge=timedelta(days=1))
    keep_audit: timedelta | None = Field(default=None, ge=timedelta(days=1))
    maintenance_every: timedelta = Field(default=timedelta(hours=1), gt=timedelta(0))

    @field_validator("keep_originals", "keep_results", "keep_audit", mode="before")
    @classmethod
    def _read_days(cls, value: object) -> object:
        """A bare number is one of days, where pydantic takes seconds; an empty text is not set."""
        if not isinstance(value, str):
            return value
        text = value.strip()
        return f"P{text}D" if text.isdecimal() else text or None


class GatewaySettings(DatabaseSettings):
    """The gateway and its recorder."""

    inference_url: str = "http://127.0.0.1:8001"
    reports_url: str = "http://127.0.0.1:8002"
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = ("127.0.0.1", "localhost", "[::1]")
    decode_processes: int = Field(default=1, ge=1)
    decode_timeout: timedelta = timedelta(seconds=20)
    decode_memory_mib: int = 2048
    inline_classify_limit: timedelta = timedelta(seconds=2)
    report_limit: timedelta = timedelta(seconds=30)
    report_page_size: PageSize = PageSize.A4
    publish_limit: timedelta = timedelta(milliseconds=500)
    attempts_max: int = Field(default=3, ge=1)
    lease: timedelta = timedelta(seconds=30)
    classify_lease: timedelta = timedelta(seconds=10)
    sweep_every: timedelta = timedelta(seconds=2)
    marker_grace: timedelta = timedelta(seconds=5)
    queue_stalled_after: timedelta = timedelta(seconds=60)
    idempotency_lifetime: timedelta = timedelta(hours=24)
    # What one caller may send a minute.
    requests_per_minute: int = Field(default=6000, ge=1)
    # New work is refused while a single scan has waited longer than this for a worker.
    backlog_max: timedelta = timedelta(minutes=10)

    @field_validator("allowed_hosts", mode="before")
    @classmethod
    def _split_hosts(cls, value: object) -> object:
        """`ALLOWED_HOSTS` is a list of names with commas between them."""
        return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value
