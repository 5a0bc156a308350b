"""An S3 store's keys come from files and sign its requests."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from neuroscan.settings import StoreSettings
from neuroscan.storage import open_storage

SIGNATURES: list[str] = []


class Bucket(BaseHTTPRequestHandler):
    """Takes every object, and notes who signed."""

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        SIGNATURES.append(self.headers.get("Authorization", ""))
        self.send_response(200)
        self.send_header("ETag", '"1"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def endpoint() -> Iterator[str]:
    SIGNATURES.clear()
    with HTTPServer(("127.0.0.1", 0), Bucket) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_keys_from_files_sign_requests_to_the_named_endpoint(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, endpoint: str
) -> None:
    (tmp_path / "id").write_text("OURKEYID\n")
    (tmp_path / "secret").write_text("our-secret\n")
    monkeypatch.setenv("OBJECT_STORE_URL", "s3://scans/production")
    monkeypatch.setenv("AWS_ENDPOINT", endpoint)
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID_FILE", str(tmp_path / "id"))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY_FILE", str(tmp_path / "secret"))
    open_storage(StoreSettings()).put("scans/1/slice.png", b"pixels")
    assert len(SIGNATURES) == 1
    assert "Credential=OURKEYID/" in SIGNATURES[0]
    assert "/eu-central-1/s3/" in SIGNATURES[0]
