"""The model's card as the gateway gives it, from the bundle's folder."""

from pathlib import Path

import pytest

from neuroscan.contracts.problems import NotFound
from neuroscan.settings import SHIPPED_BUNDLE
from services.gateway.card.bundle import Card


def test_the_shipped_bundle_has_a_card_with_numbers_and_figures() -> None:
    card = Card(SHIPPED_BUNDLE).read()
    assert card.markdown.startswith(f"# {card.name} {card.version}")
    assert "confusion.png" in card.figures
    assert card.metrics
    assert Card(SHIPPED_BUNDLE).figure("confusion.png").content.startswith(b"\x89PNG")


@pytest.mark.parametrize("name", ["../bundle.json", "none.png", "", "../figures/confusion.png"])
def test_only_figures_are_given(name: str) -> None:
    with pytest.raises(NotFound):
        Card(SHIPPED_BUNDLE).figure(name)


def test_a_gateway_without_a_bundle_says_what_to_set(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="MODEL_BUNDLE"):
        Card(tmp_path).read()
