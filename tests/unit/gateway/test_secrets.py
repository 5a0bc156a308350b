"""The server's secret: tokens by their HMAC, encryption at rest."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroscan.settings import SecretSettings
from services.gateway.auth.secrets import ServerSecret, UndecipherableError, new_token, same

SECRET = ServerSecret("a" * 32)
OTHER = ServerSecret("b" * 32)


@given(st.binary())
def test_what_is_encrypted_comes_back_and_never_looks_the_same(content: bytes) -> None:
    first, second = SECRET.encrypt(content), SECRET.encrypt(content)
    assert first != second
    assert SECRET.decrypt(first) == SECRET.decrypt(second) == content


@given(st.binary(max_size=64), st.data())
def test_a_changed_bit_is_noticed(content: bytes, data: st.DataObject) -> None:
    sealed = bytearray(SECRET.encrypt(content))
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(UndecipherableError):
        SECRET.decrypt(bytes(sealed))


@pytest.mark.parametrize("sealed", [b"", b"short", b"\0" * 12, OTHER.encrypt(b"content")])
def test_what_this_secret_did_not_encrypt_is_undecipherable(sealed: bytes) -> None:
    with pytest.raises(UndecipherableError):
        SECRET.decrypt(sealed)


def test_a_mac_depends_on_the_secret_the_purpose_and_the_text() -> None:
    macs = [
        secret.mac(purpose, text)
        for secret in (SECRET, OTHER)
        for purpose in ("key", "session")
        for text in ("first", "second")
    ]
    assert len(set(macs)) == len(macs)
    assert ServerSecret("a" * 32).mac("key", "first") == macs[0]
    assert "first" not in macs[0]


def test_tokens_hold_256_bits_and_are_never_the_same() -> None:
    tokens = {new_token() for _ in range(1000)}
    assert len(tokens) == 1000
    assert {len(token) for token in tokens} == {43}


@given(st.text(), st.text())
def test_same_compares_any_text(first: str, second: str) -> None:
    assert same(first, first)
    assert same(first, second) == (first == second)


@pytest.mark.parametrize("secret", [None, "", "x" * 31])
def test_a_server_without_a_long_secret_does_not_start(secret: str | None) -> None:
    with pytest.raises(ValueError, match="SERVER_SECRET"):
        SecretSettings(server_secret=secret, server_secret_file=None).read()
