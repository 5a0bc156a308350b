"""What the stages find: input check, classification, explanation."""

from typing import Annotated

from pydantic import Field

from neuroscan.contracts.base import Contract
from neuroscan.contracts.enums import CamMethod, RegionSource, TumorClass

Fraction = Annotated[float, Field(ge=0, le=1)]
PossibleClasses = Annotated[
    list[TumorClass],
    Field(description="The classes that the network can't rule out, the likeliest first"),
]


class ModelFacts(Contract):
    """Which bundle answered; `sha256` is that of its weights."""

    name: str
    version: str
    sha256: str


class InputCheck(Contract):
    """Whether the slice looks like what the network was trained on.

    `score` is a distance (larger is stranger); a slice is accepted up to `threshold`, unless its
    file calls it another modality than MR, SC or OT, or its sides are too unequal for a head.
    """

    accepted: bool
    score: float
    threshold: float
    message: str


class Probabilities(Contract):
    """The four class probabilities; they sum to one."""

    glioma: Fraction
    meningioma: Fraction
    no_tumor: Fraction
    pituitary: Fraction


class Classification(Contract):
    """The class with its confidence, and the conformal prediction set at `coverage` (nominal)."""

    label: TumorClass
    confidence: Fraction
    probabilities: Probabilities
    prediction_set: PossibleClasses = Field(min_length=1)
    coverage: Fraction
    calibrated: bool
    elapsed_ms: float = Field(ge=0)


class InferenceResult(Contract):
    """The inference service's answer for one slice."""

    input_check: InputCheck
    classification: Classification
    model: ModelFacts


class Region(Contract):
    """A region in the pixels of `slice.png`.

    `bbox` is x0, y0, x1, y1, half-open; `contour` the largest outline as [x, y] points,
    `contours` all of them; `area_px` counts pixels of the whole region.
    """

    bbox: tuple[int, int, int, int]
    area_px: int = Field(gt=0)
    contour: list[tuple[int, int]]
    contours: list[list[tuple[int, int]]]


class Regions(Contract):
    """The region of each source that there is."""

    map: Region | None = None
    segmentation: Region | None = None


class ExplanationFacts(Contract):
    """What is known of an explanation apart from where its pictures lie.

    `sharpness` is the share of the map's positive mass that lies in its hottest tenth of the
    picture, less the tenth that a flat map would have there, over 0.9: 0 for a flat map, 1 for a
    map inside that tenth. `pointing_accuracy` is the share of annotated validation slices on which
    the peak of this method's map at this layer lay inside the tumor (pointing game); null where it
    was not measured. `overlap` is the Dice coefficient of the two regions, where both exist.
    `segmentation_dice` is the median Dice coefficient of the segmentation's region with the
    annotated tumor on validation slices; null where no segmentation ran. `disagreement` says in a
    sentence what does not fit together (map and segmentation, or either and the class); null where
    nothing is known to.
    """

    id: str
    method: CamMethod
    layer: str
    target_label: TumorClass
    class_score: float
    positive_evidence: bool
    sharpness: Fraction | None
    pointing_accuracy: Fraction | None = None
    region_source: RegionSource | None
    region: Region | None
    regions: Regions
    overlap: Fraction | None
    segmentation_dice: Fraction | None = None
    disagreement: str | None = None
    elapsed_ms: float = Field(ge=0)


class ExplanationObjects(Contract):
    """Object-store keys of one explanation's artefacts.

    `mask` is the region with its plausible range as a gray PNG (`neuroscan.imaging.region_mask`).
    """

    heatmap: str
    overlay: str
    cam: str
    mask: str | None


class ExplainResult(Contract):
    """What the explain worker reports."""

    explanation: ExplanationFacts
    objects: ExplanationObjects
    model: ModelFacts
