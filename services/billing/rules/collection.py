"""Asking for money: attempts, the provider's silence and its refusals (B-C)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from services.billing.rules.late_fees import within_prompt_payment
from services.billing.state import Autopay, Bill, BillStatus, Book, InFlight, Repayment, RepaymentStatus
from shared.contracts.billing import RecordExternalPayment, RepayBill
from shared.contracts.fields import Instrument
from shared.engine.vocabulary import Cause

__all__ = [
    "FIRST_ASK",
    "HURRIED_ASK",
    "Prospect",
    "ask_again",
    "attempt",
    "external_id",
    "paid_outside",
    "paid_promptly",
    "prospect",
    "requested_by_buyer",
    "tried",
    "unresolved",
    "waiting",
]

FIRST_ASK = timedelta(minutes=15)
"""After a request the provider is asked when it has not answered by then."""

HURRIED_ASK = timedelta(minutes=5)
"""After its first report that nothing is known yet, if it has not been asked before."""

SECOND_ASK = timedelta(hours=1)
LATER_ASK = timedelta(hours=24)
ASKS_MAX = 7

StopReason = Literal["HARD_DECLINED", "EXHAUSTED", "PAID", "PAUSED", "AUTOPAY_OFF"]


def attempt(bill: Bill, offset: int, amount: int, book: Book, now: datetime) -> Repayment | None:
    """The automatic repayment of ``amount``; None where the attempt is skipped (B-C1, B-C2).

    Skipped are attempts with nothing due, without a usable instrument, while another repayment is in flight, and those
    of an offset already tried for this due date.
    """
    instrument = book.autopay.instrument
    tried = _trial(bill, offset) in bill.tried
    if not amount or not book.autopay.usable or instrument is None or bill.in_flight is not None or tried:
        return None
    return Repayment(
        buyer_id=bill.buyer_id,
        repayment_id=f"a:{bill.bill_id}:{_trial(bill, offset)}",
        status=RepaymentStatus.REQUESTED,
        mode="AUTO",
        bill_id=bill.bill_id,
        order_id=None,
        amount=amount,
        currency=bill.currency,
        instrument=instrument,
        requested_at=now,
        order_ids=bill.order_ids,
        bill_ids=(bill.bill_id,),
    )


def requested_by_buyer(command: RepayBill, waiting: Sequence[Bill], now: datetime, cause: Cause) -> Repayment:
    """The repayment a buyer asks for; ``waiting`` are the bills it is meant for."""
    return Repayment(
        buyer_id=command.buyer_id,
        repayment_id=command.repayment_id,
        status=RepaymentStatus.REQUESTED,
        mode="MANUAL",
        bill_id=command.bill_id,
        order_id=command.order_id,
        amount=command.amount,
        currency=command.currency,
        instrument=command.instrument,
        requested_at=now,
        order_ids=_orders(command, waiting),
        bill_ids=tuple(bill.bill_id for bill in waiting),
        content=cause.content,
    )


def paid_promptly(repayment: Repayment, bill: Bill, outstanding: int) -> Repayment:
    """The repayment of a bill; of one that pays everything else soon after the first late fee, without the fees (B-F6).

    ``outstanding`` is all the bill costs, late fees included. Such a repayment asks for the rest only, and takes the
    unpaid fees back when it succeeds.
    """
    rest = outstanding - bill.unpaid_late_fees
    prompt = within_prompt_payment(bill, repayment.requested_at) and 0 < rest <= repayment.amount
    if not prompt or not bill.unpaid_late_fees:
        return repayment
    fee_ids = tuple(fee.fee_id for fee in bill.late_fees if fee.unpaid)
    return replace(repayment, amount=rest, waive_fee_ids=fee_ids)


def paid_outside(command: RecordExternalPayment, bill: Bill, cause: Cause) -> Repayment:
    """The repayment a merchant records: it succeeded on the day it was paid (B-C6)."""
    return Repayment(
        buyer_id=command.buyer_id,
        repayment_id=external_id(command),
        status=RepaymentStatus.SUCCEEDED,
        mode="EXTERNAL",
        bill_id=command.bill_id,
        order_id=None,
        amount=command.amount,
        currency=command.currency,
        instrument=Instrument(kind="EXTERNAL", token=command.external_ref),
        requested_at=command.occurred_at,
        order_ids=bill.order_ids,
        bill_ids=(bill.bill_id,),
        content=cause.content,
        provider_ref=command.proof_ref,
    )


def external_id(command: RecordExternalPayment) -> str:
    """The id of the repayment that a merchant records."""
    return f"x:{command.external_ref}"


def _orders(command: RepayBill, waiting: Sequence[Bill]) -> tuple[str, ...]:
    if command.order_id is not None:
        return (command.order_id,)
    return tuple(order_id for bill in waiting for order_id in bill.order_ids)


def tried(bill: Bill, offset: int, repayment: Repayment) -> Bill:
    """The bill after the attempt of ``offset`` was made: it waits for the answer and never tries this one again."""
    return replace(waiting(bill, repayment, repayment.amount), tried=(*bill.tried, _trial(bill, offset)))


def waiting(bill: Bill, repayment: Repayment, share: int) -> Bill:
    """The bill while it waits for a repayment's end, ``share`` of which would be paid on it (B-C1)."""
    return replace(bill, in_flight=InFlight(repayment.repayment_id, share, repayment.requested_at))


def _trial(bill: Bill, offset: int) -> str:
    return f"{bill.due_version}:{offset}"


def ask_again(asks: int) -> timedelta | None:
    """How long after the ``asks``-th ask the next one follows; None after the last (B-C4)."""
    if asks >= ASKS_MAX:
        return None
    return SECOND_ASK if asks == 1 else LATER_ASK


def unresolved(asks: int) -> bool:
    """Whether asking has been given up: the bill no longer waits, only a person can find out (B-C4)."""
    return asks >= ASKS_MAX


@dataclass(frozen=True, slots=True)
class Prospect:
    """What follows for a bill after a refused repayment: another attempt, or why there is none (B-C3)."""

    next_at: datetime | None = None
    stop_reason: StopReason | None = None


def prospect(bill: Bill | None, amount_due: int, autopay: Autopay, next_at: datetime | None) -> Prospect:
    """Whether the bill is collected again at ``next_at``; ``bill`` is None where it is closed.

    An open bill without an ``amount_due`` is paused as a whole, if it was not written off.
    """
    if bill is None:
        return Prospect(stop_reason="PAID")
    if autopay.blocked:
        return Prospect(stop_reason="HARD_DECLINED")
    if not amount_due:
        return Prospect(stop_reason="EXHAUSTED" if bill.status is BillStatus.CHARGED_OFF else "PAUSED")
    if not autopay.usable:
        return Prospect(stop_reason="AUTOPAY_OFF")
    if next_at is None:
        return Prospect(stop_reason="EXHAUSTED")
    return Prospect(next_at)
