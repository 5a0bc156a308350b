"""The public keys of an identity provider: fetched when needed, kept while it is away.

A provider that does not answer must not hold up those who come with an API key: there is one
fetch at a time, it is short, and after it the next one has to wait. Those who wait for one are in
threads of their own (`middleware`).
"""

import json
import threading
import time
from dataclasses import dataclass
from typing import Any

import httpx
from jwt import PyJWK
from jwt.exceptions import PyJWTError

from neuroscan.contracts.problems import Unavailable
from neuroscan.settings import is_https_or_loopback
from neuroscan.telemetry import get_logger

# Signatures that anybody can check and only the provider can make: no shared secret, no `none`.
ALGORITHMS = (
    *("RS256", "RS384", "RS512"),
    *("PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512"),
    "EdDSA",
)
DISCOVERY_PATH = "/.well-known/openid-configuration"
_BYTES_MAX = 1024 * 1024

log = get_logger(__name__)


class _UnusableAnswer(Exception):
    """The provider answered with something else than its keys."""


@dataclass(frozen=True)
class Timing:
    """How long keys are good, and how often they may be fetched. In seconds."""

    fresh_s: float = 3600.0
    usable_s: float = 24 * 3600.0
    cooldown_s: float = 10.0
    timeout_s: float = 3.0


class Jwks:
    """An issuer's keys by their id. Safe to use from several threads."""

    def __init__(self, issuer: str, url: str | None, timing: Timing | None = None) -> None:
        self._issuer = issuer
        self._url = url
        self._timing = timing or Timing()
        self._keys: dict[str, PyJWK] = {}
        self._fetched_at = -float("inf")
        self._next_fetch_at = -float("inf")
        self._away = False
        self._lock = threading.Lock()
        self._http = httpx.Client(
            trust_env=False,
            verify=httpx.create_ssl_context(),
            follow_redirects=False,
            timeout=self._timing.timeout_s,
        )

    def key(self, key_id: str) -> PyJWK | None:
        """The key with this id, fetched anew when it is unknown; None when there is none.

        Raises `Unavailable` when the provider does not answer and the keys at hand don't help.
        """
        # Who has a key, if an old one, does not wait for somebody else's fetch.
        patience_s = 0.0 if key_id in self._keys else self._timing.timeout_s
        if self._wants_fetch(key_id) and self._lock.acquire(timeout=patience_s):
            try:
                # Another thread may have fetched them in the meantime.
                if self._wants_fetch(key_id):
                    self._fetch()
            finally:
                self._lock.release()
        known = self._keys if self._age_s() < self._timing.usable_s else {}
        found = known.get(key_id)
        if found is None and (self._away or not known):
            raise Unavailable("The identity provider does not answer. Try again in a few seconds.")
        return found

    def close(self) -> None:
        """Release the connections."""
        self._http.close()

    def _age_s(self) -> float:
        return time.monotonic() - self._fetched_at

    def _wants_fetch(self, key_id: str) -> bool:
        if time.monotonic() < self._next_fetch_at:
            return False
        return key_id not in self._keys or self._age_s() > self._timing.fresh_s

    def _fetch(self) -> None:
        try:
            url = self._url or self._discover()
            self._keys = _signing_keys(self._get(url))
            self._fetched_at = time.monotonic()
            self._away = False
        except (httpx.HTTPError, httpx.InvalidURL, _UnusableAnswer) as error:
            self._away = True
            log.warning("oidc.keys_not_fetched", error=type(error).__name__)
        self._next_fetch_at = time.monotonic() + self._timing.cooldown_s

    def _discover(self) -> str:
        document = self._get(self._issuer.rstrip("/") + DISCOVERY_PATH)
        url = document.get("jwks_uri")
        if document.get("issuer") != self._issuer or not isinstance(url, str):
            raise _UnusableAnswer
        if not is_https_or_loopback(url):
            raise _UnusableAnswer
        return url

    def _get(self, url: str) -> dict[str, Any]:
        content = bytearray()
        with self._http.stream("GET", url) as response:
            if not response.is_success:
                raise _UnusableAnswer
            for part in response.iter_bytes():
                content += part
                if len(content) > _BYTES_MAX:
                    raise _UnusableAnswer
        try:
            document = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise _UnusableAnswer from error
        if not isinstance(document, dict):
            raise _UnusableAnswer
        return document


def _signing_keys(document: dict[str, Any]) -> dict[str, PyJWK]:
    """The keys that can check a signature, by id; those of other kinds are passed over."""
    entries = document.get("keys")
    if not isinstance(entries, list):
        raise _UnusableAnswer
    keys: dict[str, PyJWK] = {}
    for entry in entries:
        if not isinstance(entry, dict) or entry.get("use", "sig") != "sig":
            continue
        try:
            key = PyJWK(entry)
        except PyJWTError:
            continue
        if isinstance(key.key_id, str) and key.algorithm_name in ALGORITHMS:
            keys.setdefault(key.key_id, key)
    if not keys:
        raise _UnusableAnswer
    return keys
