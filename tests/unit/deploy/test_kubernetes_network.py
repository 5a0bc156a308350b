"""Who reaches whom by the policies, reckoned as a network plugin does: compose's networks again."""

from ipaddress import ip_address, ip_network
from itertools import product

import pytest

from tests.unit.deploy.files import DEPLOY, services
from tests.unit.deploy.manifests import (
    COMPONENT,
    KUBERNETES,
    OVERLAYS,
    Manifest,
    build,
    by_kind,
    container,
    manifests_of,
    overlay,
    pods,
)

PORTS = {"gateway": 8000, "inference": 8001, "reports": 8002, "redis": 6379, "postgres": 5432}
METRICS = {**dict.fromkeys(("gateway", "recorder", "explain", "spatial"), 9100)}
METRICS |= {"inference": 8001, "reports": 8002}
# Compose's word for what is meant, beside what may be reached by a shared network.
LEDGER = ("gateway", "recorder", "migrate", "admin", "database-setup")
BROKER = ("gateway", "recorder", "explain", "spatial", "admin")
INNER = ("gateway", "recorder")
WANTED = {
    *product(LEDGER, ["postgres"]),
    *product(BROKER, ["redis"]),
    *product(INNER, ["inference", "reports"]),
}
Peer = tuple[str, dict[str, str]]
INGRESS: Peer = ("ingress-nginx", {})
PROMETHEUS: Peer = ("monitoring", {})
NEIGHBOR: Peer = ("somebody-else", {COMPONENT: "gateway"})
NAMES: Peer = ("kube-system", {"k8s-app": "kube-dns"})


def matches(selector: Manifest, labels: dict[str, str]) -> bool:
    wanted = selector.get("matchLabels", {})
    for rule in selector.get("matchExpressions", ()):
        assert rule["operator"] == "In"
        if labels.get(rule["key"]) not in rule["values"]:
            return False
    return bool(wanted.items() <= labels.items())


def is_peer(rule: Manifest, peer: Peer | str) -> bool:
    """Whether one `from` or `to` means a pod (its namespace and labels) or an address."""
    if isinstance(peer, str):
        block = rule.get("ipBlock")
        address = ip_address(peer)
        if not block or address.version != ip_network(block["cidr"]).version:
            return False
        kept = [ip_network(each) for each in block.get("except", ())]
        return address in ip_network(block["cidr"]) and not any(address in each for each in kept)
    if "ipBlock" in rule:
        # Some plugins take pods for addresses too: the worse case.
        return True
    namespace, labels = peer
    where = rule.get("namespaceSelector")
    if where is None:
        return namespace == "neuroscan" and matches(rule["podSelector"], labels)
    here = matches(where, {"kubernetes.io/metadata.name": namespace})
    return here and matches(rule.get("podSelector", {}), labels)


def lets(
    policies: list[Manifest], direction: str, pod: dict[str, str], peer: Peer | str, port: int
) -> bool:
    rules, side = ("ingress", "from") if direction == "Ingress" else ("egress", "to")
    meant = [
        each["spec"]
        for each in policies
        if direction in each["spec"]["policyTypes"] and matches(each["spec"]["podSelector"], pod)
    ]
    assert meant, "a pod that no policy means is open"
    return any(
        any(is_peer(one, peer) for one in rule[side])
        and any(at["port"] <= port <= at.get("endPort", at["port"]) for at in rule["ports"])
        for policy in meant
        for rule in policy.get(rules, ())
    )


class Network:
    """The policies of an overlay and the labels of its pods."""

    def __init__(self, made: list[Manifest]) -> None:
        self._policies = list(by_kind(made, "NetworkPolicy").values())
        self.labels = {name: pod["metadata"]["labels"] for name, pod in pods(made).items()}

    def reaches(self, source: str, target: str, port: int) -> bool:
        """Both sides must let it."""
        out, into = self.labels[source], self.labels[target]
        return self.leaves(source, ("neuroscan", into), port) and self.enters(
            ("neuroscan", out), target, port
        )

    def enters(self, peer: Peer, target: str, port: int) -> bool:
        return lets(self._policies, "Ingress", self.labels[target], peer, port)

    def leaves(self, source: str, peer: Peer | str, port: int) -> bool:
        return lets(self._policies, "Egress", self.labels[source], peer, port)


@pytest.fixture(params=OVERLAYS)
def network(request: pytest.FixtureRequest) -> Network:
    return Network(overlay(request.param))


def test_who_must_reach_whom_does_and_nobody_else(network: Network) -> None:
    every_port = {*PORTS.values(), *METRICS.values()}
    for source, target in product(network.labels, network.labels):
        open_ports = {port for port in every_port if network.reaches(source, target, port)}
        expected = {PORTS[target]} if (source, target) in WANTED else set()
        assert open_ports == expected, (source, target)


def test_nobody_reaches_here_whom_compose_keeps_away() -> None:
    networks = {name: set(each.get("networks", ())) for name, each in services().items()}
    for source, target in WANTED:
        assert networks[source] & networks[target] - {"outward", "store"}, (source, target)


def test_only_the_ingress_reaches_the_gateway(network: Network) -> None:
    for target, port in product(network.labels, {*PORTS.values(), *METRICS.values()}):
        assert network.enters(INGRESS, target, port) == ((target, port) == ("gateway", 8000))
        assert not network.enters(NEIGHBOR, target, port)


def test_prometheus_reaches_the_metrics(network: Network) -> None:
    for target, port in product(network.labels, {*PORTS.values(), *METRICS.values()}):
        expected = METRICS.get(target) == port
        # A policy with both servers' ports opens the other's to them, where nobody listens.
        if target in ("inference", "reports") and port in (8001, 8002):
            continue
        assert network.enters(PROMETHEUS, target, port) == expected, (target, port)
    for target in ("inference", "reports"):
        assert network.enters(PROMETHEUS, target, METRICS[target])


@pytest.mark.parametrize("address", ["198.51.100.7", "10.20.30.40", "2001:db8::7"])
def test_who_gets_out_and_where_to(network: Network, address: str) -> None:
    free = {"gateway", "recorder", "admin"}
    for source in network.labels:
        assert network.leaves(source, address, 443) == (source in {*free, "explain", "spatial"})
        for port in (22, 80, 5432, 6379):
            assert network.leaves(source, address, port) == (source in free)


def test_nobody_reaches_what_a_cloud_keeps_for_its_nodes(network: Network) -> None:
    for source in network.labels:
        assert not network.leaves(source, "169.254.169.254", 443)
        assert not network.leaves(source, "169.254.169.254", 80)


def test_whoever_connects_somewhere_can_resolve_names(network: Network) -> None:
    asking = {source for source, _ in WANTED}
    for source in network.labels:
        assert network.leaves(source, NAMES, 53) == (source in asking)


def test_servers_elsewhere_are_reached_by_those_who_need_them() -> None:
    made = [*build(KUBERNETES / "base"), *build_component("managed")]
    network = Network(made)
    for source in network.labels:
        database = network.leaves(source, "198.51.100.7", 5432)
        broker = network.leaves(source, "198.51.100.7", 6379)
        assert database == (source in {"gateway", "recorder", "migrate", "admin"})
        assert broker == (source in {"gateway", "recorder", "explain", "spatial", "admin"})


def build_component(name: str) -> list[Manifest]:
    folder = KUBERNETES / "components" / name
    return [each for file in folder.glob("*.yaml") for each in manifests_of(file)]


def test_services_lead_to_pods_and_inner_ones_show_every_pod() -> None:
    made = overlay("cpu")
    found, named = by_kind(made, "Service"), pods(made)
    assert set(found) == set(PORTS)
    for name, service in found.items():
        spec = service["spec"]
        assert matches({"matchLabels": spec["selector"]}, named[name]["metadata"]["labels"])
        ports = {port["name"]: port["containerPort"] for port in container(named[name])["ports"]}
        assert [port["port"] for port in spec["ports"]] == [PORTS[name]]
        assert ports[spec["ports"][0]["targetPort"]] == PORTS[name]
        # A gateway asks the least busy pod itself; the ingress knows the gateways' pods anyway.
        assert (spec.get("clusterIP") == "None") == (name != "gateway")
    ledger = next(
        each["data"]
        for name, each in by_kind(made, "ConfigMap").items()
        if name.startswith("ledger-")
    )
    assert ledger["INFERENCE_URL"] == f"http://inference:{PORTS['inference']}"
    assert ledger["REPORTS_URL"] == f"http://reports:{PORTS['reports']}"


def test_the_ports_are_the_images() -> None:
    exposed = (DEPLOY / "Dockerfile").read_text()
    for name, pod in pods(build(KUBERNETES / "base")).items():
        for port in container(pod).get("ports", ()):
            if name != "recorder":
                assert str(port["containerPort"]) in exposed


def annotations(name: str) -> dict[str, str]:
    found: dict[str, str] = by_kind(overlay("example"), "Ingress")[name]["metadata"]["annotations"]
    return {key.partition("/")[2]: value for key, value in found.items()}


def nginx(directive: str, text: str) -> str:
    lines = [line.strip() for line in text.splitlines()]
    return next(
        line.removeprefix(directive).strip(" ;") for line in lines if line.startswith(directive)
    )


@pytest.mark.parametrize("name", ["gateway", "gateway-scans", "gateway-batches"])
def test_the_ingress_passes_on_as_our_nginx_does(name: str) -> None:
    locations = (DEPLOY / "nginx/locations.conf").read_text()
    said = annotations(name)
    assert said["proxy-request-buffering"] == nginx("proxy_request_buffering", locations)
    assert said["proxy-next-upstream"] == nginx("proxy_next_upstream ", locations)
    assert said["proxy-next-upstream-tries"] == nginx("proxy_next_upstream_tries", locations)
    for directive in ("connect", "send", "read"):
        expected = nginx(f"proxy_{directive}_timeout", locations)
        assert f"{said[f'proxy-{directive}-timeout']}s" == expected
    # Its lines would hold addresses with their queries.
    assert said["enable-access-log"] == "false"


def test_sizes_are_those_of_our_nginx() -> None:
    locations = (DEPLOY / "nginx/locations.conf").read_text()
    sizes = [
        line.split()[1].rstrip(";")
        for line in locations.splitlines()
        if "client_max_body_size" in line
    ]
    ours = ["gateway", "gateway-scans", "gateway-batches"]
    assert [annotations(name)["proxy-body-size"] for name in ours] == sizes
    paths = [
        (path["path"], path["pathType"])
        for name in ours
        for rule in by_kind(overlay("example"), "Ingress")[name]["spec"]["rules"]
        for path in rule["http"]["paths"]
    ]
    assert paths == [("/", "Prefix"), ("/v1/scans", "Exact"), ("/v1/batches", "Prefix")]
