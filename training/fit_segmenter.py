"""`python -m training fit-segmenter`: thresholds of a trained decoder, and the decoder in a bundle.

All is chosen on the `patient` validation part with the functions that the explain worker calls, on
the very weights that are written (fp16).
"""

import argparse
import dataclasses
import json
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save

from neuroscan.network.bundle import (
    DESCRIPTION_FILE,
    Bundle,
    BundleError,
    SegmentationSpec,
    file_sha256,
    read_json,
)
from neuroscan.network.fields import FieldError, read_fields
from neuroscan.network.preprocess import preprocess
from neuroscan.network.segmenter import SegmenterShape
from services.explain.evidence import Mask
from services.explain.segment import (
    is_faint,
    segmented_range,
    segmented_region,
    tumor_probability,
)
from training.data import DataPacks
from training.export import half_precision
from training.recipe import RecipeError
from training.segment import SEGMENT_RUN, SPLIT
from training.trainer import BEST

SEGMENTER_FILE = "segmenter.safetensors"
LARGEST_BYTES = 15_000_000
THRESHOLDS = (0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7)
LEAST_PEAKS = (
    *(round(0.3 + 0.02 * step, 2) for step in range(35)),
    *(0.985, 0.99, 0.993, 0.995, 0.997, 0.998, 0.999),
)
SPREADS = tuple(round(0.25 * step, 2) for step in range(1, 17))
SILENT_AT_LEAST = 0.98
RANGE_COVERS = 0.8

log = logging.getLogger(__name__)

Probability = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Seen:
    """A validation slice: the decoder's probability (S, S), the annotated tumor (H, W) or None.

    `agreed` says that the network classifies it as a tumor.
    """

    probability: Probability
    truth: Mask | None
    shape: tuple[int, int]
    agreed: bool


@dataclass(frozen=True)
class Fitted:
    """The five thresholds (`neuroscan.network.bundle.SegmentationSpec`)."""

    threshold: float
    loose: float
    tight: float
    least_peak: float
    least_peak_agreed: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("--run", dest="run_folder", type=Path, required=True, help="its run")
    parser.add_argument("--bundle", type=Path, required=True, help="the bundle that it joins")
    parser.add_argument("--data", type=Path, required=True, help="folder with manifest.csv")
    parser.add_argument("--threads", type=int, default=2, help="torch's threads (default 2)")


def main(arguments: argparse.Namespace) -> None:
    """Write the decoder and its thresholds; raises `BundleError`, `DataError`, `RecipeError`."""
    torch.set_num_threads(arguments.threads)
    folder: Path = arguments.bundle
    facts, shape = _read_run(arguments.run_folder / SEGMENT_RUN)
    bundle = Bundle.read(folder)
    if facts["backbone"] != bundle.description.sha256:
        raise BundleError(f"{arguments.run_folder} was trained on another backbone")
    saved = torch.load(arguments.run_folder / BEST, map_location="cpu", weights_only=True)
    content = save(half_precision(saved["segmenter"]))
    if len(content) > LARGEST_BYTES:
        raise BundleError(f"the decoder takes {len(content)} bytes; {LARGEST_BYTES} are allowed")
    draft = folder / f".{SEGMENTER_FILE}.new"
    draft.write_bytes(content)
    draft.replace(folder / SEGMENTER_FILE)
    spec = SegmentationSpec(
        file=SEGMENTER_FILE,
        sha256=file_sha256(folder / SEGMENTER_FILE),
        shape=shape,
        threshold=0.5,
        loose=0.5,
        tight=0.5,
        least_peak=0.5,
        least_peak_agreed=0.5,
        fitted_on=f"{SPLIT}, val",
        training={**_training(facts), "chosen": f"epoch {saved['row']['epoch']}, on validation"},
    )
    # Read back before anything is fitted: what is measured is what is shipped.
    trial = dataclasses.replace(
        bundle, description=dataclasses.replace(bundle.description, segmentation=spec)
    )
    seen = look(trial, arguments.data)
    fitted = fit(seen, spec)
    spec = dataclasses.replace(spec, **dataclasses.asdict(fitted))
    figures = validation_figures(seen, spec)
    log.info("%s\n%s", fitted, json.dumps(figures, indent=1))
    _write(folder, spec, figures)


def look(bundle: Bundle, data: Path) -> list[Seen]:
    """The decoder's answer on the validation slices with a mask and on those without a tumor."""
    model, segmenter = bundle.load_model(), bundle.load_segmenter()
    assert segmenter is not None
    spec = bundle.description
    seen: list[Seen] = []
    with DataPacks(data) as packs:
        for picture in packs.patient_split("val"):
            if picture.mask is None and picture.label != "no_tumor":
                continue
            pixels = packs.pixels(picture)
            shape = (pixels.shape[0], pixels.shape[1])
            found = tumor_probability(model, segmenter, pixels, spec.preprocessing)
            with torch.inference_mode():
                answer = int(model(preprocess(pixels, spec.preprocessing)).argmax())
            truth = None if picture.mask is None else packs.mask(picture, shape)
            seen.append(Seen(found, truth, shape, spec.classes[answer] != "no_tumor"))
            if len(seen) % 100 == 0:
                log.info("validation: %d slices", len(seen))
    return seen


def fit(seen: Sequence[Seen], spec: SegmentationSpec) -> Fitted:
    """The thresholds that the validation slices ask for.

    `threshold` has the largest mean Dice. `least_peak` is the smallest that leaves 98 % of the
    slices without a tumor empty, whatever the network answers, unless that loses more tumors than
    it gains silence: then the one with the largest sum of both shares. `least_peak_agreed` has the
    largest sum of both shares where the network's answer counts too. `loose` and `tight` lie
    equally far from the threshold in logits, as near as lets the annotated area lie between theirs
    in 80 % of the slices.
    """
    drawn = [one for one in seen if one.truth is not None]
    plain = [one for one in seen if one.truth is None]

    def at(threshold: float) -> float:
        trial = _trial(spec, threshold=threshold, least_peak=threshold, least_peak_agreed=threshold)
        return float(np.mean([_dice(_region(one, trial), one.truth) for one in drawn]))

    threshold = max(THRESHOLDS, key=at)
    peaks = np.array([one.probability.max() for one in drawn])
    silence = np.array([one.probability.max() for one in plain])
    levels = [level for level in LEAST_PEAKS if level >= threshold]

    def worth(level: float) -> float:
        return float((peaks >= level).mean() + (silence < level).mean())

    best = max(levels, key=worth)
    quiet = [level for level in levels if (silence < level).mean() >= SILENT_AT_LEAST]
    if quiet and worth(best) - worth(quiet[0]) <= 1 - SILENT_AT_LEAST:
        best = quiet[0]

    def worth_agreed(level: float) -> float:
        needed = [np.where([one.agreed for one in part], level, best) for part in (drawn, plain)]
        return float((peaks >= needed[0]).mean() + (silence < needed[1]).mean())

    agreed = max((level for level in levels if level <= best), key=worth_agreed)
    trial = _trial(spec, threshold=threshold, least_peak=best, least_peak_agreed=agreed)
    return Fitted(threshold, *_range(drawn, trial), best, agreed)


def validation_figures(seen: Sequence[Seen], spec: SegmentationSpec) -> dict[str, object]:
    """What the bundle keeps in `metrics`: a slice without a region counts with Dice 0."""
    drawn = [one for one in seen if one.truth is not None]
    plain = [one for one in seen if one.truth is None]
    regions = [_region(one, spec) for one in drawn]
    dices = [_dice(region, one.truth) for region, one in zip(regions, drawn, strict=True)]
    return {
        "part": f"{SPLIT}, val",
        "slices": len(drawn),
        "healthy": len(plain),
        "median_dice": round(float(np.median(dices)), 4),
        "mean_dice": round(float(np.mean(dices)), 4),
        "without_region": sum(region is None for region in regions),
        "silent": round(float(np.mean([_region(one, spec) is None for one in plain])), 4),
        "silent_by_itself": round(
            float(np.mean([is_faint(one.probability, spec) for one in plain])), 4
        ),
        "range_covers": round(_covered(drawn, spec), 4),
    }


def _range(drawn: Sequence[Seen], spec: SegmentationSpec) -> tuple[float, float]:
    middle = math.log(spec.threshold / (1 - spec.threshold))
    loose = tight = spec.threshold
    for spread in SPREADS:
        loose = 1 / (1 + math.exp(spread - middle))
        tight = 1 / (1 + math.exp(-spread - middle))
        if _covered(drawn, dataclasses.replace(spec, loose=loose, tight=tight)) >= RANGE_COVERS:
            break
    return loose, tight


def _covered(drawn: Sequence[Seen], spec: SegmentationSpec) -> float:
    """How often the annotated area lies between the areas at `tight` and at `loose`."""
    inside = []
    for one in drawn:
        assert one.truth is not None
        region = segmented_range(one.probability, one.shape, spec, agreed=one.agreed)
        if region is not None:
            area = int(one.truth.sum())
            inside.append(int(region.tight.sum()) <= area <= int(region.loose.sum()))
    return float(np.mean(inside)) if inside else 0.0


def _trial(
    spec: SegmentationSpec, *, threshold: float, least_peak: float, least_peak_agreed: float
) -> SegmentationSpec:
    return dataclasses.replace(
        spec,
        threshold=threshold,
        least_peak=least_peak,
        least_peak_agreed=least_peak_agreed,
        loose=threshold,
        tight=threshold,
    )


def _region(one: Seen, spec: SegmentationSpec) -> Mask | None:
    return segmented_region(one.probability, one.shape, spec, agreed=one.agreed)


def _dice(found: Mask | None, truth: Mask | None) -> float:
    if found is None or truth is None:
        return 0.0
    return float(2 * (found & truth).sum() / (found.sum() + truth.sum()))


def _read_run(path: Path) -> tuple[dict[str, object], SegmenterShape]:
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        return facts, read_fields(SegmenterShape, facts["recipe"]["shape"], "shape")
    except OSError as error:
        raise RecipeError(f"{path} can't be read: {error.strerror}") from error
    except (FieldError, KeyError, ValueError) as error:
        raise RecipeError(f"{path}: {error}") from error


def _training(facts: Mapping[str, object]) -> dict[str, object]:
    recipe = facts["recipe"]
    assert isinstance(recipe, dict)
    kept = ("split", "slices", "masked", "hardware", "minutes", "start")
    return {"recipe": recipe["name"], **{name: facts.get(name) for name in kept}}


def _write(folder: Path, spec: SegmentationSpec, figures: Mapping[str, object]) -> None:
    content = read_json(folder / DESCRIPTION_FILE)
    metrics = content.get("metrics")
    content["segmentation"] = dataclasses.asdict(spec)
    content["metrics"] = {
        **(metrics if isinstance(metrics, dict) else {}),
        "segmentation": {"val": dict(figures)},
    }
    draft = folder / f".{DESCRIPTION_FILE}.new"
    draft.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    draft.replace(folder / DESCRIPTION_FILE)
    log.info("wrote %s", folder / DESCRIPTION_FILE)
