"""Bearer tokens of an identity provider: whose they are, what their bearer may do, until when."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

import jwt
from jwt.exceptions import PyJWTError

from neuroscan.contracts.enums import Role
from neuroscan.contracts.problems import Forbidden, Unauthenticated
from neuroscan.settings import OidcSettings
from services.gateway.auth.jwks import ALGORITHMS, Jwks
from services.gateway.auth.principal import Principal

# Clocks differ a little.
LEEWAY_S = 30
_TOKEN_LENGTH_MAX = 16 * 1024
_DIGEST_LENGTH = 32
# The year 2100: a token may say that it lasts longer than a date can be.
_LATEST = 4_102_444_800


@dataclass(frozen=True)
class Identity:
    """A token's bearer, and when the token ends."""

    principal: Principal
    expires_at: datetime


class OidcVerifier:
    """Checks tokens against one issuer's keys."""

    def __init__(
        self,
        keys: Jwks,
        *,
        issuer: str,
        audience: str,
        role_claim: str,
        roles: Mapping[str, Role],
    ) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._role_claim = role_claim
        self._roles = dict(roles)

    @classmethod
    def from_settings(cls, settings: OidcSettings) -> Self | None:
        """The verifier that the settings ask for; None when no issuer is set."""
        if settings.oidc_issuer is None or settings.oidc_audience is None:
            return None
        return cls(
            Jwks(settings.oidc_issuer, settings.oidc_jwks_url),
            issuer=settings.oidc_issuer,
            audience=settings.oidc_audience,
            role_claim=settings.oidc_role_claim,
            roles=settings.oidc_roles,
        )

    def identify(self, token: str) -> Identity:
        """The bearer of a token.

        Raises `Unauthenticated` for a token that is not valid, `Forbidden` for one that gives no
        role here, `Unavailable` when the issuer's keys can't be had.
        """
        claims = self._claims(token)
        role = self._role(claims)
        if role is None:
            raise Forbidden("The identity provider gives this caller no role here.")
        return Identity(
            Principal(id=_principal_id(self._issuer, claims["sub"]), role=role),
            datetime.fromtimestamp(min(int(claims["exp"]), _LATEST), UTC),
        )

    def close(self) -> None:
        """Release the connections."""
        self._keys.close()

    def _claims(self, token: str) -> dict[str, Any]:
        if len(token) > _TOKEN_LENGTH_MAX:
            raise Unauthenticated
        try:
            header = jwt.get_unverified_header(token)
            # Before a key is looked for: a token that can't be good must not make us fetch any.
            if header.get("alg") not in ALGORITHMS or not header.get("kid"):
                raise Unauthenticated
            key = self._keys.key(header["kid"])
            if key is None:
                raise Unauthenticated
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=ALGORITHMS,
                issuer=self._issuer,
                audience=self._audience,
                leeway=LEEWAY_S,
                options={
                    "require": ["exp", "iss", "aud", "sub"],
                    "enforce_minimum_key_length": True,
                },
            )
        except (PyJWTError, ValueError, OverflowError) as error:
            raise Unauthenticated from error
        if not claims["sub"]:
            raise Unauthenticated
        return claims

    def _role(self, claims: dict[str, Any]) -> Role | None:
        """The highest role that the claim's values give."""
        given = [self._roles[value] for value in self._values(claims) if value in self._roles]
        return max(given, key=list(Role).index, default=None)

    def _values(self, claims: dict[str, Any]) -> list[str]:
        found: object = claims.get(self._role_claim)
        if found is None:
            found = claims
            for name in self._role_claim.split("."):
                found = found.get(name) if isinstance(found, dict) else None
        if isinstance(found, str):
            return [found]
        return [each for each in found if isinstance(each, str)] if isinstance(found, list) else []


def _principal_id(issuer: str, subject: str) -> str:
    """The same for the same person at each call; the subject, which may be a name, is not in it."""
    # JSON can hold halves of characters, which are no valid text.
    text = f"{issuer}\n{subject}".encode("utf-8", "surrogatepass")
    digest = hashlib.sha256(text).hexdigest()
    return f"oidc:{digest[:_DIGEST_LENGTH]}"
