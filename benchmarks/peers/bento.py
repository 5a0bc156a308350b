"""BentoML: pictures in, its adaptive batching when `PEER_BATCH` is above 1."""

from pathlib import Path

import bentoml

from benchmarks.peers.work import BATCH, Work

BATCHING = {"batchable": True, "max_batch_size": BATCH, "max_latency_ms": 10_000}


@bentoml.service(workers=1, traffic={"timeout": 60, "max_concurrency": 1024})
class Classifier:
    """One slice, or a list that BentoML gathers."""

    def __init__(self) -> None:
        self.work = Work()

    if BATCH > 1:

        @bentoml.api(**BATCHING)  # type: ignore[untyped-decorator]
        def predict(self, image: list[Path]) -> list[dict[str, object]]:
            tensors = [self.work.decode(path.read_bytes()) for path in image]
            return [self.work.body(answer) for answer in self.work.predict(tensors)]

    else:

        @bentoml.api  # type: ignore[untyped-decorator]
        def predict(self, image: Path) -> dict[str, object]:
            return self.work.body(self.work.predict([self.work.decode(image.read_bytes())])[0])
