"""Settings that delete things must be understood as they are meant."""

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
