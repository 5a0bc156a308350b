"""A report request as the words, rows and pictures of the page; no HTML here."""

from dataclasses import dataclass
from typing import Literal

from neuroscan import NOTICE
from neuroscan.contracts.enums import Plane, StageState
from neuroscan.contracts.report import ReportRequest
from neuroscan.contracts.results import Classification
from neuroscan.contracts.scan import ReviewView, ScanView
from services.reports.explanation import Outline, explanation_words, outlines, pointing_words
from services.reports.filing import (
    NAME_LONG,
    Field,
    digests,
    footer_who,
    model_words,
    name_of,
    study,
    who,
)
from services.reports.parameters import ParameterTable, parameter_table
from services.reports.pictures import Picture, Ruler, print_picture, ruler
from services.reports.result import Result, result_words
from services.reports.wording import (
    CLASS_NAMES,
    METHOD_NAMES,
    STANDING_MEANINGS,
    STANDING_SHAPES,
    STANDING_WORDS,
    moment,
    sentence,
)

_PARAGRAPHS_MAX = 20


@dataclass(frozen=True)
class Figure:
    """A picture with its caption; without one, words stand in its place."""

    picture: Picture | None
    alt: str
    caption: str
    key: Literal["scale", "colors", "outline"]


@dataclass(frozen=True)
class Verdict:
    """The newest review. `correction` is the class that the reader names instead, if another."""

    agrees: bool
    label: str
    correction: str | None
    comment: list[str]
    signed: str


@dataclass(frozen=True)
class Page:
    """All that the template prints."""

    scan_id: str
    title: str
    language: str
    created: str
    page_size: str
    compact: bool
    name: str
    name_is_long: bool
    who: list[Field]
    study: list[Field]
    warning: str | None
    failures: list[str]
    result: Result | None
    figures: list[Figure]
    ruler: Ruler
    outlines: list[Outline]
    explanation: str
    disagreement: str | None
    table: ParameterTable | None
    legend: list[tuple[str, str, str]]
    notes: list[str]
    verdict: Verdict | None
    limits: list[str]
    digests: list[Field]
    footer_who: str
    footer_model: str
    footer_software: str
    notice: str = NOTICE


def compose(request: ReportRequest) -> Page:
    """The page for a request; raises BadImage for a picture that can't be read."""
    scan = request.scan
    explanation = scan.explanation
    return Page(
        scan_id=scan.id,
        title=f"NeuroScan report, scan {scan.id}",
        language="en",
        created=request.made_at.isoformat(timespec="seconds"),
        page_size=request.page_size.value,
        compact=False,
        name=name_of(request.patient),
        name_is_long=len(name_of(request.patient)) > NAME_LONG,
        who=who(request),
        study=study(scan),
        warning=_warning(scan),
        failures=_failures(scan),
        result=result_words(scan),
        figures=_figures(request),
        ruler=ruler(scan.image.geometry, scan.image.width, scan.image.height),
        outlines=outlines(explanation),
        explanation=explanation_words(scan),
        disagreement=explanation.disagreement if explanation else None,
        table=None if scan.spatial is None else parameter_table(scan.spatial),
        legend=[
            (STANDING_SHAPES[each], STANDING_WORDS[each], meaning)
            for each, meaning in STANDING_MEANINGS.items()
        ],
        notes=paragraphs(request.notes or ""),
        verdict=None if scan.review is None else _verdict(scan.review, scan.classification),
        limits=_limits(scan),
        digests=digests(scan),
        footer_who=footer_who(request),
        footer_model=model_words(scan),
        footer_software=(
            f"NeuroScan {request.software_version} · report version {request.version}, "
            f"made {moment(request.made_at)}"
        ),
    )


def paragraphs(text: str) -> list[str]:
    """The text's lines; a text of very many lines becomes one paragraph."""
    lines = [" ".join(line.split()) for line in text.splitlines()]
    lines = [line for line in lines if line]
    return lines if len(lines) <= _PARAGRAPHS_MAX else [" / ".join(lines)]


def _warning(scan: ScanView) -> str | None:
    check = scan.input_check
    if check is None or check.accepted:
        return None
    return sentence(check.message) or "The picture does not look like a brain-MRI slice."


def _failures(scan: ScanView) -> list[str]:
    """One line for each stage that failed."""
    lines = []
    for stage in scan.stages:
        if stage.state is StageState.FAILED:
            why = f" {stage.problem.detail}" if stage.problem else ""
            times = "1 attempt" if stage.attempt == 1 else f"{stage.attempt} attempts"
            lines.append(f"The stage “{stage.name}” failed after {times}.{why}")
    return lines


def _figures(request: ReportRequest) -> list[Figure]:
    pictures, explanation = request.pictures, request.scan.explanation
    target = CLASS_NAMES[explanation.target_label].lower() if explanation else "the class"
    method = METHOD_NAMES[explanation.method] if explanation else "Heat map"
    place = ""
    if explanation is not None and explanation.region is not None:
        x0, y0, x1, y1 = explanation.region.bbox
        place = f" The outlined region spans columns {x0} to {x1} and rows {y0} to {y1}."
    return [
        Figure(print_picture(pictures.slice), "The slice as it was sent.", "Original", "scale"),
        Figure(
            None if pictures.heatmap is None else print_picture(pictures.heatmap),
            f"Heat map on black: where the network found evidence for {target}.",
            method,
            "colors",
        ),
        Figure(
            None if pictures.overlay is None else print_picture(pictures.overlay),
            f"The slice with the heat map over it.{place}",
            "Overlay",
            "outline",
        ),
    ]


def _verdict(review: ReviewView, found: Classification | None) -> Verdict:
    differs = found is None or review.label is not found.label
    label = CLASS_NAMES[review.label]
    return Verdict(
        agrees=review.agrees,
        label=label,
        correction=label.lower() if differs else None,
        comment=paragraphs(review.comment),
        signed=f"{review.principal}, {moment(review.at)}",
    )


def _limits(scan: ScanView) -> list[str]:
    lines = [
        "The heat map shows what the network used, not where a tumor ends.",
        *pointing_words(scan),
        "Its brightness is scaled to this picture's own peak.",
        "One slice holds no volume; what would need more is named as estimate or surrogate.",
    ]
    if scan.image.geometry.plane is Plane.SAGITTAL:
        lines.append("A sagittal slice does not show the side of the patient.")
    return lines
