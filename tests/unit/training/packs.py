"""Tiny data packs of synthetic slices: bright disks, squares, bars and none, with masks."""

import csv
import hashlib
import io
import tarfile
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from training.splits import make_splits, write_split

FIELDS = [
    "path", "label", "split", "sha256", "unique_id", "group_id", "patient_split", "mask",
    "mirrored", "keep_unique", "ct_suspect", "source", "patient_id", "plane",
]  # fmt: skip
KINDS = ("glioma", "meningioma", "notumor", "pituitary")
SIDE_PX = 48


def draw(kind: str, generator: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A slice and its mask (S, S) uint8: a gray head with the kind's shape in it."""
    image = generator.integers(0, 25, (SIDE_PX, SIDE_PX)).astype(np.uint8)
    cv2.circle(image, (24, 24), 20, 90, -1)
    mask = np.zeros((SIDE_PX, SIDE_PX), dtype=np.uint8)
    x, y = (int(value) for value in generator.integers(14, 34, 2))
    if kind == "glioma":
        cv2.circle(mask, (x, y), 6, 255, -1)
    elif kind == "meningioma":
        cv2.rectangle(mask, (x - 6, y - 2), (x + 6, y + 2), 255, -1)
    elif kind == "pituitary":
        cv2.rectangle(mask, (x - 2, y - 6), (x + 2, y + 6), 255, -1)
    return np.where(mask > 0, np.uint8(230), image), mask


def write_packs(folder: Path, each: int = 6) -> list[dict[str, str]]:
    """Packs with `each` slices a class for training, half as many for validation and test.

    Some files repeat others byte for byte or as a mirror image. Returns the manifest's rows.
    """
    generator = np.random.default_rng(4)
    folder.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, str]] = []
    files: dict[str, bytes] = {}
    for kind in KINDS:
        for place in range(2 * each):
            part = "train" if place < each else "val" if place < each + each // 2 else "test"
            image, mask = draw(kind, generator)
            name = f"{kind}{place}"
            drawn = f"pack/masks/{name}.png" if kind != "notumor" else ""
            if drawn:
                files[drawn] = encode(mask)
            published = "Testing" if place % 3 == 0 else "Training"
            copies = [(f"pack/{name}.png", image, "0", published, "1")]
            if place % 2 == 0:
                other = "Training" if published == "Testing" else "Testing"
                mirror = np.ascontiguousarray(image[:, ::-1])
                copies.append((f"pack/{name}_copy.png", image, "0", published, "0"))
                copies.append((f"pack/{name}_mirror.png", mirror, "1", other, "0"))
            for path, pixels, mirrored, where, unique in copies:
                files[path] = encode(pixels)
                values = [
                    path, kind, where, hashlib.sha256(files[path]).hexdigest(), name,
                    f"group_{kind}_{place // 3}", part, drawn, mirrored, unique, "0",
                    "drawn", f"patient_{kind}_{place // 3}", "axial",
                ]  # fmt: skip
                rows.append(dict(zip(FIELDS, values, strict=True)))
    with (folder / "manifest.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, FIELDS)
        writer.writeheader()
        writer.writerows(rows)
    with tarfile.open(folder / "pack.tar", "w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return rows


def write_splits(rows: list[dict[str, str]], folder: Path) -> None:
    """The splits of these rows as the project keeps its own."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, entries in make_splits(rows).items():
        write_split(entries, folder / f"{name}.csv.gz")


def encode(pixels: NDArray[np.uint8]) -> bytes:
    """The picture as PNG."""
    return bytes(cv2.imencode(".png", pixels)[1].tobytes())
