"""Accepted orders: what may come back, and under which terms."""

from __future__ import annotations

from collections.abc import Iterator

from services.refunds.service import refunds
from services.refunds.state import Order, OrderLine
from shared.contracts.checkout import AcceptedLine, OrderAccepted
from shared.engine.service import Yielded

__all__ = ["keep_order"]


@refunds.on(OrderAccepted)
def keep_order(accepted: OrderAccepted, order: Order | None) -> Iterator[Yielded]:
    """The goods are accepted: from now on they can be given back, and what was paid for them refunded (REF-02)."""
    if order is not None:
        return  # this acceptance is known
    yield Order(
        buyer_id=accepted.buyer_id,
        order_id=accepted.order_id,
        merchant_id=accepted.merchant_id,
        kind=accepted.kind,
        currency=accepted.currency,
        accepted_at=accepted.accepted_at,
        amount=accepted.amount,
        lines=tuple(_line(line) for line in accepted.lines),
        terms=accepted.terms.return_terms,
    )


def _line(line: AcceptedLine) -> OrderLine:
    return OrderLine(
        line_id=line.line_id,
        sku=line.sku,
        category=line.category,
        quantity=line.quantity,
        goods=line.goods,
        freight=line.freight,
        returnable=line.returnable,
    )
