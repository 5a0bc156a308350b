"""The base of every model that crosses a boundary."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


def _without_default(schema: dict[str, Any]) -> None:
    del schema["default"]


# For a field that may be left out, whose default means nothing to a caller: not in the document.
LEFT_OUT = Field(json_schema_extra=_without_default)


class Contract(BaseModel):
    """Immutable, refuses unknown fields, and refuses NaN and infinity in numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
