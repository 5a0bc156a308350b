"""How a notice is sent: to the checked address, within a limit, following nothing."""

import ssl
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from ipaddress import ip_network
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from neuroscan.contracts.enums import DeliveryFault
from services.gateway.webhooks.addresses import AddressRules, Resolver
from services.gateway.webhooks.sender import Limits, Outcome, Sender, signature
from tests.listener import Behavior, Listener, answer

LOOPBACK = [ip_network("127.0.0.0/8")]
BODY = b'{"id":"e1"}'
SECRET = "nswh_secret"
QUICK = Limits(connect_s=0.5, total_s=0.8)


def sender(
    resolve: Resolver | None = None,
    limits: Limits | None = None,
    trust: ssl.SSLContext | None = None,
) -> Sender:
    return Sender(AddressRules(LOOPBACK, resolve), limits=limits, trust=trust)


def send(url: str, by: Sender | None = None) -> Outcome:
    return (by or sender()).send(url, "e1", BODY, SECRET)


def to_loopback(host: str, port: int) -> Sequence[str]:
    return ["127.0.0.1"]


def test_a_notice_is_signed_over_time_id_and_body() -> None:
    with Listener() as listener:
        assert send(f"{listener.url}?token=t") == Outcome(204)
    received = listener.received[0]
    assert received.path == "/hook?token=t"
    assert received.body == BODY
    assert received.headers["Content-Type"] == "application/json"
    assert abs(int(received.headers["NeuroScan-Timestamp"]) - time.time()) < 5
    assert received.is_signed_with(SECRET)
    assert not received.is_signed_with("nswh_other")


def test_the_signature_is_the_documented_one() -> None:
    # Computed with: printf '1700000000.e1.{"id":"e1"}' | openssl dgst -sha256 -hmac nswh_secret
    expected = "bbc559dbab75c26dfa19fea27c8d2a4512486a32db0ebbde769d8cace8ff4260"
    assert signature(SECRET, "1700000000", "e1", BODY) == f"v1={expected}"


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_any_2xx_is_success(status: int) -> None:
    with Listener(answer(status)) as listener:
        assert send(listener.url) == Outcome(status)


@pytest.mark.parametrize("status", [400, 404, 410, 429, 500, 503])
def test_any_other_status_is_none(status: int) -> None:
    with Listener(answer(status)) as listener:
        assert send(listener.url) == Outcome(status, DeliveryFault.BAD_STATUS)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(status: int) -> None:
    with Listener() as elsewhere, Listener(answer(status, Location=elsewhere.url)) as listener:
        assert send(listener.url) == Outcome(status, DeliveryFault.BAD_STATUS)
        assert len(listener.received) == 1
        assert elsewhere.received == []


def hang(handler: BaseHTTPRequestHandler, _: int) -> None:
    time.sleep(3)


def trickle(handler: BaseHTTPRequestHandler, _: int) -> None:
    for byte in b"HTTP/1.1 200 OK\r\n" + b"X-Slow: 1\r\n" * 9:
        handler.wfile.write(bytes([byte]))
        time.sleep(0.1)


@pytest.mark.parametrize("behave", [hang, trickle])
def test_a_slow_server_is_cut_off(behave: Behavior) -> None:
    with Listener(behave) as listener:
        began = time.monotonic()
        assert send(listener.url, sender(limits=QUICK)).fault is DeliveryFault.TIMED_OUT
        assert time.monotonic() - began < 2


def test_an_endless_answer_is_not_read() -> None:
    written = 0

    def endless(handler: BaseHTTPRequestHandler, _: int) -> None:
        nonlocal written
        handler.send_response(200)
        handler.end_headers()
        while True:
            written += handler.wfile.write(b"x" * 65536)

    with Listener(endless) as listener:
        began = time.monotonic()
        assert send(listener.url) == Outcome(200)
        assert time.monotonic() - began < 2
    # What the kernel's buffers take, and no more.
    assert written < 32 * 1024 * 1024


def test_an_answer_whose_body_does_not_end_counts_by_its_status() -> None:
    def unfinished(handler: BaseHTTPRequestHandler, _: int) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "10")
        handler.end_headers()
        handler.wfile.write(b"x")
        time.sleep(3)

    with Listener(unfinished) as listener:
        began = time.monotonic()
        assert send(listener.url) == Outcome(200)
        assert time.monotonic() - began < 2.5


def test_an_answer_that_is_no_http_is_a_failure() -> None:
    def garbage(handler: BaseHTTPRequestHandler, _: int) -> None:
        handler.wfile.write(b"\x00\x01 what is this\r\n\r\n")

    with Listener(garbage) as listener:
        outcome = send(listener.url)
    assert outcome.fault is DeliveryFault.NO_ANSWER
    assert outcome.told


def test_a_closed_port_is_unreachable() -> None:
    with Listener() as listener:
        url = listener.url
    outcome = send(url)
    assert outcome.fault is DeliveryFault.UNREACHABLE
    assert not outcome.told


def test_the_connection_goes_to_the_checked_address_under_the_hosts_name() -> None:
    with Listener() as listener:
        url = f"http://hook.example:{listener.port}/hook"
        assert send(url, sender(to_loopback)) == Outcome(204)
    assert listener.received[0].headers["Host"] == f"hook.example:{listener.port}"


def test_the_next_address_is_tried_where_one_does_not_answer() -> None:
    with Listener() as listener:
        url = f"http://hook.example:{listener.port}/hook"
        several = sender(lambda *_: ["127.0.0.2", "127.0.0.1"])
        assert send(url, several) == Outcome(204)


def test_a_name_that_resolves_to_something_else_later_is_refused() -> None:
    answers = [["93.184.215.14"], ["127.0.0.1"]]
    rules = AddressRules(resolve=lambda *_: answers.pop(0))
    with Listener() as listener:
        url = f"https://hook.example:{listener.port}/"
        assert rules.check(url).addresses == ("93.184.215.14",)
        assert send(url, Sender(rules)) == Outcome(fault=DeliveryFault.ADDRESS_REFUSED)
        assert listener.received == []


def test_a_name_is_resolved_once_for_a_try() -> None:
    # The second answer would lead elsewhere: nothing must ask for it between check and connection.
    answers = [["127.0.0.1"], ["127.0.0.2"]]
    with Listener() as listener:
        url = f"http://hook.example:{listener.port}/hook"
        assert send(url, sender(lambda *_: answers.pop(0))) == Outcome(204)
    assert answers == [["127.0.0.2"]]


def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with Listener() as proxy, Listener() as listener:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert send(listener.url) == Outcome(204)
        assert proxy.received == []


class Certificates:
    """An authority of the test's own and a server's certificate for one name."""

    def __init__(self, folder: Path, name: str) -> None:
        authority_key = ec.generate_private_key(ec.SECP256R1())
        authority = _certificate("authority", authority_key, None, authority_key)
        key = ec.generate_private_key(ec.SECP256R1())
        leaf = _certificate(name, key, authority, authority_key)
        pem = serialization.Encoding.PEM
        (folder / "server.pem").write_bytes(
            key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
            + leaf.public_bytes(pem)
        )
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.server.load_cert_chain(folder / "server.pem")
        self.trust = ssl.create_default_context(cadata=authority.public_bytes(pem).decode())


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Certificate | None,
    issuer_key: ec.EllipticCurvePrivateKey,
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    present = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(present - timedelta(hours=1))
        .not_valid_after(present + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .sign(issuer_key, hashes.SHA256())
    )


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path, "hook.example")


def test_the_certificate_is_checked_for_the_name(certificates: Certificates) -> None:
    with Listener(tls=certificates.server) as listener:
        by = sender(to_loopback, trust=certificates.trust)
        for host in ("hook.example", "hook.example."):
            assert send(f"https://{host}:{listener.port}/", by) == Outcome(204)
        assert send(f"https://other.example:{listener.port}/", by) == Outcome(
            fault=DeliveryFault.TLS_FAILED
        )
        assert len(listener.received) == 2


def test_a_certificate_that_nobody_vouches_for_is_refused(certificates: Certificates) -> None:
    with Listener(tls=certificates.server) as listener:
        outcome = send(f"https://hook.example:{listener.port}/", sender(to_loopback))
        assert outcome == Outcome(fault=DeliveryFault.TLS_FAILED)
        assert not outcome.told
        assert listener.received == []
