"""The stack of deploy/docker-compose.yml in a project of its own, driven from outside."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import yaml

from neuroscan.stack.ports import free_ports

REPOSITORY = Path(__file__).resolve().parents[2]
DEPLOY = REPOSITORY / "deploy"
BUILT = ("gateway", "spatial", "reports", "inference", "explain")
PROJECT = "neuroscan-test"
TAG = "compose-test"
# Where packages come from, as this machine's pip is told.
_PIP = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL")
_COMMAND_LIMIT_S = 600.0
_BUILD_LIMIT_S = 3600.0


class EngineError(Exception):
    """A command did not do what it should; holds the end of its output."""


def missing_tools() -> list[str]:
    """What this machine lacks to run the test at all."""
    missing = [name for name in ("docker", "docker-compose") if shutil.which(name) is None]
    if not missing and attempt(["docker", "info"]).returncode != 0:
        missing.append("a running Docker engine")
    return missing


def attempt(
    command: Sequence[str],
    limit_s: float = 60.0,
    environment: dict[str, str] | None = None,
) -> "subprocess.CompletedProcess[str]":
    """A command that may fail."""
    return subprocess.run(
        command, check=False, env=environment, capture_output=True, timeout=limit_s, text=True
    )


def run(
    command: Sequence[str],
    *,
    environment: dict[str, str] | None = None,
    limit_s: float = _COMMAND_LIMIT_S,
) -> str:
    """A command's standard output; raises `EngineError`."""
    try:
        done = attempt(command, limit_s, environment)
    except subprocess.TimeoutExpired as error:
        raise EngineError(f"{command[0]} … took longer than {limit_s:g} s") from error
    if done.returncode != 0:
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-25:])
        raise EngineError(f"{' '.join(command[:12])} ended with {done.returncode}:\n{tail}")
    return done.stdout


class Installation:
    """A folder with secrets and certificates, and the project that runs on it."""

    def __init__(self, services: dict[str, object], told: dict[str, str]) -> None:
        """`services` stand beside those of the file, `told` beside the settings of .env."""
        self.folder = Path(tempfile.mkdtemp(prefix="neuroscan-compose-"))
        # The services' group reads what lies in it.
        self.folder.chmod(0o755)
        self.certificates = self.folder / "certs"
        self.certificates.mkdir()
        self.port, self.tls_port = free_ports(2)
        override = {"services": _build_override() | services}
        self._override = self.folder / "override.yml"
        self._override.write_text(yaml.safe_dump(override))
        self._files = (DEPLOY / "docker-compose.yml", self._override)
        self.environment = {
            **os.environ,
            "PUBLIC_HOSTS": "localhost",
            "TAG": TAG,
            "SECRETS_FOLDER": str(self.folder / "secrets"),
            "TLS_FOLDER": str(self.certificates),
            "HTTP_BIND": "127.0.0.1",
            "HTTPS_BIND": "127.0.0.1",
            "HTTP_PORT": str(self.port),
            "HTTPS_PORT": str(self.tls_port),
            "PROJECT": PROJECT,
            "COMPOSE_FILES": " ".join(map(str, self._files)),
            "COMPOSE_DOCKER_CLI_BUILD": "0",
            "DOCKER_BUILDKIT": "0",
            **told,
        }

    @property
    def url(self) -> str:
        """Where nginx listens, without TLS."""
        return f"http://localhost:{self.port}"

    def script(self, name: str, *arguments: str) -> str:
        """Run one of deploy/scripts on this project."""
        return run([str(DEPLOY / "scripts" / name), *arguments], environment=self.environment)

    def compose(self, *arguments: str, limit_s: float = _COMMAND_LIMIT_S) -> str:
        """Run docker-compose on this project."""
        files = [word for file in self._files for word in ("-f", str(file))]
        start = ["docker-compose", "--project-directory", str(DEPLOY), "-p", PROJECT, *files]
        return run([*start, *arguments], environment=self.environment, limit_s=limit_s)

    def build(self) -> None:
        """Build the images one after the other: each finds the earlier ones' layers."""
        for service in BUILT:
            self.compose("build", service, limit_s=_BUILD_LIMIT_S)

    def start(self, **scale: int) -> None:
        """Bring everything up, and wait until every container is healthy."""
        wanted = [word for name, n in scale.items() for word in ("--scale", f"{name}={n}")]
        self.compose("up", "-d", "--no-build", *wanted)
        self.wait_healthy()

    def wait_healthy(self, limit_s: float = 180.0) -> None:
        """Wait for all running containers; raises `EngineError`."""
        ends = time.monotonic() + limit_s
        while unwell := [c for c in self.containers() if _health(c) not in ("healthy", "none")]:
            if time.monotonic() > ends:
                names = run(["docker", "inspect", "-f", "{{.Name}}", *unwell]).split()
                raise EngineError(f"not healthy after {limit_s:g} s: {', '.join(names)}")
            time.sleep(1)

    def containers(self, service: str = "") -> list[str]:
        """Ids of running containers, of one service or of all."""
        labels = [f"label=com.docker.compose.project={PROJECT}"]
        if service:
            labels.append(f"label=com.docker.compose.service={service}")
        filters = [word for label in labels for word in ("--filter", label)]
        return run(["docker", "ps", "-q", *filters]).split()

    def addresses(self, service: str) -> list[str]:
        """The addresses of a service's first container, one a network."""
        form = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}"
        return run(["docker", "inspect", "-f", form, self.containers(service)[0]]).split()

    def python(self, container: str, code: str) -> str:
        """Run a line of Python in a container, as its user."""
        return run(["docker", "exec", container, "python", "-c", code])

    def crash(self, container: str) -> None:
        """Kill all that runs in a container, as a fault would; the engine starts it again."""
        code = (
            "import os; [os.kill(int(p), 9) for p in os.listdir('/proc')"
            " if p.isdigit() and int(p) not in (1, os.getpid())]"
        )
        attempt(["docker", "exec", container, "python", "-c", code])

    def down(self) -> None:
        """Take the project down, its volumes with it."""
        self.compose(
            "--profile", "admin", "--profile", "observe", "down", "--volumes", "--remove-orphans"
        )

    def remove(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def logs(self, service: str, lines: int = 20) -> str:
        """The end of a service's log."""
        return self.compose("logs", "--no-color", f"--tail={lines}", service)


def image_sizes() -> dict[str, int]:
    """Bytes of each built image, by service; shared layers count in each."""
    return {
        service: int(
            run(["docker", "image", "inspect", "-f", "{{.Size}}", f"neuroscan-{service}:{TAG}"])
        )
        for service in BUILT
    }


def layers(service: str) -> list[str]:
    """The digests of an image's layers, lowest first."""
    image = f"neuroscan-{service}:{TAG}"
    form = '{{join .RootFS.Layers " "}}'
    return run(["docker", "image", "inspect", "-f", form, image]).split()


def _build_override() -> dict[str, object]:
    """The build may need the host's network, and packages from where this machine has them."""
    arguments = {name: os.environ[name] for name in _PIP if os.environ.get(name)}
    build = {"network": "host", "args": arguments}
    return {service: {"build": build} for service in BUILT}


def _health(container: str) -> str:
    form = "{{if .State.Health}}{{.State.Health.Status}}{{else}}none{{end}}"
    return run(["docker", "inspect", "-f", form, container]).strip()
