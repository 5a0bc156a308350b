"""A part of the data decoded once, kept in memory as uint8 at the training size."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from neuroscan.network.model import CLASSES
from neuroscan.network.preprocess import Preprocessing, resize_square
from training.data import Picture
from training.folders import Source


@dataclass(frozen=True, eq=False)
class Slices:
    """N slices on one device: `pixels` and `masks` (N, S, S) uint8, `labels` (N) int64.

    `known` (N) says of which slices it is known where the tumor is: those with a mask, and those
    without a tumor, whose masks are empty.
    """

    pixels: Tensor
    masks: Tensor
    known: Tensor
    labels: Tensor
    pictures: tuple[Picture, ...]

    def __len__(self) -> int:
        return len(self.pictures)

    def to(self, device: torch.device) -> "Slices":
        """The same on another device."""
        return Slices(
            self.pixels.to(device),
            self.masks.to(device),
            self.known.to(device),
            self.labels.to(device),
            self.pictures,
        )

    def choose(self, places: Sequence[int]) -> "Slices":
        """Some of the slices, in the order of `places`."""
        index = torch.tensor(list(places), dtype=torch.int64, device=self.pixels.device)
        return Slices(
            self.pixels[index],
            self.masks[index],
            self.known[index],
            self.labels[index],
            tuple(self.pictures[place] for place in places),
        )


def load_slices(packs: Source, pictures: Sequence[Picture], spec: Preprocessing) -> Slices:
    """Decode the pictures and resize them as the network's own preprocessing does."""
    side = spec.input_size
    pixels = torch.empty((len(pictures), side, side), dtype=torch.uint8)
    masks = torch.zeros((len(pictures), side, side), dtype=torch.uint8)
    for place, picture in enumerate(pictures):
        image = packs.pixels(picture)
        resized = resize_square(torch.from_numpy(image).float(), spec)
        pixels[place] = resized.round().clamp(0, 255).to(torch.uint8)
        if picture.mask is not None:
            drawn = packs.mask(picture, (image.shape[0], image.shape[1])).astype(np.uint8) * 255
            small = cv2.resize(drawn, (side, side), interpolation=cv2.INTER_AREA)
            masks[place] = torch.from_numpy(np.asarray(small, dtype=np.uint8))
    return Slices(
        pixels=pixels,
        masks=masks,
        known=torch.tensor(
            [picture.mask is not None or picture.label == "no_tumor" for picture in pictures]
        ),
        labels=torch.tensor([CLASSES.index(picture.label) for picture in pictures]),
        pictures=tuple(pictures),
    )


def normalized(slices: Tensor, spec: Preprocessing) -> Tensor:
    """The network's input (N, 3, S, S) of slices (N, S, S) in 0..1."""
    mean = torch.tensor(spec.mean, device=slices.device).reshape(1, 3, 1, 1)
    std = torch.tensor(spec.std, device=slices.device).reshape(1, 3, 1, 1)
    # What convolutions are fastest with, on a GPU and on the CPU.
    return ((slices[:, None] - mean) / std).to(memory_format=torch.channels_last)
