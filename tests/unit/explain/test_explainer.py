"""A task from the object store and back, and what the parent process may import."""

import dataclasses
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from neuroscan.contracts.enums import CamMethod, RegionSource, TumorClass
from neuroscan.contracts.messages import ExplainTask
from neuroscan.contracts.problems import InvalidRequest, NotAnImage
from neuroscan.imaging.region_mask import read_region_mask
from neuroscan.imaging.stored import read_slice_png
from neuroscan.network.bundle import Bundle, file_sha256
from neuroscan.network.preprocess import preprocess
from neuroscan.network.segmenter import Segmenter, SegmenterShape
from neuroscan.settings import REPOSITORY
from neuroscan.settings import SHIPPED_BUNDLE as BUNDLE
from neuroscan.storage import ObjectNotFound, Storage
from services.explain.cam import explain
from services.explain.explainer import Explainer
from services.explain.region import FAINT, LOW_OVERLAP, NOTHING_SEGMENTED
from services.explain.sharpness import sharpness
from services.explain.worker import load
from tests.pictures import head, png


@pytest.fixture(scope="module")
def storage() -> Storage:
    storage = Storage("memory://")
    storage.put("scans/1/slice.png", png(head(seed=1)[:180, :160]))
    storage.put("scans/2/slice.png", b"no picture")
    return storage


@pytest.fixture(scope="module")
def explainer(storage: Storage) -> Explainer:
    return Explainer(bundle_folder=BUNDLE, device="cpu", threads=1, storage=storage)


def task(**changes: object) -> ExplainTask:
    fields = {
        "scan_id": "1",
        "attempt": 1,
        "input_digest": "d",
        "request_id": "r",
        "prefix": "scans/1/explain/1",
        "slice_key": "scans/1/slice.png",
        "label": TumorClass.GLIOMA,
    }
    return ExplainTask.model_validate({**fields, **changes})


def test_defaults_come_from_the_bundle_and_artefacts_open(
    explainer: Explainer, storage: Storage
) -> None:
    bundle = Bundle.read(BUNDLE).description
    result = explainer(task(), "scans/1/explain/1-run")
    facts = result.explanation
    assert (facts.method, facts.layer) == (bundle.explanation.method, bundle.explanation.layer)
    assert facts.target_label is TumorClass.GLIOMA
    assert result.model.sha256 == bundle.sha256
    for key in (result.objects.heatmap, result.objects.overlay):
        assert key.startswith("scans/1/explain/1-run/")
        with Image.open(io.BytesIO(storage.get(key))) as image:
            assert image.size == (160, 180)
    assert facts.positive_evidence
    assert facts.region is not None
    assert facts.regions.map is not None
    assert facts.region == (facts.regions.segmentation or facts.regions.map)
    assert result.objects.mask is not None
    masks = read_region_mask(read_slice_png(storage.get(result.objects.mask)))
    assert int(masks.chosen.sum()) == facts.region.area_px
    assert masks.loose.sum() > masks.chosen.sum()


def with_decoder(folder: Path, threshold: float | None, alone: float | None = None) -> Path:
    """The shipped bundle with an untrained decoder at a threshold, or with none.

    `alone` is the decoder's least peak where the network names no tumor.
    """
    folder.mkdir()
    for path in BUNDLE.iterdir():
        if path.is_file() and path.name not in ("bundle.json", "segmenter.safetensors"):
            (folder / path.name).symlink_to(path)
    content = json.loads((BUNDLE / "bundle.json").read_text())
    content["metrics"]["segmentation"] = {"val": {"median_dice": 0.81}}
    content["segmentation"] = None
    if threshold is not None:
        shape = SegmenterShape(
            input_size=64, widths=(4, 6, 8, 10, 12), layers=("layer3[-1]",), joins=(8,)
        )
        torch.manual_seed(1)
        save_file(Segmenter(shape).state_dict(), folder / "segmenter.safetensors")
        content["segmentation"] = {
            "file": "segmenter.safetensors",
            "sha256": file_sha256(folder / "segmenter.safetensors"),
            "shape": dataclasses.asdict(shape),
            "threshold": threshold,
            "loose": threshold,
            "tight": threshold,
            "least_peak": alone or threshold,
            "least_peak_agreed": threshold,
            "fitted_on": "nothing",
            "training": {},
        }
    (folder / "bundle.json").write_text(json.dumps(content))
    return folder


@pytest.mark.parametrize(
    ("threshold", "source", "dice"),
    [
        (None, RegionSource.MAP, None),
        (0.0001, RegionSource.SEGMENTATION, 0.81),
        (0.9999, RegionSource.MAP, 0.81),
    ],
)
def test_the_region_is_the_decoders_where_it_finds_one(
    tmp_path: Path,
    storage: Storage,
    threshold: float | None,
    source: RegionSource,
    dice: float | None,
) -> None:
    explainer = Explainer(
        bundle_folder=with_decoder(tmp_path / "bundle", threshold),
        device="cpu",
        threads=1,
        storage=storage,
    )
    facts = explainer(task(), "scans/1/explain/1-decoder").explanation
    assert facts.region_source is source
    assert facts.segmentation_dice == dice
    assert facts.region == getattr(facts.regions, source.value)
    assert (facts.overlap is None) == (facts.regions.segmentation is None)
    silent = threshold is not None and source is RegionSource.MAP
    assert (facts.disagreement == NOTHING_SEGMENTED.format(label="glioma")) == silent


def test_a_faint_region_counts_where_the_slice_is_classified_as_a_tumor(
    tmp_path: Path, storage: Storage
) -> None:
    explainer = Explainer(
        bundle_folder=with_decoder(tmp_path / "bundle", 0.0001, alone=0.9999),
        device="cpu",
        threads=1,
        storage=storage,
    )
    tumor = explainer(task(), "scans/1/explain/1-faint").explanation
    assert tumor.region_source is RegionSource.SEGMENTATION
    faint = FAINT.format(label="glioma")
    assert tumor.overlap is not None
    assert (tumor.disagreement == faint) == (tumor.overlap >= LOW_OVERLAP)
    plain = explainer(task(label=TumorClass.NO_TUMOR), "scans/1/explain/1-none").explanation
    assert plain.regions.segmentation is None
    assert plain.disagreement is None


@pytest.mark.parametrize("method", CamMethod)
def test_the_stored_raw_map_is_the_one_that_explain_gives(
    explainer: Explainer, storage: Storage, method: CamMethod
) -> None:
    bundle = Bundle.read(BUNDLE)
    result = explainer(
        task(method=method, layer="layer3[2]", label=TumorClass.PITUITARY), f"scans/1/x/{method}"
    )
    expected = explain(
        bundle.load_model(),
        preprocess(head(seed=1)[:180, :160], bundle.description.preprocessing),
        3,
        method.value,
        "layer3[2]",
    )
    with np.load(io.BytesIO(storage.get(result.objects.cam)), allow_pickle=False) as stored:
        assert np.allclose(stored["map"], expected.map, rtol=1e-4, atol=1e-6)
        assert float(stored["score"]) == pytest.approx(expected.score, abs=1e-4)
        labels = [str(stored[name]) for name in ("method", "layer", "target")]
    assert labels == [method.value, "layer3[2]", "pituitary"]
    assert result.explanation.positive_evidence == expected.positive_evidence
    expected_sharpness = sharpness(expected.map)
    if expected_sharpness is None:
        assert result.explanation.sharpness is None
    else:
        assert result.explanation.sharpness == pytest.approx(expected_sharpness, abs=1e-4)


def test_an_unknown_layer_is_the_callers_problem(explainer: Explainer) -> None:
    with pytest.raises(InvalidRequest, match=r"layer3\[99\]"):
        explainer(task(layer="layer3[99]"), "scans/1/y")


def test_a_slice_that_is_not_there_or_no_picture_says_so(explainer: Explainer) -> None:
    with pytest.raises(ObjectNotFound):
        explainer(task(slice_key="scans/9/slice.png"), "scans/1/y")
    with pytest.raises(NotAnImage):
        explainer(task(slice_key="scans/2/slice.png"), "scans/1/y")


def test_load_gives_a_handler_by_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OBJECT_STORE_URL", f"file://{tmp_path}")
    Storage(f"file://{tmp_path}").put("scans/1/slice.png", png(head(seed=4)))
    result = load()(task(), "scans/1/explain/1-a")
    assert (tmp_path / result.objects.overlay).is_file()


def test_the_parent_of_the_pool_imports_no_torch_and_no_opencv() -> None:
    code = (
        "import sys, services.explain.worker, services.explain.__main__;"
        "print([name for name in ('torch', 'cv2') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPOSITORY
    )
    assert done.stdout.strip() == "[]"


def test_both_engines_draw_the_same(storage: Storage) -> None:
    maps, masks = [], []
    for engine in ("torch", "onnxruntime"):
        explainer = Explainer(
            bundle_folder=BUNDLE, device="cpu", threads=1, storage=storage, engine=engine
        )
        result = explainer(task(), f"engines/{engine}")
        maps.append(np.load(io.BytesIO(storage.get(result.objects.cam)))["map"])
        assert result.objects.mask is not None
        mask = read_slice_png(storage.get(result.objects.mask))
        masks.append(read_region_mask(mask).chosen)
    np.testing.assert_allclose(maps[0], maps[1], atol=1e-4)
    both, either = (masks[0] & masks[1]).sum(), (masks[0] | masks[1]).sum()
    assert both >= 0.98 * either
