"""Whose tokens are believed: keys and their algorithms, settings, time, the words of a scope."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from shared.operations.settings import Misconfigured, read_settings
from shared.operations.tokens import Access, TokenRefused, TokenSettings, TokenVerifier, key_set_of, sign_token
from tests.views.bench import AUDIENCE, ISSUER, SECRET, WORDS, secret_of, token, verifier

NOW = datetime.now(UTC)
DAY = timedelta(days=1)

RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
WEAK_RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=1024)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
ED_KEY = ed25519.Ed25519PrivateKey.generate()

ASYMMETRIC: Mapping[str, tuple[Any, dict[str, Any]]] = {
    "RS256": (RSA_KEY, jwt.algorithms.RSAAlgorithm.to_jwk(RSA_KEY.public_key(), as_dict=True)),
    "ES256": (EC_KEY, jwt.algorithms.ECAlgorithm.to_jwk(EC_KEY.public_key(), as_dict=True)),
    "EdDSA": (ED_KEY, jwt.algorithms.OKPAlgorithm.to_jwk(ED_KEY.public_key(), as_dict=True)),
}
"""For each algorithm a private key and the public one as a JWK."""


def oct_key(words: str = WORDS, **other: Any) -> dict[str, Any]:
    return {"kty": "oct", "k": secret_of(words), **other}


def believing(*keys: dict[str, Any], **settings: Any) -> TokenVerifier:
    stated = {"issuer": ISSUER, "audience": AUDIENCE, "keys": json.dumps({"keys": keys})}
    return TokenVerifier.of(TokenSettings(**{**stated, **settings}))


def signed(key: Any, algorithm: str, *, headers: dict[str, Any] | None = None, **claims: Any) -> str:
    """A token as any issuer might write it; a claim of None is left out."""
    usual = {"iss": ISSUER, "aud": AUDIENCE, "exp": NOW + DAY, "scope": "buyer:ann"}
    stated = {name: value for name, value in {**usual, **claims}.items() if value is not None}
    return jwt.encode(stated, key, algorithm, headers=headers)


def refusal(checked: TokenVerifier, given: str) -> TokenRefused:
    with pytest.raises(TokenRefused) as refused:
        checked.access(given)
    return refused.value


# -- keys --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ASYMMETRIC)
def test_a_token_signed_with_the_private_half_of_a_public_key_is_believed(algorithm: str) -> None:
    private, public = ASYMMETRIC[algorithm]
    assert believing(public).access(signed(private, algorithm)) == Access(buyers=frozenset({"ann"}))


def test_a_shared_secret_signs_as_well() -> None:
    assert verifier().access(token("buyer:ann")).may_see_buyer("ann")


def test_a_token_is_checked_with_the_key_it_names() -> None:
    named = [oct_key(f"{name}: {WORDS}", kid=name) for name in ("old", "new")]
    checked = believing(*named)
    assert checked.access(signed(f"new: {WORDS}", "HS256", headers={"kid": "new"}))
    assert refusal(checked, signed(f"new: {WORDS}", "HS256", headers={"kid": "old"})).code == "TOKEN_INVALID"
    assert refusal(checked, signed(f"new: {WORDS}", "HS256", headers={"kid": "lost"})).code == "TOKEN_INVALID"


def test_a_token_that_names_no_key_is_tried_with_each() -> None:
    checked = believing(ASYMMETRIC["ES256"][1], oct_key("another secret, which signs nothing at all"), oct_key())
    assert checked.access(signed(WORDS, "HS256"))


def test_a_public_key_is_no_secret_to_sign_with() -> None:
    """The classic confusion: HS256 with the public key, which everybody has, as its secret."""
    public = RSA_KEY.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    parts = [
        {"alg": "HS256", "typ": "JWT"},
        {"iss": ISSUER, "aud": AUDIENCE, "exp": 4_000_000_000, "scope": "operator"},
    ]
    signing_input = b".".join(base64.urlsafe_b64encode(json.dumps(one).encode()).rstrip(b"=") for one in parts)
    algorithm = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    signature = base64.urlsafe_b64encode(algorithm.sign(signing_input, public)).rstrip(b"=")
    forged = (signing_input + b"." + signature).decode()
    assert refusal(believing(ASYMMETRIC["RS256"][1]), forged).code == "TOKEN_INVALID"


@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
def test_the_algorithm_is_the_keys_and_not_what_the_token_says(algorithm: str) -> None:
    long_secret = WORDS * 2
    assert refusal(believing(oct_key(long_secret)), signed(long_secret, algorithm)).code == "TOKEN_INVALID"


def test_no_algorithm_is_no_signature() -> None:
    assert refusal(verifier(), jwt.encode({"scope": "operator"}, None, "none")).code == "TOKEN_INVALID"


def test_keys_that_are_for_something_else_are_passed_over() -> None:
    others = (
        oct_key("of another use, and nobody signs with it", use="enc"),
        oct_key("of another operation, nobody checks it", key_ops=["encrypt"]),
        oct_key("of another algorithm, unknown here at all", alg="HS512"),
        {"kty": "AKP", "alg": "ML-DSA-65", "pub": "…"},
    )
    assert believing(*others, oct_key()).access(signed(WORDS, "HS256"))


# -- what is refused ---------------------------------------------------------------------------------------------------


REFUSED: Mapping[str, tuple[str, str]] = {
    "expired": (token("operator", now=NOW - DAY), "TOKEN_EXPIRED"),
    "issued in the future": (token("operator", now=NOW + DAY), "TOKEN_INVALID"),
    "not valid yet": (signed(WORDS, "HS256", nbf=NOW + DAY), "TOKEN_INVALID"),
    "of another issuer": (token("operator", issuer="https://elsewhere.test"), "TOKEN_INVALID"),
    "for another audience": (token("operator", audience="elsewhere"), "TOKEN_INVALID"),
    "signed with another key": (
        token("operator", secret=secret_of("an altogether different secret of 32+")),
        "TOKEN_INVALID",
    ),
    "without an end": (signed(WORDS, "HS256", exp=None), "TOKEN_INVALID"),
    "without an issuer": (signed(WORDS, "HS256", iss=None), "TOKEN_INVALID"),
    "without an audience": (signed(WORDS, "HS256", aud=None), "TOKEN_INVALID"),
    "with an end that is no time": (signed(WORDS, "HS256", exp="tomorrow"), "TOKEN_INVALID"),
    "with an end beyond all numbers": (signed(WORDS, "HS256", exp=float("inf")), "TOKEN_INVALID"),
    "with a scope that is no text": (signed(WORDS, "HS256", scope=["operator"]), "TOKEN_INVALID"),
    "with an extension nobody knows": (signed(WORDS, "HS256", headers={"crit": ["b65"], "b65": 1}), "TOKEN_INVALID"),
    "no token at all": ("abc", "TOKEN_INVALID"),
    "not of this alphabet": ("ä.ö.ü", "TOKEN_INVALID"),
    "changed": (token("buyer:ann")[:-4] + "AAAA", "TOKEN_INVALID"),
    "endless": ("a" * 100_000, "TOKEN_INVALID"),
}


@pytest.mark.parametrize(("given", "code"), REFUSED.values(), ids=REFUSED.keys())
def test_a_token_is_refused_that_is(given: str, code: str) -> None:
    refused = refusal(verifier(), given)
    assert refused.code == code
    assert given not in str(refused), "a refusal repeats nothing of the token"
    assert '"' not in str(refused), "it stands between quotation marks in a header"


def test_a_clock_that_differs_a_little_does_no_harm() -> None:
    late = token("operator", now=datetime.now(UTC) - timedelta(minutes=2), valid_for=timedelta(minutes=1))
    assert refusal(verifier(), late).code == "TOKEN_EXPIRED"
    assert believing(oct_key(kid="sandbox"), leeway_s=300).access(late).operator


def test_a_token_may_be_meant_for_several_audiences() -> None:
    assert verifier().access(signed(WORDS, "HS256", aud=["elsewhere", AUDIENCE]))


# -- scopes ------------------------------------------------------------------------------------------------------------


def test_a_scope_may_name_several_owners() -> None:
    access = Access.of_scope("buyer:ann merchant:shop buyer:bob")
    assert access == Access(buyers=frozenset({"ann", "bob"}), merchants=frozenset({"shop"}))
    assert access.may_see_buyer("bob")
    assert access.may_see_merchant("shop")
    assert not access.may_see_merchant(None), "what belongs to no order is no merchant's"


@pytest.mark.parametrize(
    "scope",
    [
        "",
        "openid profile",
        "buyer:",
        "buyer",
        "merchant:a:b",
        "buyer:ann/orders",
        "Operator",
        "operators",
        "buyer:\tann",
    ],
)
def test_words_of_others_allow_nothing(scope: str) -> None:
    assert Access.of_scope(scope) == Access()


def test_an_operator_may_see_everything() -> None:
    access = Access.of_scope("operator")
    assert access.may_see_buyer("ann")
    assert access.may_see_merchant("shop")
    assert access.may_see_merchant(None)


def test_a_token_without_a_scope_is_believed_and_allows_nothing() -> None:
    assert verifier().access(signed(WORDS, "HS256", scope=None)) == Access()


# -- settings ----------------------------------------------------------------------------------------------------------


STATED = {"HOUFU_TOKEN_ISSUER": ISSUER, "HOUFU_TOKEN_AUDIENCE": AUDIENCE, "HOUFU_TOKEN_KEYS": key_set_of(SECRET)}


def of_environment(monkeypatch: pytest.MonkeyPatch, **stated: str) -> TokenVerifier:
    for name in STATED:
        monkeypatch.setenv(name, stated.get(name, ""))
    return TokenVerifier.of(read_settings(TokenSettings))


def test_what_the_environment_says_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert of_environment(monkeypatch, **STATED).access(token("operator")).operator


def test_nothing_set_believes_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    checked = of_environment(monkeypatch)
    assert checked.closed
    assert refusal(checked, token("operator")).code == "TOKEN_INVALID"


@pytest.mark.parametrize("missing", STATED)
def test_a_part_that_is_missing_is_named(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    others = {name: value for name, value in STATED.items() if name != missing}
    with pytest.raises(Misconfigured, match=f"^{missing}: not set"):
        of_environment(monkeypatch, **others)


def test_keys_may_lie_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "keys.json").write_text(key_set_of(SECRET))
    stated = {**STATED, "HOUFU_TOKEN_KEYS": f"@{tmp_path / 'keys.json'}"}
    assert of_environment(monkeypatch, **stated).access(token("operator")).operator


PRIVATE = jwt.algorithms.ECAlgorithm.to_jwk(EC_KEY, as_dict=True)

UNUSABLE: Mapping[str, tuple[str, str]] = {
    "a file that is not there": ("@/nowhere/keys.json", "/nowhere/keys.json cannot be read: FileNotFoundError"),
    "no JSON": ("{", "not a JWK set"),
    "another document": ('{"public": []}', "not a JWK set"),
    "a list": ("[]", "not a JWK set"),
    "something that is no key": ('{"keys": ["abc"]}', "not a JWK set"),
    "no key": ('{"keys": []}', "none of the keys"),
    "no key of ours": (json.dumps({"keys": [oct_key(use="enc")]}), "none of the keys"),
    "too many keys": (json.dumps({"keys": [oct_key()] * 51}), "more than 50 keys"),
    "a key that lacks a part": ('{"keys": [{"kty": "RSA", "e": "AQAB"}]}', r"key 1 \(RSA\) cannot be read"),
    "a secret that is not there": ('{"keys": [{"kty": "oct"}]}', r"key 1 \(oct\) cannot be read"),
    "another curve": (json.dumps({"keys": [{**ASYMMETRIC["ES256"][1], "crv": "P-384"}]}), r"key 1 \(EC\) cannot be"),
    "a short secret": (json.dumps({"keys": [oct_key("short")]}), "key 1 is too short for HS256"),
    "a private key": (json.dumps({"keys": [oct_key(), PRIVATE]}), "key 2 is a private key"),
    "a weak key": (
        json.dumps({"keys": [jwt.algorithms.RSAAlgorithm.to_jwk(WEAK_RSA_KEY.public_key(), as_dict=True)]}),
        "key 1 is too short for RS256",
    ),
}


@pytest.mark.parametrize(("keys", "complaint"), UNUSABLE.values(), ids=UNUSABLE.keys())
def test_keys_cannot_be_used_that_are(keys: str, complaint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Misconfigured, match=f"^HOUFU_TOKEN_KEYS: .*{complaint}") as refused:
        of_environment(monkeypatch, **{**STATED, "HOUFU_TOKEN_KEYS": keys})
    assert oct_key("short")["k"] not in str(refused.value), "a complaint repeats nothing of a key"


# -- what a sandbox signs ----------------------------------------------------------------------------------------------


def test_a_sandbox_signs_for_the_scopes_it_is_told() -> None:
    signed_here = sign_token(
        SECRET,
        ["buyer:ann", "merchant:shop"],
        issuer=ISSUER,
        audience=AUDIENCE,
        now=NOW,
        valid_for=timedelta(hours=8),
    )
    assert verifier().access(signed_here) == Access(buyers=frozenset({"ann"}), merchants=frozenset({"shop"}))


def test_a_sandbox_signs_for_no_scope_that_means_nothing() -> None:
    with pytest.raises(ValueError, match="'admin' is no scope"):
        token("operator", "admin")
