"""The plane of a slice, and the way a sagittal head faces, with calibrated confidence."""

from dataclasses import dataclass
from functools import cache

import numpy as np

from neuroscan.contracts.enums import Plane
from services.spatial.head import Gray, Mask
from services.spatial.plane_features import plane_features
from services.spatial.plane_model import PLANES, PlaneModel

TRUSTED_FROM = 0.8


@dataclass(frozen=True)
class PlaneFinding:
    """The likeliest plane and its probability.

    `faces_left` (probability) is about sagittal heads, `at_base` (belief) about axial slices.
    """

    plane: Plane
    confidence: float
    faces_left: float
    at_base: float


def find_plane(pixels: Gray, head: Mask) -> PlaneFinding:
    """Classify a working raster (h, w) uint8 with its head mask.

    A slice and its mirror image get the same plane with the same confidence: both are looked at.
    """
    model = _model()
    there = plane_features(pixels, head)
    mirrored = plane_features(
        np.ascontiguousarray(pixels[:, ::-1]), np.ascontiguousarray(head[:, ::-1])
    )
    both = np.stack([there, mirrored])
    probabilities = model.probabilities(both).mean(axis=0)
    left, right = model.faces_left(both)
    best = int(probabilities.argmax())
    return PlaneFinding(
        plane=Plane(PLANES[best]),
        confidence=float(min(1.0, probabilities[best])),
        faces_left=float((left + 1 - right) / 2),
        at_base=float(model.at_base(both).mean()),
    )


def warm_up() -> None:
    """Read the weights now rather than with the first slice."""
    _model()


@cache
def _model() -> PlaneModel:
    return PlaneModel.load()
