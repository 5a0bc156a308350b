"""What the template lacks: cerebrospinal fluid, skull, diploe, muscle, scalp and vessels.

Every layer is a function of the distance from the brain's hull, so the outline follows the brain.
Brightness is relative to the scalp's fat, which is 1.
"""

import numpy as np
from numpy.typing import NDArray

from neuroscan.phantoms.noise import smooth_noise
from neuroscan.phantoms.spec import Sequence

FloatImage = NDArray[np.float64]

# The template's brightness (0 to 255) to that of tissue: fluid, cortex, gray and white matter.
_TEMPLATE = np.array([0.0, 75.0, 115.0, 160.0, 215.0, 255.0])
_TISSUE = {
    Sequence.T1: np.array([0.10, 0.11, 0.22, 0.47, 0.76, 0.88]),
    Sequence.T1_CE: np.array([0.13, 0.14, 0.22, 0.31, 0.355, 0.38]),
}
_FLUID = 0.11
_BONE = 0.04
_DIPLOE = {Sequence.T1: 0.34, Sequence.T1_CE: 0.34}
_MUSCLE = {Sequence.T1: 0.42, Sequence.T1_CE: 0.36}
_FAT = {Sequence.T1: 0.92, Sequence.T1_CE: 0.80}
_SKIN = 0.5
VESSEL = 0.8


def tissue(t1: FloatImage, sequence: Sequence) -> FloatImage:
    """Brightness of the brain for the template's."""
    return np.asarray(np.interp(t1, _TEMPLATE, _TISSUE[sequence]), dtype=np.float64)


def vessels(
    t1: FloatImage, x_mm: FloatImage, inside_mm: FloatImage, rng: np.random.Generator
) -> FloatImage:
    """How much of each position (0 to 1) is an enhancing vessel or falx.

    `x_mm` is the distance from the midline in the brain as it is before the shift, so that falx and
    vessels move with it; `inside_mm` the depth below the brain's hull.
    """
    fluid = np.clip((140 - t1) / 60, 0, 1)
    falx = np.exp(-0.5 * (x_mm / 0.7) ** 2) * fluid * (inside_mm < 45)
    speckle = np.clip(smooth_noise(t1.shape, 0.9, rng) - 2.0, 0, 1)
    cortical = speckle * np.clip((165 - t1) / 50, 0, 1) * (inside_mm < 28)
    return np.clip(0.55 * falx + cortical, 0, 1)


def add_head(
    brain: FloatImage,
    outside_mm: FloatImage,
    x_mm: FloatImage,
    y_mm: FloatImage,
    z_mm: float,
    sequence: Sequence,
    rng: np.random.Generator,
) -> FloatImage:
    """The slice with everything between brain and air around it.

    All arrays are (H, W); `outside_mm` is the distance from the brain's hull, `x_mm` and `y_mm` the
    head's coordinates at scale 1, `rng` varies the layers' thickness around the head.
    """
    angle = np.arctan2(y_mm + 18, x_mm)
    # Near the crown the cut runs obliquely through the layers and shows them thicker.
    oblique = 1 + 0.9 * np.clip((z_mm - 30) / 30, 0, 1) ** 2
    vary = [oblique * _around(angle, rng) for _ in range(3)]
    back = np.clip(-np.sin(angle), 0, 1)
    temple = np.exp(-0.5 * ((np.abs(x_mm) - 60) / 14) ** 2 - 0.5 * ((y_mm - 8) / 20) ** 2)
    fluid_end = 2.0 * vary[0]
    inner_end = fluid_end + 1.6
    diploe_end = inner_end + (2.6 + 1.0 * back) * vary[1] * (1 - 0.6 * temple)
    outer_end = diploe_end + 1.6
    muscle_end = outer_end + 8 * temple * np.clip((34 - z_mm) / 20, 0, 1)
    fat_end = muscle_end + (3.8 + 1.2 * back) * vary[2]
    skin_end = fat_end + 1.3
    grain = 1 + 0.13 * smooth_noise(brain.shape, 1.3, rng)
    layers = (
        (np.zeros_like(brain), _FLUID),
        (fluid_end, _BONE),
        (inner_end, _DIPLOE[sequence] * grain),
        (diploe_end, _BONE),
        (outer_end, _MUSCLE[sequence] * grain),
        (muscle_end, _FAT[sequence] * grain),
        (fat_end, _SKIN),
        (skin_end, 0.0),
    )
    picture = brain
    for begins, brightness in layers:
        picture = picture + (brightness - picture) * _step(outside_mm - begins)
    if sequence is Sequence.T1_CE:
        sinus = _sinus(outside_mm - 0.5 * fluid_end, x_mm, y_mm)
        picture = picture + (VESSEL - picture) * sinus
    return picture


def shading(
    x_mm: FloatImage, y_mm: FloatImage, height: float, rng: np.random.Generator
) -> FloatImage:
    """A smooth factor around 1: the receive coil's field, brighter towards its elements."""
    u, v = x_mm / 100, y_mm / 110
    weights = [float(weight) for weight in rng.normal(size=4)]
    field = weights[0] * u + weights[1] * v + weights[2] * u * v + 0.5 * weights[3] * (u**2 - v**2)
    field = field / max(float(np.abs(field).max()), 1e-9) + 0.6 * (u**2 + v**2)
    shade: FloatImage = np.clip(field, -1.2, 1.2)
    return 1 + height * shade


def _sinus(outside_mm: FloatImage, x_mm: FloatImage, y_mm: FloatImage) -> FloatImage:
    """The superior sagittal sinus, cut at the front and, larger, at the back."""
    width = np.where(y_mm < -18, 3.6, 2.0)
    at = np.hypot(x_mm, 1.2 * outside_mm)
    return _step(width - at)


def _around(angle: FloatImage, rng: np.random.Generator) -> FloatImage:
    """A smooth factor near 1 that varies with the direction from the head's center."""
    factor = np.ones_like(angle)
    for waves in (1, 2, 3, 5):
        factor += rng.normal(scale=0.10 / waves) * np.cos(waves * angle + rng.uniform(0, 6.28))
    return np.clip(factor, 0.6, 1.5)


def _step(beyond_mm: FloatImage) -> FloatImage:
    """From 0 to 1 over about a millimetre."""
    return np.clip(beyond_mm / 0.9 + 0.5, 0, 1)
