"""The base of every model that crosses a boundary."""

from pydantic import BaseModel, ConfigDict


class Contract(BaseModel):
    """Immutable, refuses unknown fields, and refuses NaN and infinity in numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
