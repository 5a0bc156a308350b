"""The fields of an upload: from multipart text to checked values."""

import re
from datetime import datetime
from pathlib import PurePath
from typing import Annotated
from uuid import UUID

from fastapi import Form, Request, UploadFile
from pydantic import BaseModel, ConfigDict, ValidationError

from neuroscan.contracts.enums import DisplayConvention
from neuroscan.contracts.moments import Moment
from neuroscan.contracts.problems import MAX_UPLOAD_BYTES, FileTooLarge, InvalidRequest
from services.gateway.moments import in_utc
from services.gateway.scans.intake import Upload

SPACING_BOUNDS_MM = (0.01, 20.0)
_MM = r"(0\.0[1-9][0-9]*|0\.[1-9][0-9]*|1?[1-9](\.[0-9]+)?|10(\.[0-9]+)?|20(\.0+)?)"
_SPACING = f"{_MM}(, ?{_MM})?"
# Postgres stores no null character in text. For the document; `make_upload` checks.
STORABLE = {"pattern": r"^[^\x00]*$"}

PatientField = Annotated[UUID | None, Form(description="The patient's id")]
ReferenceField = Annotated[
    str | None,
    Form(
        max_length=128,
        description="Your own number for the scan, never a name",
        json_schema_extra=STORABLE,
    ),
]
FrameField = Annotated[int | None, Form(ge=0, description="Which frame of a multi-frame file")]
AcquiredField = Annotated[Moment | None, Form(description="When the slice was acquired")]
SpacingField = Annotated[
    str | None,
    Form(
        max_length=40,
        description="Millimeters between rows and columns: `0.49` or `0.49,0.49`",
        examples=["0.49"],
        json_schema_extra={"pattern": f"^({_SPACING})?$"},
    ),
]
ConventionField = Annotated[
    DisplayConvention,
    Form(description="`radiological`: the patient's right is on the left of the picture"),
]
NotesField = Annotated[str | None, Form(max_length=4000, json_schema_extra=STORABLE)]


IMAGE_FIELD = "image"
FIELDS = frozenset(
    {
        IMAGE_FIELD,
        "patient_id",
        "reference",
        "frame",
        "acquired_at",
        "pixel_spacing_mm",
        "display_convention",
        "notes",
    }
)


class ScanFields(BaseModel):
    """The fields of a form that FastAPI does not parse: the same, with the same bounds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    patient_id: PatientField = None
    reference: ReferenceField = None
    frame: FrameField = None
    acquired_at: AcquiredField = None
    pixel_spacing_mm: SpacingField = None
    display_convention: ConventionField = DisplayConvention.UNKNOWN
    notes: NotesField = None


async def check_form(request: Request) -> None:
    """Refuse what would silently be dropped: unknown fields, repeated ones, an image as text.

    A misspelled `patient_id` must not make a scan of nobody. Raises `InvalidRequest`.
    """
    # The form that FastAPI has parsed already.
    form = await request.form()
    if not FIELDS.issuperset(form):
        raise InvalidRequest(
            f"The form has an unknown field. Known are {', '.join(sorted(FIELDS))}."
        )
    repeated = [name for name in form if len(form.getlist(name)) > 1]
    if repeated:
        raise InvalidRequest(f"`{repeated[0]}` was sent more than once. Send one slice a request.")
    if isinstance(form.get(IMAGE_FIELD), str):
        raise InvalidRequest(f"`{IMAGE_FIELD}` must be sent as a file, with a `filename`.")


async def read_image(image: UploadFile) -> tuple[bytes, str | None, str | None]:
    """The file's bytes, declared type and suffix; raises `FileTooLarge`."""
    if image.size is not None and image.size > MAX_UPLOAD_BYTES:
        raise FileTooLarge
    content = await image.read()
    suffix = PurePath(image.filename or "").suffix.lower() or None
    return content, image.content_type, suffix


def parse_spacing(text: str | None) -> tuple[float, float] | None:
    """`0.49` or `0.49,0.49` → (row, column) in mm; raises `InvalidRequest`."""
    if not text:
        return None
    if not re.fullmatch(_SPACING, text, re.ASCII):
        low, high = SPACING_BOUNDS_MM
        raise InvalidRequest(
            f"`pixel_spacing_mm` takes one or two numbers from {low} to {high}, as in 0.49,0.49."
        )
    values = [float(part) for part in text.split(",")]
    return values[0], values[-1]


def make_upload(
    *,
    image: tuple[bytes, str | None, str | None],
    patient_id: UUID | None,
    reference: str | None,
    frame: int | None,
    acquired_at: datetime | None,
    pixel_spacing_mm: str | None,
    display_convention: DisplayConvention,
    notes: str | None,
) -> Upload:
    """Checked fields as one value; raises `InvalidRequest`."""
    for name, text in (("reference", reference), ("notes", notes)):
        if text and "\x00" in text:
            raise InvalidRequest(f"`{name}` may not hold a null character.")
    content, declared_type, suffix = image
    return Upload(
        content=content,
        declared_type=declared_type,
        suffix=suffix,
        patient_id=str(patient_id) if patient_id else None,
        reference=reference or None,
        frame=frame,
        acquired_at=in_utc("acquired_at", acquired_at) if acquired_at else None,
        spacing_mm=parse_spacing(pixel_spacing_mm),
        convention=display_convention,
        notes=notes or None,
    )


def upload_without_file(texts: dict[str, str]) -> Upload:
    """What a form's fields say of each of its files; raises `InvalidRequest`."""
    try:
        # An empty field is one that was left out, as in FastAPI's own forms.
        fields = ScanFields.model_validate({name: text for name, text in texts.items() if text})
    except ValidationError as error:
        # The values stay out: they may name a person.
        reasons = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
        raise InvalidRequest("; ".join(reasons)) from None
    return make_upload(
        image=(b"", None, None),
        patient_id=fields.patient_id,
        reference=fields.reference,
        frame=fields.frame,
        acquired_at=fields.acquired_at,
        pixel_spacing_mm=fields.pixel_spacing_mm,
        display_convention=fields.display_convention,
        notes=fields.notes,
    )
