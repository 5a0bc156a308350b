"""Midline shift on axial slices: how far the brain's own midline leaves the falx's line.

The line between the anterior and posterior attachments of the falx is taken to be the symmetry
axis of the head. The brain's own midline (septum, third ventricle) is the curve between the
attachments about which the tissue next to it mirrors best.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from neuroscan.contracts.enums import Plane, Standing
from services.spatial.head import Mask
from services.spatial.midline_curve import bulge_of_free_curve
from services.spatial.scene import Anatomy, Scene
from services.spatial.standing import NumberParameter
from services.spatial.symmetry import Midline

CUT_OFFS_MM = (2.0, 5.0, 10.0)
CATEGORIES = ("None", "Mild", "Moderate", "Severe")
STEP_MM = 0.5
MAX_SHIFT_MM = 16.0
# How far from a candidate tissue is compared, and the Gaussian weight of near over far: first
# widely, or a single ventricle, which mirrors well about itself, would pass for the middle; at last
# closely, where a pushed brain is symmetric at all.
_WIDE_MM, _NARROW_MM, _CLOSE_MM = (40.0, 30.0), (22.0, 10.0), (12.0, 4.0)
_REFINE_MM = 5.0
# A free curve that leaves the fitted one so far has followed something else.
_LOST_BEYOND_MM = 2.5
# Where the bulge peaks and how broad its top is, as shares of the way between the attachments.
_BULGES = tuple((peak, width) for peak in (0.35, 0.45, 0.55) for width in (0.0, 0.12))
# The attachments lie within 3 mm of the symmetry axis; how much likeness a step away must gain.
_END_STEPS, _END_PULL = 6, 0.0002
_ROUNDS = 3
_ASSESSABLE_FROM = 0.42
_NEARLY_AS_GOOD = 0.03
_CLEAR_UP_TO_MM = 6.0
_BASE_FROM = 0.25

_METHOD = (
    "largest perpendicular distance of the brain's own midline (best local mirror axis near septum "
    "and third ventricle) from the line between the falx's attachments, taken to be the head's "
    "axis of symmetry; none below 2, mild to 5, moderate to 10, severe above 10 mm"
)

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Shift:
    """`shift_mm` is positive towards the picture's right.

    What lies between `low_mm` and `high_mm`, but for a step at either end, fits nearly as well;
    `likeness` is the mirror correlation reached.
    """

    shift_mm: float
    low_mm: float
    high_mm: float
    likeness: float


def midline_shift(scene: Scene) -> NumberParameter:
    """The shift in mm, never negative, with the picture's side among the assumptions."""
    reason = _not_assessable(scene)
    line, pixel_mm = scene.midline, scene.work_mm
    found = None
    if reason is None and scene.anatomy and line is not None and pixel_mm is not None:
        lesion = scene.lesion.on_raster if scene.lesion else None
        found = find_shift(scene, scene.anatomy, line, lesion, pixel_mm)
        reason = _unclear(found)
    if found is None or reason is not None:
        return NumberParameter(status=Standing.NOT_ASSESSABLE, method=_METHOD, reason=reason)
    value = abs(found.shift_mm)
    ends = sorted((abs(found.low_mm), abs(found.high_mm)))
    low = 0.0 if found.low_mm * found.high_mm <= 0 else ends[0]
    error = scene.scale.error
    assumptions = ["That the slice shows septum or third ventricle is not checked above them."]
    if value >= CUT_OFFS_MM[0]:
        side = "right" if found.shift_mm > 0 else "left"
        assumptions.insert(0, f"The shift is towards the {side} of the picture.")
    return NumberParameter(
        value=value,
        unit="mm",
        category=CATEGORIES[_category(value)],
        status=Standing.ESTIMATED,
        method=_METHOD,
        assumptions=[*assumptions, *scene.scale.assumptions],
        range=(low * (1 - error), ends[1] * (1 + error)),
    )


def find_shift(
    scene: Scene, anatomy: Anatomy, line: Midline, lesion: Mask | None, pixel_mm: float
) -> Shift:
    """Fit the brain's own midline: a bulge of unknown size, place and breadth, then a free curve.

    Lesion pixels count neither where they lie nor where they mirror to.
    """
    tissue, known = _straightened(scene, anatomy, line, lesion, pixel_mm)
    rough, _, _ = _Fit(*_local_symmetry(tissue, known, *_WIDE_MM)).best_bulge(0, 0)
    fit = _Fit(*_local_symmetry(tissue, known, *_NARROW_MM), around=rough)
    front, back = 0, 0
    for _ in range(_ROUNDS):
        shift, bulge, _ = fit.best_bulge(front, back)
        front, back = fit.best_ends(shift, bulge)
    shift, bulge, scores = fit.best_bulge(front, back)
    curve = np.linspace(front, back, len(bulge)) + shift * bulge
    close = _local_symmetry(tissue, known, *_CLOSE_MM)
    shift_mm = bulge_of_free_curve(*close, curve, bulge) * STEP_MM
    if abs(shift_mm - shift * STEP_MM) > _LOST_BEYOND_MM:
        shift_mm = shift * STEP_MM
    near = fit.shifts[scores >= scores.max() - _NEARLY_AS_GOOD] * STEP_MM
    return Shift(
        shift_mm=shift_mm,
        # Where the two ways of placing the midline differ, the range says so.
        low_mm=min(float(near.min()), shift_mm) - STEP_MM,
        high_mm=max(float(near.max()), shift_mm) + STEP_MM,
        likeness=float(scores.max()),
    )


class _Fit:
    """Scores curves by the mirror products and energies (rows, shifts) that they pass through.

    A curve is a straight line between its ends, plus a bulge; ends and bulge count in `STEP_MM`
    from the head's axis of symmetry. With `around`, only shifts near that one are tried.
    """

    def __init__(self, product: Floats, energy: Floats, around: int | None = None) -> None:
        self._product, self._energy = product, energy
        self._along = np.linspace(0, 1, len(product))
        self._rows = np.arange(len(product))
        self._steps = product.shape[1] // 2
        shifts = np.arange(-self._steps, self._steps + 1)
        if around is not None:
            shifts = shifts[np.abs(shifts - around) <= _REFINE_MM / STEP_MM]
        self.shifts = shifts
        self._bulges = [_bulge(self._along, peak, width) for peak, width in _BULGES]

    def best_bulge(self, front: int, back: int) -> tuple[int, Floats, Floats]:
        """The best shift, its bulge (rows), and for every shift the score with its best bulge."""
        line = front + (back - front) * self._along
        curves = line + np.stack(self._bulges)[:, None, :] * self.shifts[None, :, None]
        scores = self._score(curves)
        best = scores.max(axis=0)
        chosen = int(best.argmax())
        return int(self.shifts[chosen]), self._bulges[int(scores[:, chosen].argmax())], best

    def best_ends(self, shift: int, bulge: Floats) -> tuple[int, int]:
        """Where the falx is attached, near the symmetry axis, given the bulge."""
        reach = np.arange(-_END_STEPS, _END_STEPS + 1)
        front, back = np.meshgrid(reach, reach, indexing="ij")
        line = front[..., None] * (1 - self._along) + back[..., None] * self._along
        scores = self._score(line + shift * bulge) - _END_PULL * (front**2 + back**2)
        row, column = np.unravel_index(int(scores.argmax()), scores.shape)
        return int(reach[row]), int(reach[column])

    def _score(self, curves: Floats) -> Floats:
        place = np.clip(np.rint(curves) + self._steps, 0, 2 * self._steps).astype(np.int64)
        product = self._product[self._rows, place].sum(axis=-1)
        energy = self._energy[self._rows, place].sum(axis=-1)
        result: Floats = product / (energy + 1e-6)
        return result


def _bulge(along: Floats, peak: float, width: float) -> Floats:
    """1 within `width` of the peak, falling as a cosine to 0 at both attachments."""
    end = np.where(along < peak, peak, 1 - peak)
    part = np.clip((np.abs(along - peak) - width) / np.maximum(end - width, 0.05), 0, 1)
    result: Floats = 0.5 * (1 + np.cos(np.pi * part))
    return result


def _not_assessable(scene: Scene) -> str | None:
    reason = None
    if scene.plane not in (Plane.AXIAL, None):
        reason = "Midline shift is read on axial slices only."
    elif scene.midline is None:
        reason = scene.no_midline_reason
    elif scene.work_mm is None:
        reason = scene.scale.reason
    elif scene.anatomy is not None and scene.anatomy.at_base > _BASE_FROM:
        reason = "The slice passes through the skull's base, below septum and third ventricle."
    return reason


def _unclear(found: Shift) -> str | None:
    if found.likeness < _ASSESSABLE_FROM:
        return "Septum and third ventricle are not seen: nothing mirrors near the midline."
    if found.high_mm - found.low_mm > _CLEAR_UP_TO_MM:
        return "The brain's own midline is not clear: places far apart fit equally well."
    if abs(found.shift_mm) >= MAX_SHIFT_MM:
        return f"No midline was found within {MAX_SHIFT_MM:.0f} mm of the head's axis."
    return None


def _category(shift_mm: float) -> int:
    mild, moderate, severe = CUT_OFFS_MM
    return int(shift_mm >= mild) + int(shift_mm >= moderate) + int(shift_mm > severe)


def _straightened(
    scene: Scene, anatomy: Anatomy, line: Midline, lesion: Mask | None, pixel_mm: float
) -> tuple[Floats, Floats]:
    """Tissue contrast and validity with the midline upright in the middle column.

    Rows are 1 mm, from the front of the brain to its back; columns `STEP_MM`.
    """
    rows, columns = np.nonzero(anatomy.brain)
    along = line.along(columns.astype(float), rows.astype(float)) * pixel_mm
    front, back = np.percentile(along, [0.5, 99.5])
    half = round((MAX_SHIFT_MM + _WIDE_MM[0]) / STEP_MM)
    down_x, down_y = line.direction
    across = STEP_MM / pixel_mm
    matrix = np.array(
        [
            [down_y * across, down_x / pixel_mm, 0.0],
            [-down_x * across, down_y / pixel_mm, 0.0],
        ]
    )
    origin = np.array([line.x, line.y]) + np.array([down_x, down_y]) * front / pixel_mm
    matrix[:, 2] = origin - matrix[:, 0] * half
    size = (2 * half + 1, max(8, round(float(back - front))))
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    valid = anatomy.brain if lesion is None else anatomy.brain & ~lesion
    pixels = np.asarray(
        cv2.warpAffine(scene.raster.pixels.astype(np.float64), matrix, size, flags=flags),
        np.float64,
    )
    known = np.asarray(cv2.warpAffine(valid.astype(np.float64), matrix, size, flags=flags)) > 0.5
    weight = known.astype(np.float64)
    total = _blurred(weight, 12.0) + 1e-3
    residual = (pixels - _blurred(pixels * weight, 12.0) / total) * weight
    deviation = np.sqrt(_blurred(residual**2, 12.0) / total) + 1.0
    fine = _blurred(residual / deviation, 1.2)
    return np.clip(fine, -2.5, 2.5) * weight, weight


def _blurred(image: Floats, sigma_mm: float) -> Floats:
    """Blurred on the straightened grid: columns `STEP_MM`, rows 1 mm."""
    blurred = cv2.GaussianBlur(image, (0, 0), sigmaX=sigma_mm / STEP_MM, sigmaY=sigma_mm)
    return np.asarray(blurred, np.float64)


def _local_symmetry(
    tissue: Floats, known: Floats, near_mm: float, weight_mm: float
) -> tuple[Floats, Floats]:
    """Mirror products and energies (rows, shifts) of the tissue around each candidate column."""
    steps, near = round(MAX_SHIFT_MM / STEP_MM), round(near_mm / STEP_MM)
    middle = tissue.shape[1] // 2
    distance = np.arange(1, near + 1)
    weight = np.exp(-0.5 * (distance * STEP_MM / weight_mm) ** 2)
    product = np.empty((len(tissue), 2 * steps + 1))
    energy = np.empty_like(product)
    for index, column in enumerate(range(middle - steps, middle + steps + 1)):
        right, left = tissue[:, column + distance], tissue[:, column - distance]
        both = known[:, column + distance] * known[:, column - distance] * weight
        product[:, index] = (right * left * both).sum(axis=1)
        energy[:, index] = ((right**2 + left**2) / 2 * both).sum(axis=1)
    return product, energy
