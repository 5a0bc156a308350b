"""Look-alikes among pictures: copies, mirror images, adjusted copies, and others."""

import cv2
import numpy as np
from numpy.typing import NDArray

from training.duplicates import families, find_twins, take_prints

Pixels = NDArray[np.uint8]


def clouds(seed: int) -> Pixels:
    noise = np.random.default_rng(seed).normal(size=(96, 96))
    soft = cv2.GaussianBlur(noise, (0, 0), 6)
    return np.asarray((soft - soft.min()) / np.ptp(soft) * 200 + 20, dtype=np.uint8)


def test_copies_mirrors_and_adjusted_copies_are_found_and_strangers_are_not() -> None:
    first, second = clouds(1), clouds(2)
    compressed = cv2.imdecode(
        cv2.imencode(".jpg", first, [cv2.IMWRITE_JPEG_QUALITY, 60])[1], cv2.IMREAD_GRAYSCALE
    )
    smaller = cv2.resize(first, (64, 64), interpolation=cv2.INTER_AREA)
    darker = (first * 0.7).astype(np.uint8)
    mirror = np.ascontiguousarray(first[:, ::-1])
    slices = [first, second, np.asarray(compressed, np.uint8), np.asarray(smaller, np.uint8)]
    slices += [darker, mirror, clouds(3)]
    twins = list(find_twins(take_prints(slices)))
    pairs = {(twin.first, twin.second): twin.mirrored for twin in twins}
    assert {pair for pair in pairs if 0 in pair} == {(0, 2), (0, 3), (0, 4), (0, 5)}
    assert pairs[0, 5]
    assert not pairs[0, 2]
    assert families(len(slices), pairs) == [0, 1, 0, 0, 0, 0, 6]


def test_pairs_are_found_across_chunks() -> None:
    slices = [clouds(seed) for seed in range(600)]
    slices.append(slices[3])
    twins = list(find_twins(take_prints(slices)))
    assert [(twin.first, twin.second) for twin in twins] == [(3, 600)]


def test_families_join_over_several_steps() -> None:
    assert families(6, [(4, 5), (1, 4), (2, 3)]) == [0, 1, 2, 2, 1, 1]
