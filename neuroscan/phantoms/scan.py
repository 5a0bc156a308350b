"""One phantom: template, deformation, lesion, head, shading and noise, put together."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from neuroscan.phantoms import head
from neuroscan.phantoms.lesion import Outline, draw_outline, measure_truth, paint
from neuroscan.phantoms.noise import smooth_noise
from neuroscan.phantoms.spec import LesionSpec, PhantomSpec, PhantomTruth, Sequence
from neuroscan.phantoms.template import TemplateSlice, template_slice

FloatImage = NDArray[np.float64]
BoolImage = NDArray[np.bool_]

_CENTER_Y_MM = -18.0
_PLATEAU_X_MM, _PLATEAU_Y_MM = 20.0, 12.0
# Streams of random numbers, apart from one another: noise must not move the outline.
_SHAPE, _LESION, _HEAD, _VESSELS, _COIL, _NOISE = range(6)


@dataclass(frozen=True)
class Phantom:
    """A slice (H, W) uint8 in radiological display (patient's right on the picture's left).

    `lesion_mask` and `brain_mask` are (H, W) bool; the brain's holds fissures and ventricles.
    """

    pixels: NDArray[np.uint8]
    lesion_mask: BoolImage
    brain_mask: BoolImage
    truth: PhantomTruth


@dataclass(frozen=True)
class _Positions:
    """Where each pixel (H, W) lies: in the head (mm), and in the template before deformation."""

    x_mm: FloatImage
    y_mm: FloatImage
    skull_x_mm: FloatImage
    skull_y_mm: FloatImage
    brain_x_mm: FloatImage
    brain_y_mm: FloatImage


def make_phantom(spec: PhantomSpec) -> Phantom:
    """The phantom for a specification; the same one every time.

    Raises ValueError when the lesion does not fit into its hemisphere at its level, and
    FileNotFoundError when nilearn, which ships the template, is not installed.
    """
    template = template_slice(spec.z_mm, spec.thickness_mm)
    at = _positions(spec, template)
    outside_mm = spec.head_scale * template.sample(
        template.outside_mm, at.skull_x_mm, at.skull_y_mm
    )
    t1 = template.sample(template.t1, at.brain_x_mm, at.brain_y_mm)
    picture = head.tissue(t1, spec.sequence)
    if spec.sequence is Sequence.T1_CE:
        bright = head.vessels(t1, at.brain_x_mm, -outside_mm, _rng(spec, _VESSELS))
        picture = picture + (head.VESSEL - picture) * bright
    mask = np.zeros(picture.shape, dtype=np.bool_)
    lesion = None
    if spec.lesion is not None:
        outline = _place(spec, spec.lesion)
        beyond_mm = outline.beyond_mm(at.x_mm, at.y_mm)
        mask = beyond_mm <= 0
        _check_fit(spec, spec.lesion, outline, template)
        texture = smooth_noise(picture.shape, 2.5 / spec.pixel_spacing_mm, _rng(spec, _LESION, 1))
        picture = paint(picture, beyond_mm, spec.lesion, spec.sequence, texture)
        lesion = measure_truth(spec.lesion, outline, mask, spec.pixel_spacing_mm)
    picture = head.add_head(
        picture,
        outside_mm,
        at.skull_x_mm,
        at.skull_y_mm,
        spec.z_mm,
        spec.sequence,
        _rng(spec, _HEAD),
    )
    truth = PhantomTruth(
        file=f"{spec.name}.png",
        lesion=lesion,
        midline_shift_mm=spec.midline_shift_mm,
        midline_shift_toward=spec.direction,
        pixel_spacing_mm=spec.pixel_spacing_mm,
        rotation_deg=spec.rotation_deg,
        level_mm=spec.z_mm,
        sequence=spec.sequence,
        seed=spec.seed,
    )
    return Phantom(_acquire(picture, at, spec), mask, outside_mm < 0, truth)


def _rng(spec: PhantomSpec, *stream: int) -> np.random.Generator:
    return np.random.default_rng([spec.seed, *stream])


def _positions(spec: PhantomSpec, template: TemplateSlice) -> _Positions:
    """Follow every pixel back: rotation, midline shift, individual shape, head size."""
    steps = (np.arange(spec.size_px) - (spec.size_px - 1) / 2) * spec.pixel_spacing_mm
    right, down = np.meshgrid(steps, steps)
    cos, sin = np.cos(np.deg2rad(spec.rotation_deg)), np.sin(np.deg2rad(spec.rotation_deg))
    # Radiological display: the picture's right is the patient's left.
    x = -(cos * right + sin * down)
    y = sin * right - cos * down + _CENTER_Y_MM * spec.head_scale
    scale = spec.head_scale
    skull_x, skull_y = _individual(x / scale, y / scale, spec, skull=True)
    pushed = x - _shift(x, y, spec, template)
    brain_x, brain_y = _individual(pushed / scale, y / scale, spec)
    return _Positions(x, y, skull_x, skull_y, brain_x, brain_y)


def _shift(x: FloatImage, y: FloatImage, spec: PhantomSpec, template: TemplateSlice) -> FloatImage:
    """How far (mm, to the right) what is now at x, y was pushed.

    The whole shift between the lateral ventricles' walls around septum or third ventricle; nothing
    at the falx's attachments, front and back, and nothing at the brain's sides.
    """
    if spec.direction is None:
        return np.zeros_like(x)
    scale = spec.head_scale
    across = _fall(np.abs(x), _PLATEAU_X_MM, scale * template.half_breadth_mm - 3)
    middle = scale * shift_center_y_mm(spec.z_mm)
    end = np.where(
        y > middle, scale * template.front_mm - middle, middle - scale * template.back_mm
    )
    along = _fall(np.abs(y - middle), _PLATEAU_Y_MM, end - 4)
    return spec.direction.sign * spec.midline_shift_mm * across * along


def shift_center_y_mm(z_mm: float) -> float:
    """MNI y of what the shift is stated for: below 8 mm the third ventricle, else the septum."""
    return -12.0 if z_mm < 8 else 6.0


def _fall(distance: FloatImage, plateau: float, end: float | FloatImage) -> FloatImage:
    """1 up to the plateau, then a cosine down to 0 at the end."""
    part = np.clip((distance - plateau) / np.maximum(end - plateau, 1.0), 0, 1)
    return 0.5 * (1 + np.cos(np.pi * part))


def _individual(
    x: FloatImage, y: FloatImage, spec: PhantomSpec, *, skull: bool = False
) -> tuple[FloatImage, FloatImage]:
    """A smooth deformation of some millimetres, another for each seed; the midline stays.

    The skull takes part in its long waves only, or its outline would ripple.
    """
    rng = _rng(spec, _SHAPE)
    moved = [np.zeros_like(x), np.zeros_like(y)]
    for length_mm, height_mm in ((160.0, 2.2), (70.0, 1.2), (36.0, 0.9)):
        if skull and length_mm < 100:
            break
        for axis in range(2):
            direction = rng.uniform(0, 2 * np.pi)
            wave = np.cos(direction) * x + np.sin(direction) * y
            phase = 2 * np.pi * wave / length_mm + rng.uniform(0, 2 * np.pi)
            moved[axis] = moved[axis] + height_mm * np.sin(phase)
    away = 1 - np.exp(-((x / 14) ** 2))
    return x + moved[0] * away, y + moved[1]


def _place(spec: PhantomSpec, lesion: LesionSpec) -> Outline:
    x, y, _ = lesion.place_mm
    center = x * spec.head_scale, y * spec.head_scale
    return draw_outline(lesion, center, _rng(spec, _LESION, 0))


def _check_fit(
    spec: PhantomSpec, lesion: LesionSpec, outline: Outline, template: TemplateSlice
) -> None:
    """A lesion that left the brain or crossed the midline would make the truth untrue."""
    x, y = outline.points_mm().T
    hull = _individual(x / spec.head_scale, y / spec.head_scale, spec, skull=True)
    if template.sample(template.outside_mm, *hull).max() > 0:
        raise ValueError(
            f"{spec.name}: the lesion does not fit into the brain at {lesion.place_mm}"
        )
    midline = _midline_x(spec, template, y)
    if (lesion.side.sign * (x - midline)).min() < 0:
        raise ValueError(f"{spec.name}: the lesion crosses the midline at {lesion.place_mm}")


def _midline_x(spec: PhantomSpec, template: TemplateSlice, y: FloatImage) -> FloatImage:
    """The x to which the midline was pushed at each y."""
    # The shift is the same all over the plateau, which is wider than any shift.
    return _shift(np.zeros_like(y), y, spec, template)


def _acquire(picture: FloatImage, at: _Positions, spec: PhantomSpec) -> NDArray[np.uint8]:
    """Blur, coil shading, Rician noise (Gudbjartsson and Patz 1995) and 8 bits."""
    blurred: FloatImage = ndimage.gaussian_filter(picture, spec.blur_mm / spec.pixel_spacing_mm)
    shaded = blurred * head.shading(at.x_mm, at.y_mm, spec.bias, _rng(spec, _COIL))
    noise = _rng(spec, _NOISE).normal(scale=max(spec.noise, 0.0), size=(2, *picture.shape))
    magnitude = np.hypot(shaded + noise[0], noise[1])
    white = 0.97 * float(np.percentile(magnitude, 99.7))
    pixels: NDArray[np.uint8] = np.clip(np.rint(255 * magnitude / white), 0, 255).astype(np.uint8)
    return pixels
