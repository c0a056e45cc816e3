"""Parcels: handed to the carrier, which captures their value, and what the carrier made of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Literal

from services.checkout.handlers.credit import order_moved
from services.checkout.rules.admission import refuse_foreign_merchant
from services.checkout.rules.fulfilment import (
    auto_accept_at,
    check_new_shipment,
    moved_on,
    open_shipment,
    reported,
    shipped,
)
from services.checkout.service import checkout
from services.checkout.state import Account, MerchantPair, Order, OrderStatus, Shipment, ShipmentStatus
from shared.contracts.checkout import DeliveryReported, OrderCancelled, OrderCaptured, ReportDelivery, ReportShipment
from shared.engine.refusals import refuse_future
from shared.engine.service import Yielded
from shared.engine.vocabulary import Cause

__all__: list[str] = []


@checkout.on(ReportShipment)
def report_shipment(
    report: ReportShipment, now: datetime, cause: Cause, order: Order, account: Account, pair: MerchantPair | None
) -> Iterator[Yielded]:
    """A parcel was handed over: its value is captured, and a final one releases what will not follow."""
    refuse_foreign_merchant(order, report.merchant_id)
    check_new_shipment(order, report, cause.content)
    progressed, shipment = shipped(order, report, cause.content)
    refuse_future(report.occurred_at, now)
    after = moved_on(progressed, now)
    yield OrderCaptured(
        **order.named(),
        shipment_id=shipment.shipment_id,
        lines=report.lines,
        amount=shipment.value,
        released_amount=order.held_amount - after.held_amount,
    )
    yield from order_moved(order, after, account, pair, "ORDER_CAPTURED")
    yield from nothing_left(after, shipment, by="SYSTEM", reason="NOTHING_OF_VALUE_LEFT")


@checkout.on(ReportDelivery)
def report_delivery(
    report: ReportDelivery, now: datetime, order: Order, account: Account, pair: MerchantPair | None
) -> Iterator[Yielded]:
    """The carrier delivered a parcel; or it was refused or lost, and its value is released."""
    refuse_foreign_merchant(order, report.merchant_id)
    shipment = open_shipment(order, report)
    refuse_future(report.occurred_at, now)
    after = moved_on(reported(order, shipment, ShipmentStatus(report.outcome)), now)
    yield DeliveryReported(
        **order.named(),
        shipment_id=shipment.shipment_id,
        outcome=report.outcome,
        auto_accept_at=auto_accept_at(after),
        released_amount=order.held_amount - after.held_amount,
    )
    yield from order_moved(order, after, account, pair, "DELIVERY_REPORTED")
    yield from nothing_left(after, shipment, by="COURIER", reason=report.outcome)


def nothing_left(
    order: Order, shipment: Shipment, *, by: Literal["COURIER", "SYSTEM"], reason: str
) -> Iterator[OrderCancelled]:
    """The last of the order's value is gone, told already by the event before: the order is off."""
    if order.status is OrderStatus.CANCELLED:
        yield OrderCancelled(
            **order.named(),
            amount=0,
            line_ids=tuple(units.line_id for units in shipment.lines),
            by=by,
            reason=reason,
            complete=True,
        )
