"""Two cards beside each other: what counts as the same figure."""

import pytest

from training.card_check import compare_cards

CARD = "# transfer 0.4.1\n\n849 slices. Accuracy **94.0% (88.9%–97.3%)**, AUC 0.9566.\n"


def test_a_card_is_the_same_as_itself() -> None:
    found = compare_cards(CARD, CARD)
    assert (found.figures, found.one_off, found.lines) == (7, 0, ())


@pytest.mark.parametrize(
    ("kept", "anew"), [("88.9%", "88.8%"), ("88.9%", "89.0%"), ("0.9566", "0.9567")]
)
def test_one_off_in_the_last_decimal_is_told_and_is_no_other_figure(kept: str, anew: str) -> None:
    found = compare_cards(CARD, CARD.replace(kept, anew))
    assert (found.one_off, found.lines) == (1, ())


@pytest.mark.parametrize(
    ("kept", "anew"),
    [
        ("88.9%", "88.7%"),
        ("0.9566", "0.957"),
        ("849", "848"),
        ("94.0%", "94"),
        ("slices", "pictures"),
        ("\n\n", "\n"),
    ],
)
def test_anything_else_is_a_line_that_differs(kept: str, anew: str) -> None:
    found = compare_cards(CARD, CARD.replace(kept, anew, 1))
    assert found.lines
    assert {line[:2] for line in found.lines} <= {"- ", "+ "}


def test_a_line_more_is_the_only_one_that_differs() -> None:
    assert compare_cards(CARD, CARD.replace("849", "New 1.\n849")).lines == ("+ New 1.",)
    assert compare_cards(CARD.replace("849", "Old.\n849"), CARD).lines == ("- Old.",)
