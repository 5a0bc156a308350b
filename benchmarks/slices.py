"""The three regions of every annotated slice, as the product finds them, held against the tumor."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torchvision.models import ResNet

from benchmarks.agreement import Held, hold, size_of
from neuroscan.contracts.enums import TumorClass
from neuroscan.imaging.region_mask import RegionMask
from neuroscan.network.bundle import Bundle, Description
from neuroscan.network.layers import forward_with_features
from neuroscan.network.preprocess import preprocess
from neuroscan.network.segmenter import Segmenter
from services.explain.cam import explain
from services.explain.evidence import upsample
from services.explain.region import FoundRegions, find_region, found_region
from services.explain.segment import segmented_range, tumor_probability
from training.folders import Source
from training.parts import Case

# The annotated slices are 512 px at 0.49 mm, halved.
PIXEL_MM = 0.98
MAP, SEGMENTATION, PRODUCT = "map", "segmentation", "product"

Peak = tuple[int, int]


@dataclass(frozen=True)
class Seen:
    """One annotated slice: what is known of it, and each source's region, None where there is none.

    `lateralized` says that the annotated centroid lies more than 10 mm from the midline of an
    axial or coronal slice.
    """

    label: str
    group: str
    plane: str | None
    area_mm2: float
    answer: str
    lateralized: bool
    held: dict[str, Held | None]


@dataclass(frozen=True, eq=False)
class Looks:
    """What the bundle makes of a slice: the answer, both regions, both peaks.

    `accepted` is the input check's word; without it no parameter is given.
    """

    answer: TumorClass
    accepted: bool
    regions: FoundRegions
    map_peak: Peak
    segmentation_peak: Peak

    @property
    def measurable(self) -> bool:
        """Whether the system gives the lesion's parameters at all."""
        return self.accepted and self.answer is not TumorClass.NO_TUMOR


class Product:
    """The bundle's networks, used as the services use them."""

    def __init__(self, bundle: Bundle) -> None:
        self.description: Description = bundle.description
        self._model: ResNet = bundle.load_model()
        self._segmenter: Segmenter | None = bundle.load_segmenter()
        self._check = bundle.load_input_check()

    @property
    def segments(self) -> bool:
        """Whether the bundle has a decoder."""
        return self._segmenter is not None

    def look(self, pixels: NDArray[np.uint8]) -> Looks:
        """Check, classify, explain the answer, segment."""
        spec = self.description
        shape = (pixels.shape[0], pixels.shape[1])
        tensor = preprocess(pixels, spec.preprocessing)
        with torch.inference_mode():
            logits, features = forward_with_features(self._model, tensor, spec.input_check.layers)
            answer = int(logits.argmax())
            accepted = float(self._check.score(features)[0]) <= spec.input_check.threshold
        chosen = spec.explanation
        cam = explain(self._model, tensor, answer, chosen.method, chosen.layer)
        evidence = upsample(cam.map, shape)
        named = TumorClass(spec.classes[answer])
        segmented, peak = self._segment(pixels, named)
        return Looks(
            answer=named,
            accepted=accepted,
            regions=FoundRegions(
                map=find_region(cam.map, shape, chosen.region_threshold),
                segmentation=found_region(segmented) if segmented else None,
            ),
            map_peak=_peak(evidence),
            segmentation_peak=peak,
        )

    def silent(self, pixels: NDArray[np.uint8]) -> bool:
        """Whether the decoder finds nothing, knowing the network's answer."""
        spec = self.description
        with torch.inference_mode():
            answer = int(self._model(preprocess(pixels, spec.preprocessing)).argmax())
        return self._segment(pixels, TumorClass(spec.classes[answer]))[0] is None

    def _segment(
        self, pixels: NDArray[np.uint8], answer: TumorClass
    ) -> tuple[RegionMask | None, Peak]:
        spec = self.description.segmentation
        if self._segmenter is None or spec is None:
            return None, (0, 0)
        shape = (pixels.shape[0], pixels.shape[1])
        probability = tumor_probability(
            self._model, self._segmenter, pixels, self.description.preprocessing
        )
        agreed = answer is not TumorClass.NO_TUMOR
        found = segmented_range(probability, shape, spec, agreed=agreed)
        return found, _peak(upsample(probability, shape))


def see_annotated(
    product: Product, packs: Source, cases: Sequence[Case], progress: Callable[[int], None]
) -> list[Seen]:
    """Every case with a mask, its three regions held against it."""
    seen = []
    for number, case in enumerate(cases):
        progress(number)
        picture = case.picture
        pixels = packs.pixels(picture)
        truth = packs.mask(picture, (pixels.shape[0], pixels.shape[1]))
        annotated = size_of(pixels, RegionMask.certain(truth), picture.plane, PIXEL_MM)
        looks = product.look(pixels)
        regions = {
            MAP: (looks.regions.map, looks.map_peak),
            SEGMENTATION: (looks.regions.segmentation, looks.segmentation_peak),
        }
        held = {
            name: None
            if found is None
            else hold(pixels, truth, annotated, found.masks, peak, picture.plane, PIXEL_MM)
            for name, (found, peak) in regions.items()
        }
        held[PRODUCT] = (held[SEGMENTATION] or held[MAP]) if looks.measurable else None
        seen.append(
            Seen(
                label=picture.label,
                group=picture.group,
                plane=picture.plane,
                area_mm2=annotated.area_mm2,
                answer=looks.answer.value,
                lateralized=picture.plane in ("axial", "coronal") and annotated.lateralized,
                held=held,
            )
        )
    return seen


def _peak(values: NDArray[np.float32]) -> Peak:
    row, column = divmod(int(values.argmax()), values.shape[1])
    return row, column
