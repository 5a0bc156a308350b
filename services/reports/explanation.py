"""An explanation in words: the map, the outlines, what the parameters are measured from."""

from dataclasses import dataclass
from typing import Literal

from neuroscan.contracts.enums import RegionSource, TumorClass
from neuroscan.contracts.scan import ExplanationView, ScanView
from services.reports.wording import CLASS_NAMES, METHOD_NAMES, number, percent


@dataclass(frozen=True)
class Outline:
    """A line in the overlay, by its style's name, and what it bounds."""

    style: Literal["map", "segmentation"]
    words: str


def explanation_words(scan: ScanView) -> str:
    """Method, layer and class of the map, then the region that the parameters stand on."""
    explanation = scan.explanation
    if explanation is None:
        return "There is no explanation for this scan."
    method = f"{METHOD_NAMES[explanation.method]} at {explanation.layer}"
    target = CLASS_NAMES[explanation.target_label].lower()
    if not explanation.positive_evidence:
        text = f"{method}: no positive evidence for {target}, so the map is empty."
    else:
        text = f"{method} for {target}"
        if explanation.sharpness is not None:
            text += f"; sharpness {number(explanation.sharpness, 2)}"
        text += "."
    measured = _not_measured(scan, explanation) or _measured_from(explanation)
    return f"{text} {measured}".rstrip()


def _not_measured(scan: ScanView, explanation: ExplanationView) -> str:
    """Why no parameter stands on the region; empty where one may."""
    if scan.turned_away:
        return "Nothing is measured in a picture that the input check turned away."
    if explanation.target_label is TumorClass.NO_TUMOR:
        return "The slice is classified as no tumor, so no region is measured."
    return ""


def _measured_from(explanation: ExplanationView) -> str:
    if explanation.region_source is None or explanation.region is None:
        return ""
    area = f"{explanation.region.area_px} px"
    if explanation.region_source is RegionSource.MAP:
        return f"Measured from the heat map’s region, {area}."
    facts = []
    if explanation.segmentation_dice is not None:
        dice = f"{explanation.segmentation_dice:.2f}"
        facts.append(f"median Dice coefficient on annotated validation slices {dice}")
    if explanation.overlap is not None:
        facts.append(f"overlap with the heat map’s region {explanation.overlap:.2f}")
    known = f" ({'; '.join(facts)})" if facts else ""
    return f"Measured from the segmentation’s region, {area}{known}."


def outlines(explanation: ExplanationView | None) -> list[Outline]:
    """What each line in the overlay bounds; the measured region first."""
    if explanation is None:
        return []
    regions = explanation.regions
    lines = []
    if regions.segmentation is not None:
        lines.append(Outline("segmentation", "segmentation"))
    if regions.map is not None:
        lines.append(Outline("map", "heat map"))
    return lines


def pointing_words(scan: ScanView) -> list[str]:
    """How far such a map can be trusted to lie on a tumor at all."""
    explanation = scan.explanation
    if explanation is None or explanation.pointing_accuracy is None:
        return []
    share = percent(explanation.pointing_accuracy)
    line = f"On annotated validation slices the peak of such a map lay inside the tumor in {share}"
    derived = not _not_measured(scan, explanation)
    if derived and explanation.region_source is RegionSource.MAP:
        return [f"{line}: all that is derived from its region is as good as that."]
    return [f"{line}."]
