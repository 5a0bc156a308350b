"""The parameters' concrete types, and sentences that several of them share."""

from neuroscan.contracts.enums import RegionSource
from neuroscan.contracts.spatial import (
    AnatomicalRegion,
    Interval,
    Parameter,
    SpatialRelation,
    Texture,
)

RegionParameter = Parameter[AnatomicalRegion, None]
RelationParameter = Parameter[SpatialRelation, None]
NumberParameter = Parameter[float, Interval]
DimensionsParameter = Parameter[tuple[float, float, float], tuple[Interval, Interval, Interval]]
TextureParameter = Parameter[Texture, None]

DRAWN = "The region's outline stands for the tumor's."
_MAP = "The region is what the network's heat map covers; it is no outline of the tumor."
_SEGMENTED = (
    "The region is drawn by a segmentation network{dice}; it may miss parts of the tumor or hold "
    "more than it."
)
_DICE = " (median Dice coefficient with annotated tumors {dice:.2f})"
NO_REGION = "There is no region: the map shows no positive evidence for the class."
NO_HEAD = "No head was found in the picture."
NO_PLANE = "The slice's plane is too uncertain."
NOT_A_BRAIN = "The input check turned the picture away."
NO_TUMOR = "The slice is classified as no tumor, so no region is read as a lesion."


def about_region(source: RegionSource | None, dice: float | None) -> str:
    """What a value rests on when it is measured from a region of this source.

    `dice` is the segmentation's median Dice coefficient on validation slices, where it is known.
    """
    if source is RegionSource.MAP:
        return _MAP
    if source is RegionSource.SEGMENTATION:
        return _SEGMENTED.format(dice="" if dice is None else _DICE.format(dice=dice))
    return DRAWN
