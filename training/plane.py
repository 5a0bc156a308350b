"""Fit the spatial worker's plane classifier: `python -m training.plane --data DIR --out FILE`.

Labels: the manifest's `plane`, and for BRISC slices the plane that their file names state
(`_ax_`, `_co_`, `_sa_`). Trained on the `patient` training part, each slice beside its mirror
image; temperatures from the validation part; the test part is read once, for the printed figures.
The facing of sagittal heads is learned from figshare slices, which all face left unless mirrored.
Axial slices at the skull's base have no label of their own; axial slices of pituitary tumors are
such slices, so they teach it against all other axial ones (positive and unlabelled: Elkan and
Noto 2008).
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from services.spatial.head import head_mask, working_raster
from services.spatial.plane_features import plane_features
from services.spatial.plane_model import PLANES, PlaneModel
from training.data import DataPacks


@dataclass(frozen=True)
class Examples:
    """Features (n, FEATURES), planes (n,) as indices; facing +1 left, -1 right, 0 not known."""

    features: NDArray[np.float32]
    planes: NDArray[np.int64]
    facing: NDArray[np.int64]
    groups: NDArray[np.str_]
    pituitary: NDArray[np.bool_]


def main() -> None:
    """Fit, print the accuracy of every part, write the weights."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="the unpacked data's folder")
    parser.add_argument("--out", type=Path, required=True, help="the .npz to write")
    options = parser.parse_args()
    train, validation, test = (
        load_examples(options.data, split) for split in ("train", "val", "test")
    )
    model = fit(train, validation)
    model.save(options.out)
    stored = PlaneModel.load(options.out)
    for name, part in (("train", train), ("validation", validation), ("test", test)):
        print(f"{name:10s} {summary(stored, part)}")


def load_examples(data: Path, split: str) -> Examples:
    """Every labelled slice of a `patient` part, each followed by its mirror image."""
    features, planes, facing, groups, pituitary = [], [], [], [], []
    with DataPacks(data) as packs:
        sources = {row["path"]: row["source"] for row in packs.rows()}
        for picture in packs.patient_split(split):
            plane = picture.plane
            if plane is None:
                continue
            raster = working_raster(packs.pixels(picture))
            head = head_mask(raster.pixels)
            if head is None:
                continue
            faces = -1 if picture.mirrored else 1
            known = sources[picture.path] == "figshare" and plane == "sagittal"
            for flip in (False, True):
                image = np.ascontiguousarray(raster.pixels[:, ::-1]) if flip else raster.pixels
                mask = np.ascontiguousarray(head[:, ::-1]) if flip else head
                features.append(plane_features(image, mask))
                planes.append(PLANES.index(plane))
                facing.append((-faces if flip else faces) if known else 0)
                groups.append(picture.group)
                pituitary.append(picture.label == "pituitary")
    return Examples(
        np.stack(features),
        np.asarray(planes),
        np.asarray(facing),
        np.asarray(groups, np.str_),
        np.asarray(pituitary),
    )


def fit(train: Examples, validation: Examples) -> PlaneModel:
    """Three regressions with L2 penalty; what calibrates them comes from the validation part."""
    planes = LogisticRegression(C=0.05, max_iter=500).fit(train.features, train.planes)
    known = train.facing != 0
    facing = LogisticRegression(C=0.05, max_iter=500).fit(
        train.features[known], train.facing[known]
    )
    axial = train.planes == PLANES.index("axial")
    base = LogisticRegression(C=0.02, max_iter=500).fit(
        train.features[axial], train.pituitary[axial]
    )
    positive = (validation.planes == PLANES.index("axial")) & validation.pituitary
    plane_logits = validation.features @ planes.coef_.T + planes.intercept_
    known = validation.facing != 0
    facing_logits = validation.features[known] @ facing.coef_[0] + facing.intercept_[0]
    two_sided = np.stack([np.zeros_like(facing_logits), facing_logits], axis=1)
    return PlaneModel(
        weights=planes.coef_.T.astype(np.float32),
        bias=planes.intercept_.astype(np.float32),
        temperature=best_temperature(plane_logits, validation.planes),
        facing_weights=facing.coef_[0].astype(np.float32),
        facing_bias=float(facing.intercept_[0]),
        facing_temperature=best_temperature(
            two_sided, (validation.facing[known] > 0).astype(np.int64)
        ),
        base_weights=base.coef_[0].astype(np.float32),
        base_bias=float(base.intercept_[0]),
        base_labelled=float(base.predict_proba(validation.features[positive])[:, 1].mean()),
    )


def best_temperature(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """The temperature of least cross-entropy (Guo et al. 2017), not below 1: few groups."""
    candidates = np.geomspace(1, 10, 91)
    losses = []
    for temperature in candidates:
        scaled = logits / temperature
        top = scaled.max(axis=1)
        log_sum = top + np.log(np.exp(scaled - top[:, None]).sum(axis=1))
        losses.append(float(np.mean(log_sum - scaled[np.arange(len(labels)), labels])))
    return float(candidates[int(np.argmin(losses))])


def summary(model: PlaneModel, part: Examples) -> str:
    """Accuracy of plane (a class each) and facing, mean confidence, slices and groups."""
    probabilities = model.probabilities(part.features)
    right = probabilities.argmax(axis=1) == part.planes
    by_plane = " ".join(
        f"{name} {right[part.planes == index].mean():.4f} ({(part.planes == index).sum() // 2})"
        for index, name in enumerate(PLANES)
    )
    known = part.facing != 0
    faces = (model.faces_left(part.features[known]) > 0.5) == (part.facing[known] > 0)
    axial = part.planes == PLANES.index("axial")
    base = model.at_base(part.features)
    sure = probabilities.max(axis=1) >= 0.8
    return (
        f"plane {right.mean():.4f} [{by_plane}] mean confidence "
        f"{probabilities.max(axis=1).mean():.4f}; at 0.8 or more: {sure.mean():.4f} of slices, "
        f"{right[sure].mean():.4f} right; facing {faces.mean():.4f}; "
        f"skull base: {base[axial & part.pituitary].mean():.2f} on axial pituitary slices, "
        f"{base[axial & ~part.pituitary].mean():.2f} on other axial ones "
        f"({len(right) // 2} slices, {len(set(part.groups.tolist()))} groups)"
    )


if __name__ == "__main__":
    main()
