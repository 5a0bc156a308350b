"""`python -m benchmarks.spatial`: how right regions and spatial parameters are.

On the annotated slices of unseen patients (the `patient` split's test part) and its slices without
a tumor; on phantoms with known geometry, from their own mask and end to end.
"""

import argparse
import logging
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch

from benchmarks.bland_altman import draw_bland_altman
from benchmarks.phantom_grid import SIZES_MM, grid, run_grid
from benchmarks.slices import MAP, PRODUCT, SEGMENTATION, Product, Seen, see_annotated
from benchmarks.spatial_section import Spatial, spatial_section
from benchmarks.tables import paired, part_figures, source_figures
from neuroscan import NOTICE, __version__
from neuroscan.network.bundle import Bundle, BundleError
from training.data import DataPacks, sample_evenly
from training.errors import DataError
from training.evaluation import write_json
from training.metrics import RESAMPLES, Estimate, group_weights, mean_estimate
from training.parts import Case
from training.settings import settings_of
from training.subject import Subject, default_out, open_subject

RESULT, SECTION = "spatial.json", "spatial.md"
SPLIT = "patient"
# Where a part of the measurement goes, so that it never stands in for the whole in a card.
TRIAL = "trial"

log = logging.getLogger(__name__)


def main(words: list[str] | None = None) -> int:
    """Measure, print, write; 0 when it succeeded, 1 with a sentence on stderr when not."""
    arguments = _arguments(words)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    torch.set_num_threads(arguments.threads)
    cv2.setNumThreads(1)
    try:
        run(arguments)
    except (BundleError, DataError) as error:
        print(f"{error}", file=sys.stderr)
        return 1
    return 0


def run(arguments: argparse.Namespace) -> None:
    """Raises `BundleError`, `DataError` and `LeakError`."""
    part = SPLIT if arguments.limit is None and not arguments.phantoms_only else TRIAL
    out: Path = arguments.out or default_out(arguments.bundle, part)
    out.mkdir(parents=True, exist_ok=True)
    product = Product(Bundle.read(arguments.bundle))
    specs = list(grid(SIZES_MM if arguments.limit is None else SIZES_MM[:1]))
    if arguments.limit is not None:
        specs = sample_evenly(specs, arguments.limit)
    errors, ends = run_grid(product, specs, _progress("phantoms", len(specs)))
    spec = product.description
    found = Spatial(
        notice=NOTICE,
        bundle=spec.name,
        version=spec.version,
        software=__version__,
        sha256=spec.sha256,
        part=f"{SPLIT}, test",
        segmenter_sha256=spec.segmentation.sha256 if spec.segmentation else None,
        settings=settings_of(spec),
        seed=arguments.seed,
        phantoms=tuple(errors),
        end_to_end=tuple(ends),
    )
    if not arguments.phantoms_only:
        with open_subject(arguments.bundle, arguments.data, SPLIT, out) as subject:
            found = _on_slices(found, product, subject, arguments, out / "figures")
    write_json(out / RESULT, found)
    section = spatial_section(found)
    (out / SECTION).write_text(section, encoding="utf-8")
    log.info("%s\n\nwrote %s", section, out / RESULT)


def _on_slices(
    found: Spatial, product: Product, subject: Subject, arguments: argparse.Namespace, figures: Path
) -> Spatial:
    limit, seed = arguments.limit, arguments.seed
    masked = [case for case in subject.cases if case.picture.mask is not None]
    plain = [case for case in subject.cases if case.picture.label == "no_tumor"]
    if limit is not None:
        masked, plain = sample_evenly(masked, limit), sample_evenly(plain, limit)
    if not masked or not isinstance(subject.packs, DataPacks):
        raise DataError("no test slice has a mask")
    seen = see_annotated(product, subject.packs, masked, _progress("slices", len(masked)))
    sources = [MAP, SEGMENTATION, PRODUCT] if product.segments else [MAP, PRODUCT]
    outlined = [source for source in sources if source != PRODUCT]
    _draw(figures, seen, outlined)
    return replace(
        found,
        sources=tuple(source_figures(source, seen, seed) for source in sources),
        parts=tuple(part_figures(outlined, seen)),
        healthy=len(plain),
        silent=_silent(product, subject, plain, seed) if product.segments and plain else None,
    )


def _silent(product: Product, subject: Subject, plain: list[Case], seed: int) -> Estimate:
    progress = _progress("slices without a tumor", len(plain))
    quiet = []
    for number, case in enumerate(plain):
        progress(number)
        quiet.append(float(product.silent(subject.packs.pixels(case.picture))))
    weights = group_weights([case.picture.group for case in plain], RESAMPLES, seed)
    return mean_estimate(np.array(quiet), weights)


def _draw(folder: Path, seen: list[Seen], sources: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    draw_bland_altman(
        folder / "bland-altman.png",
        {
            source: (
                paired(source, seen, lambda held: held.longest),
                paired(source, seen, lambda held: held.area),
            )
            for source in sources
        },
    )


def _progress(what: str, count: int) -> Callable[[int], None]:
    def say(number: int) -> None:
        if number % 50 == 0:
            log.info("%s: %d of %d", what, number, count)

    return say


def _arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.spatial", description=__doc__)
    parser.add_argument("--bundle", type=Path, required=True, help="folder of the bundle")
    parser.add_argument("--data", type=Path, help="folder with manifest.csv")
    parser.add_argument(
        "--out",
        type=Path,
        help="folder of the results (default: build/evaluation/BUNDLE/patient; a part's: …/trial)",
    )
    parser.add_argument("--phantoms-only", action="store_true", help="without annotated slices")
    parser.add_argument("--limit", type=int, help="at most so many slices and phantoms")
    parser.add_argument("--seed", type=int, default=0, help="of the intervals' resamples")
    parser.add_argument("--threads", type=int, default=2, help="torch's threads (default 2)")
    arguments = parser.parse_args(words)
    if arguments.data is None and not arguments.phantoms_only:
        parser.error("give --data, or --phantoms-only")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
