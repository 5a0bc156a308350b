"""An upload as the form gives it, with nothing told that needs not be."""

from neuroscan.contracts.enums import DisplayConvention
from services.gateway.scans.intake import Upload
from tests import pictures


def upload(patient_id: str | None = None) -> Upload:
    """A small picture, of nobody or of a patient."""
    return Upload(
        content=pictures.png(),
        declared_type="image/png",
        suffix=None,
        patient_id=patient_id,
        reference=None,
        frame=None,
        acquired_at=None,
        spacing_mm=None,
        convention=DisplayConvention.UNKNOWN,
        notes=None,
    )
