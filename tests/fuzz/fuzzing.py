"""Send damaged files to a running gateway and count what it answers."""

import itertools
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import httpx

from neuroscan.stack import Stack
from tests.fuzz.mutants import Mutant, mutant
from tests.fuzz.watch import Watch, Watched
from tests.integration.gateway.calls import submit

_DELETED = (204, 404)


@dataclass
class Answers:
    """How often each answer came, and the numbers of the files that got one they must not get."""

    counts: Counter[tuple[int, str]] = field(default_factory=Counter)
    sources: Counter[tuple[str, bool]] = field(default_factory=Counter)
    wrongs: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Fuzzed:
    """What came of a run."""

    answers: Answers
    watched: Watched
    took_s: float

    @property
    def wrongs(self) -> list[str]:
        """Sentences, none when all is as it should be."""
        return self.answers.wrongs + self.watched.wrongs

    def lines(self) -> Iterator[str]:
        """The tables."""
        yield f"{'status':>6}  {'code':<30} {'files':>6}"
        for (status, code), count in sorted(self.answers.counts.items()):
            yield f"{status:>6}  {code:<30} {count:>6}"
        yield f"\n{'source':<18} {'taken':>6} {'refused':>8}"
        for source in sorted({source for source, _ in self.answers.sources}):
            taken, refused = (self.answers.sources[source, each] for each in (True, False))
            yield f"{source:<18} {taken:>6} {refused:>8}"
        yield "\nlargest, in MiB: " + ", ".join(
            f"{part} {mib:.0f}" for part, mib in sorted(self.watched.largest_mib.items())
        )
        yield from self.wrongs
        files = sum(self.answers.counts.values())
        yield f"{files} files in {self.took_s:.0f} s, {len(self.wrongs)} wrong"


def fuzz(stack: Stack, *, count: int, seed: int, clients: int = 4) -> Fuzzed:
    """Send `count` files; what was taken is deleted as soon as it is classified."""
    answers, lock = Answers(), threading.Lock()
    numbers = itertools.count()
    headers = {"Authorization": f"Bearer {stack.key}"}
    began = time.monotonic()

    def work() -> None:
        with httpx.Client(
            base_url=stack.url, headers=headers, timeout=120, trust_env=False
        ) as client:
            while True:
                with lock:
                    number = next(numbers)
                if number >= count:
                    return
                _send(client, mutant(seed, number), answers, lock)

    with Watch(stack) as watch, ThreadPoolExecutor(clients) as threads:
        for working in [threads.submit(work) for _ in range(clients)]:
            working.result()
    return Fuzzed(answers, watch.seen, time.monotonic() - began)


def _send(client: httpx.Client, file: Mutant, answers: Answers, lock: threading.Lock) -> None:
    fields = {} if file.frame is None else {"frame": str(file.frame)}
    answer = submit(client, file.content, name=file.name, media_type=file.media_type, **fields)
    taken = answer.status_code == httpx.codes.ACCEPTED
    wrongs = []
    if taken:
        scan = answer.json()
        code = "classified" if scan["classification"] else "classified later"
        deleted = client.delete(f"/v1/scans/{scan['id']}")
        if deleted.status_code not in _DELETED:
            wrongs.append(f"File {file.number}: deleting it answered {deleted.status_code}.")
    else:
        code = answer.json()["code"]
        if not 400 <= answer.status_code < 500:
            wrongs.append(f"File {file.number} ({file.source}): {answer.status_code} {code}.")
    with lock:
        answers.counts[answer.status_code, code] += 1
        answers.sources[file.source, taken] += 1
        answers.wrongs += wrongs
