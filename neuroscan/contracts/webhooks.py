"""Webhooks and their notices as the API takes and gives them."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from neuroscan import NOTICE
from neuroscan.contracts.base import Contract
from neuroscan.contracts.enums import DeliveryFault, DeliveryState, Role, ScanState, TumorClass
from neuroscan.contracts.results import PossibleClasses

FINAL_STATES = tuple(state for state in ScanState if state.final)
WEBHOOKS_MAX = 20

Url = Annotated[
    str,
    StringConstraints(min_length=1, max_length=2048, pattern=r"^[\x21-\x7e]*$"),
    Field(
        description="Where notices go: HTTPS, a public address, no user name or password",
        examples=["https://hospital.example/neuroscan"],
    ),
]
States = Annotated[
    tuple[ScanState, ...],
    Field(min_length=1, max_length=len(ScanState), description="The states that are told of"),
]


class WebhookCreate(Contract):
    """A new webhook; without `states` it hears of scans that are over."""

    url: Url
    states: States = FINAL_STATES


class WebhookView(Contract):
    """A webhook without its secret. A submitter's hears of its owner's scans, others of all."""

    id: str
    owner: str
    role: Role
    url: str
    states: list[ScanState]
    created_at: datetime


class NewWebhook(WebhookView):
    """A webhook with the secret that signs its notices, which is shown this once."""

    secret: str


class WebhookList(Contract):
    """Webhooks, newest first."""

    items: list[WebhookView]


class NoticeData(Contract):
    """What a notice tells of a scan; never who the patient is.

    `label`, `prediction_set` and `input_accepted` are missing until the scan is classified; the
    first says nothing of a picture whose `input_accepted` is false.
    """

    scan_id: str
    state: ScanState
    version: int
    label: TumorClass | None = None
    prediction_set: PossibleClasses | None = None
    input_accepted: bool | None = None
    links: dict[str, str]


class Notice(Contract):
    """The body that is posted. `id` stays the same when a notice is sent again."""

    id: str
    type: Literal["scan.state_changed"] = "scan.state_changed"
    created_at: datetime
    data: NoticeData
    notice: str = NOTICE


class DeliveryView(Contract):
    """A notice and how far it has come; `id` is the event's."""

    id: str
    scan_id: str
    scan_state: ScanState
    scan_version: int
    state: DeliveryState
    attempts: int
    status_code: int | None = Field(description="Of the last answer, if there was one")
    error: DeliveryFault | None = Field(description="Why the last try did not succeed")
    created_at: datetime
    next_at: datetime | None = Field(description="Not tried again before, while it is pending")
    finished_at: datetime | None


class DeliveryPage(Contract):
    """Notices, newest first."""

    items: list[DeliveryView]
    next_cursor: str | None
