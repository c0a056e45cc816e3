"""The units of an order: free, asked for in a case, or decided. At most all of them, and of their value, ever (I-3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from services.refunds.rules.amounts import Assessment
from services.refunds.state import Case, Order
from shared.kernel.money import proportional_split

__all__ = ["decided", "freed", "refunded_without_return", "taken"]


def taken(order: Order, case: Case) -> Order:
    """The order while a case asks for its units: no other case may."""
    return _opened(order, {line.line_id: line.quantity for line in case.lines})


def freed(order: Order, case: Case) -> Order:
    """The order after the case no longer asks for anything."""
    return _opened(order, {line.line_id: -line.quantity for line in case.lines})


def decided(order: Order, case: Case, assessed: Assessment, amount: int) -> Order:
    """The order after ``amount`` was granted for the units assessed.

    They count fully, whatever was deducted, also where nothing is left of the amount: they came back, or were ruled
    upon, and do so once. What was asked for and is not among them is free again. Each line bears its share of the
    amount, in proportion to its units' worth (M-1), and so never more than its value.
    """
    order = freed(order, case)
    shares = proportional_split(amount, [units.worth for units in assessed.units])
    counted = {units.line_id: (units.quantity, share) for units, share in zip(assessed.units, shares, strict=True)}
    lines = []
    for line in order.lines:
        quantity, share = counted.get(line.line_id, (0, 0))
        lines.append(replace(line, refunded_qty=line.refunded_qty + quantity, refunded=line.refunded + share))
    return replace(order, lines=tuple(lines), refunded=order.refunded + amount)


def refunded_without_return(order: Order, amount: int) -> Order:
    """The order after a gesture: its rest is smaller, its units are what they were."""
    return replace(order, refunded=order.refunded + amount)


def _opened(order: Order, change: Mapping[str, int]) -> Order:
    lines = [replace(line, open_qty=line.open_qty + change.get(line.line_id, 0)) for line in order.lines]
    return replace(order, lines=tuple(lines))
