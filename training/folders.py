"""The first set as Kaggle publishes it: `Training/<class>` and `Testing/<class>` of JPEG files.

What the files show is known from their bytes: the committed splits name them by hash.
"""

import hashlib
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from training.data import CLASS_OF_FOLDER, DataPacks, Picture
from training.errors import DataError
from training.splits import split_part

_FOLDERS = ("Training", "Testing")


class Source(Protocol):
    """Where pictures come from: the packs, or the published folders."""

    def __enter__(self) -> "Source": ...

    def __exit__(self, *_: object) -> None: ...

    def part(self, split: str, part: str) -> list[Picture]:
        """The pictures of one part of a split; raises `DataError`."""

    def pixels(self, picture: Picture) -> NDArray[np.uint8]:
        """The slice (H, W), uint8; raises `DataError`."""

    def mask(self, picture: Picture, shape: tuple[int, int]) -> NDArray[np.bool_]:
        """The annotated tumor (H, W); raises `DataError` where there is none."""


class PublishedFolders:
    """The published folders under one folder; they have no masks."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        if not all((folder / name).is_dir() for name in _FOLDERS):
            raise DataError(f"{folder} has neither manifest.csv nor {' and '.join(_FOLDERS)}")

    def __enter__(self) -> "PublishedFolders":
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing stays open."""

    def files(self) -> list[tuple[str, str, Path]]:
        """Published folder, class and path of every file; raises `DataError` for other classes."""
        found = []
        for folder in _FOLDERS:
            for kind in sorted((self._folder / folder).iterdir()):
                if kind.is_dir() and kind.name not in CLASS_OF_FOLDER:
                    raise DataError(f"{kind} is not one of {', '.join(CLASS_OF_FOLDER)}")
                found += [
                    (folder, CLASS_OF_FOLDER[kind.name], path)
                    for path in (sorted(kind.iterdir()) if kind.is_dir() else ())
                    if path.is_file()
                ]
        return found

    def part(self, split: str, part: str) -> list[Picture]:
        """The pictures of one part of `published` or `clean`.

        Raises `DataError` for `patient`, whose pictures are mostly in the other packs, and when a
        file of the part is missing.
        """
        if split == "patient":
            raise DataError("the patient split needs all packs and their manifest.csv")
        chosen = split_part(split, part)
        pictures, seen = [], set()
        for folder, label, path in self.files():
            sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
            entry = chosen.find(sha256, folder)
            if entry is None:
                continue
            seen.add(entry.id)
            pictures.append(
                Picture(
                    path=path.relative_to(self._folder).as_posix(),
                    label=label,
                    group=entry.group,
                    part=part,
                    mask=None,
                    mirrored=False,
                    unique_id=entry.picture,
                )
            )
        if missing := len(chosen.entries) - len(seen):
            raise DataError(f"{self._folder} lacks {missing} files of the part {part} of {split}")
        return pictures

    def pixels(self, picture: Picture) -> NDArray[np.uint8]:
        """The slice (H, W), uint8."""
        return read_gray(self._folder / picture.path)

    def mask(self, picture: Picture, shape: tuple[int, int]) -> NDArray[np.bool_]:
        """There is none."""
        raise DataError(f"{picture.path} has no mask, so none of {shape}")


def open_source(folder: Path) -> Source:
    """The packs where there is a manifest, else the published folders; raises `DataError`."""
    if (folder / "manifest.csv").is_file():
        return DataPacks(folder)
    return PublishedFolders(folder)


def read_gray(path: Path) -> NDArray[np.uint8]:
    """A file's pixels (H, W) uint8; raises `DataError` when it is no picture."""
    image = cv2.imdecode(np.fromfile(path, dtype=np.uint8), cv2.IMREAD_GRAYSCALE)
    if image is None:
        raise DataError(f"{path} can't be read as a picture")
    return np.asarray(image, dtype=np.uint8)
