"""Pictures that are turned away for what they say of themselves, or for their shape."""

import httpx
import numpy as np
import pytest
from PIL import Image
from sqlalchemy import Engine

from neuroscan.contracts.enums import Role, ScanState, TumorClass
from neuroscan.contracts.results import InputCheck
from services.gateway.auth.principal import Principal
from services.gateway.db.session import transaction
from services.gateway.db.tables import Scan
from services.gateway.pipeline.doubts import with_doubts
from services.gateway.scans.repository import ScanFilter, list_scans
from services.gateway.web.files import FOLDER
from tests import pictures
from tests.integration.gateway.calls import submit, wait_final
from tests.integration.gateway.ledger import add_scan, classify, inference_result


def scan(modality: str | None = None, width: int = 512, height: int = 512) -> Scan:
    return Scan(
        owner="key:test", request_id="r", image_format="dicom", width=width, height=height,
        sha256="", original_key=None, original_media_type="", geometry={}, modality=modality,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("doubtful", "word"),
    [(scan("CT"), "CT"), (scan("US"), "US"), (scan("MR", 2050, 512), "2050 × 512"),
     (scan(None, 40, 8192), "40 × 8192")],
)  # fmt: skip
def test_what_speaks_against_a_picture_turns_it_away(doubtful: Scan, word: str) -> None:
    result = with_doubts(doubtful, inference_result())
    assert not result.input_check.accepted
    assert word in result.input_check.message
    found = result.classification
    assert (found.label, found.confidence, found.calibrated) == (TumorClass.GLIOMA, 0.9, False)
    assert found.prediction_set == ["glioma", "meningioma", "no_tumor", "pituitary"]


@pytest.mark.parametrize(
    "plain", [scan(), scan("MR"), scan("SC"), scan("OT"), scan("MR", 2048, 512)]
)
def test_nothing_speaks_against_a_slice(plain: Scan) -> None:
    result = inference_result()
    assert with_doubts(plain, result) == result


def test_the_networks_own_check_keeps_its_words() -> None:
    result = inference_result()
    away = InputCheck(accepted=False, score=3.0, threshold=2.0, message="strange")
    result = result.model_copy(update={"input_check": away})
    assert with_doubts(scan("CT"), result) == result


def test_a_list_by_label_leaves_out_what_was_turned_away(engine: Engine) -> None:
    shown, waiting, turned_away = (add_scan(engine) for _ in range(3))
    classify(engine, shown)
    classify(engine, turned_away, accepted=False)
    reader = Principal("key:reader", Role.CLINICIAN)

    def listed(filters: ScanFilter) -> set[str]:
        with transaction(engine) as session:
            rows = list_scans(session, filters, reader, after_id=None, limit=9)
            return {row.id for row in rows}

    assert listed(ScanFilter()) == {shown, waiting, turned_away}
    assert listed(ScanFilter(label=TumorClass.GLIOMA)) == {shown}
    assert listed(ScanFilter(state=ScanState.CLASSIFIED)) == {shown, turned_away}


@pytest.mark.parametrize("batch", [False, True])
def test_a_slice_that_calls_itself_a_ct_is_turned_away(api: httpx.Client, batch: bool) -> None:
    sample = sorted((FOLDER / "samples").glob("*.png"))[0]
    pixels = np.asarray(Image.open(sample).convert("L"))
    for modality, accepted in (("MR", True), ("CT", False)):
        content = pictures.dicom(pixels, modality=modality)
        if batch:
            made = api.post("/v1/batches", files={"images": ("a.dcm", content)}).json()
            scan_id = api.get(f"/v1/batches/{made['id']}").json()["items"][0]["scan_id"]
        else:
            scan_id = submit(api, content).json()["id"]
        found = wait_final(api, scan_id)
        assert found["input_check"]["accepted"] is accepted
        assert ("CT" in found["input_check"]["message"]) is not accepted
