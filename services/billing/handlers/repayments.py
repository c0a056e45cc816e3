"""Repayments: asked for by the buyer, answered by the provider, and asked about while it keeps silent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Annotated

from services.billing.deadlines import Ask
from services.billing.rules import allocation, collection, dues, facts, ledger, settlement, timetable
from services.billing.service import billing
from services.billing.state import (
    REPAYMENT_MACHINE,
    Bill,
    Book,
    Plan,
    Repayment,
    RepaymentStatus,
)
from shared.contracts.billing import RepayBill, ReportCollection
from shared.engine.refusals import CLOCK_TOLERANCE, refusal, repeated
from shared.engine.service import Yielded
from shared.engine.vocabulary import Cause, Deadline, Disarm, Named, Rejected, Rows
from shared.kernel.calendar import Calendar

__all__ = ["ask_provider", "repay", "report_collection"]

_FINAL_OUTCOME = {
    RepaymentStatus.SUCCEEDED: "SUCCEEDED",
    RepaymentStatus.REVERSED: "SUCCEEDED",
    RepaymentStatus.FAILED: "DECLINED",
}


# -- the buyer pays ----------------------------------------------------------------------------------------------------


@billing.on(RepayBill)
def repay(
    command: RepayBill,
    now: datetime,
    cause: Cause,
    repayment: Repayment | None,
    bill: Bill | None,
    plan: Plan | None,
    bills: Rows[Bill],
    plans: Rows[Plan],
) -> Iterator[Yielded]:
    """The buyer pays a bill or an order now: the provider is asked for the money (BIL-05, B-A2, B-C1)."""
    if repayment is not None:
        raise repeated(
            same=repayment.content == cause.content,
            repayment_id=repayment.repayment_id,
            status=str(repayment.status),
            amount=repayment.amount,
        )
    debt = _target(command, bill, plan)
    repayment = collection.requested_by_buyer(command, now, cause)
    waiting = settlement.target_bills(repayment, bills)
    _refuse_repayment(command, debt, waiting, allocation.outstanding(settlement.target_parts(repayment, bills, plans)))
    yield repayment
    yield from (collection.waiting(one, repayment) for one in waiting)
    yield facts.collection_requested(repayment)
    bill_ids = tuple(one.bill_id for one in waiting)
    yield Deadline(now + collection.FIRST_ASK, Ask(command.buyer_id, command.repayment_id, bill_ids))


def _target(command: RepayBill, bill: Bill | None, plan: Plan | None) -> Bill | Plan:
    """The bill or order that is to be paid; another buyer's is unknown."""
    if command.bill_id is not None:
        if bill is None:
            raise Rejected("UNKNOWN_BILL", bill_id=command.bill_id)
        return bill
    if plan is None:
        raise Rejected("UNKNOWN_ORDER", order_id=command.order_id)
    return plan


def _refuse_repayment(command: RepayBill, debt: Bill | Plan, waiting: list[Bill], outstanding: int) -> None:
    """The refusals of a RepayBill, in the order of H-5: state first, then content."""
    for bill in waiting:
        if bill.in_flight is not None:
            raise Rejected("COLLECTION_IN_FLIGHT", bill_id=bill.bill_id, repayment_id=bill.in_flight.repayment_id)
    if command.currency != debt.currency:
        raise Rejected("CURRENCY_MISMATCH", currency=debt.currency)
    if command.instrument.kind == "EXTERNAL":
        raise Rejected("INSTRUMENT_NOT_ALLOWED", "Money paid outside is recorded by the merchant, not collected")
    if not 1 <= command.amount <= outstanding:
        raise Rejected("AMOUNT_EXCEEDS_OUTSTANDING", outstanding=outstanding)


# -- the provider answers ----------------------------------------------------------------------------------------------


@billing.on(ReportCollection)
def report_collection(
    report: ReportCollection,
    now: datetime,
    cause: Cause,
    repayment: Repayment,
    book: Book,
    bills: Rows[Bill],
    plans: Rows[Plan],
    calendar: Calendar,
) -> Iterator[Yielded]:
    """What the provider says of a repayment: money came, was refused, or nobody knows yet (2.2)."""
    _refuse_report(report, repayment, now)
    repayment = replace(repayment, provider_ref=report.provider_ref)
    match report.outcome:
        case "SUCCEEDED":
            paid_on, today = calendar.date(repayment.requested_at), calendar.date(now)
            done = settlement.settle(repayment, book, bills, plans, paid_on, today)
            yield from _succeed(done, book, plans, cause, now, calendar)
        case "DECLINED":
            yield from _fail(report, repayment, book, bills, plans, now, calendar)
        case "PENDING" | "UNKNOWN":
            yield from _stay_in_doubt(repayment, RepaymentStatus(report.outcome), bills, now)


def _refuse_report(report: ReportCollection, repayment: Repayment, now: datetime) -> None:
    """The refusals of a ReportCollection: state first, then content (H-5, B-C5)."""
    known = REPAYMENT_MACHINE[repayment.status]
    if report.outcome not in known:
        if report.outcome == _FINAL_OUTCOME.get(repayment.status):
            raise Rejected("ALREADY_DONE", repayment_id=repayment.repayment_id, status=str(repayment.status))
        details = refusal(repayment.status, known)
        raise Rejected("ILLEGAL_TRANSITION", f"{report.outcome} is no news of this repayment", **details)
    if report.occurred_at > now + CLOCK_TOLERANCE:
        raise Rejected("TIME_IN_FUTURE", now=now.isoformat())
    if report.currency != repayment.currency:
        raise Rejected("CURRENCY_MISMATCH", currency=repayment.currency)
    if report.amount != repayment.amount:
        raise Rejected("AMOUNT_MISMATCH", requested=repayment.amount, reported=report.amount)


def _succeed(
    done: settlement.Settlement, before: Book, plans: Rows[Plan], cause: Cause, now: datetime, calendar: Calendar
) -> Iterator[Yielded]:
    """Money came: debts are paid in their order, and what nobody owed goes back (B-A, B-D3)."""
    yield done.repayment
    if done.book is not before:
        yield done.book
    yield from done.plans
    yield from (change.after for change in done.changes)
    if (overpayment := done.overpayment) is not None:
        yield overpayment
    yield from ledger.repayment_allocated(done.repayment, done.plans, cause, now)
    yield from facts.settled(done)
    yield Disarm(Ask, done.repayment.repayment_id)
    for plan in done.plans:
        yield from timetable.disarm_pauses(plans[plan.order_id], plan)
    for change in done.changes:
        yield from timetable.rescheduled(change, now, calendar)


def _fail(
    report: ReportCollection,
    repayment: Repayment,
    book: Book,
    bills: Rows[Bill],
    plans: Rows[Plan],
    now: datetime,
    calendar: Calendar,
) -> Iterator[Yielded]:
    """The provider refused: a hard decline blocks the instrument, a soft one leaves it to the next attempt (B-C3)."""
    if report.decline == "HARD" and repayment.instrument == book.autopay.instrument:
        book = replace(book, autopay=replace(book.autopay, blocked=True))
        yield book
    yield replace(repayment, status=RepaymentStatus.FAILED)
    yield from settlement.bills_waiting(repayment, bills).values()
    bill = next(iter(settlement.target_bills(repayment, bills)), None)
    next_at = timetable.next_attempt_at(bill, now, calendar) if bill is not None else None
    amount_due = dues.amount_due(bill, plans) if bill is not None else 0
    yield facts.collection_failed(repayment, report, collection.prospect(bill, amount_due, book.autopay, next_at))
    yield Disarm(Ask, repayment.repayment_id)


def _stay_in_doubt(
    repayment: Repayment, status: RepaymentStatus, bills: Rows[Bill], now: datetime
) -> Iterator[Yielded]:
    """Nothing is known yet, which is never success; the first such report hurries the first question (B-C4)."""
    doubtful = replace(repayment, status=status)
    yield doubtful
    yield facts.collection_pending(doubtful, ask=0)
    if repayment.status is RepaymentStatus.REQUESTED:
        bill_ids = tuple(settlement.bills_waiting(repayment, bills))
        yield Deadline(now + collection.HURRIED_ASK, Ask(repayment.buyer_id, repayment.repayment_id, bill_ids))


# -- the provider keeps silent -----------------------------------------------------------------------------------------


def _bills(ask: Ask) -> tuple[str, ...]:
    return ask.bill_ids


@billing.on(Ask)
def ask_provider(
    ask: Ask, now: datetime, repayment: Repayment, bills: Annotated[Rows[Bill], Named(ids=_bills)]
) -> Iterator[Yielded]:
    """Nobody knows how a repayment ended: the adapter must look it up, and in the end a person must (B-C4)."""
    status = REPAYMENT_MACHINE[repayment.status].get(ask.KIND)
    if status is None:
        return
    asked = replace(repayment, status=status[0], asks=repayment.asks + 1)
    yield asked
    yield facts.collection_pending(asked, ask=asked.asks)
    if (pause := collection.ask_again(asked.asks)) is not None:
        yield Deadline(now + pause, ask)
    else:
        yield from settlement.bills_waiting(asked, bills).values()
