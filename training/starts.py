"""The weights that a run starts from: ImageNet's, a file's, a bundle's, or none."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor
from torchvision.models import ResNet, ResNet50_Weights

from neuroscan.network.bundle import Network, read_network
from neuroscan.network.model import build_model
from training.keras_weights import SOURCE
from training.recipe import Recipe, RecipeError
from training.refusal import read_training_manifest
from training.splits import pictures_of

_IMAGENET_CLASSES = 1000
_NOTHING = "random weights"


@dataclass(frozen=True, eq=False)
class Start:
    """A network in its first state, every parameter trainable.

    `told` says in words where it comes from; `pictures` are the unique ids of the slices that it
    was trained on before: whatever starts from it was trained on them too.
    """

    model: ResNet
    told: str
    pictures: frozenset[str] = frozenset()

    @property
    def from_nothing(self) -> bool:
        """No weight was trained before."""
        return self.told == _NOTHING


def start_model(
    recipe: Recipe, *, bundle: Path | None, weights: Path | None, imagenet: bool
) -> Start:
    """The start that the arguments ask for; without bundle, file or ImageNet, random weights.

    Raises `RecipeError` where the recipe does not allow the start or the file does not fit, and
    `BundleError`.
    """
    kind = "bundle" if bundle else "weights" if weights else "imagenet" if imagenet else "nothing"
    if kind not in recipe.starts:
        raise RecipeError(f"the recipe {recipe.name} starts from {', '.join(recipe.starts)} only")
    torch.manual_seed(recipe.seed)
    model = build_model()
    if bundle is not None:
        network = read_network(bundle)
        model.load_state_dict(network.load(bundle).state_dict())
        told = f"bundle {network.name} {network.version} (start: {network.training.get('start')})"
        return Start(model, told, trained_pictures(bundle, network))
    if weights is not None:
        state, source = _read_weights(weights)
        load_backbone(model, state, weights.name)
        return Start(model, f"ImageNet weights, {source}")
    if imagenet:
        chosen = ResNet50_Weights.IMAGENET1K_V2
        load_backbone(model, chosen.get_state_dict(progress=True), str(chosen))
        return Start(model, f"ImageNet weights, torchvision {chosen}")
    return Start(model, _NOTHING)


def trained_pictures(folder: Path, network: Network) -> frozenset[str]:
    """The unique ids of the slices that a bundle was trained on.

    From its training manifest; where it names none, from the committed split that it says it was
    trained on. Raises `RecipeError` where it says neither, and `LeakError` for a broken manifest.
    """
    if "manifest" in network.training:
        return read_training_manifest(folder, network)
    if str(network.training.get("split")).startswith("patient, train"):
        return pictures_of("patient", "train")
    raise RecipeError(f"{folder} does not say which pictures it was trained on")


def load_backbone(model: ResNet, state: Mapping[str, Tensor], name: str) -> None:
    """Load all but the head from a classifier of ImageNet's 1000 classes.

    Another head means that the file was trained on something else, brain slices maybe, which the
    paper's protocol must not start from. Raises `RecipeError`.
    """
    head = state.get("fc.weight")
    if head is None or head.shape[0] != _IMAGENET_CLASSES:
        raise RecipeError(f"{name} is not a ResNet50 trained on ImageNet's 1000 classes")
    backbone = {key: value for key, value in state.items() if not key.startswith("fc.")}
    try:
        missing, unexpected = model.load_state_dict(backbone, strict=False)
    except RuntimeError as error:
        raise RecipeError(f"{name} does not fit the network: {error}") from error
    if unexpected or any(not key.startswith("fc.") for key in missing):
        raise RecipeError(f"{name} does not fit the network")


def _read_weights(path: Path) -> tuple[Mapping[str, Tensor], str]:
    """A file's weights and where they come from: what the file says, else its name."""
    if not path.is_file():
        raise RecipeError(f"{path} is missing")
    if path.suffix == ".safetensors":
        with safe_open(path, framework="pt") as file:
            told = file.metadata() or {}
        return load_file(path), told.get(SOURCE, path.name)
    return torch.load(path, map_location="cpu", weights_only=True), path.name
