"""What was rendered is used again as long as the row says the same, within a minute and a bound."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.gateway.db.tables import Scan
from services.gateway.scans.rendered import Rendered

MADE = datetime(2026, 1, 1, tzinfo=UTC)
USUAL: dict[str, Any] = {
    "id": "1",
    "version": 3,
    "updated_at": MADE,
    "batch_id": "b",
    "duplicate_of": "2",
}


def scan(**fields: Any) -> Scan:
    return Scan(**USUAL | fields)


def test_the_same_row_is_known() -> None:
    rendered = Rendered()
    rendered.keep(scan(), b"{}")
    assert rendered.known([scan(), scan(id="9")]) == {"1": b"{}"}


@pytest.mark.parametrize(
    "change",
    [
        {"version": 4},
        {"updated_at": MADE + timedelta(seconds=1)},
        {"batch_id": None},
        {"duplicate_of": None},
    ],
)
def test_a_row_that_changed_is_rendered_anew(change: dict[str, Any]) -> None:
    rendered = Rendered()
    rendered.keep(scan(), b"{}")
    assert rendered.known([scan(**change)]) == {}


def test_nothing_is_kept_longer_than_its_time() -> None:
    time_s = 0.0
    rendered = Rendered(lifetime_s=60, clock=lambda: time_s)
    rendered.keep(scan(), b"{}")
    time_s = 59.0
    assert rendered.known([scan()])
    time_s = 61.0
    assert not rendered.known([scan()])


def test_the_oldest_make_room() -> None:
    rendered = Rendered(bytes_max=25)
    for number in range(3):
        rendered.keep(scan(id=str(number)), b"0123456789")
    assert set(rendered.known([scan(id=str(number)) for number in range(3)])) == {"1", "2"}
    # Kept again, it counts once.
    rendered.keep(scan(id="2"), b"0123456789")
    assert set(rendered.known([scan(id=str(number)) for number in range(3)])) == {"1", "2"}
