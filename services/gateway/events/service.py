"""Feeds of scans and batches for whoever asks."""

from sqlalchemy import Engine

from services.gateway.auth.principal import Principal
from services.gateway.events.feeds import BatchFeed, Feed, ScanFeed
from services.gateway.scans.service import ScanService


class EventService:
    """Changes of scans and batches, over the ledger."""

    def __init__(self, engine: Engine, scans: ScanService) -> None:
        self._engine = engine
        self._scans = scans

    def of_scan(self, scan_id: str, by: Principal) -> Feed:
        """The changes of a scan."""
        return ScanFeed(self._engine, self._scans, scan_id, by)

    def of_batch(self, batch_id: str, by: Principal) -> Feed:
        """The changes of a batch's scans."""
        return BatchFeed(self._engine, batch_id, by)
