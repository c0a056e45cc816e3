"""What becomes of a bill when the instalments on its lines change: paused as a whole, running again, redated (B-H3).

``plans`` maps order ids to at least the live plans of the bill's orders.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta

from services.billing.rules.dues import bills_of, days_late, due_part, held_since, lines_of, past_due, unpaid
from services.billing.state import Bill, Line, Plan

__all__ = ["BillChange", "changed_bills", "cured", "followed", "next_version", "redated"]

Plans = Mapping[str, Plan]

NOTICE_DAYS = 3
"""A line that was not past due when it was paused is payable for so many days after it runs again."""


@dataclass(frozen=True, slots=True)
class BillChange:
    """A bill before and after a message, and the due parts it had each time, in minor units."""

    before: Bill
    after: Bill
    due_before: int
    due_after: int

    @classmethod
    def between(cls, before: Bill, plans_before: Plans, after: Bill, plans_after: Plans) -> BillChange:
        return cls(before, after, due_part(before, plans_before), due_part(after, plans_after))

    @property
    def is_cured(self) -> bool:
        """The bill had a stage and left it."""
        return self.before.stage != "NONE" and self.after.stage == "NONE"


def changed_bills(plan: Plan, bills: Mapping[str, Bill], plans: Plans, today: date) -> list[BillChange]:
    """How the bills of ``plan`` follow it, whose pauses changed from what ``plans`` say; a pause never cures (B-D2)."""
    after = {**plans, plan.order_id: plan}
    return [
        BillChange.between(bill, plans, followed(bill, after, today), after) for bill in bills_of(plan.order_id, bills)
    ]


def followed(bill: Bill, plans: Plans, today: date) -> Bill:
    """The bill after its instalments changed: it knows which lines are paused as a whole, and when it is due.

    A line of which something runs again was d days past due when it was paused: then it is again. It was not past due,
    whatever became of a rest that ran on: then it is due on its day, or three days from ``today`` if that is later,
    under the next ``due_version``; lines moved to one date share it. The bill is due with the earliest of the lines
    that have a due part.
    """
    moved_to = today + timedelta(days=NOTICE_DAYS)
    known = (line.due_version for line in bill.lines if line.due_on == moved_to)
    version = next(known, next_version(bill))
    lines = tuple(_followed(line, plans.get(line.order_id), today, version) for line in bill.lines)
    return redated(replace(bill, lines=lines) if lines != bill.lines else bill, plans)


def next_version(bill: Bill) -> int:
    """The number of the bill's next due date."""
    return max(line.due_version for line in bill.lines) + 1


def redated(bill: Bill, plans: Plans) -> Bill:
    """The bill with the due date of its earliest line that has a due part.

    Of a new due date only days ahead are steps; of one it has had before, those taken are not repeated (B-D1, B-H3).
    """
    due: Iterable[Line] = (line for line, part in lines_of(bill, plans) if part.due_part)
    first = min(due, key=lambda line: line.due_on, default=None)
    if first is None or (first.due_on, first.due_version) == (bill.due_on, bill.due_version):
        return bill
    if first.due_version != bill.due_version:
        bill = replace(bill, lines=tuple(_left(line, bill) for line in bill.lines), last_step=first.last_step)
    return replace(bill, due_on=first.due_on, due_version=first.due_version)


def cured(before: Bill, plans_before: Plans, after: Bill, plans_after: Plans, today: date) -> Bill:
    """``after`` without a stage, if what was past due of it was paid, refunded or given more time (B-D2).

    A bill whose past-due part is paused keeps its stage while that part stays both; so does one written off.
    """
    frozen = {line.place for line in before.lines if line.paused_dpd}
    still_frozen = frozen & {line.place for line in after.lines if line.paused_dpd}
    was_late = frozen or past_due(before, plans_before, today)
    gone = was_late and not still_frozen and not past_due(after, plans_after, today)
    if after.stage not in ("NONE", "CHARGED_OFF") and gone:
        return replace(after, stage="NONE")
    if after.stage != "NONE" and not unpaid(after, plans_after):
        return replace(after, stage="NONE")
    return after


def _left(line: Line, bill: Bill) -> Line:
    """The line as the bill turns to another due date: if it was due by the line's, the line keeps the steps taken."""
    return replace(line, last_step=bill.last_step) if line.due_version == bill.due_version else line


def _followed(line: Line, plan: Plan | None, today: date, version: int) -> Line:
    if plan is None:
        return replace(line, paused_dpd=None)
    part = plan.instalments[line.seq - 1]
    wholly_paused = 0 < part.paused == part.outstanding
    if wholly_paused and line.paused_dpd is None:
        return replace(line, paused_dpd=days_late(line, held_since(plan, line.seq) or today))
    if wholly_paused or line.paused_dpd is None:
        return line
    running = replace(line, paused_dpd=None)
    if not part.unpaid:
        return running
    if line.paused_dpd:
        return replace(running, due_on=today - timedelta(days=line.paused_dpd))
    due_on = max(line.due_on, today + timedelta(days=NOTICE_DAYS))
    return running if due_on == line.due_on else replace(running, due_on=due_on, due_version=version, last_step=0)
