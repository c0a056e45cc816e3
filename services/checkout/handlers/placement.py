"""Placing an order: the one moment at which a buyer's limit is tested and held."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from services.checkout.deadlines import AuthExpiry
from services.checkout.handlers.credit import credit_changed
from services.checkout.rules.credit import with_open_order
from services.checkout.rules.eligibility import check_request, counterfactual, failing_tests
from services.checkout.rules.placement import authorised, declined
from services.checkout.rules.policy import resolve
from services.checkout.rules.proof import PaymentProofs
from services.checkout.service import checkout
from services.checkout.state import Account, MerchantPair, Order, PlatformPolicy, Policy
from shared.contracts.checkout import Counterfactual, OrderAuthorized, OrderDeclined, PlaceOrder
from shared.engine.refusals import repeated
from shared.engine.service import Yielded
from shared.engine.vocabulary import Cause, Deadline
from shared.kernel.calendar import Calendar

__all__: list[str] = []


@checkout.on(PlaceOrder)
def place_order(
    place: PlaceOrder,
    now: datetime,
    cause: Cause,
    order: Order | None,
    account: Account,
    pair: MerchantPair | None,
    merchant: Policy | None,
    platform: PlatformPolicy,
    proofs: PaymentProofs,
    calendar: Calendar,
) -> Iterator[Yielded]:
    """The buyer confirmed an order to pay later: its amount is held on the limit, or it is declined (C-R8)."""
    if order is not None:
        raise repeated(same=order.content == cause.content, order_id=order.order_id, status=order.status)
    policy = resolve(platform, merchant, now)
    check_request(place, account, policy, proofs, now, calendar)
    order = declined(place, policy, cause.content)
    reasons = failing_tests(place, account, pair, policy)
    if reasons:
        yield order
        yield decline(order, reasons, counterfactual(reasons, account, policy))
    else:
        yield from authorise(order, account, pair or MerchantPair(order.buyer_id, order.merchant_id), now)


def decline(order: Order, reasons: tuple[str, ...], instead: Counterfactual | None) -> OrderDeclined:
    """A clean no: every reason at once, and other ways to pay stay open (CHK-13)."""
    return OrderDeclined(
        **order.named(),
        reasons=reasons,
        counterfactual=instead,
        signals=(),
    )


def authorise(order: Order, account: Account, pair: MerchantPair, now: datetime) -> Iterator[Yielded]:
    """The amount is held, nothing is charged (CHK-18)."""
    order, expires_at = authorised(order, now)
    yield order
    yield OrderAuthorized(
        **order.named(),
        amount=order.amount,
        lines=tuple(line.sold for line in order.lines),
        expires_at=expires_at,
        **order.agreed(),
    )
    holding = replace(with_open_order(account), held=account.held + order.held_amount)
    yield from credit_changed(account, holding, "ORDER_AUTHORIZED", order.order_id)
    yield with_open_order(pair)
    yield Deadline(expires_at, AuthExpiry(order.buyer_id, order.order_id, order.merchant_id))
