"""Loopback ports for the services."""

import random
import socket
from pathlib import Path

from neuroscan.stack.errors import HostRefused, PortTaken

_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
_LOWEST = 15000
LOOPBACK = ("127.0.0.1", "::1")


def require_loopback(host: str) -> str:
    """The host as an address; raises `HostRefused` for one that others can reach."""
    address = "127.0.0.1" if host == "localhost" else host
    if address not in LOOPBACK:
        raise HostRefused(
            f"{host} may be reached from other machines, and there are no keys yet: "
            f"NeuroScan listens on {' or '.join(LOOPBACK)} only."
        )
    return address


def origin(host: str, port: int) -> str:
    """`http://host:port`, with the brackets that IPv6 wants."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def require_free(host: str, port: int) -> None:
    """Raises `PortTaken` when something listens there."""
    if not _free(host, port):
        raise PortTaken(f"Port {port} on {host} is taken; choose another with --port.")


def free_ports(count: int, host: str = "127.0.0.1") -> list[int]:
    """Ports that nothing listens on.

    They lie below the range that the kernel gives to outgoing connections, so that none takes
    the port of a service while it is being started again.
    """
    highest = int(_EPHEMERAL.read_text().split()[0]) - 1
    candidates = range(_LOWEST, highest if highest > _LOWEST + 1000 else 65000)
    ports: list[int] = []
    # Not a secret: two stacks that start at once should seldom try the same port.
    for port in random.SystemRandom().sample(candidates, k=min(500, len(candidates))):
        if len(ports) == count:
            return ports
        if _free(host, port):
            ports.append(port)
    raise PortTaken(f"No {count} free ports were found on {host}.")


def _free(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True
