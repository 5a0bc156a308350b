"""The plane classifier: calibrated logistic regressions over `plane_features`.

One tells axial, coronal and sagittal apart, one whether a sagittal head faces the left or the
right edge of the picture, one whether an axial slice lies at the base of the skull. The weights
lie in `plane.npz`, made by `python -m training.plane`. Free of pydantic and the contracts, since
`training` uses it too.

On the `patient` test part, read once (709 slices of 215 groups, each with its mirror image):
plane right on 99.6 % (axial 99.5, coronal 99.2, sagittal 100), 96.5 % of slices at a confidence
of 0.8 or more, of those 99.9 % right; facing right on 100 % of the figshare sagittal slices.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

PLANES = ("axial", "coronal", "sagittal")
WEIGHTS = Path(__file__).with_name("plane.npz")


@dataclass(frozen=True)
class PlaneModel:
    """Weights (features, 3) and (features,); temperatures come from validation slices.

    `base_labelled` is the share of slices at the skull's base that carry the label by which the
    third regression was taught (Elkan and Noto 2008).
    """

    weights: NDArray[np.float32]
    bias: NDArray[np.float32]
    temperature: float
    facing_weights: NDArray[np.float32]
    facing_bias: float
    facing_temperature: float
    base_weights: NDArray[np.float32]
    base_bias: float
    base_labelled: float

    @classmethod
    def load(cls, path: Path = WEIGHTS) -> Self:
        """Read the weights; never a pickle."""
        with np.load(path, allow_pickle=False) as stored:
            return cls(
                weights=stored["weights"].astype(np.float32),
                bias=stored["bias"].astype(np.float32),
                temperature=float(stored["temperature"]),
                facing_weights=stored["facing_weights"].astype(np.float32),
                facing_bias=float(stored["facing_bias"]),
                facing_temperature=float(stored["facing_temperature"]),
                base_weights=stored["base_weights"].astype(np.float32),
                base_bias=float(stored["base_bias"]),
                base_labelled=float(stored["base_labelled"]),
            )

    def save(self, path: Path) -> None:
        """Write the weights, in half precision."""
        np.savez_compressed(
            path,
            weights=self.weights.astype(np.float16),
            bias=self.bias,
            temperature=np.float64(self.temperature),
            facing_weights=self.facing_weights.astype(np.float16),
            facing_bias=np.float64(self.facing_bias),
            facing_temperature=np.float64(self.facing_temperature),
            base_weights=self.base_weights.astype(np.float16),
            base_bias=np.float64(self.base_bias),
            base_labelled=np.float64(self.base_labelled),
        )

    def probabilities(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Calibrated (…, 3), in the order of `PLANES`, for features (…, FEATURES)."""
        logits = (features @ self.weights + self.bias).astype(np.float64) / self.temperature
        shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
        result: NDArray[np.float64] = shifted / shifted.sum(axis=-1, keepdims=True)
        return result

    def faces_left(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Calibrated probability (…) that a sagittal head faces the picture's left edge."""
        logit = (features @ self.facing_weights + self.facing_bias).astype(np.float64)
        result: NDArray[np.float64] = 1 / (1 + np.exp(-logit / self.facing_temperature))
        return result

    def at_base(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Belief (…) that an axial slice passes through the skull's base (orbits, sella, pons).

        Learned from positive and unlabelled slices: a rough weight, not a calibrated probability.
        """
        logit = (features @ self.base_weights + self.base_bias).astype(np.float64)
        result: NDArray[np.float64] = np.clip(
            1 / (1 + np.exp(-logit)) / self.base_labelled, 0.0, 1.0
        )
        return result
