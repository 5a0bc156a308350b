"""A batch's summary, read back with pypdf."""

import base64
import time

import pytest
from pydantic import ValidationError

from neuroscan import NOTICE
from neuroscan.contracts.batch import BATCH_FILES_MAX
from neuroscan.contracts.enums import ScanState, TumorClass
from neuroscan.contracts.report import PageSize, SummaryRequest
from services.reports.render import Renderer
from tests.unit.reports.cases import make_item, make_summary, uncertain
from tests.unit.reports.reading import embedded_fonts, opened, structure, text_of


def summary_text(renderer: Renderer, request: SummaryRequest) -> str:
    return text_of(opened(renderer.render_summary(request)))


def test_what_needs_a_look_stands_first(renderer: Renderer) -> None:
    text = summary_text(renderer, make_summary())
    order = [
        "Needs a look (4)", "scan_02.png", "scan_03.png", "scan_04.png", "scan_05.png",
        "Results (2)", "scan_01.png", "scan_06.png", "Limits",
    ]  # fmt: skip
    assert [text.index(each) for each in order] == sorted(text.index(each) for each in order)


def test_counts_and_reasons_are_said(renderer: Renderer) -> None:
    text = summary_text(renderer, make_summary())
    for expected in (
        "NeuroScan batch summary", "Ada Example", "MRN 20-4471", "6: 5 completed, 1 refused",
        "Classes Glioma 4 (1 not certain)", "Turned away 1 by the input check",
        "Corrected 1 by a reader",
        "refused", "does not look like a brain-MRI slice; its class says nothing.",
        "A reader says: pituitary.", "Glioma 91 %", "glioma or meningioma",
        "More than one class is possible: glioma or meningioma.",
        "bootstrap 1.0 sha256 7e13a217fbc0", "NeuroScan 0.1.0", "page 1 of 1",
    ):  # fmt: skip
        assert expected in text
    assert text.count(NOTICE) == 2
    # The class of a picture that was turned away is not among the results.
    assert (text.count("Glioma 91 %"), text.count("Glioma 97 %")) == (1, 3)


def test_a_corrected_slice_of_two_possible_classes_has_both_reasons(renderer: Renderer) -> None:
    found = uncertain(TumorClass.MENINGIOMA, TumorClass.PITUITARY, TumorClass.NO_TUMOR)
    item = make_item(0, classification=found, review=TumorClass.GLIOMA)
    text = summary_text(renderer, make_summary().model_copy(update={"items": [item]}))
    assert "Needs a look (1)" in text
    possible = "More than one class is possible: meningioma, pituitary or no tumor."
    assert f"A reader says: glioma. {possible}" in text


def test_every_page_has_notice_number_and_column_heads(renderer: Renderer) -> None:
    reader = opened(renderer.render_summary(make_summary(60)))
    count = len(reader.pages)
    assert count > 2
    for number, page in enumerate(reader.pages, start=1):
        text = " ".join(page.extract_text().split())
        assert NOTICE in text
        assert f"page {number} of {count}" in text
        assert "Class, confidence" in text


def test_summary_is_a_tagged_table_with_a_picture_a_scan(renderer: Renderer) -> None:
    rendered = renderer.render_summary(make_summary())
    reader = opened(rendered)
    assert embedded_fonts(reader)
    tags = [tag for tag, _ in structure(reader)]
    # Patient, counts, and a table for each group.
    assert tags.count("/Table") == 4
    assert tags.count("/Figure") == 5
    assert len(reader.pages[0].images) == 5
    assert reader.metadata is not None
    assert reader.metadata.title == f"NeuroScan batch summary, batch {make_summary().batch_id}"
    assert "Ada" not in str(reader.metadata)
    assert Renderer().render_summary(make_summary()) == rendered


def test_thumbnail_that_cannot_be_read_is_left_out(renderer: Renderer) -> None:
    broken = make_item(0, thumbnail=base64.b64encode(b"no picture"))
    request = make_summary().model_copy(update={"items": [broken, make_item(1)]})
    reader = opened(renderer.render_summary(request))
    assert len(reader.pages[0].images) == 1
    assert "scan_01.png" in text_of(reader)


def test_batch_of_nothing_and_of_nobody_renders(renderer: Renderer) -> None:
    request = make_summary(0).model_copy(update={"patient": None, "models": []})
    text = summary_text(renderer, request)
    for expected in ("No patient given", "Files none", "This batch holds no file.", "No model"):
        assert expected in text


def test_file_names_of_any_script_and_length_stay_in_their_column(renderer: Renderer) -> None:
    names = ("تقرير المريض.jpg", "山田.png", "<b>x</b>.png", "folder/" * 30 + "x.dcm")
    items = [make_item(at, file=name) for at, name in enumerate(names)]
    request = make_summary().model_copy(update={"items": items, "page_size": PageSize.LETTER})
    text = summary_text(renderer, request)
    assert "山田.png" in text
    assert "<b>x</b>.png" in text
    assert "folder/" * 30 + "x.dcm" in text.replace(" ", "")


def test_unfinished_scans_are_results_without_a_class(renderer: Renderer) -> None:
    waiting = make_item(0, state=ScanState.RECEIVED, classification=None, input_accepted=None)
    request = make_summary().model_copy(update={"items": [waiting]})
    text = summary_text(renderer, request)
    assert "Results (1)" in text
    assert "received" in text


def test_full_batch_is_made_in_seconds(renderer: Renderer) -> None:
    request = make_summary(500)
    wall, cpu = time.perf_counter(), time.process_time()
    rendered = renderer.render_summary(request)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    size = len(rendered.content) / 1000
    print(f"500 files: {wall:.1f} s ({cpu:.1f} s of CPU), {size:.0f} kB, {rendered.pages} pages")
    # On an idle machine it takes five; the caller waits 60.
    assert cpu < 30
    assert len(rendered.content) < 5_000_000


def test_more_items_than_a_summary_holds_are_refused() -> None:
    document = make_summary(0).model_dump(mode="json")
    document["items"] = [make_item(0, thumbnail=None).model_dump(mode="json")] * (
        BATCH_FILES_MAX + 1
    )
    with pytest.raises(ValidationError, match="at most 500"):
        SummaryRequest.model_validate(document)
