"""The ten spatial parameters, each with its standing (docs/architecture.md, decision 7)."""

from typing import Annotated, Generic, Literal, TypeVar

from pydantic import Field, model_validator

from neuroscan.contracts.base import Contract
from neuroscan.contracts.enums import Laterality, Standing
from neuroscan.contracts.geometry import Geometry
from neuroscan.contracts.results import Fraction

ValueT = TypeVar("ValueT")
RangeT = TypeVar("RangeT")

Interval = tuple[float, float]
NonNegativeMm = Annotated[float, Field(ge=0)]


class Surrogate(Contract):
    """A stand-in for a quantity that the image cannot hold."""

    quantity: str
    value: float
    unit: str


class Parameter(Contract, Generic[ValueT, RangeT]):
    """One parameter: its value or why there is none, and how far it can be trusted.

    `measured` and `estimated` have a value; `surrogate` has `surrogate` and no value;
    `not_assessable` has neither, and a reason.
    """

    value: ValueT | None = None
    unit: str | None = None
    category: str | None = None
    status: Standing
    surrogate: Surrogate | None = None
    method: str
    assumptions: list[str] = Field(default_factory=list)
    range: RangeT | None = None
    reason: str | None = None

    @model_validator(mode="after")
    def _standing_fits(self) -> "Parameter[ValueT, RangeT]":
        has_value = self.value is not None
        if self.status in (Standing.MEASURED, Standing.ESTIMATED) and not has_value:
            raise ValueError(f"a parameter that is {self.status} needs a value")
        if self.status in (Standing.SURROGATE, Standing.NOT_ASSESSABLE) and has_value:
            raise ValueError(f"a parameter that is {self.status} has no value")
        if (self.status is Standing.SURROGATE) != (self.surrogate is not None):
            raise ValueError("a surrogate number belongs to the standing surrogate, and only to it")
        if self.status is Standing.NOT_ASSESSABLE and not self.reason:
            raise ValueError("what is not assessable needs a reason")
        return self


class RegionCandidate(Contract):
    """A place and the share of the lesion, or of the belief, that lies there."""

    name: str
    probability: Fraction


class AnatomicalRegion(Contract):
    """The likeliest place, and the others."""

    name: str
    probability: Fraction
    alternatives: list[RegionCandidate]


class SpatialRelation(Contract):
    """Where the lesion lies relative to the brain's surface and midline."""

    axis: Literal["intra", "extra"]
    depth: Literal["superficial", "deep"]
    to_edge_mm: NonNegativeMm
    to_midline_mm: NonNegativeMm | None


class TextureFeatures(Contract):
    """First-order and co-occurrence features of the lesion's intensities."""

    coefficient_of_variation: float
    entropy_bits: float
    contrast: float
    homogeneity: float


class Texture(Contract):
    """A word for the features, with the features."""

    category: str
    features: TextureFeatures


class HemisphereParameter(Parameter[Laterality, None]):
    """The patient's side; `image_side` is the side of the picture, which is always known."""

    image_side: Laterality | None = None


class SpatialParameters(Contract):
    """All ten. Lengths in mm, volume in cm³, confidence as a fraction."""

    anatomical_region: Parameter[AnatomicalRegion, None]
    hemisphere: HemisphereParameter
    spatial_relation: Parameter[SpatialRelation, None]
    tumor_volume: Parameter[float, Interval]
    maximum_dimensions: Parameter[tuple[float, float, float], tuple[Interval, Interval, Interval]]
    texture: Parameter[Texture, None]
    midline_shift: Parameter[float, Interval]
    edema_volume: Parameter[float, Interval]
    relative_cerebral_blood_volume: Parameter[float, Interval]
    confidence: Parameter[float, Interval]


class MeasureResult(Contract):
    """What the spatial worker reports; `geometry` is completed by what it inferred."""

    geometry: Geometry
    spatial: SpatialParameters
    elapsed_ms: float = Field(ge=0)
