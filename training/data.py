"""The data packs: pictures, masks and the `patient` split, read straight from their tar files.

`--data` names a folder with `manifest.csv` and `published.tar`, `annotated.tar`, `healthy.tar`
(or the same, unpacked). Nothing is written there or into the project.
"""

import csv
import re
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from training.errors import DataError
from training.splits import split_part

__all__ = [
    "CLASS_OF_FOLDER",
    "PATIENT_PARTS",
    "DataError",
    "DataPacks",
    "Picture",
    "belongs",
    "picture_of",
    "plane_label",
    "sample_evenly",
]

# The one place where the data's folder names meet the network's classes.
CLASS_OF_FOLDER = {
    "glioma": "glioma",
    "meningioma": "meningioma",
    "notumor": "no_tumor",
    "pituitary": "pituitary",
}
PATIENT_PARTS = ("train", "val", "test")

_BRISC_PLANE = re.compile(r"_no_(ax|co|sa)_")
_BRISC_CODES = {"ax": "axial", "co": "coronal", "sa": "sagittal"}

T = TypeVar("T")


@dataclass(frozen=True)
class Picture:
    """One row of the manifest that the `patient` split uses.

    `group` is a patient, or a family of look-alikes; `mask` is the path of the annotated tumor;
    `unique_id` is the same for every file that shows the same picture; `plane` is None when it is
    not known.
    """

    path: str
    label: str
    group: str
    part: str
    mask: str | None
    mirrored: bool
    unique_id: str = ""
    plane: str | None = None


class DataPacks:
    """Reads files of the packs by the manifest's paths."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._archives: dict[str, tarfile.TarFile] = {}
        if not (folder / "manifest.csv").is_file():
            raise DataError(f"{folder} has no manifest.csv")

    def __enter__(self) -> "DataPacks":
        return self

    def __exit__(self, *_: object) -> None:
        for archive in self._archives.values():
            archive.close()

    def patient_split(self, part: str) -> list[Picture]:
        """The pictures of one part of the `patient` split, in the manifest's order.

        No patient, group or picture stands in two parts. Raises `DataError` for an unknown part.
        """
        if part not in PATIENT_PARTS:
            raise DataError(f"the patient split has {', '.join(PATIENT_PARTS)}, not {part!r}")
        return [picture_of(row) for row in self.rows() if belongs(row, part)]

    def part(self, split: str, part: str) -> list[Picture]:
        """The pictures of one part of a committed split, in the manifest's order.

        Raises `DataError` for an unknown split or part, and when the data lack one of them.
        """
        chosen = split_part(split, part)
        found: list[Picture] = []
        seen: set[str] = set()
        for row in self.rows():
            entry = chosen.find(row["sha256"], row["split"])
            # Of a picture's files `patient` has the one to use, not its identical twins.
            if entry is not None and (split != "patient" or row["keep_unique"] == "1"):
                seen.add(entry.id)
                found.append(replace(picture_of(row), part=part))
        if missing := len(chosen.entries) - len(seen):
            raise DataError(f"{self._folder} lacks {missing} files of the part {part} of {split}")
        return found

    def rows(self) -> list[dict[str, str]]:
        """The manifest as it stands."""
        with (self._folder / "manifest.csv").open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    def pixels(self, picture: Picture) -> NDArray[np.uint8]:
        """The slice (H, W), uint8."""
        return self._decode(picture.path)

    def mask(self, picture: Picture, shape: tuple[int, int]) -> NDArray[np.bool_]:
        """The annotated tumor, (H, W) of `shape`; raises `DataError` where there is none."""
        if picture.mask is None:
            raise DataError(f"{picture.path} has no mask")
        mask = self._decode(picture.mask)
        if mask.shape != shape:
            mask = np.asarray(
                cv2.resize(mask, shape[::-1], interpolation=cv2.INTER_NEAREST), dtype=np.uint8
            )
        return (mask[:, ::-1] if picture.mirrored else mask) > 127

    def _decode(self, path: str) -> NDArray[np.uint8]:
        encoded = np.frombuffer(self._bytes(path), dtype=np.uint8)
        image = cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE)
        if image is None:
            raise DataError(f"{path} can't be read as a picture")
        return np.asarray(image, dtype=np.uint8)

    def _bytes(self, path: str) -> bytes:
        unpacked = self._folder / path
        if unpacked.is_file():
            return unpacked.read_bytes()
        pack = path.partition("/")[0]
        if pack not in self._archives:
            archive = self._folder / f"{pack}.tar"
            if not archive.is_file():
                raise DataError(f"neither {path} nor {pack}.tar is in {self._folder}")
            self._archives[pack] = tarfile.open(archive)  # noqa: SIM115 - closed in __exit__
        try:
            member = self._archives[pack].extractfile(path)
        except KeyError as error:
            raise DataError(f"{pack}.tar holds no {path}") from error
        if member is None:
            raise DataError(f"{path} is not a file")
        return member.read()


def sample_evenly(items: Sequence[T], count: int) -> list[T]:
    """At most `count` of the items, evenly spread over the sequence."""
    step = max(1.0, len(items) / count)
    return [items[int(index * step)] for index in range(min(count, len(items)))]


def belongs(row: Mapping[str, str], part: str) -> bool:
    """Whether a row of the manifest is one of a part of the `patient` split."""
    return row["patient_split"] == part and row["keep_unique"] == "1" and row["ct_suspect"] == "0"


def picture_of(row: dict[str, str]) -> Picture:
    """The picture of a row of the manifest; raises `DataError` for an unknown label."""
    try:
        label = CLASS_OF_FOLDER[row["label"]]
    except KeyError as error:
        raise DataError(f"{row['path']} has the unknown label {row['label']!r}") from error
    return Picture(
        path=row["path"],
        label=label,
        group=row["group_id"],
        part=row["patient_split"],
        mask=row["mask"] or None,
        mirrored=row["mirrored"] == "1",
        unique_id=row.get("unique_id") or row["path"],
        plane=plane_label(row),
    )


def plane_label(row: Mapping[str, str]) -> str | None:
    """The plane of a row of the manifest, or None when it is not known."""
    if row.get("plane"):
        return row["plane"]
    found = _BRISC_PLANE.search(row["path"]) if row.get("source") == "brisc" else None
    return _BRISC_CODES[found.group(1)] if found else None
