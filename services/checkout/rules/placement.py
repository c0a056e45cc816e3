"""The order row a placement leaves behind, authorised or declined; either answers a repetition (H-3)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from services.checkout.rules.policy import ResolvedPolicy
from services.checkout.rules.valuation import with_freight
from services.checkout.state import Order, OrderStatus
from shared.contracts.checkout import PlaceOrder

__all__ = ["authorised", "declined"]


def declined(place: PlaceOrder, policy: ResolvedPolicy, content: str) -> Order:
    """The order as it was asked for, with nothing held; ``content`` is the digest of the request."""
    return Order(
        buyer_id=place.buyer_id,
        order_id=place.order_id,
        merchant_id=place.merchant_id,
        content=content,
        status=OrderStatus.DECLINED,
        kind=place.kind,
        product=place.product,
        instalments=place.instalments,
        currency=place.currency,
        lines=with_freight(place),
        freight=place.freight,
        amount=place.amount,
        held_amount=0,
        expected_receipt_on=place.confirmed.expected_receipt_on,
        terms=policy.terms(place.product),
        policy_versions=policy.versions,
    )


def authorised(order: Order, now: datetime) -> tuple[Order, datetime]:
    """The order with its whole amount held, and when the authorisation expires."""
    expires_at = now + timedelta(days=order.terms.authorisation_days)
    held = replace(
        order, status=OrderStatus.AUTHORIZED, held_amount=order.amount, authorised_at=now, expires_at=expires_at
    )
    return held, expires_at
