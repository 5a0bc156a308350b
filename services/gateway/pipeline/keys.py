"""Object keys: ids and fixed words only, so that no key can name a person."""

from neuroscan.contracts.enums import StageName

SCANS = "scans"
PATIENTS = "patients"
BATCHES = "batches"
ERASED = "erased"


def scan_prefix(scan_id: str) -> str:
    """Everything that belongs to a scan lies below this."""
    return f"{SCANS}/{scan_id}"


def patient_prefix(patient_id: str) -> str:
    """Stands for a patient in orders of erasure; no object lies below it."""
    return f"{PATIENTS}/{patient_id}"


def batch_prefix(batch_id: str) -> str:
    """Stands for a batch in orders of erasure; no object lies below it."""
    return f"{BATCHES}/{batch_id}"


def erased_key(prefix: str) -> str:
    """The empty object that says that what had this prefix was erased, whatever a restore says."""
    return f"{ERASED}/{prefix}"


def slice_key(scan_id: str) -> str:
    """The decoded slice, the only picture that other services see."""
    return f"{scan_prefix(scan_id)}/slice.png"


def thumbnail_key(scan_id: str) -> str:
    """A small picture for lists."""
    return f"{scan_prefix(scan_id)}/thumbnail.webp"


def original_key(scan_id: str) -> str:
    """The upload without what identifies the patient."""
    return f"{scan_prefix(scan_id)}/original"


def attempt_prefix(scan_id: str, stage: StageName, attempt: int, track: str = "") -> str:
    """Where an attempt writes; a worker appends its run, so that deliveries never collide."""
    place = f"{scan_prefix(scan_id)}/{track}" if track else scan_prefix(scan_id)
    return f"{place}/{stage}/{attempt}"
