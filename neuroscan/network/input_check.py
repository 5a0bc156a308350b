"""Does a slice look like those that the network was trained on? A distance in feature space.

The features are means and deviations of the channels of early layers. The distance has two halves,
as in Ndiour et al., "Out-of-distribution detection with subspace techniques and probabilistic
modeling of features", 2020: how unusual the slice is along the training slices' principal
components (Mahalanobis), and how much of it lies outside their span.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

_NAMES = ("mean", "scale", "components", "variance", "residual")


@dataclass(frozen=True)
class InputCheckModel:
    """Statistics of the training slices' features (D) in K principal components, all float32.

    `mean` and `scale` (D) standardize; `components` is (K, D) with orthonormal rows, `variance` (K)
    that of the training slices along them, `residual` (1) the mean squared length outside them.
    """

    mean: Tensor
    scale: Tensor
    components: Tensor
    variance: Tensor
    residual: Tensor

    @classmethod
    def fit(cls, features: Tensor, components: int) -> "InputCheckModel":
        """The statistics of features (N, D) with `components` principal components, K < min(N, D).

        Raises `ValueError` for more components than the features have.
        """
        if not 0 < components < min(features.shape):
            raise ValueError(f"{components} components can't be had from {tuple(features.shape)}")
        exact = features.double()
        mean = exact.mean(dim=0)
        scale = exact.std(dim=0, correction=0).clamp_min(1e-6)
        standard = (exact - mean) / scale
        _, singular, rows = torch.linalg.svd(standard, full_matrices=False)
        variance = singular.square() / len(features)
        return cls(
            mean=mean.float(),
            scale=scale.float(),
            components=rows[:components].float().contiguous(),
            variance=variance[:components].float(),
            residual=variance[components:].sum().reshape(1).float(),
        )

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> "InputCheckModel":
        """The statistics from a file's tensors; raises `ValueError` when their shapes don't fit."""
        if sorted(tensors) != sorted(_NAMES):
            raise ValueError(f"needs the tensors {', '.join(_NAMES)}, has {', '.join(tensors)}")
        model = cls(**{name: tensors[name].float() for name in _NAMES})
        count, width = model.components.shape
        shapes = {"mean": (width,), "scale": (width,), "variance": (count,), "residual": (1,)}
        for name, shape in shapes.items():
            if tensors[name].shape != shape:
                raise ValueError(f"{name} has the shape {tuple(tensors[name].shape)}, not {shape}")
        return model

    def tensors(self) -> dict[str, Tensor]:
        """The statistics by name, as `from_tensors` takes them."""
        return {name: getattr(self, name) for name in _NAMES}

    def to(self, device: torch.device) -> "InputCheckModel":
        """The same statistics on a device."""
        return InputCheckModel(
            **{name: tensor.to(device) for name, tensor in self.tensors().items()}
        )

    def score(self, features: Tensor) -> Tensor:
        """The distance (N) of features (N, D): about 1 for a training slice, larger is stranger.

        It is the root of the mean of two ratios, each 1 on average over the training slices: the
        squared Mahalanobis distance in the components over K, and the squared length outside them
        over its training mean.
        """
        standard = (features.float().to(self.mean.device) - self.mean) / self.scale
        inside = standard @ self.components.T
        outside = standard.square().sum(dim=1) - inside.square().sum(dim=1)
        unusual = (inside.square() / self.variance).mean(dim=1)
        foreign = outside.clamp_min(0) / self.residual
        return ((unusual + foreign) / 2).sqrt()
