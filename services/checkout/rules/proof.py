"""Payment proofs: the buyer entered the payment password for exactly this order (CHK-04).

A proof is a signed token; whoever holds the key can check it without asking anyone, against the business time of the
message and never against a wall clock, so that a replay judges as the first reading did.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import jwt
from jwt.types import Options

from shared.engine.vocabulary import Rejected

__all__ = ["VALIDITY", "PaymentProofs", "Purchase"]

VALIDITY = timedelta(minutes=5)
"""How long a proof can be used after the password was entered."""

_ALGORITHM = "HS256"
_SIGNATURE_ONLY: Options = {
    "require": ["buyer_id", "order_id", "amount", "currency", "device_ref", "exp"],
    "verify_exp": False,
    "verify_iat": False,
    "verify_nbf": False,
    "verify_aud": False,
    "verify_iss": False,
    "verify_sub": False,
    "verify_jti": False,
}

Level = Literal["PASSWORD", "STRONG"]


@dataclass(frozen=True, slots=True)
class Purchase:
    """What a proof is bound to; ``amount`` in minor units of ``currency``."""

    buyer_id: str
    order_id: str
    amount: int
    currency: str
    device_ref: str


class PaymentProofs:
    """Signs and checks payment proofs with one secret; a constant of the service."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    def sign(self, purchase: Purchase, now: datetime, level: Level = "PASSWORD") -> str:
        """A proof for ``purchase``, valid for five minutes from ``now``."""
        claims = {
            "buyer_id": purchase.buyer_id,
            "order_id": purchase.order_id,
            "amount": purchase.amount,
            "currency": purchase.currency,
            "device_ref": purchase.device_ref,
            "level": level,
            "iat": int(now.timestamp()),
            "exp": int((now + VALIDITY).timestamp()),
        }
        return jwt.encode(claims, self._secret, _ALGORITHM)

    def verify(self, proof: str, purchase: Purchase, now: datetime) -> None:
        """Refuse a proof that is forged, made for anything but ``purchase``, or older than five minutes at ``now``.

        Raises :class:`Rejected` with PAYMENT_PROOF_INVALID or PAYMENT_PROOF_EXPIRED.
        """
        try:
            claims = jwt.decode(proof, self._secret, [_ALGORITHM], _SIGNATURE_ONLY)
            proven = Purchase(*(claims[name] for name in Purchase.__slots__))
            expires = float(claims["exp"])
        except (jwt.InvalidTokenError, ValueError, TypeError, RecursionError) as defect:
            raise Rejected("PAYMENT_PROOF_INVALID", "The payment proof is not one of ours") from defect
        if proven != purchase:
            raise Rejected("PAYMENT_PROOF_INVALID", "The payment proof was made for another purchase")
        if now.timestamp() > expires:
            raise Rejected("PAYMENT_PROOF_EXPIRED", "The payment proof is older than five minutes")
