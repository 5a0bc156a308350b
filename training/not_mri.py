"""Pictures that are no brain MRI, made here, to see whether the input check turns them away."""

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

SIDE_PX = 256
Pixels = NDArray[np.uint8]


def not_mri(seed: int, each: int) -> dict[str, list[Pixels]]:
    """`each` pictures (256, 256) uint8 of every kind, by kind."""
    generator = np.random.default_rng(seed)
    kinds = {
        "flat": _flat,
        "noise": _noise,
        "clouds": _clouds,
        "gradient": _gradient,
        "text": _text,
        "plot": _plot,
        "shape": _shape,
        "pattern": _pattern,
    }
    return {name: [make(generator) for _ in range(each)] for name, make in kinds.items()}


def _flat(generator: np.random.Generator) -> Pixels:
    return np.full((SIDE_PX, SIDE_PX), generator.integers(0, 256), dtype=np.uint8)


def _noise(generator: np.random.Generator) -> Pixels:
    return _to_uint8(generator.normal(generator.uniform(20, 230), generator.uniform(3, 80), _SHAPE))


def _clouds(generator: np.random.Generator) -> Pixels:
    blurred = cv2.GaussianBlur(generator.normal(size=_SHAPE), (0, 0), generator.uniform(2, 30))
    spread = blurred.max() - blurred.min()
    return _to_uint8((blurred - blurred.min()) / spread * 255)


def _gradient(generator: np.random.Generator) -> Pixels:
    angle = generator.uniform(0, 2 * np.pi)
    ramp = _X * np.cos(angle) + _Y * np.sin(angle)
    if generator.random() < 0.5:
        across, down = generator.uniform(-100, 100, size=2)
        ramp = -np.hypot(_X - across, _Y - down)
    return _to_uint8((ramp - ramp.min()) / (ramp.max() - ramp.min()) * 255)


def _text(generator: np.random.Generator) -> Pixels:
    page, ink = _page(generator)
    scale = float(generator.uniform(0.4, 1.2))
    for line in range(int(28 * scale), SIDE_PX, int(30 * scale)):
        words = "".join(chr(code) for code in generator.integers(97, 123, size=40))
        cv2.putText(page, words, (4, line), cv2.FONT_HERSHEY_SIMPLEX, scale, ink, 1, cv2.LINE_AA)
    return page


def _plot(generator: np.random.Generator) -> Pixels:
    page, ink = _page(generator)
    cv2.rectangle(page, (20, 20), (236, 236), ink, 1)
    for _ in range(int(generator.integers(1, 4))):
        heights = np.clip(128 + np.cumsum(generator.normal(0, 12, size=27)), 22, 234)
        points = np.stack([np.arange(22, 238, 8), heights], axis=1).astype(np.int32)
        cv2.polylines(page, [points], isClosed=False, color=ink, thickness=2)
    return page


def _shape(generator: np.random.Generator) -> Pixels:
    page = np.zeros(_SHAPE, dtype=np.uint8)
    for _ in range(int(generator.integers(1, 5))):
        center = tuple(int(place) for place in generator.integers(60, 196, size=2))
        axes = tuple(int(length) for length in generator.integers(10, 100, size=2))
        gray = int(generator.integers(60, 256))
        cv2.ellipse(page, center, axes, float(generator.uniform(0, 180)), 0, 360, gray, -1)
    return page


def _pattern(generator: np.random.Generator) -> Pixels:
    period = generator.uniform(4, 40)
    waves = np.sin(2 * np.pi * _X / period)
    if generator.random() < 0.5:
        waves = np.sign(waves * np.sin(2 * np.pi * _Y / period))
    return _to_uint8(127 + 120 * waves)


def _page(generator: np.random.Generator) -> tuple[Pixels, int]:
    dark = bool(generator.random() < 0.5)
    return np.full(_SHAPE, 0 if dark else 255, dtype=np.uint8), 255 if dark else 0


def _to_uint8(values: NDArray[np.float64]) -> Pixels:
    return np.clip(np.round(values), 0, 255).astype(np.uint8)


def all_pictures(kinds: dict[str, list[Pixels]]) -> Iterator[Pixels]:
    """The pictures of every kind, one after the other."""
    for pictures in kinds.values():
        yield from pictures


_SHAPE = (SIDE_PX, SIDE_PX)
_Y, _X = np.mgrid[:SIDE_PX, :SIDE_PX].astype(np.float64) - SIDE_PX / 2
