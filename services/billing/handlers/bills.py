"""Bills in the course of time: reminded, collected, ageing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Annotated

from services.billing.deadlines import Ask, Collect, DueSoon, Step
from services.billing.rules import collection, delinquency, dues, facts, timetable
from services.billing.service import billing
from services.billing.state import BILL_MACHINE, Bill, Book, Plan
from shared.engine.service import Yielded
from shared.engine.vocabulary import Deadline, Named, Rows
from shared.kernel.calendar import Calendar

__all__ = ["age_bill", "collect_bill", "remind_of_bill"]


def _orders(due: DueSoon | Collect | Step) -> tuple[str, ...]:
    return due.order_ids


PlansOfBill = Annotated[Rows[Plan], Named(ids=_orders)]


@billing.on(DueSoon)
def remind_of_bill(
    due: DueSoon, now: datetime, book: Book, bill: Bill, plans: PlansOfBill, calendar: Calendar
) -> Iterator[Yielded]:
    """The due date is three days, one day or no day away: the buyer hears of it while there is time to pay."""
    amount = dues.collectable(bill, plans, bill.due_on)
    if not amount or due.KIND not in BILL_MACHINE[bill.status]:
        return
    yield facts.bill_due_soon(bill, due.days_left, amount, book)
    yield from timetable.next_reminder(bill, now, calendar, before=due.days_left)


@billing.on(Collect)
def collect_bill(
    due: Collect, now: datetime, book: Book, bill: Bill, plans: PlansOfBill, calendar: Calendar
) -> Iterator[Yielded]:
    """On the due date, and again on the days after a refusal, what is due is taken from the instrument (B-C2)."""
    if due.KIND not in BILL_MACHINE[bill.status]:
        return
    yield from timetable.next_collection(bill, now, calendar, after=due.offset)
    repayment = collection.attempt(bill, due.offset, dues.collectable(bill, plans, calendar.date(now)), book, now)
    if repayment is None:
        return  # a skipped attempt waits for the next offset
    bill = collection.tried(bill, due.offset, repayment)
    yield repayment
    yield bill
    yield facts.collection_requested(repayment, bill.attempts)
    yield Deadline(now + collection.FIRST_ASK, Ask(due.buyer_id, repayment.repayment_id, (bill.bill_id,)))


@billing.on(Step)
def age_bill(
    step: Step, now: datetime, book: Book, bill: Bill, plans: PlansOfBill, calendar: Calendar
) -> Iterator[Yielded]:
    """The bill is past due by another day of the ladder: the buyer's stage may worsen (B-D1)."""
    past_due = dues.past_due(bill, plans, bill.due_on + timedelta(days=step.day))
    if not past_due or step.KIND not in BILL_MACHINE[bill.status]:
        return
    if delinquency.must_wait(bill, step, past_due, timetable.step_at(bill, step.day, calendar)):
        yield Deadline(now + delinquency.STEP_WAIT, replace(step, waits=step.waits + 1))
        return
    bill = delinquency.aged(bill, step.day)
    yield bill
    if delinquency.climbs(bill.terms, step.day):
        book = book.staged(bill.bill_id, bill.stage)
        yield book
        yield facts.delinquency_changed(bill, step.day, book, plans)
    yield from timetable.next_step(bill, step, now, calendar)
