"""A recipe for the segmentation decoder, checked field by field."""

from dataclasses import dataclass, field
from pathlib import Path

import yaml

from neuroscan.network.fields import FieldError, read_fields
from neuroscan.network.segmenter import SegmenterShape
from training.recipe import Augmentation, RecipeError


@dataclass(frozen=True)
class SegmentRecipe:
    """One way to train the decoder on a bundle's frozen backbone.

    An epoch draws every slice with a mask once, and `healthy` slices without a tumor for each of
    them. `dice` weighs the mean of 1 - soft Dice over the slices with a mask, beside cross-entropy.
    """

    name: str
    shape: SegmenterShape
    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float = 0.01
    average: float = 0.99
    healthy: float = 0.25
    dice: float = 1.0
    seed: int = 1
    augmentation: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 2 or self.learning_rate <= 0:
            raise ValueError("epochs from 1, batches from 2 slices, a learning rate above 0")
        if not 0 <= self.average < 1 or self.healthy < 0 or self.dice < 0:
            raise ValueError("average lies between 0 and 1; healthy and dice are not below 0")


def read_segment_recipe(path: Path) -> SegmentRecipe:
    """The recipe in a YAML file; raises `RecipeError` that names the file and the field."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(f"{path} can't be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise RecipeError(f"{path} is not YAML: {error}") from error
    try:
        return read_fields(SegmentRecipe, content, "recipe")
    except FieldError as error:
        raise RecipeError(f"{path}: {error}") from error
