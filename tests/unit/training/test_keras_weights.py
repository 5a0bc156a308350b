"""Keras' ImageNet weights: the converted network computes what Keras' layers do."""

import argparse
import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch.nn.functional import batch_norm, conv2d
from torchvision.models import resnet50

from neuroscan.network.preprocess import Preprocessing
from training import recipe as recipes
from training.keras_weights import convert, main, read_archive
from training.recipe import RecipeError, read_recipe
from training.starts import start_model

CONFIGS = Path(recipes.__file__).parent / "configs"
Arrays = dict[str, NDArray[np.float32]]
WIDTHS = {"2": 64, "3": 128, "4": 256, "5": 512}
BLOCKS = {"2": "abc", "3": "abcd", "4": "abcdef", "5": "abc"}


@pytest.fixture(scope="module")
def arrays() -> Arrays:
    """Random weights in Keras' names and layout."""
    random = np.random.default_rng(0)
    made: Arrays = {}

    def layer(conv: str, norm: str, *kernel: int) -> None:
        values = {
            f"{conv}/kernel": random.normal(0, 0.02, kernel),
            f"{conv}/bias": random.normal(0, 0.1, kernel[-1:]),
            f"{norm}/gamma": random.uniform(0.5, 1.5, kernel[-1:]),
            f"{norm}/beta": random.normal(0, 0.1, kernel[-1:]),
            f"{norm}/moving_mean": random.normal(0, 0.1, kernel[-1:]),
            f"{norm}/moving_variance": random.uniform(0.01, 2, kernel[-1:]),
        }
        made.update({name: array.astype(np.float32) for name, array in values.items()})

    layer("conv1", "bn_conv1", 7, 7, 3, 64)
    before = 64
    for stage, width in WIDTHS.items():
        for block in BLOCKS[stage]:
            name = f"{stage}{block}_branch"
            if block == "a":
                layer(f"res{name}1", f"bn{name}1", 1, 1, before, 4 * width)
            layer(f"res{name}2a", f"bn{name}2a", 1, 1, before, width)
            layer(f"res{name}2b", f"bn{name}2b", 3, 3, width, width)
            layer(f"res{name}2c", f"bn{name}2c", 1, 1, width, 4 * width)
            before = 4 * width
    made["fc1000/kernel"] = random.normal(0, 0.02, (2048, 1000)).astype(np.float32)
    made["fc1000/bias"] = random.normal(0, 0.02, 1000).astype(np.float32)
    return made


def archive(path: Path, arrays: Arrays, described: dict[str, object] | None = None) -> Path:
    """The arrays as the archive of a package, in two shards."""
    content = b"".join(array.tobytes() for array in arrays.values())
    group = {"paths": ["shard1.bin", "shard2.bin"], "weights": _described(arrays)}
    files = {
        "model.json": json.dumps(described or {"weightsManifest": [group]}).encode(),
        "shard1.bin": content[:5000],
        "shard2.bin": content[5000:],
    }
    with tarfile.open(path, "w") as packed:
        for name, data in files.items():
            member = tarfile.TarInfo(f"package/ResNet50/{name}")
            member.size = len(data)
            packed.addfile(member, io.BytesIO(data))
    return path


def test_the_stem_answers_as_keras_does_from_its_own_input(arrays: Arrays) -> None:
    model = resnet50(weights=None).eval()
    model.load_state_dict(convert(arrays))
    unit = torch.rand(2, 3, 32, 32)
    spec = Preprocessing()
    ours = (unit - torch.tensor(spec.mean)[:, None, None]) / torch.tensor(spec.std)[:, None, None]
    theirs = 255 * unit.flip(1) - torch.tensor([103.939, 116.779, 123.68])[:, None, None]
    with torch.no_grad():
        got = model.bn1(model.conv1(ours))
        want = _keras(arrays, theirs, "conv1", "bn_conv1", stride=2, padding=3)
    # At the border Keras pads with its own mean, which differs by half a gray level.
    torch.testing.assert_close(got[..., 2:-2, 2:-2], want[..., 2:-2, 2:-2], rtol=1e-4, atol=1e-3)


def test_a_block_answers_as_keras_does(arrays: Arrays) -> None:
    model = resnet50(weights=None).eval()
    model.load_state_dict(convert(arrays))
    block = model.layer3[1]
    hidden = torch.rand(1, 1024, 6, 6)
    with torch.no_grad():
        kept = _keras(arrays, hidden, "res4b_branch2a", "bn4b_branch2a").relu()
        kept = _keras(arrays, kept, "res4b_branch2b", "bn4b_branch2b", padding=1).relu()
        kept = _keras(arrays, kept, "res4b_branch2c", "bn4b_branch2c")
        torch.testing.assert_close(block(hidden), (kept + hidden).relu(), rtol=1e-4, atol=1e-4)


def test_every_tensor_of_the_backbone_comes_from_the_archive(
    arrays: Arrays, tmp_path: Path
) -> None:
    packed = archive(tmp_path / "resnet.tgz", arrays)
    out = tmp_path / "imagenet.safetensors"
    main(argparse.Namespace(archive=packed, out=out))
    state = load_file(out)
    assert set(state) == set(resnet50(weights=None).state_dict())
    recipe = read_recipe(CONFIGS / "transfer.yaml")
    start = start_model(recipe, bundle=None, weights=out, imagenet=False)
    assert start.told == "ImageNet weights, Keras' ResNet50 (He et al.) out of resnet.tgz"
    for name, tensor in start.model.state_dict().items():
        if not name.startswith("fc."):
            torch.testing.assert_close(tensor, state[name])


def test_another_archive_is_refused_with_what_is_wrong(arrays: Arrays, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="holds no network"):
        read_archive(tmp_path / "missing.tgz")
    with pytest.raises(RecipeError, match="weightsManifest"):
        read_archive(archive(tmp_path / "a.tgz", arrays, {"format": "graph-model"}))
    small = {name: array for name, array in arrays.items() if name.startswith("conv1")}
    one_shard = [{"paths": ["shard1.bin"], "weights": _described(small)}]
    with pytest.raises(RecipeError, match="bytes of weights end within conv1/kernel"):
        read_archive(archive(tmp_path / "b.tgz", small, {"weightsManifest": one_shard}))
    first = {"paths": ["shard1.bin", "shard2.bin"], "weights": _described(small)[:1]}
    with pytest.raises(RecipeError, match="bytes of weights, 37632 described"):
        read_archive(archive(tmp_path / "d.tgz", small, {"weightsManifest": [first]}))
    quantized = [dict(one, quantization={}) for one in _described(small)]
    group = {"paths": ["shard1.bin", "shard2.bin"], "weights": quantized}
    with pytest.raises(RecipeError, match="is not float32"):
        read_archive(archive(tmp_path / "c.tgz", small, {"weightsManifest": [group]}))
    with pytest.raises(RecipeError, match="no ResNet50 of Keras: 'bn_conv1/moving_mean'"):
        convert(small)


def _described(arrays: Arrays) -> list[dict[str, object]]:
    return [{"name": n, "shape": a.shape, "dtype": "float32"} for n, a in arrays.items()]


def _keras(
    arrays: Arrays,
    hidden: torch.Tensor,
    conv: str,
    norm: str,
    *,
    stride: int = 1,
    padding: int = 0,
) -> torch.Tensor:
    """A convolution with bias and its normalization, written as Keras defines them."""
    kernel = torch.from_numpy(arrays[f"{conv}/kernel"]).permute(3, 2, 0, 1)
    hidden = conv2d(hidden, kernel, torch.from_numpy(arrays[f"{conv}/bias"]), stride, padding)
    mean, variance, gamma, beta = (
        torch.from_numpy(arrays[f"{norm}/{name}"])
        for name in ("moving_mean", "moving_variance", "gamma", "beta")
    )
    return batch_norm(hidden, mean, variance, gamma, beta, eps=1e-3)
