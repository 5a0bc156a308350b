"""The slices that the timings run on: the default phantoms, made once a machine."""

from pathlib import Path

from torch import Tensor

from benchmarks.facts import OUT
from neuroscan.imaging.stored import read_slice_png
from neuroscan.network.bundle import Bundle
from neuroscan.network.preprocess import preprocess
from neuroscan.phantoms import write_phantoms


def pictures(folder: Path = OUT / "phantoms") -> list[bytes]:
    """The phantoms as PNG files' content."""
    if not list(folder.glob("*.png")):
        write_phantoms(folder)
    return [path.read_bytes() for path in sorted(folder.glob("*.png"))]


def tensors(bundle: Bundle) -> list[Tensor]:
    """The phantoms as the network takes them."""
    spec = bundle.description.preprocessing
    return [preprocess(read_slice_png(content), spec) for content in pictures()]
