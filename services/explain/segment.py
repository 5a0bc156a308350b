"""The tumor's region by the segmentation decoder.

Apart from the contracts, so that training and measuring use the very same code without pydantic.
"""

import dataclasses
from collections.abc import Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torchvision.models import ResNet

from neuroscan.imaging.region_mask import RegionMask
from neuroscan.network.bundle import SegmentationSpec
from neuroscan.network.layers import outputs_of
from neuroscan.network.preprocess import Preprocessing, preprocess
from neuroscan.network.segmenter import Segmenter
from services.explain.evidence import Mask

# A second component stays when it holds this share of the largest one's probability.
_KEPT_SHARE = 0.3


def tumor_probability(
    model: ResNet,
    segmenter: Segmenter,
    pixels: NDArray[np.uint8],
    spec: Preprocessing,
    features: Sequence[torch.Tensor] | None = None,
) -> NDArray[np.float32]:
    """Probability (S, S) that a pixel belongs to a tumor, of a slice `pixels` (H, W) uint8.

    S is the decoder's input size; the slice is stretched to the square. The mean of the slice's and
    its mirror image's answers, so that mirroring a slice mirrors its region. `spec` is the
    backbone's preprocessing; both networks are in eval mode on the same device. `features` are the
    decoder's layers of the slice and its mirror image (2, C, h, w), where a pass has left them.
    """
    device = next(segmenter.parameters()).device
    size = segmenter.shape.input_size
    large = preprocess(pixels, dataclasses.replace(spec, input_size=size))[:, :1].to(device)
    with torch.inference_mode():
        if features is None:
            small = and_mirrored(preprocess(pixels, spec).to(device))
            features = outputs_of(model, small, segmenter.shape.layers)
        both = torch.sigmoid(segmenter(and_mirrored(large), features))[:, 0]
        mean = (both[0] + both[1].flip(-1)) / 2
    return mean.float().cpu().numpy()


def segmented_region(
    probability: NDArray[np.float32],
    shape: tuple[int, int],
    spec: SegmentationSpec,
    *,
    agreed: bool,
) -> Mask | None:
    """The region (H, W) of `shape` in a probability map (S, S); None when the slice is silent.

    `agreed` says that the network classifies the slice as a tumor, which makes a fainter region
    believable. Components that touch at a corner are one. The one that holds most probability
    stays, and others that hold at least three tenths of that.
    """
    if float(probability.max()) < (spec.least_peak_agreed if agreed else spec.least_peak):
        return None
    large = _at_size(probability, shape)
    above = large >= spec.threshold
    count, labels = cv2.connectedComponents(above.astype(np.uint8), connectivity=8)
    if count < 2:
        return None
    # What lies outside all components is most of the slice and counts for none.
    held = np.bincount(np.asarray(labels)[above], weights=large[above], minlength=count)
    result: Mask = np.isin(labels, np.flatnonzero(held >= _KEPT_SHARE * held.max())) & above
    return result


def segmented_range(
    probability: NDArray[np.float32],
    shape: tuple[int, int],
    spec: SegmentationSpec,
    *,
    agreed: bool,
) -> RegionMask | None:
    """The region of `segmented_region` with what `spec.loose` and `spec.tight` make of it.

    The loose region is all that hangs together with the chosen one; the tight one may be empty.
    """
    chosen = segmented_region(probability, shape, spec, agreed=agreed)
    if chosen is None:
        return None
    large = _at_size(probability, shape)
    above = large >= spec.loose
    _, labels = cv2.connectedComponents(above.astype(np.uint8), connectivity=8)
    loose: Mask = np.isin(labels, np.unique(np.asarray(labels)[chosen])) & above
    return RegionMask(loose, chosen, (large >= spec.tight) & chosen)


def is_faint(probability: NDArray[np.float32], spec: SegmentationSpec) -> bool:
    """Whether the decoder by itself, without the class, would find no region in the slice."""
    return float(probability.max()) < spec.least_peak


def _at_size(probability: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.float32]:
    resized = cv2.resize(probability, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)
    return np.asarray(resized, np.float32)


def and_mirrored(batch: torch.Tensor) -> torch.Tensor:
    """Slices (N, C, H, W), then their mirror images: (2N, C, H, W)."""
    return torch.cat([batch, batch.flip(-1)])
