"""What an order is worth: its sums must agree, and its freight is shared out once (M-1). Amounts in minor units."""

from __future__ import annotations

from services.checkout.state import Line
from shared.contracts.checkout import AuthorizedLine, PlaceOrder
from shared.engine.vocabulary import Rejected
from shared.kernel.money import proportional_split

__all__ = ["check_sums", "with_freight"]


def check_sums(place: PlaceOrder) -> None:
    """Refuse an order whose sums disagree (AMOUNT_MISMATCH) or whose goods are worth nothing (AMOUNT_INVALID)."""
    for line in place.lines:
        amount = line.quantity * line.unit_price - line.discount
        if line.amount != amount:
            raise Rejected("AMOUNT_MISMATCH", line_id=line.line_id, amount=line.amount, computed=amount)
    goods = sum(line.amount for line in place.lines)
    if place.amount != goods + place.freight:
        raise Rejected("AMOUNT_MISMATCH", amount=place.amount, computed=goods + place.freight)
    if goods == 0:
        raise Rejected("AMOUNT_INVALID", "An order whose goods cost nothing needs no credit", amount=place.amount)


def with_freight(place: PlaceOrder) -> tuple[Line, ...]:
    """The lines, each with its share of the freight in proportion to its amount."""
    shares = proportional_split(place.freight, [line.amount for line in place.lines])
    return tuple(
        Line(AuthorizedLine(**dict(line), freight_share=share)) for line, share in zip(place.lines, shares, strict=True)
    )
