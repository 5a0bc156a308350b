"""Claim a key before anything is stored, and wait for the request that holds it.

The key's row is inserted before anything is stored. Its fingerprint is taken over the image's
SHA-256 and the normalized fields, never over the multipart body, whose boundary differs each time.
"""

import hashlib
import json
import re
import time
from datetime import timedelta

from sqlalchemy import Engine

from neuroscan.contracts.problems import IdempotencyConflict, IdempotencyInProgress, InvalidRequest
from neuroscan.settings import GatewaySettings
from services.gateway.db.session import one_statement
from services.gateway.db.tables import IdempotencyKey
from services.gateway.idempotency import repository
from services.gateway.idempotency.repository import KeyUse

_HOLD = timedelta(seconds=60)
_WAIT_S = 5.0
_POLL_S = 0.1
KEY_LENGTH_MAX = 255
# Printable ASCII, and not blank.
KEY_PATTERN = "^[ -~]*[!-~][ -~]*$"


def fingerprint(image_sha256: str, fields: dict[str, str | None]) -> str:
    """SHA-256 over the image's digest and the sorted fields."""
    content = json.dumps([image_sha256, sorted(fields.items())])
    return hashlib.sha256(content.encode()).hexdigest()


def use_of(key: str, *, principal: str, route: str, print_: str) -> KeyUse:
    """A key's use; raises `InvalidRequest` for a key that is empty or too long."""
    if len(key) > KEY_LENGTH_MAX or not re.fullmatch(KEY_PATTERN, key):
        raise InvalidRequest("Idempotency-Key must be 1 to 255 printable ASCII characters.")
    return KeyUse(principal=principal, route=route, key=key, fingerprint=print_)


def claim(engine: Engine, settings: GatewaySettings, use: KeyUse) -> IdempotencyKey | None:
    """Take the key: None when it is ours now, else its row, bound to what it made before.

    Raises `IdempotencyConflict` for other content, `IdempotencyInProgress` when the first request
    does not end within five seconds.
    """
    ends = time.monotonic() + _WAIT_S
    while True:
        lifetime = settings.idempotency_lifetime
        with one_statement(engine) as session:
            if repository.claim_key(session, use, hold=_HOLD, lifetime=lifetime):
                return None
        with one_statement(engine) as session:
            row = repository.key_row(session, use)
        if row is not None and row.fingerprint != use.fingerprint:
            raise IdempotencyConflict
        if row is not None and row.bound:
            return row
        if time.monotonic() > ends:
            raise IdempotencyInProgress(retry_after_s=1)
        time.sleep(_POLL_S)


def release(engine: Engine, use: KeyUse) -> None:
    """Forget a key whose request came to nothing."""
    with one_statement(engine) as session:
        repository.release_key(session, use)
