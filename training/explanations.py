"""`python -m training compare-explanations`: the paper's comparison of methods, by our measure.

The paper compares Grad-CAM, Grad-CAM++ and HiRes-CAM by a "sharpness" that it does not define. Ours
is defined in `services.explain.sharpness`: the share of the map's positive mass in its hottest
tenth, rescaled so that a flat map has 0 and a map within a tenth of the picture has 1. Sharp is not
the same as right, so the pointing game and the energy inside the annotated tumor stand beside it.
"""

import argparse
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torchvision.models import ResNet

from neuroscan import NOTICE
from neuroscan.network.bundle import METHODS
from neuroscan.network.preprocess import Preprocessing, preprocess
from services.explain.cam import Cam, explain
from services.explain.evidence import Mask, upsample
from services.explain.sharpness import sharpness
from training.data import sample_evenly
from training.evaluation import read_found, write_json
from training.explanation_figures import Comparison, MethodFigures, SharpnessOfClass
from training.explanation_section import explanation_section
from training.figures import draw_sharpness
from training.folders import Source
from training.map_facts import inside_share
from training.markdown import METHOD_NAMES
from training.metrics import RESAMPLES, Estimate, group_weights, mean_estimate
from training.paper import CLASSES as PAPER_CLASSES
from training.parts import Case
from training.settings import settings_of
from training.subject import Subject, add_shared_arguments, default_out, open_subject

RESULT = "explanations.json"
SECTION = "explanations.md"
SPLIT = "patient"
LAYERS = ("layer4[-1]", "layer3[-1]")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Seen:
    """One map: its sharpness (None without evidence), and on the tumor, where there is a mask."""

    label: str
    group: str
    sharpness: float | None
    hit: float | None
    energy: float | None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    add_shared_arguments(parser)
    parser.add_argument("--each", type=int, default=40, help="test slices of every class")


def main(arguments: argparse.Namespace) -> None:
    """Compare, print, write. Raises `BundleError`, `DataError` and `LeakError`."""
    torch.set_num_threads(arguments.threads)
    out: Path = arguments.out or default_out(arguments.bundle, SPLIT)
    with open_subject(arguments.bundle, arguments.data, SPLIT, out) as subject:
        spec = subject.bundle.description
        chosen = sample_classes(subject.cases, spec.classes, arguments.each)
        layers = tuple(dict.fromkeys((*LAYERS, spec.explanation.layer)))
        found = compare(subject, chosen, layers, arguments.seed)
    write_json(out / RESULT, found)
    for layer in layers:
        _draw(out / "figures", found, layer, spec.classes)
    section = explanation_section(read_found(out / RESULT, Comparison))
    (out / SECTION).write_text(section, encoding="utf-8")
    log.info("%s\n\nwrote %s", section, out / RESULT)


def sample_classes(cases: list[Case], classes: tuple[str, ...], each: int) -> list[Case]:
    """At most `each` cases of every class, evenly spread over the manifest."""
    return [
        case
        for name in classes
        for case in sample_evenly([case for case in cases if case.picture.label == name], each)
    ]


def compare(subject: Subject, cases: list[Case], layers: tuple[str, ...], seed: int) -> Comparison:
    """Every method at every layer on every case, explaining the network's own answer."""
    spec, packs = subject.bundle.description, subject.packs
    seen: dict[tuple[str, str], list[_Seen]] = {(m, at): [] for at in layers for m in METHODS}
    difference = 0.0
    for number, case in enumerate(cases):
        if number % 40 == 0:
            log.info("maps: %d of %d slices", number, len(cases))
        maps = _maps(subject.model, spec.preprocessing, packs, case, layers)
        for (method, layer), cam in maps.items():
            seen[method, layer].append(_see(cam, packs, case))
        if (last := maps.get(("hirescam", "layer4[-1]"))) is not None:
            difference = max(difference, _difference(last, maps["gradcam", "layer4[-1]"]))
    return Comparison(
        notice=NOTICE,
        bundle=spec.name,
        version=spec.version,
        sha256=spec.sha256,
        settings=settings_of(spec),
        slices=len(cases),
        masked=sum(case.picture.mask is not None for case in cases),
        seed=seed,
        last_layer_difference=difference,
        methods=tuple(
            _figures(method, layer, found, spec.classes, seed)
            for (method, layer), found in seen.items()
        ),
    )


def _maps(
    model: ResNet,
    preprocessing: Preprocessing,
    packs: Source,
    case: Case,
    layers: tuple[str, ...],
) -> dict[tuple[str, str], Cam]:
    tensor = preprocess(packs.pixels(case.picture), preprocessing)
    with torch.no_grad():
        target = int(model(tensor).argmax())
    return {
        (method, layer): explain(model, tensor, target, method, layer)
        for layer in layers
        for method in METHODS
    }


def _see(cam: Cam, packs: Source, case: Case) -> _Seen:
    hit, energy = None, None
    if case.picture.mask is not None:
        pixels = packs.pixels(case.picture)
        shape = (pixels.shape[0], pixels.shape[1])
        mask: Mask = packs.mask(case.picture, shape)
        hit, energy = inside_share(upsample(cam.map, shape), mask)
    return _Seen(
        label=case.picture.label,
        group=case.picture.group,
        sharpness=sharpness(cam.map),
        hit=hit,
        energy=energy,
    )


def _figures(
    method: str, layer: str, seen: list[_Seen], classes: tuple[str, ...], seed: int
) -> MethodFigures:
    masked = [one for one in seen if one.hit is not None]
    return MethodFigures(
        method=method,
        layer=layer,
        without_evidence=sum(one.sharpness is None for one in seen),
        sharpness=tuple(
            SharpnessOfClass(
                name=name,
                sharpness=_mean(
                    [(one.group, one.sharpness) for one in seen if one.label == name], seed
                ),
            )
            for name in classes
        ),
        pointing=_mean([(one.group, one.hit) for one in masked], seed),
        energy=_mean([(one.group, one.energy) for one in masked], seed),
    )


def _mean(values: list[tuple[str, float | None]], seed: int) -> Estimate | None:
    known = [(group, value) for group, value in values if value is not None]
    if not known:
        return None
    weights = group_weights([group for group, _ in known], RESAMPLES, seed)
    return mean_estimate(np.array([value for _, value in known]), weights)


def _difference(first: Cam, second: Cam) -> float:
    """The largest difference of two maps, as a share of the first one's largest value."""
    return float(np.abs(first.map - second.map).max() / max(np.abs(first.map).max(), 1e-12))


def _draw(folder: Path, found: Comparison, layer: str, classes: tuple[str, ...]) -> None:
    at = {one.method: one for one in found.methods if one.layer == layer}
    paper = {one.name: one.sharpness for one in PAPER_CLASSES}
    values = np.array(
        [
            [one.sharpness.value if one.sharpness else 0.0 for one in at[method].sharpness]
            for method in METHODS
        ]
    )
    stated = np.array([[paper[name][method] for name in classes] for method in METHODS])
    name = layer.replace("[-1]", "")
    names = [METHOD_NAMES[method] for method in METHODS]
    draw_sharpness(folder / f"sharpness-{name}.png", names, classes, values, stated)
