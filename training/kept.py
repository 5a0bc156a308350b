"""The network's answers, kept on disk by what they answer, so that a second run is quick."""

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor


class Kept:
    """Pairs of tensors in a folder. A file's name has the hash of weights, name and inputs."""

    def __init__(self, folder: Path, weights_sha256: str) -> None:
        self._folder = folder
        self._weights = weights_sha256

    def pair(
        self, name: str, of: object, compute: Callable[[], tuple[Tensor, Tensor]]
    ) -> tuple[Tensor, Tensor]:
        """The pair kept for `name` and `of` (any JSON value), else what `compute` gives, kept."""
        key = json.dumps([self._weights, name, list(of) if isinstance(of, range) else of])
        digest = hashlib.sha256(key.encode()).hexdigest()[:16]
        path = self._folder / f"{re.sub(r'[^a-z0-9]+', '-', name.lower())}-{digest}.safetensors"
        if path.is_file():
            tensors: dict[str, Tensor] = load_file(path)
            return tensors["first"], tensors["second"]
        first, second = compute()
        self._folder.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".new")
        save_file({"first": first.contiguous(), "second": second.contiguous()}, draft)
        draft.replace(path)
        return first, second
