"""How an order moves as its units are shipped, released, refused and delivered. Values by M-3, in minor units.

What is held for an order is at all times the value of the units that may still become debt (I-3, I-5). When nothing
is held any more, the order is over.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import date, datetime, timedelta

from services.checkout.state import ORDER_MACHINE, Order, OrderStatus, Shipment, ShipmentStatus
from shared.contracts.checkout import ReportDelivery, ReportShipment
from shared.engine.refusals import refusal, repeated, require
from shared.engine.vocabulary import Rejected

__all__ = [
    "auto_accept_at",
    "check_new_shipment",
    "extended",
    "moved_on",
    "open_shipment",
    "released",
    "reported",
    "shipped",
    "unshipped",
]

CAPTURED_FOR = timedelta(days=180)
"""A capture is kept this long after the authorisation at most, and so is an authorisation itself (C-R7)."""


def extended(order: Order, now: datetime, today: date) -> tuple[Order, datetime]:
    """The order authorised anew from ``now`` on, and until when; once a day and up to 180 days (C-R7).

    ALREADY_DONE on the same date, AUTHORISATION_LIMIT beyond the 180 days.
    """
    if order.extended_on == today:
        raise Rejected("ALREADY_DONE", "The authorisation was extended today", expires_at=order.expires_at)
    expires_at = now + timedelta(days=order.terms.authorisation_days)
    limit = (order.authorised_at or now) + CAPTURED_FOR
    if expires_at > limit:
        raise Rejected("AUTHORISATION_LIMIT", limit=limit)
    return replace(order, expires_at=expires_at, extended_on=today), expires_at


def unshipped(order: Order) -> list[str]:
    """The ids of the lines of which some units can still be shipped."""
    return [line.line_id for line in order.lines if line.unshipped]


def shipped(order: Order, report: ReportShipment, content: str) -> tuple[Order, Shipment]:
    """The order with one more parcel on its way; QUANTITY_EXCEEDED if it holds more than is left to ship.

    A ``final`` parcel releases the rest. ``content`` is the digest of the report.
    """
    quantities = {part.line_id: part.quantity for part in report.lines}
    lines = {line.line_id: line for line in order.lines}
    for line_id, quantity in quantities.items():
        left = lines[line_id].unshipped if line_id in lines else 0
        if quantity > left:
            raise Rejected("QUANTITY_EXCEEDED", line_id=line_id, quantity=quantity, left=left)
    parcel = tuple(lines[line_id].next_units(quantity) for line_id, quantity in quantities.items())
    shipment = Shipment(report.shipment_id, ShipmentStatus.OPEN, parcel, content)
    progressed = tuple(
        replace(line, shipped=line.shipped + quantities[line.line_id]) if line.line_id in quantities else line
        for line in order.lines
    )
    order = replace(order, lines=progressed, shipments=(*order.shipments, shipment))
    return released(order, unshipped(order)) if report.final else order, shipment


def check_new_shipment(order: Order, report: ReportShipment, content: str) -> None:
    """Refuse a parcel that is known already (ALREADY_DONE, ALREADY_EXISTS), or that the order cannot send."""
    for one in order.shipments:
        if one.shipment_id == report.shipment_id:
            stands = {"shipment_id": one.shipment_id, "status": one.status}
            raise repeated(same=one.content == content, **stands)
    require(ORDER_MACHINE, order.status, "ReportShipment")


def released(order: Order, line_ids: Collection[str]) -> Order:
    """The order without the unshipped units of these lines: their value is no longer held."""
    freed = 0
    lines = []
    for line in order.lines:
        left = line.unshipped if line.line_id in line_ids else 0
        if left:
            freed += line.next_units(left).value
            lines.append(replace(line, released=line.released + left))
        else:
            lines.append(line)
    return replace(order, lines=tuple(lines), held_amount=order.held_amount - freed)


def reported(order: Order, shipment: Shipment, outcome: ShipmentStatus) -> Order:
    """The order after the carrier's word on a parcel; what was refused or lost is no longer held."""
    shipments = tuple(replace(one, status=outcome) if one is shipment else one for one in order.shipments)
    freed = 0 if outcome is ShipmentStatus.DELIVERED else shipment.value
    return replace(order, shipments=shipments, held_amount=order.held_amount - freed)


def open_shipment(order: Order, report: ReportDelivery) -> Shipment:
    """The parcel the carrier reports on: ALREADY_DONE if it said so before, UNKNOWN_SHIPMENT if there is none.

    An order that waits for no carrier, and a parcel that met another end, is an ILLEGAL_TRANSITION.
    """
    shipment = next((one for one in order.shipments if one.shipment_id == report.shipment_id), None)
    if shipment is not None and shipment.status == report.outcome:
        raise Rejected("ALREADY_DONE", shipment_id=report.shipment_id, outcome=report.outcome)
    require(ORDER_MACHINE, order.status, "ReportDelivery")
    if shipment is None:
        raise Rejected("UNKNOWN_SHIPMENT", shipment_id=report.shipment_id)
    if shipment.status is not ShipmentStatus.OPEN:
        raise Rejected("ILLEGAL_TRANSITION", **refusal(shipment.status, ()))
    return shipment


def moved_on(order: Order, now: datetime, *, over: OrderStatus = OrderStatus.CANCELLED) -> Order:
    """The order in the state its units put it into; ``over`` is where it ends when nothing is held any more."""
    status = _whereabouts(order) if order.held_amount else over
    if status is order.status:
        return order
    match status:
        case OrderStatus.SHIPPED:
            return replace(order, status=status, expires_at=_capture_expiry(order, now))
        case OrderStatus.DELIVERED:
            return replace(order, status=status, delivered_at=now, expires_at=None)
        case OrderStatus.CANCELLED | OrderStatus.EXPIRED:
            return replace(order, status=status, expires_at=None)
        case _:
            return replace(order, status=status)


def auto_accept_at(order: Order) -> datetime | None:
    """When a delivered order is accepted without a word from the buyer; None for any other."""
    if order.status is not OrderStatus.DELIVERED or order.delivered_at is None:
        return None
    return order.delivered_at + timedelta(days=order.terms.auto_accept_days)


def _whereabouts(order: Order) -> OrderStatus:
    if any(line.unshipped for line in order.lines):
        return OrderStatus.PARTIALLY_SHIPPED if order.shipments else OrderStatus.AUTHORIZED
    waiting = any(shipment.status is ShipmentStatus.OPEN for shipment in order.shipments)
    return OrderStatus.SHIPPED if waiting else OrderStatus.DELIVERED


def _capture_expiry(order: Order, now: datetime) -> datetime:
    return max(now + timedelta(days=order.terms.authorisation_days), (order.authorised_at or now) + CAPTURED_FOR)
