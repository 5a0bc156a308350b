"""Settings are understood as they are meant, and what could never work is refused."""

from datetime import timedelta

import pytest
from pydantic import ValidationError

from neuroscan.settings import GatewaySettings, RetentionSettings


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("90", timedelta(days=90)),
        (" 1 ", timedelta(days=1)),
        ("P90D", timedelta(days=90)),
        ("P1DT12H", timedelta(hours=36)),
        ("", None),
    ],
)
def test_a_number_is_one_of_days_and_nothing_is_for_ever(
    monkeypatch: pytest.MonkeyPatch, text: str, kept: timedelta | None
) -> None:
    for name in ("KEEP_ORIGINALS", "KEEP_RESULTS", "KEEP_AUDIT"):
        monkeypatch.setenv(name, text)
    settings = RetentionSettings()
    assert settings.keep_originals == settings.keep_results == settings.keep_audit == kept


@pytest.mark.parametrize("text", ["0", "PT30S", "-90", "-P90D", "soon", "23:00:00"])
def test_what_would_delete_at_once_or_means_nothing_is_refused(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("KEEP_RESULTS", text)
    with pytest.raises(ValidationError):
        RetentionSettings()


@pytest.mark.parametrize(
    ("text", "limit"),
    [("60", timedelta(seconds=60)), (" 1.5 ", timedelta(seconds=1.5)),
     ("PT2M", timedelta(minutes=2)), ("00:01:00", timedelta(minutes=1))],
)  # fmt: skip
def test_a_duration_is_a_number_of_seconds_or_iso_8601(
    monkeypatch: pytest.MonkeyPatch, text: str, limit: timedelta
) -> None:
    monkeypatch.setenv("SUMMARY_LIMIT", text)
    assert GatewaySettings().summary_limit == limit
    # Other fields keep their own reading of a number.
    monkeypatch.setenv("KEEP_AUDIT", "60")
    monkeypatch.setenv("ATTEMPTS_MAX", "5")
    assert RetentionSettings().keep_audit == timedelta(days=60)
    assert GatewaySettings().attempts_max == 5


@pytest.mark.parametrize(
    ("name", "value"),
    [
        # Shorter than a task may take: work that goes on would be given to another as well.
        ("LEASE", "25"),
        ("LEASE", "PT10S"),
        # What may still come must not be taken for lost.
        ("REPORT_LIMIT", "60"),
        ("INLINE_CLASSIFY_LIMIT", "10"),
        ("CLASSIFY_LEASE", "0"),
        ("SWEEP_EVERY", "0"),
        ("SWEEP_EVERY", "-PT2S"),
        ("MARKER_GRACE", "-1"),
        ("REPORT_LIMIT", "PT0S"),
        ("DECODE_MEMORY_MIB", "0"),
    ],
)
def test_what_could_never_work_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError, match=f"(?i){name}"):
        GatewaySettings()


def test_a_longer_lease_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEASE", "PT26S")
    assert GatewaySettings().lease == timedelta(seconds=26)
