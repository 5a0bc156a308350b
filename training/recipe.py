"""A training recipe: what a file under `training/configs/` says, checked field by field."""

from dataclasses import dataclass, field
from pathlib import Path

import yaml

from neuroscan.network.fields import FieldError, read_fields
from neuroscan.network.preprocess import Preprocessing

STAGES = ("conv1", "bn1", "layer1", "layer2", "layer3", "layer4", "fc")
GUIDED = ("layer1", "layer2", "layer3", "layer4")
STARTS = ("imagenet", "weights", "bundle", "nothing")
SPLITS = ("published", "patient")


class RecipeError(ValueError):
    """The recipe can't be used; the message names the field."""


@dataclass(frozen=True)
class Augmentation:
    """How far a training slice may be changed; 0 everywhere leaves it as it is.

    Flips, floor, occlusion, transplants and hiding (`training.hide`) are probabilities; rotation is
    in degrees to both sides; scale, stretch, gamma and contrast are largest factors less 1; shift
    is a share of the side; brightness, noise and floor levels are shares of white; blur is the
    Gaussian's deviation, px.
    """

    flip_horizontal: float = 0.0
    flip_vertical: float = 0.0
    rotation_deg: float = 0.0
    scale: float = 0.0
    stretch: float = 0.0
    shift: float = 0.0
    gamma: float = 0.0
    contrast: float = 0.0
    brightness: float = 0.0
    noise: float = 0.0
    blur_px: float = 0.0
    floor: float = 0.0
    occlusion: float = 0.0
    transplant: float = 0.0
    hide: float = 0.0

    def __post_init__(self) -> None:
        if min(vars(self).values()) < 0:
            raise ValueError("nothing may be below 0")
        chances = ("flip_horizontal", "flip_vertical", "floor", "occlusion", "transplant", "hide")
        if any(getattr(self, name) > 1 for name in chances):
            raise ValueError(f"{', '.join(chances)} are probabilities")


@dataclass(frozen=True)
class Guidance:
    """How the masks teach the network where to look; every weight 0 switches it off.

    `segmentation` trains a 1x1 convolution on each named stage's output to find the tumor.
    `evidence` asks that the HiRes-CAM of the true class at each named stage be inside the tumor;
    with `second_order` the gradient in the map is trained too, not the activations alone.
    `activation` asks that the stages' activations themselves be inside. `margin_px` widens masks.
    """

    segmentation: float = 0.0
    segmentation_layers: tuple[str, ...] = ()
    evidence: float = 0.0
    evidence_layers: tuple[str, ...] = ()
    second_order: bool = True
    activation: float = 0.0
    activation_layers: tuple[str, ...] = ()
    margin_px: int = 2

    def __post_init__(self) -> None:
        for kind in ("segmentation", "evidence", "activation"):
            layers: tuple[str, ...] = getattr(self, f"{kind}_layers")
            if set(layers) - set(GUIDED):
                raise ValueError(f"{kind}_layers are among {', '.join(GUIDED)}")
            if getattr(self, kind) < 0 or (getattr(self, kind) > 0) != bool(layers):
                raise ValueError(f"{kind} above 0 and {kind}_layers go together")
        if self.margin_px < 0:
            raise ValueError("margin_px must not be below 0")


@dataclass(frozen=True)
class Phase:
    """Some epochs in which the named stages train; the learning rate is the cycle's highest.

    `guidance` is this phase's own, where it differs from the recipe's.
    """

    name: str
    epochs: int
    trains: tuple[str, ...]
    learning_rate: float
    guidance: Guidance | None = None

    def __post_init__(self) -> None:
        if unknown := sorted(set(self.trains) - set(STAGES)):
            raise ValueError(f"no stage is called {', '.join(unknown)}; there are {STAGES}")
        if self.epochs < 1 or self.learning_rate <= 0 or not self.trains:
            raise ValueError("a phase needs epochs, stages and a learning rate above 0")


@dataclass(frozen=True)
class Recipe:
    """One way to train the classifier. `starts` are the only allowed weights to start from.

    `schedule` is `one_cycle` (within each phase) or `constant`. `epoch_pictures` is how many an
    epoch draws, as many as there are where null; `sampling` is `plain` (none twice) or `balanced`
    (every class as often). `clip_norm` bounds the gradient's norm where it is not null.
    `batch_norm` is `trained`, or `frozen` at the start weights' statistics. `select` is what the
    best epoch has most of: `accuracy`, or `both` (accuracy and the best stage's pointing game, half
    a point each). `blend` takes the mean of the best and the last epoch's weights where its log
    loss on validation is lower than the best's.
    """

    name: str
    split: str
    starts: tuple[str, ...]
    preprocessing: Preprocessing
    batch_size: int
    phases: tuple[Phase, ...]
    seed: int = 1
    optimizer: str = "adamw"
    weight_decay: float = 0.01
    schedule: str = "one_cycle"
    clip_norm: float | None = 5.0
    batch_norm: str = "trained"
    average: float = 0.0
    label_smoothing: float = 0.0
    sampling: str = "plain"
    epoch_pictures: int | None = None
    select: str = "accuracy"
    blend: bool = False
    augmentation: Augmentation = field(default_factory=Augmentation)
    guidance: Guidance = field(default_factory=Guidance)

    def __post_init__(self) -> None:
        choices = {
            "split": SPLITS,
            "optimizer": ("adam", "adamw"),
            "schedule": ("one_cycle", "constant"),
            "batch_norm": ("trained", "frozen"),
            "sampling": ("plain", "balanced"),
            "select": ("accuracy", "both"),
        }
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}")
        if not self.starts or set(self.starts) - set(STARTS):
            raise ValueError(f"starts must be among {', '.join(STARTS)}")
        if self.batch_size < 2 or not self.phases:
            raise ValueError("batches hold at least 2 slices, and there is at least one phase")
        layers = set(self.guidance.segmentation_layers)
        if any(set(self.guidance_in(p).segmentation_layers) - layers for p in self.phases):
            raise ValueError("a phase's segmentation_layers are among the recipe's")
        if not 0 <= self.average < 1 or not 0 <= self.label_smoothing < 1:
            raise ValueError("average and label_smoothing lie between 0 and 1")

    @property
    def epochs(self) -> int:
        """All phases' epochs."""
        return sum(phase.epochs for phase in self.phases)

    def guidance_in(self, phase: Phase) -> Guidance:
        """What guides a phase: its own guidance, else the recipe's."""
        return phase.guidance or self.guidance


def read_recipe(path: Path) -> Recipe:
    """The recipe in a YAML file; raises `RecipeError` that names the file and the field."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(f"{path} can't be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise RecipeError(f"{path} is not YAML: {error}") from error
    try:
        return read_fields(Recipe, content, "recipe")
    except FieldError as error:
        raise RecipeError(f"{path}: {error}") from error
