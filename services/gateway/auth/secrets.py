"""What the server's secret is for: the pepper of keys and sessions, encryption at rest.

Each purpose has a key of its own, derived from the secret (HKDF, RFC 5869).
"""

import base64
import hashlib
import hmac
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_NONCE_BYTES = 12
TOKEN_BYTES = 32


class UndecipherableError(Exception):
    """What was encrypted with another secret, or was changed since."""


class ServerSecret:
    """Keys derived from the one secret that an installation has."""

    def __init__(self, secret: str) -> None:
        self._pepper = _derived(secret, "pepper")
        self._cipher = AESGCM(_derived(secret, "encryption"))

    def mac(self, purpose: str, text: str) -> str:
        """HMAC-SHA256 of a token, in hexadecimal; another purpose gives another value."""
        message = f"{purpose}\n{text}".encode()
        return hmac.new(self._pepper, message, hashlib.sha256).hexdigest()

    def encrypt(self, content: bytes) -> bytes:
        """AES-256-GCM with a random nonce in front."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, content, None)

    def decrypt(self, sealed: bytes) -> bytes:
        """What `encrypt` was given; raises `UndecipherableError`."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], None)
        except (InvalidTag, ValueError) as error:
            raise UndecipherableError("The server's secret is not the one it was then.") from error


def new_token() -> str:
    """256 random bits, as text that any header takes."""
    return base64.urlsafe_b64encode(os.urandom(TOKEN_BYTES)).decode().rstrip("=")


def same(first: str, second: str) -> bool:
    """Compare in a time that tells nothing."""
    return hmac.compare_digest(first.encode(), second.encode())


def _derived(secret: str, purpose: str) -> bytes:
    info = f"neuroscan {purpose}".encode()
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(secret.encode())
