"""Recipes: the committed ones read, and mistakes named."""

from pathlib import Path

import pytest
import yaml

from training import recipe as recipes
from training.recipe import Recipe, RecipeError, read_recipe

CONFIGS = Path(recipes.__file__).parent / "configs"


@pytest.mark.parametrize("name", ["paper", "best", "transfer", "hidden"])
def test_the_committed_recipes_can_be_read(name: str) -> None:
    assert read_recipe(CONFIGS / f"{name}.yaml").name == name


def test_the_paper_recipe_is_the_papers_and_never_starts_from_a_bundle() -> None:
    paper = read_recipe(CONFIGS / "paper.yaml")
    assert [(p.trains, p.epochs, p.learning_rate) for p in paper.phases] == [
        (("fc",), 15, 1e-3),
        (("layer4", "fc"), 20, 1e-4),
        (("layer3", "layer4", "fc"), 15, 5e-5),
    ]
    assert paper.preprocessing.input_size == 224
    assert paper.preprocessing.mean == (0.485, 0.456, 0.406)
    assert (paper.augmentation.flip_horizontal, paper.augmentation.rotation_deg) == (0.5, 10)
    assert "bundle" not in paper.starts
    assert paper.split == "published"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": "one"}, r"recipe\.seed must be int"),
        ({"speed": 3}, "unknown fields: speed"),
        ({"phases": []}, "at least one phase"),
        ({"sampling": "random"}, "sampling must be one of plain, balanced"),
        ({"starts": ["bundle", "luck"]}, "starts must be among"),
        ({"augmentation": {"noise": -1}}, "nothing may be below 0"),
        ({"augmentation": {"transplant": 1.5}}, "are probabilities"),
        ({"guidance": {"evidence": 1.0}}, "evidence above 0 and evidence_layers go together"),
        (
            {"guidance": {"evidence": 1.0, "evidence_layers": ["layer5"]}},
            "evidence_layers are among layer1",
        ),
        (
            {"phases": [{"name": "a", "epochs": 1, "trains": ["head"], "learning_rate": 1}]},
            "no stage is called head",
        ),
        (
            {
                "phases": [
                    {
                        "name": "a",
                        "epochs": 1,
                        "trains": ["fc"],
                        "learning_rate": 1,
                        "guidance": {"segmentation": 1.0, "segmentation_layers": ["layer4"]},
                    }
                ]
            },
            "a phase's segmentation_layers are among the recipe's",
        ),
        ({"preprocessing": {"input_size": 8}}, "at least 32"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, change: dict[str, object], message: str) -> None:
    content = yaml.safe_load((CONFIGS / "transfer.yaml").read_text())
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(content | change))
    with pytest.raises(RecipeError, match=message):
        read_recipe(path)


def test_what_is_no_recipe_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="can't be read"):
        read_recipe(tmp_path / "none.yaml")
    (tmp_path / "broken.yaml").write_text("a: [1")
    with pytest.raises(RecipeError, match="not YAML"):
        read_recipe(tmp_path / "broken.yaml")
    (tmp_path / "list.yaml").write_text("- 1")
    with pytest.raises(RecipeError, match="must be an object"):
        read_recipe(tmp_path / "list.yaml")


def test_epochs_are_those_of_all_phases() -> None:
    assert isinstance(read_recipe(CONFIGS / "paper.yaml"), Recipe)
    assert read_recipe(CONFIGS / "paper.yaml").epochs == 50
