"""What follows from a change of a buyer's debts, whatever brought it about: plans and bills close, bills are cured."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date

from services.billing.rules.debts import Debts
from services.billing.rules.dues import unpaid
from services.billing.rules.lines import BillChange, cured, followed
from services.billing.rules.pause import within_outstanding
from services.billing.state import Bill, BillStatus, Plan, PlanStatus

__all__ = ["Outcome", "concluded", "plan_status"]

_BILLED = (BillStatus.ISSUED, BillStatus.OVERDUE, BillStatus.CHARGED_OFF)


@dataclass(frozen=True, slots=True)
class Outcome:
    """A buyer's debts before and after a message, consequences included."""

    before: Debts
    after: Debts
    today: date
    plans: tuple[tuple[Plan, Plan], ...]
    """The plans that were touched, before and after."""
    bills: tuple[BillChange, ...]
    """The bills that were touched, or whose instalments were."""


def concluded(before: Debts, after: Debts, today: date) -> Outcome:
    """Draw the consequences of what was done to ``before``, once for the whole message.

    Plans keep no more paused than is unpaid and settle where nothing is left; bills follow their instalments, close
    where nothing is left, and leave their stage where nothing is past due any more; the book sums up.
    """
    touched = {order_id for order_id, plan in after.plans.items() if plan is not before.plans[order_id]}
    after = after.with_plans(*(_plan(after.plans[order_id], today) for order_id in touched))
    changes = tuple(
        _change(bill, before, after, today)
        for bill_id, bill in after.bills.items()
        if bill_id in before.bills and (bill is not before.bills[bill_id] or not touched.isdisjoint(bill.order_ids))
    )
    book = after.book.owing(sum(after.plans[one].owed - before.plans[one].owed for one in touched))
    for change in changes:
        if change.after.stage != change.before.stage:
            book = book.staged(change.after.bill_id, change.after.stage)
    after = replace(after.with_bills(*(change.after for change in changes)), book=book)
    plans = tuple((before.plans[order_id], after.plans[order_id]) for order_id in sorted(touched))
    return Outcome(before, after, today, plans, changes)


def _change(bill: Bill, before: Debts, after: Debts, today: date) -> BillChange:
    """What becomes of a bill that was touched."""
    known = before.bills[bill.bill_id]
    now = followed(_closed(bill, after), after.plans, today)
    return BillChange.between(known, before.plans, cured(known, before.plans, now, after.plans, today), after.plans)


def plan_status(plan: Plan) -> PlanStatus:
    """SETTLED where nothing is left, CHARGED_OFF where nothing but written-off principal is."""
    if not plan.unpaid:
        return PlanStatus.SETTLED
    return PlanStatus.CHARGED_OFF if plan.unpaid == plan.owed - plan.outstanding else PlanStatus.OPEN


def _plan(plan: Plan, today: date) -> Plan:
    plan = within_outstanding(plan, today)
    status = plan_status(plan)
    if status is plan.status:
        return plan
    return replace(plan, status=status, settled_on=today if status is PlanStatus.SETTLED else None)


def _closed(bill: Bill, after: Debts) -> Bill:
    """The bill, closed if nothing is left on it: PAID if something was paid on it, VOIDED if nothing was (2.1).

    A statement that is not cut yet stays open for what else the month brings.
    """
    if bill.status not in _BILLED or unpaid(bill, after.plans):
        return bill
    return replace(bill, status=BillStatus.PAID if bill.paid_on else BillStatus.VOIDED, in_flight=None)
