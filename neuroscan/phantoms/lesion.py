"""A lesion's outline, its look, and the truth about both."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neuroscan.phantoms.spec import Appearance, LesionSpec, LesionTruth, Sequence

FloatImage = NDArray[np.float64]

_RIM_MM = 3.5
_DIRECTIONS = 720
# Brightness of lesion and, for a ring, of its core; 1 is the scalp.
_LOOKS = {
    (Sequence.T1, Appearance.BRIGHT): (0.98, 0.98),
    (Sequence.T1, Appearance.DARK): (0.30, 0.30),
    (Sequence.T1, Appearance.RING): (1.00, 0.25),
    (Sequence.T1_CE, Appearance.BRIGHT): (0.74, 0.74),
    (Sequence.T1_CE, Appearance.DARK): (0.18, 0.18),
    (Sequence.T1_CE, Appearance.RING): (0.74, 0.24),
}


@dataclass(frozen=True)
class Outline:
    """A closed curve around `center_mm` (x, y of the head): radii in evenly spaced directions."""

    center_mm: tuple[float, float]
    radii_mm: FloatImage
    longest_mm: float
    perpendicular_mm: float

    def points_mm(self) -> FloatImage:
        """The curve as (N, 2) points x, y."""
        return np.asarray(self.center_mm) + _polar(self.radii_mm)

    def beyond_mm(self, x_mm: FloatImage, y_mm: FloatImage) -> FloatImage:
        """How far each position lies outside the curve along its ray; negative inside."""
        dx, dy = x_mm - self.center_mm[0], y_mm - self.center_mm[1]
        angle = np.arctan2(dy, dx) % (2 * np.pi)
        radius = np.interp(angle, _angles(), self.radii_mm, period=2 * np.pi)
        return np.hypot(dx, dy) - radius


def draw_outline(
    spec: LesionSpec, center_mm: tuple[float, float], rng: np.random.Generator
) -> Outline:
    """An ellipse with bumps, scaled so that its longest diameter is exactly the one asked for."""
    half_long, half_short = spec.longest_mm / 2, spec.perpendicular_mm / 2
    turned = _angles() - np.deg2rad(spec.angle_deg)
    radii = (
        half_long * half_short / np.hypot(half_short * np.cos(turned), half_long * np.sin(turned))
    )
    bumps = np.zeros(_DIRECTIONS)
    for waves in (3, 4, 5, 7):
        bumps += rng.normal() / waves * np.cos(waves * turned + rng.uniform(0, 2 * np.pi))
    radii *= 1 + spec.irregularity * bumps / max(float(np.abs(bumps).max()), 1e-9)
    longest, _ = _diameters(radii)
    radii *= spec.longest_mm / longest
    longest, across = _diameters(radii)
    return Outline(center_mm, radii, longest, across)


def paint(
    brain: FloatImage,
    beyond_mm: FloatImage,
    spec: LesionSpec,
    sequence: Sequence,
    texture: FloatImage,
) -> FloatImage:
    """The brain with the lesion in it; `texture` (mean 0, deviation 1) roughens it slightly."""
    body, core = _LOOKS[sequence, spec.appearance]
    if spec.appearance is Appearance.RING:
        inner = _soft(-(beyond_mm + _RIM_MM * (1 + 0.45 * texture)), spec.edge_mm)
        look = body + (core - body) * inner
    else:
        look = np.full_like(brain, body)
    look = look * (1 + 0.07 * texture)
    painted = brain
    if spec.edema_mm:
        near = _soft(spec.edema_mm - beyond_mm, spec.edema_mm / 2)
        painted = painted * (1 - 0.30 * near)
    weight = _soft(-beyond_mm, spec.edge_mm)
    return painted + (look - painted) * weight


def measure_truth(
    spec: LesionSpec, outline: Outline, mask: NDArray[np.bool_], pixel_spacing_mm: float
) -> LesionTruth:
    """The truth of an outline and of its mask (H, W)."""
    rows, columns = np.nonzero(mask)
    area_px = int(mask.sum())
    return LesionTruth(
        side=spec.side,
        lobe=spec.lobe,
        longest_mm=round(outline.longest_mm, 2),
        perpendicular_mm=round(outline.perpendicular_mm, 2),
        area_mm2=round(area_px * pixel_spacing_mm**2, 2),
        area_px=area_px,
        centroid_px=(round(float(columns.mean()), 2), round(float(rows.mean()), 2)),
        bbox_px=(
            int(columns.min()),
            int(rows.min()),
            int(columns.max()) + 1,
            int(rows.max()) + 1,
        ),
    )


def _angles() -> FloatImage:
    return np.arange(_DIRECTIONS, dtype=np.float64) * (2 * np.pi / _DIRECTIONS)


def _polar(radii_mm: FloatImage) -> FloatImage:
    directions: FloatImage = np.stack([np.cos(_angles()), np.sin(_angles())], axis=1)
    return radii_mm[:, None] * directions


def _diameters(radii_mm: FloatImage) -> tuple[float, float]:
    """The largest distance of two points, and the extent across it."""
    points = _polar(radii_mm)
    squared = ((points[:, None] - points[None]) ** 2).sum(axis=2)
    first, second = np.unravel_index(int(squared.argmax()), squared.shape)
    along = points[second] - points[first]
    longest = float(np.hypot(*along))
    across = points @ (np.array([-along[1], along[0]]) / longest)
    return longest, float(np.ptp(across))


def _soft(inside_mm: FloatImage, width_mm: float) -> FloatImage:
    """A smooth step from 0 to 1 with its middle at 0."""
    return 1 / (1 + np.exp(-np.clip(inside_mm / (max(width_mm, 0.05) / 4), -40, 40)))
