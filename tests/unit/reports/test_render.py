"""The PDF itself, read back with pypdf."""

import base64
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from io import BytesIO
from threading import Thread
from typing import Any

import numpy as np
import pytest
from pypdf import PdfReader
from pypdf.generic import ArrayObject, DictionaryObject, StreamObject

from neuroscan import NOTICE
from neuroscan.contracts.enums import RegionSource, ScanState, StageName, StageState, TumorClass
from neuroscan.contracts.geometry import Geometry
from neuroscan.contracts.problems import BadImage, StageFailed
from neuroscan.contracts.report import PageSize, ReportPictures, ReportRequest
from neuroscan.contracts.results import InputCheck, Probabilities, Regions
from services.reports.parameters import NAMES
from services.reports.render import DataOnlyFetcher, Renderer
from tests.pictures import head, png
from tests.scans import AT, SCAN_ID, make_scan
from tests.unit.reports.conftest import make_pictures

Named = Callable[[str], ReportRequest]


def read(renderer: Renderer, request: ReportRequest) -> PdfReader:
    return PdfReader(BytesIO(renderer.render(request).content))


def text_of(reader: PdfReader) -> str:
    """All text, with one space for any run of white space."""
    return " ".join(" ".join(page.extract_text() for page in reader.pages).split())


def with_scan(request: ReportRequest, **changes: Any) -> ReportRequest:
    return request.model_copy(update={"scan": request.scan.model_copy(update=changes)})


@pytest.mark.parametrize("size", list(PageSize))
def test_complete_scan_fits_one_page_of_the_size_asked_for(
    renderer: Renderer, report_request: ReportRequest, size: PageSize
) -> None:
    reader = read(renderer, report_request.model_copy(update={"page_size": size}))
    assert len(reader.pages) == 1
    width, height = {PageSize.A4: (595.3, 841.9), PageSize.LETTER: (612, 792)}[size]
    assert float(reader.pages[0].mediabox.width) == pytest.approx(width, abs=0.5)
    assert float(reader.pages[0].mediabox.height) == pytest.approx(height, abs=0.5)


def test_page_says_what_the_scan_holds(renderer: Renderer, report_request: ReportRequest) -> None:
    text = text_of(read(renderer, report_request))
    for expected in (
        "Ada Example", "20-4471", "1980-05-04", "female", SCAN_ID, "PACS 88-1203",
        "2026-11-20 08:05 UTC", "2026-11-23 10:42 UTC", "Glioma 91 %", "calibrated confidence",
        "At 95 % coverage (nominal): glioma or meningioma.", "91.2 %", "7.1 %", "1.2 %", "0.5 %",
        "HiRes-CAM at layer3[-1]", "inside the tumor in 62 %", "bar 50 mm", "sides from DICOM",
        "Headache for three weeks.",
        "No reader’s review.", "bootstrap 1.0", "7e13a217fbc0", "NeuroScan 0.1.0", "page 1 of 1",
    ):  # fmt: skip
        assert expected in text
    assert "confidence not calibrated" not in text


def test_all_ten_parameters_stand_there_with_value_range_and_standing(
    renderer: Renderer, report_request: ReportRequest
) -> None:
    text = text_of(read(renderer, report_request))
    assert len(NAMES) == 10
    for name in NAMES:
        assert name in text
    for expected in (
        "△ estimated Right frontal lobe 82 % of the region; right insula 11 %",
        "● measured Right picture: left",
        "Intra-axial, deep 21 mm to the brain's edge, 3.0 mm to the midline",
        "14.1 cm³ 11.8 to 17.0 cm³",
        "32 × 29 × 31 mm 28–36 × 25–33 × 25–36",
        "1.2 mm, none 0.3 to 2.2 mm",
        "⬚ surrogate — ring area: 412 mm² Edema needs T2 or FLAIR",
        "⬚ surrogate — lesion-to-mirror intensity: 1.84, elevated",
    ):
        assert expected in text
    assert text.count("The region's outline stands for the tumor's") == 1


def test_same_request_gives_the_same_bytes(report_request: ReportRequest) -> None:
    first, second = Renderer(), Renderer()
    content = first.render(report_request).content
    assert first.render(report_request).content == content
    assert second.render(report_request).content == content
    later = report_request.model_copy(update={"made_at": AT.replace(hour=11)})
    assert first.render(later).content != content


def test_notice_and_page_number_stand_on_every_page(
    renderer: Renderer, report_request: ReportRequest
) -> None:
    reader = read(renderer, report_request.model_copy(update={"notes": "word " * 790}))
    assert len(reader.pages) == 2
    for number, page in enumerate(reader.pages, start=1):
        text = " ".join(page.extract_text().split())
        assert NOTICE in text
        assert SCAN_ID in text
        assert f"page {number} of 2" in text


@pytest.mark.parametrize(
    "notes",
    ["漢字" * 2000, "x\n" * 2000, "W" * 4000],
    ids=["wide letters", "many lines", "one word"],
)
def test_notes_never_need_a_third_page(
    renderer: Renderer, report_request: ReportRequest, notes: str
) -> None:
    reader = read(renderer, report_request.model_copy(update={"notes": notes}))
    assert len(reader.pages) <= 2
    assert "Method and limits" in text_of(reader)


@pytest.mark.parametrize(
    ("name", "font"),
    [
        ("فاطمة الزهراء", "Arabic"),
        ("דוד לוי", "Hebrew"),
        ("山田太郎", "CJK"),
        ("김철수", "CJK"),
        ("Ζωή Жукова Nguyễn", "Noto"),
    ],
)
def test_name_of_any_script_is_printed_with_an_embedded_font(
    renderer: Renderer, named: Named, name: str, font: str
) -> None:
    reader = read(renderer, named(name))
    fonts = embedded_fonts(reader)
    assert any(font in each or "DejaVu" in each for each in fonts)
    # Right-to-left text comes back in visual or logical order, depending on the reader.
    text = text_of(reader)
    assert all(word in text or word[::-1] in text for word in name.split())


def test_long_name_stays_inside_the_page(renderer: Renderer, named: Named) -> None:
    reader = read(renderer, named("W" * 200))
    assert len(reader.pages) <= 2
    assert text_of(reader).replace(" ", "").count("W" * 200) == 1
    right_edge = float(reader.pages[0].mediabox.width) - 30
    starts: list[float] = []

    def visit(text: str, _cm: object, matrix: list[float], *_: object) -> None:
        if "WW" in text:
            starts.append(matrix[4])

    reader.pages[0].extract_text(visitor_text=visit)
    assert starts
    assert max(starts) < right_edge


def dictionary(parent: DictionaryObject, key: str) -> DictionaryObject:
    found = parent[key].get_object()
    assert isinstance(found, DictionaryObject)
    return found


def embedded_fonts(reader: PdfReader) -> set[str]:
    """Names of the fonts; fails when one is not embedded."""
    names = set()
    for page in reader.pages:
        fonts = dictionary(dictionary(page, "/Resources"), "/Font")
        for key in fonts:
            descendants = dictionary(fonts, key)["/DescendantFonts"]
            assert isinstance(descendants, ArrayObject)
            descendant = descendants[0].get_object()
            assert isinstance(descendant, DictionaryObject)
            assert {"/FontFile2", "/FontFile3"} & set(dictionary(descendant, "/FontDescriptor"))
            names.add(str(descendant["/BaseFont"]))
    assert names
    return names


def test_pdf_is_tagged_with_language_and_a_title_without_name(
    renderer: Renderer, report_request: ReportRequest
) -> None:
    reader = read(renderer, report_request)
    catalog = dictionary(reader.trailer, "/Root")
    assert str(dictionary(catalog, "/MarkInfo")["/Marked"]) == "True"
    assert str(catalog["/Lang"]) == "en"
    assert "/StructTreeRoot" in catalog
    described = catalog["/Metadata"].get_object()
    assert isinstance(described, StreamObject)
    assert b'pdfuaid:part="1"' in described.get_data()
    metadata = reader.metadata
    assert metadata is not None
    assert metadata.title == f"NeuroScan report, scan {SCAN_ID}"
    assert metadata.creation_date == AT
    assert "Ada" not in str(metadata)
    assert b"Ada" not in described.get_data()


def test_markup_in_a_name_is_printed_as_it_is(renderer: Renderer, named: Named) -> None:
    name = "<script>alert(1)</script><b>bold</b> &amp; {{ 7*7 }}"
    text = text_of(read(renderer, named(name)))
    assert "<script>alert(1)</script><b>bold</b> &amp; {{ 7*7 }}" in text


class CountingServer(HTTPServer):
    """Counts what it is asked for."""

    asked = 0


@pytest.fixture
def outside() -> Iterator[CountingServer]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            assert isinstance(self.server, CountingServer)
            self.server.asked += 1
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
            """Quiet."""

    server = CountingServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_nothing_outside_is_fetched(
    renderer: Renderer, report_request: ReportRequest, outside: CountingServer
) -> None:
    url = f"http://127.0.0.1:{outside.server_port}/x.png"
    notes = f'<img src="{url}"><link rel=stylesheet href="{url}"> {url}'
    reader = read(renderer, report_request.model_copy(update={"notes": notes}))
    assert url in text_of(reader)
    # Even HTML that did hold the URL would get nothing: the fetcher refuses.
    renderer._layout(f'<html lang="en"><img alt="x" src="{url}">').write_pdf()
    assert outside.asked == 0


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/x",
        "https://example.org/x",
        "file:///etc/passwd",
        "ftp://x/y",
        "//x/y",
        "x",
    ],
)
def test_fetcher_refuses_everything_but_data(url: str) -> None:
    with pytest.raises(ValueError, match="only data: URLs"):
        DataOnlyFetcher().fetch(url)


def test_fetcher_gives_the_content_of_a_data_url() -> None:
    assert DataOnlyFetcher().fetch("data:text/plain;base64,aGk=").read() == b"hi"


def test_without_a_patient_the_page_says_so(
    renderer: Renderer, report_request: ReportRequest
) -> None:
    text = text_of(read(renderer, report_request.model_copy(update={"patient": None})))
    assert "No patient given" in text
    assert "MRN" not in text


def test_input_that_was_turned_away_is_said_before_the_result(
    renderer: Renderer, report_request: ReportRequest
) -> None:
    message = "The picture does not look like a brain-MRI slice."
    found = report_request.scan.classification
    assert found is not None
    request = with_scan(
        report_request,
        input_check=InputCheck(accepted=False, score=9, threshold=3, message=message),
        classification=found.model_copy(
            update={"calibrated": False, "prediction_set": list(TumorClass)}
        ),
    )
    text = text_of(read(renderer, request))
    assert text.index(message) < text.index("Glioma 91 %")
    assert "confidence not calibrated" in text
    assert "any of the four classes" in text


def test_sides_and_scale_are_unknown_without_geometry(
    renderer: Renderer, report_request: ReportRequest
) -> None:
    image = report_request.scan.image.model_copy(update={"geometry": Geometry()})
    text = text_of(read(renderer, with_scan(report_request, image=image)))
    assert "side unknown" in text
    assert "scale unknown" in text
    assert "bar " not in text


def test_no_tumor_is_reported_like_any_class(
    renderer: Renderer, report_request: ReportRequest
) -> None:
    found = report_request.scan.classification
    assert found is not None
    sure = found.model_copy(
        update={
            "label": TumorClass.NO_TUMOR,
            "confidence": 0.9999,
            "prediction_set": [TumorClass.NO_TUMOR],
            "probabilities": Probabilities(
                glioma=0.00005, meningioma=0.00005, no_tumor=0.9999, pituitary=0
            ),
        }
    )
    text = text_of(read(renderer, with_scan(report_request, classification=sure)))
    assert "No tumor > 99 %" in text
    assert "(nominal): no tumor." in text
    assert "< 0.1 %" in text


def test_scan_with_a_failed_stage_says_what_is_missing(
    renderer: Renderer, report_request: ReportRequest
) -> None:
    stages = [
        stage.model_copy(
            update={"state": StageState.FAILED, "attempt": 3, "problem": StageFailed().problem()}
        )
        if stage.name is StageName.EXPLAIN
        else stage
        for stage in make_scan().stages
    ]
    request = with_scan(
        report_request, state=ScanState.FAILED, explanation=None, spatial=None, stages=stages
    )
    bare = ReportPictures(slice=base64.b64encode(request.pictures.slice))
    text = text_of(read(renderer, request.model_copy(update={"pictures": bare})))
    assert "The stage “explain” failed after 3 attempts." in text
    assert text.count("not made") == 2
    assert "Not derived for this scan." in text
    assert "Glioma 91 %" in text


def test_scan_that_was_never_classified_renders(
    renderer: Renderer, report_request: ReportRequest
) -> None:
    request = with_scan(
        report_request, classification=None, input_check=None, explanation=None, spatial=None,
        model=None,
    )  # fmt: skip
    text = text_of(read(renderer, request))
    assert "Not classified" in text
    assert "No model" in text


def test_large_pictures_make_a_small_file(
    renderer: Renderer, report_request: ReportRequest
) -> None:
    pictures = make_pictures(1600)
    rendered = renderer.render(report_request.model_copy(update={"pictures": pictures}))
    assert len(rendered.content) < 500_000
    images = PdfReader(BytesIO(rendered.content)).pages[0].images
    assert len(images) == 3
    for image in images:
        assert image.image is not None
        assert max(image.image.size) == 512
    assert rendered.pages == 1


def test_tall_and_16_bit_pictures_render(renderer: Renderer, report_request: ReportRequest) -> None:
    tall = base64.b64encode(png(np.full((400, 200), 30_000, dtype=np.uint16)))
    request = report_request.model_copy(update={"pictures": ReportPictures(slice=tall)})
    image = read(renderer, request).pages[0].images[0].image
    assert image is not None
    assert image.size == (200, 400)
    assert image.convert("L").getpixel((100, 200)) == pytest.approx(117, abs=2)


@pytest.mark.parametrize(
    "content",
    [b"", b"not a picture", b"\x89PNG\r\n\x1a\n" + b"\0" * 40, png(head())[:5000]],
    ids=["empty", "words", "no chunks", "cut off"],
)
def test_picture_that_cannot_be_read_is_refused(
    renderer: Renderer, report_request: ReportRequest, content: bytes
) -> None:
    pictures = ReportPictures(slice=base64.b64encode(content))
    with pytest.raises(BadImage):
        renderer.render(report_request.model_copy(update={"pictures": pictures}))


def segmented(request: ReportRequest, disagreement: str | None) -> ReportRequest:
    """The same request with both regions, measured from the segmentation's."""
    explanation = request.scan.explanation
    assert explanation is not None
    region = explanation.region
    changes = {
        "region_source": RegionSource.SEGMENTATION,
        "regions": Regions(map=region, segmentation=region),
        "overlap": 0.52,
        "segmentation_dice": 0.876,
        "disagreement": disagreement,
    }
    return with_scan(request, explanation=explanation.model_copy(update=changes))


def test_both_outlines_are_named_and_the_measured_region_is_said(
    renderer: Renderer, report_request: ReportRequest
) -> None:
    reader = read(renderer, segmented(report_request, None))
    text = text_of(reader)
    known = "median Dice coefficient on annotated validation slices 0.88; overlap with the heat"
    for expected in (
        "segmentation · heat map",
        f"Measured from the segmentation’s region, 2412 px ({known} map’s region 0.52).",
    ):
        assert expected in text
    assert "Does not fit together" not in text
    assert len(reader.pages) == 1


def test_a_disagreement_is_said(renderer: Renderer, report_request: ReportRequest) -> None:
    reader = read(renderer, segmented(report_request, "The segmentation finds no tumor."))
    assert "Does not fit together: The segmentation finds no tumor." in text_of(reader)
    assert len(reader.pages) <= 2
