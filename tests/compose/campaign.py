"""The steps of `make compose-test`, in their order; each raises when something is not as it should.

Raises `AssertionError` or `EngineError`.
"""

import hashlib
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from neuroscan.client import Client
from neuroscan.contracts.patient import PatientCreate
from neuroscan.contracts.scan import ScanView
from tests.compose.engine import BUILT, TAG, Installation, attempt, image_sizes, layers, run
from tests.compose.scans import Load, not_completed, send, send_many
from tests.compose.watching import (
    METRICS,
    check_metrics,
    check_prometheus,
    check_traces,
    counted,
    prometheus_image,
)

WITHOUT_TORCH = ("gateway", "spatial", "reports")
IMAGE_BYTES_MAX = 400_000_000
SCANS = 60
# What rolling-restart replaces when it is not told what.
REPLACED = ("reports", "inference", "explain", "spatial", "recorder", "gateway")


@dataclass
class Campaign:
    """One run; `lines` tells what was found."""

    place: Installation
    key: str = ""
    lines: list[str] = field(default_factory=list)

    def run(self) -> None:
        """All steps."""
        with self._step("build five images"):
            self.place.build()
        self._check_images()
        with self._step("secrets, and up with inference=2 explain=3 gateway=2"):
            self.place.script("make-secrets", str(self.place.folder / "secrets"))
            self.place.start(inference=2, explain=3, gateway=2)
        self.key = self._make_key()
        self._check_walls()
        with self._step(f"{SCANS} scans, a replica of inference and of explain killed meanwhile"):
            scans = self._scans_with_a_fault()
        self.place.wait_healthy()
        with self._step("metrics and traces of every service"):
            self._check_watching()
        with self._step("every service's containers replaced one by one under load"):
            self._roll()
        with self._step("backup, deletions, down, restore into fresh volumes, up"):
            self._restore(scans)
        with self._step("TLS"):
            self._check_tls()
        with self._step("down"):
            self.place.down()

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self._tell(f"{time.monotonic() - began:6.0f} s  {name}")

    def _tell(self, line: str) -> None:
        self.lines.append(line)
        print(line, flush=True)

    def _check_images(self) -> None:
        for service, size in image_sizes().items():
            self._tell(f"{size / 1e6:7.0f} MB  neuroscan-{service}")
            assert service not in WITHOUT_TORCH or size <= IMAGE_BYTES_MAX, f"{service}: {size}"
        first, second = layers("inference"), layers("explain")
        shared = [one for one, other in zip(first, second, strict=False) if one == other]
        assert len(shared) >= 2, "inference and explain share no layer with torch"
        for service in BUILT:
            inside = (
                "import os, shutil; assert os.getuid() == 10001;"
                "assert not any(map(shutil.which, ('gcc', 'cc', 'c++', 'pip', 'git')))"
            )
            image = f"neuroscan-{service}:{TAG}"
            safe = ("docker", "run", "--rm", "--read-only", "--network=none")
            run([*safe, image, "python", "-c", inside])
        image = f"neuroscan-gateway:{TAG}"
        bare = attempt(["docker", "run", "--rm", "--network=none", image])
        assert bare.returncode != 0, "a gateway without settings started"

    def _make_key(self) -> str:
        make = ("python", "-m", "services.gateway.auth.make_key", "compose test", "admin")
        return self.place.compose("run", "--rm", "-T", "--no-deps", "admin", *make).split()[-1]

    def _check_walls(self) -> None:
        """Workers reach neither the database nor what has a way out, not by address either."""
        databases = [(each, 5432) for each in self.place.addresses("postgres")]
        fronts = [(each, 8080) for each in self.place.addresses("nginx")]
        assert databases
        assert len(fronts) == 2
        for service in ("explain", "spatial", "inference", "reports"):
            reached = self._reached(service, [*databases, *fronts])
            assert not reached, f"{service} reaches {reached}"
        # The same question finds what is open.
        assert self._reached("gateway", databases) == databases

    def _reached(self, service: str, hosts: list[tuple[str, int]]) -> list[tuple[str, int]]:
        code = "import socket; socket.create_connection(({!r}, {}), 2).close()"
        container = self.place.containers(service)[0]
        asked = {
            host: attempt(["docker", "exec", container, "python", "-c", code.format(*host)])
            for host in hosts
        }
        return [host for host, done in asked.items() if done.returncode == 0]

    def _scans_with_a_fault(self) -> list[ScanView]:
        answered: dict[str, float] = {}

        def kill() -> None:
            for container in self.place.containers("inference"):
                answered[container] = self._answers(container)
            self.place.crash(self.place.containers("inference")[0])
            self.place.crash(self.place.containers("explain")[0])

        scans = send_many(self.place.url, self.key, SCANS, "sixty", kill)
        assert not not_completed(scans), not_completed(scans)
        assert len({scan.id for scan in scans}) == SCANS
        self.place.wait_healthy()
        # The killed one counts anew.
        for container, before in answered.items():
            answered[container] = max(before, self._answers(container))
        assert len(answered) == 2, "two inference replicas were wanted"
        assert all(answered.values()), f"an inference replica was idle: {answered}"
        self._tell(f"          answers by replica: {sorted(map(int, answered.values()))}")
        return scans

    def _answers(self, container: str) -> float:
        address = f"127.0.0.1:{METRICS['inference'][0]}"
        return counted(self.place, container, address, "neuroscan_inference_answers_total")

    def _check_watching(self) -> None:
        shown = check_metrics(self.place)
        self._tell(f"          samples shown: {', '.join(f'{k} {n}' for k, n in shown.items())}")
        self._tell(f"          spans came from: {', '.join(sorted(check_traces(self.place)))}")
        image = prometheus_image(self.place)
        if image is None:
            self._tell("          Prometheus: NOT RUN, no image of it can be had here")
            return
        read = check_prometheus(self.place)
        self._tell(f"          {image} reads: {', '.join(f'{k} {n}' for k, n in read.items())}")

    def _roll(self) -> None:
        before = {name: set(self.place.containers(name)) for name in REPLACED}
        with Load(self.place.url, self.key, "rolling") as load:
            self.place.script("rolling-restart")
        for name, old in before.items():
            new = set(self.place.containers(name))
            assert len(new) == len(old), f"{name}: {len(old)} containers became {len(new)}"
            assert not new & old, f"{name}: not every container was replaced"
        assert not load.errors, load.errors
        with Client(self.place.url, self.key) as client:
            scans = [client.wait(scan_id, timeout_s=240) for scan_id in load.scan_ids]
        assert not not_completed(scans), not_completed(scans)
        assert scans, "there was no load"
        self._tell(f"          {load.requests} calls, 0 errors, {len(scans)} scans completed")

    def _restore(self, scans: list[ScanView]) -> None:
        backup, newest = self.place.folder / "backup", self.place.folder / "newest"
        kept, erased = scans[0].id, scans[1].id
        with Client(self.place.url, self.key, patience_s=60) as client:
            patient = client.create_patient(PatientCreate(medical_record_number="C-1"))
            of_patient = send(client, 99, "patient", patient.id)
            client.wait(of_patient, timeout_s=120)
            digest = hashlib.sha256(client.artefact(kept, "report.pdf")).hexdigest()
            self.place.script("backup", str(backup))
            client.delete(erased)
            _request(self.place.url, self.key, "DELETE", f"/v1/patients/{patient.id}", 204)
            self.place.script("backup", "--erased", str(newest))
        self.place.down()
        self.place.script("restore", str(backup), str(newest / "erased.tar"))
        self.place.start()
        with Client(self.place.url, self.key, patience_s=60) as client:
            again = client.artefact(kept, "report.pdf")
            assert hashlib.sha256(again).hexdigest() == digest, "a report came back changed"
            for gone in (erased, of_patient):
                _request(self.place.url, self.key, "GET", f"/v1/scans/{gone}", 404)
            _request(self.place.url, self.key, "GET", f"/v1/patients/{patient.id}", 404)
            fresh = client.wait(send(client, 500, "restored"), timeout_s=120)
            assert not not_completed([fresh])

    def _check_tls(self) -> None:
        certificate = _certificate(self.place)
        self.place.compose("up", "-d", "--no-deps", "--force-recreate", "nginx")
        self.place.wait_healthy()
        context = ssl.create_default_context(cadata=certificate)
        secure = f"https://localhost:{self.place.tls_port}/health/ready"
        with httpx.Client(verify=context, trust_env=False) as http:
            answer = http.get(secure)
            assert answer.status_code == 200, answer.text
            assert "max-age" in answer.headers["Strict-Transport-Security"]
            plain = http.get(f"{self.place.url}/v1/scans?reference=x")
        assert plain.status_code == 308
        assert plain.headers["Location"].startswith("https://localhost/")
        log = self.place.logs("nginx", 200)
        assert "reference=" not in log, "nginx logs queries"


def _request(url: str, key: str, method: str, path: str, status: int) -> None:
    headers = {"Authorization": f"Bearer {key}"}
    answer = httpx.request(method, url + path, headers=headers, trust_env=False, timeout=60)
    assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text}"


def _certificate(place: Installation) -> str:
    """A certificate for localhost where nginx looks for one; returns it as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    moment = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(moment - timedelta(hours=1))
        .not_valid_after(moment + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    text = made.public_bytes(serialization.Encoding.PEM).decode()
    (place.certificates / "tls.crt").write_text(text)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (place.certificates / "tls.key").write_bytes(private)
    return text
