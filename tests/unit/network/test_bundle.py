"""Bundles: what is read, and every way in which one is refused."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from neuroscan.network.bundle import Bundle, BundleError, read_network
from neuroscan.network.model import CLASSES
from neuroscan.settings import SHIPPED_BUNDLE as SHIPPED

Change = Callable[[dict[str, Any]], object]


@pytest.fixture
def altered(tmp_path: Path) -> Callable[[Change], Path]:
    """A copy of the shipped bundle whose description a test changes."""

    def alter(change: Change) -> Path:
        content = json.loads((SHIPPED / "bundle.json").read_text())
        for file in (content["weights"], content["input_check"]["file"]):
            (tmp_path / file).symlink_to(SHIPPED / file)
        change(content)
        (tmp_path / "bundle.json").write_text(json.dumps(content))
        return tmp_path

    return alter


def test_the_shipped_bundle_loads_frozen_in_full_precision_and_eval_mode() -> None:
    bundle = Bundle.read(SHIPPED)
    model = bundle.load_model()
    assert bundle.description.classes == CLASSES
    assert not model.training
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert bundle.load_input_check().components.shape[1] == 2 * (256 + 512)
    assert bundle.version
    assert bundle.code.startswith("neuroscan ")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(schema_version=2), "schema_version 2; this code reads 1"),
        (lambda c: c.update(surprise=1), "bundle has unknown fields: surprise"),
        (lambda c: c.pop("calibration"), "bundle lacks: calibration"),
        (lambda c: c["conformal"].pop("threshold"), "bundle.conformal lacks: threshold"),
        (lambda c: c["conformal"].update(kind="other"), "bundle.conformal: only the kind 'lac'"),
        (lambda c: c["calibration"].update(temperature=0), "temperature must be above 0"),
        (lambda c: c["calibration"].update(temperature="1"), "temperature must be float"),
        (lambda c: c["calibration"].update(temperature=True), "temperature must be float"),
        (lambda c: c["calibration"].update(n=1.5), "bundle.calibration.n must be int"),
        (lambda c: c["explanation"].update(method="lime"), "method must be one of hirescam"),
        (lambda c: c["preprocessing"].update(mean=[0.5]), "preprocessing.mean must have 3 items"),
        (lambda c: c.update(classes=CLASSES[::-1]), "the order must be"),
        (lambda c: c.update(architecture="vit"), "describes another network: 'vit'"),
        (lambda c: c.update(weights="../weights.safetensors"), "names a file outside its folder"),
        (lambda c: c["input_check"].update(file="/etc/passwd"), "names a file outside its folder"),
        (lambda c: c.update(metrics=[]), "bundle.metrics must be an object"),
    ],
)
def test_a_wrong_description_is_refused_with_the_field(
    altered: Callable[[Change], Path], change: Change, message: str
) -> None:
    with pytest.raises(BundleError, match=message):
        Bundle.read(altered(change))


def test_altered_weights_are_refused(altered: Callable[[Change], Path]) -> None:
    bundle = Bundle.read(altered(lambda c: c.update(sha256="0" * 64)))
    with pytest.raises(BundleError, match="SHA-256 differs"):
        bundle.load_model()


def test_missing_weights_are_refused(altered: Callable[[Change], Path]) -> None:
    bundle = Bundle.read(altered(lambda c: c.update(weights="gone.safetensors")))
    with pytest.raises(BundleError, match=r"gone\.safetensors is missing"):
        bundle.load_model()


def test_weights_that_are_no_safetensors_are_refused(
    altered: Callable[[Change], Path],
) -> None:
    # A pickle with a matching hash must be refused as well, never opened.
    content = b"\x80\x04."
    digest = hashlib.sha256(content).hexdigest()
    folder = altered(lambda c: c.update(weights="weights.pt", sha256=digest))
    (folder / "weights.pt").write_bytes(content)
    with pytest.raises(BundleError, match=r"weights\.pt can't be read"):
        Bundle.read(folder).load_model()


def test_an_unknown_layer_is_refused(altered: Callable[[Change], Path]) -> None:
    folder = altered(lambda c: c["explanation"].update(layer="layer9[0]"))
    with pytest.raises(BundleError, match=r"layer9\[0\]"):
        Bundle.read(folder).load_model()


def test_statistics_of_another_shape_are_refused(altered: Callable[[Change], Path]) -> None:
    def swap(content: dict[str, Any]) -> None:
        content["input_check"].update(file=content["weights"], sha256=content["sha256"])

    folder = altered(swap)
    with pytest.raises(BundleError, match="needs the tensors mean, scale, components"):
        Bundle.read(folder).load_input_check()


@pytest.mark.parametrize("content", ["", "{", "[]", "null"])
def test_a_file_that_is_no_description_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "bundle.json").write_text(content)
    with pytest.raises(BundleError, match=r"bundle\.json"):
        Bundle.read(tmp_path)
    with pytest.raises(BundleError, match="can't be read"):
        Bundle.read(tmp_path / "nowhere")


def test_the_first_half_reads_without_the_second(altered: Callable[[Change], Path]) -> None:
    def strip(content: dict[str, Any]) -> None:
        for name in ("calibration", "conformal", "explanation", "input_check", "metrics", "code"):
            del content[name]

    folder = altered(strip)
    assert read_network(folder).name == Bundle.read(SHIPPED).description.name
    with pytest.raises(BundleError, match="lacks"):
        Bundle.read(folder)
