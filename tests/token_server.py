"""An identity provider made for tests: a real HTTP server with a discovery document and keys."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
AUDIENCE = "neuroscan"


def new_key(algorithm: str) -> PrivateKey:
    """A key for signing with an algorithm."""
    if algorithm.startswith("ES"):
        curves = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}
        return ec.generate_private_key(curves[algorithm])
    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def public_jwk(key: PrivateKey, kid: str, algorithm: str) -> dict[str, Any]:
    """The public half, as the provider publishes it."""
    if isinstance(key, rsa.RSAPrivateKey):
        made = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    elif isinstance(key, ec.EllipticCurvePrivateKey):
        made = ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
    else:
        made = OKPAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return {**made, "kid": kid, "alg": algorithm, "use": "sig"}


def public_pem(key: PrivateKey) -> bytes:
    """The public half as text, which everybody has."""
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


class TokenServer:
    """Publishes keys while the block runs, and signs tokens."""

    def __init__(self) -> None:
        self.keys: dict[str, PrivateKey] = {}
        self.published: list[dict[str, Any]] = []
        # Overrides what a path answers: bytes, or a status.
        self.answers: dict[str, bytes | int] = {}
        self.fetches: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self.add_key("first")

    @property
    def issuer(self) -> str:
        """The issuer's name, which is its address."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def jwks_url(self) -> str:
        """Where the keys are."""
        return f"{self.issuer}/keys"

    def add_key(self, kid: str, algorithm: str = "ES256") -> None:
        """Make a key and publish it."""
        self.keys[kid] = new_key(algorithm)
        self.published.append(public_jwk(self.keys[kid], kid, algorithm))

    def token(self, kid: str = "first", algorithm: str = "ES256", **claims: Any) -> str:
        """A token that is good but for the claims that are given; None leaves one out."""
        present = int(time.time())
        everything: dict[str, Any] = {
            "iss": self.issuer,
            "aud": AUDIENCE,
            "sub": "subject-1",
            "iat": present,
            "exp": present + 600,
            "roles": ["readers"],
        }
        everything |= claims
        content = {name: value for name, value in everything.items() if value is not None}
        return jwt.encode(content, self.keys[kid], algorithm, {"kid": kid})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _content(self, path: str) -> bytes | int:
        if path in self.answers:
            return self.answers[path]
        documents = {
            "/.well-known/openid-configuration": {
                "issuer": self.issuer,
                "jwks_uri": self.jwks_url,
            },
            "/keys": {"keys": self.published},
        }
        return json.dumps(documents[path]).encode() if path in documents else 404

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.fetches.append(self.path)
                content = provider._content(self.path)
                if isinstance(content, int):
                    self.send_response(content)
                    self.send_header("Location", "/keys")
                    content = b""
                else:
                    self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        return Handler
