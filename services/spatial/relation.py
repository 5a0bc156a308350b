"""Where the lesion lies relative to the brain's surface and midline."""

from dataclasses import dataclass
from math import exp, log

import cv2
import numpy as np

from neuroscan.contracts.enums import Plane, Standing, TumorClass
from neuroscan.contracts.spatial import SpatialRelation
from services.spatial.head import Mask
from services.spatial.scene import Anatomy, Lesion, Scene
from services.spatial.standing import (
    NO_HEAD,
    NO_PLANE,
    RelationParameter,
)

SUPERFICIAL_UP_TO_MM = 10.0
CONTACT_UP_TO_MM = 5.0
# How often a tumor of each class is extra-axial, and how much contact with the surface says.
_EXTRA_PRIOR = {
    TumorClass.GLIOMA: 0.03,
    TumorClass.MENINGIOMA: 0.9,
    TumorClass.PITUITARY: 0.97,
    TumorClass.NO_TUMOR: 0.5,
}
_CONTACT_USUAL, _CONTACT_SLOPE = 0.15, 4.0

_METHOD = (
    "extra-axial when the class and the share of the region's outline within 5 mm of the brain's "
    "edge or of the midline make it likelier than not; superficial when the region comes within "
    "10 mm of the brain's edge; distances: nearest edge from the region, midline from its centroid"
)


@dataclass(frozen=True)
class Distances:
    """In working pixels; `contact` is a share of the region's outline."""

    to_edge_px: float
    to_midline_px: float | None
    contact: float


def distances(scene: Scene, anatomy: Anatomy, lesion: Lesion, contact_px: float) -> Distances:
    """Distances of the region from the edge of the brain and from the midline."""
    depth = np.asarray(
        cv2.distanceTransform(
            np.pad(anatomy.brain, 1).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE
        )
    )[1:-1, 1:-1]
    line = scene.midline
    outline = lesion.on_raster & ~_eroded(lesion.on_raster)
    rows, columns = np.nonzero(outline)
    touches = depth[rows, columns] <= contact_px
    to_midline = None
    if line is not None:
        x, y = lesion.center
        to_midline = abs(float(line.offset(np.array(x), np.array(y))))
        touches |= np.abs(line.offset(columns.astype(float), rows.astype(float))) <= contact_px
    return Distances(float(depth[lesion.on_raster].min()), to_midline, float(touches.mean()))


def spatial_relation(scene: Scene, lesion: Lesion, label: TumorClass) -> RelationParameter:
    """Intra- or extra-axial, superficial or deep, with the two distances in mm."""
    reason = None
    if scene.anatomy is None:
        reason = NO_HEAD
    elif scene.plane is None:
        reason = NO_PLANE
    elif scene.work_mm is None:
        reason = scene.scale.reason
    if scene.anatomy is None or scene.work_mm is None or reason is not None:
        return RelationParameter(status=Standing.NOT_ASSESSABLE, method=_METHOD, reason=reason)
    pixel_mm = scene.work_mm
    found = distances(scene, scene.anatomy, lesion, CONTACT_UP_TO_MM / pixel_mm)
    to_edge_mm = found.to_edge_px * pixel_mm
    extra = extra_axial_probability(label, found.contact)
    assumptions = [
        f"Extra-axial with a belief of {extra:.2f}, most of which comes from the class.",
        "The brain's edge is an estimate from head outline and skull.",
        lesion.about,
        *scene.scale.assumptions,
    ]
    if scene.plane is Plane.SAGITTAL:
        assumptions.append("A sagittal slice shows no distance from the midline.")
    return RelationParameter(
        value=SpatialRelation(
            axis="extra" if extra >= 0.5 else "intra",
            depth="superficial" if to_edge_mm <= SUPERFICIAL_UP_TO_MM else "deep",
            to_edge_mm=to_edge_mm,
            to_midline_mm=None if found.to_midline_px is None else found.to_midline_px * pixel_mm,
        ),
        unit="mm",
        category=None,
        status=Standing.ESTIMATED,
        method=_METHOD,
        assumptions=assumptions,
    )


def extra_axial_probability(label: TumorClass, contact: float) -> float:
    """Belief that the lesion is extra-axial; `contact` is the share of its outline at a surface."""
    prior = _EXTRA_PRIOR[label]
    logit = log(prior / (1 - prior)) + _CONTACT_SLOPE * (contact - _CONTACT_USUAL)
    return 1 / (1 + exp(-logit))


def _eroded(mask: Mask) -> Mask:
    padded = np.pad(mask.astype(np.uint8), 1)
    inner = cv2.erode(padded, np.ones((3, 3), np.uint8))
    return np.asarray(inner[1:-1, 1:-1]).astype(bool)
