"""More pictures that are no brain MRI, beside `not_mri`, for measuring.

How many slices the input check accepts was settled with other pictures of these kinds (another
seed), so what it makes of them says little about kinds that nobody here has thought of.

Rendered plots, digits, photographs (scikit-learn's samples), and synthetic pictures built like
other body parts: ellipses, ribs, bones and joints on black. None of it is real anatomy.
"""

import io
from collections.abc import Callable

import cv2
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.datasets import load_digits, load_sample_images

from training.not_mri import SIDE_PX, Pixels, not_mri

Generator = np.random.Generator


def other_pictures(seed: int, each: int) -> dict[str, list[Pixels]]:
    """`each` pictures uint8 of every kind, by kind: those of `not_mri` and this module's own."""
    generator = np.random.default_rng([seed, 1])
    own = {
        "digits": _digit_maker(),
        "photograph": _photograph_maker(),
        "figure": _figure,
        "chest-like": _chest,
        "abdomen-like": _abdomen,
        "limb-like": _limb,
        "knee-like": _knee,
        "fan-like": _fan,
    }
    made = {name: [make(generator) for _ in range(each)] for name, make in own.items()}
    return {**not_mri(seed=seed, each=each), **made}


def _digit_maker() -> Callable[[Generator], Pixels]:
    digits = np.asarray(load_digits().images, dtype=np.float64) / 16 * 255

    def make(generator: Generator) -> Pixels:
        many = int(generator.integers(1, 6))
        chosen = digits[generator.integers(0, len(digits), size=many * many)]
        rows = [np.hstack(list(chosen[row * many : (row + 1) * many])) for row in range(many)]
        return _sized(_to_uint8(np.vstack(rows)), generator)

    return make


def _photograph_maker() -> Callable[[Generator], Pixels]:
    photographs = [
        np.asarray(cv2.cvtColor(np.asarray(image), cv2.COLOR_RGB2GRAY), dtype=np.uint8)
        for image in load_sample_images().images
    ]

    def make(generator: Generator) -> Pixels:
        image = photographs[int(generator.integers(len(photographs)))]
        side = int(generator.integers(120, min(image.shape)))
        top = int(generator.integers(0, image.shape[0] - side + 1))
        left = int(generator.integers(0, image.shape[1] - side + 1))
        return _sized(np.ascontiguousarray(image[top : top + side, left : left + side]), generator)

    return make


def _figure(generator: Generator) -> Pixels:
    figure = Figure(figsize=(3, 3), dpi=96)
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    kind = int(generator.integers(4))
    if kind == 0:
        axes.bar(np.arange(8), generator.uniform(1, 9, size=8))
    elif kind == 1:
        across, up = generator.normal(size=(2, 80))
        axes.scatter(across, up, s=12)
    elif kind == 2:
        axes.plot(np.cumsum(generator.normal(size=(100, 3)), axis=0))
    else:
        axes.imshow(generator.random((12, 12)))
    axes.set_title("".join(chr(code) for code in generator.integers(97, 123, size=9)))
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    encoded = np.frombuffer(buffer.getvalue(), dtype=np.uint8)
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE), dtype=np.uint8)


def _chest(generator: Generator) -> Pixels:
    page = np.full(_SHAPE, generator.integers(110, 190), dtype=np.uint8)
    middle = 128 + int(generator.integers(-8, 9))
    for side in (-1, 1):
        center = (middle + side * int(generator.integers(48, 62)), 125)
        axes = (int(generator.integers(30, 44)), int(generator.integers(70, 95)))
        cv2.ellipse(page, center, axes, side * 6.0, 0, 360, int(generator.integers(20, 60)), -1)
        for rib in range(50, 215, int(generator.integers(18, 26))):
            ends = (center[0], rib), (axes[0] + 12, 14)
            cv2.ellipse(page, ends[0], ends[1], side * 12.0, 180, 360, 130, 3)
    cv2.ellipse(page, (middle + 14, 165), (38, 34), 20.0, 0, 360, 200, -1)
    cv2.rectangle(page, (middle - 8, 0), (middle + 8, 255), 205, -1)
    return _finished(page, generator, blur=3.0)


def _abdomen(generator: Generator) -> Pixels:
    page = np.zeros(_SHAPE, dtype=np.uint8)
    wide, high = int(generator.integers(100, 122)), int(generator.integers(70, 92))
    cv2.ellipse(page, (128, 128), (wide, high), 0, 0, 360, 70, -1)
    cv2.ellipse(page, (128, 128), (wide - 12, high - 12), 0, 0, 360, 110, -1)
    cv2.ellipse(page, (85, 115), (46, 38), 15.0, 0, 360, 160, -1)
    cv2.ellipse(page, (180, 120), (22, 28), -20.0, 0, 360, 170, -1)
    for side in (-1, 1):
        cv2.ellipse(page, (128 + side * 45, 165), (15, 20), side * 20.0, 0, 360, 205, -1)
    cv2.circle(page, (128, 180), 15, 240, -1)
    for _ in range(int(generator.integers(3, 9))):
        place = int(generator.integers(95, 165)), int(generator.integers(85, 150))
        cv2.circle(page, place, int(generator.integers(4, 12)), int(generator.integers(20, 90)), -1)
    return _finished(page, generator, blur=2.0)


def _limb(generator: Generator) -> Pixels:
    page = np.zeros(_SHAPE, dtype=np.uint8)
    width = int(generator.integers(30, 60))
    cv2.rectangle(page, (128 - width, 0), (128 + width, 255), 75, -1)
    for _ in range(int(generator.integers(1, 3))):
        middle = 128 + int(generator.integers(-width // 2, width // 2 + 1))
        half = int(generator.integers(8, 16))
        cv2.rectangle(page, (middle - half, 0), (middle + half, 255), 205, -1)
        cv2.rectangle(page, (middle - half // 2, 0), (middle + half // 2, 255), 150, -1)
    turned = cv2.getRotationMatrix2D((128, 128), float(generator.uniform(-40, 40)), 1.0)
    moved = np.asarray(cv2.warpAffine(page, turned, _SHAPE), dtype=np.uint8)
    return _finished(moved, generator, blur=1.5)


def _knee(generator: Generator) -> Pixels:
    page = np.zeros(_SHAPE, dtype=np.uint8)
    half = int(generator.integers(60, 80))
    cv2.rectangle(page, (128 - half, 0), (128 + half, 255), 95, -1)
    bone = int(generator.integers(150, 220))
    cv2.rectangle(page, (96, 0), (160, 90), bone, -1)
    cv2.ellipse(page, (128, 92), (58, 30), 0, 0, 360, bone, -1)
    cv2.ellipse(page, (128, 160), (56, 24), 0, 0, 360, bone, -1)
    cv2.rectangle(page, (98, 165), (158, 255), bone, -1)
    cv2.rectangle(page, (70, 124), (186, 134), 25, -1)
    return _finished(page, generator, blur=2.0)


def _fan(generator: Generator) -> Pixels:
    grain = generator.rayleigh(60, size=_SHAPE)
    speckle = cv2.GaussianBlur(grain, (0, 0), float(generator.uniform(0.8, 2.5)))
    fan = np.zeros(_SHAPE, dtype=np.uint8)
    spread = float(generator.uniform(30, 50))
    cv2.ellipse(fan, (128, 8), (240, 240), 90.0, -spread, spread, 255, -1)
    for _ in range(int(generator.integers(1, 4))):
        place = int(generator.integers(80, 176)), int(generator.integers(70, 210))
        size = int(generator.integers(10, 36)), int(generator.integers(10, 28))
        cv2.ellipse(speckle, place, size, 0, 0, 360, float(generator.uniform(0, 30)), -1)
    return _to_uint8(np.where(fan > 0, speckle, 0))


def _finished(page: Pixels, generator: Generator, blur: float) -> Pixels:
    soft = cv2.GaussianBlur(page, (0, 0), blur).astype(np.float64)
    texture = cv2.GaussianBlur(
        generator.normal(size=_SHAPE), (0, 0), float(generator.uniform(1, 4))
    )
    grain = generator.normal(0, float(generator.uniform(1, 8)), size=_SHAPE)
    scale = float(generator.uniform(4, 14)) / float(texture.std())
    return _to_uint8(soft + np.where(soft > 10, texture * scale, 0) + grain)


def _sized(pixels: Pixels, generator: Generator) -> Pixels:
    way = cv2.INTER_NEAREST if generator.random() < 0.5 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(pixels, _SHAPE, interpolation=way), dtype=np.uint8)


def _to_uint8(values: NDArray[np.float64]) -> Pixels:
    return np.clip(np.round(values), 0, 255).astype(np.uint8)


_SHAPE = (SIDE_PX, SIDE_PX)
