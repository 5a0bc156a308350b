"""Keys and sessions as the API takes and gives them."""

from datetime import datetime
from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints
from pydantic.json_schema import SkipJsonSchema

from neuroscan.contracts.base import LEFT_OUT, Contract
from neuroscan.contracts.enums import Role
from neuroscan.contracts.moments import Moment

KeyName = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True,
        min_length=1,
        max_length=100,
        # One line, with one character at least that can be seen.
        pattern=r"^[^\x00-\x1f]*[^\s\x00-\x1f\x85][^\x00-\x1f]*$",
    ),
]
Secret = Annotated[str, StringConstraints(min_length=1, max_length=8192)]


class KeyCreate(Contract):
    """A new key. `name` says what it is for, as in "pacs gateway": never a person's name."""

    name: KeyName
    role: Role
    expires_at: Moment | None = None


class KeyView(Contract):
    """A key without its secret."""

    id: str
    name: str
    role: Role
    created_by: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None


class NewKey(KeyView):
    """A key with its secret, which is shown this once."""

    key: str


class KeyList(Contract):
    """Every key, newest first, revoked ones too."""

    items: list[KeyView]


class SessionCreate(Contract):
    """One of three: an API key, a link's code, or an identity provider's token."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})

    key: Annotated[Secret | SkipJsonSchema[None], LEFT_OUT] = None
    code: Annotated[Secret | SkipJsonSchema[None], LEFT_OUT] = None
    token: Annotated[Secret | SkipJsonSchema[None], LEFT_OUT] = None


class SessionView(Contract):
    """A session. `csrf_token` goes into `X-CSRF-Token` of every call that changes something."""

    principal: str
    role: Role
    csrf_token: str
    expires_at: datetime


class LinkView(Contract):
    """A code that opens one session of the caller's key, once, until `expires_at`."""

    code: str
    expires_at: datetime = Field(description="Ten minutes from now")
