"""Keys and sessions as the API takes and gives them."""

from datetime import datetime
from typing import Annotated

from pydantic import Field, StringConstraints

from neuroscan.contracts.base import Contract
from neuroscan.contracts.enums import Role

KeyName = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True, min_length=1, max_length=100, pattern=r"^[^\x00-\x1f]*$"
    ),
]
Secret = Annotated[str, StringConstraints(min_length=1, max_length=8192)]


class KeyCreate(Contract):
    """A new key. `name` says what it is for, as in "pacs gateway": never a person's name."""

    name: KeyName
    role: Role
    expires_at: datetime | None = None


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

    key: Secret | None = None
    code: Secret | None = None
    token: Secret | None = None


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
