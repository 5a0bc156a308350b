"""What the default map shows: inside the head or outside, on the tumor or elsewhere."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torchvision.models import ResNet

from neuroscan.network.bundle import Explanation
from neuroscan.network.preprocess import Preprocessing, preprocess
from services.explain.cam import explain
from services.explain.evidence import Mask, region_mask, upsample
from services.spatial.head import head_mask, mask_on_raster, working_raster
from training.data import Picture
from training.evaluation import MapFigures
from training.folders import Source
from training.metrics import group_weights, mean_estimate


def measure_maps(
    model: ResNet,
    preprocessing: Preprocessing,
    packs: Source,
    pictures: Sequence[Picture],
    *,
    explanation: Explanation,
    resamples: int,
    seed: int,
) -> MapFigures:
    """The default map on the pictures, explaining the network's own answer.

    Slices whose head is not found count as head everywhere. Tumor figures only when every picture
    has a mask; a slice without positive evidence misses and has no energy inside.
    """
    peaks, inside, regions, hits, energies, masks = [], [], [], [], [], []
    for picture in pictures:
        pixels = packs.pixels(picture)
        raster = working_raster(pixels)
        head = head_mask(raster.pixels)
        tensor = preprocess(pixels, preprocessing).to(next(model.parameters()).device)
        with torch.no_grad():
            target = int(model(tensor).argmax())
        shape = (raster.pixels.shape[0], raster.pixels.shape[1])
        evidence = upsample(
            explain(model, tensor, target, explanation.method, explanation.layer).map, shape
        )
        everywhere = np.ones(shape, dtype=np.bool_)
        hit, share = inside_share(evidence, head if head is not None else everywhere)
        peaks.append(hit)
        region = region_mask(evidence, explanation.region_threshold)
        if region is not None:
            inside.append(share)
            regions.append(float(region.mean()))
        if picture.mask is not None:
            tumor = mask_on_raster(packs.mask(picture, (pixels.shape[0], pixels.shape[1])), raster)
            hit, share = inside_share(evidence, tumor)
            hits.append(hit)
            energies.append(share)
            masks.append(float(tumor.mean()))
    weights = group_weights([picture.group for picture in pictures], resamples, seed)
    all_masked = len(masks) == len(pictures)
    return MapFigures(
        slices=len(pictures),
        without_evidence=len(pictures) - len(regions),
        peak_in_head=float(np.mean(peaks)),
        in_head=float(np.mean(inside)) if inside else 0.0,
        region_share=float(np.mean(regions)) if regions else 0.0,
        pointing=mean_estimate(np.array(hits), weights) if all_masked else None,
        energy=mean_estimate(np.array(energies), weights) if all_masked else None,
        mask_share=float(np.mean(masks)) if all_masked else None,
    )


def inside_share(evidence: NDArray[np.float32], mask: Mask) -> tuple[float, float]:
    """1.0 when the peak of evidence (H, W), nowhere below 0, lies in the mask; its share there.

    Both 0 without evidence.
    """
    total = float(evidence.sum(dtype=np.float64))
    if total <= 0:
        return 0.0, 0.0
    hit = float(mask.flat[int(evidence.argmax())])
    return hit, float(evidence[mask].sum(dtype=np.float64)) / total
