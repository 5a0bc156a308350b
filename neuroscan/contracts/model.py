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


class ModelView(Contract):
    """A bundle in use. `device` is `cpu` or `cuda`; `device_name` says which card."""

    model: ModelFacts
    device: str
    device_name: str | None
    engine: str
    classes: list[str]
    input_size: int
    coverage: float
    temperature: float
    input_check_threshold: float
    explanation: ExplanationDefaults
    license: str
    code_version: str
    notice: str = NOTICE
