"""A model bundle: a folder with `bundle.json`, weights, input-check statistics and a card.

Everything about a model comes from here; nothing about one is written in code. Weights are
safetensors, never pickle.
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from torchvision.models import ResNet

from neuroscan.network.conformal import LAC
from neuroscan.network.fields import FieldError, read_fields
from neuroscan.network.input_check import InputCheckModel
from neuroscan.network.layers import UnknownLayer, canonical
from neuroscan.network.model import ARCHITECTURE, CLASSES, build_model
from neuroscan.network.preprocess import Preprocessing
from neuroscan.network.segmenter import Segmenter, SegmenterShape

DESCRIPTION_FILE = "bundle.json"
SCHEMA_VERSION = 1
METHODS = ("hirescam", "gradcam", "gradcam++")


class BundleError(ValueError):
    """The bundle can't be used; the message says why."""


@dataclass(frozen=True)
class Calibration:
    """The temperature that divides the logits, and where it was fitted."""

    temperature: float
    split: str
    n: int

    def __post_init__(self) -> None:
        if self.temperature <= 0:
            raise ValueError("temperature must be above 0")


@dataclass(frozen=True)
class Conformal:
    """The smallest probability of a class in the prediction set, for the nominal `coverage`.

    `groups` counts the votes (one a patient or family of look-alikes) that fitted it.
    """

    coverage: float
    threshold: float
    kind: str
    split: str
    groups: int

    def __post_init__(self) -> None:
        if not 0 < self.coverage < 1:
            raise ValueError("coverage must lie between 0 and 1")
        if not 0 <= self.threshold <= 1:
            raise ValueError("threshold must lie between 0 and 1")
        if self.kind != LAC:
            raise ValueError(f"only the kind {LAC!r} is known")


@dataclass(frozen=True)
class Explanation:
    """The default method and layer, the share of the map's maximum that bounds the region, why."""

    method: str
    layer: str
    region_threshold: float
    reason: str

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"method must be one of {', '.join(METHODS)}")
        if not 0 < self.region_threshold < 1:
            raise ValueError("region_threshold must lie between 0 and 1")


@dataclass(frozen=True)
class InputCheckSpec:
    """Where the statistics lie, which layers they describe, and the largest accepted distance."""

    file: str
    sha256: str
    layers: tuple[str, ...]
    threshold: float
    fitted_on: str


@dataclass(frozen=True)
class SegmentationSpec:
    """The decoder's weights, what it is built from, and how its answer becomes a region.

    A pixel whose probability reaches `threshold` is tumor; a slice in which none reaches
    `least_peak` has no region, unless the network classifies it as a tumor: then
    `least_peak_agreed` is enough. `loose` and `tight` are the lowest and the highest threshold that
    are plausible too; ranges run between them. `fitted_on` says where all five were chosen,
    `training` how the decoder was trained and on which slices.
    """

    file: str
    sha256: str
    shape: SegmenterShape
    threshold: float
    loose: float
    tight: float
    least_peak: float
    least_peak_agreed: float
    fitted_on: str
    training: Mapping[str, object]

    def __post_init__(self) -> None:
        if not 0 < self.loose <= self.threshold <= self.tight < 1:
            raise ValueError("0 < loose <= threshold <= tight < 1")
        if not self.threshold <= self.least_peak_agreed <= self.least_peak < 1:
            raise ValueError("threshold <= least_peak_agreed <= least_peak < 1")


@dataclass(frozen=True)
class Network:
    """What is known of a network before anything is fitted to it: the first half of `bundle.json`.

    `version` names the model, `sha256` its weights.
    """

    schema_version: int
    name: str
    version: str
    notice: str
    license: str
    architecture: str
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    weights: str
    sha256: str
    training: Mapping[str, object]

    def load(self, folder: Path, device: torch.device | str = "cpu") -> ResNet:
        """The network, fp32, in eval mode, no parameter needing a gradient.

        Raises `BundleError` when the weights are missing, altered or don't fit.
        """
        state = _tensors(folder / self.weights, self.sha256)
        # No memory and no time for random weights: the file's tensors become the parameters.
        with torch.device("meta"):
            model = build_model(len(self.classes))
        full = {name: _full(state.pop(name)) for name in list(state)}
        try:
            model.load_state_dict(full, assign=True)
        except RuntimeError as error:
            raise BundleError(f"{self.weights} does not fit the network: {error}") from error
        return model.to(device).eval().requires_grad_(requires_grad=False)


@dataclass(frozen=True)
class Description(Network):
    """`bundle.json` as it stands; `code` is the program that fitted the second half."""

    code: str
    calibration: Calibration
    conformal: Conformal
    explanation: Explanation
    input_check: InputCheckSpec
    metrics: Mapping[str, object]
    segmentation: SegmentationSpec | None = None

    def pointing_accuracy(self, method: str, layer: str) -> float | None:
        """How often this map's peak lay inside the tumor on annotated validation slices."""
        maps = self.metrics.get("maps")
        pointing = maps.get("pointing") if isinstance(maps, Mapping) else None
        share = pointing.get(f"{method} {layer}") if isinstance(pointing, Mapping) else None
        return float(share) if isinstance(share, int | float) else None

    @property
    def segmentation_dice(self) -> float | None:
        """The segmentation's median Dice coefficient on annotated validation slices."""
        found = self.metrics.get("segmentation")
        val = found.get("val") if isinstance(found, Mapping) else None
        dice = val.get("median_dice") if isinstance(val, Mapping) else None
        return float(dice) if isinstance(dice, int | float) else None


@dataclass(frozen=True)
class Bundle:
    """A bundle whose description is sound; loading verifies the files."""

    folder: Path
    description: Description

    @classmethod
    def read(cls, folder: Path) -> "Bundle":
        """Read `folder/bundle.json`; raises `BundleError` that says which field is off."""
        path = folder / DESCRIPTION_FILE
        description = _read(path, Description, read_json(path))
        files = [description.input_check.file]
        if description.segmentation is not None:
            files.append(description.segmentation.file)
        if any(Path(file).name != file for file in files):
            raise BundleError(f"{path} names a file outside its folder")
        return cls(folder=folder, description=description)

    @property
    def version(self) -> str:
        """The model's version."""
        return self.description.version

    @property
    def code(self) -> str:
        """The program that wrote the bundle."""
        return self.description.code

    def load_model(self, device: torch.device | str = "cpu") -> ResNet:
        """The network as `Network.load` gives it; raises `BundleError`."""
        model = self.description.load(self.folder, device)
        try:
            explained = self.description.explanation.layer.split("+")
            for layer in (*explained, *self.description.input_check.layers):
                canonical(model, layer)
        except UnknownLayer as error:
            raise BundleError(f"{self.folder / DESCRIPTION_FILE}: {error}") from error
        return model

    def load_input_check(self) -> InputCheckModel:
        """The statistics of the training slices; raises `BundleError`."""
        spec = self.description.input_check
        tensors = _tensors(self.folder / spec.file, spec.sha256)
        try:
            return InputCheckModel.from_tensors(tensors)
        except ValueError as error:
            raise BundleError(f"{spec.file}: {error}") from error

    def load_segmenter(self, device: torch.device | str = "cpu") -> Segmenter | None:
        """The segmentation decoder, fp32, in eval mode; None when the bundle has none.

        Raises `BundleError`.
        """
        spec = self.description.segmentation
        if spec is None:
            return None
        tensors = _tensors(self.folder / spec.file, spec.sha256)
        segmenter = Segmenter(spec.shape)
        try:
            segmenter.load_state_dict({name: _full(value) for name, value in tensors.items()})
        except RuntimeError as error:
            raise BundleError(f"{spec.file} does not fit the decoder: {error}") from error
        return segmenter.to(device).eval().requires_grad_(requires_grad=False)


def read_network(folder: Path) -> Network:
    """The first half of a bundle, whether or not the second has been fitted yet.

    Raises `BundleError`.
    """
    path = folder / DESCRIPTION_FILE
    names = {field.name for field in dataclasses.fields(Network)}
    first_half = {name: value for name, value in read_json(path).items() if name in names}
    return _read(path, Network, first_half)


def read_json(path: Path) -> dict[str, object]:
    """The JSON object in a file of the schema's version; raises `BundleError`."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BundleError(f"{path} can't be read: {error.strerror}") from error
    except ValueError as error:
        raise BundleError(f"{path} is not JSON: {error}") from error
    version = content.get("schema_version") if isinstance(content, dict) else None
    if not isinstance(content, dict) or version != SCHEMA_VERSION:
        raise BundleError(f"{path} has schema_version {version}; this code reads {SCHEMA_VERSION}")
    return content


NetworkT = TypeVar("NetworkT", bound=Network)


def file_sha256(path: Path) -> str:
    """The file's SHA-256 as lowercase hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read(path: Path, kind: type[NetworkT], content: Mapping[str, object]) -> NetworkT:
    try:
        read = read_fields(kind, content, "bundle")
    except FieldError as error:
        raise BundleError(f"{path}: {error}") from error
    if read.architecture != ARCHITECTURE:
        raise BundleError(f"{path} describes another network: {read.architecture!r}")
    if read.classes != CLASSES:
        raise BundleError(f"{path} has the classes {read.classes}; the order must be {CLASSES}")
    if Path(read.weights).name != read.weights:
        raise BundleError(f"{path} names a file outside its folder")
    return read


def _tensors(path: Path, sha256: str) -> dict[str, Tensor]:
    if not path.is_file():
        raise BundleError(f"{path} is missing")
    if file_sha256(path) != sha256:
        raise BundleError(f"{path} is not the file that bundle.json describes (SHA-256 differs)")
    try:
        tensors: dict[str, Tensor] = load_file(path)
    except (OSError, SafetensorError) as error:
        raise BundleError(f"{path} can't be read: {error}") from error
    return tensors


def _full(tensor: Tensor) -> Tensor:
    # A copy, so that nothing goes on holding the file.
    return tensor.to(torch.float32 if tensor.is_floating_point() else tensor.dtype, copy=True)
