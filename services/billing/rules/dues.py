"""What a bill still costs: its lines say when, the plans of its orders say how much, and it knows its late fees.

Amounts are minor units of the bill's currency. ``plans`` maps order ids to at least the live plans of the bill's
orders; a line whose plan is not among them costs nothing any more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date

from services.billing.state import Bill, Instalment, Line, Plan

__all__ = [
    "amount_due",
    "bills_of",
    "collectable",
    "days_late",
    "due_part",
    "held_since",
    "is_late",
    "lines_of",
    "past_due",
    "unpaid",
]

Plans = Mapping[str, Plan]


def amount_due(bill: Bill, plans: Plans) -> int:
    """All that is payable, whenever it falls due: due parts and unpaid late fees."""
    return due_part(bill, plans) + bill.unpaid_late_fees


def due_part(bill: Bill, plans: Plans) -> int:
    """All due parts; a bill without any neither comes up nor ages, whatever late fees it has."""
    return sum(part.due_part for _, part in lines_of(bill, plans))


def collectable(bill: Bill, plans: Plans, day: date) -> int:
    """What a collection asks for on ``day``: the due parts whose due date is reached, and late fees (B-C2).

    Nothing where no due part is reached: late fees alone are not collected.
    """
    reached = sum(part.due_part for line, part in lines_of(bill, plans) if line.due_on <= day)
    return reached + bill.unpaid_late_fees if reached else 0


def past_due(bill: Bill, plans: Plans, day: date) -> int:
    """The due parts whose due date is over on ``day``: what ages a bill (T-2)."""
    return sum(part.due_part for line, part in lines_of(bill, plans) if line.due_on < day)


def days_late(line: Line, day: date) -> int:
    """How many days past due a line is; while it is paused as a whole, as many as when that began (B-H3)."""
    return max(0, (day - line.due_on).days) if line.paused_dpd is None else line.paused_dpd


def is_late(bill: Bill, plans: Plans, day: date) -> bool:
    """Whether anything unpaid is late on ``day``: past due, written off when it was, or past due when it was paused."""
    return any(_is_late(line, part, plans[line.order_id], day) for line, part in lines_of(bill, plans))


def _is_late(line: Line, part: Instalment, plan: Plan, day: date) -> bool:
    if line.due_on < day and part.due_part + part.charged_off:
        return True
    paused_on = held_since(plan, line.seq)
    return paused_on is not None and line.due_on < paused_on


def held_since(plan: Plan, seq: int) -> date | None:
    """The day on which the latest of the pauses began that hold something of an instalment."""
    holding = (pause for pause in plan.pauses if any(share.seq == seq for share in pause.shares))
    return max((pause.opened_on for pause in holding), default=None)


def unpaid(bill: Bill, plans: Plans) -> int:
    """All that is not paid, paused and charged-off principal included; at 0 the bill closes."""
    return sum(part.unpaid for _, part in lines_of(bill, plans)) + bill.unpaid_late_fees


def lines_of(bill: Bill, plans: Plans) -> Iterator[tuple[Line, Instalment]]:
    """The lines of a bill that may still cost something, each with the instalment it bills."""
    for line in bill.lines:
        if line.order_id in plans:
            yield line, plans[line.order_id].instalments[line.seq - 1]


def bills_of(order_id: str, bills: Mapping[str, Bill]) -> list[Bill]:
    """Those of ``bills`` that hold a line of the order."""
    return [bill for bill in bills.values() if any(line.order_id == order_id for line in bill.lines)]
