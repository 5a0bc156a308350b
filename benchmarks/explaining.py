"""`python -m benchmarks.explaining`: what an explanation costs beside one torch forward.

Ours against grad-cam and torch-cam, each method at three layers, in interleaved rounds on a slice,
one thread. Times are that thread's own (CPU time), so that other programs on the machine don't
count. All figures are whole explanations, the forward pass included; the column `added` takes one
torch forward off.
"""

import argparse
import time
from collections.abc import Callable, Iterator
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
        clock=time.process_time,
    )
    rows.append(_row(default.layer, default.method, OURS, taken))
    print("\n".join(table(rows)))
    verdicts = [_verdict(rows, "layer3[-1]", 0.4), _verdict(rows, "layer4[-1]", 0.05)]
    print(*(verdict.line() for verdict in verdicts), sep="\n")
    write("explaining", {"explaining": rows}, verdicts, vars(arguments))
    return 0


def _rows(model: ResNet, others: ResNet, layer: str, tensor: Tensor, rounds: int) -> Iterator[Row]:
    works: dict[tuple[str, str], Callable[[], object]] = {}
    for method in _GRAD_CAM:
        works[method, OURS] = _ours(model, tensor, method, layer)
        works[method, GRAD_CAM] = _grad_cam(others, tensor, method, layer)
        # torch-cam has no HiRes-CAM.
        if method != "hirescam":
            works[method, TORCH_CAM] = _torch_cam(others, tensor, method, layer)
    named = {f"{method} {program}": work for (method, program), work in works.items()}
    taken = interleaved(
        {_FORWARD: lambda: _forward(model, tensor), **named}, rounds, clock=time.process_time
    )
    for method, program in works:
        ms = taken[f"{method} {program}"]
        yield _row(layer, method, program, {_FORWARD: taken[_FORWARD], program: ms})


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


def _grad_cam(model: ResNet, tensor: Tensor, method: str, layer: str) -> Callable[[], object]:
    def run() -> object:
        # Made anew for each call: hooks of a kept one would run in the others' turns.
        with _GRAD_CAM[method](model=model, target_layers=[_block(model, layer)]) as cam:
            return cam(input_tensor=tensor, targets=[ClassifierOutputTarget(_TARGET)])

    return run


def _torch_cam(model: ResNet, tensor: Tensor, method: str, layer: str) -> Callable[[], object]:
    from torchcam import methods  # noqa: PLC0415 - in the benchmarks' own environment only

    kind = methods.GradCAM if method == "gradcam" else methods.GradCAMpp

    def run() -> object:
        with kind(model, target_layer=_block(model, layer)) as extractor:
            logits = model(tensor)
            return [np.asarray(found.cpu()) for found in extractor(_TARGET, logits)]

    return run


def _block(model: ResNet, layer: str) -> torch.nn.Module:
    stage: torch.nn.Sequential = getattr(model, layer.partition("[")[0])
    return stage[-1]


if __name__ == "__main__":
    raise SystemExit(main())
