"""The pipeline as gateway and recorder hold it: ledger, store, broker, inference, reports."""

from dataclasses import dataclass
from typing import Self

from sqlalchemy import Engine
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from neuroscan.contracts.problems import Unavailable
from neuroscan.settings import BrokerSettings, GatewaySettings, StoreSettings
from neuroscan.storage import Storage, open_storage
from neuroscan.telemetry import get_logger
from services.gateway.db.session import make_engine, transaction
from services.gateway.pipeline import record
from services.gateway.pipeline.clients import InferenceClient, ReportsClient
from services.gateway.pipeline.publish import Publisher, Sending

DATABASE_PATIENCE_S = 15.0

log = get_logger(__name__)


def patiently(limit_s: float) -> Retrying:
    """Attempts at something that raises `Unavailable`, for so long; the last one's is raised."""
    return Retrying(
        retry=retry_if_exception_type(Unavailable),
        stop=stop_after_delay(limit_s),
        wait=wait_fixed(0.5),
        reraise=True,
    )


@dataclass(frozen=True)
class Pipeline:
    """What the recorder and the gateway work with."""

    engine: Engine
    storage: Storage
    publisher: Publisher
    inference: InferenceClient
    reports: ReportsClient
    settings: GatewaySettings

    @classmethod
    def open(cls, settings: GatewaySettings, *, pool_size: int = 10) -> Self:
        """Connect to everything that the environment names."""
        engine = make_engine(settings.database_url, pool_size=pool_size)
        return cls(
            engine=engine,
            storage=open_storage(StoreSettings()),
            publisher=Publisher(BrokerSettings(), engine, settings.publish_limit),
            inference=InferenceClient(settings),
            reports=ReportsClient(settings),
            settings=settings,
        )

    def close(self) -> None:
        """Release threads and connections."""
        self.publisher.close()
        self.inference.close()
        self.reports.close()
        self.engine.dispose()

    def follow(self, recorded: record.Recorded, sending: Sending | None = None) -> None:
        """Do what follows from a record, after its commit."""
        self.publisher.send_soon(sending)
        if recorded.discard:
            try:
                self.storage.delete_prefix(recorded.discard)
            except Unavailable:
                # The reconciler finds them a day later. Raising would bring the message back, and a
                # failure told again would take the stage back from whoever works on it by now.
                log.warning("objects.left", prefix=recorded.discard)

    def save(self, result: record.StageResult) -> None:
        """Record a stage's result and do what follows; waits a while for a lost database."""
        for attempt in patiently(DATABASE_PATIENCE_S):
            with attempt:
                follows = self._record(result)
        self.follow(*follows)

    def save_at_once(self, result: record.StageResult) -> None:
        """The same, without any patience for the database: raises `Unavailable`."""
        self.follow(*self._record(result))

    def _record(self, result: record.StageResult) -> tuple[record.Recorded, Sending | None]:
        with transaction(self.engine) as session:
            recorded = record.record(session, result)
            return recorded, self.publisher.prepare(session, recorded)
