"""`python -m benchmarks.serving`: classification over HTTP, ours and others', beside the bare work.

Like for like: every server runs our decoding and our ONNX Runtime engine with the same threads, and
batches by its documented means. As shipped: each with what it does when nothing is set, the peers
with torch. The servers are loaded in turns, one at a time, and stand still in the turns of others;
the clients share the cores with them. Bare is decode, preprocess and forward in one process,
without HTTP.
"""

import argparse
import statistics
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import torch

from benchmarks.facts import Verdict, table, write
from benchmarks.peers.work import Work
from benchmarks.serving_clients import Turn, in_process, load
from benchmarks.serving_servers import (
    AS_SHIPPED,
    LIKE_FOR_LIKE,
    OURS,
    Running,
    Server,
    alone,
    started,
)
from benchmarks.slice_set import pictures

CLIENTS = (1, 4, 16, 64)
BARE_BATCHES = (1, 4, 16)
_COMPARED = 16


@dataclass(frozen=True)
class Row:
    """One server with so many clients (of the bare work: slices in a batch), over all rounds."""

    server: str
    clients: int
    requests: int
    per_second: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    client_cpu_ms: float


def main(words: list[str] | None = None) -> int:
    """Measure both tables, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0, help="length of a turn")
    parser.add_argument("--threads", type=int, default=2, help="of every engine, like for like")
    arguments = parser.parse_args(words)
    timing = (arguments.rounds, arguments.seconds)
    alike = measure(LIKE_FOR_LIKE, *timing, threads=arguments.threads, bare=True)
    print(f"\nlike for like, {arguments.threads} engine thread(s)", *table(alike), sep="\n")
    shipped = measure(AS_SHIPPED, *timing, threads=None, bare=False)
    print("\nas shipped", *table(shipped), sep="\n")
    verdicts = [*_over_bare(alike), *_over_peers(alike, "like for like", (1.0, 1.0, 1.2))]
    verdicts += _over_peers(shipped, "as shipped", (1.3, 1.3, 2.0))
    print(*(verdict.line() for verdict in verdicts), sep="\n")
    write("serving", {"like_for_like": alike, "as_shipped": shipped}, verdicts, vars(arguments))
    return 0


def measure(
    servers: Sequence[Server], rounds: int, seconds: float, *, threads: int | None, bare: bool
) -> list[Row]:
    """Every server at every number of clients, in interleaved rounds."""
    contents = pictures()
    turns: dict[tuple[str, int], list[Turn]] = defaultdict(list)
    with ExitStack() as stack:
        running = [stack.enter_context(started(server, threads)) for server in servers]
        bare_work = _bare_work(contents, threads or 1) if bare else None
        for turn in range(rounds + 1):
            for clients in CLIENTS:
                for one in running:
                    bodies = [one.server.pack(content) for content in contents]
                    # The first round only warms up, shortly.
                    length = seconds if turn else min(seconds, 1.5)
                    with alone(running, one):
                        found = load(one.port, one.server.path, bodies, clients, length)
                    if turn:
                        turns[one.server.name, clients].append(found)
                if bare_work and clients in BARE_BATCHES:
                    with alone(running, None):
                        found = in_process(bare_work(clients), clients, seconds if turn else 1.0)
                    if turn:
                        turns["bare", clients].append(found)
        _check(running)
    return [_row(name, clients, found) for (name, clients), found in turns.items()]


def _bare_work(contents: list[bytes], threads: int) -> Callable[[int], Callable[[int], object]]:
    torch.set_num_threads(threads)
    work = Work()

    def of_size(size: int) -> Callable[[int], object]:
        def batch(first: int) -> object:
            chosen = [contents[(first + place) % len(contents)] for place in range(size)]
            return work.predict([work.decode(content) for content in chosen])

        return batch

    return of_size


def _check(running: Sequence[Running]) -> None:
    for one in running:
        if one.process.poll() is not None:
            raise RuntimeError(f"{one.server.name} ended while it was measured")


def _row(name: str, clients: int, turns: list[Turn]) -> Row:
    latencies = [taken for turn in turns for taken in turn.latencies]
    cuts = statistics.quantiles(latencies, n=100, method="inclusive")
    return Row(
        server=name,
        clients=clients,
        requests=len(latencies),
        per_second=statistics.median(len(turn.latencies) / turn.seconds for turn in turns),
        p50_ms=cuts[49],
        p95_ms=cuts[94],
        p99_ms=cuts[98],
        client_cpu_ms=1000 * sum(turn.cpu_s for turn in turns) / len(latencies),
    )


def _over_bare(rows: Sequence[Row]) -> list[Verdict]:
    bare = [row for row in rows if row.server == "bare"]
    alone = next(row for row in bare if row.clients == 1)
    ours = {row.clients: row for row in rows if row.server == OURS}
    best = max(row.per_second for row in bare)
    return [
        Verdict(
            "service over bare, 1 client, p50", ours[1].p50_ms / alone.p50_ms, 1.1, floor=False
        ),
        Verdict(
            "service at 16 clients over the best bare batch, throughput",
            ours[_COMPARED].per_second / best,
            0.92,
            floor=True,
        ),
    ]


def _over_peers(rows: Sequence[Row], how: str, targets: tuple[float, ...]) -> list[Verdict]:
    at = {row.server: row for row in rows if row.clients == _COMPARED}
    ours = at[OURS]
    verdicts = []
    for peer, target in zip(("litserve", "bentoml", "plain"), targets, strict=True):
        what = f"{how}, over {peer} at 16 clients"
        share = ours.per_second / at[peer].per_second
        verdicts.append(Verdict(f"{what}, throughput", share, target, floor=True))
        verdicts.append(Verdict(f"{what}, p99", ours.p99_ms / at[peer].p99_ms, 1.0, floor=False))
    return verdicts


if __name__ == "__main__":
    raise SystemExit(main())
