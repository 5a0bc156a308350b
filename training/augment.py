"""Augmentation of a whole batch at once on its device; slice and mask move together."""

import math

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, conv2d, grid_sample, pad

from training.recipe import Augmentation


def augment(
    slices: Tensor, masks: Tensor, spec: Augmentation, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Slices (N, S, S) in 0..1 and masks (N, S, S) in 0..1, changed as `spec` allows.

    Geometry is common to a slice and its mask; intensity, noise, blur, floor and occlusion change
    the slice alone, and an occlusion never covers the mask. All chance comes from `generator`.
    """
    moved, tumor = _move(slices, masks, spec, generator)
    moved = _intensity(moved, spec, generator)
    if spec.blur_px > 0:
        share = _uniform(len(moved), 0.0, 1.0, generator)
        moved = moved + share * (_blurred(moved, spec.blur_px) - moved)
    if spec.noise > 0:
        level = _uniform(len(moved), 0.0, spec.noise, generator)
        moved = moved + level * torch.randn(
            moved.shape, generator=generator, device=generator.device
        )
    if spec.floor > 0:
        level = _uniform(len(moved), 0.0, 0.3, generator) * _chosen(
            len(moved), spec.floor, generator
        )
        moved = torch.maximum(moved, level)
    if spec.occlusion > 0:
        moved = _occlude(moved, tumor, spec.occlusion, generator)
    return moved.clamp(0.0, 1.0), tumor


def transplant(
    slices: Tensor, masks: Tensor, healthy: Tensor, chance: float, generator: torch.Generator
) -> Tensor:
    """Some tumors moved into healthy slices of the batch, at their place; labels stay.

    `healthy` (N) says which slices show no tumor. A chosen tumor's slice keeps what lies within its
    softly widened mask and takes the rest from a healthy one, so that only the tumor can speak for
    the class. As many healthy slices get a patch of another healthy one in the shape of a tumor, so
    that the seam says nothing. Slices without a mask are left alone. Returns (N, S, S).
    """
    count = len(slices)
    donors = torch.nonzero(healthy).flatten()
    shapes = torch.nonzero(masks.amax(dim=(1, 2)) > 0.5).flatten()
    if len(donors) == 0 or len(shapes) == 0:
        return slices
    chosen = _chosen(count, chance, generator)
    other = slices[donors[_integers(len(donors), count, generator)]]
    borrowed = masks[shapes[_integers(len(shapes), count, generator)]]
    keep = torch.where(healthy[:, None, None], borrowed, masks)
    soft = _blurred(_widened(keep, 3), 2.0)
    usable = (keep.amax(dim=(1, 2), keepdim=True) > 0.5).float() * chosen
    mixed = soft * slices + (1 - soft) * other
    return slices + usable * (mixed - slices)


def _move(
    slices: Tensor, masks: Tensor, spec: Augmentation, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    count = len(slices)
    angle = _flat(count, spec.rotation_deg, generator) * (math.pi / 180)
    size = 1 + _flat(count, spec.scale, generator)
    stretch = 1 + _flat(count, spec.stretch, generator)
    across = torch.where(_flags(count, spec.flip_horizontal, generator), -1.0, 1.0)
    down = torch.where(_flags(count, spec.flip_vertical, generator), -1.0, 1.0)
    shift_x, shift_y = (2 * _flat(count, spec.shift, generator) for _ in range(2))
    theta = torch.stack(
        [
            torch.stack([across * angle.cos() / (size * stretch), -angle.sin() / size, shift_x], 1),
            torch.stack([angle.sin() / (size * stretch), down * angle.cos() / size, shift_y], 1),
        ],
        dim=1,
    )
    both = torch.stack([slices, masks], dim=1)
    grid = affine_grid(theta, list(both.shape), align_corners=False)
    moved = grid_sample(both, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return moved[:, 0], moved[:, 1]


def _intensity(slices: Tensor, spec: Augmentation, generator: torch.Generator) -> Tensor:
    count = len(slices)
    gamma = (_flat(count, 1.0, generator) * math.log1p(spec.gamma)).exp()[:, None, None]
    contrast = 1 + _flat(count, spec.contrast, generator)[:, None, None]
    brightness = _flat(count, spec.brightness, generator)[:, None, None]
    return (slices.clamp(0.0, 1.0) ** gamma) * contrast + brightness


def _occlude(slices: Tensor, masks: Tensor, chance: float, generator: torch.Generator) -> Tensor:
    count, side = len(slices), slices.shape[-1]
    places = torch.arange(side, device=slices.device)
    inside = torch.ones_like(slices, dtype=torch.bool)
    for shape in ((1, -1, 1), (1, 1, -1)):
        center = _uniform(count, 0.0, float(side), generator)
        half = _uniform(count, side / 16, side / 5, generator)
        inside &= (places.reshape(shape) - center).abs() < half
    gray = _uniform(count, 0.0, 1.0, generator)
    hidden = inside & (_widened(masks, 3) < 0.1) & (_chosen(count, chance, generator) > 0)
    return torch.where(hidden, gray, slices)


def _widened(masks: Tensor, by_px: int) -> Tensor:
    return torch.nn.functional.max_pool2d(masks[:, None], 2 * by_px + 1, 1, by_px)[:, 0]


def _blurred(slices: Tensor, deviation_px: float) -> Tensor:
    radius = max(1, round(2 * deviation_px))
    places = torch.arange(-radius, radius + 1, device=slices.device, dtype=slices.dtype)
    kernel = torch.exp(-places.square() / (2 * deviation_px**2))
    kernel = kernel / kernel.sum()
    padded = pad(slices[:, None], (radius,) * 4, mode="replicate")
    return conv2d(conv2d(padded, kernel.reshape(1, 1, 1, -1)), kernel.reshape(1, 1, -1, 1))[:, 0]


def _flat(count: int, limit: float, generator: torch.Generator) -> Tensor:
    draw = torch.rand(count, generator=generator, device=generator.device)
    return (2 * draw - 1) * limit


def _uniform(count: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    draw = torch.rand((count, 1, 1), generator=generator, device=generator.device)
    return low + (high - low) * draw


def _flags(count: int, chance: float, generator: torch.Generator) -> Tensor:
    return torch.rand(count, generator=generator, device=generator.device) < chance


def _chosen(count: int, chance: float, generator: torch.Generator) -> Tensor:
    return _flags(count, chance, generator).float()[:, None, None]


def _integers(limit: int, count: int, generator: torch.Generator) -> Tensor:
    return torch.randint(limit, (count,), generator=generator, device=generator.device)
