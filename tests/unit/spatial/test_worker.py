"""The measure stage, with a real object store in a folder."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from neuroscan.contracts.enums import RegionSource, Standing, TumorClass
from neuroscan.contracts.messages import MeasureTask
from neuroscan.contracts.problems import NotAnImage, NotFound, StageFailed, TruncatedImage
from neuroscan.contracts.spatial import MeasureResult
from neuroscan.imaging.region_mask import RegionMask
from neuroscan.storage import Storage
from services.spatial.doubt import with_doubt
from services.spatial.standing import about_region
from services.spatial.worker import load
from tests.pictures import png
from tests.unit.spatial.heads import Ellipse, axial_head, geometry, measured, with_lesion

Handler = Callable[[MeasureTask, str], MeasureResult]
MASK = Ellipse(160, 120, 30, 20).mask()
PIXELS = with_lesion(axial_head(), MASK)


@pytest.fixture
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Storage:
    url = f"file://{tmp_path / 'objects'}"
    monkeypatch.setenv("OBJECT_STORE_URL", url)
    store = Storage(url)
    store.put("scans/1/slice.png", png(PIXELS))
    store.put("scans/1/explain/1-a/mask.png", png(MASK.astype(np.uint8) * 255))
    return store


@pytest.fixture
def handle(storage: Storage) -> Handler:
    return load()


def task(mask_key: str | None = "scans/1/explain/1-a/mask.png") -> MeasureTask:
    return MeasureTask(
        scan_id="1",
        attempt=1,
        input_digest="d",
        request_id="r",
        prefix="scans/1/measure/1",
        slice_key="scans/1/slice.png",
        mask_key=mask_key,
        geometry=geometry(),
        label=TumorClass.GLIOMA,
        confidence=0.9,
        calibrated=True,
        input_accepted=True,
    )


def test_the_stored_pictures_are_measured(handle: Handler) -> None:
    result = handle(task(), "scans/1/measure/1-b")
    assert result.spatial == measured(PIXELS, MASK).spatial
    assert MeasureResult.model_validate_json(result.model_dump_json()) == result


def test_the_range_and_the_source_of_the_region_reach_the_parameters(
    handle: Handler, storage: Storage
) -> None:
    regions = RegionMask(Ellipse(160, 120, 38, 27).mask(), MASK, Ellipse(160, 120, 22, 14).mask())
    storage.put("scans/1/explain/1-c/mask.png", png(regions.picture()))
    changes = {"region_source": RegionSource.SEGMENTATION, "segmentation_dice": 0.876}
    result = handle(task("scans/1/explain/1-c/mask.png").model_copy(update=changes), "-")
    about = about_region(RegionSource.SEGMENTATION, 0.876)
    assert result.spatial == measured(PIXELS, regions, about=about).spatial
    assert result.spatial != measured(PIXELS, MASK, about=about).spatial


def test_the_prediction_set_reaches_the_parameters(handle: Handler) -> None:
    possible = [TumorClass.GLIOMA, TumorClass.MENINGIOMA]
    result = handle(task().model_copy(update={"prediction_set": possible}), "-")
    found = measured(PIXELS, MASK)
    assert result.spatial == with_doubt(found, TumorClass.GLIOMA, possible).spatial
    assert result.spatial != found.spatial


def test_a_message_without_prediction_set_is_measured_too(handle: Handler) -> None:
    sent = task().model_dump(mode="json")
    del sent["prediction_set"]
    assert handle(MeasureTask.model_validate(sent), "-").spatial == measured(PIXELS, MASK).spatial


def test_a_scan_without_region_is_measured_too(handle: Handler) -> None:
    result = handle(task(mask_key=None), "scans/1/measure/1-b")
    assert result.spatial.tumor_volume.status is Standing.NOT_ASSESSABLE


def test_a_missing_slice_is_told_apart(handle: Handler, storage: Storage) -> None:
    storage.delete(["scans/1/slice.png"])
    with pytest.raises(NotFound):
        handle(task(), "scans/1/measure/1-b")


@pytest.mark.parametrize(
    ("content", "problem"),
    [(b"", NotAnImage), (b"not a picture", NotAnImage), (png(PIXELS)[:2000], TruncatedImage)],
)
def test_what_is_no_picture_fails_the_stage(
    handle: Handler, storage: Storage, content: bytes, problem: type[Exception]
) -> None:
    storage.put("scans/1/slice.png", content)
    with pytest.raises(problem):
        handle(task(), "scans/1/measure/1-b")


def test_a_mask_of_another_size_fails_the_stage(handle: Handler, storage: Storage) -> None:
    storage.put("scans/1/explain/1-a/mask.png", png(np.full((10, 10), 255, np.uint8)))
    with pytest.raises(StageFailed):
        handle(task(), "scans/1/measure/1-b")


def test_the_parent_of_the_pool_stays_light() -> None:
    program = (
        "import sys; import services.spatial.worker, services.spatial.__main__; "
        "sys.exit(any(name in sys.modules for name in ('cv2', 'torch')))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
