"""Phantoms on disk: names, sidecars, masks, and the same bytes for a seed."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydantic import ValidationError

from neuroscan.phantoms import read_truth, write_phantoms


def read_png(path: Path) -> NDArray[np.uint8]:
    """A grayscale PNG as an array (H, W)."""
    with Image.open(path) as image:
        assert image.mode == "L"
        return np.asarray(image)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("phantoms") / "new" / "folder"
    write_phantoms(out)
    return out


def test_sidecar_comes_back_as_the_truth_and_names_its_file(tmp_path: Path) -> None:
    for written in write_phantoms(tmp_path):
        assert read_truth(written.sidecar) == written.truth
        assert written.path == tmp_path / written.truth.file
        assert written.path.is_file()


def test_sidecar_has_the_agreed_keys_and_no_tumor_class(folder: Path) -> None:
    truth = json.loads((folder / "lesion-left-frontal-30mm.json").read_text())
    assert truth["display_convention"] == "radiological"
    assert truth["plane"] == "axial"
    assert truth["lesion"]["side"] == "left"
    assert truth["lesion"]["longest_mm"] == pytest.approx(30)
    assert set(truth["lesion"]) == {
        "side", "lobe", "longest_mm", "perpendicular_mm", "area_mm2", "area_px", "centroid_px",
        "bbox_px",
    }  # fmt: skip
    text = " ".join(path.read_text() for path in folder.glob("*.json"))
    for word in ("glioma", "meningioma", "pituitary", "no_tumor", "label"):
        assert word not in text


def test_file_names_say_what_the_files_hold(folder: Path) -> None:
    for sidecar in folder.glob("*.json"):
        truth = read_truth(sidecar)
        if truth.lesion is None:
            assert sidecar.stem.startswith("healthy")
            continue
        named = f"lesion-{truth.lesion.side}-{truth.lesion.lobe}-{truth.lesion.longest_mm:.0f}mm"
        if truth.midline_shift_mm:
            named += f"-shift-{truth.midline_shift_mm:.0f}mm"
        assert sidecar.stem == named


def test_masks_lie_apart_and_fit_their_slices(folder: Path) -> None:
    slices = sorted(folder.glob("*.png"))
    masks = sorted(folder.glob("masks/*.png"))
    assert len(slices) == 6
    assert len(masks) == 4
    for mask in masks:
        truth = read_truth(folder / mask.name.replace(".mask.png", ".json"))
        pixels = read_png(mask)
        assert truth.lesion is not None
        assert set(np.unique(pixels)) == {0, 255}
        assert (pixels > 0).sum() == truth.lesion.area_px
        assert read_png(folder / truth.file).shape == pixels.shape


def test_one_shift_of_eight_millimetres_and_lesions_on_both_sides(folder: Path) -> None:
    truths = [read_truth(path) for path in folder.glob("*.json")]
    assert sorted(truth.midline_shift_mm for truth in truths) == [0, 0, 0, 0, 0, 8]
    lesions = [truth.lesion for truth in truths if truth.lesion]
    assert {lesion.side for lesion in lesions} == {"left", "right"}
    assert len({lesion.lobe for lesion in lesions}) == 4


def test_same_seed_gives_the_same_bytes_and_another_seed_others(
    folder: Path, tmp_path: Path
) -> None:
    write_phantoms(tmp_path / "same")
    write_phantoms(tmp_path / "other", seed=99)
    for path in folder.rglob("*.*"):
        again = tmp_path / "same" / path.relative_to(folder)
        assert again.read_bytes() == path.read_bytes()
    for path in folder.glob("*.png"):
        assert (tmp_path / "other" / path.name).read_bytes() != path.read_bytes()


def test_broken_sidecar_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text('{"file": "x.png"}')
    with pytest.raises(ValidationError):
        read_truth(path)
