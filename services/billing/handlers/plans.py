"""Plans: the debt of an order, from its acceptance."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated

from services.billing.rules import facts, ledger, schedule, timetable
from services.billing.service import billing
from services.billing.state import Autopay, Bill, BillStatus, Book, Plan
from shared.contracts.checkout import OrderAccepted
from shared.engine.service import Yielded
from shared.engine.vocabulary import Cause, Named, Rows
from shared.kernel.calendar import Calendar

__all__ = ["open_plan"]


@billing.on(OrderAccepted)
def open_plan(
    accepted: OrderAccepted,
    now: datetime,
    cause: Cause,
    book: Book | None,
    plan: Plan | None,
    statements: Annotated[Rows[Bill], Named(ids=schedule.statement_ids)],
    calendar: Calendar,
) -> Iterator[Yielded]:
    """The goods are accepted: the debt begins.

    Under PAY_AFTER_USE its bill is issued at once; under MONTHLY its instalments wait on statements (B-P1, B-P2).
    """
    if plan is not None:
        return  # this acceptance already opened its plan
    plan = schedule.opened_plan(accepted, calendar.date(accepted.accepted_at), statements)
    bills = schedule.bills_holding(plan, accepted, statements)
    if book is None:
        book = Book(accepted.buyer_id, accepted.currency, autopay=Autopay(instrument=accepted.instrument))
    if book.currency != accepted.currency:
        raise schedule.CurrencyDiffers(f"{accepted.order_id} is in {accepted.currency}, its buyer owes {book.currency}")
    book = book.owing(plan.principal)
    yield book
    yield plan
    yield from bills
    yield from ledger.post(plan.buyer_id, plan.currency, ledger.plan_opened(plan), cause, now)
    yield facts.plan_opened(plan, {bill.bill_id: bill for bill in bills}, book)
    for bill in bills:
        if bill.status is BillStatus.SCHEDULED:
            yield from timetable.statement_cut(bill, calendar)
        else:
            yield facts.bill_issued(bill, {plan.order_id: plan})
            yield from timetable.arm_set(bill, now, calendar)
