"""Bearer tokens: who may look at what. Issued elsewhere, checked here against the keys an operator has set.

A token is a JWT. Its claim ``scope`` says, separated by spaces, for whom its holder speaks: ``buyer:<id>``,
``merchant:<id>``, ``operator``; other words are other people's. The wall clock decides whether it has expired, also in
a sandbox whose business time is moved by hand: a token is a matter between computers.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Self

import jwt
from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.operations.settings import Misconfigured

__all__ = ["Access", "TokenRefused", "TokenSettings", "TokenVerifier", "key_set_of", "sign_token"]

TOKEN_MAX = 8_192
"""Longest token that is looked at, in characters; a server's limit for all headers is of that size."""

KEYS_MAX = 50
"""Most keys of a set: a token that names none is tried with each."""

ALGORITHMS: Mapping[str, str] = {"RSA": "RS256", "EC": "ES256", "OKP": "EdDSA", "oct": "HS256"}
"""The one algorithm of each kind of key. What a token says of itself is compared with it, never followed."""

SCOPE = re.compile(r"operator|(?:buyer|merchant):[A-Za-z0-9._-]{1,64}")
"""The words of a scope that mean something here; ids as in the contracts."""

SANDBOX_KEY = "sandbox"
"""Name of the key a sandbox signs with."""


class TokenSettings(BaseSettings):
    """Whose tokens are believed: all of issuer, audience and keys are set, or none, and then nobody is let in."""

    model_config = SettingsConfigDict(env_prefix="HOUFU_TOKEN_", frozen=True, extra="ignore", env_ignore_empty=True)

    issuer: str = Field(default="", description="Claim iss of every token")
    audience: str = Field(default="", description="What the claim aud of every token must name")
    keys: SecretStr = Field(
        default=SecretStr(""), description="JWK set as JSON, or @ and the path of a file: public keys, or oct secrets"
    )
    leeway_s: float = Field(default=10, ge=0, le=300, description="By how much the issuer's clock may differ")


@dataclass(frozen=True, slots=True)
class Access:
    """What the holder of a token may see."""

    buyers: frozenset[str] = frozenset()
    merchants: frozenset[str] = frozenset()
    operator: bool = False

    @classmethod
    def of_scope(cls, scope: str) -> Self:
        """What the words of a scope allow; words that are not ours allow nothing."""
        words = [word.partition(":") for word in scope.split(" ") if SCOPE.fullmatch(word)]
        return cls(
            buyers=frozenset(owner for kind, _, owner in words if kind == "buyer"),
            merchants=frozenset(owner for kind, _, owner in words if kind == "merchant"),
            operator=any(kind == "operator" for kind, _, _ in words),
        )

    def may_see_buyer(self, buyer_id: str) -> bool:
        """Everything of this buyer."""
        return self.operator or buyer_id in self.buyers

    def may_see_merchant(self, merchant_id: str | None) -> bool:
        """What belongs to an order of this merchant; what belongs to no order (None) is no merchant's."""
        return self.operator or merchant_id in self.merchants


class TokenRefused(Exception):
    """A token that is not believed; ``code`` is stable, the text says why and repeats nothing of the token."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class TokenVerifier:
    """Checks tokens of one issuer for one audience against some keys. Without keys it believes nobody."""

    def __init__(self, issuer: str, audience: str, keys: Sequence[jwt.PyJWK], leeway_s: float) -> None:
        self._issuer = issuer
        self._audience = audience
        self._keys = tuple(keys)
        self._leeway_s = leeway_s

    @classmethod
    def of(cls, settings: TokenSettings) -> Self:
        """As the operator has set it; :class:`Misconfigured` names what is missing or cannot be used."""
        stated = {"ISSUER": settings.issuer, "AUDIENCE": settings.audience, "KEYS": settings.keys.get_secret_value()}
        missing = [f"HOUFU_TOKEN_{name}" for name, value in stated.items() if not value]
        if 0 < len(missing) < len(stated):
            raise Misconfigured(f"{', '.join(missing)}: not set; issuer, audience and keys are set together or not")
        keys = _usable_keys(stated["KEYS"]) if not missing else ()
        return cls(settings.issuer, settings.audience, keys, settings.leeway_s)

    @property
    def closed(self) -> bool:
        """Whether there is no key, so that no token can be believed."""
        return not self._keys

    def access(self, token: str) -> Access:
        """What a token allows; :class:`TokenRefused` unless it is signed, addressed and timed as it should be."""
        if self.closed:
            raise TokenRefused("TOKEN_INVALID", "This service has no keys to check tokens with")
        if len(token) > TOKEN_MAX:
            raise TokenRefused("TOKEN_INVALID", f"The token is longer than {TOKEN_MAX} characters")
        try:
            scope = self._claims(token).get("scope", "")
        except jwt.ExpiredSignatureError:
            raise TokenRefused("TOKEN_EXPIRED", "The token has expired") from None
        except jwt.PyJWTError as defect:
            raise TokenRefused("TOKEN_INVALID", _complaint(defect)) from None
        if not isinstance(scope, str):
            raise TokenRefused("TOKEN_INVALID", "The claim scope is not a text")
        return Access.of_scope(scope)

    def _claims(self, token: str) -> dict[str, Any]:
        """The claims of a token that one of the keys has signed: the one it names, if it names one."""
        named = jwt.get_unverified_header(token).get("kid")
        for key in self._keys:
            if named is None or named == key.key_id:
                try:
                    return jwt.decode(
                        token,
                        key,
                        algorithms=[key.algorithm_name],
                        options={"require": ["exp", "iss", "aud"]},
                        audience=self._audience,
                        issuer=self._issuer,
                        leeway=self._leeway_s,
                    )
                except (jwt.InvalidSignatureError, jwt.InvalidAlgorithmError):
                    continue
        raise jwt.InvalidSignatureError


_COMPLAINTS: tuple[tuple[type[jwt.PyJWTError], str], ...] = (
    (jwt.ImmatureSignatureError, "The token is not valid yet"),
    (jwt.InvalidIssuerError, "The token is another issuer's"),
    (jwt.InvalidAudienceError, "The token is meant for another audience"),
    (jwt.MissingRequiredClaimError, "The token lacks one of the claims exp, iss, aud"),
    (jwt.InvalidSignatureError, "The token is not signed with one of the keys"),
)


def _complaint(defect: jwt.PyJWTError) -> str:
    """What is wrong with a token, without the library's own text, which may repeat it."""
    found = (text for kind, text in _COMPLAINTS if isinstance(defect, kind))
    return next(found, "The token cannot be read")


# -- keys --------------------------------------------------------------------------------------------------------------


def _usable_keys(stated: str) -> list[jwt.PyJWK]:
    """The keys of the set that tokens may be signed with; as RFC 7517 asks, keys of other kinds are passed over."""
    found = _key_set(_read_key_set(stated))
    keys = [_loaded(place, one) for place, one in enumerate(found, start=1) if _is_for_us(one)]
    if not keys:
        raise _keys_unusable(f"none of the keys is for {', '.join(ALGORITHMS.values())} signatures")
    return keys


def _read_key_set(stated: str) -> str:
    if not stated.startswith("@"):
        return stated
    try:
        return Path(stated[1:]).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as reason:
        raise _keys_unusable(f"{stated[1:]} cannot be read: {type(reason).__name__}") from None


def _key_set(text: str) -> list[dict[str, Any]]:
    try:
        keys = json.loads(text)["keys"]
    except (ValueError, KeyError, TypeError, RecursionError):
        keys = None
    if not isinstance(keys, list) or not all(isinstance(one, dict) for one in keys):
        raise _keys_unusable('not a JWK set, {"keys": [...]}')
    if len(keys) > KEYS_MAX:
        raise _keys_unusable(f"more than {KEYS_MAX} keys")
    return keys


def _is_for_us(key: dict[str, Any]) -> bool:
    """Whether signatures of one of our algorithms are checked with it."""
    algorithm = ALGORITHMS.get(str(key.get("kty")))
    operations = key.get("key_ops", ["verify"])
    verifies = key.get("use", "sig") == "sig" and isinstance(operations, list) and "verify" in operations
    return algorithm is not None and verifies and key.get("alg", algorithm) == algorithm


def _loaded(place: int, key: dict[str, Any]) -> jwt.PyJWK:
    """A key, bound to its algorithm. No complaint repeats anything of it."""
    kind = key["kty"]
    if kind != "oct" and "d" in key:
        raise _keys_unusable(f"key {place} is a private key; only its public part belongs here")
    try:
        loaded = jwt.PyJWK(key, ALGORITHMS[kind])
        usable = loaded.Algorithm.prepare_key(loaded.key)
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        raise _keys_unusable(f"key {place} ({kind}) cannot be read") from None
    if loaded.Algorithm.check_key_length(usable):
        raise _keys_unusable(f"key {place} is too short for {loaded.algorithm_name}")
    return loaded


def _keys_unusable(reason: str) -> Misconfigured:
    return Misconfigured(f"HOUFU_TOKEN_KEYS: {reason}")


# -- what a sandbox signs ----------------------------------------------------------------------------------------------


def key_set_of(secret: str) -> str:
    """The JWK set, as HOUFU_TOKEN_KEYS takes it, whose one key is ``secret``: at least 32 bytes in base64url."""
    return json.dumps({"keys": [{"kty": "oct", "kid": SANDBOX_KEY, "alg": ALGORITHMS["oct"], "k": secret}]})


def sign_token(
    secret: str, scopes: Iterable[str], *, issuer: str, audience: str, now: datetime, valid_for: timedelta
) -> str:
    """A token for ``scopes`` that the keys of :func:`key_set_of` believe from ``now`` on.

    ValueError for a scope that means nothing here.
    """
    words = list(_known_scopes(scopes))
    claims = {
        "iss": issuer,
        "aud": audience,
        "iat": int(now.timestamp()),
        "exp": int((now + valid_for).timestamp()),
        "scope": " ".join(words),
    }
    key = base64.urlsafe_b64decode(secret + "=" * (-len(secret) % 4))
    return jwt.encode(claims, key, ALGORITHMS["oct"], headers={"kid": SANDBOX_KEY})


def _known_scopes(scopes: Iterable[str]) -> Iterator[str]:
    for scope in scopes:
        if not SCOPE.fullmatch(scope):
            raise ValueError(f"{scope!r} is no scope: operator, buyer:<id> or merchant:<id>")
        yield scope
