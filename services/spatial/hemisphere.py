"""The side on which the lesion lies: of the picture, and of the patient where that is known."""

from dataclasses import dataclass

import numpy as np

from neuroscan.contracts.enums import (
    Laterality,
    OrientationSource,
    PatientAxis,
    Plane,
    Standing,
)
from neuroscan.contracts.spatial import HemisphereParameter
from services.spatial.scene import Lesion, Scene

LATERALIZED_FROM_MM = 10.0
# Where the spacing is unknown, 10 mm are taken from a head 150 mm broad.
_HEAD_BREADTH_MM = 150.0

_METHOD = (
    "signed distance of the region's centroid from the midline; lateralized beyond 10 mm, "
    "otherwise it crosses"
)
_OTHER = {Laterality.LEFT: Laterality.RIGHT, Laterality.RIGHT: Laterality.LEFT}


@dataclass(frozen=True)
class Side:
    """The side in the picture.

    `offset_px` is the centroid's distance in working pixels from the midline, or from the middle of
    the head or picture where there is none, positive to the right; `offset_mm` is None without
    spacing or midline.
    """

    image: Laterality
    offset_px: float
    offset_mm: float | None
    by_midline: bool


def image_side(scene: Scene, lesion: Lesion) -> Side:
    """The side of the picture, from the midline, else from the middle of the head or picture."""
    x, y = lesion.center
    line = scene.midline
    if line is not None:
        offset_px = float(line.offset(np.array(x), np.array(y)))
    elif scene.anatomy is not None:
        offset_px = x - (scene.anatomy.size.left + scene.anatomy.size.right - 1) / 2
    else:
        offset_px = x - (scene.raster.pixels.shape[1] - 1) / 2
    offset_mm = None if scene.work_mm is None else offset_px * scene.work_mm
    if offset_mm is not None:
        lateral = abs(offset_mm) > LATERALIZED_FROM_MM
    else:
        breadth = scene.anatomy.size.size_px if scene.anatomy else scene.raster.pixels.shape[1]
        lateral = abs(offset_px) > LATERALIZED_FROM_MM / _HEAD_BREADTH_MM * breadth
    side = Laterality.RIGHT if offset_px > 0 else Laterality.LEFT
    return Side(
        image=side if lateral else Laterality.CROSSES,
        offset_px=offset_px,
        offset_mm=offset_mm if line is not None else None,
        by_midline=line is not None,
    )


def patient_side(scene: Scene, side: Side) -> Laterality | None:
    """The patient's side, or None where orientation, plane or midline don't tell it."""
    right = scene.geometry.orientation.image_right
    if scene.plane not in (Plane.AXIAL, Plane.CORONAL) or not side.by_midline:
        return None
    if right not in (PatientAxis.LEFT, PatientAxis.RIGHT):
        return None
    if side.image is Laterality.CROSSES:
        return side.image
    return side.image if right is PatientAxis.RIGHT else _OTHER[side.image]


def hemisphere(scene: Scene, lesion: Lesion, side: Side) -> HemisphereParameter:
    """The patient's side as `estimated`; without it the reason, and the picture's side alone."""
    found = patient_side(scene, side)
    assumptions = [lesion.about]
    if scene.geometry.orientation.source is OrientationSource.DECLARED:
        assumptions.append("Left and right are as the request's display convention states.")
    if scene.work_mm is None:
        assumptions.append("10 mm are taken as a fifteenth of the head's breadth.")
    if scene.plane is Plane.SAGITTAL:
        assumptions.append("On a sagittal slice the picture's sides are front and back.")
    if found is None:
        return HemisphereParameter(
            status=Standing.NOT_ASSESSABLE,
            method=_METHOD,
            assumptions=assumptions,
            reason=_reason(scene, side),
            image_side=side.image,
        )
    return HemisphereParameter(
        value=found,
        status=Standing.ESTIMATED,
        method=_METHOD,
        assumptions=assumptions,
        image_side=side.image,
    )


def _reason(scene: Scene, side: Side) -> str:
    if scene.plane is Plane.SAGITTAL:
        return "A sagittal slice does not show which side of the patient it is."
    if not side.by_midline:
        return scene.no_midline_reason
    return (
        "The picture's orientation is unknown: neither DICOM nor a declared display convention "
        "says which side is the patient's left."
    )
