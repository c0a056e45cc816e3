"""How every change of a buyer's debts is yielded, whatever brought it about: one order for all of them (B-X3)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from services.billing.rules import facts, ledger, timetable
from services.billing.rules.closing import Outcome
from services.billing.rules.debts import Debts, Overpayment
from services.billing.state import Refund
from shared.contracts.message import Event
from shared.engine.service import Yielded
from shared.engine.vocabulary import Cause
from shared.kernel.calendar import Calendar

__all__ = ["changed"]


def changed(outcome: Outcome, fact: Event | None, cause: Cause, now: datetime, calendar: Calendar) -> Iterator[Yielded]:
    """The rows that are different, the postings, the ``fact`` and what followed from it, the deadlines."""
    before, after, bills = outcome.before, outcome.after, outcome.bills
    if after.book != before.book:
        yield after.book
    yield from (plan for known, plan in outcome.plans if plan != known)
    yield from (change.after for change in bills if change.after != change.before)
    yield from (_refund(one, after) for one in after.overpayments)
    yield from ledger.post(after.book.buyer_id, after.book.currency, after.movements, cause, now)
    if fact is not None:
        yield fact
    yield from facts.consequences(outcome)
    for known, plan in outcome.plans:
        yield from timetable.disarm_pauses(known, plan)
    for change in bills:
        yield from timetable.rescheduled(change, now, calendar)


def _refund(overpayment: Overpayment, after: Debts) -> Refund:
    """What was paid too much, as the refund that refunds will make of it (B-A3)."""
    outside = overpayment.instrument.kind == "EXTERNAL"
    bill = after.bills.get(overpayment.bill_id or "")
    return Refund(
        buyer_id=after.book.buyer_id,
        refund_id=f"op:{overpayment.overpayment_id}",
        cause="OVERPAYMENT",
        order_id=overpayment.order_id,
        bill_id=overpayment.bill_id,
        merchant_id=bill.lines[0].merchant_id if bill is not None and outside else None,
        currency=after.book.currency,
        amount=overpayment.amount,
        cash=0 if outside else overpayment.amount,
        external=overpayment.amount if outside else 0,
    )
