"""Acceptance: the debt starts here. Afterwards the order waits for its return windows, cases and plan to end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Literal

from services.checkout.deadlines import AuthExpiry, AutoAccept, ReturnWindow
from services.checkout.rules.acceptance import (
    accepted,
    check_shipped,
    completed,
    kept_lines,
    return_deadline,
)
from services.checkout.rules.admission import refuse_foreign_merchant
from services.checkout.service import checkout
from services.checkout.state import Acceptance, Account, Order, OrderStatus
from shared.contracts.checkout import ConfirmReceipt, OrderAccepted, OrderCompleted
from shared.engine.service import Yielded
from shared.engine.vocabulary import Deadline, Disarm
from shared.kernel.calendar import Calendar

__all__ = ["accept", "saved_or_completed", "saved_or_refunded"]


@checkout.on(ConfirmReceipt)
def confirm_receipt(
    confirm: ConfirmReceipt, now: datetime, order: Order, account: Account, calendar: Calendar
) -> Iterator[Yielded]:
    """The buyer accepts the goods (CHK-20)."""
    refuse_foreign_merchant(order, confirm.merchant_id)
    check_shipped(order)
    yield from accept(order, account, "BUYER", now, calendar)


@checkout.on(AutoAccept)
def auto_accept(
    silence: AutoAccept, now: datetime, order: Order, account: Account, calendar: Calendar
) -> Iterator[Yielded]:
    """The buyer was silent long enough since delivery: the goods are accepted (CHK-20)."""
    if order.status is OrderStatus.DELIVERED:
        yield from accept(order, account, "AUTO", now, calendar)


def accept(
    order: Order, account: Account, by: Literal["BUYER", "AUTO"], now: datetime, calendar: Calendar
) -> Iterator[Yielded]:
    """What was kept becomes debt, collected from the card bound now."""
    lines = kept_lines(order)
    until = return_deadline(order, lines, now, calendar)
    after = accepted(order, now, until)
    yield after
    yield Acceptance(order.buyer_id, order.order_id, now)
    yield OrderAccepted(
        **order.named(),
        kind=order.kind,
        amount=after.accepted_amount,
        lines=lines,
        accepted_at=now,
        by=by,
        instrument=account.card,
        **order.agreed(),
    )
    yield Disarm(AutoAccept if order.status is OrderStatus.DELIVERED else AuthExpiry, order.order_id)
    yield Deadline(until, ReturnWindow(order.buyer_id, order.order_id, order.merchant_id))


@checkout.on(ReturnWindow)
def return_window(window: ReturnWindow, order: Order) -> Iterator[Yielded]:
    """Nothing of the order can come back any more; with its plan settled it is complete."""
    if order.status is OrderStatus.ACCEPTED:
        yield from saved_or_completed(replace(order, return_until=None))


def saved_or_completed(order: Order) -> Iterator[Yielded]:
    """Save the order; if nothing about it is open any more, say so."""
    after = completed(order)
    yield after
    if after.status is not order.status:
        yield OrderCompleted(**order.named(), outcome="COMPLETED")


def saved_or_refunded(order: Order, after: Order) -> Iterator[Yielded]:
    """Save the order with more of it given back; if that is all of it, say so and wait for nothing any more."""
    yield after
    if after.status is not order.status:
        yield OrderCompleted(**order.named(), outcome="REFUNDED")
        yield Disarm(ReturnWindow, order.order_id)
