"""C-R9: what a buyer accepts, and when nothing about an order is open any more. Amounts are minor units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from services.checkout.state import ORDER_MACHINE, Order, OrderStatus, Shipment, ShipmentStatus
from shared.contracts.checkout import AcceptedLine
from shared.engine.refusals import require
from shared.engine.vocabulary import Rejected
from shared.kernel.calendar import MIDNIGHT, Calendar

__all__ = ["accepted", "check_shipped", "completed", "kept_lines", "refunded", "return_deadline"]


def check_shipped(order: Order) -> None:
    """Nothing can be accepted while units are unshipped: SHIPMENT_INCOMPLETE, else ILLEGAL_TRANSITION."""
    if order.status in (OrderStatus.AUTHORIZED, OrderStatus.PARTIALLY_SHIPPED):
        raise Rejected("SHIPMENT_INCOMPLETE", unshipped=[line.line_id for line in order.lines if line.unshipped])
    require(ORDER_MACHINE, order.status, "ConfirmReceipt")


def kept_lines(order: Order) -> tuple[AcceptedLine, ...]:
    """The units the buyer keeps, line by line: those delivered, and those on their way, which now count as such."""
    kept = [units for shipment in order.shipments if _is_kept(shipment) for units in shipment.lines]
    lines = []
    for line in order.lines:
        mine = [units for units in kept if units.line_id == line.line_id]
        if mine:
            lines.append(
                AcceptedLine(
                    line_id=line.line_id,
                    sku=line.sold.sku,
                    category=line.sold.category,
                    quantity=sum(units.quantity for units in mine),
                    goods=sum(units.goods for units in mine),
                    freight=sum(units.freight for units in mine),
                    returnable=line.sold.returnable,
                )
            )
    return tuple(lines)


def _is_kept(shipment: Shipment) -> bool:
    return shipment.status in (ShipmentStatus.OPEN, ShipmentStatus.DELIVERED)


def return_deadline(order: Order, lines: Sequence[AcceptedLine], now: datetime, calendar: Calendar) -> datetime:
    """The end of the last day on which any of these lines may still come back."""
    days = max(order.terms.return_terms.of_category(line.category).fault_window_days for line in lines)
    return calendar.at(calendar.date(now) + timedelta(days=days + 1), MIDNIGHT)


def accepted(order: Order, now: datetime, return_until: datetime) -> Order:
    """The order with every open parcel counted as delivered; what is held becomes debt once billing says so."""
    shipments = tuple(
        replace(one, status=ShipmentStatus.DELIVERED) if one.status is ShipmentStatus.OPEN else one
        for one in order.shipments
    )
    return replace(
        order,
        status=OrderStatus.ACCEPTED,
        shipments=shipments,
        accepted_at=now,
        accepted_amount=order.held_amount,
        expires_at=None,
        return_until=return_until,
    )


def completed(order: Order) -> Order:
    """The order as COMPLETED if it is accepted, its return windows are over, its plan settled and no case open."""
    at_rest = order.return_until is None and order.plan_settled and not order.open_cases
    return replace(order, status=OrderStatus.COMPLETED) if order.status is OrderStatus.ACCEPTED and at_rest else order


def refunded(order: Order, amount: int) -> Order:
    """The order with ``amount`` more given back: REFUNDED once that is all that was accepted, as nothing can return."""
    order = replace(order, refunded_amount=order.refunded_amount + amount)
    if order.refunded_amount < order.accepted_amount:
        return order
    return replace(order, status=OrderStatus.REFUNDED, return_until=None)
