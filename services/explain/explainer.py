"""One explanation from end to end: slice in, map, regions, pictures and facts out."""

import io
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from neuroscan.contracts.enums import CamMethod, TumorClass
from neuroscan.contracts.messages import ExplainTask
from neuroscan.contracts.problems import InvalidRequest
from neuroscan.contracts.results import (
    ExplainResult,
    ExplanationFacts,
    ExplanationObjects,
    ModelFacts,
    Regions,
)
from neuroscan.ids import new_id
from neuroscan.imaging.stored import read_slice_png
from neuroscan.network.bundle import Bundle
from neuroscan.network.device import choose_device
from neuroscan.network.layers import UnknownLayer, canonical
from neuroscan.network.preprocess import preprocess
from neuroscan.storage import Storage
from services.explain.backbone import Backbone
from services.explain.cam import SUM, Cam, explain
from services.explain.overlay import heatmap, overlay, png
from services.explain.region import FoundRegion, FoundRegions, find_region, found_region
from services.explain.segment import and_mirrored, is_faint, segmented_range, tumor_probability
from services.explain.sharpness import sharpness


class Explainer:
    """Holds the model and the object store; a call does one task."""

    def __init__(
        self,
        *,
        bundle_folder: Path,
        device: str,
        threads: int,
        storage: Storage,
        engine: str = "auto",
    ) -> None:
        """Load the bundle; raises `BundleError`, and `ValueError` (`use_onnx_runtime`)."""
        torch.set_num_threads(threads)
        bundle = Bundle.read(bundle_folder)
        self._bundle = bundle.description
        self._device = choose_device(device)
        self._model = bundle.load_model(self._device)
        self._segmenter = bundle.load_segmenter(self._device)
        self._storage = storage
        # The map's gradients begin at the first of its layers.
        layers = self._bundle.explanation.layer.split(SUM)
        if self._segmenter is not None:
            layers += self._segmenter.shape.layers
        self._backbone = Backbone(
            self._model, tuple(layers), engine=engine, device=device, threads=threads
        )

    def __call__(self, task: ExplainTask, prefix: str) -> ExplainResult:
        """Explain the task's slice, write the artefacts below `prefix`, return the facts.

        Raises `InvalidRequest` for a layer that the network doesn't have, and what the object store
        and an unreadable slice raise.
        """
        began = time.perf_counter()
        pixels = read_slice_png(self._storage.get(task.slice_key))
        shape = (pixels.shape[0], pixels.shape[1])
        tensor = preprocess(pixels, self._bundle.preprocessing).to(self._device)
        # The decoder looks at the mirror image too.
        known = self._backbone(tensor if self._segmenter is None else and_mirrored(tensor))
        cam = self._explain(task, tensor, {name: found[:1] for name, found in known.items()})
        found = FoundRegions(
            map=find_region(cam.map, shape, self._bundle.explanation.region_threshold),
            segmentation=self._segment(pixels, known, task.label),
        )
        files = {
            "heatmap.png": png(heatmap(cam.map, shape)),
            "overlay.png": png(overlay(pixels, cam.map, _regions(found))),
            "cam.npz": _npz(cam, task.label),
        }
        if found.chosen:
            files["mask.png"] = png(found.chosen.masks.picture())
        for name, content in files.items():
            self._storage.put(f"{prefix}/{name}", content)
        elapsed_ms = (time.perf_counter() - began) * 1000
        return ExplainResult(
            explanation=self._facts(cam, task.label, found, elapsed_ms),
            objects=ExplanationObjects(
                heatmap=f"{prefix}/heatmap.png",
                overlay=f"{prefix}/overlay.png",
                cam=f"{prefix}/cam.npz",
                mask=f"{prefix}/mask.png" if found.chosen else None,
            ),
            model=ModelFacts(
                name=self._bundle.name, version=self._bundle.version, sha256=self._bundle.sha256
            ),
        )

    def _explain(
        self, task: ExplainTask, tensor: torch.Tensor, known: Mapping[str, torch.Tensor]
    ) -> Cam:
        defaults = self._bundle.explanation
        try:
            return explain(
                self._model,
                tensor,
                target=self._bundle.classes.index(task.label.value),
                method=task.method.value if task.method else defaults.method,
                layer=task.layer or defaults.layer,
                known=known,
            )
        except UnknownLayer as error:
            raise InvalidRequest(f"The network has no such layer: {error}.") from error

    def _segment(
        self, pixels: NDArray[np.uint8], known: Mapping[str, torch.Tensor], label: TumorClass
    ) -> FoundRegion | None:
        spec = self._bundle.segmentation
        if self._segmenter is None or spec is None:
            return None
        probability = tumor_probability(
            self._model,
            self._segmenter,
            pixels,
            self._bundle.preprocessing,
            [known[canonical(self._model, layer)] for layer in self._segmenter.shape.layers],
        )
        masks = segmented_range(
            probability,
            (pixels.shape[0], pixels.shape[1]),
            spec,
            agreed=label is not TumorClass.NO_TUMOR,
        )
        return found_region(masks, faint=is_faint(probability, spec)) if masks else None

    def _facts(
        self, cam: Cam, label: TumorClass, found: FoundRegions, elapsed_ms: float
    ) -> ExplanationFacts:
        segmented = self._segmenter is not None
        return ExplanationFacts(
            id=new_id(),
            method=CamMethod(cam.method),
            layer=cam.layer,
            target_label=label,
            class_score=cam.score,
            positive_evidence=cam.positive_evidence,
            sharpness=sharpness(cam.map),
            pointing_accuracy=self._bundle.pointing_accuracy(cam.method, cam.layer),
            region_source=found.source,
            region=found.chosen.region if found.chosen else None,
            regions=_regions(found),
            overlap=found.overlap,
            segmentation_dice=self._bundle.segmentation_dice if segmented else None,
            disagreement=found.disagreement(label, segmented=segmented),
            elapsed_ms=elapsed_ms,
        )


def _regions(found: FoundRegions) -> Regions:
    return Regions(
        map=found.map.region if found.map else None,
        segmentation=found.segmentation.region if found.segmentation else None,
    )


def _npz(cam: Cam, label: TumorClass) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        map=cam.map,
        score=np.float64(cam.score),
        method=np.str_(cam.method),
        layer=np.str_(cam.layer),
        target=np.str_(label.value),
    )
    return buffer.getvalue()
