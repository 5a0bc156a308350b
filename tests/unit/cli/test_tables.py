"""What the tables say of a scan, and what they must not suggest."""

from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from neuroscan.cli.batch import Outcome, UnreadableFile
from neuroscan.cli.tables import area, faults, label, outcome_table, region, remarks
from neuroscan.contracts.enums import ScanState, SpacingSource, TumorClass
from neuroscan.contracts.geometry import Geometry
from neuroscan.contracts.scan import ScanView
from tests.scans import make_scan


def changed(part: str, **changes: Any) -> ScanView:
    scan = make_scan()
    return scan.model_copy(update={part: getattr(scan, part).model_copy(update=changes)})


def printed(outcome: Outcome) -> str:
    console = Console(width=150)
    with console.capture() as shown:
        console.print(outcome_table([outcome]))
    return shown.get()


def test_a_tumor_has_its_place_and_its_area() -> None:
    scan = make_scan()
    assert region(scan) == "right frontal lobe"
    # 2412 pixels of 0.7 x 0.7 mm.
    assert area(scan) == "11.8 cm²"


@pytest.mark.parametrize(
    "geometry",
    [Geometry(), Geometry(row_mm=0.7, column_mm=0.7, source=SpacingSource.HEAD_SIZE)],
    ids=["unknown", "estimated"],
)
def test_without_stated_spacing_the_area_is_in_pixels(geometry: Geometry) -> None:
    assert area(changed("image", geometry=geometry)) == "2412 px"


def test_every_class_that_is_possible_stands_in_the_table() -> None:
    assert "glioma, meningioma" in printed(Outcome(Path("a.png"), scan=make_scan()))


@pytest.mark.parametrize(
    "scan",
    [
        changed("classification", label=TumorClass.NO_TUMOR),
        changed("input_check", accepted=False),
        make_scan().model_copy(update={"classification": None, "input_check": None}),
    ],
    ids=["no tumor", "turned away", "not classified"],
)
def test_a_region_that_is_no_lesions_has_neither_place_nor_area(scan: ScanView) -> None:
    assert scan.explanation is not None
    assert scan.explanation.region is not None
    assert (region(scan), area(scan)) == ("-", "-")
    row = printed(Outcome(Path("a.png"), scan=scan))
    assert "cm²" not in row
    assert "frontal" not in row


def test_a_picture_that_was_turned_away_has_its_class_in_brackets() -> None:
    assert label(changed("input_check", accepted=False)) == "(glioma) not a brain MRI?"


def test_a_file_that_made_no_scan_says_why_and_what_to_do() -> None:
    outcome = Outcome(Path("gone.png"), problem=UnreadableFile("Check the path.").problem())
    assert "no scan: The file can't be opened" in printed(outcome)
    done = Outcome(
        Path("a.png"), scan=make_scan().model_copy(update={"state": ScanState.COMPLETED})
    )
    assert faults([outcome, done]) == ["gone.png: Check the path."]


def test_a_files_name_is_printed_as_it_is() -> None:
    assert "a[bold]b.png" in printed(Outcome(Path("a[bold]b.png"), scan=make_scan()))


def test_what_does_not_fit_together_is_remarked_with_the_files_name() -> None:
    odd = changed("explanation", disagreement="The segmentation finds nothing.")
    outcomes = [Outcome(path=Path(name), scan=scan) for name, scan in
                (("a.png", make_scan()), ("b.png", odd), ("c.png", None))]  # fmt: skip
    assert remarks(outcomes) == ["b.png: The segmentation finds nothing."]
