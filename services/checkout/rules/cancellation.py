"""C-R6: who may cancel what, and until when."""

from __future__ import annotations

from datetime import datetime, timedelta

from services.checkout.rules.fulfilment import unshipped
from services.checkout.state import ORDER_MACHINE, Order, OrderStatus
from shared.contracts.checkout import CancelOrder
from shared.engine.refusals import require
from shared.engine.vocabulary import Rejected

__all__ = ["cancellable_lines"]

_HANDED_OVER = {
    OrderStatus.SHIPPED: "refuse the delivery",
    OrderStatus.DELIVERED: "return the goods",
    OrderStatus.ACCEPTED: "return the goods",
}


def cancellable_lines(order: Order, cancel: CancelOrder, now: datetime) -> list[str]:
    """The lines to cancel: those named, else all that have units left to ship.

    ALREADY_SHIPPED (details: what to use instead), UNKNOWN_LINE, ALREADY_DONE, CANCEL_WINDOW_CLOSED (buyers only).
    """
    if order.status in _HANDED_OVER:
        raise Rejected("ALREADY_SHIPPED", use=_HANDED_OVER[order.status])
    require(ORDER_MACHINE, order.status, "CancelOrder")
    lines = {line.line_id: line for line in order.lines}
    named = list(dict.fromkeys(cancel.line_ids or unshipped(order)))
    for line_id in named:
        if line_id not in lines:
            raise Rejected("UNKNOWN_LINE", line_id=line_id)
        if lines[line_id].unshipped == 0:
            if lines[line_id].shipped == 0:
                raise Rejected("ALREADY_DONE", "The line is cancelled", line_id=line_id)
            raise Rejected("ALREADY_SHIPPED", line_id=line_id, use="refuse the delivery")
    if cancel.by == "BUYER" and order.authorised_at is not None:
        until = order.authorised_at + timedelta(hours=order.terms.cancel_hours)
        if now > until:
            raise Rejected("CANCEL_WINDOW_CLOSED", until=until)
    return named
