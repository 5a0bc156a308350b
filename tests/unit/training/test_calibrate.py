"""Fitting a whole bundle's probabilities anew: what changes, and that all else stays."""

import argparse
import dataclasses
import shutil
from pathlib import Path

import pytest

from neuroscan.network.bundle import Bundle
from neuroscan.settings import SHIPPED_BUNDLE
from tests.unit.training.packs import write_packs, write_splits
from training import calibrate, splits


def test_only_the_probabilities_of_a_whole_bundle_are_fitted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_splits(write_packs(tmp_path / "data"), tmp_path / "splits")
    monkeypatch.setattr(splits, "FOLDER", tmp_path / "splits")
    bundle = tmp_path / "bundle"
    shutil.copytree(SHIPPED_BUNDLE, bundle)
    before = Bundle.read(bundle).description
    calibrate.main(
        argparse.Namespace(
            bundle=bundle,
            data=tmp_path / "data",
            threads=2,
            maps=1,
            only_probabilities=True,
            version="9.9.9",
        )
    )
    after = Bundle.read(bundle).description
    assert after.version == "9.9.9"
    # Three slices a class, each changed four times, in groups of up to three.
    assert (after.calibration.n, after.conformal.groups) == (48, 4)
    # Four groups are too few for any threshold: every class is in every set.
    assert after.conformal.threshold == 0.0
    assert after.conformal.split.endswith("with enough groups (none)")
    val = after.metrics["val"]
    assert isinstance(val, dict)
    assert (val["slices"], val["set_coverage"]) == (12, 1.0)
    # The test part's figures were of the old sets.
    assert set(after.metrics) == {"val", "maps", "segmentation"}
    restored = dataclasses.replace(
        after,
        version=before.version,
        calibration=before.calibration,
        conformal=before.conformal,
        metrics=before.metrics,
    )
    assert restored == before
    for path in SHIPPED_BUNDLE.iterdir():
        if path.is_file() and path.name != "bundle.json":
            assert (bundle / path.name).read_bytes() == path.read_bytes()
