"""Object keys: ids and fixed words only, so that no key can name a person."""

from neuroscan.contracts.enums import StageName


def scan_prefix(scan_id: str) -> str:
    """Everything that belongs to a scan lies below this."""
    return f"scans/{scan_id}"


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
