"""A coarse atlas: boxes in coordinates normalized to the brain, by plane and level.

On axial and coronal slices u runs from the midline (0) to the brain's side (1); on sagittal ones
from front (0) to back (1). v runs from front to back on axial slices, from the vertex down on the
others (there in shares of the head's size). Drawn by hand after the usual landmarks (central
sulcus, Sylvian fissure, sella, tentorium); good for naming a lobe, not for more.
"""

from dataclasses import dataclass
from enum import StrEnum
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from neuroscan.contracts.enums import Plane, TumorClass

GRID = 64
SELLAR = "Sellar Region"
FRONTAL, PARIETAL = "Frontal Lobe", "Parietal Lobe"
TEMPORAL, OCCIPITAL = "Temporal Lobe", "Occipital Lobe"
DEEP, CEREBELLUM, BRAINSTEM = "Basal Ganglia and Thalamus", "Cerebellum", "Brainstem"
NAMES = (FRONTAL, PARIETAL, TEMPORAL, OCCIPITAL, DEEP, SELLAR, CEREBELLUM, BRAINSTEM)
SIDED = frozenset({FRONTAL, PARIETAL, TEMPORAL, OCCIPITAL, DEEP, CEREBELLUM})


class Level(StrEnum):
    """How high, how far back or how far from the middle a slice lies."""

    AXIAL_BASE = "axial, skull base"
    AXIAL_MIDDLE = "axial, basal ganglia"
    AXIAL_UPPER = "axial, above the ventricles"
    CORONAL_FRONT = "coronal, frontal"
    CORONAL_MIDDLE = "coronal, sella"
    CORONAL_BACK = "coronal, occipital"
    SAGITTAL_MIDDLE = "sagittal, midline"
    SAGITTAL_SIDE = "sagittal, hemisphere"


@dataclass(frozen=True)
class Box:
    """A place: u from `u0` to `u1`, v from `v0` to `v1`. Earlier boxes cover later ones."""

    name: str
    u0: float = 0.0
    u1: float = 1.0
    v0: float = 0.0
    v1: float = 1.0


_ATLAS: dict[Level, tuple[Box, ...]] = {
    Level.AXIAL_BASE: (
        Box(SELLAR, u1=0.24, v0=0.34, v1=0.50),
        Box(BRAINSTEM, u1=0.26, v0=0.50, v1=0.66),
        Box(FRONTAL, v1=0.36),
        Box(CEREBELLUM, u1=0.85, v0=0.62),
        Box(TEMPORAL, v1=0.75),
        Box(CEREBELLUM),
    ),
    Level.AXIAL_MIDDLE: (
        Box(DEEP, u1=0.45, v0=0.36, v1=0.60),
        Box(FRONTAL, v1=0.38),
        Box(TEMPORAL, u0=0.45, v0=0.38, v1=0.66),
        Box(PARIETAL, v0=0.60, v1=0.77),
        Box(OCCIPITAL),
    ),
    Level.AXIAL_UPPER: (
        Box(FRONTAL, v1=0.54),
        Box(PARIETAL, v0=0.54, v1=0.86),
        Box(OCCIPITAL),
    ),
    Level.CORONAL_FRONT: (Box(FRONTAL),),
    Level.CORONAL_MIDDLE: (
        Box(FRONTAL, v1=0.38),
        Box(SELLAR, u1=0.26, v0=0.58, v1=0.80),
        Box(DEEP, u1=0.45, v0=0.38, v1=0.58),
        Box(FRONTAL, u0=0.45, v1=0.46),
        Box(TEMPORAL, u0=0.26, v0=0.46),
        Box(BRAINSTEM),
    ),
    Level.CORONAL_BACK: (
        Box(PARIETAL, v1=0.42),
        Box(OCCIPITAL, v1=0.62),
        Box(CEREBELLUM),
    ),
    Level.SAGITTAL_MIDDLE: (
        Box(SELLAR, u0=0.28, u1=0.46, v0=0.45, v1=0.64),
        Box(DEEP, u0=0.34, u1=0.58, v0=0.27, v1=0.46),
        Box(FRONTAL, u1=0.50, v1=0.45),
        Box(BRAINSTEM, u0=0.44, u1=0.58, v0=0.45),
        Box(CEREBELLUM, u0=0.58, v0=0.50),
        Box(OCCIPITAL, u0=0.74, v0=0.30),
        Box(PARIETAL, u0=0.50, v1=0.42),
        Box(FRONTAL, u1=0.34, v1=0.60),
        Box(BRAINSTEM),
    ),
    Level.SAGITTAL_SIDE: (
        Box(CEREBELLUM, u0=0.60, v0=0.54),
        Box(OCCIPITAL, u0=0.78, v0=0.32),
        Box(FRONTAL, u1=0.46, v1=0.38),
        Box(TEMPORAL, u0=0.20, u1=0.70, v0=0.38),
        Box(PARIETAL, u0=0.46, v1=0.42),
        Box(FRONTAL, u1=0.20),
        Box(OCCIPITAL),
    ),
}


@cache
def beliefs(level: Level, blur: float) -> NDArray[np.float64]:
    """Probability of each of `NAMES` at each place: (GRID, GRID, names), rows are v, columns u.

    Boxes are blurred by a Gaussian of `blur` (in normalized units): how far a place may be off.
    """
    place = (np.arange(GRID) + 0.5) / GRID
    v, u = np.meshgrid(place, place, indexing="ij")
    label = np.full((GRID, GRID), -1)
    for box in _ATLAS[level]:
        inside = (u >= box.u0) & (u < box.u1) & (v >= box.v0) & (v < box.v1) & (label < 0)
        label[inside] = NAMES.index(box.name)
    # What no box covers takes the name of the level's last box.
    label[label < 0] = NAMES.index(_ATLAS[level][-1].name)
    channels = [
        cv2.GaussianBlur(
            (label == index).astype(np.float64), (0, 0), blur * GRID, borderType=cv2.BORDER_REFLECT
        )
        for index in range(len(NAMES))
    ]
    stacked = np.stack([np.asarray(channel) for channel in channels], axis=2)
    result: NDArray[np.float64] = stacked / stacked.sum(axis=2, keepdims=True)
    return result


def level_weights(
    plane: Plane, label: TumorClass, at_base: float, breadth_mm: float | None
) -> dict[Level, float]:
    """How likely each level of the plane is; sums to one.

    Known of the level: the class (pituitary tumors lie at the sella), the look of the skull base
    (`at_base`), and the head's breadth where the spacing was given (`breadth_mm`, else None).
    """
    pituitary = label is TumorClass.PITUITARY
    if plane is Plane.CORONAL:
        front, middle, back = (0.05, 0.9, 0.05) if pituitary else (0.25, 0.45, 0.30)
        return {
            Level.CORONAL_FRONT: front,
            Level.CORONAL_MIDDLE: middle,
            Level.CORONAL_BACK: back,
        }
    if plane is Plane.SAGITTAL:
        middle = 0.9 if pituitary else 0.4
        return {Level.SAGITTAL_MIDDLE: middle, Level.SAGITTAL_SIDE: 1 - middle}
    base = min(0.95, max(0.02, at_base))
    if pituitary:
        base = 9 * base / (9 * base + 1 - base)
    upper = 0.5
    if breadth_mm is not None:
        upper = float(np.interp(breadth_mm, [125, 140], [0.85, 0.35]))
    return {
        Level.AXIAL_BASE: base,
        Level.AXIAL_MIDDLE: (1 - base) * (1 - upper),
        Level.AXIAL_UPPER: (1 - base) * upper,
    }
