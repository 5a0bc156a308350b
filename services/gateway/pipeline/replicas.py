"""The replicas behind one name: resolved again and again, a client each, the least busy first.

A pooled client pins itself to one address, so a name with several of them needs a client each.
What is asked of these services is a pure function, so another may be asked when one refuses.
"""

import contextlib
import math
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

from neuroscan.telemetry import get_logger

RESOLVE_EVERY_S = 5.0
# One that refused is asked last for so long; it may be on its way out.
SHUNNED_S = 5.0
# Inside one network; an address that is gone does not say so.
CONNECT_LIMIT_S = 0.5
# Below the servers' own 5 s: a connection that they are about to close is not used.
_KEEPALIVE_S = 3.0

Resolve = Callable[[str, int], list[str]]

log = get_logger(__name__)


def resolve(host: str, port: int) -> list[str]:
    """All addresses of a name, sorted; raises `OSError` when there are none."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return sorted({str(each[4][0]) for each in found})


def _refuses(response: httpx.Response) -> bool:
    return response.status_code == httpx.codes.SERVICE_UNAVAILABLE


@dataclass(eq=False)
class _Replica:
    """One address: its client and how busy it is. Guarded by the lock of its `Replicas`."""

    address: str
    http: httpx.Client
    in_flight: int = 0
    used: int = 0
    shunned_until: float = 0.0
    # No longer behind the name: closed when nothing is in flight any more.
    gone: bool = False


class Replicas:
    """Sends requests to whichever replica is least busy. Thread-safe."""

    def __init__(
        self,
        url: str,
        *,
        resolve: Resolve = resolve,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        parts = urlsplit(url)
        self._scheme, self._host = parts.scheme, parts.hostname or ""
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._authority, self._path = parts.netloc, parts.path.rstrip("/")
        self._resolve, self._clock = resolve, clock
        self._lock = threading.Lock()
        self._replicas: dict[str, _Replica] = {}
        self._resolved_at = -math.inf
        self._resolving: threading.Event | None = None
        self._uses = 0
        self._closed = False

    def post(
        self, path: str, *, content: bytes, headers: dict[str, str], timeout_s: float
    ) -> httpx.Response:
        """Post to one replica, or to another when it refuses the connection or says 503.

        Raises `httpx.HTTPError` when none can be reached, or when an answer does not come within
        what is left of `timeout_s`; a replica that took the request and fell silent is not
        followed by another, since it may be the request that ended it.
        """
        return self._ask("POST", path, content, headers, timeout_s)

    def get(self, path: str, *, timeout_s: float) -> httpx.Response:
        """Get from one replica, as `post`."""
        return self._ask("GET", path, b"", {}, timeout_s)

    def close(self) -> None:
        """Release the connections."""
        with self._lock:
            self._closed = True
            replicas, self._replicas = list(self._replicas.values()), {}
        for replica in replicas:
            replica.http.close()

    def _ask(
        self, method: str, path: str, content: bytes, headers: dict[str, str], timeout_s: float
    ) -> httpx.Response:
        ends = self._clock() + timeout_s
        asked: set[str] = set()
        outcome: httpx.Response | httpx.HTTPError | None = None
        self._look_up(timeout_s)
        # When all that are known refuse, their successors may have other addresses by now.
        for look_again in (True, False):
            while (left_s := ends - self._clock()) > 0:
                with self._least_busy(asked) as replica:
                    if replica is None:
                        break
                    asked.add(replica.address)
                    outcome = self._try(replica, method, path, content, headers, left_s)
                if isinstance(outcome, httpx.Response) and not _refuses(outcome):
                    return outcome
                self._shun(replica)
            if isinstance(outcome, httpx.Response) or not look_again:
                break
            self._look_up(ends - self._clock(), anew=True)
        if isinstance(outcome, httpx.Response):
            return outcome
        raise outcome or httpx.ConnectError(f"{self._host} has no address.")

    def _try(
        self,
        replica: _Replica,
        method: str,
        path: str,
        content: bytes,
        headers: dict[str, str],
        timeout_s: float,
    ) -> httpx.Response | httpx.HTTPError:
        """The answer, or the error of a connection that was not made."""
        try:
            return self._send(replica, method, path, content, headers, timeout_s)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            return error

    def _send(
        self,
        replica: _Replica,
        method: str,
        path: str,
        content: bytes,
        headers: dict[str, str],
        timeout_s: float,
    ) -> httpx.Response:
        return replica.http.request(
            method,
            self._path + path,
            content=content,
            headers={**headers, "Host": self._authority},
            timeout=httpx.Timeout(timeout_s, connect=min(timeout_s, CONNECT_LIMIT_S)),
            extensions={"sni_hostname": self._host},
        )

    @contextlib.contextmanager
    def _least_busy(self, asked: set[str]) -> Iterator[_Replica | None]:
        """The replica to ask next, counted as busy meanwhile; None when all were asked."""
        with self._lock:
            moment = self._clock()
            left = [each for each in self._replicas.values() if each.address not in asked]
            chosen = min(
                left,
                key=lambda each: (each.shunned_until > moment, each.in_flight, each.used),
                default=None,
            )
            if chosen is not None:
                self._uses += 1
                chosen.used = self._uses
                chosen.in_flight += 1
        try:
            yield chosen
        finally:
            if chosen is not None:
                with self._lock:
                    chosen.in_flight -= 1
                    over = chosen.gone and not chosen.in_flight
                if over:
                    chosen.http.close()

    def _shun(self, replica: _Replica) -> None:
        with self._lock:
            replica.shunned_until = self._clock() + SHUNNED_S

    def _look_up(self, wait_s: float, *, anew: bool = False) -> None:
        """See that the addresses are not older than `RESOLVE_EVERY_S`.

        In a thread of its own: a name server that hangs holds up nobody but who needs a first
        address, or one `anew`, and those for `wait_s` at most.
        """
        with self._lock:
            age_s = self._clock() - self._resolved_at
            if not anew and age_s < RESOLVE_EVERY_S:
                return
            done = self._resolving
            if done is None:
                done = self._resolving = threading.Event()
                threading.Thread(
                    target=self._refresh, args=(done,), name="resolve", daemon=True
                ).start()
            must_wait = anew or not self._replicas
        if must_wait:
            done.wait(max(wait_s, 0.0))

    def _refresh(self, done: threading.Event) -> None:
        try:
            self._update()
        finally:
            with self._lock:
                self._resolving = None
            done.set()

    def _update(self) -> None:
        try:
            addresses = self._resolve(self._host, self._port)
        except OSError:
            # Those that are known may be there still, and refuse by themselves if not.
            log.warning("replicas.not_resolved", host=self._host)
            return
        with self._lock:
            if self._closed:
                return
            self._resolved_at = self._clock()
            left = [each for name, each in self._replicas.items() if name not in addresses]
            for replica in left:
                del self._replicas[replica.address]
                replica.gone = True
            idle = [replica for replica in left if not replica.in_flight]
            new = [address for address in addresses if address not in self._replicas]
            for address in new:
                self._replicas[address] = _Replica(address, self._client(address))
            known = len(self._replicas)
        for replica in idle:
            replica.http.close()
        if new or left:
            log.info("replicas.changed", host=self._host, now=known)

    def _client(self, address: str) -> httpx.Client:
        name = f"[{address}]" if ":" in address else address
        return httpx.Client(
            base_url=f"{self._scheme}://{name}:{self._port}",
            # Slices and names stay inside, whatever proxy the environment names.
            trust_env=False,
            limits=httpx.Limits(keepalive_expiry=_KEEPALIVE_S),
        )
