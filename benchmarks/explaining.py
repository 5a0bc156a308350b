"""`python -m benchmarks.explaining`: what an explanation costs beside one torch forward.

Ours against grad-cam and torch-cam, every method that both have at two layers, one thread, in
interleaved rounds on phantoms. All figures are whole explanations, the forward pass included; the
column `added` takes one torch forward off.
"""

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from pytorch_grad_cam import GradCAM, GradCAMPlusPlus, HiResCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor
from torchvision.models import ResNet

from benchmarks.facts import Verdict, interleaved, table, write
from benchmarks.slice_set import tensors
from neuroscan.network.bundle import Bundle
from neuroscan.settings import SHIPPED_BUNDLE
from services.explain.cam import explain

LAYERS = ("layer2[-1]", "layer3[-1]", "layer4[-1]")
OURS, GRAD_CAM, TORCH_CAM = "neuroscan", "grad-cam", "torch-cam"
_GRAD_CAM = {"hirescam": HiResCAM, "gradcam": GradCAM, "gradcam++": GradCAMPlusPlus}
_TARGET = 0
_FORWARD = "forward"


@dataclass(frozen=True)
class Row:
    """One way to one kind of map; `forwards` counts torch forwards that take as long."""

    layer: str
    method: str
    program: str
    ms: float
    forwards: float
    added: float


def main(words: list[str] | None = None) -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.explaining", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args(words)
    torch.set_num_threads(1)
    bundle = Bundle.read(SHIPPED_BUNDLE)
    model, slices = bundle.load_model(), tensors(bundle)
    # The others differentiate the parameters too; one that needs no gradient stops them.
    others = bundle.load_model().requires_grad_(requires_grad=True)
    rows = [
        row for layer in LAYERS for row in _rows(model, others, layer, slices[1], arguments.rounds)
    ]
    default = bundle.description.explanation
    taken = interleaved(
        {
            _FORWARD: lambda: _forward(model, slices[1]),
            OURS: lambda: explain(model, slices[1], _TARGET, default.method, default.layer),
        },
        arguments.rounds,
    )
    rows.append(_row(default.layer, default.method, OURS, taken))
    print("\n".join(table(rows)))
    verdicts = [_verdict(rows, "layer3[-1]", 0.4), _verdict(rows, "layer4[-1]", 0.05)]
    print(*(verdict.line() for verdict in verdicts), sep="\n")
    write("explaining", {"explaining": rows}, verdicts, vars(arguments))
    return 0


def _rows(model: ResNet, others: ResNet, layer: str, tensor: Tensor, rounds: int) -> Iterator[Row]:
    works: dict[str, Callable[[], object]] = {_FORWARD: lambda: _forward(model, tensor)}
    for method in _GRAD_CAM:
        works[f"{method} {OURS}"] = _ours(model, tensor, method, layer)
    taken = interleaved(works, rounds)
    for method in _GRAD_CAM:
        with _grad_cam(others, layer, method) as theirs:
            beside = interleaved(
                {_FORWARD: works[_FORWARD], GRAD_CAM: lambda run=theirs: run(tensor)},  # type: ignore[misc]
                rounds,
            )
        yield _row(layer, method, OURS, {**taken, OURS: taken[f"{method} {OURS}"]})
        yield _row(layer, method, GRAD_CAM, beside)
        if method != "hirescam":
            with _torch_cam(others, layer, method) as theirs:
                beside = interleaved(
                    {_FORWARD: works[_FORWARD], TORCH_CAM: lambda run=theirs: run(tensor)},  # type: ignore[misc]
                    rounds,
                )
            yield _row(layer, method, TORCH_CAM, beside)


def _row(layer: str, method: str, program: str, taken: dict[str, float]) -> Row:
    forward = taken[_FORWARD]
    return Row(
        layer=layer,
        method=method,
        program=program,
        ms=taken[program],
        forwards=taken[program] / forward,
        added=taken[program] / forward - 1,
    )


def _verdict(rows: list[Row], layer: str, target: float) -> Verdict:
    key = ("hirescam", layer, OURS)
    row = next(row for row in rows if (row.method, row.layer, row.program) == key)
    return Verdict(f"HiRes-CAM at {layer}, added to a forward", row.added, target, floor=False)


def _forward(model: ResNet, tensor: Tensor) -> Tensor:
    with torch.inference_mode():
        logits: Tensor = model(tensor)
    return logits


def _ours(model: ResNet, tensor: Tensor, method: str, layer: str) -> Callable[[], object]:
    return lambda: explain(model, tensor, _TARGET, method, layer)


@contextmanager
def _grad_cam(model: ResNet, layer: str, method: str) -> Iterator[Callable[[Tensor], object]]:
    with _GRAD_CAM[method](model=model, target_layers=[_block(model, layer)]) as cam:

        def run(tensor: Tensor) -> object:
            return cam(input_tensor=tensor, targets=[ClassifierOutputTarget(_TARGET)])

        yield run


@contextmanager
def _torch_cam(model: ResNet, layer: str, method: str) -> Iterator[Callable[[Tensor], object]]:
    from torchcam import methods  # noqa: PLC0415 - in the benchmarks' own environment only

    kind = methods.GradCAM if method == "gradcam" else methods.GradCAMpp
    with kind(model, target_layer=_block(model, layer)) as extractor:

        def run(tensor: Tensor) -> object:
            logits = model(tensor)
            return [np.asarray(found.cpu()) for found in extractor(_TARGET, logits)]

        yield run


def _block(model: ResNet, layer: str) -> torch.nn.Module:
    stage: torch.nn.Sequential = getattr(model, layer.partition("[")[0])
    return stage[-1]


if __name__ == "__main__":
    raise SystemExit(main())
