"""The command itself, on a few phantoms and on drawn slices, with the shipped bundle."""

import json
from pathlib import Path

import pytest

from benchmarks import spatial
from benchmarks.phantom_grid import NOISES, SHIFTS_MM, grid, own_mask
from neuroscan.network.bundle import Bundle
from neuroscan.phantoms import make_phantom
from neuroscan.settings import SHIPPED_BUNDLE
from tests.unit.training.packs import write_packs, write_splits
from training import splits


def test_phantoms_alone_need_no_data(tmp_path: Path) -> None:
    words = ["--bundle", str(SHIPPED_BUNDLE), "--out", str(tmp_path), "--phantoms-only"]
    assert spatial.main([*words, "--limit", "3", "--threads", "1"]) == 0
    found = json.loads((tmp_path / "spatial.json").read_text())
    assert found["sha256"] == Bundle.read(SHIPPED_BUNDLE).description.sha256
    assert len(found["phantoms"]) == len(found["end_to_end"]) == 3
    assert found["sources"] == []
    assert all(one["side"] and one["place"] for one in found["phantoms"])
    assert "3 phantoms" in (tmp_path / "spatial.md").read_text()


def test_slices_and_phantoms_are_measured_and_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_splits(write_packs(tmp_path / "packs", each=4), tmp_path / "packs" / "splits")
    monkeypatch.setattr(splits, "FOLDER", tmp_path / "packs" / "splits")
    words = ["--bundle", str(SHIPPED_BUNDLE), "--data", str(tmp_path / "packs")]
    out = tmp_path / "out"
    assert spatial.main([*words, "--out", str(out), "--limit", "3", "--threads", "1"]) == 0
    found = json.loads((out / "spatial.json").read_text())
    sources = {one["source"]: one for one in found["sources"]}
    assert {"map", "product"} <= set(sources)
    assert all(one["slices"] == 3 for one in sources.values())
    assert (out / "figures" / "bland-altman.png").stat().st_size > 1000
    assert "as the system reports it" in (out / "spatial.md").read_text()


def test_without_data_or_with_a_wrong_folder_it_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        spatial.main(["--bundle", str(SHIPPED_BUNDLE)])
    assert "--phantoms-only" in capsys.readouterr().err
    assert spatial.main(["--bundle", str(tmp_path), "--phantoms-only"]) == 1
    assert "bundle.json" in capsys.readouterr().err


def test_the_grid_holds_every_shift_side_and_noise() -> None:
    specs = list(grid())
    assert {spec.midline_shift_mm for spec in specs} == set(SHIFTS_MM)
    assert {spec.noise for spec in specs} == set(NOISES)
    assert len({spec.name for spec in specs}) == len(specs)
    assert len({spec.seed for spec in specs}) == len(specs)


@pytest.mark.parametrize("place", range(0, 88, 11))
def test_a_phantoms_own_mask_gives_its_truth(place: int) -> None:
    spec = list(grid())[place]
    found = own_mask(make_phantom(spec), spec)
    assert found.side
    assert found.place
    assert found.longest_percent == pytest.approx(0, abs=10)
    assert found.perpendicular_percent == pytest.approx(0, abs=10)
    assert found.shift_error_mm is not None
    assert abs(found.shift_error_mm) < 2
