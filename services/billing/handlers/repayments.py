"""Repayments: asked for by the buyer, paid outside, answered by the provider, asked about, and taken back by a bank."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Annotated

from services.billing.deadlines import Ask, ReinstateDebt
from services.billing.handlers.changes import changed
from services.billing.rules import (
    allocation,
    collection,
    dues,
    facts,
    ledger,
    reinstating,
    schedule,
    settlement,
    timetable,
)
from services.billing.rules.closing import concluded
from services.billing.rules.debts import Debts
from services.billing.service import billing
from services.billing.state import (
    BILL_MACHINE,
    PLAN_MACHINE,
    REPAYMENT_MACHINE,
    Bill,
    Book,
    Plan,
    Repayment,
    RepaymentStatus,
    Reversal,
)
from shared.contracts.billing import RecordExternalPayment, RepayBill, ReportCollection, ReportCollectionReversal
from shared.engine.refusals import refusal, refuse_future, repeated, require
from shared.engine.service import Yielded
from shared.engine.vocabulary import Cause, Deadline, Disarm, Named, Rejected, Rows
from shared.kernel.calendar import Calendar

__all__ = [
    "ask_provider",
    "record_external_payment",
    "reinstate_debt",
    "repay",
    "report_collection",
    "report_reversal",
]

EXTERNAL_WITHIN = timedelta(days=30)
"""How long ago money may have been paid outside when it is recorded (B-C6)."""

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
    book: Book,
    bill: Bill | None,
    plan: Plan | None,
    bills: Rows[Bill],
    plans: Rows[Plan],
) -> Iterator[Yielded]:
    """The buyer pays a bill or an order now: the provider is asked for the money (BIL-05, B-A2, B-C1)."""
    if repayment is not None:
        raise _known(repayment, cause)
    _refuse_target(command, bill, plan)
    debts = Debts(book, plans, bills)
    waiting = settlement.target_bills(command, bills)
    repayment = collection.requested_by_buyer(command, waiting, now, cause)
    outstanding = allocation.total(settlement.target_parts(repayment, debts))
    _refuse_repayment(command, waiting, outstanding, book)
    own = bill or bills.get(schedule.bill_id_of(command.order_id or ""))
    if own is not None:
        repayment = collection.paid_promptly(repayment, own, outstanding)
    yield repayment
    paid = allocation.allocate(repayment.amount, settlement.target_parts(repayment, debts))
    shares = allocation.by_bill(paid)
    yield from (collection.waiting(one, repayment, shares.get(one.bill_id, 0)) for one in waiting)
    yield facts.collection_requested(repayment)
    yield Deadline(now + collection.FIRST_ASK, Ask(command.buyer_id, command.repayment_id, repayment.bill_ids))


def _refuse_target(command: RepayBill, bill: Bill | None, plan: Plan | None) -> None:
    """The bill or order that is to be paid must exist, another buyer's is unknown, and must still be payable."""
    if command.bill_id is not None:
        if bill is None:
            raise Rejected("UNKNOWN_BILL", bill_id=command.bill_id)
        require(BILL_MACHINE, bill.status, "RepayBill")
    elif plan is None:
        raise Rejected("UNKNOWN_ORDER", order_id=command.order_id)
    else:
        require(PLAN_MACHINE, plan.status, "RepayBill")


def _refuse_repayment(command: RepayBill, waiting: list[Bill], outstanding: int, book: Book) -> None:
    """The other refusals of a RepayBill, in the order of H-5: state first, then content."""
    for bill in waiting:
        if bill.in_flight is not None:
            raise Rejected("COLLECTION_IN_FLIGHT", bill_id=bill.bill_id, repayment_id=bill.in_flight.repayment_id)
    if command.currency != book.currency:
        raise Rejected("CURRENCY_MISMATCH", currency=book.currency)
    if command.instrument.kind == "EXTERNAL":
        raise Rejected("INSTRUMENT_NOT_ALLOWED", "Money paid outside is recorded by the merchant, not collected")
    if not 1 <= command.amount <= outstanding:
        raise Rejected("AMOUNT_EXCEEDS_OUTSTANDING", outstanding=outstanding)


def _known(repayment: Repayment, cause: Cause) -> Rejected:
    """The answer to a payment whose id is taken (H-3)."""
    return repeated(
        same=repayment.content == cause.content,
        repayment_id=repayment.repayment_id,
        status=str(repayment.status),
        amount=repayment.amount,
    )


# -- the buyer paid the merchant ---------------------------------------------------------------------------------------


@billing.on(RecordExternalPayment)
def record_external_payment(
    command: RecordExternalPayment,
    now: datetime,
    cause: Cause,
    repayment: Annotated[Repayment | None, Named(ids=collection.external_id)],
    book: Book,
    bill: Bill,
    bills: Rows[Bill],
    plans: Rows[Plan],
    calendar: Calendar,
) -> Iterator[Yielded]:
    """A bill was paid to the merchant, outside: it is owed no longer, and the merchant is owed less (B-C6, ABU-8)."""
    if repayment is not None:
        raise _known(repayment, cause)
    paid = collection.paid_outside(command, bill, cause)
    debts = Debts(book, plans, bills)
    _refuse_external(command, bill, allocation.total(settlement.target_parts(paid, debts)), now)
    yield from _settled(paid, debts, cause, now, calendar)


def _refuse_external(command: RecordExternalPayment, bill: Bill, outstanding: int, now: datetime) -> None:
    """The refusals of a RecordExternalPayment: state first, then content (H-5, B-C6)."""
    if bill.kind != "PAY_AFTER_USE":
        raise Rejected("EXTERNAL_NOT_ALLOWED", "A statement is paid through Houfu only", kind=bill.kind)
    require(BILL_MACHINE, bill.status, "RecordExternalPayment")
    refuse_future(command.occurred_at, now)
    if command.occurred_at < now - EXTERNAL_WITHIN:
        raise Rejected("TOO_OLD", occurred_at=command.occurred_at.isoformat(), within_days=EXTERNAL_WITHIN.days)
    if command.currency != bill.currency:
        raise Rejected("CURRENCY_MISMATCH", currency=bill.currency)
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
    debts = Debts(book, plans, bills)
    match report.outcome:
        case "SUCCEEDED":
            yield Disarm(Ask, repayment.repayment_id)
            yield from _settled(repayment, debts, cause, now, calendar)
        case "DECLINED":
            yield from _fail(report, repayment, debts, now, calendar)
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
    refuse_future(report.occurred_at, now)
    if report.currency != repayment.currency:
        raise Rejected("CURRENCY_MISMATCH", currency=repayment.currency)
    if report.amount != repayment.amount:
        raise Rejected("AMOUNT_MISMATCH", requested=repayment.amount, reported=report.amount)


def _settled(repayment: Repayment, debts: Debts, cause: Cause, now: datetime, calendar: Calendar) -> Iterator[Yielded]:
    """Money came: debts are paid in their order, and what nobody owed goes back (B-A, B-D3)."""
    paid_on = calendar.date(repayment.requested_at)
    done = settlement.settle(repayment, debts, paid_on, calendar.date(now), calendar)
    yield done.repayment
    fact = facts.repayment_allocated(done.repayment, paid_on, done.outcome.after.book)
    yield from changed(done.outcome, fact, cause, now, calendar)


def _fail(
    report: ReportCollection, repayment: Repayment, debts: Debts, now: datetime, calendar: Calendar
) -> Iterator[Yielded]:
    """The provider refused: a hard decline blocks the instrument, a soft one leaves it to the next attempt (B-C3)."""
    autopay = debts.book.autopay
    if report.decline == "HARD" and repayment.instrument == autopay.instrument:
        autopay = replace(autopay, blocked=True)
        yield replace(debts.book, autopay=autopay)
    yield replace(repayment, status=RepaymentStatus.FAILED)
    yield from settlement.bills_waiting(repayment, debts.bills).values()
    bill = next(iter(settlement.target_bills(repayment, debts.bills)), None)
    next_at = timetable.next_attempt_at(bill, now, calendar) if bill is not None else None
    due_part = dues.due_part(bill, debts.plans) if bill is not None else 0
    yield facts.collection_failed(repayment, report, collection.prospect(bill, due_part, autopay, next_at))
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


# -- a bank takes money back -------------------------------------------------------------------------------------------


@billing.on(ReportCollectionReversal)
def report_reversal(
    report: ReportCollectionReversal,
    now: datetime,
    cause: Cause,
    reversal: Reversal | None,
    repayment: Repayment,
    book: Book,
) -> Iterator[Yielded]:
    """A bank return or a chargeback: what the repayment had paid is undone, and owed again at once (B-C7)."""
    if reversal is not None:
        same = reversal.content == cause.content
        raise repeated(same=same, reversal_id=reversal.reversal_id, amount=reversal.amount)
    _refuse_reversal(report, repayment, now)
    undone = reinstating.undone(repayment, report.amount)
    reversal = Reversal(
        buyer_id=report.buyer_id,
        reversal_id=report.reversal_id,
        repayment_id=report.repayment_id,
        currency=report.currency,
        amount=report.amount,
        reason=report.reason,
        undone=undone,
        content=cause.content,
    )
    yield reinstating.reversed_repayment(repayment, report.amount)
    yield reversal
    yield facts.repayment_reversed(reversal, book.owing(reinstating.principal(undone)))
    order_ids = tuple(dict.fromkeys(part.order_id for part in undone))
    bill_ids = tuple(dict.fromkeys(part.bill_id for part in undone))
    yield Deadline(now, ReinstateDebt(report.buyer_id, report.reversal_id, order_ids, bill_ids))


def _refuse_reversal(report: ReportCollectionReversal, repayment: Repayment, now: datetime) -> None:
    """The refusals of a ReportCollectionReversal: state first, then content (H-5, B-C7)."""
    require(REPAYMENT_MACHINE, repayment.status, "ReportCollectionReversal")
    if repayment.mode == "EXTERNAL":
        raise Rejected("EXTERNAL_NOT_ALLOWED", "What was paid outside no provider can take back")
    refuse_future(report.occurred_at, now)
    if report.currency != repayment.currency:
        raise Rejected("CURRENCY_MISMATCH", currency=repayment.currency)
    rest = repayment.amount - repayment.reversed
    if not 1 <= report.amount <= rest:
        raise Rejected("AMOUNT_EXCEEDS_REPAYMENT", not_reversed=rest)


def _orders(due: ReinstateDebt) -> tuple[str, ...]:
    return due.order_ids


def _bills_paid(due: ReinstateDebt) -> tuple[str, ...]:
    return due.bill_ids


@billing.on(ReinstateDebt)
def reinstate_debt(
    due: ReinstateDebt,
    now: datetime,
    cause: Cause,
    reversal: Reversal,
    book: Book,
    plans: Annotated[Rows[Plan], Named(ids=_orders)],
    bills: Annotated[Rows[Bill], Named(ids=_bills_paid)],
    calendar: Calendar,
) -> Iterator[Yielded]:
    """What a reversed repayment had paid is owed again, closed orders are open again, on one bill due soon (B-C7)."""
    today = calendar.date(now)
    done = reinstating.reinstated(reversal, plans, bills, today)
    movements = (one for part in reversal.undone for one in ledger.debt_reinstated(part, done.bill.bill_id, plans))
    before = Debts(book, plans, {})
    outcome = concluded(before, before.with_plans(*done.plans).moving(movements), today)
    book = outcome.after.book
    yield done.bill
    yield from done.relieved
    yield from changed(outcome, None, cause, now, calendar)
    yield from (facts.plan_reopened(plan, done.bill, book) for plan in done.plans)
    yield facts.bill_issued(done.bill, outcome.after.plans)
    yield from timetable.arm_set(done.bill, now, calendar)
