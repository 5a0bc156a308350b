"""Which addresses a notice may go to."""

import socket
import time
from collections.abc import Sequence
from ipaddress import ip_address, ip_network

import pytest

from neuroscan.contracts.problems import AddressRefused
from neuroscan.settings import WebhookSettings
from services.gateway.webhooks.addresses import AddressRules, Resolver, Unresolved, is_public

PUBLIC_4 = "93.184.215.14"
PUBLIC_6 = "2606:2800:21f:cb07:6820:80da:af6b:8b2c"

NOT_PUBLIC = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.127.255.254",
    "127.0.0.1",
    "127.255.0.9",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.7",
    "203.0.113.9",
    "224.0.0.1",
    "239.1.2.3",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::8.8.8.8",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:100.64.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::127.0.0.1",
    "64:ff9b::10.0.0.1",
    "64:ff9b::100.64.0.1",
    "64:ff9b:1::8.8.8.8",
    "2002:7f00:1::1",
    "2002:a00:1::1",
    "2002:c0a8:101::1",
    "2001::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:10::1",
    "2001:20::1",
    "2001:db8::1",
    "3fff::1",
    "5f00::1",
    "100::1",
    "fc00::1",
    "fd12:3456::1",
    "fe80::1",
    "fe80::1%1",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
]
PUBLIC = [PUBLIC_4, "8.8.8.8", "1.1.1.1", PUBLIC_6, "2a00:1450::1", "64:ff9b::8.8.8.8"]


def answering(*addresses: str) -> Resolver:
    return lambda *_: list(addresses)


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_no_special_address_is_public(address: str) -> None:
    assert not is_public(ip_address(address))
    with pytest.raises(AddressRefused):
        AddressRules(resolve=answering(address)).check("https://hook.example/")


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_kept_as_it_was_checked(address: str) -> None:
    target = AddressRules(resolve=answering(address)).check("https://hook.example/in")
    assert target.addresses == (str(ip_address(address)),)
    assert str(target.url) == "https://hook.example/in"


@pytest.mark.parametrize("bad", ["127.0.0.1", "10.1.2.3", "::1", "::ffff:192.168.0.1"])
def test_one_bad_address_among_good_ones_is_enough(bad: str) -> None:
    for addresses in ([PUBLIC_4, PUBLIC_6, bad], [bad, PUBLIC_4]):
        with pytest.raises(AddressRefused):
            AddressRules(resolve=answering(*addresses)).check("https://hook.example/")


# The system itself says what these are: every spelling of loopback that it takes.
@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST", "localhost.", "127.1", "2130706433", "0x7f.1", "0177.0.0.1"]
)
def test_spellings_of_loopback_are_refused(host: str) -> None:
    with pytest.raises(AddressRefused):
        AddressRules().check(f"https://{host}/")


@pytest.mark.parametrize(
    "url",
    [
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]:8443/",
        "https://[fe80::1%25lo]/",
        "https://169.254.169.254/latest/meta-data",
        "http://hook.example/",
        "ftp://hook.example/",
        "file:///etc/passwd",
        "//hook.example/",
        "hook.example",
        "https://",
        "https:///path",
        "https://user@hook.example/",
        "https://user:word@hook.example/",
        "https://hook.example:0/",
        "https://hook.example:99999/",
        "https://hook.example:port/",
        "https://hook example/",
        "https://hook%2eexample/",
        "https://hook.example\\@127.0.0.1/",
        "https://b..c\u00e4.example/",
        "https://[::1",
        "",
    ],
)
def test_what_is_no_plain_https_url_is_refused(url: str) -> None:
    def resolve(host: str, port: int) -> Sequence[str]:
        numeric = socket.AI_NUMERICHOST
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=numeric)
        except OSError:
            return [PUBLIC_4]
        return [str(each[4][0]) for each in found]

    with pytest.raises(AddressRefused):
        AddressRules(resolve=resolve).check(url)


def test_an_allowed_network_admits_its_addresses_and_no_others() -> None:
    allowed = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]
    for address in ("10.1.2.3", "::ffff:10.1.2.3", "fd00::5"):
        rules = AddressRules(allowed, answering(address))
        for url in ("https://hook.internal/", "http://hook.internal:8080/"):
            assert rules.check(url).addresses == (str(ip_address(address)),)
    for addresses in (["127.0.0.1"], ["10.1.2.3", "192.168.0.1"]):
        with pytest.raises(AddressRefused):
            AddressRules(allowed, answering(*addresses)).check("https://hook.internal/")


def test_plain_http_is_for_allowed_networks_only() -> None:
    rules = AddressRules([ip_network("10.0.0.0/8")], answering("10.0.0.1", PUBLIC_4))
    assert rules.check("https://hook.example/").addresses == ("10.0.0.1", PUBLIC_4)
    with pytest.raises(AddressRefused):
        rules.check("http://hook.example/")


def test_a_name_without_an_address_is_unresolved() -> None:
    with pytest.raises(Unresolved):
        AddressRules(resolve=answering()).check("https://hook.example/")
    with pytest.raises(Unresolved):
        AddressRules().check("https://nothing-here.invalid/")
    with pytest.raises(Unresolved):
        AddressRules().check(f"https://{'a' * 70}.example/")


def test_a_slow_resolver_is_not_waited_for() -> None:
    def slow(host: str, port: int) -> Sequence[str]:
        time.sleep(5)
        return [PUBLIC_4]

    began = time.monotonic()
    with pytest.raises(Unresolved):
        AddressRules(resolve=slow).check("https://hook.example/")
    assert time.monotonic() - began < 4.5


def test_networks_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert WebhookSettings().webhook_allowed_networks == ()
    monkeypatch.setenv("WEBHOOK_ALLOWED_NETWORKS", "10.0.0.0/8, fd00::/8")
    expected = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))
    assert WebhookSettings().webhook_allowed_networks == expected
    monkeypatch.setenv("WEBHOOK_ALLOWED_NETWORKS", "everything")
    with pytest.raises(ValueError, match="webhook_allowed_networks"):
        WebhookSettings()
