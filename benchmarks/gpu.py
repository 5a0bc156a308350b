"""`python -m benchmarks.gpu`: the GPU engine; without a CUDA device one line says so.

The network alone needs torch, torchvision, numpy and safetensors; the batcher and HTTP need what
the inference service needs, and are left out, with a line, where that is not installed. Slices are
made here, 512 px wide; `--data` compares the answers on the patient split's test part instead.
"""

import argparse
import importlib.util
import io
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from benchmarks.answers import Pixels, answers_of, difference, test_part
from benchmarks.facts import Verdict, interleaved, table, write
from neuroscan.network.bundle import Bundle
from services.inference.bucket_engine import BUCKETS, BucketEngine
from services.inference.engine import Prediction, TorchEngine

BUNDLE = Path(__file__).resolve().parent.parent / "models" / "transfer"
# The largest differences from fp32 on the CPU that are allowed, of a class probability and of the
# distance as a share of it.
ALLOWED = {"float32": (1e-4, 1e-4), "bfloat16": (2e-2, 2e-2), "float16": (5e-3, 1e-2)}
PRECISIONS = tuple(ALLOWED)
SERVICE = ("pydantic", "pydantic_settings", "fastapi", "uvicorn", "prometheus_client", "structlog")
BARE_TARGET, FED_TARGET, HTTP_TARGET_MS = 6000.0, 0.8, 8.0
_LARGEST = BUCKETS[-1]
_CALLERS = 4


@dataclass(frozen=True)
class Speed:
    """The engine alone on prepared slices."""

    precision: str
    graphs: bool
    batch: int
    ms: float
    per_second: float


@dataclass(frozen=True)
class Agreement:
    """The largest differences from fp32 on the CPU over so many slices."""

    precision: str
    slices: int
    probability: float
    distance_share: float
    other_label: int
    other_acceptance: int


@dataclass(frozen=True)
class Fed:
    """The batcher in process, at full batches; `decoded` slices are not on the device yet."""

    slices: str
    per_second: float
    over_bare: float


@dataclass(frozen=True)
class Single:
    """One client, one slice after the other, over HTTP."""

    requests: int
    p50_ms: float
    p99_ms: float


def main(words: list[str] | None = None) -> int:
    """Measure what can be measured here, print, write; 1 when answers differ by too much."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--bundle", type=Path, default=BUNDLE)
    parser.add_argument("--data", type=Path, help="folder with manifest.csv")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=5.0, help="length of a turn")
    arguments = parser.parse_args(words)
    if not torch.cuda.is_available():
        print("no GPU here: nothing of it is measured")
        write("gpu", {}, [], {"gpu": None})
        return 0
    bundle = Bundle.read(arguments.bundle)
    speeds = [
        speed
        for precision in PRECISIONS
        for graphs in (False, True)
        for speed in _speeds(bundle, precision, arguments.rounds, graphs=graphs)
    ]
    print(torch.cuda.get_device_name(), f"torch {torch.__version__}", *table(speeds), sep="\n")
    agreements = _agreements(bundle, arguments.data)
    print("", *table(agreements), sep="\n")
    within = all(
        row.probability <= ALLOWED[row.precision][0]
        and row.distance_share <= ALLOWED[row.precision][1]
        for row in agreements
    )
    print(f"within {ALLOWED}: {'yes' if within else 'NO'}")
    chosen = BucketEngine(bundle, "cuda", 1).precision
    bare = next(
        row.per_second
        for row in speeds
        if (row.precision, row.graphs, row.batch) == (chosen, True, _LARGEST)
    )
    verdicts = [Verdict("GPU: bare, slices a second over 6,000", bare / BARE_TARGET, 1, floor=True)]
    fed: list[Fed] = []
    single: list[Single] = []
    missing = [name for name in SERVICE if importlib.util.find_spec(name) is None]
    if missing:
        print(f"batcher and HTTP are left out: not installed here: {', '.join(missing)}")
    else:
        fed = list(_fed(bundle, bare, arguments.seconds))
        single = [_over_http(arguments.seconds)]
        print("", *table(fed), "", *table(single), sep="\n")
        verdicts += [
            Verdict("GPU: batcher over bare, batch 64", fed[0].over_bare, FED_TARGET, floor=True),
            Verdict(
                "GPU: a slice over HTTP, p50 over 8 ms",
                single[0].p50_ms / HTTP_TARGET_MS,
                1,
                floor=False,
            ),
        ]
    print(*(verdict.line() for verdict in verdicts), sep="\n")
    write(
        "gpu",
        {"speed": speeds, "agreement": agreements, "fed": fed, "http": single},
        verdicts,
        {"gpu": torch.cuda.get_device_name(), "precision": chosen},
    )
    return 0 if within else 1


def made_slices(count: int) -> list[Pixels]:
    """Bright disks of several sizes on a dark, noisy ground, 512 px wide."""
    random = np.random.default_rng(0)
    down, right = np.mgrid[:512, :512] - 256
    return [
        np.clip(
            (np.hypot(down, right) < 120 + 8 * (place % 12)) * 140.0
            + random.normal(20, 8, (512, 512)),
            0,
            255,
        ).astype(np.uint8)
        for place in range(count)
    ]


def _speeds(bundle: Bundle, precision: str, rounds: int, *, graphs: bool) -> Iterator[Speed]:
    engine = BucketEngine(bundle, "cuda", 1, precision, graphs=graphs)
    engine.warm_up(_LARGEST)
    slices = [engine.prepare(pixels) for pixels in made_slices(8)]
    for size in BUCKETS:
        batch = [slices[place % len(slices)] for place in range(size)]
        taken = interleaved({"it": lambda batch=batch: engine.predict(batch)}, rounds, calls=5)  # type: ignore[misc]
        yield Speed(precision, graphs, size, taken["it"], 1000 * size / taken["it"])


def _agreements(bundle: Bundle, data: Path | None) -> list[Agreement]:
    slices = list(test_part(bundle, data)) if data else made_slices(24)
    reference = TorchEngine(bundle, "cpu", torch.get_num_threads())
    right = answers_of(reference, slices, _LARGEST)
    found = []
    for precision in PRECISIONS:
        engine = BucketEngine(bundle, "cuda", 1, precision)
        engine.warm_up(_LARGEST)
        answers = answers_of(engine, slices, _LARGEST)
        found.append(_agreement(precision, bundle, answers, right))
    return found


def _agreement(
    precision: str, bundle: Bundle, found: Sequence[Prediction], right: Sequence[Prediction]
) -> Agreement:
    """How far two engines' answers are apart."""
    return Agreement(precision=precision, **vars(difference(bundle, found, right)))


def _fed(bundle: Bundle, bare: float, seconds: float) -> Iterator[Fed]:
    """Callers in this process who keep the batcher's queue full."""
    from neuroscan.settings import InferenceSettings  # noqa: PLC0415 - not everywhere there
    from services.inference.batcher import Batcher, BatcherState  # noqa: PLC0415
    from services.inference.metrics import Metrics  # noqa: PLC0415

    engine = BucketEngine(bundle, "cuda", 1)
    settings = InferenceSettings(device="cuda", batch_max=_LARGEST, queue_max=16 * _LARGEST)
    batcher = Batcher(engine, settings, Metrics())
    batcher.start()
    while batcher.state is BatcherState.WARMING:
        time.sleep(0.05)
    pixels = made_slices(16)
    ready = [engine.prepare(one) for one in pixels]
    for name in ("prepared", "decoded"):
        answered = [0] * _CALLERS
        ends = time.perf_counter() + seconds

        def call(caller: int, name: str = name, ends: float = ends) -> None:
            while time.perf_counter() < ends:
                items = [
                    ready[place % 16] if name == "prepared" else engine.prepare(pixels[place % 16])
                    for place in range(_LARGEST)
                ]
                for future in [batcher.submit(item) for item in items]:
                    future.result()
                answered[caller] += len(items)  # noqa: B023 - joined below

        began = time.perf_counter()
        callers = [threading.Thread(target=call, args=(caller,)) for caller in range(_CALLERS)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
        rate = sum(answered) / (time.perf_counter() - began)
        yield Fed(name, rate, rate / bare)
    batcher.close(10)


def _over_http(seconds: float) -> Single:
    from PIL import Image  # noqa: PLC0415 - not everywhere there

    from benchmarks.serving_clients import load, raw  # noqa: PLC0415
    from benchmarks.serving_servers import OURS, Server, started  # noqa: PLC0415

    bodies = []
    for pixels in made_slices(8):
        content = io.BytesIO()
        Image.fromarray(pixels).save(content, "PNG")
        bodies.append(raw(content.getvalue()))
    command = ("-m", "services.inference")
    server = Server(OURS, command, "/v1/classify", raw, (("DEVICE", "cuda"),))
    with started(server, None) as running:
        load(running.port, server.path, bodies, 1, 1.0)
        found = load(running.port, server.path, bodies, 1, seconds).latencies
    return Single(len(found), float(np.median(found)), float(np.percentile(found, 99)))


if __name__ == "__main__":
    sys.exit(main())
