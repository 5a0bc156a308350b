"""Stand-ins for what a single slice cannot hold: edema volume and relative blood volume.

Both compare the lesion with the mirrored place in the other hemisphere, so they need a midline.
"""

import cv2
import numpy as np

from neuroscan.contracts.enums import Standing
from neuroscan.contracts.spatial import Surrogate
from services.spatial.head import Mask, mask_on_raster
from services.spatial.scene import Anatomy, Lesion, Scene
from services.spatial.standing import NumberParameter
from services.spatial.symmetry import Midline

RING_MM = 20.0
_DARKER_THAN_MIRROR = 0.88
_TISSUE_FROM = 0.4
_FEWEST_PX = 12
_BRIGHTER_FROM, _DARKER_UP_TO = 1.15, 0.85

_EDEMA_METHOD = (
    "area within 20 mm around the region, joined to it, that is at least 12 % darker than the "
    "mirrored place and not fluid (T1: edema is dark)"
)
_BLOOD_METHOD = (
    "median intensity in the region over that of the mirrored region; brighter from 1.15, darker "
    "up to 0.85"
)
_NOT_EDEMA = "Edema volume needs FLAIR or T2 slices through the whole lesion; this is one slice."
_NOT_BLOOD = "Blood volume needs a perfusion series; contrast uptake is not perfusion."


def edema(scene: Scene, lesion: Lesion) -> NumberParameter:
    """Ring area in mm² as a surrogate; never a volume."""
    line, anatomy, pixel_mm = scene.midline, scene.anatomy, scene.work_mm
    if line is None or anatomy is None:
        return _not_assessable(_EDEMA_METHOD, scene.no_midline_reason)
    if pixel_mm is None:
        return _not_assessable(_EDEMA_METHOD, scene.scale.reason)
    areas = [
        float(edema_ring(scene, anatomy, mask, line, RING_MM / pixel_mm).sum()) * pixel_mm**2
        for mask in _plausible(scene, lesion)
    ]
    error = scene.scale.error
    return NumberParameter(
        status=Standing.SURROGATE,
        surrogate=Surrogate(
            quantity="area of the dark ring around the lesion",
            value=areas[0],
            unit="mm²",
        ),
        method=_EDEMA_METHOD,
        assumptions=[
            _NOT_EDEMA,
            "The slice is T1-weighted.",
            lesion.about,
            *scene.scale.assumptions,
        ],
        range=(min(areas) * (1 - error) ** 2, max(areas) * (1 + error) ** 2),
    )


def blood_volume(scene: Scene, lesion: Lesion) -> NumberParameter:
    """Lesion-to-mirror intensity ratio as a surrogate of relative cerebral blood volume."""
    line, anatomy = scene.midline, scene.anatomy
    if line is None or anatomy is None:
        return _not_assessable(_BLOOD_METHOD, scene.no_midline_reason)
    ratio, *others = (
        mirror_ratio(scene, anatomy, mask, line) for mask in _plausible(scene, lesion)
    )
    if ratio is None:
        return _not_assessable(
            _BLOOD_METHOD,
            "The region lies across the midline or at the brain's edge: it has no mirrored place.",
        )
    ratios = [ratio, *(other for other in others if other is not None)]
    category = "Similar to the mirrored place"
    if ratio >= _BRIGHTER_FROM:
        category = "Brighter than the mirrored place"
    elif ratio <= _DARKER_UP_TO:
        category = "Darker than the mirrored place"
    return NumberParameter(
        category=category,
        status=Standing.SURROGATE,
        surrogate=Surrogate(quantity="lesion-to-mirror intensity ratio", value=ratio, unit="ratio"),
        method=_BLOOD_METHOD,
        assumptions=[
            _NOT_BLOOD,
            "Intensities are as shown; the picture's window may have changed their ratio.",
            lesion.about,
        ],
        range=(min(ratios), max(ratios)),
    )


def mirror_ratio(scene: Scene, anatomy: Anatomy, region: Mask, line: Midline) -> float | None:
    """Median intensity in the region (h, w) over that of its mirrored place in the brain.

    None where too little of either is left beside the midline and inside the brain.
    """
    mirrored = _mirrored(region, line)
    here = region & ~mirrored
    there = mirrored & ~region & anatomy.brain
    if min(here.sum(), there.sum()) < max(_FEWEST_PX, 0.3 * region.sum()):
        return None
    pixels = scene.raster.pixels
    return float(np.median(pixels[here])) / max(1.0, float(np.median(pixels[there])))


def _plausible(scene: Scene, lesion: Lesion) -> list[Mask]:
    """The region on the working raster, then its tightest and loosest plausible ones."""
    others = [
        mask_on_raster(mask, scene.raster)
        for mask in (lesion.masks.tight, lesion.masks.loose)
        if mask.any() and not np.array_equal(mask, lesion.mask)
    ]
    return [lesion.on_raster, *others]


def edema_ring(
    scene: Scene, anatomy: Anatomy, lesion: Mask, line: Midline, reach_px: float
) -> Mask:
    """The ring (h, w): near the lesion, darker than its mirror image, joined to the lesion."""
    smooth = np.asarray(cv2.GaussianBlur(scene.raster.pixels, (0, 0), 1.5)).astype(np.float32)
    mirror = np.asarray(line.mirror(smooth), np.float32)
    away = np.asarray(
        cv2.distanceTransform((~lesion).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    )
    inside = np.asarray(
        cv2.distanceTransform(
            np.pad(anatomy.brain, 1).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE
        )
    )[1:-1, 1:-1]
    tissue = (
        float(np.median(smooth[anatomy.brain & ~lesion]))
        if (anatomy.brain & ~lesion).any()
        else 0.0
    )
    near = (away > 0) & (away <= reach_px) & (inside > 3) & ~_mirrored(lesion, line)
    dark = near & (smooth < _DARKER_THAN_MIRROR * mirror) & (smooth > _TISSUE_FROM * tissue)
    opened = cv2.morphologyEx(dark.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    _, labels = cv2.connectedComponents(np.asarray(opened, np.uint8))
    joined = np.unique(np.asarray(labels)[(away <= 4) & (np.asarray(opened) > 0)])
    result: Mask = np.isin(labels, joined[joined > 0])
    return result


def _mirrored(mask: Mask, line: Midline) -> Mask:
    return np.asarray(line.mirror(mask.astype(np.uint8), nearest=True)).astype(bool)


def _not_assessable(method: str, reason: str | None) -> NumberParameter:
    return NumberParameter(status=Standing.NOT_ASSESSABLE, method=method, reason=reason)
