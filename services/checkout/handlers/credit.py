"""What goes with every order that moves and every credit line that changes; all rooms of orders yield from here."""

from __future__ import annotations

from collections.abc import Iterator

from services.checkout.deadlines import AuthExpiry, AutoAccept
from services.checkout.rules.credit import recounted, without_hold
from services.checkout.rules.fulfilment import auto_accept_at
from services.checkout.rules.standing import settled
from services.checkout.state import Account, MerchantPair, Order, OrderStatus
from shared.contracts.checkout import AccountStatusChanged, CreditLineChanged
from shared.engine.service import Yielded
from shared.engine.vocabulary import Deadline, Disarm

__all__ = ["credit_changed", "line_changed", "order_moved", "pair_recounted", "status_changed"]


def credit_changed(before: Account, after: Account, cause: str, ref: str) -> Iterator[Yielded]:
    """Save a changed credit line and tell it; a closing account is closed with the last of its credit."""
    if after == before:
        return
    after = settled(after)
    yield after
    yield from line_changed(before, after, cause, ref)
    if after.status is not before.status:
        yield status_changed(before, after, cause)


def order_moved(
    before: Order, after: Order, account: Account, pair: MerchantPair | None, cause: str
) -> Iterator[Yielded]:
    """Save an order that moved on, free what it no longer holds, and set the deadlines of the state it came into."""
    yield after
    freed = without_hold(account, before.held_amount - after.held_amount)
    yield from credit_changed(account, recounted(freed, before, after), cause, after.order_id)
    yield from pair_recounted(pair, before, after)
    if after.status is not before.status:
        yield from _deadlines(after)


def pair_recounted(pair: MerchantPair | None, before: Order, after: Order) -> Iterator[MerchantPair]:
    """What the buyer has open with the merchant, if the order ceased to be open or is open again."""
    if pair is not None and before.is_open is not after.is_open:
        yield recounted(pair, before, after)


def _deadlines(order: Order) -> Iterator[Deadline | Disarm]:
    if order.status is OrderStatus.SHIPPED and order.expires_at is not None:
        yield Deadline(order.expires_at, AuthExpiry(order.buyer_id, order.order_id, order.merchant_id))
    elif order.status in (OrderStatus.DELIVERED, OrderStatus.CANCELLED):
        yield Disarm(AuthExpiry, order.order_id)
    at = auto_accept_at(order)
    if at is not None:
        yield Deadline(at, AutoAccept(order.buyer_id, order.order_id, order.merchant_id))


def line_changed(before: Account, after: Account, cause: str, ref: str) -> Iterator[CreditLineChanged]:
    """CreditLineChanged if score, limit, held or used did change."""
    if _line(after) != _line(before):
        yield CreditLineChanged(
            buyer_id=after.buyer_id,
            currency=after.currency,
            score=after.score,
            score_delta=after.score - before.score,
            limit=after.limit,
            held=after.held,
            used=after.used,
            available=after.available,
            cause=cause,
            cause_ref=ref,
        )


def status_changed(before: Account, after: Account, *reasons: str) -> AccountStatusChanged:
    """The account stands elsewhere, or was set to where it stood."""
    return AccountStatusChanged(
        buyer_id=after.buyer_id, from_status=before.status.value, to_status=after.status.value, reasons=reasons
    )


def _line(account: Account) -> tuple[int, int, int, int]:
    return account.score, account.limit, account.held, account.used
