"""What becomes of a bill when the instalments on its lines change: paused as a whole, running again, redated (B-H3).

``plans`` maps order ids to the plans of at least the bill's orders.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta

from services.billing.rules.dues import amount_due, past_due, unpaid
from services.billing.state import Bill, Instalment, Line, Plan

__all__ = ["BillChange", "bills_of", "changed_bills", "cured", "followed"]

Plans = Mapping[str, Plan]

NOTICE_DAYS = 3
"""A line that was not past due when it was paused is payable for so many days after it runs again."""


@dataclass(frozen=True, slots=True)
class BillChange:
    """A bill before and after the instalments on it changed, and what it had to collect each time, in minor units."""

    before: Bill
    after: Bill
    due_before: int
    due_after: int

    @classmethod
    def between(cls, before: Bill, plans_before: Plans, after: Bill, plans_after: Plans) -> BillChange:
        return cls(before, after, amount_due(before, plans_before), amount_due(after, plans_after))

    @property
    def is_cured(self) -> bool:
        """The bill had a stage and left it."""
        return self.before.stage != "NONE" and self.after.stage == "NONE"


def bills_of(order_id: str, bills: Mapping[str, Bill]) -> list[Bill]:
    """Those of ``bills`` that hold a line of the order."""
    return [bill for bill in bills.values() if any(line.order_id == order_id for line in bill.lines)]


def changed_bills(plan: Plan, bills: Mapping[str, Bill], plans: Plans, today: date) -> list[BillChange]:
    """How the bills of ``plan`` follow it, whose pauses changed from what ``plans`` say; a pause never cures (B-D2)."""
    after = {**plans, plan.order_id: plan}
    return [
        BillChange.between(bill, plans, followed(bill, after, today), after) for bill in bills_of(plan.order_id, bills)
    ]


def followed(bill: Bill, plans: Plans, today: date) -> Bill:
    """The bill after its instalments changed: it knows which lines are paused as a whole, and when it is due.

    A line of which something runs again was d days past due when it stopped: then it is again. It was not past due:
    then it is due on its day, or three days from ``today`` if that is later, under the next ``due_version``; lines
    moved to one date share it. The bill is due with the earliest of the lines that have a due part.
    """
    moved_to = today + timedelta(days=NOTICE_DAYS)
    known = (line.due_version for line in bill.lines if line.due_on == moved_to)
    version = next(known, max(line.due_version for line in bill.lines) + 1)
    lines = tuple(_followed(line, _part(line, plans), today, version) for line in bill.lines)
    return _dated(replace(bill, lines=lines), plans)


def cured(before: Bill, plans_before: Plans, after: Bill, plans_after: Plans, today: date) -> Bill:
    """``after`` without a stage, if a payment or refund took what was past due of it, or all there was (B-D2).

    A bill whose past-due part is paused keeps its stage until that part is gone for good.
    """
    gone = past_due(before, plans_before, today) and not past_due(after, plans_after, today)
    if after.stage != "NONE" and (gone or not unpaid(after, plans_after)):
        return replace(after, stage="NONE")
    return after


def _part(line: Line, plans: Plans) -> Instalment:
    return plans[line.order_id].instalments[line.seq - 1]


def _followed(line: Line, part: Instalment, today: date, version: int) -> Line:
    wholly_paused = 0 < part.paused == part.outstanding
    if wholly_paused and line.paused_dpd is None:
        return replace(line, paused_dpd=max(0, (today - line.due_on).days))
    if wholly_paused or line.paused_dpd is None:
        return line
    running = replace(line, paused_dpd=None)
    if not part.outstanding:
        return running
    if line.paused_dpd:
        return replace(running, due_on=today - timedelta(days=line.paused_dpd))
    due_on = max(line.due_on, today + timedelta(days=NOTICE_DAYS))
    return running if due_on == line.due_on else replace(running, due_on=due_on, due_version=version)


def _dated(bill: Bill, plans: Plans) -> Bill:
    """The bill with the due date of its earliest line that has a due part; only days ahead are steps of a new one."""
    due: Iterable[Line] = (line for line in bill.lines if _part(line, plans).due_part)
    first = min(due, key=lambda line: line.due_on, default=None)
    if first is None:
        return bill
    last_step = bill.last_step if first.due_version == bill.due_version else 0
    return replace(bill, due_on=first.due_on, due_version=first.due_version, last_step=last_step)
