"""Bills in the course of time: cut, reminded, collected, ageing; and what a desk may do to one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Annotated

from services.billing.deadlines import Ask, Collect, DueSoon, StatementCut, Step
from services.billing.handlers.changes import changed
from services.billing.rules import collection, delinquency, dues, facts, late_fees, ledger, timetable
from services.billing.rules.closing import concluded
from services.billing.rules.debts import Debts
from services.billing.rules.write_off import written_off
from services.billing.service import billing
from services.billing.state import BILL_MACHINE, Bill, BillStatus, Book, Evidence, Plan
from shared.contracts.billing import ChargeOffBill, WaiveFee
from shared.engine.refusals import require
from shared.engine.service import Yielded
from shared.engine.vocabulary import Cause, Deadline, Named, Rejected, Rows
from shared.kernel.calendar import Calendar

__all__ = ["age_bill", "charge_off_bill", "collect_bill", "cut_statement", "remind_of_bill", "waive_fee"]


def _orders(due: StatementCut | DueSoon | Collect | Step) -> tuple[str, ...]:
    return due.order_ids


PlansOfBill = Annotated[Rows[Plan], Named(ids=_orders)]


# -- in the course of time ---------------------------------------------------------------------------------------------


@billing.on(StatementCut)
def cut_statement(
    due: StatementCut, now: datetime, bill: Bill, plans: PlansOfBill, calendar: Calendar
) -> Iterator[Yielded]:
    """The month is over: what is still owed of it is billed; a statement without anything left goes (B-P2)."""
    if due.KIND not in BILL_MACHINE[bill.status]:
        return
    if not dues.unpaid(bill, plans):
        yield replace(bill, status=BillStatus.VOIDED, in_flight=None)
        return
    bill = replace(bill, status=BillStatus.ISSUED)
    yield bill
    yield facts.bill_issued(bill, plans)
    if dues.due_part(bill, plans):
        yield from timetable.arm_set(bill, now, calendar)


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
    step: Step,
    now: datetime,
    cause: Cause,
    book: Book,
    bill: Bill,
    evidence: Evidence | None,
    plans: PlansOfBill,
    calendar: Calendar,
) -> Iterator[Yielded]:
    """The bill is past due by another day of the ladder: a fee may fall, the buyer's stage may worsen (B-D1, B-F)."""
    past_due = dues.past_due(bill, plans, bill.due_on + timedelta(days=step.day))
    if not past_due or step.KIND not in BILL_MACHINE[bill.status]:
        return
    if delinquency.must_wait(bill, step, past_due, timetable.step_at(bill, step.day, calendar)):
        yield Deadline(now + delinquency.STEP_WAIT, replace(step, waits=step.waits + 1))
        return
    climbs = delinquency.climbs(bill.terms, step.day)
    if climbs and step.day >= delinquency.CHARGED_OFF_FROM:
        debts = Debts(book, plans, {bill.bill_id: bill})
        yield from _charge_off(debts, delinquency.aged(bill, step.day), step.day, cause, now, calendar)
        return
    bill = delinquency.aged(bill, step.day)
    if step.day in late_fees.fee_days(bill.terms.late_fee):
        assessment = late_fees.assess(bill, plans, step.day, evidence, calendar)
        if assessment is not None and assessment.fee is not None:
            bill = replace(bill, late_fees=(*bill.late_fees, assessment.fee))
            movements = ledger.late_fee_assessed(bill.bill_id, assessment.fee.amount)
            yield from ledger.post(bill.buyer_id, bill.currency, movements, cause, now)
            yield facts.late_fee_assessed(assessment.fee, bill)
        elif assessment is not None:
            yield facts.late_fee_withheld(bill, step.day)
    yield bill
    if climbs:
        book = book.staged(bill.bill_id, bill.stage)
        yield book
        yield facts.delinquency_changed(bill, step.day, book, plans)
    yield from timetable.next_step(bill, step, now, calendar)


# -- what a desk may do ------------------------------------------------------------------------------------------------


@billing.on(ChargeOffBill)
def charge_off_bill(
    command: ChargeOffBill, now: datetime, cause: Cause, book: Book, bill: Bill, plans: Rows[Plan], calendar: Calendar
) -> Iterator[Yielded]:
    """An overdue bill is written off before its time (B-D4)."""
    require(BILL_MACHINE, bill.status, "ChargeOffBill")
    _refuse_merchant(command)
    dpd = max(0, (calendar.date(now) - bill.due_on).days)
    yield from _charge_off(Debts(book, plans, {bill.bill_id: bill}), bill, dpd, cause, now, calendar)


def _charge_off(
    debts: Debts, bill: Bill, dpd: int, cause: Cause, now: datetime, calendar: Calendar
) -> Iterator[Yielded]:
    """What the bill still costs is a loss; the buyer's stage says so until it is recovered."""
    off = written_off(debts.with_bills(bill), bill.bill_id)
    outcome = concluded(debts, off.debts, calendar.date(now))
    after, book = outcome.after.bills[bill.bill_id], outcome.after.book
    yield from changed(outcome, facts.bill_charged_off(after, off, dpd, book), cause, now, calendar)
    if after.status is BillStatus.CHARGED_OFF:  # of fees alone nothing is left to recover
        yield facts.delinquency_changed(after, dpd, book, outcome.after.plans)


@billing.on(WaiveFee)
def waive_fee(
    command: WaiveFee,
    now: datetime,
    cause: Cause,
    book: Book,
    bill: Bill,
    bills: Rows[Bill],
    plans: Rows[Plan],
    calendar: Calendar,
) -> Iterator[Yielded]:
    """Support drops a late fee; what had been paid of it pays the bill, or goes back (B-F7)."""
    fee = bill.late_fee(command.fee_id)
    if fee is None:
        raise Rejected("UNKNOWN_FEE", fee_id=command.fee_id)
    require(BILL_MACHINE, bill.status, "WaiveFee")
    if not fee.revocable:
        raise Rejected("ALREADY_DONE", fee_id=fee.fee_id, reversed=fee.reversed, charged_off=fee.charged_off)
    _refuse_merchant(command)
    debts = Debts(book, plans, {**bills, bill.bill_id: bill})
    after = late_fees.reversed_fee(debts, bill.bill_id, fee.fee_id, fee.revocable, "WAIVER")
    yield from changed(concluded(debts, after, calendar.date(now)), None, cause, now, calendar)


def _refuse_merchant(command: ChargeOffBill | WaiveFee) -> None:
    """The platform carries the loss, so nobody else decides on it: PARTY_NOT_ALLOWED."""
    if command.by != "PLATFORM":
        raise Rejected("PARTY_NOT_ALLOWED", "Only the platform may do this", by=command.by, allowed=["PLATFORM"])
