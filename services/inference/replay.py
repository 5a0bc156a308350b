"""The same computation on the same buffers again and again: directly, or as a recorded CUDA graph.

A graph saves the time in which Python and the driver launch each kernel, which is most of the time
of a small batch on a fast card. What is recorded reads and writes the same memory at each replay,
so all that goes in and out lies in buffers that outlive the recording.
"""

from collections.abc import Callable

import torch

Work = Callable[[], None]
Record = Callable[[Work], Work]

# So many runs before the recording: libraries choose their algorithms and take their memory.
_WARM_RUNS = 3


def direct(work: Work) -> Work:
    """Nothing is recorded: each replay runs the work itself."""
    work()
    return work


class GraphRecorder:
    """Records on the current CUDA device; all graphs share one pool of memory.

    They may because none runs beside another, and what they leave is copied out of the pool before
    the next. Record the largest first: the smaller ones then fit into its memory.
    """

    def __init__(self) -> None:
        self._pool = torch.cuda.graph_pool_handle()
        self._stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]

    def __call__(self, work: Work) -> Work:
        """Run the work some times beside the current stream, record it once, return the replay."""
        current = torch.cuda.current_stream()
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            for _ in range(_WARM_RUNS):
                work()
        current.wait_stream(self._stream)
        graph = torch.cuda.CUDAGraph()
        # Other threads may bring slices to the card meanwhile.
        with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
            work()
        return graph.replay
