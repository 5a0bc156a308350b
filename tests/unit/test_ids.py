"""Ids sort by time."""

import uuid
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as some

from neuroscan.ids import first_id_at, is_id, new_id

MOMENTS = some.datetimes(
    min_value=datetime(1970, 1, 2),  # noqa: DTZ001 - hypothesis adds the zone
    max_value=datetime(9900, 1, 1),  # noqa: DTZ001
    timezones=some.just(UTC),
)


def test_a_new_id_lies_between_the_first_ids_around_it() -> None:
    before = datetime.now(UTC)
    made = new_id()
    after = datetime.now(UTC) + timedelta(milliseconds=1)
    assert first_id_at(before) <= made < first_id_at(after)


@given(MOMENTS, some.timedeltas(timedelta(milliseconds=1), timedelta(days=10_000)))
def test_first_ids_are_in_the_order_of_their_moments(moment: datetime, later: timedelta) -> None:
    first = first_id_at(moment)
    assert uuid.UUID(first).version == 7
    assert is_id(first)
    assert first < first_id_at(moment + later + timedelta(milliseconds=1))


def test_a_moment_before_1970_comes_before_every_id() -> None:
    assert first_id_at(datetime(1900, 1, 1, tzinfo=UTC)) < new_id()


def test_what_is_no_id_is_told() -> None:
    for text in ("", "x", new_id().upper(), f"{{{new_id()}}}", new_id().replace("-", "")):
        assert not is_id(text)
