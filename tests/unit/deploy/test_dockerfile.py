"""Rules of the Dockerfile, and the two scripts that images are made with."""

import os
import re
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from neuroscan import __version__
from neuroscan.settings import SHIPPED_BUNDLE
from tests.unit.deploy.files import DEPLOY, REPOSITORY

TEXT = (DEPLOY / "Dockerfile").read_text()
# Without comments; continued lines joined.
LINES = re.sub(r"\\\n(\s*#.*\n)*\s*", " ", re.sub(r"^#.*\n", "", TEXT, flags=re.MULTILINE))
TARGETS = ("gateway", "spatial", "reports", "inference", "explain")


def stages() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    name = ""
    for line in filter(str.strip, LINES.splitlines()):
        if line.startswith("FROM "):
            name = line.split(" AS ")[1]
            found[name] = []
        if name:
            found[name].append(line)
    return found


@pytest.fixture(params=TARGETS)
def target(request: pytest.FixtureRequest) -> list[str]:
    return stages()[request.param]


def test_a_target_runs_as_nobody_special_and_says_how_it_is(target: list[str]) -> None:
    users = [line for line in target if line.startswith("USER ")]
    assert users == ["USER 10001:10001"]
    assert any(line.startswith("HEALTHCHECK ") for line in target)
    assert any(line.startswith('CMD ["python", "-m", "services.') for line in target)
    label = next(line for line in target if line.startswith("LABEL "))
    for name in ("title", "description", "licenses", "version", "revision"):
        assert f"org.opencontainers.image.{name}=" in label


def test_a_target_installs_nothing_and_learns_no_index(target: list[str]) -> None:
    assert "pip" not in " ".join(line for line in target if line.startswith(("RUN", "ARG", "ENV")))
    assert not [line for line in target if "PIP_" in line]


def test_every_installation_is_hashed_and_of_wheels() -> None:
    installs = re.findall(r"-m pip --python \S+ install (.*?)(?: && |$)", LINES, re.MULTILINE)
    assert len(installs) == 8
    locked = [each for each in installs if "/source" not in each]
    assert len(locked) == 7
    for each in locked:
        assert "--require-hashes" in each
        assert "--only-binary :all:" in each
        lock = re.search(r"-r /(locks/\S+)", each)
        assert lock is not None
        assert (REPOSITORY / lock[1]).is_file()
    own = next(each for each in installs if "/source" in each)
    assert "--no-deps" in own
    assert "--no-build-isolation" in own


def test_no_compiler_and_nothing_of_buildkit() -> None:
    assert not re.search(r"build-essential|\bgcc\b|\bg\+\+|-dev\b", LINES)
    assert not re.search(r"--mount|--chmod|--link|<<|# syntax", TEXT)
    assert not re.search(r"^ADD ", TEXT, re.MULTILINE)


def test_inference_and_explain_stand_on_one_layer_with_torch() -> None:
    assert stages()["inference"][0] == "FROM torch AS inference"
    assert stages()["explain"][0] == "FROM torch AS explain"
    assert "COPY --from=torch-packages /opt/venv /opt/venv" in stages()["torch"]
    for name in TARGETS:
        assert not [line for line in stages()[name] if "--from=torch-packages" in line]


def test_the_gateway_has_no_weights() -> None:
    copied = [line for line in stages()["gateway"] if line.startswith("COPY models")]
    assert copied
    assert all("bundle.json" in line or "/figures" in line for line in copied)


def test_the_shipped_bundle_and_version_are_the_codes() -> None:
    assert set(re.findall(r"^ARG BUNDLE=(\S+)$", TEXT, re.MULTILINE)) == {SHIPPED_BUNDLE.name}
    assert set(re.findall(r"^ARG VERSION=(\S+)$", TEXT, re.MULTILINE)) == {__version__}


def test_images_refuse_defaults() -> None:
    assert "NEUROSCAN_ENVIRONMENT=production" in " ".join(stages()["base"])


def test_the_context_is_what_is_listed() -> None:
    lines = (REPOSITORY / ".dockerignore").read_text().split("\n")
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    let_in = {rule.removeprefix("!") for rule in rules if rule.startswith("!")}
    assert let_in >= {"locks", "models", "neuroscan", "services"}
    assert not let_in & {"deploy", "tests", "training", ".env", ".git"}


def probe(*arguments: str) -> int:
    command = [sys.executable, "-I", "-S", str(DEPLOY / "probe.py"), *arguments]
    return subprocess.run(command, check=False, timeout=30).returncode


def test_the_probe_asks_the_server() -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/well" else 503)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        port = str(server.server_port)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        answers = probe("http", port, "/well"), probe("http", port, "/unwell")
        server.shutdown()
        thread.join()
    assert answers == (0, 1)
    assert probe("http", port, "/well") == 1


def test_the_probe_looks_for_a_beat(tmp_path: Path) -> None:
    beat = tmp_path / "heartbeat"
    assert probe("beat", str(beat), "20") == 1
    beat.touch()
    assert probe("beat", str(beat), "20") == 0
    then = time.time() - 30
    os.utime(beat, (then, then))
    assert probe("beat", str(beat), "20") == 1


def test_trimming_takes_tests_and_doubles_and_nothing_else(tmp_path: Path) -> None:
    package = tmp_path / "package"
    (package / "tests").mkdir(parents=True)
    (package / "tests" / "test_it.py").write_text("")
    (package / "code.py").write_text("")
    (package / "code.pyi").write_text("")
    library = os.urandom(64 * 1024)
    for name in ("libx.so", "libx.so.1", "libx.so.1.2"):
        (package / name).write_bytes(library)
    (package / "liby.so").write_bytes(os.urandom(64 * 1024))
    subprocess.run([sys.executable, str(DEPLOY / "trim.py"), str(tmp_path)], check=True)
    left = {path.name for path in package.iterdir()}
    assert left == {"code.py", "libx.so", "libx.so.1", "libx.so.1.2", "liby.so"}
    links = {path.name for path in package.iterdir() if path.is_symlink()}
    assert links == {"libx.so.1", "libx.so.1.2"}
    assert (package / "libx.so.1.2").read_bytes() == library
