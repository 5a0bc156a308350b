"""`python -m training card`: write a bundle's README and the `metrics` of its `bundle.json`.

Every figure of the card comes from what `evaluate`, `compare-explanations`, `explain-quality` and
`benchmarks.spatial` wrote for these very weights and settings, or from `bundle.json`.
"""

import argparse
import json
import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from neuroscan import NOTICE
from neuroscan.network.bundle import (
    DESCRIPTION_FILE,
    Bundle,
    Calibration,
    Description,
    SegmentationSpec,
    read_json,
)
from training.attached import Attached, read_attached
from training.card_check import compare_cards
from training.errors import DataError
from training.evaluate import RESULT as EVALUATION
from training.evaluation import ALL_CLASSES, Evaluation, read_found
from training.evaluation_section import evaluation_section
from training.explanation_figures import Comparison
from training.explanation_section import explanation_section
from training.explanations import RESULT as EXPLANATIONS
from training.figures import readable
from training.markdown import METHOD_NAMES, share, table
from training.measure_shortcuts import ALL_BUT_SHELL, TUMOR
from training.own_results import require_own
from training.splits import SPLITS
from training.subject import default_out

CARD = "README.md"
WEAK_RECALL = 0.9
MOSTLY = 0.5

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("--bundle", type=Path, required=True, help="folder of the bundle")
    parser.add_argument(
        "--results",
        type=Path,
        help="folder with a folder of results a split (default: build/evaluation/BUNDLE)",
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing; say where the results differ from it"
    )


def main(arguments: argparse.Namespace) -> None:
    """Write README.md, figures/ and the metrics, or check them.

    Raises `BundleError`, and `DataError` where results are missing, not whole or of another bundle,
    or where a checked card says something else.
    """
    folder: Path = arguments.bundle
    results: Path = arguments.results or default_out(folder, "patient").parent
    bundle = Bundle.read(folder)
    evaluations = {
        split: read_found(results / split / EVALUATION, Evaluation)
        for split in SPLITS
        if (results / split / EVALUATION).is_file()
    }
    if not evaluations:
        raise DataError(f"{results} has no {EVALUATION}; run `python -m training evaluate` first")
    first = next(iter(evaluations))
    explanations = results / first / EXPLANATIONS
    comparison = read_found(explanations, Comparison) if explanations.is_file() else None
    for split, one in evaluations.items():
        require_own(asdict(one.measured), bundle.description, split)
        if one.robustness is None:
            raise DataError(f"the results of {split} are of a quick run; evaluate without --quick")
    if comparison:
        require_own(asdict(comparison), bundle.description, EXPLANATIONS)
    attached = read_attached(results / first, bundle.description)
    text = write_card(bundle.description, evaluations, comparison, attached)
    if arguments.check:
        _check(folder / CARD, text)
        return
    _copy_figures(results, tuple(evaluations), folder / "figures")
    _write_metrics(folder, results, tuple(evaluations), first)
    (folder / CARD).write_text(text, encoding="utf-8")
    log.info("wrote %s", folder / CARD)


def write_card(
    description: Description,
    evaluations: Mapping[str, Evaluation],
    comparison: Comparison | None,
    attached: Sequence[Attached] = (),
) -> str:
    """The card, in Markdown; the first evaluation is the one that its limits are drawn from."""
    main_one = next(iter(evaluations.values()))
    blocks = [
        f"# {description.name} {description.version}",
        f"**{NOTICE}**",
        _written_by(description, main_one, comparison, attached),
        "## Intended use\n\n" + _INTENDED,
        "## Data\n\n" + table(["set", "license", "used for"], _DATA_SETS),
        _SPLIT + f"\n\nLicense: {description.license}.",
        "## Training\n\n" + _training(description),
        "## Measurements",
        *(evaluation_section(one).rstrip() for one in evaluations.values()),
        *([explanation_section(comparison).rstrip()] if comparison else []),
        *(one.text for one in attached),
        "## Limits\n\n" + _LIMITS,
        "## Known failure cases\n\n" + known_failures(main_one, description),
        NOTICE,
    ]
    return "\n\n".join(blocks) + "\n"


def _check(path: Path, anew: str) -> None:
    found = compare_cards(path.read_text(encoding="utf-8"), anew)
    if found.lines:
        raise DataError("\n".join([*found.lines, f"{len(found.lines)} lines of {path} differ"]))
    close = f", {found.one_off} of them one off in the last decimal" if found.one_off else ""
    log.info("%s: every one of its %d figures was found again%s", path, found.figures, close)


def known_failures(found: Evaluation, description: Description) -> str:
    """Where the measured figures are weak, as a list in Markdown."""
    lines = [*_confusions(found), *_weak_parts(found)]
    lines += [
        f"Prediction sets cover {share(one.coverage)} of {readable(one.name)} slices, below the "
        f"nominal {found.sets.nominal:.0%}: the threshold was fitted on other patients, "
        "with one vote a group."
        for one in found.sets.classes
        if one.coverage and one.coverage.value < found.sets.nominal
    ]
    if not found.scaled.inside:
        lines.append(
            f"The calibration error after scaling ({found.scaled.ece:.4f}) is above what a "
            f"perfectly calibrated network would show (up to {found.scaled.perfect_high:.4f})."
        )
    lines += _weak_changes(found)
    lines += _shortcuts(found)
    if check := found.input_check:
        lines += [
            f"Input check: {one.pictures - one.turned_away} of {one.pictures} “{one.kind}” "
            "pictures are accepted."
            for one in (*check.kinds, *check.given)
            if one.turned_away < one.pictures
        ]
    if found.maps and found.maps.tumors and found.maps.tumors.pointing:
        chosen = description.explanation
        lines.append(
            f"The peak of the default map ({METHOD_NAMES[chosen.method]} at `{chosen.layer}`) lies "
            f"inside the annotated tumor in {share(found.maps.tumors.pointing)} of "
            f"{found.maps.tumors.slices} slices. Where it does not, the answer may still be right, "
            "but the map does not say why."
        )
        lines.append(
            "The map is wide: of its positive evidence "
            f"{share(found.maps.tumors.energy)} lies inside the annotated tumor, and "
            f"{1 - found.maps.tumors.in_head:.1%} outside the head. Its peak says more than its "
            "spread."
        )
    return "\n".join(f"- {line}" for line in lines) if lines else "None was found."


def _confusions(found: Evaluation) -> list[str]:
    """Each class's most frequent wrong answer, when its recall is weak."""
    lines = []
    for index, one in enumerate(found.classes):
        row = found.confusion[index]
        if one.sensitivity is None or one.sensitivity.value >= WEAK_RECALL:
            continue
        wrong = max((i for i in range(len(row)) if i != index), key=lambda i: row[i])
        lines.append(
            f"Recall of {readable(one.name)} is {share(one.sensitivity)}; {row[wrong]} of "
            f"{one.slices} slices are called {readable(found.classes[wrong].name)}."
        )
    return lines


def _weak_parts(found: Evaluation) -> list[str]:
    return [
        f"{readable(one.label)} on slices whose plane is {one.name}: "
        f"{'accuracy' if one.label == ALL_CLASSES else 'recall'} {share(one.recall)} "
        f"({one.slices} slices, {one.groups} groups)."
        for one in found.planes
        if one.recall.value < WEAK_RECALL
    ]


def _weak_changes(found: Evaluation) -> list[str]:
    if not found.robustness:
        return []
    least = found.robustness.accuracy.low
    return [
        f"{change.kind}, {change.strength}: accuracy falls to {share(change.accuracy)}."
        for change in found.robustness.changes
        if change.accuracy.value < least
    ]


def _shortcuts(found: Evaluation) -> list[str]:
    rows = found.shortcuts or ()
    lines = [
        f"{readable(one.label)} is still named in {share(one.after)} of {one.slices} slices whose "
        "tumor is filled in from around it: the answer does not rest on the tumor alone."
        for one in rows
        if one.hidden == TUMOR and one.label != "no_tumor" and one.after.value > MOSTLY
    ]
    alone = [one.after.value for one in rows if one.hidden == ALL_BUT_SHELL]
    # Over the classes, since a network that always falls back on one of them tells nothing apart.
    if alone and sum(alone) / len(alone) > 1 / len(found.classes):
        lines.append(
            f"From scalp and skull alone {sum(alone) / len(alone):.1%} of a class's slices are "
            f"named rightly on average over the classes (a guess: {1 / len(found.classes):.0%})."
        )
    return lines


def _training(description: Description) -> str:
    facts = [
        [name.replace("_", " "), str(value)]
        for name, value in description.training.items()
        if isinstance(value, str | int | float)
    ]
    spec, sets = description.preprocessing, description.conformal
    scaling, chosen = description.calibration, description.explanation
    facts += [
        ["architecture", description.architecture],
        ["input", f"{spec.input_size} × {spec.input_size} px, {spec.resize}, gray"],
        ["weights SHA-256", f"`{description.sha256}`"],
        ["temperature", _temperature(scaling)],
        ["prediction sets", f"{sets.threshold:.4f}, fitted on {sets.split} ({sets.groups})"],
        ["input check", description.input_check.fitted_on],
        ["map", f"{METHOD_NAMES[chosen.method]} at `{chosen.layer}`. {chosen.reason}"],
    ]
    if decoder := description.segmentation:
        facts += [
            ["segmentation", _decoder(decoder)],
            ["segmentation SHA-256", f"`{decoder.sha256}`"],
        ]
    return table(["", ""], facts)


def _temperature(scaling: Calibration) -> str:
    where = f"{scaling.split} (n {scaling.n})"
    if scaling.temperature == 1.0:
        return f"1: none fitted on {where} lowered the log loss of groups that it was not fitted on"
    return f"{scaling.temperature:.4f}, fitted on {where}"


def _decoder(spec: SegmentationSpec) -> str:
    """How the decoder was made, in a sentence or two."""
    training, shape = spec.training, spec.shape
    return (
        f"decoder on the frozen network's {', '.join(f'`{name}`' for name in shape.layers)} with a "
        f"stem of its own at {shape.input_size} px; trained on {training.get('split')} "
        f"({training.get('slices')} slices, {training.get('masked')} with an outlined tumor), "
        f"start: {training.get('start')}, {training.get('chosen')}. A slice is silent below a "
        f"largest probability of {spec.least_peak:g}, or of {spec.least_peak_agreed:g} where the "
        "network names a tumor; "
        f"region at {spec.threshold:g}, range {spec.loose:.3g} to "
        f"{spec.tight:.3g}; fitted on {spec.fitted_on}."
    )


def _written_by(
    description: Description,
    found: Evaluation,
    comparison: Comparison | None,
    attached: Sequence[Attached],
) -> str:
    commands = ["python -m training evaluate"]
    commands += ["python -m training compare-explanations"] if comparison else []
    commands += [one.command for one in attached]
    return (
        f"A ResNet50 that sorts one brain-MRI slice into {len(description.classes)} classes: "
        f"{', '.join(readable(name) for name in description.classes)}. This card is written by "
        "`python -m training card` from what these commands measured on these weights (seed "
        f"{found.measured.seed}): {', '.join(f'`{command}`' for command in commands)}, each with "
        f"`--bundle models/{description.name} --data DIR`. After them `python -m training card "
        "--check` compares what they found anew with every figure that `bundle.json` keeps."
    )


def _copy_figures(results: Path, splits: tuple[str, ...], target: Path) -> None:
    if target.is_dir():
        shutil.rmtree(target)
    for split in splits:
        place = target if split == "patient" else target / split
        place.mkdir(parents=True, exist_ok=True)
        for figure in sorted((results / split / "figures").glob("*.png")):
            shutil.copyfile(figure, place / figure.name)


def _write_metrics(folder: Path, results: Path, splits: tuple[str, ...], first: str) -> None:
    """The results as the bundle's `metrics`; what `calibrate` fitted on validation stays."""
    content = read_json(folder / DESCRIPTION_FILE)
    old = content.get("metrics")
    measured = old if isinstance(old, dict) else {}
    kept = {key: measured[key] for key in ("val", "maps", "segmentation") if key in measured}
    found = {
        split: json.loads((results / split / EVALUATION).read_text("utf-8")) for split in splits
    }
    explanations = results / first / EXPLANATIONS
    if explanations.is_file():
        found["explanations"] = json.loads(explanations.read_text("utf-8"))
    content["metrics"] = {**kept, **found}
    draft = folder / f".{DESCRIPTION_FILE}.new"
    draft.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    draft.replace(folder / DESCRIPTION_FILE)


_INTENDED = """\
Research on classification and explanation of brain-MRI slices, teaching, and tests of software.
One slice at a time, T1-weighted with contrast where there is a tumor, and only the tumor types of
the training data. It is no medical device. It must not be used to diagnose, to rule out a tumor,
to choose or withhold a treatment, or on any other organ or modality."""

_DATA_SETS = (
    (
        "Cheng et al., figshare 1512427: T1 contrast-enhanced slices with outlined tumors",
        "CC BY 4.0",
        "tumors; where the maps look",
    ),
    (
        "Brain Tumor MRI Dataset, Nickparvar, Kaggle, the version with 7,023 images",
        "CC0",
        "tumors without a patient id; slices without a tumor",
    ),
    (
        "BRISC 2025: slices without a tumor that are not in the set above",
        "CC BY 4.0",
        "slices without a tumor in three planes",
    ),
)

_SPLIT = """\
The `patient` split puts no patient, no group of look-alikes and no picture on two sides, takes each
picture once, and leaves out what looks like a head CT. Many slices of the Kaggle set are copies or
mirror images of the figshare slices, on both sides of its own split."""

_LIMITS = """\
- Few patients: the intervals above resample groups and are wide where a class has few of them. A
  class that is right in every group has an interval of no width, which claims too much.
- “No tumor” has no patient ids: unseen there means no look-alike in training. These slices are of
  other sequences, planes and sources than the tumors, so a network can tell them apart without
  looking at a tumor. The tables of shortcuts, by plane and by source show some of that, not all.
- All tumor slices with a known patient come from one publication (two hospitals). Nothing is known
  about other scanners, sequences, ages, or rarer tumors; every slice gets one of the four classes.
- Some choices of method were made after figures of the test part had been seen (`docs/training.md`,
  “What saw test figures”), so these are not the figures of a wholly unseen part.
- Slices were chosen by people for showing the tumor. How the network does on whole volumes, where
  most slices of a patient show none, is not measured.
- Labels are those of the publishers; a few files are labelled differently in two of the sets.
- The made pictures that are no brain MRI are far from it; a head CT or another MRI sequence is
  nearer, and may be accepted."""
