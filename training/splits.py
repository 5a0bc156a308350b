"""The committed splits: which published file belongs to which part, without any picture.

A split is `training/splits/NAME.csv.gz`: the first 16 digits of the file's SHA-256 as published,
its part, the id of the picture that it shows (the same for all its copies), and its group (a
patient, or a family of look-alikes) as a hash.

- `published`: Testing as published is `test`; a share of Training's groups is `val`.
- `clean`: the pictures of the published Testing without a twin in Training; only `test`.
- `patient`: one file a picture, no group on two sides, no head CT.
"""

import csv
import gzip
import hashlib
import io
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from training.errors import DataError

SPLITS = ("published", "clean", "patient")
PARTS = ("train", "val", "test")
FOLDER = Path(__file__).parent / "splits"
VALIDATION_SHARE = 0.15
FOLDS = 5
_FIELDS = ("id", "part", "picture", "group")
_ID_DIGITS, _GROUP_DIGITS = 16, 10


@dataclass(frozen=True)
class Entry:
    """A file of a split: `id` of its bytes, `part`, `picture` that it shows, `group`."""

    id: str
    part: str
    picture: str
    group: str


def read_split(name: str) -> tuple[Entry, ...]:
    """All entries of a split, sorted; raises `DataError` for an unknown split."""
    if name not in SPLITS:
        raise DataError(f"the splits are {', '.join(SPLITS)}, not {name!r}")
    return _read(FOLDER / f"{name}.csv.gz")


def pictures_of(name: str, *parts: str) -> frozenset[str]:
    """The unique ids of the pictures in some parts of a split; raises `DataError`."""
    return frozenset(entry.picture for entry in read_split(name) if entry.part in parts)


@dataclass(frozen=True, eq=False)
class SplitPart:
    """One part of a split, by file; `testing` says which published folder its files lie in."""

    entries: Mapping[str, Entry]
    testing: bool | None

    def find(self, sha256: str, published_folder: str) -> Entry | None:
        """The entry of a file with this hash in this published folder ("" for none), if any.

        The same bytes lie in both published folders 79 times, so there the hash is not enough.
        """
        if self.testing is not None and self.testing != (published_folder == "Testing"):
            return None
        return self.entries.get(sha256[:_ID_DIGITS])


def split_part(name: str, part: str) -> SplitPart:
    """One part of a committed split; raises `DataError` for an unknown split or part."""
    entries = {entry.id: entry for entry in read_split(name) if entry.part == part}
    if not entries:
        raise DataError(f"the {name} split has no part {part!r}")
    return SplitPart(entries, None if name == "patient" else part == "test")


def make_splits(rows: Sequence[Mapping[str, str]]) -> dict[str, tuple[Entry, ...]]:
    """The three splits from the manifest's rows."""
    published = [row for row in rows if row["split"]]
    training = [row for row in published if row["split"] == "Training"]
    trained = {row["unique_id"] for row in training}
    held_out = _validation_groups(training)

    def part(row: Mapping[str, str]) -> str:
        if row["split"] == "Testing":
            return "test"
        return "val" if row["group_id"] in held_out else "train"

    return {
        "published": _sorted(_entry(row, part(row)) for row in published),
        "clean": _sorted(
            _entry(row, "test")
            for row in published
            if row["split"] == "Testing" and row["unique_id"] not in trained
        ),
        "patient": _sorted(
            _entry(row, row["patient_split"])
            for row in rows
            if row["keep_unique"] == "1" and row["ct_suspect"] == "0" and row["patient_split"]
        ),
    }


def fold_of(group: str) -> int:
    """The fold, 1 to `FOLDS`, of a group; about as many groups in each."""
    return 1 + int(_digest(f"fold {group}")[:8], 16) % FOLDS


def write_split(entries: Iterable[Entry], path: Path) -> None:
    """Write entries; the same entries give the same bytes."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_FIELDS)
    writer.writerows((entry.id, entry.part, entry.picture, entry.group) for entry in entries)
    path.write_bytes(gzip.compress(text.getvalue().encode(), mtime=0))


def leaks(entries: Sequence[Entry]) -> dict[tuple[str, str], tuple[int, int]]:
    """For each pair of parts: how many pictures, and how many groups, stand on both sides."""
    return {
        (first, second): (
            len(_values(entries, first, "picture") & _values(entries, second, "picture")),
            len(_values(entries, first, "group") & _values(entries, second, "group")),
        )
        for index, first in enumerate(PARTS)
        for second in PARTS[index + 1 :]
    }


def relatives(pictures: Iterable[str], others: Iterable[str]) -> int:
    """How many pictures (unique ids) have one of the others in their group, by any split."""
    group = {entry.picture: entry.group for name in SPLITS for entry in read_split(name)}
    known = {group[other] for other in others if other in group}
    return sum(group.get(picture) in known for picture in pictures)


def _values(entries: Sequence[Entry], part: str, field: str) -> set[str]:
    return {getattr(entry, field) for entry in entries if entry.part == part}


def _validation_groups(rows: Iterable[Mapping[str, str]]) -> set[str]:
    """Groups of the published Training: of each class as many as hold `VALIDATION_SHARE` of it."""
    labels: dict[str, Counter[str]] = {}
    for row in rows:
        labels.setdefault(row["group_id"], Counter())[row["label"]] += 1
    chosen = set()
    for label in sorted({label for counts in labels.values() for label in counts}):
        own = [group for group, counts in labels.items() if counts.most_common(1)[0][0] == label]
        wanted = VALIDATION_SHARE * sum(labels[group].total() for group in own)
        # By hash, not by a draw: the same groups whatever the order of the rows.
        for group in sorted(own, key=lambda name: _digest(f"validation {name}")):
            if wanted <= 0:
                break
            chosen.add(group)
            wanted -= labels[group].total()
    return chosen


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _entry(row: Mapping[str, str], part: str) -> Entry:
    return Entry(
        id=row["sha256"][:_ID_DIGITS],
        part=part,
        picture=row["unique_id"],
        group=_digest(row["group_id"])[:_GROUP_DIGITS],
    )


def _sorted(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    # Identical files of one part are one entry.
    return tuple(sorted(set(entries), key=lambda entry: (entry.id, entry.part)))


@lru_cache(maxsize=8)
def _read(path: Path) -> tuple[Entry, ...]:
    if not path.is_file():
        raise DataError(f"{path} is missing")
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != _FIELDS:
            raise DataError(f"{path} must have the columns {', '.join(_FIELDS)}")
        return tuple(Entry(**row) for row in reader)
