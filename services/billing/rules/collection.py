"""Asking for money: attempts, the provider's silence and its refusals (B-C)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from services.billing.state import Autopay, Bill, Book, InFlight, Repayment, RepaymentStatus
from shared.contracts.billing import RepayBill
from shared.engine.vocabulary import Cause

__all__ = [
    "FIRST_ASK",
    "HURRIED_ASK",
    "Prospect",
    "ask_again",
    "attempt",
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
    )


def requested_by_buyer(command: RepayBill, now: datetime, cause: Cause) -> Repayment:
    """The repayment a buyer asks for."""
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
        content=cause.content,
    )


def tried(bill: Bill, offset: int, repayment: Repayment) -> Bill:
    """The bill after the attempt of ``offset`` was made: it waits for the answer and never tries this one again."""
    return replace(waiting(bill, repayment), tried=(*bill.tried, _trial(bill, offset)))


def waiting(bill: Bill, repayment: Repayment) -> Bill:
    """The bill while it waits for a repayment's end (B-C1)."""
    return replace(bill, in_flight=InFlight(repayment.repayment_id, repayment.amount, repayment.requested_at))


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

    An open bill without an ``amount_due`` is paused as a whole.
    """
    if bill is None:
        return Prospect(stop_reason="PAID")
    if autopay.blocked:
        return Prospect(stop_reason="HARD_DECLINED")
    if not amount_due:
        return Prospect(stop_reason="PAUSED")
    if not autopay.usable:
        return Prospect(stop_reason="AUTOPAY_OFF")
    if next_at is None:
        return Prospect(stop_reason="EXHAUSTED")
    return Prospect(next_at)
