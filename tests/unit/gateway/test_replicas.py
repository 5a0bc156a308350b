"""Several replicas behind one name, as servers on loopback addresses."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from services.gateway.pipeline.replicas import RESOLVE_EVERY_S, Replicas

FIRST, SECOND, THIRD = "127.0.0.1", "127.0.0.2", "127.0.0.3"


@dataclass
class Server:
    """What a replica was asked, and how it answers."""

    status: int = 200
    hosts: list[str] = field(default_factory=list)
    connections: set[int] = field(default_factory=set)
    # While it is cleared, requests are held.
    may_answer: threading.Event = field(default_factory=threading.Event)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((FIRST, 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def serving(address: str, port: int, status: int = 200) -> Iterator[Server]:
    server = Server(status)
    server.may_answer.set()
    open_sockets: list[socket.socket] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            open_sockets.append(self.connection)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            server.hosts.append(self.headers["Host"])
            server.connections.add(self.client_address[1])
            server.may_answer.wait(10)
            self.send_response(server.status)
            self.send_header("Content-Length", str(len(address)))
            self.end_headers()
            self.wfile.write(address.encode())

        def log_message(self, *_: object) -> None:
            pass

    class Listening(ThreadingHTTPServer):
        daemon_threads = True

    with Listening((address, port), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server
        finally:
            listening.shutdown()
            thread.join()
            # Its connections end with it, as those of a process do.
            for each in open_sockets:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)


@dataclass
class Names:
    """A name's addresses, which change; the time, which the test moves."""

    addresses: list[str]
    lookups: int = 0
    moment: float = 100.0

    def resolve(self, _host: str, _port: int) -> list[str]:
        self.lookups += 1
        if not self.addresses:
            raise socket.gaierror
        return self.addresses

    def clock(self) -> float:
        return self.moment


@contextmanager
def replicas_of(names: Names, port: int) -> Iterator[Replicas]:
    replicas = Replicas(f"http://inference:{port}", resolve=names.resolve, clock=names.clock)
    try:
        yield replicas
    finally:
        replicas.close()


def ask(replicas: Replicas, timeout_s: float = 5.0) -> str:
    return replicas.post("/v1/classify", content=b"x", headers={}, timeout_s=timeout_s).text


def until(true: Callable[[], bool]) -> None:
    ends = time.monotonic() + 5
    while not true():
        assert time.monotonic() < ends
        time.sleep(0.01)


def test_requests_one_after_the_other_go_to_every_replica() -> None:
    port, names = free_port(), Names([FIRST, SECOND])
    with serving(FIRST, port) as one, serving(SECOND, port) as two, replicas_of(names, port) as its:
        answers = [ask(its) for _ in range(6)]
    assert sorted(answers) == [FIRST] * 3 + [SECOND] * 3
    assert set(one.hosts + two.hosts) == {f"inference:{port}"}
    # A client an address keeps its connection.
    assert len(one.connections) == len(two.connections) == 1
    assert names.lookups == 1


def test_the_least_busy_is_asked() -> None:
    port, names = free_port(), Names([FIRST, SECOND])
    with serving(FIRST, port) as one, serving(SECOND, port), replicas_of(names, port) as its:
        one.may_answer.clear()
        held = threading.Thread(target=ask, args=(its,))
        held.start()
        until(lambda: bool(one.hosts))
        answers = [ask(its) for _ in range(5)]
        one.may_answer.set()
        held.join()
    assert answers == [SECOND] * 5


def test_a_refused_connection_is_tried_on_another() -> None:
    port, names = free_port(), Names([FIRST, SECOND])
    with serving(SECOND, port), replicas_of(names, port) as its:
        assert [ask(its) for _ in range(4)] == [SECOND] * 4


def test_a_busy_replica_is_followed_by_another() -> None:
    port, names = free_port(), Names([FIRST, SECOND])
    with ExitStack() as stack:
        stack.enter_context(serving(FIRST, port, status=503))
        stack.enter_context(serving(SECOND, port))
        its = stack.enter_context(replicas_of(names, port))
        assert ask(its) == SECOND


def test_when_all_are_busy_their_answer_is_given() -> None:
    port, names = free_port(), Names([FIRST, SECOND])
    with serving(FIRST, port, 503) as one, serving(SECOND, port, 503) as two:
        with replicas_of(names, port) as its:
            answer = its.post("/v1/classify", content=b"x", headers={}, timeout_s=5)
        assert answer.status_code == 503
        assert len(one.hosts) == len(two.hosts) == 1


def test_a_request_that_may_have_ended_a_replica_is_not_sent_to_another() -> None:
    port, names = free_port(), Names([FIRST, SECOND])
    with socket.create_server((FIRST, port)) as dying, serving(SECOND, port) as two:

        def take_and_die() -> None:
            connection, _ = dying.accept()
            connection.recv(65536)
            connection.close()

        thread = threading.Thread(target=take_and_die)
        thread.start()
        with replicas_of(names, port) as its, pytest.raises(httpx.HTTPError):
            ask(its)
        thread.join()
    assert two.hosts == []


def test_a_name_is_resolved_again_and_new_replicas_get_work() -> None:
    port, names = free_port(), Names([FIRST])
    with serving(FIRST, port), serving(THIRD, port), replicas_of(names, port) as its:
        assert ask(its) == FIRST
        names.addresses = [FIRST, THIRD]
        assert {ask(its) for _ in range(4)} == {FIRST}
        names.moment += RESOLVE_EVERY_S
        ask(its)
        until(lambda: names.lookups == 2)
        until(lambda: THIRD in {ask(its), ask(its)})
        names.addresses = [THIRD]
        names.moment += RESOLVE_EVERY_S
        ask(its)
        until(lambda: {ask(its), ask(its)} == {THIRD})


def test_successors_at_other_addresses_are_found_at_once_when_all_refuse() -> None:
    port, names = free_port(), Names([FIRST])
    with replicas_of(names, port) as its, serving(SECOND, port):
        with serving(FIRST, port):
            assert ask(its) == FIRST
        names.addresses = [SECOND]
        its_answer = [_ask_or_none(its) for _ in range(2)][-1]
    assert its_answer == SECOND


def _ask_or_none(its: Replicas) -> str | None:
    try:
        return ask(its)
    except (httpx.RemoteProtocolError, httpx.ReadError):
        # The one that used the dead connection; such a request is not repeated.
        return None


def test_a_name_that_is_lost_keeps_the_known_addresses() -> None:
    port, names = free_port(), Names([FIRST])
    with serving(FIRST, port), replicas_of(names, port) as its:
        assert ask(its) == FIRST
        names.addresses = []
        names.moment += 10 * RESOLVE_EVERY_S
        assert ask(its) == FIRST


def test_a_name_server_that_hangs_does_not_hold_a_call_beyond_its_time() -> None:
    release = threading.Event()

    def hang(_host: str, _port: int) -> list[str]:
        release.wait(10)
        return [FIRST]

    its = Replicas("http://inference:1", resolve=hang)
    began = time.monotonic()
    with pytest.raises(httpx.ConnectError):
        ask(its, timeout_s=0.3)
    assert time.monotonic() - began < 2
    release.set()
    its.close()
