"""Plans: the debt of an order, from its acceptance."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from services.billing.rules import facts, ledger, schedule, timetable
from services.billing.service import billing
from services.billing.state import Autopay, Book, Plan
from shared.contracts.checkout import OrderAccepted
from shared.engine.service import Yielded
from shared.engine.vocabulary import Cause
from shared.kernel.calendar import Calendar

__all__ = ["open_plan"]


@billing.on(OrderAccepted)
def open_plan(
    accepted: OrderAccepted, now: datetime, cause: Cause, book: Book | None, plan: Plan | None, calendar: Calendar
) -> Iterator[Yielded]:
    """The goods are accepted: the debt begins, and under PAY_AFTER_USE its bill is issued at once (B-P1)."""
    if plan is not None:
        return  # this acceptance already opened its plan
    accepted_on = calendar.date(accepted.accepted_at)
    plan = schedule.opened_plan(accepted, accepted_on)
    bill = schedule.first_bill(accepted, accepted_on)
    if book is None:
        book = Book(accepted.buyer_id, accepted.currency, autopay=Autopay(instrument=accepted.instrument))
    book = book.owing(plan.principal)
    yield book
    yield plan
    yield bill
    yield from ledger.plan_opened(plan, cause, now)
    yield facts.plan_opened(plan, {bill.bill_id: bill}, book)
    yield facts.bill_issued(bill, {plan.order_id: plan})
    yield from timetable.arm_set(bill, now, calendar)
