"""Settings from the environment, one class a concern; every service reads only what it names."""

import os
import re
from datetime import timedelta
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, ClassVar, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationInfo, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from neuroscan.contracts.enums import Role
from neuroscan.contracts.report import PageSize
from neuroscan.process import available_cores

REPOSITORY = Path(__file__).resolve().parent.parent
# The one line that names the model in use when nobody chooses another.
SHIPPED_BUNDLE = REPOSITORY / "models" / "transfer"
SECRET_LENGTH_MIN = 32
PASSWORD_LENGTH_MIN = 16
# After so long a task is ended by force.
TASK_TIME_LIMIT_S = 25
_DIFFERENT_CHARACTERS_MIN = 8
_SECONDS = re.compile(r"\d+(\.\d+)?", re.ASCII)
_WITH_PASSWORDS = ("postgresql+psycopg", "postgresql", "redis", "rediss")

_Positive = Annotated[timedelta, Field(gt=timedelta(0))]


class _Files(PydanticBaseSettingsSource):
    """What `NAME_FILE` names, for the fields that a class lists: secrets stay out of environments.

    Raises `ValueError` when such a file can't be read.
    """

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[object, str, bool]:  # noqa: ARG002
        variable = f"{field_name.upper()}_FILE"
        name = os.environ.get(variable, "")
        if not name:
            return None, field_name, False
        try:
            return Path(name).read_text(encoding="utf-8").strip(), field_name, False
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"The file that {variable} names can't be read.") from error

    def __call__(self) -> dict[str, object]:
        names: tuple[str, ...] = getattr(self.settings_cls, "from_files", ())
        fields = self.settings_cls.model_fields
        read = {name: self.get_field_value(fields[name], name)[0] for name in names}
        return {name: value for name, value in read.items() if value}


class _FromEnvironment(BaseSettings):
    # Inputs hold passwords: errors don't repeat them.
    model_config = SettingsConfigDict(
        env_prefix="", extra="ignore", frozen=True, hide_input_in_errors=True
    )

    # Fields that `NAME_FILE` may name a file for; those that have no default in production.
    from_files: ClassVar[tuple[str, ...]] = ()
    required_in_production: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, _Files(settings_cls)

    @field_validator("*", mode="before")
    @classmethod
    def _read_seconds(cls, value: object, info: ValidationInfo) -> object:
        """A bare number is one of seconds, where a duration is asked for."""
        field = cls.model_fields[info.field_name or ""]
        plain = isinstance(value, str) and _SECONDS.fullmatch(value.strip())
        return float(str(value)) if plain and field.annotation is timedelta else value

    @model_validator(mode="after")
    def _refuse_defaults(self) -> Self:
        if not in_production():
            return self
        for name in self.required_in_production:
            variable = name.upper()
            if name not in self.model_fields_set:
                other = f" or {variable}_FILE" if name in self.from_files else ""
                raise ValueError(
                    f"{variable}{other} must be set: there is no default outside development."
                )
            if name.endswith("_url") and not _has_strong_password(getattr(self, name)):
                raise ValueError(
                    f"{variable} must hold a password of {PASSWORD_LENGTH_MIN} characters at "
                    "least (deploy/scripts/make-secrets makes one)."
                )
        return self


def in_production() -> bool:
    """Whether `NEUROSCAN_ENVIRONMENT` says that this is no developer's machine; images say so."""
    return os.environ.get("NEUROSCAN_ENVIRONMENT", "development") != "development"


def _has_strong_password(url: str | None) -> bool:
    """Whether a URL of a server in the network has one; a file or socket needs none."""
    parts = urlsplit(url or "")
    if parts.scheme not in _WITH_PASSWORDS or not parts.hostname:
        return True
    return len(parts.password or "") >= PASSWORD_LENGTH_MIN and is_varied(parts.password or "")


def is_varied(secret: str) -> bool:
    """False for what people type in place of a secret: a word again and again."""
    return len(set(secret)) >= _DIFFERENT_CHARACTERS_MIN


class LogSettings(_FromEnvironment):
    """`LOG_LEVEL`, `LOG_FORMAT` (json or console)."""

    log_level: str = "INFO"
    log_format: str = "json"


class MetricsSettings(_FromEnvironment):
    """`METRICS_PORT`, on which Prometheus reads the process; not served without. `HOST`."""

    host: str = "127.0.0.1"
    metrics_port: int | None = Field(default=None, ge=0, le=65535)

    @field_validator("metrics_port", mode="before")
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        return None if value == "" else value


class TraceSettings(_FromEnvironment):
    """`OTEL_EXPORTER_OTLP_ENDPOINT`: the collector. OpenTelemetry's own variables hold too."""

    otel_exporter_otlp_endpoint: str = ""
    otel_exporter_otlp_traces_endpoint: str = ""
    otel_sdk_disabled: bool = False

    @property
    def wanted(self) -> bool:
        """Whether spans are recorded."""
        endpoint = self.otel_exporter_otlp_traces_endpoint or self.otel_exporter_otlp_endpoint
        return bool(endpoint) and not self.otel_sdk_disabled


class BrokerSettings(_FromEnvironment):
    """`BROKER_URL` (or `BROKER_URL_FILE`), as Celery takes it: redis://… or redis+socket:///path."""

    from_files = ("broker_url",)
    required_in_production = ("broker_url",)

    broker_url: str = "redis://127.0.0.1:6379/0"

    @property
    def client_url(self) -> str:
        """The same broker, as redis-py takes it."""
        return self.broker_url.replace("redis+socket://", "unix://", 1)


class StoreSettings(_FromEnvironment):
    """`OBJECT_STORE_URL`: file:///folder, s3://bucket/prefix, or memory:// in tests.

    For S3 also `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, or these with `_FILE` behind, and
    `AWS_ALLOW_HTTP` for a store without TLS. What else one needs (`AWS_ENDPOINT`, `AWS_REGION`, …)
    obstore takes from the environment.
    """

    from_files = ("aws_access_key_id", "aws_secret_access_key")
    required_in_production = ("object_store_url",)

    object_store_url: str = f"file://{REPOSITORY / 'neuroscan-data' / 'objects'}"
    aws_access_key_id: SecretStr | None = None
    aws_secret_access_key: SecretStr | None = None
    aws_allow_http: bool = False


class EngineName(StrEnum):
    """What runs the network; `auto` is ONNX Runtime on the CPU where installed, else torch."""

    AUTO = "auto"
    TORCH = "torch"
    ONNXRUNTIME = "onnxruntime"


class Precision(StrEnum):
    """What the network computes in; `auto` is float16 on a GPU that has it, else float32."""

    AUTO = "auto"
    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"


class ModelSettings(_FromEnvironment):
    """`MODEL_BUNDLE`, `DEVICE` (auto, cpu, cuda), `INFERENCE_ENGINE`, `TORCH_THREADS`.

    The engine is auto, torch or onnxruntime; the explain worker uses it up to the explained layer.
    """

    model_bundle: Path = SHIPPED_BUNDLE
    device: str = "auto"
    inference_engine: EngineName = EngineName.AUTO
    torch_threads: int = Field(default=1, ge=1)


class InferenceSettings(ModelSettings):
    """`INFERENCE_PRECISION`, and the micro-batcher's bounds.

    `TORCH_THREADS` are the engine's, whichever it is; all cores that the process has when not set.
    `BATCH_MAX` bounds a batch where the engine would take a larger one.
    """

    torch_threads: int = Field(default_factory=available_cores, ge=1)
    inference_precision: Precision = Precision.AUTO

    batch_max: int = Field(default=64, ge=1)
    batch_wait: timedelta = Field(default=timedelta(milliseconds=2), ge=timedelta(0))
    queue_max: int = Field(default=256, ge=1)
    item_deadline: _Positive = timedelta(seconds=10)


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
        if in_production() and not is_varied(secret):
            raise ValueError("SERVER_SECRET is not random. Make one with: openssl rand -hex 32")
        return secret


class DatabaseSettings(_FromEnvironment):
    """`DATABASE_URL` of the application's role, `DATABASE_OWNER_URL` of the role that owns tables.

    Without the second the first does both, and the audit has its triggers only. Either may stand
    in a file, named by `DATABASE_URL_FILE` and `DATABASE_OWNER_URL_FILE`.
    """

    from_files = ("database_url", "database_owner_url")
    required_in_production: ClassVar[tuple[str, ...]] = ("database_url",)

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
    maintenance_every: _Positive = timedelta(hours=1)

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

    required_in_production = ("database_url", "allowed_hosts")

    inference_url: str = "http://127.0.0.1:8001"
    reports_url: str = "http://127.0.0.1:8002"
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = ("127.0.0.1", "localhost", "[::1]")
    decode_processes: int = Field(default=1, ge=1)
    decode_timeout: _Positive = timedelta(seconds=20)
    decode_memory_mib: int = Field(default=2048, ge=1)
    inline_classify_limit: _Positive = timedelta(seconds=2)
    report_limit: _Positive = timedelta(seconds=30)
    summary_limit: _Positive = timedelta(seconds=45)
    report_page_size: PageSize = PageSize.A4
    publish_limit: _Positive = timedelta(milliseconds=500)
    attempts_max: int = Field(default=3, ge=1)
    # Longer than a task may take, else work that goes on is given to another as well.
    lease: timedelta = Field(default=timedelta(seconds=30), gt=timedelta(seconds=TASK_TIME_LIMIT_S))
    classify_lease: _Positive = timedelta(seconds=10)
    sweep_every: _Positive = timedelta(seconds=2)
    marker_grace: timedelta = Field(default=timedelta(seconds=5), ge=timedelta(0))
    queue_stalled_after: _Positive = timedelta(seconds=60)
    idempotency_lifetime: _Positive = timedelta(hours=24)
    # What one caller may send a minute.
    requests_per_minute: int = Field(default=6000, ge=1)
    # New work is refused while a single scan has waited longer than this for a worker.
    backlog_max: _Positive = timedelta(minutes=10)

    @field_validator("allowed_hosts", mode="before")
    @classmethod
    def _split_hosts(cls, value: object) -> object:
        """`ALLOWED_HOSTS` is a list of names with commas between them."""
        return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value

    @property
    def report_wait(self) -> timedelta:
        """How long a report is waited for; the rest of its limit is for storing it."""
        return self.report_limit * 0.8

    @model_validator(mode="after")
    def _check_leases(self) -> Self:
        """What may still come must not be taken for lost."""
        if self.report_wait >= self.lease:
            raise ValueError("LEASE must be longer than four fifths of REPORT_LIMIT.")
        if self.inline_classify_limit >= self.classify_lease:
            raise ValueError("CLASSIFY_LEASE must be longer than INLINE_CLASSIFY_LIMIT.")
        return self


class WebhookSettings(_FromEnvironment):
    """`WEBHOOK_ALLOWED_NETWORKS`: where notices may go beside public addresses, HTTP included.

    Networks with commas between them, as in `10.0.0.0/8,127.0.0.0/8`; none by default.
    """

    webhook_allowed_networks: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode] = ()

    @field_validator("webhook_allowed_networks", mode="before")
    @classmethod
    def _split_networks(cls, value: object) -> object:
        return (
            tuple(filter(None, map(str.strip, value.split(","))))
            if isinstance(value, str)
            else value
        )


class OidcSettings(_FromEnvironment):
    """The identity provider whose tokens are taken beside API keys; none without `OIDC_ISSUER`.

    `OIDC_AUDIENCE` is what a token's `aud` must hold. `OIDC_JWKS_URL` is found by the issuer's
    discovery document when it is not set. `OIDC_ROLES` maps values of the claim `OIDC_ROLE_CLAIM`
    (dots lead into objects: `realm_access.roles`) to roles: `neuroscan-admins=admin,readers=...`.
    """

    oidc_issuer: str | None = None
    oidc_audience: str | None = None
    oidc_jwks_url: str | None = None
    oidc_role_claim: str = "roles"
    oidc_roles: Annotated[dict[str, Role], NoDecode] = {}

    @field_validator("oidc_issuer", "oidc_audience", "oidc_jwks_url", mode="before")
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        return value or None

    @field_validator("oidc_issuer", "oidc_jwks_url")
    @classmethod
    def _check_url(cls, value: str | None) -> str | None:
        if value and not is_https_or_loopback(value):
            raise ValueError("must begin with https:// (http:// on loopback only)")
        return value

    @field_validator("oidc_roles", mode="before")
    @classmethod
    def _split_roles(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        pairs = [part.rpartition("=") for part in value.split(",") if part.strip()]
        return {claim.strip(): role.strip() for claim, _, role in pairs}

    @model_validator(mode="after")
    def _check_complete(self) -> Self:
        if self.oidc_issuer and not (self.oidc_audience and self.oidc_roles):
            raise ValueError("OIDC_ISSUER needs OIDC_AUDIENCE and OIDC_ROLES beside it.")
        return self


def is_https_or_loopback(url: str) -> bool:
    """Whether what is read from a URL can't be changed on its way."""
    parts = urlsplit(url)
    local = parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost", "::1")
    return bool(parts.hostname) and (parts.scheme == "https" or local)
