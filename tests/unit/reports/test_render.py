"""What a scan's page says, read back with pypdf."""

from collections.abc import Callable
from datetime import date

import pytest

from neuroscan import NOTICE
from neuroscan.contracts.enums import RegionSource, Standing, TumorClass
from neuroscan.contracts.report import PageSize, ReportRequest
from neuroscan.contracts.results import Regions
from neuroscan.contracts.spatial import Interval, Parameter
from services.reports.parameters import NAMES
from services.reports.render import Renderer
from tests.scans import SCAN_ID
from tests.unit.reports.cases import (
    any_class,
    make_patient,
    make_review,
    no_tumor,
    nobody,
    possible,
    reviewed,
    turned_away,
    unexplained,
    with_scan,
)
from tests.unit.reports.reading import read, text_of

GLIOMA, MENINGIOMA = TumorClass.GLIOMA, TumorClass.MENINGIOMA
NO_TUMOR, PITUITARY = TumorClass.NO_TUMOR, TumorClass.PITUITARY

Named = Callable[[str], ReportRequest]


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
        "2026-11-20 08:05 UTC", "2026-11-23 10:42 UTC", "Glioma 91 % or meningioma 7 %",
        "calibrated confidence",
        "At 95 % coverage (nominal): glioma or meningioma.", "91.2 %", "7.1 %", "1.2 %", "0.5 %",
        "HiRes-CAM at layer3[-1]", "inside the tumor in 62 %", "bar 50 mm", "sides from DICOM",
        "Headache for three weeks.",
        "No reader’s review.", "bootstrap 1.0", "7e13a217fbc0", "NeuroScan 0.1.0",
        "46 y at acquisition", f"File as sent, sha256 {'ab' * 32}", "7e13a217fbc0" + "1" * 52,
        "Completed 2026-11-23 10:42 UTC", "report version 1, made 2026-11-23 10:42 UTC",
        "page 1 of 1",
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


def test_notice_and_page_number_stand_on_every_page(
    renderer: Renderer, report_request: ReportRequest
) -> None:
    reader = read(renderer, report_request.model_copy(update={"notes": "word " * 790}))
    assert len(reader.pages) == 2
    for number, page in enumerate(reader.pages, start=1):
        text = " ".join(page.extract_text().split())
        assert NOTICE in text
        assert f"Ada Example · MRN 20-4471 · Scan {SCAN_ID}" in text
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


def test_long_notes_and_a_long_comment_fit_two_pages_together(
    renderer: Renderer, report_request: ReportRequest
) -> None:
    request = with_scan(report_request, review=make_review(comment="漢字" * 2000))
    reader = read(renderer, request.model_copy(update={"notes": "漢字" * 2000}))
    assert len(reader.pages) == 2
    assert text_of(reader).count("more characters are in the record.") == 2


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


def test_markup_in_a_name_is_printed_as_it_is(renderer: Renderer, named: Named) -> None:
    name = "<script>alert(1)</script><b>bold</b> &amp; {{ 7*7 }}"
    text = text_of(read(renderer, named(name)))
    assert "<script>alert(1)</script><b>bold</b> &amp; {{ 7*7 }}" in text


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
        "Overlay · segmentation heat map",
        f"Measured from the segmentation’s region, 2412 px ({known} map’s region 0.52).",
    ):
        assert expected in text
    assert "Does not fit together" not in text
    assert len(reader.pages) == 1


def test_a_disagreement_is_said(renderer: Renderer, report_request: ReportRequest) -> None:
    reader = read(renderer, segmented(report_request, "The segmentation finds no tumor."))
    assert "Does not fit together: The segmentation finds no tumor." in text_of(reader)
    assert len(reader.pages) <= 2


def test_review_stands_after_the_parameters_and_a_correction_beside_the_result(
    renderer: Renderer, report_request: ReportRequest
) -> None:
    text = text_of(read(renderer, reviewed(report_request)))
    said = (
        "A reader says: meningioma.",
        "Spatial parameters",
        "Does not agree: Meningioma key:k3f9a2c1, 2026-11-24 09:12 UTC",
        "Ring enhancement with a necrotic center. The outline misses the medial part.",
        "Method and limits",
        "report version 2",
    )
    assert [text.index(each) for each in said] == sorted(text.index(each) for each in said)
    assert "No reader’s review." not in text


def test_agreement_is_said_once(renderer: Renderer, report_request: ReportRequest) -> None:
    review = make_review(TumorClass.GLIOMA, comment="")
    text = text_of(read(renderer, with_scan(report_request, review=review)))
    assert "Agrees: Glioma" in text
    assert "A reader says" not in text


def test_without_patient_and_geometry_the_page_says_so(
    renderer: Renderer, report_request: ReportRequest
) -> None:
    text = text_of(read(renderer, nobody(report_request)))
    for expected in ("No patient given", "side unknown", "scale unknown", "Reference —"):
        assert expected in text
    for absent in ("MRN", "Born", "bar ", "Notes"):
        assert absent not in text


@pytest.mark.parametrize(
    ("born", "words"),
    [
        (date(1980, 11, 20), "1980-11-20 (46 y at acquisition)"),
        (date(1980, 11, 21), "1980-11-21 (45 y at acquisition)"),
        (date(2026, 11, 21), "2026-11-21 · female"),
        (None, "— · female"),
    ],
)
def test_age_is_that_on_the_day_of_acquisition(
    renderer: Renderer, report_request: ReportRequest, born: date | None, words: str
) -> None:
    patient = make_patient().model_copy(update={"birth_date": born})
    text = text_of(read(renderer, report_request.model_copy(update={"patient": patient})))
    assert f"Born, sex {words}" in text


def test_patient_without_a_name_is_filed_under_the_number(
    renderer: Renderer, report_request: ReportRequest
) -> None:
    request = report_request.model_copy(update={"patient": make_patient(None)})
    text = text_of(read(renderer, request))
    assert "No name given" in text
    assert text.count("MRN 20-4471") == 2


def test_input_that_was_turned_away_is_said_before_the_result(
    renderer: Renderer, report_request: ReportRequest
) -> None:
    text = text_of(read(renderer, turned_away(report_request)))
    message = "The picture does not look like a brain-MRI slice."
    assert text.index(message) < text.index("Turned away by the input check")
    assert "Glioma 91 %" not in text
    assert "own answer, not calibrated: glioma, 91 % No class can be ruled out." in text
    assert "coverage" not in text
    assert "Nothing is measured in a picture that the input check turned away." in text
    assert "Measured from" not in text
    assert "derived from its region" not in text


@pytest.mark.parametrize(
    ("labels", "headline"),
    [
        ([MENINGIOMA], "Meningioma 97 %"),
        ([MENINGIOMA, PITUITARY], "Meningioma 73 % or pituitary 25 %"),
        ([PITUITARY, GLIOMA, MENINGIOMA], "Pituitary 62 %, glioma 25 % or meningioma 12 %"),
    ],
)
def test_the_large_words_name_every_class_that_is_possible(
    renderer: Renderer, report_request: ReportRequest, labels: list[TumorClass], headline: str
) -> None:
    text = text_of(read(renderer, possible(report_request, *labels)))
    assert headline in text
    assert f"{headline} or " not in text
    assert "not settled" not in text


def test_where_nothing_is_ruled_out_the_likeliest_stands_small(
    renderer: Renderer, report_request: ReportRequest
) -> None:
    text = text_of(read(renderer, any_class(report_request)))
    for expected in (
        "No class can be ruled out Likeliest: pituitary, 56 % calibrated confidence",
        "At 95 % coverage (nominal): any of the four classes.",
    ):
        assert expected in text


@pytest.mark.parametrize("label", [MENINGIOMA, NO_TUMOR])
def test_that_there_may_be_a_tumor_or_none_is_said(
    renderer: Renderer, report_request: ReportRequest, label: TumorClass
) -> None:
    other = MENINGIOMA if label is NO_TUMOR else NO_TUMOR
    text = text_of(read(renderer, possible(report_request, label, other)))
    assert "Whether there is a tumor at all is not settled at 95 % coverage (nominal)." in text


def test_no_tumor_is_reported_like_any_class(
    renderer: Renderer, report_request: ReportRequest
) -> None:
    text = text_of(read(renderer, no_tumor(report_request)))
    assert "No tumor > 99 %" in text
    assert "not settled" not in text
    assert "(nominal): no tumor." in text
    assert "< 0.1 %" in text


def test_without_a_tumor_no_region_is_measured(
    renderer: Renderer, report_request: ReportRequest
) -> None:
    explanation = report_request.scan.explanation
    assert explanation is not None
    changed = explanation.model_copy(update={"target_label": NO_TUMOR})
    text = text_of(read(renderer, with_scan(no_tumor(report_request), explanation=changed)))
    assert "The slice is classified as no tumor, so no region is measured." in text
    # The midline's shift is.
    assert "Nothing is measured" not in text
    assert "inside the tumor in 62 %." in text


def test_reason_of_many_parameters_is_said_once(
    renderer: Renderer, report_request: ReportRequest
) -> None:
    reason = "the slice is classified as no tumor"
    nothing = Parameter[float, Interval](
        status=Standing.NOT_ASSESSABLE, method="none", reason=reason
    )
    spatial = report_request.scan.spatial
    assert spatial is not None
    names = ("tumor_volume", "midline_shift", "edema_volume", "relative_cerebral_blood_volume")
    changed = spatial.model_copy(update=dict.fromkeys(names, nothing))
    text = text_of(read(renderer, with_scan(report_request, spatial=changed)))
    assert text.count("The slice is classified as no tumor.") == 1
    assert "✕ not assessable — Maximum dimensions" in text
    fewer = spatial.model_copy(update=dict.fromkeys(names[:2], nothing))
    text = text_of(read(renderer, with_scan(report_request, spatial=fewer)))
    assert text.count("The slice is classified as no tumor.") == 2


def test_scan_with_a_failed_stage_says_what_is_missing(
    renderer: Renderer, report_request: ReportRequest
) -> None:
    text = text_of(read(renderer, unexplained(report_request)))
    assert "The stage “explain” failed after 3 attempts." in text
    assert text.count("not made") == 2
    assert "Not derived for this scan." in text
    assert "Glioma 91 %" in text
