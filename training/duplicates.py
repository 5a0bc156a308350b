"""Which pictures show the same slice: exactly, or nearly (scaled, compressed, mirrored, adjusted).

A difference hash (dHash: the sign of neighboring differences of a small copy) finds candidates; the
correlation of larger thumbnails decides, since neighboring slices of one patient hash alike too.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

HASH_SIDE, THUMB_SIDE = 16, 32
# Bits that may differ of HASH_SIDE ** 2, and the correlation from which on slices are the same.
MOST_BITS, LEAST_CORRELATION = 44, 0.99
_CHUNK = 512


@dataclass(frozen=True, eq=False)
class Prints:
    """N pictures: hashes of each and its mirror image (N, bits) in -1/+1, thumbnails (N, T * T).

    Thumbnails have mean 0 and length 1; they are float32, hashes int8.
    """

    hashes: NDArray[np.int8]
    mirrored: NDArray[np.int8]
    thumbs: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.hashes)


@dataclass(frozen=True)
class Twins:
    """Two pictures, by place, that show the same slice; `mirrored` where one is a mirror image."""

    first: int
    second: int
    mirrored: bool
    correlation: float


def difference_hash(pixels: NDArray[np.uint8]) -> NDArray[np.int8]:
    """Signs, -1 or +1, of horizontal differences of a slice (H, W): (HASH_SIDE ** 2,) int8."""
    size = (HASH_SIDE + 1, HASH_SIDE)
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA).astype(np.int16)
    return np.where(np.diff(small, axis=1) > 0, 1, -1).astype(np.int8).ravel()


def thumbnail(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """A small copy with mean 0 and length 1, (THUMB_SIDE ** 2,) float32; zeros where it is flat."""
    small = cv2.resize(pixels, (THUMB_SIDE, THUMB_SIDE), interpolation=cv2.INTER_AREA)
    values = np.asarray(small, dtype=np.float32).ravel()
    values = values - values.mean()
    return np.asarray(values / max(float(np.linalg.norm(values)), 1e-6), dtype=np.float32)


def take_prints(slices: Iterable[NDArray[np.uint8]]) -> Prints:
    """The prints of slices (H, W)."""
    rows = [
        (
            difference_hash(pixels),
            difference_hash(np.ascontiguousarray(pixels[:, ::-1])),
            thumbnail(pixels),
        )
        for pixels in slices
    ]
    return Prints(*(np.stack(column) for column in zip(*rows, strict=True)))


def find_twins(prints: Prints) -> Iterator[Twins]:
    """Every pair of near duplicates, each once, the earlier picture first."""
    bits = HASH_SIDE**2
    flipped = prints.thumbs.reshape(-1, THUMB_SIDE, THUMB_SIDE)[:, :, ::-1]
    flipped = np.ascontiguousarray(flipped).reshape(len(prints), -1)
    straight, mirror = prints.hashes.astype(np.float32), prints.mirrored.astype(np.float32)
    for start in range(0, len(prints), _CHUNK):
        rows = slice(start, start + _CHUNK)
        found: set[tuple[int, int]] = set()
        for hashes, thumbs, mirrored in (
            (straight, prints.thumbs, False),
            (mirror, flipped, True),
        ):
            agreeing = straight[rows] @ hashes.T
            first, second = np.nonzero(agreeing >= bits - 2 * MOST_BITS)
            later = second > first + start
            first, second = first[later] + start, second[later]
            alike = np.einsum("nd,nd->n", prints.thumbs[first], thumbs[second])
            for a, b, value in zip(first, second, alike, strict=True):
                pair = (int(a), int(b))
                if value >= LEAST_CORRELATION and pair not in found:
                    found.add(pair)
                    yield Twins(*pair, mirrored=mirrored, correlation=float(value))


def families(count: int, pairs: Iterable[tuple[int, int]]) -> Sequence[int]:
    """The smallest member of each picture's family, where families are joined by `pairs`."""
    parent = list(range(count))

    def root(place: int) -> int:
        while parent[place] != place:
            parent[place] = parent[parent[place]]
            place = parent[place]
        return place

    for first, second in pairs:
        low, high = sorted((root(first), root(second)))
        parent[high] = low
    return [root(place) for place in range(count)]
