"""Tables for a person."""

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from neuroscan.cli.batch import Outcome
from neuroscan.contracts.enums import ScanState, TumorClass
from neuroscan.contracts.scan import ScanView

NOTHING = "-"
_NUMBERS = ("confidence", "area")
_PIPE_WIDTH = 150


def result_console() -> Console:
    """Standard output; wide where it is no terminal, so that a log holds whole rows."""
    console = Console()
    return console if console.is_terminal else Console(width=_PIPE_WIDTH)


def outcome_table(outcomes: Sequence[Outcome]) -> Table:
    """One row a file: label, confidence, prediction set, region, area, state."""
    table = Table()
    for heading in ("file", "label", "confidence", "prediction set", "region", "area", "state"):
        table.add_column(heading, justify="right" if heading in _NUMBERS else "left")
    for outcome in outcomes:
        scan = outcome.scan
        table.add_row(
            escape(outcome.path.name),
            label(scan),
            confidence(scan),
            prediction_set(scan),
            region(scan),
            area(scan),
            state(outcome),
        )
    return table


def faults(outcomes: Sequence[Outcome]) -> list[str]:
    """A line for each file that did not succeed: what happened and what to do."""
    return [
        f"{outcome.path.name}: {complaint.detail if complaint else 'The scan did not complete.'}"
        for outcome in outcomes
        if not outcome.succeeded
        for complaint in [outcome.complaint]
    ]


def remarks(outcomes: Sequence[Outcome]) -> list[str]:
    """A line for each scan whose map, segmentation and class do not fit together."""
    return [
        f"{outcome.path.name}: {outcome.scan.explanation.disagreement}"
        for outcome in outcomes
        if outcome.scan and outcome.scan.explanation and outcome.scan.explanation.disagreement
    ]


def label(scan: ScanView | None) -> str:
    """The class; in brackets when the input check turned the picture away."""
    if scan is None or scan.classification is None:
        return NOTHING
    name = scan.classification.label.value
    return f"({name}) not a brain MRI?" if scan.turned_away else name


def confidence(scan: ScanView | None) -> str:
    """In percent."""
    if scan is None or scan.classification is None:
        return NOTHING
    return f"{scan.classification.confidence:.1%}"


def prediction_set(scan: ScanView | None) -> str:
    """The classes that the network can't rule out."""
    if scan is None or scan.classification is None:
        return NOTHING
    return ", ".join(scan.classification.prediction_set)


def shows_lesion(scan: ScanView) -> bool:
    """Whether the marked region may be read as a lesion's: a tumor class on an accepted slice."""
    accepted = scan.input_check is not None and scan.input_check.accepted
    found = scan.classification
    return accepted and found is not None and found.label is not TumorClass.NO_TUMOR


def region(scan: ScanView | None) -> str:
    """The anatomical region; a dash where the marked region is no lesion's."""
    if scan is None or scan.spatial is None or not shows_lesion(scan):
        return NOTHING
    value = scan.spatial.anatomical_region.value
    return value.name if value else NOTHING


def area(scan: ScanView | None) -> str:
    """The region's area: in cm² where file or sender state the spacing, else in pixels.

    A dash as in `region`.
    """
    if scan is None or scan.explanation is None or not shows_lesion(scan):
        return NOTHING
    if scan.explanation.region is None:
        return NOTHING
    area_px = scan.explanation.region.area_px
    geometry = scan.image.geometry
    stated = geometry.source.stated
    if not stated or geometry.row_mm is None or geometry.column_mm is None:
        return f"{area_px} px"
    return f"{area_px * geometry.row_mm * geometry.column_mm / 100:.1f} cm²"


def state(outcome: Outcome) -> str:
    """How it ended, with the reason where it did not complete."""
    complaint = outcome.complaint
    name = outcome.scan.state.value if outcome.scan else "no scan"
    if outcome.succeeded:
        return f"[green]{ScanState.COMPLETED.value}[/green]"
    return f"[red]{name}[/red]" + (f": {complaint.title}" if complaint else "")
