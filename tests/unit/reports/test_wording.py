"""Numbers and words as they are printed."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroscan.contracts.enums import OrientationSource, PatientAxis, SpacingSource
from neuroscan.contracts.geometry import Geometry, Orientation
from neuroscan.wording import one_of
from services.reports.page import paragraphs
from services.reports.parameters import _runs
from services.reports.pictures import ruler
from services.reports.wording import (
    DASH,
    direction,
    length,
    moment,
    number,
    percent,
    sentence,
    shortened,
    unbroken,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (14.137, "14.1"), (0.98431, "0.984"), (412.7, "413"), (0.0, "0"), (9.996, "10.0"),
        (99.96, "100"), (-1.24, "−1.24"), (26184.2, "26184"), (1.842, "1.84"),
    ],
)  # fmt: skip
def test_numbers_have_three_sensible_digits(value: float, text: str) -> None:
    assert number(value) == text


@given(st.floats(-1e6, 1e6))
def test_printed_number_is_close_to_the_value(value: float) -> None:
    printed = number(value)
    assert "e" not in printed
    assert float(printed.replace("−", "-")) == pytest.approx(value, rel=0.006, abs=1e-300)


@given(st.floats(0, 1))
def test_percent_is_never_certain_unless_the_value_is(fraction: float) -> None:
    for decimals in (0, 1):
        printed = percent(fraction, decimals)
        assert printed.endswith(" %")
        if 0 < fraction < 1:
            assert printed not in ("100 %", "100.0 %", "0 %", "0.0 %")


def test_percent_at_the_ends() -> None:
    assert [percent(x) for x in (0.0, 1.0, 0.9999, 0.0001)] == ["0 %", "100 %", "> 99 %", "< 1 %"]
    assert percent(0.99951, 1) == "> 99.9 %"


def test_lengths_have_a_decimal_below_ten_only() -> None:
    assert [length(x) for x in (0.0, 3.04, 9.94, 9.97, 31.6)] == ["0.0", "3.0", "9.9", "10", "32"]


def test_times_are_in_utc_and_unknown_ones_a_dash() -> None:
    assert moment(None) == DASH
    east = datetime(2026, 1, 1, 1, 30, tzinfo=timezone(timedelta(hours=2)))
    assert moment(east) == "2025-12-31 23:30 UTC"
    assert moment(datetime(2026, 1, 1, tzinfo=UTC)) == "2026-01-01 00:00 UTC"


def test_lists_and_sentences() -> None:
    assert one_of(["glioma"]) == "glioma"
    assert one_of(["a", "b", "c"]) == "a, b or c"
    assert sentence(" ends early") == "Ends early."
    assert sentence("Done.") == "Done."
    assert sentence("") == ""


def test_numbers_stay_with_their_units() -> None:
    tied = unbroken("91 % of 3.0 mm, 412 mm², 14 cm³; 4 bits, 715 px (2 of 3)")
    assert [part.replace("\xa0", "_") for part in tied.split(" ")] == [
        "91_%", "of", "3.0_mm,", "412_mm²,", "14_cm³;", "4_bits,", "715_px", "(2", "of", "3)",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ada", "ltr"),
        ("דוד לוי", "rtl"),
        ("(12) فاطمة", "rtl"),
        ("山田", "ltr"),
        ("20-4471", "ltr"),
        ("", "ltr"),
    ],
)
def test_direction_is_that_of_the_first_letter(text: str, expected: str) -> None:
    assert direction(text) == expected


def test_long_texts_are_shortened_to_their_limit() -> None:
    assert shortened("x" * 40, 40) == "x" * 40
    assert shortened("x" * 41, 40) == "x" * 39 + "…"


def test_runs_of_numbers_are_drawn_together() -> None:
    assert _runs([]) == ""
    assert _runs([1, 2, 3, 5]) == "1–3, 5"
    assert _runs([1, 2, 4]) == "1, 2, 4"


def test_notes_keep_their_lines_until_there_are_too_many() -> None:
    assert paragraphs("one\n\n  two   words\n") == ["one", "two words"]
    assert len(paragraphs("x\n" * 100)) == 1


@pytest.mark.parametrize(
    ("right", "letters"),
    [
        (PatientAxis.LEFT, ("R", "L")),
        (PatientAxis.RIGHT, ("L", "R")),
        (PatientAxis.POSTERIOR, ("A", "P")),
    ],
)
def test_sides_follow_the_known_orientation(right: PatientAxis, letters: tuple[str, str]) -> None:
    orientation = Orientation(image_right=right, source=OrientationSource.DECLARED)
    found = ruler(Geometry(orientation=orientation), 256, 256)
    assert (found.left, found.right) == letters
    assert found.sides == "sides as stated"


def test_scale_bar_needs_spacing_that_was_given() -> None:
    def geometry(source: SpacingSource) -> Geometry:
        return Geometry(row_mm=0.5, column_mm=0.5, source=source)

    measured = ruler(geometry(SpacingSource.REQUEST), 512, 512)
    assert measured.bar_mm == "100 mm"
    assert measured.bar_percent == pytest.approx(100 * 100 / 256)
    # A picture twice as tall as broad fills half of the frame's breadth.
    tall = ruler(geometry(SpacingSource.REQUEST), 512, 1024)
    assert tall.bar_percent == pytest.approx(measured.bar_percent / 2)
    assert ruler(geometry(SpacingSource.HEAD_SIZE), 512, 512).bar_mm is None
    assert ruler(Geometry(), 512, 512).bar_mm is None
