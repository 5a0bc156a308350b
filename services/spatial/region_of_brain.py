"""The anatomical region: which lobe or structure of the coarse atlas the lesion covers."""

import numpy as np
from numpy.typing import NDArray

from neuroscan.contracts.enums import Laterality, Plane, Standing, TumorClass
from neuroscan.contracts.spatial import AnatomicalRegion, RegionCandidate
from services.spatial.atlas import GRID, NAMES, SELLAR, SIDED, beliefs, level_weights
from services.spatial.scene import Anatomy, Lesion, Scene
from services.spatial.standing import (
    NO_HEAD,
    NO_PLANE,
    RegionParameter,
)
from services.spatial.symmetry import Midline

_BLUR, _BLUR_WITHOUT_MIDLINE = 0.06, 0.10
_ALTERNATIVES, _ALTERNATIVE_FROM = 3, 0.05
_SELLAR_ODDS = {TumorClass.PITUITARY: 8.0, TumorClass.GLIOMA: 0.25}

_METHOD = (
    "share of the region's pixels in each place of a coarse atlas in coordinates normalized to the "
    "brain and its midline, blurred by 6 % of the brain, averaged over the levels at which the "
    "slice may lie; the class shifts the odds of the sellar region"
)


def anatomical_region(
    scene: Scene, lesion: Lesion, label: TumorClass, side: Laterality | None
) -> RegionParameter:
    """The likeliest place and its alternatives; names hold the side only where `side` is known."""
    if scene.anatomy is None or scene.plane is None:
        return RegionParameter(
            status=Standing.NOT_ASSESSABLE,
            method=_METHOD,
            reason=NO_HEAD if scene.anatomy is None else NO_PLANE,
        )
    chances = place_probabilities(scene, scene.anatomy, lesion, scene.plane, label)
    order = np.argsort(chances)[::-1]
    named = [(_with_side(NAMES[index], side), float(chances[index])) for index in order]
    name, probability = named[0]
    return RegionParameter(
        value=AnatomicalRegion(
            name=name,
            probability=min(1.0, probability),
            alternatives=[
                RegionCandidate(name=other, probability=min(1.0, chance))
                for other, chance in named[1 : 1 + _ALTERNATIVES]
                if chance >= _ALTERNATIVE_FROM
            ],
        ),
        category=name,
        status=Standing.ESTIMATED,
        method=_METHOD,
        assumptions=[
            "Probabilities are beliefs, not frequencies; the slice's level is not known exactly.",
            lesion.about,
        ],
    )


def place_probabilities(
    scene: Scene, anatomy: Anatomy, lesion: Lesion, plane: Plane, label: TumorClass
) -> NDArray[np.float64]:
    """Probability of each of the atlas's `NAMES`; sums to one."""
    u, v = _normalized(scene, anatomy, lesion, plane)
    column = np.clip((u * GRID).astype(np.int64), 0, GRID - 1)
    row = np.clip((v * GRID).astype(np.int64), 0, GRID - 1)
    blur = _BLUR if scene.midline or plane is Plane.SAGITTAL else _BLUR_WITHOUT_MIDLINE
    given = scene.scale.source.stated
    breadth_mm = anatomy.size.size_px * scene.work_mm if given and scene.work_mm else None
    chances = np.zeros(len(NAMES))
    for level, weight in level_weights(plane, label, anatomy.at_base, breadth_mm).items():
        chances += weight * beliefs(level, blur)[row, column].mean(axis=0)
    chances[NAMES.index(SELLAR)] *= _SELLAR_ODDS.get(label, 1.0)
    result: NDArray[np.float64] = chances / chances.sum()
    return result


def _normalized(
    scene: Scene, anatomy: Anatomy, lesion: Lesion, plane: Plane
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The atlas's u and v of every pixel of the region."""
    rows, columns = np.nonzero(lesion.on_raster)
    x, y = columns.astype(np.float64), rows.astype(np.float64)
    size = anatomy.size
    depth = (y - size.top) / size.size_px
    if plane is Plane.SAGITTAL:
        along = (x - size.left) / size.size_px
        return (along if anatomy.faces_left else 1 - along), depth
    line = scene.midline or _upright(anatomy)
    brain_rows, brain_columns = (part.astype(np.float64) for part in np.nonzero(anatomy.brain))
    reach = float(np.percentile(np.abs(line.offset(brain_columns, brain_rows)), 99))
    u = np.abs(line.offset(x, y)) / max(reach, 1.0)
    if plane is Plane.CORONAL:
        return u, depth
    front, back = np.percentile(line.along(brain_columns, brain_rows), [0.5, 99.5])
    return u, (line.along(x, y) - front) / max(float(back - front), 1.0)


def _upright(anatomy: Anatomy) -> Midline:
    """A stand-in for the midline: upright through the middle of the head."""
    middle = (anatomy.size.left + anatomy.size.right - 1) / 2
    return Midline(x=middle, y=float(anatomy.size.top), tilt_deg=0.0, confidence=0.0)


def _with_side(name: str, side: Laterality | None) -> str:
    if name not in SIDED or side not in (Laterality.LEFT, Laterality.RIGHT):
        return name
    return f"{side.value.capitalize()} {name}"
