"""The model that answers, and what runs it."""

from neuroscan import NOTICE
from neuroscan.contracts.base import Contract
from neuroscan.contracts.enums import CamMethod
from neuroscan.contracts.results import ModelFacts


class ExplanationDefaults(Contract):
    """How the bundle explains when nobody chooses; `region_threshold` is a share of the peak."""

    method: CamMethod
    layer: str
    region_threshold: float
    reason: str


class SegmentationFacts(Contract):
    """The bundle's decoder: its weights' hash, where its thresholds were fitted, how well it does.

    `median_dice` is that with annotated tumors on validation slices.
    """

    sha256: str
    fitted_on: str
    median_dice: float | None


class ModelView(Contract):
    """A bundle in use. `device` is `cpu` or `cuda`; `device_name` says which card.

    `engine` runs the network, which computes in `precision` (float32, bfloat16 or float16).
    """

    model: ModelFacts
    device: str
    device_name: str | None
    engine: str
    precision: str = "float32"
    classes: list[str]
    input_size: int
    coverage: float
    temperature: float
    input_check_threshold: float
    explanation: ExplanationDefaults
    segmentation: SegmentationFacts | None = None
    license: str
    code_version: str
    notice: str = NOTICE
