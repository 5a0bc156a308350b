"""Readers' verdicts, and how often they agree with the network."""

from pydantic import Field, StrictBool

from neuroscan.contracts.base import Contract
from neuroscan.contracts.enums import TumorClass
from neuroscan.contracts.patient import Notes
from neuroscan.contracts.results import Fraction


class ReviewCreate(Contract):
    """A verdict on a scan: `agrees` is true exactly when `label` is the network's class."""

    label: TumorClass = Field(description="What the reader sees")
    agrees: StrictBool
    comment: Notes = ""


class MonthlyAgreement(Contract):
    """The scans of one predicted class whose newest review was given in one month (UTC)."""

    month: str = Field(pattern=r"^[0-9]{4}-[0-9]{2}$", examples=["2026-10"])
    label: TumorClass = Field(description="The class that the network had named")
    count: int = Field(ge=1)
    agreed: int = Field(ge=0)
    share: Fraction = Field(description="`agreed` of `count`")


class Correction(Contract):
    """How often readers put another class in place of a predicted one."""

    label: TumorClass = Field(description="The class that the network had named")
    corrected_to: TumorClass
    count: int = Field(ge=1)


class Agreement(Contract):
    """Readers' agreement with the network; of each scan its newest review counts.

    `by_month` begins with the newest month; months and classes without a review are left out, and
    so are pictures that the input check turned away.
    """

    by_month: list[MonthlyAgreement]
    corrections: list[Correction]
