"""The cards that are committed say what their bundles say."""

import json
import re
from pathlib import Path

import pytest

from neuroscan.network.fields import read_fields
from neuroscan.settings import REPOSITORY
from training.evaluation import Evaluation
from training.evaluation_section import evaluation_section
from training.explanation_figures import Comparison
from training.explanation_section import explanation_section

BUNDLES = sorted(path.parent for path in (REPOSITORY / "models").glob("*/bundle.json"))


@pytest.mark.parametrize("bundle", BUNDLES, ids=lambda path: path.name)
def test_a_card_is_written_from_the_figures_beside_it(bundle: Path) -> None:
    content = json.loads((bundle / "bundle.json").read_text(encoding="utf-8"))
    card = (bundle / "README.md").read_text(encoding="utf-8")
    assert card.startswith(f"# {content['name']} {content['version']}\n")
    metrics = content["metrics"]
    found = read_fields(Evaluation, metrics["patient"], "patient")
    assert found.measured.version == content["version"]
    assert evaluation_section(found) in card
    comparison = read_fields(Comparison, metrics["explanations"], "explanations")
    assert explanation_section(comparison) in card
    pictures = re.findall(r"\]\((figures/[^)]+)\)", card)
    assert pictures
    for picture in pictures:
        assert (bundle / picture).is_file()
