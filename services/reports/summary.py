"""A batch as one table for print: what needs a look first, then the results; no HTML here."""

from collections import Counter
from dataclasses import dataclass

from neuroscan import NOTICE
from neuroscan.contracts.batch import REFUSED
from neuroscan.contracts.enums import ScanState, TumorClass
from neuroscan.contracts.report import SummaryItem, SummaryRequest
from neuroscan.contracts.results import Classification, ModelFacts
from services.reports.filing import NAME_LONG, Field, footer_name, name_of
from services.reports.pictures import small_picture
from services.reports.wording import (
    CLASS_NAMES,
    DASH,
    moment,
    percent,
    sentence,
    set_words,
)

_BROKEN = (REFUSED, ScanState.FAILED, ScanState.CANCELED)


@dataclass(frozen=True)
class SummaryRow:
    """One file. `thumbnail` is the `data:` URL of its picture, if it has one."""

    number: int
    thumbnail: str | None
    file: str
    scan_id: str
    label: str
    confidence: str
    prediction_set: str
    state: str
    reason: str


@dataclass(frozen=True)
class SummaryGroup:
    """Rows under one heading."""

    heading: str
    rows: list[SummaryRow]


@dataclass(frozen=True)
class SummaryPage:
    """All that the template prints."""

    batch_id: str
    title: str
    language: str
    created: str
    page_size: str
    name: str
    name_is_long: bool
    who: list[Field]
    study: list[Field]
    groups: list[SummaryGroup]
    footer_who: str
    footer_model: str
    footer_software: str
    notice: str = NOTICE


def compose_summary(request: SummaryRequest) -> SummaryPage:
    """The page for a batch."""
    ordered = sorted(request.items, key=lambda item: item.position)
    look = [item for item in ordered if _needs_a_look(item)]
    rest = [item for item in ordered if not _needs_a_look(item)]
    groups = [("Needs a look", look), ("Results", rest)]
    return SummaryPage(
        batch_id=request.batch_id,
        title=f"NeuroScan batch summary, batch {request.batch_id}",
        language="en",
        created=request.made_at.isoformat(timespec="seconds"),
        page_size=request.page_size.value,
        name=name_of(request.patient),
        name_is_long=len(name_of(request.patient)) > NAME_LONG,
        who=_who(request),
        study=_counts(request.items),
        groups=[
            SummaryGroup(f"{heading} ({len(items)})", [_row(item) for item in items])
            for heading, items in groups
            if items
        ],
        footer_who=f"{footer_name(request.patient)}Batch {request.batch_id}",
        footer_model=_models(request.models),
        footer_software=(f"NeuroScan {request.software_version} · as of {moment(request.made_at)}"),
    )


def _needs_a_look(item: SummaryItem) -> bool:
    off = item.state in _BROKEN or item.input_accepted is False
    return off or not _is_certain(item) or _correction(item) is not None


def _is_certain(item: SummaryItem) -> bool:
    """Whether no other class than the one named is possible, as far as a class is named."""
    found = _trusted(item)
    return found is None or len(found.prediction_set) == 1


def _who(request: SummaryRequest) -> list[Field]:
    patient = request.patient
    number = [] if patient is None else [Field("MRN", patient.medical_record_number)]
    received = Field("Received", moment(request.created_at))
    return [*number, Field("Batch", request.batch_id), received]


def _counts(items: list[SummaryItem]) -> list[Field]:
    states = Counter(str(item.state) for item in items)
    classified = [(found.label, item) for item in items if (found := _trusted(item)) is not None]
    labels = Counter(label for label, _ in classified)
    unsure = Counter(label for label, item in classified if not _is_certain(item))
    by_state = ", ".join(f"{count} {state}" for state, count in states.most_common())
    by_class = [
        f"{CLASS_NAMES[label]} {labels[label]}"
        + (f" ({unsure[label]} not certain)" if unsure[label] else "")
        for label in TumorClass
        if labels[label]
    ]
    turned_away = sum(item.input_accepted is False for item in items)
    corrected = sum(_correction(item) is not None for item in items)
    return [
        Field("Files", f"{len(items)}: {by_state}" if items else "none"),
        Field("Classes", ", ".join(by_class) or DASH),
        Field("Turned away", f"{turned_away} by the input check" if turned_away else "none"),
        Field("Corrected", f"{corrected} by a reader" if corrected else "none"),
    ]


def _row(item: SummaryItem) -> SummaryRow:
    found = _trusted(item)
    return SummaryRow(
        number=item.position + 1,
        thumbnail=None if item.thumbnail is None else small_picture(item.thumbnail),
        file=item.file,
        scan_id=item.scan_id or "",
        label=CLASS_NAMES[found.label] if found else DASH,
        confidence=percent(found.confidence) if found else "",
        prediction_set=set_words(found.prediction_set) if found else DASH,
        state=str(item.state),
        reason=_reason(item),
    )


def _reason(item: SummaryItem) -> str:
    if item.problem is not None:
        return sentence(item.problem.detail)
    if item.input_accepted is False:
        return "The picture does not look like a brain-MRI slice; its class says nothing."
    correction, reasons = _correction(item), []
    if correction is not None:
        reasons.append(f"A reader says: {CLASS_NAMES[correction].lower()}.")
    if item.classification is not None and not _is_certain(item):
        words = set_words(item.classification.prediction_set)
        reasons.append(f"More than one class is possible: {words}.")
    return " ".join(reasons)


def _trusted(item: SummaryItem) -> Classification | None:
    """The classification, unless the picture was turned away: then it says nothing."""
    return None if item.input_accepted is False else item.classification


def _correction(item: SummaryItem) -> TumorClass | None:
    found = item.classification
    return item.review if found is not None and item.review != found.label else None


def _models(models: list[ModelFacts]) -> str:
    if not models:
        return "No model"
    named = [f"{each.name} {each.version} sha256 {each.sha256[:12]}" for each in models]
    return f"Model {', '.join(named)}"
