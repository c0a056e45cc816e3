"""What a bill still costs: its lines say when, the plans of its orders say how much.

Amounts are minor units of the bill's currency; ``plans`` maps order ids to the plans of at least the bill's orders.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date

from services.billing.state import Bill, Instalment, Line, Plan

__all__ = ["amount_due", "collectable", "past_due", "unpaid"]

Plans = Mapping[str, Plan]


def amount_due(bill: Bill, plans: Plans) -> int:
    """All due parts, whenever they fall due."""
    return sum(part.due_part for _, part in _parts(bill, plans))


def collectable(bill: Bill, plans: Plans, day: date) -> int:
    """The due parts whose due date is reached on ``day``: what a collection asks for (B-C2)."""
    return sum(part.due_part for line, part in _parts(bill, plans) if line.due_on <= day)


def past_due(bill: Bill, plans: Plans, day: date) -> int:
    """The due parts whose due date is over on ``day``: what ages a bill (T-2)."""
    return sum(part.due_part for line, part in _parts(bill, plans) if line.due_on < day)


def unpaid(bill: Bill, plans: Plans) -> int:
    """Principal and fees that are not paid, paused ones included; at 0 the bill closes."""
    return sum(part.unpaid for _, part in _parts(bill, plans))


def _parts(bill: Bill, plans: Plans) -> Iterator[tuple[Line, Instalment]]:
    for line in bill.lines:
        yield line, plans[line.order_id].instalments[line.seq - 1]
