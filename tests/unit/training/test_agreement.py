"""Choosing an explanation, and agreement with masks."""

import numpy as np
import pytest

from training.agreement import FRACTIONS, Agreement, dice
from training.calibrate import choose_explanation


def agreement(method: str, layer: str, pointing: float, best: float) -> Agreement:
    values = tuple(best if fraction == 0.4 else 0.05 for fraction in FRACTIONS)
    return Agreement(method=method, layer=layer, n=100, pointing=pointing, dice=values)


def test_the_best_pointing_wins_and_ties_go_to_the_better_region() -> None:
    chosen = choose_explanation(
        [
            agreement("hirescam", "layer2[-1]", 0.2, 0.1),
            agreement("hirescam", "layer3[-1]", 0.3, 0.1),
            agreement("gradcam++", "layer3[-1]", 0.3, 0.2),
        ]
    )
    assert (chosen.method, chosen.layer, chosen.region_threshold) == (
        "gradcam++",
        "layer3[-1]",
        0.4,
    )
    assert "30%" in chosen.reason


def test_pointing_within_a_standard_error_counts_as_equal() -> None:
    # One standard error of 70 % among 100 slices is 4.6 %.
    near, far = (
        agreement("gradcam", "layer2[-1]", 0.66, 0.5),
        agreement("gradcam", "layer3[-1]", 0.65, 0.9),
    )
    chosen = choose_explanation([agreement("hirescam", "layer2[-1]", 0.7, 0.3), near, far])
    assert (chosen.method, chosen.layer) == ("gradcam", "layer2[-1]")
    assert "in 66%" in chosen.reason


def test_hirescam_at_the_last_layer_is_never_chosen() -> None:
    chosen = choose_explanation(
        [
            agreement("hirescam", "layer4[-1]", 0.9, 0.5),
            agreement("hirescam", "layer2[-1]", 0.1, 0.1),
        ]
    )
    assert chosen.layer == "layer2[-1]"


def test_dice_of_masks() -> None:
    first, second = np.zeros((10, 10), dtype=np.bool_), np.zeros((10, 10), dtype=np.bool_)
    first[:5], second[4:9] = True, True
    assert dice(first, second) == pytest.approx(2 * 10 / 100)
    assert dice(first, first) == 1
    assert dice(None, second) == 0
