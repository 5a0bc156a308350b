"""`python -m training data`: counts, duplicates and leaks of the data and of the splits."""

import argparse
import hashlib
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neuroscan.network.model import CLASSES
from training.data import DataPacks, belongs, picture_of
from training.duplicates import families, find_twins, take_prints
from training.folders import PublishedFolders, Source, open_source, read_gray
from training.splits import (
    FOLDER,
    PARTS,
    SPLITS,
    leaks,
    make_splits,
    pictures_of,
    read_split,
    write_split,
)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class File:
    """A file of the data: where it was published ("" for no such place), what it shows.

    `unique_id` is what the manifest says of the picture, "" where there is no manifest.
    """

    place: str
    label: str
    sha256: str
    unique_id: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument(
        "--data", type=Path, required=True, help="folder with manifest.csv, or Training and Testing"
    )
    parser.add_argument(
        "--no-pixels", action="store_true", help="skip near duplicates, which read every picture"
    )
    parser.add_argument(
        "--write-splits", action="store_true", help="make the committed splits anew (needs packs)"
    )


def main(arguments: argparse.Namespace) -> None:
    """Print what the data hold; raises `DataError`."""
    with open_source(arguments.data) as source:
        if isinstance(source, DataPacks) and arguments.write_splits:
            for name, entries in make_splits(source.rows()).items():
                write_split(entries, FOLDER / f"{name}.csv.gz")
                log.info("wrote %s: %d files", FOLDER / f"{name}.csv.gz", len(entries))
        files, slices = _files(source, arguments.data, pixels=not arguments.no_pixels)
        known = known_lines(source.rows()) if isinstance(source, DataPacks) else []
        for line in split_lines(source) + contradiction_lines() + known + file_lines(files):
            log.info("%s", line)
    if slices:
        for line in twin_lines(files, slices):
            log.info("%s", line)


def split_lines(source: Source) -> list[str]:
    """A line for each part of each split that the data hold, and for each pair of parts."""
    lines = []
    for name in SPLITS:
        entries = read_split(name)
        for part in PARTS:
            if not any(entry.part == part for entry in entries):
                continue
            if name == "patient" and isinstance(source, PublishedFolders):
                lines.append(f"{name:9s} {part:5s} needs all packs")
                continue
            pictures = source.part(name, part)
            counts = Counter(picture.label for picture in pictures)
            by_class = ", ".join(f"{label} {counts[label]}" for label in CLASSES)
            groups = len({picture.group for picture in pictures})
            lines.append(
                f"{name:9s} {part:5s} {len(pictures):5d} files, {groups:4d} groups: {by_class}"
            )
        for (first, second), (pictures_shared, groups_shared) in leaks(entries).items():
            if pictures_shared or groups_shared:
                lines.append(
                    f"{name:9s} LEAK  {pictures_shared} pictures and {groups_shared} groups "
                    f"stand both in {first} and in {second}"
                )
    return lines


def contradiction_lines() -> list[str]:
    """For each pair of splits: how many test pictures of one the other trains or validates on."""
    lines = []
    for tested in SPLITS:
        test = pictures_of(tested, "test")
        for trained in SPLITS:
            known = test & pictures_of(trained, "train", "val")
            if trained != tested and known:
                lines.append(
                    f"{tested:9s} {len(known)} of its {len(test)} test pictures stand in the "
                    f"training or validation part of {trained}: trained on one, never measured on "
                    "the other"
                )
    return lines


def known_lines(rows: Sequence[Mapping[str, str]]) -> list[str]:
    """What the manifest knows of the `patient` split's slices beside their class."""
    lines = []
    for part in PARTS:
        own = [row for row in rows if belongs(row, part)]
        patients = {row["patient_id"] for row in own} - {""}
        masked = sum(bool(row["mask"]) for row in own)
        lines.append(
            f"patient   {part:5s} {masked} slices with an outlined tumor, {len(patients)} patients "
            "with a known id"
        )
    return lines


def file_lines(files: Sequence[File]) -> list[str]:
    """Files and exact duplicates, by hash."""
    counts = Counter(file.sha256 for file in files)
    places: dict[str, set[str]] = {}
    for file in files:
        places.setdefault(file.sha256, set()).add(file.place)
    both = sum({"Training", "Testing"} <= where for where in places.values())
    repeated = sum(count - 1 for count in counts.values())
    line = (
        f"files     {len(files)}, of them {repeated} repeat another byte for byte; {both} contents "
        "lie both in Training and in Testing"
    )
    return [line]


def twin_lines(files: Sequence[File], slices: Sequence[NDArray[np.uint8]]) -> list[str]:
    """Near duplicates by perceptual hash, and how they agree with the manifest's unique ids."""
    twins = list(find_twins(take_prints(slices)))
    family = families(len(files), ((pair.first, pair.second) for pair in twins))
    trained = {family[i] for i, file in enumerate(files) if file.place == "Training"}
    tested = [family[i] for i, file in enumerate(files) if file.place == "Testing"]
    mirrored = sum(pair.mirrored for pair in twins)
    twice = sum(root in trained for root in tested)
    odd = sum(files[pair.first].label != files[pair.second].label for pair in twins)
    lines = [
        f"look-alikes {len(twins)} pairs, {mirrored} mirrored; {len(set(family))} families",
        f"look-alikes {twice} of {len(tested)} files of Testing have one in Training",
        f"look-alikes {odd} pairs have different labels",
    ]
    if all(file.unique_id for file in files):
        same = sum(files[p.first].unique_id == files[p.second].unique_id for p in twins)
        known = sum(n * (n - 1) // 2 for n in Counter(f.unique_id for f in files).values())
        lines.append(
            f"look-alikes {same} of the {len(twins)} pairs are the same picture by the manifest, "
            f"which knows {known} pairs"
        )
    return lines


def _files(
    source: Source, folder: Path, *, pixels: bool
) -> tuple[list[File], list[NDArray[np.uint8]]]:
    if isinstance(source, DataPacks):
        rows = source.rows()
        found = [
            File(row["split"], picture_of(row).label, row["sha256"], row["unique_id"])
            for row in rows
        ]
        return found, [source.pixels(picture_of(row)) for row in rows] if pixels else []
    published = PublishedFolders(folder).files()
    found = [
        File(place, label, hashlib.sha256(path.read_bytes()).hexdigest(), "")
        for place, label, path in published
    ]
    return found, [read_gray(path) for _, _, path in published] if pixels else []
