"""LitServe: slices as base64 in JSON, as documented, batches by its own batcher."""

import base64
import os
from collections.abc import Mapping

import litserve
import torch
from torch import Tensor

from benchmarks.peers.work import BATCH, BATCH_WAIT_S, Work
from services.inference.engine import Prediction


class Classifier(litserve.LitAPI):  # type: ignore[misc]  # untyped where it is not installed
    """One slice or a batch of them."""

    work: Work

    def setup(self, device: str) -> None:  # noqa: ARG002 - the server's own
        self.work = Work()

    def decode_request(self, request: Mapping[str, str]) -> Tensor:
        return self.work.decode(base64.b64decode(request["image"]))

    def batch(self, inputs: list[Tensor]) -> Tensor:
        return torch.cat(inputs)

    def predict(self, x: Tensor) -> list[Prediction]:
        return self.work.predict([x])

    def unbatch(self, output: list[Prediction]) -> list[Prediction]:
        return output

    def encode_response(self, output: Prediction | list[Prediction]) -> dict[str, object]:
        return self.work.body(output[0] if isinstance(output, list) else output)


def main() -> None:
    """Serve on `PORT`."""
    batching = {"max_batch_size": BATCH, "batch_timeout": BATCH_WAIT_S} if BATCH > 1 else {}
    server = litserve.LitServer(Classifier(**batching), accelerator="cpu", workers_per_device=1)
    server.run(
        host="127.0.0.1",
        port=int(os.environ["PORT"]),
        log_level="warning",
        generate_client_file=False,
    )


if __name__ == "__main__":
    main()
