"""`python -m training calibrate`: fit the second half of a bundle and write it.

All on the split that the bundle was trained on. On the validation part, changed at random:
temperature and conformal threshold. On it as it is: the input check's threshold, and how well the
maps agree with annotated tumors. On the training part: the input check's statistics. The test part
is not read: `evaluate` measures it.
"""

import argparse
import dataclasses
import hashlib
import json
import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save
from torchvision.models import ResNet

from neuroscan import __version__
from neuroscan.network.bundle import (
    DESCRIPTION_FILE,
    METHODS,
    Bundle,
    Calibration,
    Conformal,
    Description,
    Explanation,
    InputCheckSpec,
    Network,
    read_network,
)
from neuroscan.network.conformal import LAC, prediction_set
from neuroscan.network.input_check import InputCheckModel
from training.agreement import FRACTIONS, Agreement, chance, measure_agreement
from training.cache import load_slices
from training.changed import DRAWS, Changed, observe_changed
from training.data import Picture, sample_evenly
from training.figures import readable
from training.fit import class_threshold, log_loss, probabilities, temperature_for_others
from training.folders import Source, open_source
from training.not_mri import all_pictures, not_mri
from training.observe import Observations, observe, run
from training.own_split import own_validation, split_of

COVERAGE = 0.95
CHECK_FILE = "input_check.safetensors"
# Of one to three stages together and 16 to 128 components, these keep made pictures (`not_mri`) as
# far from MRI as the best do, to 2 %.
CHECK_LAYERS = ("layer1[-1]", "layer2[-1]")
CHECK_COMPONENTS = 64
# The share of validation slices that the threshold accepts. All made pictures, also those of
# `other_pictures` (seed 7, eight a kind), lie beyond it. It was 0.99 until that was seen to turn
# away 29 of the 849 test slices.
CHECK_ACCEPTED = 0.997
AGREEMENT_LAYERS = ("layer2[-1]", "layer3[-1]", "layer4[-1]")
JUNK_EACH = 25
_UNMEASURED = Explanation(
    method="hirescam",
    layer="layer3[-1]",
    region_threshold=0.5,
    reason="No validation slice has an annotated tumor: nothing measured chose this map.",
)

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("--bundle", type=Path, required=True, help="folder of the bundle")
    parser.add_argument("--data", type=Path, required=True, help="folder of the data")
    parser.add_argument("--threads", type=int, default=2, help="torch's threads (default 2)")
    parser.add_argument(
        "--maps", type=int, default=160, help="validation slices whose maps are compared"
    )
    parser.add_argument(
        "--only-probabilities",
        action="store_true",
        help="temperature and prediction sets alone; all else of a whole bundle stays",
    )
    parser.add_argument("--version", help="the bundle's version from now on")


def main(arguments: argparse.Namespace) -> None:
    """Fit, measure, and write `bundle.json` and the input check's statistics.

    Raises `BundleError` and `DataError`.
    """
    torch.set_num_threads(arguments.threads)
    folder: Path = arguments.bundle
    if arguments.only_probabilities:
        _fit_probabilities(folder, arguments.data, arguments.version)
        return
    network = read_network(folder)
    network = dataclasses.replace(network, version=arguments.version or network.version)
    model = network.load(folder)
    split = split_of(network)
    with open_source(arguments.data) as source:
        pictures = own_validation(folder, network, source)
        val = _observe(model, network, source, pictures, CHECK_LAYERS)
        train = _observe(model, network, source, source.part(split, "train"), CHECK_LAYERS)
        explanation, maps = _explanation(model, network, source, pictures, arguments.maps)
        changed = _observe_changed(model, network, source, pictures)
    calibration, conformal = _probabilities(changed, network.classes, split)
    check, spec = _input_check(train, val, split)
    _, junk = run(
        model, network.preprocessing, CHECK_LAYERS, all_pictures(not_mri(seed=7, each=JUNK_EACH))
    )
    accepted_junk = int((check.score(junk) <= spec.threshold).sum())
    description = Description(
        **{field.name: getattr(network, field.name) for field in dataclasses.fields(network)},
        code=f"neuroscan {__version__}, python -m training calibrate",
        calibration=calibration,
        conformal=conformal,
        explanation=explanation,
        input_check=spec,
        metrics={
            "split": split,
            "val": _metrics(val, network.classes, calibration.temperature, conformal, check, spec),
            "input_check": {"junk_pictures": len(junk), "junk_accepted": accepted_junk},
            **({"maps": maps} if maps else {}),
        },
    )
    _write(folder, {CHECK_FILE: save(check.tensors()), DESCRIPTION_FILE: _described(description)})


def choose_explanation(agreements: list[Agreement]) -> Explanation:
    """The best region among the methods and layers whose peaks lie in the tumor most often.

    Pointing accuracies within one standard error of the best count as equal (the one-standard-error
    rule of Breiman et al., 1984); among these the largest Dice coefficient decides. At `layer4[-1]`
    HiRes-CAM is Grad-CAM under another name, so it is left out there.
    """
    own = [a for a in agreements if (a.method, a.layer) != ("hirescam", "layer4[-1]")]
    most = max(one.pointing for one in own)
    error = math.sqrt(most * (1 - most) / own[0].n)
    equal = [one for one in own if one.pointing >= most - error]
    best = max(equal, key=lambda agreement: (agreement.region_dice, agreement.pointing))
    return Explanation(
        method=best.method,
        layer=best.layer,
        region_threshold=best.fraction,
        reason=(
            f"Of {len(own)} pairs of method and layer, {len(equal)} point at the annotated tumor "
            f"most often, as far as {best.n} validation slices can tell (peak inside in "
            f"{most:.0%}, less one standard error at most); among these, this one (peak inside in "
            f"{best.pointing:.0%}) has the best region: mean Dice coefficient "
            f"{best.region_dice:.2f} at this share of the map's maximum, the largest of "
            f"{', '.join(map(str, FRACTIONS))} whose Dice is within a twentieth of the best. "
            "HiRes-CAM at layer4[-1] is left out, since there it is Grad-CAM."
        ),
    )


def map_figures(agreements: list[Agreement]) -> dict[str, object]:
    """Pointing game and Dice of every method and layer, as the bundle keeps them."""
    return {
        "slices": agreements[0].n,
        "part": "val, with a mask, explaining the network's own answer",
        "pointing": {f"{a.method} {a.layer}": round(a.pointing, 4) for a in agreements},
        "dice": {
            f"{a.method} {a.layer} at {a.fraction}": round(a.region_dice, 4) for a in agreements
        },
    }


def _observe(
    model: ResNet,
    network: Network,
    source: Source,
    pictures: Sequence[Picture],
    layers: tuple[str, ...],
) -> Observations:
    log.info("%d slices of the part %s", len(pictures), pictures[0].part)
    return observe(model, network.preprocessing, layers, source, pictures, network.classes)


def _explanation(
    model: ResNet, network: Network, source: Source, pictures: Sequence[Picture], count: int
) -> tuple[Explanation, dict[str, object]]:
    """The default map and what chose it; without annotated tumors one that nothing measured."""
    annotated = sample_evenly([each for each in pictures if each.mask is not None], count)
    if not annotated:
        return _UNMEASURED, {}
    combinations = [(method, layer) for layer in AGREEMENT_LAYERS for method in METHODS]
    log.info("maps: %d slices, %d pairs of method and layer", len(annotated), len(combinations))
    found = measure_agreement(model, network.preprocessing, source, annotated, combinations)
    for agreement in found:
        log.info("%s", agreement)
    return choose_explanation(found), {**map_figures(found), **chance(source, annotated)}


def _fit_probabilities(folder: Path, data: Path, version: str | None) -> None:
    """Temperature and sets of a whole bundle anew; figures of the test part go, `card` has them."""
    bundle = Bundle.read(folder)
    old, check = bundle.description, bundle.load_input_check()
    model = bundle.load_model()
    with open_source(data) as source:
        pictures = own_validation(folder, old, source)
        val = _observe(model, old, source, pictures, old.input_check.layers)
        changed = _observe_changed(model, old, source, pictures)
    calibration, conformal = _probabilities(changed, old.classes, split_of(old))
    figures = _metrics(val, old.classes, calibration.temperature, conformal, check, old.input_check)
    kept = {key: old.metrics[key] for key in ("maps", "segmentation") if key in old.metrics}
    description = dataclasses.replace(
        old,
        version=version or old.version,
        calibration=calibration,
        conformal=conformal,
        metrics={"val": figures, **kept},
    )
    _write(folder, {DESCRIPTION_FILE: _described(description)})


def _observe_changed(
    model: ResNet, network: Network, source: Source, pictures: Sequence[Picture]
) -> Changed:
    slices = load_slices(source, pictures, network.preprocessing)
    return observe_changed(model, slices, network.preprocessing)


def _probabilities(
    changed: Changed, classes: tuple[str, ...], split: str
) -> tuple[Calibration, Conformal]:
    fitted_on = f"{split}, val, every slice changed at random {DRAWS} times, less than in training"
    temperature = temperature_for_others(changed.logits, changed.labels, changed.groups)
    shares = probabilities(changed.logits, temperature)
    true_share = shares[np.arange(len(shares)), changed.labels]
    threshold, heard = class_threshold(true_share, changed.labels, changed.groups, COVERAGE)
    names = ", ".join(readable(classes[index]) for index in heard) or "none"
    return (
        Calibration(temperature=temperature, split=fitted_on, n=len(changed.labels)),
        Conformal(
            coverage=COVERAGE,
            threshold=threshold,
            kind=LAC,
            split=(
                f"{fitted_on}; one vote a group; the lowest of the thresholds for all slices and "
                f"for each class with enough groups ({names})"
            ),
            groups=len(set(changed.groups)),
        ),
    )


def _input_check(
    train: Observations, val: Observations, split: str
) -> tuple[InputCheckModel, InputCheckSpec]:
    check = InputCheckModel.fit(train.features, CHECK_COMPONENTS)
    threshold = float(np.quantile(check.score(val.features).numpy(), CHECK_ACCEPTED))
    return check, InputCheckSpec(
        file=CHECK_FILE,
        sha256=hashlib.sha256(save(check.tensors())).hexdigest(),
        layers=CHECK_LAYERS,
        threshold=threshold,
        fitted_on=(
            f"statistics: {split}, train ({len(train.labels)} slices); threshold: the "
            f"{CHECK_ACCEPTED:.1%} quantile of {split}, val, a share that was settled after "
            "seeing how many test slices 99% turns away"
        ),
    )


def _metrics(
    seen: Observations,
    classes: tuple[str, ...],
    temperature: float,
    conformal: Conformal,
    check: InputCheckModel,
    spec: InputCheckSpec,
) -> dict[str, object]:
    shares = probabilities(seen.logits, temperature)
    answers = shares.argmax(axis=1)
    sets = [prediction_set(row.tolist(), conformal.threshold) for row in shares]
    covered = [label in chosen for label, chosen in zip(seen.labels, sets, strict=True)]
    turned_away = check.score(seen.features) > spec.threshold
    confusion = np.zeros((len(classes), len(classes)), dtype=int)
    np.add.at(confusion, (seen.labels, answers), 1)
    return {
        "slices": len(seen.labels),
        "groups": len(set(seen.groups)),
        "accuracy": round(float((answers == seen.labels).mean()), 4),
        "recall": {
            name: round(float((answers[seen.labels == index] == index).mean()), 4)
            for index, name in enumerate(classes)
        },
        "confusion": confusion.tolist(),
        "log_loss": round(log_loss(seen.logits, seen.labels, temperature), 4),
        "log_loss_unscaled": round(log_loss(seen.logits, seen.labels, 1.0), 4),
        "set_coverage": round(float(np.mean(covered)), 4),
        "set_size": round(float(np.mean([len(chosen) for chosen in sets])), 3),
        "turned_away": int(turned_away.sum()),
    }


def _described(description: Description) -> bytes:
    text = json.dumps(dataclasses.asdict(description), indent=2, ensure_ascii=False) + "\n"
    return text.encode()


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    """All at the end and each at once, so that a running service never reads a half."""
    for name, new in files.items():
        draft = folder / f".{name}.new"
        draft.write_bytes(new)
        draft.replace(folder / name)
    log.info("wrote %s", folder / DESCRIPTION_FILE)
