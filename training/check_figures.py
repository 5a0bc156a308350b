"""How well the input check tells brain MRI from other pictures."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from neuroscan.network.input_check import InputCheckModel
from training.evaluation import InputCheckFigures, KindTurnedAway
from training.metrics import Floats, auc, mean_estimate

READABLE = (".png", ".jpg", ".jpeg", ".webp")


def measure_input_check(
    check: InputCheckModel,
    threshold: float,
    slices: Tensor,
    weights: Floats,
    others: Mapping[str, Tensor],
    given: Sequence[tuple[str, Tensor]],
    skipped: Sequence[str],
) -> InputCheckFigures:
    """Rates and AUROC from features (N, D) of slices and of other pictures by kind and by file.

    `weights` (B, N) are the resamples of the slices.
    """
    distance = check.score(slices).double().numpy()
    kinds = {kind: check.score(features).double().numpy() for kind, features in others.items()}
    files = {name: check.score(features).double().numpy() for name, features in given}
    turned_away = [_turned_away(kind, far, threshold) for kind, far in kinds.items()]
    return InputCheckFigures(
        threshold=threshold,
        slices_turned_away=mean_estimate((distance > threshold).astype(np.float64), weights),
        pictures=sum(kind.pictures for kind in turned_away),
        pictures_turned_away=sum(kind.turned_away for kind in turned_away),
        auroc=_auroc(distance, list(kinds.values())),
        kinds=tuple(turned_away),
        given=tuple(_turned_away(name, far, threshold) for name, far in files.items()),
        given_auroc=_auroc(distance, list(files.values())) if files else None,
        skipped=tuple(skipped),
    )


def read_other(folder: Path) -> tuple[list[tuple[str, NDArray[np.uint8]]], list[str]]:
    """Pictures of a folder in gray, by file name, and the names of files of other formats.

    Both are empty when there is no such folder.
    """
    read, skipped = [], []
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        image = (
            cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) if path.suffix.lower() in READABLE else None
        )
        if image is None:
            skipped.append(path.name)
        else:
            read.append((path.name, np.asarray(image, dtype=np.uint8)))
    return read, skipped


def _turned_away(kind: str, distance: Floats, threshold: float) -> KindTurnedAway:
    return KindTurnedAway(
        kind=kind, pictures=len(distance), turned_away=int((distance > threshold).sum())
    )


def _auroc(slices: Floats, others: Sequence[Floats]) -> float:
    scores = np.concatenate([slices, *others])
    return float(auc(scores, np.arange(len(scores)) >= len(slices)))
