"""Clients of the servers that are compared: threads with one kept connection each."""

import base64
import http.client
import itertools
import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus

Body = tuple[bytes, str]
_BOUNDARY = "benchmarkboundary"


@dataclass(frozen=True)
class Turn:
    """What so many clients saw: latencies in ms, seconds that it took, their own CPU seconds."""

    latencies: list[float]
    seconds: float
    cpu_s: float


def raw(content: bytes) -> Body:
    """A PNG as the body."""
    return content, "image/png"


def in_json(content: bytes) -> Body:
    """A PNG as base64 in JSON."""
    return json.dumps({"image": base64.b64encode(content).decode()}).encode(), "application/json"


def in_form(content: bytes) -> Body:
    """A PNG as a form's file."""
    head = (
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="slice.png"'
        "\r\nContent-Type: image/png\r\n\r\n"
    )
    tail = f"\r\n--{_BOUNDARY}--\r\n"
    return head.encode() + content + tail.encode(), f"multipart/form-data; boundary={_BOUNDARY}"


def load(port: int, path: str, bodies: Sequence[Body], clients: int, seconds: float) -> Turn:
    """Each client sends one request after the other, at least one.

    Raises `RuntimeError` on any refusal, and what the connection raises.
    """
    ends = time.perf_counter() + seconds
    numbers = itertools.count()

    def client(_: int) -> list[float]:
        times: list[float] = []
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        while not times or time.perf_counter() < ends:
            began = time.perf_counter()
            body, kind = bodies[next(numbers) % len(bodies)]
            connection.request("POST", path, body, {"Content-Type": kind})
            answer = connection.getresponse()
            content = answer.read()
            if answer.status != HTTPStatus.OK:
                raise RuntimeError(f"{path} answered {answer.status}: {content[:200]!r}")
            times.append((time.perf_counter() - began) * 1000)
        connection.close()
        return times

    return _timed(client, clients)


def in_process(work: Callable[[int], object], size: int, seconds: float) -> Turn:
    """The bare work: `work(first)` does `size` slices from number `first` on."""
    ends = time.perf_counter() + seconds

    def run(_: int) -> list[float]:
        times: list[float] = []
        first = 0
        while (began := time.perf_counter()) < ends:
            work(first)
            first += size
            times += [(time.perf_counter() - began) * 1000] * size
        return times

    return _timed(run, 1)


def _timed(client: Callable[[int], list[float]], clients: int) -> Turn:
    began, used = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(clients) as threads:
        latencies = [taken for times in threads.map(client, range(clients)) for taken in times]
    return Turn(latencies, time.perf_counter() - began, time.process_time() - used)
