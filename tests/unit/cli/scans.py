"""A scan as a server would answer it."""

from datetime import UTC, datetime

from neuroscan.contracts.enums import ImageFormat, ScanState
from neuroscan.contracts.geometry import Geometry
from neuroscan.contracts.scan import ImageFacts, ScanView

SCAN_ID = "01a20799-1d32-7679-bbac-7bb66bc7ee01"


def scan_view(state: ScanState = ScanState.COMPLETED, version: int = 1) -> ScanView:
    """A scan without results."""
    now = datetime.now(UTC)
    return ScanView(
        id=SCAN_ID,
        version=version,
        state=state,
        reference=None,
        patient_id=None,
        created_at=now,
        updated_at=now,
        acquired_at=None,
        image=ImageFacts(
            format=ImageFormat.PNG, width=64, height=64, sha256="0" * 64, geometry=Geometry()
        ),
        stages=[],
    )
