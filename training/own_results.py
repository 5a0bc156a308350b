"""Results that reach a card are those of its own bundle: its weights and its settings."""

from collections.abc import Mapping
from dataclasses import asdict

from neuroscan.network.bundle import Description
from training.errors import DataError
from training.evaluation import rounded
from training.settings import settings_of


def require_own(figures: Mapping[str, object], description: Description, what: str) -> None:
    """Raises `DataError` when what the figures say of their bundle is not said of this one.

    `figures` is a result's JSON or dataclass as a mapping; keys that it lacks are not looked at.
    """
    decoder = description.segmentation
    own: dict[str, tuple[str, object]] = {
        "sha256": ("weights", description.sha256),
        "segmenter_sha256": ("weights", decoder.sha256 if decoder else None),
        "settings": ("settings", asdict(settings_of(description))),
        "chosen": ("settings", asdict(description.explanation)),
    }
    for key, (kind, expected) in own.items():
        if key in figures and rounded(figures[key]) != rounded(expected):
            raise DataError(f"the results of {what} are of other {kind}; measure this bundle first")
