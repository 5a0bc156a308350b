"""What the event streams tell of (docs/api.md, `/events`)."""

from datetime import datetime

from neuroscan.contracts.base import Contract
from neuroscan.contracts.batch import ByState
from neuroscan.contracts.enums import ScanState, StageName, StageState


class ScanChange(Contract):
    """One change of a scan. `stage` is what moved, null where the scan itself did.

    `track` is null for one of the scan's own stages, else the explanation's or analysis's id, or
    the scan's own id for a report that is made anew.
    """

    sequence: int
    version: int
    state: ScanState
    track: str | None = None
    stage: StageName | None
    stage_state: StageState | None
    at: datetime


class BatchChange(ScanChange):
    """One change of one of a batch's scans."""

    scan_id: str


class BatchProgress(Contract):
    """A batch's files by state."""

    id: str
    sequence: int
    total: int
    by_state: ByState
