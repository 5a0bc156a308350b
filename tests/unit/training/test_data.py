"""The data packs, on a tiny set made here."""

import csv
import io
import tarfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from training.data import DataError, DataPacks, sample_evenly

FIELDS = [
    "path", "label", "group_id", "patient_split", "mask", "mirrored", "keep_unique", "ct_suspect",
]  # fmt: skip


def encoded(pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], suffix: str) -> bytes:
    return bytes(cv2.imencode(suffix, pixels)[1].tobytes())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    slice_pixels = np.arange(64 * 48, dtype=np.uint16).reshape(64, 48).clip(0, 255).astype(np.uint8)
    mask = np.zeros((128, 96), dtype=np.uint8)
    mask[10:20, 6:16] = 255
    rows = [
        ("pack/a.png", "glioma", "g1", "train", "pack/masks/1.png", "0", "1", "0"),
        ("pack/b.png", "glioma", "g2", "val", "pack/masks/1.png", "1", "1", "0"),
        ("pack/c.png", "notumor", "g3", "val", "", "0", "1", "0"),
        ("pack/d.png", "notumor", "g4", "val", "", "0", "0", "0"),
        ("pack/e.png", "notumor", "g5", "val", "", "0", "1", "1"),
        ("pack/broken.png", "pituitary", "g6", "test", "", "0", "1", "0"),
    ]
    with (tmp_path / "manifest.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(FIELDS)
        writer.writerows(rows)
    files = {row[0]: encoded(slice_pixels, ".png") for row in rows}
    files["pack/masks/1.png"] = encoded(mask, ".png")
    files["pack/broken.png"] = b"no picture"
    with tarfile.open(tmp_path / "pack.tar", "w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return tmp_path


def test_the_patient_split_has_unique_mri_slices_only(folder: Path) -> None:
    with DataPacks(folder) as packs:
        assert [picture.path for picture in packs.patient_split("train")] == ["pack/a.png"]
        assert [picture.path for picture in packs.patient_split("val")] == [
            "pack/b.png",
            "pack/c.png",
        ]
        assert packs.patient_split("val")[1].label == "no_tumor"


def test_a_mask_is_mirrored_with_its_slice_and_has_its_size(folder: Path) -> None:
    with DataPacks(folder) as packs:
        (plain,), mirrored = packs.patient_split("train"), packs.patient_split("val")[0]
        shape = packs.pixels(plain).shape
        assert shape == (64, 48)
        first, second = packs.mask(plain, (64, 48)), packs.mask(mirrored, (64, 48))
    assert first.shape == (64, 48)
    assert np.array_equal(first[:, ::-1], second)
    rows, columns = np.nonzero(first)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (5, 9, 3, 7)


def test_an_unpacked_folder_reads_the_same(folder: Path) -> None:
    with DataPacks(folder) as packs:
        from_tar = packs.pixels(packs.patient_split("train")[0])
    with tarfile.open(folder / "pack.tar") as archive:
        archive.extractall(folder, filter="data")
    (folder / "pack.tar").unlink()
    with DataPacks(folder) as packs:
        assert np.array_equal(packs.pixels(packs.patient_split("train")[0]), from_tar)


def test_what_is_missing_or_broken_is_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"manifest\.csv"):
        DataPacks(tmp_path / "nowhere")
    with DataPacks(folder) as packs:
        with pytest.raises(DataError, match=r"train, val, test, not 'all'"):
            packs.patient_split("all")
        with pytest.raises(DataError, match=r"broken\.png can't be read"):
            packs.pixels(packs.patient_split("test")[0])
        with pytest.raises(DataError, match=r"c\.png has no mask"):
            packs.mask(packs.patient_split("val")[1], (64, 48))
    (folder / "pack.tar").unlink()
    with DataPacks(folder) as packs, pytest.raises(DataError, match=r"pack\.tar"):
        packs.pixels(packs.patient_split("train")[0])


def test_a_sample_is_spread_evenly(folder: Path) -> None:
    with DataPacks(folder) as packs:
        pictures = packs.patient_split("val") * 50
    assert len(sample_evenly(pictures, 10)) == 10
    assert sample_evenly(pictures[:3], 10) == pictures[:3]
