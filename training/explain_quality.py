"""`python -m training explain-quality`: which map points at tumors, and is it true to the network.

Method, layer and threshold are chosen on the masked validation slices by the rule that `calibrate`
has too; the test slices are run once, with the thresholds chosen there. The choice goes into the
bundle with `--write`.
"""

import argparse
import dataclasses
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from neuroscan import NOTICE
from neuroscan.network.bundle import DESCRIPTION_FILE, Explanation, read_json
from neuroscan.network.fused import fused
from neuroscan.network.preprocess import preprocess
from training.agreement import chance
from training.calibrate import choose_explanation, map_figures
from training.data import DataPacks, Picture, sample_evenly
from training.errors import DataError
from training.evaluation import write_json
from training.every_map import LAYERS, ROWS, Row, every_map
from training.explain_quality_section import (
    FIGURE,
    FaithfulFigures,
    Quality,
    draw_pointing,
    quality_section,
)
from training.map_scores import Scores, agreements, figures, score_maps
from training.perturbation import Faithful, faithful, randomized
from training.subject import Subject, add_shared_arguments, default_out, open_subject

RESULT, SECTION = "explain-quality.json", "explain-quality.md"
SPLIT = "patient"
# Where a part of the measurement goes, so that it never stands in for the whole in a card.
TRIAL = "trial"
PERTURBED = 60

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    add_shared_arguments(parser)
    parser.add_argument("--limit", type=int, help="at most so many slices of each part")
    parser.add_argument(
        "--write", action="store_true", help="keep the choice in the bundle's bundle.json"
    )


def main(arguments: argparse.Namespace) -> None:
    """Measure, print, write. Raises `BundleError`, `DataError` and `LeakError`."""
    torch.set_num_threads(arguments.threads)
    out: Path = arguments.out or default_out(
        arguments.bundle, SPLIT if arguments.limit is None else TRIAL
    )
    with open_subject(arguments.bundle, arguments.data, SPLIT, out) as subject:
        packs = subject.packs
        if not isinstance(packs, DataPacks):
            raise DataError("maps are held against masks, which only the packs have")
        val = _masked(packs.patient_split("val"), arguments.limit)
        test = _masked([case.picture for case in subject.cases], arguments.limit)
        chosen_on = _score(subject, val, "validation")
        candidates = agreements(chosen_on, [row for row in ROWS if not row.baseline])
        choice = choose_explanation(candidates)
        fractions = {
            row: one.fraction for row, one in zip(ROWS, agreements(chosen_on, ROWS), strict=True)
        }
        quality = measure(subject, val, test, choice, fractions, chosen_on, seed=arguments.seed)
        maps = {**map_figures(candidates), **chance(packs, val)}
    write_json(out / RESULT, quality)
    draw_pointing(out / "figures" / FIGURE, quality)
    section = quality_section(quality)
    (out / SECTION).write_text(section, encoding="utf-8")
    log.info("%s\n\nwrote %s", section, out / RESULT)
    if arguments.write:
        keep_choice(arguments.bundle, choice, maps)


def measure(
    subject: Subject,
    val: Sequence[Picture],
    test: Sequence[Picture],
    choice: Explanation,
    fractions: Mapping[Row, float],
    chosen_on: Mapping[Row, Scores],
    *,
    seed: int,
) -> Quality:
    """The validation's and the test's figures at the thresholds chosen on validation."""
    seen = _score(subject, test, "test")
    spec = subject.bundle.description
    return Quality(
        notice=NOTICE,
        bundle=spec.name,
        version=spec.version,
        sha256=spec.sha256,
        seed=seed,
        chosen=choice,
        validation_slices=len(val),
        validation=tuple(
            figures(row, chosen_on[row], fractions[row], [one.group for one in val], seed)
            for row in ROWS
        ),
        test_slices=len(test),
        test=tuple(
            figures(row, seen[row], fractions[row], [one.group for one in test], seed)
            for row in ROWS
        ),
        perturbed_slices=min(PERTURBED, len(test)),
        faithful=_faithful(subject, sample_evenly(test, PERTURBED), seed),
    )


def keep_choice(folder: Path, choice: Explanation, maps: Mapping[str, object]) -> None:
    """Write the choice and the validation's figures into `bundle.json`, and nothing else."""
    content = read_json(folder / DESCRIPTION_FILE)
    metrics = content.get("metrics")
    content["explanation"] = dataclasses.asdict(choice)
    content["metrics"] = {**(metrics if isinstance(metrics, dict) else {}), "maps": dict(maps)}
    draft = folder / f".{DESCRIPTION_FILE}.new"
    draft.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    draft.replace(folder / DESCRIPTION_FILE)
    log.info("wrote %s", folder / DESCRIPTION_FILE)


def _masked(pictures: Sequence[Picture], limit: int | None) -> list[Picture]:
    masked = [picture for picture in pictures if picture.mask is not None]
    if not masked:
        raise DataError("no slice of the part has a mask")
    return masked if limit is None else sample_evenly(masked, limit)


def _score(subject: Subject, pictures: Sequence[Picture], name: str) -> dict[Row, Scores]:
    def progress(number: int) -> None:
        if number % 50 == 0:
            log.info("%s: %d of %d slices", name, number, len(pictures))

    spec = subject.bundle.description.preprocessing
    return score_maps(subject.model, spec, subject.packs, pictures, progress)


def _faithful(
    subject: Subject, pictures: Sequence[Picture], seed: int
) -> tuple[FaithfulFigures, ...]:
    spec = subject.bundle.description.preprocessing
    # At the last layer HiRes-CAM is Grad-CAM.
    rows = [row for row in ROWS if (row.method, row.layer) != ("hirescam", LAYERS[0])]
    # Hundreds of passes a slice: the same answers in three quarters of the time.
    quick = fused(subject.model).to(memory_format=torch.channels_last)
    found: dict[Row, list[Faithful]] = {row: [] for row in rows}
    alike: dict[Row, list[float]] = {row: [] for row in rows}
    for number, picture in enumerate(pictures):
        if number % 10 == 0:
            log.info("deletion, insertion, ROAD: %d of %d slices", number, len(pictures))
        tensor = preprocess(subject.packs.pixels(picture), spec)
        seen = every_map(subject.model, tensor)
        maps = {row: seen.maps[row] for row in rows}
        for row, one in faithful(quick, tensor, seen.answer, maps).items():
            found[row].append(one)
        for row, value in randomized(subject.model, tensor, seen.answer, maps, seed).items():
            alike[row].append(value)
    return tuple(
        FaithfulFigures(
            method=row.method,
            layer=row.layer,
            deletion=_mean([one.deletion for one in found[row]]),
            insertion=_mean([one.insertion for one in found[row]]),
            road=_mean([one.road for one in found[row]]),
            randomized=_mean(alike[row]) if row.needs_network else None,
        )
        for row in rows
    )


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))
