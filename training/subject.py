"""A bundle and the cases that it is measured on; refuses those that it was trained on."""

import argparse
import contextlib
import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torchvision.models import ResNet

from neuroscan.network.bundle import Bundle, Description
from services.spatial import head
from training.data import DataPacks
from training.folders import Source, open_source
from training.kept import Kept
from training.metrics import Ints
from training.observe import run
from training.parts import Case, published_training, read_cases
from training.refusal import read_training_manifest, refuse_overlap
from training.splits import relatives

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Subject:
    """A loaded bundle, its cases with labels (N) and groups, and where its answers are kept.

    `copies` counts cases with a copy among the training pictures, where the refusal lets them be;
    `relatives` those whose group has a picture there.
    """

    bundle: Bundle
    model: ResNet
    packs: Source
    cases: list[Case]
    labels: Ints
    groups: tuple[str, ...]
    copies: int
    relatives: int
    kept: Kept

    def pixels(self, place: int) -> Pixels:
        """The slice (H, W), uint8, of one case."""
        return self.packs.pixels(self.cases[place].picture)

    def paths(self, places: Sequence[int]) -> list[str]:
        """The files of some cases."""
        return [self.cases[place].picture.path for place in places]

    def observe(self, name: str, slices: Iterable[Pixels], of: object) -> tuple[Tensor, Tensor]:
        """Logits and input-check features of slices; kept under `name` and what they are `of`."""
        spec = self.bundle.description
        return self.kept.pair(
            name,
            of,
            lambda: run(self.model, spec.preprocessing, spec.input_check.layers, slices),
        )

    def observe_all(self) -> tuple[Tensor, Tensor]:
        """Logits (N, classes) and input-check features (N, D) of every case."""
        places = range(len(self.cases))
        return self.observe("slices", map(self.pixels, places), self.paths(places))

    def answers(self, name: str, change: Callable[[Pixels], Pixels], places: Sequence[int]) -> Ints:
        """The likeliest class of the changed slices at `places`."""
        changed = (change(self.pixels(place)) for place in places)
        logits, _ = self.observe(name, changed, self.paths(places))
        return np.asarray(logits.argmax(dim=1).numpy(), dtype=np.int64)


@contextlib.contextmanager
def open_subject(bundle_folder: Path, data: Path, split: str, out: Path) -> Iterator[Subject]:
    """The bundle and a split's test part; raises `BundleError`, `DataError` and `LeakError`."""
    bundle = Bundle.read(bundle_folder)
    description = bundle.description
    packs = open_source(data)
    with contextlib.ExitStack() as opened:
        if isinstance(packs, DataPacks):
            opened.enter_context(packs)
        cases = read_cases(packs, split)
        trained_on = read_training_manifest(bundle_folder, description)
        shown = [case.picture.unique_id for case in cases]
        copies = refuse_overlap(
            trained_on,
            shown,
            split=split,
            training=description.training,
            published_training=published_training(),
        )
        labels = [description.classes.index(case.picture.label) for case in cases]
        out.mkdir(parents=True, exist_ok=True)
        yield Subject(
            bundle=bundle,
            model=bundle.load_model(),
            packs=packs,
            cases=cases,
            labels=np.array(labels, dtype=np.int64),
            groups=tuple(case.picture.group for case in cases),
            copies=copies,
            relatives=relatives(shown, trained_on),
            kept=Kept(out / "kept" / _way_in(description, data), description.sha256),
        )


def _way_in(description: Description, data: Path) -> str:
    """A name for what else the answers depend on.

    Preprocessing, the input check's layers, the data's manifest, and the code that changes slices
    or makes other pictures.
    """
    facts = [dataclasses.asdict(description.preprocessing), description.input_check.layers]
    digest = hashlib.sha256(json.dumps(facts).encode())
    here = Path(__file__).parent
    code = [here / name for name in ("robustness.py", "other_pictures.py", "shortcuts.py")]
    code.append(Path(head.__file__))
    for path in (data / "manifest.csv", *code):
        digest.update(path.read_bytes() if path.is_file() else b"")
    return digest.hexdigest()[:8]


def add_shared_arguments(parser: argparse.ArgumentParser) -> None:
    """What the commands that measure have in common."""
    parser.add_argument("--bundle", type=Path, required=True, help="folder of the bundle")
    parser.add_argument("--data", type=Path, required=True, help="folder of the data")
    parser.add_argument(
        "--out", type=Path, help="folder of the results (default: build/evaluation/BUNDLE/SPLIT)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of bootstrap and simulation")
    parser.add_argument("--threads", type=int, default=2, help="torch's threads (default 2)")


def default_out(bundle: Path, split: str) -> Path:
    """Where the commands that measure write and `card` reads when nothing else is said."""
    return Path("build") / "evaluation" / bundle.resolve().name / split
