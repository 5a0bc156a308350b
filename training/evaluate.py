"""`python -m training evaluate`: measure a bundle on a split it was not trained on.

Writes `evaluation.json`, figures, and the card's section (`evaluation.md`) to the folder given with
`--out`, and keeps the network's answers there, so that a second run is quick.
"""

import argparse
import logging
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neuroscan import NOTICE
from training.calibration import measure_calibration
from training.check_figures import measure_input_check, read_other
from training.data import sample_evenly
from training.evaluation import (
    ChangeFigures,
    Evaluation,
    InputCheckFigures,
    Maps,
    Measured,
    Robustness,
    read_found,
    write_json,
)
from training.evaluation_section import evaluation_section
from training.figures import draw_confusion, draw_reliability, draw_robustness, draw_roc
from training.fit import probabilities
from training.map_facts import measure_maps
from training.measure import (
    measure_change,
    measure_classes,
    measure_groups,
    measure_parts,
    measure_sets,
)
from training.measure_shortcuts import measure_shortcuts
from training.metrics import RESAMPLES, Floats, Ints, confusion, group_weights, mean_estimate
from training.other_pictures import other_pictures
from training.robustness import changes, mirror
from training.settings import settings_of
from training.splits import SPLITS
from training.subject import Subject, add_shared_arguments, default_out, open_subject

RESULT = "evaluation.json"
SECTION = "evaluation.md"
# Not the seed with which calibrate draws its pictures: those had a say in the check's layers.
OTHER_SEED = 2026
OTHER_EACH = 15

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    add_shared_arguments(parser)
    parser.add_argument("--split", choices=SPLITS, default="patient", help="default: patient")
    parser.add_argument("--ood", type=Path, help="folder of other pictures (default: DATA/ood)")
    parser.add_argument("--sample", type=int, default=300, help="slices of the robustness part")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="without input check, robustness, mirror, shortcuts and maps",
    )


def main(arguments: argparse.Namespace) -> None:
    """Measure, print, write. Raises `BundleError`, `DataError` and `LeakError`."""
    torch.set_num_threads(arguments.threads)
    split: str = arguments.split
    out: Path = arguments.out or default_out(arguments.bundle, split)
    with open_subject(arguments.bundle, arguments.data, split, out) as subject:
        found = evaluate(
            subject,
            split=split,
            seed=arguments.seed,
            ood=arguments.ood or arguments.data / "ood",
            sample=0 if arguments.quick else arguments.sample,
        )
        draw(subject, found, out / "figures")
    write_json(out / RESULT, found)
    # From the file, so that what is printed is what the card will say.
    section = evaluation_section(read_found(out / RESULT, Evaluation))
    (out / SECTION).write_text(section, encoding="utf-8")
    log.info("%s\n\nwrote %s", section, out / RESULT)


def evaluate(subject: Subject, *, split: str, seed: int, ood: Path, sample: int) -> Evaluation:
    """All figures; with `sample` 0 those that need more than one pass are left out."""
    log.info("%d slices", len(subject.cases))
    spec, labels, groups = subject.bundle.description, subject.labels, subject.groups
    logits, features = subject.observe_all()
    unscaled, shares = probabilities(logits, 1.0), _scaled(subject, logits)
    answers = np.asarray(shares.argmax(axis=1), dtype=np.int64)
    right = answers == labels
    weights = group_weights(groups, RESAMPLES, seed)
    classes, macro = measure_classes(shares, labels, groups, spec.classes, weights, seed)
    counts = confusion(labels, answers, len(spec.classes)).astype(int)
    planes = [case.picture.plane or "not known" for case in subject.cases]
    sources = [case.source for case in subject.cases]
    limits = (spec.conformal.threshold, spec.conformal.coverage)
    deep = sample > 0
    return Evaluation(
        notice=NOTICE,
        measured=_measured(subject, split, seed),
        accuracy=mean_estimate(right.astype(np.float64), weights),
        group_accuracy=measure_groups(shares, labels, groups, RESAMPLES, seed),
        classes=classes,
        macro=macro,
        confusion=tuple(tuple(row) for row in counts.tolist()),
        unscaled=measure_calibration(unscaled, labels, 1.0, seed),
        scaled=measure_calibration(shares, labels, spec.calibration.temperature, seed),
        sets=measure_sets(shares, labels, groups, spec.classes, *limits, weights),
        planes=measure_parts(planes, right, labels, groups, spec.classes, weights),
        sources=measure_parts(sources, right, labels, groups, spec.classes, weights),
        mirrored=_mirrored(subject, answers, weights) if deep else None,
        input_check=_input_check(subject, features, weights, ood) if deep else None,
        robustness=_robustness(subject, answers, sample, seed) if deep else None,
        shortcuts=measure_shortcuts(subject, answers, weights) if deep else None,
        maps=_maps(subject, seed) if deep else None,
    )


def draw(subject: Subject, found: Evaluation, folder: Path) -> None:
    """The figures that belong to an evaluation."""
    logits, _ = subject.observe_all()
    classes, labels = subject.bundle.description.classes, subject.labels
    unscaled, shares = probabilities(logits, 1.0), _scaled(subject, logits)
    draw_confusion(folder / "confusion.png", found.confusion, classes)
    draw_roc(folder / "roc.png", shares, labels, classes)
    draw_reliability(folder / "reliability.png", unscaled, shares, labels)
    if found.robustness:
        draw_robustness(folder / "robustness.png", found.robustness)


def _measured(subject: Subject, split: str, seed: int) -> Measured:
    spec = subject.bundle.description
    return Measured(
        bundle=spec.name,
        version=spec.version,
        sha256=spec.sha256,
        split=split,
        part="test",
        slices=len(subject.cases),
        groups=len(set(subject.groups)),
        patients=len({case.picture.group for case in subject.cases if case.patient_known}),
        copies_in_training=subject.copies,
        related_to_training=subject.relatives,
        seed=seed,
        resamples=RESAMPLES,
        settings=settings_of(spec),
    )


def _scaled(subject: Subject, logits: Tensor) -> Floats:
    return probabilities(logits, subject.bundle.description.calibration.temperature)


def _mirrored(subject: Subject, before: Ints, weights: Floats) -> ChangeFigures:
    log.info("mirrored")
    after = subject.answers("mirrored", mirror, range(len(subject.cases)))
    return measure_change("mirrored", "left and right", before, after, subject.labels, weights)


def _robustness(subject: Subject, answers: Ints, sample: int, seed: int) -> Robustness:
    places = sample_evenly(range(len(subject.cases)), sample)
    labels, before = subject.labels[places], answers[places]
    weights = group_weights([subject.groups[place] for place in places], RESAMPLES, seed)
    found = []
    for change in changes():
        name = f"{change.kind} {change.strength}"
        log.info("%s", name)
        after = subject.answers(name, change.apply, places)
        found.append(measure_change(change.kind, change.strength, before, after, labels, weights))
    return Robustness(
        slices=len(places),
        accuracy=mean_estimate((before == labels).astype(np.float64), weights),
        changes=tuple(found),
    )


def _input_check(
    subject: Subject, features: Tensor, weights: Floats, ood: Path
) -> InputCheckFigures:
    log.info("pictures that are no brain MRI")
    made = {
        kind: subject.observe("other", pictures, [kind, OTHER_SEED, OTHER_EACH])[1]
        for kind, pictures in other_pictures(OTHER_SEED, OTHER_EACH).items()
    }
    given, skipped = read_other(ood)
    return measure_input_check(
        subject.bundle.load_input_check(),
        subject.bundle.description.input_check.threshold,
        features,
        weights,
        made,
        [(name, _given(subject, name, pixels)) for name, pixels in given],
        skipped,
    )


def _given(subject: Subject, name: str, pixels: NDArray[np.uint8]) -> Tensor:
    return subject.observe("given", [pixels], [name, pixels.shape, int(pixels.sum())])[1]


def _maps(subject: Subject, seed: int) -> Maps:
    log.info("maps")
    chosen = subject.bundle.description.explanation
    pictures = [case.picture for case in subject.cases]
    found = [
        measure_maps(
            subject.model,
            subject.bundle.description.preprocessing,
            subject.packs,
            some,
            explanation=chosen,
            resamples=RESAMPLES,
            seed=seed,
        )
        if some
        else None
        for some in (
            [picture for picture in pictures if picture.label == "no_tumor"],
            [picture for picture in pictures if picture.mask is not None],
        )
    ]
    return Maps(method=chosen.method, layer=chosen.layer, healthy=found[0], tumors=found[1])
