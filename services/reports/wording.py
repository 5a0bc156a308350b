"""Numbers and vocabulary as the page prints them: units, sensible digits, a dash for unknown."""

import re
import unicodedata
from datetime import UTC, datetime
from math import floor, log10
from typing import Literal

from neuroscan.contracts.enums import (
    CamMethod,
    ImageFormat,
    Laterality,
    PatientAxis,
    Sex,
    SpacingSource,
    Standing,
    TumorClass,
)
from neuroscan.wording import one_of

DASH = "\N{EM DASH}"

CLASS_NAMES = {
    TumorClass.GLIOMA: "Glioma",
    TumorClass.MENINGIOMA: "Meningioma",
    TumorClass.NO_TUMOR: "No tumor",
    TumorClass.PITUITARY: "Pituitary",
}
METHOD_NAMES = {
    CamMethod.HIRESCAM: "HiRes-CAM",
    CamMethod.GRADCAM: "Grad-CAM",
    CamMethod.GRADCAM_PLUS_PLUS: "Grad-CAM++",
}
FORMAT_NAMES = {
    ImageFormat.JPEG: "JPEG",
    ImageFormat.PNG: "PNG",
    ImageFormat.DICOM: "DICOM",
}
STANDING_SHAPES = {
    Standing.MEASURED: "●",
    Standing.ESTIMATED: "△",
    Standing.SURROGATE: "⬚",
    Standing.NOT_ASSESSABLE: "✕",
}
STANDING_WORDS = {standing: standing.value.replace("_", " ") for standing in Standing}
STANDING_MEANINGS = {
    Standing.MEASURED: "known scale, checked method",
    Standing.ESTIMATED: "assumed scale or unproved method",
    Standing.SURROGATE: "a stand-in only",
    Standing.NOT_ASSESSABLE: "see its reason",
}
SEX_WORDS = {sex: DASH if sex is Sex.UNKNOWN else sex.value for sex in Sex}
SIDE_WORDS = {
    Laterality.LEFT: "Left",
    Laterality.RIGHT: "Right",
    Laterality.CROSSES: "Crosses the midline",
}
SPACING_WORDS = {
    SpacingSource.DICOM: "from DICOM",
    SpacingSource.REQUEST: "as stated by the sender",
    SpacingSource.HEAD_SIZE: "from the head's size",
    SpacingSource.UNKNOWN: "unknown",
}
OPPOSITE = {
    PatientAxis.LEFT: PatientAxis.RIGHT,
    PatientAxis.RIGHT: PatientAxis.LEFT,
    PatientAxis.ANTERIOR: PatientAxis.POSTERIOR,
    PatientAxis.POSTERIOR: PatientAxis.ANTERIOR,
    PatientAxis.HEAD: PatientAxis.FOOT,
    PatientAxis.FOOT: PatientAxis.HEAD,
}


def number(value: float, digits: int = 3) -> str:
    """A number with at most `digits` significant digits and no exponent; whole above that.

    >>> number(14.137), number(0.98431), number(412.7), number(0.0)
    ('14.1', '0.984', '413', '0')
    """
    if value == 0:
        return "0"
    decimals = max(0, digits - 1 - floor(log10(abs(value))))
    rounded = round(value, decimals)
    if rounded == 0:
        return "0"
    # Rounding may have reached the next power of ten, which has a decimal less.
    decimals = min(decimals, max(0, digits - 1 - floor(log10(abs(rounded)))))
    return f"{rounded:.{decimals}f}".replace("-", "\N{MINUS SIGN}")


def length(value_mm: float) -> str:
    """Millimetres without their unit: one decimal below 10, none above."""
    return f"{value_mm:.1f}" if value_mm < 9.95 else f"{value_mm:.0f}"


def percent(fraction: float, decimals: int = 0) -> str:
    """A share in percent that is never rounded up to certainty or down to nothing."""
    step = 10.0**-decimals
    value = 100 * fraction
    if fraction not in (0.0, 1.0):
        if value > 100 - step / 2:
            return f"> {100 - step:.{decimals}f} %"
        if value < step / 2:
            return f"< {step:.{decimals}f} %"
    return f"{value:.{decimals}f} %"


def moment(at: datetime | None) -> str:
    """A time in UTC to the minute."""
    return DASH if at is None else f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


_BEFORE_UNIT = re.compile(r"(?<=\d) (?=(?:%|px|mm|cm|bits)(?:\W|[²³]|$))")


def unbroken(text: str) -> str:
    """The text with numbers tied to their units, so that no line ends between them."""
    return _BEFORE_UNIT.sub("\N{NO-BREAK SPACE}", text)


def direction(text: str) -> Literal["ltr", "rtl"]:
    """The direction of a text's first letter that has one."""
    kinds = (unicodedata.bidirectional(letter) for letter in text)
    first = next((kind for kind in kinds if kind in ("L", "R", "AL")), "L")
    return "ltr" if first == "L" else "rtl"


def shortened(text: str, characters: int) -> str:
    """At most so many characters of the text, an ellipsis in place of the rest."""
    return text if len(text) <= characters else f"{text[: characters - 1].rstrip()}…"


def set_words(labels: list[TumorClass]) -> str:
    """A prediction set as the page says it."""
    if len(labels) == len(TumorClass):
        return "any of the four classes"
    return one_of([CLASS_NAMES[label].lower() for label in labels])


def sentence(text: str) -> str:
    """The text with a capital letter and a full stop."""
    text = text.strip()
    if not text:
        return ""
    return text[0].upper() + text[1:] + ("" if text[-1] in ".?!:" else ".")
