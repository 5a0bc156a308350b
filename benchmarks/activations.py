"""`python -m benchmarks.activations`: the most that keeping the first pass could win.

The network runs in the inference service and again in the explain worker. If the first pass left
its layers in the object store, the worker could take them from there. The bound is generous: every
layer that the worker wants of the slice comes for nothing but the way through the store. What stays
is the pass over the mirror image, which inference doesn't make. Times are one thread's.
"""

import argparse
import json
from dataclasses import dataclass

import numpy as np
import torch

from benchmarks.facts import OUT, interleaved, table, write
from benchmarks.slice_set import tensors
from neuroscan.network.bundle import Bundle
from neuroscan.network.layers import canonical
from neuroscan.network.onnx_session import OnnxSession
from neuroscan.settings import SHIPPED_BUNDLE
from services.explain.segment import and_mirrored

# What the gain must be, as a share of POST-to-completed.
WORTH = 0.10


@dataclass(frozen=True)
class Bound:
    """Parts in ms; `kib` is the size of the layers in float16, `gain_ms` below 0 is a loss."""

    both_ms: float
    mirror_alone_ms: float
    saved_ms: float
    kib: float
    packing_ms: float
    store_ms: float
    gain_ms: float
    completed_ms: float
    gain_share: float


def main(words: list[str] | None = None) -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.activations", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--store-ms", type=float, default=20.0, help="one way to or from the store")
    parser.add_argument("--completed-ms", type=float, help="POST to completed; else the pipeline's")
    arguments = parser.parse_args(words)
    completed = arguments.completed_ms or _completed_ms()
    found = bound(arguments.rounds, arguments.store_ms, completed)
    print("\n".join(table([found])))
    print(f"gain of POST-to-completed at most {found.gain_share:.1%}; worth it from {WORTH:.0%} on")
    write("activations", {"bound": [found]}, [], vars(arguments))
    return 0


def bound(rounds: int, store_ms: float, completed_ms: float) -> Bound:
    """The parts and what they come to."""
    torch.set_num_threads(1)
    bundle = Bundle.read(SHIPPED_BUNDLE)
    description, model = bundle.description, bundle.load_model()
    assert description.segmentation is not None
    named = (*description.explanation.layer.split("+"), *description.segmentation.shape.layers)
    layers = tuple(dict.fromkeys(canonical(model, layer) for layer in named))
    session = OnnxSession(model, features=(), outputs=layers, threads=1)
    one = tensors(bundle)[1]
    both = and_mirrored(one)
    outputs = session.outputs_of(one.numpy(), layers)
    packed = _pack(outputs)
    taken = interleaved(
        {
            "both": lambda: session.outputs_of(both.numpy(), layers),
            "mirror": lambda: session.outputs_of(both[1:].numpy(), layers),
            "packing": lambda: _unpack(_pack(outputs), outputs),
        },
        rounds,
        calls=3,
    )
    saved = taken["both"] - taken["mirror"]
    gain = saved - taken["packing"] - 2 * store_ms
    return Bound(
        both_ms=taken["both"],
        mirror_alone_ms=taken["mirror"],
        saved_ms=saved,
        kib=len(packed) / 1024,
        packing_ms=taken["packing"],
        store_ms=2 * store_ms,
        gain_ms=gain,
        completed_ms=completed_ms,
        gain_share=gain / completed_ms,
    )


def _pack(outputs: tuple[np.ndarray[tuple[int, ...], np.dtype[np.float32]], ...]) -> bytes:
    return b"".join(output.astype(np.float16).tobytes() for output in outputs)


def _unpack(
    content: bytes, like: tuple[np.ndarray[tuple[int, ...], np.dtype[np.float32]], ...]
) -> list[np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
    flat = np.frombuffer(content, np.float16).astype(np.float32)
    ends = np.cumsum([output.size for output in like])
    return [
        part.reshape(output.shape)
        for part, output in zip(np.split(flat, ends[:-1]), like, strict=True)
    ]


def _completed_ms() -> float:
    """The median that `benchmarks.pipeline` has found, one scan at a time."""
    content = json.loads((OUT / "pipeline.json").read_text(encoding="utf-8"))
    rows = [row for rows in content["tables"].values() for row in rows]
    return next(
        float(row["p50_ms"])
        for row in rows
        if row.get("load") == "one at a time" and "p50_ms" in row
    )


if __name__ == "__main__":
    raise SystemExit(main())
