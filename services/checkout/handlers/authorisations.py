"""What becomes of an authorisation that is not used up: cancelled, kept alive, or lapsed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from services.checkout.deadlines import AuthExpiry
from services.checkout.handlers.acceptance import accept
from services.checkout.handlers.credit import order_moved
from services.checkout.rules.admission import refuse_foreign_merchant
from services.checkout.rules.cancellation import cancellable_lines
from services.checkout.rules.fulfilment import extended, moved_on, released, unshipped
from services.checkout.service import checkout
from services.checkout.state import ORDER_MACHINE, Account, MerchantPair, Order, OrderStatus
from shared.contracts.checkout import (
    AuthorisationExtended,
    CancelOrder,
    ExtendAuthorisation,
    OrderCancelled,
    OrderExpired,
)
from shared.engine.refusals import require
from shared.engine.service import Yielded
from shared.engine.vocabulary import Deadline
from shared.kernel.calendar import Calendar

__all__: list[str] = []


@checkout.on(CancelOrder)
def cancel_order(
    cancel: CancelOrder, now: datetime, order: Order, account: Account, pair: MerchantPair | None
) -> Iterator[Yielded]:
    """What is not handed over yet is called off, wholly or in part, and released (C-R6)."""
    refuse_foreign_merchant(order, cancel.merchant_id)
    line_ids = cancellable_lines(order, cancel, now)
    after = moved_on(released(order, line_ids), now)
    yield OrderCancelled(
        **order.named(),
        amount=order.held_amount - after.held_amount,
        line_ids=tuple(line_ids),
        by=cancel.by,
        reason=cancel.reason,
        complete=after.status is OrderStatus.CANCELLED,
    )
    yield from order_moved(order, after, account, pair, "ORDER_CANCELLED")


@checkout.on(ExtendAuthorisation)
def extend_authorisation(
    extension: ExtendAuthorisation, now: datetime, order: Order, calendar: Calendar
) -> Iterator[Yielded]:
    """The shop needs longer to ship: the authorisation lasts anew from now (C-R7)."""
    refuse_foreign_merchant(order, extension.merchant_id)
    require(ORDER_MACHINE, order.status, "ExtendAuthorisation")
    after, expires_at = extended(order, now, calendar.date(now))
    yield after
    yield AuthorisationExtended(**order.named(), expires_at=expires_at)
    yield Deadline(expires_at, AuthExpiry(order.buyer_id, order.order_id, order.merchant_id))


@checkout.on(AuthExpiry)
def auth_expiry(
    expiry: AuthExpiry, now: datetime, order: Order, account: Account, pair: MerchantPair | None, calendar: Calendar
) -> Iterator[Yielded]:
    """The authorisation ends: the unshipped part lapses, a shipped whole counts as received (C-R9)."""
    if order.status is OrderStatus.SHIPPED:
        yield from accept(order, account, "AUTO", now, calendar)
    elif expiry.KIND in ORDER_MACHINE[order.status]:
        after = moved_on(released(order, unshipped(order)), now, over=OrderStatus.EXPIRED)
        yield OrderExpired(
            **order.named(),
            amount=order.held_amount - after.held_amount,
            complete=after.status is OrderStatus.EXPIRED,
        )
        yield from order_moved(order, after, account, pair, "ORDER_EXPIRED")
