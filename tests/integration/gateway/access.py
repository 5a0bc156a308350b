"""Callers of every role, with keys of their own."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from neuroscan.contracts.access import NewKey
from neuroscan.contracts.enums import Role


def make_key(api: httpx.Client, role: Role, **fields: str) -> NewKey:
    """A new key, by an administrator's client."""
    body = {"name": f"test {uuid.uuid4().hex[:8]}", "role": role, **fields}
    answer = api.post("/v1/keys", json=body)
    assert answer.status_code == 201, answer.text
    return NewKey.model_validate_json(answer.content)


@contextmanager
def caller(api: httpx.Client, key: str | None = None) -> Iterator[httpx.Client]:
    """A client of the same server with this key, or with none, and with cookies of its own."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    with httpx.Client(
        base_url=api.base_url, headers=headers, timeout=60, trust_env=False
    ) as client:
        yield client


def code_of(answer: httpx.Response) -> tuple[int, str | None]:
    """Status and, for a problem, its code."""
    body = answer.json() if answer.content else {}
    return answer.status_code, body.get("code") if isinstance(body, dict) else None
