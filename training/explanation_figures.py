"""What a comparison of explanation methods found, as it stands in `explanations.json`."""

from dataclasses import dataclass

from training.metrics import Estimate
from training.settings import Settings


@dataclass(frozen=True)
class SharpnessOfClass:
    """Mean sharpness over slices of one class that have positive evidence."""

    name: str
    sharpness: Estimate | None


@dataclass(frozen=True)
class MethodFigures:
    """One method at one layer; `pointing` and `energy` are over the masked slices."""

    method: str
    layer: str
    without_evidence: int
    sharpness: tuple[SharpnessOfClass, ...]
    pointing: Estimate | None
    energy: Estimate | None


@dataclass(frozen=True)
class Comparison:
    """All methods at all layers on the same slices of the test part.

    `last_layer_difference` is the largest difference between HiRes-CAM and Grad-CAM at
    `layer4[-1]`, as a share of the map's largest value.
    """

    notice: str
    bundle: str
    version: str
    sha256: str
    settings: Settings
    slices: int
    masked: int
    seed: int
    last_layer_difference: float
    methods: tuple[MethodFigures, ...]
