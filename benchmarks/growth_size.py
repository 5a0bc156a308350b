"""Cost against the image's size: the bare parts, the upload's answer and the whole way."""

import io
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import partial

import cv2
import numpy as np
from PIL import Image

from benchmarks.bare import Bare
from benchmarks.facts import Verdict, interleaved
from benchmarks.pipeline import UNLIMITED, completed
from benchmarks.slice_set import pictures
from neuroscan.client import Client
from neuroscan.contracts.results import Regions
from neuroscan.contracts.scan import ScanView
from neuroscan.imaging.decode import thumbnail
from neuroscan.imaging.decoded import Decoded
from neuroscan.stack import Stack
from services.explain.overlay import overlay, png

# From a small slice to 32 megapixels, the most that is accepted.
SIDES = (128, 256, 512, 1024, 2048, 4096, 5656)
_LIMIT_S = 120.0
_NOISE = 3.0
# The map that the overlay is drawn from has this side, whatever the slice's.
_MAP_PX = 16
# Between these two a part's cost for a pixel must not grow.
_FROM_PX, _TO_PX = 2048, 5656


@dataclass(frozen=True)
class SizeCost:
    """A square JPEG slice of `side` pixels; each part alone, one thread, medians in ms.

    `post` is the time to the upload's answer, `completed` to the finished report, in a stack.
    """

    side: int
    megapixels: float
    upload_kb: float
    decode_ms: float
    thumbnail_ms: float
    classify_ms: float
    explain_ms: float
    overlay_ms: float
    spatial_ms: float
    report_ms: float
    post_ms: float
    completed_ms: float


PARTS = tuple(field.name for field in fields(SizeCost) if field.name.endswith("_ms"))


def slice_of(side: int) -> bytes:
    """A phantom with a lesion, enlarged to (side, side), with noise, as a JPEG file."""
    with Image.open(io.BytesIO(pictures()[4])) as picture:
        pixels = np.asarray(picture.convert("L"))
    large = cv2.resize(pixels, (side, side), interpolation=cv2.INTER_CUBIC).astype(np.float32)
    noise = np.random.default_rng(side).normal(0, _NOISE, large.shape)
    content = io.BytesIO()
    Image.fromarray(np.clip(large + noise, 0, 255).astype(np.uint8)).save(
        content, "JPEG", quality=90
    )
    return content.getvalue()


def measure_sizes(sides: Sequence[int], rounds: int) -> Iterator[SizeCost]:
    """One row a size; the stack idles while the bare parts are timed."""
    cv2.setNumThreads(1)
    contents = {side: slice_of(side) for side in sides}
    with Stack(environment=UNLIMITED) as stack:
        url = stack.wait_ready()
        with Client(url, stack.key, patience_s=_LIMIT_S) as client:
            # What the stack loads late is loaded by the first.
            completed(client.wait(client.submit(pictures()[4]).id))
            sent = {side: _sent(client, contents[side], rounds) for side in sides}
    bare = Bare(next(iter(sent.values()))[0])
    for side in sides:
        _, post_ms, completed_ms = sent[side]
        parts = _parts(bare, contents[side], rounds)
        yield SizeCost(
            side=side,
            megapixels=side * side / 1e6,
            upload_kb=len(contents[side]) / 1000,
            **parts,
            post_ms=post_ms,
            completed_ms=completed_ms,
        )


def verdicts_of(rows: Sequence[SizeCost]) -> list[Verdict]:
    """For each part: its cost a megapixel at the largest size over that at 4 megapixels."""
    by_side = {row.side: row for row in rows}
    if not {_FROM_PX, _TO_PX} <= set(by_side):
        return []
    small, large = by_side[_FROM_PX], by_side[_TO_PX]
    return [
        Verdict(
            f"{part.removesuffix('_ms')}: a megapixel of {large.megapixels:.0f}, over one of"
            f" {small.megapixels:.0f}",
            getattr(large, part) / large.megapixels / (getattr(small, part) / small.megapixels),
            1.15,
            floor=False,
        )
        for part in PARTS
    ]


def _sent(client: Client, content: bytes, rounds: int) -> tuple[ScanView, float, float]:
    answers, whole = [], []
    for _ in range(rounds):
        began = time.perf_counter()
        scan = client.submit(content)
        answers.append((time.perf_counter() - began) * 1000)
        scan = completed(client.wait(scan.id, _LIMIT_S))
        whole.append((scan.updated_at - scan.created_at).total_seconds() * 1000)
    return scan, statistics.median(answers), statistics.median(whole)


def _parts(bare: Bare, content: bytes, rounds: int) -> dict[str, float]:
    decoded = bare.decode(content)
    found = bare.classify(decoded)
    label = found.classification.label
    explained = bare.explain(decoded, label)
    works: dict[str, Callable[[], object]] = {
        "decode_ms": partial(bare.decode, content),
        "thumbnail_ms": partial(thumbnail, Image.fromarray(decoded.slice.pixels)),
        "classify_ms": partial(bare.classify, decoded),
        "explain_ms": partial(bare.explain, decoded, label),
        "overlay_ms": partial(_overlay, decoded, explained.result.explanation.regions),
        "spatial_ms": partial(bare.measure, decoded, found, explained),
        "report_ms": partial(bare.report, decoded, explained),
    }
    # Processor time: one thread does each, and other programs' time stays out.
    return interleaved(works, rounds, clock=time.process_time)


def _overlay(decoded: Decoded, regions: Regions) -> bytes:
    heat = np.random.default_rng(0).random((_MAP_PX, _MAP_PX), np.float32)
    return png(overlay(decoded.slice.pixels, heat, regions))
