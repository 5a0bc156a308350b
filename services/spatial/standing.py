"""The parameters' concrete types, and sentences that several of them share."""

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

REGION_IS_NOT_AN_OUTLINE = (
    "The region's outline stands for the tumor's; its error on annotated tumors is not yet in the "
    "model's card, so that the value is an estimate at best."
)
NO_REGION = "There is no region: the map shows no positive evidence for the class."
NO_HEAD = "No head was found in the picture."
NO_PLANE = "The slice's plane is too uncertain."
NOT_A_BRAIN = "The input check turned the picture away."
NO_TUMOR = "The slice is classified as no tumor; what the map shows is not a lesion."
