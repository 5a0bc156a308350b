"""Which addresses a notice may go to: found once, checked, and then connected to as they are.

A host's name is resolved here and every address it has must be public, or lie in a network that
the operator allows. Whoever sends uses the addresses of the answer, so that a name that resolves
to something else a moment later changes nothing.
"""

import contextlib
import queue
import re
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

import httpx

from neuroscan.contracts.problems import AddressRefused

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
# Host and port to the texts of all addresses; raises `OSError` when there is none.
Resolver = Callable[[str, int], Sequence[str]]

RESOLVE_LIMIT_S = 3.0
_PORTS = {"http": 80, "https": 443}
_PORT_MAX = 65535
_HOST = re.compile(r"[a-z0-9_.-]{1,253}|[0-9a-f:.]+", re.IGNORECASE)
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
# Set apart by IANA, whatever this Python's own list says: protocol assignments (Teredo too),
# 6to4's relays, documentation.
_SET_APART = tuple(
    ip_network(text) for text in ("192.0.0.0/24", "192.88.99.0/24", "2001::/23", "3fff::/20")
)


class Unresolved(AddressRefused):
    """The host has no address at present."""

    default_detail = "The host name does not resolve. Check it, or try again."


@dataclass(frozen=True)
class Target:
    """A URL, and the addresses of its host that were checked."""

    url: httpx.URL
    addresses: tuple[str, ...]


class AddressRules:
    """The rule for public addresses, with the networks that the operator allows beside them."""

    def __init__(self, allowed: Sequence[Network] = (), resolve: Resolver | None = None) -> None:
        self._allowed = tuple(allowed)
        self._resolve = resolve or resolve_host

    def check(self, text: str) -> Target:
        """Where a URL leads; raises `AddressRefused`, or `Unresolved` without an address."""
        url = _parsed(text)
        addresses = self._addresses(url)
        for address in addresses:
            if not self._passes(address, url.scheme):
                raise AddressRefused
        return Target(url, tuple(str(address) for address in addresses))

    def _addresses(self, url: httpx.URL) -> list[Address]:
        host, port = url.raw_host.decode("ascii"), url.port or _PORTS[url.scheme]
        try:
            found = _in_time(lambda: self._resolve(host, port), RESOLVE_LIMIT_S)
            # A name may be given several times, once for each kind of socket.
            addresses = [ip_address(text) for text in dict.fromkeys(found)]
        except (OSError, ValueError) as error:
            raise Unresolved from error
        if not addresses:
            raise Unresolved
        return addresses

    def _passes(self, address: Address, scheme: str) -> bool:
        for form in (address, _embedded(address)):
            if form is not None and any(form in network for network in self._allowed):
                return True
        return scheme == "https" and is_public(address)


def is_public(address: Address) -> bool:
    """Whether an address is one of the open internet, of no private or special use."""
    inner = _embedded(address)
    if inner is not None:
        return is_public(inner)
    if isinstance(address, IPv6Address) and address not in _GLOBAL_UNICAST:
        return False
    special = (
        address.is_private
        or address.is_loopback
        or address.is_link_local
        or address.is_multicast
        or address.is_reserved
        or address.is_unspecified
        or any(address in network for network in _SET_APART)
    )
    # Shared addresses (100.64.0.0/10) are neither private nor global.
    return address.is_global and not special


def resolve_host(host: str, port: int) -> list[str]:
    """Every address of a host, as the system knows them; raises `OSError`."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise socket.gaierror(str(error)) from error
    return [str(each[4][0]) for each in found]


def _parsed(text: str) -> httpx.URL:
    try:
        url = httpx.URL(text)
        host = url.raw_host.decode("ascii")
    except (httpx.InvalidURL, UnicodeError) as error:
        raise AddressRefused("This is no URL. Send one such as https://host/path.") from error
    if url.scheme not in _PORTS or not _HOST.fullmatch(host):
        raise AddressRefused
    if url.userinfo:
        raise AddressRefused("A webhook's URL may hold no user name and no password.")
    if url.port is not None and not 0 < url.port <= _PORT_MAX:
        raise AddressRefused("The URL's port must be one from 1 to 65535.")
    return url.copy_with(fragment=None)


def _embedded(address: Address) -> IPv4Address | None:
    """The IPv4 address inside a mapped, 6to4 or NAT64 one: where the packet ends up."""
    if isinstance(address, IPv4Address):
        return None
    if address in _NAT64:
        return IPv4Address(address.packed[-4:])
    return address.ipv4_mapped or address.sixtofour


def _in_time(work: Callable[[], Sequence[str]], limit_s: float) -> Sequence[str]:
    """The result of a call that can't be told to hurry; raises `TimeoutError` (an `OSError`)."""
    answers: queue.Queue[Sequence[str] | OSError] = queue.Queue()

    def run() -> None:
        try:
            answers.put(work())
        except OSError as error:
            answers.put(error)

    threading.Thread(target=run, name="resolve", daemon=True).start()
    answer: Sequence[str] | OSError = TimeoutError()
    with contextlib.suppress(queue.Empty):
        answer = answers.get(timeout=limit_s)
    if isinstance(answer, OSError):
        raise answer
    return answer
