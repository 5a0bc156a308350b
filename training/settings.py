"""The settings of a bundle that its figures stand on, beside its weights.

Results carry them, so that no card shows figures that other settings gave.
"""

from dataclasses import dataclass

from neuroscan.network.bundle import Description


@dataclass(frozen=True)
class Settings:
    """What turns the networks' outputs into answers, sets, maps and regions.

    `segmentation` holds the threshold, the two ends of its plausible range, the least peak and the
    least peak where a tumor is named; empty without a decoder.
    """

    temperature: float
    set_threshold: float
    input_check_threshold: float
    method: str
    layer: str
    region_threshold: float
    segmentation: tuple[float, ...]


def settings_of(description: Description) -> Settings:
    """A bundle's own."""
    spec, chosen = description.segmentation, description.explanation
    return Settings(
        temperature=description.calibration.temperature,
        set_threshold=description.conformal.threshold,
        input_check_threshold=description.input_check.threshold,
        method=chosen.method,
        layer=chosen.layer,
        region_threshold=chosen.region_threshold,
        segmentation=(
            (spec.threshold, spec.loose, spec.tight, spec.least_peak, spec.least_peak_agreed)
            if spec
            else ()
        ),
    )
