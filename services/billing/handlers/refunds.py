"""Refunds: how an approved one falls on debt and cash, and what its payouts move in the journal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from services.billing.rules import facts, ledger, refunding, timetable
from services.billing.service import billing
from services.billing.state import Bill, Book, Plan, Refund
from shared.contracts.refunds import PayoutReported, RefundApproved
from shared.engine.service import Yielded
from shared.engine.vocabulary import Cause, Rows
from shared.kernel.calendar import Calendar

__all__ = ["allocate_refund", "post_payout"]


@billing.on(RefundApproved)
def allocate_refund(
    approved: RefundApproved,
    now: datetime,
    cause: Cause,
    refund: Refund | None,
    book: Book,
    plan: Plan,
    bills: Rows[Bill],
    plans: Rows[Plan],
    calendar: Calendar,
) -> Iterator[Yielded]:
    """Part of an order's price goes back: what is unpaid is owed no longer, what was paid is to be paid out (B-R)."""
    if refund is not None:
        return  # this refund has fallen already
    today = calendar.date(now)
    done = refunding.allocate(approved, book, plan, bills, plans, today)
    yield done.refund
    yield done.plan
    if done.book is not book:
        yield done.book
    yield from (change.after for change in done.changes)
    yield from ledger.refund_allocated(done.fall, cause, now)
    yield from facts.refunded(done, today)
    yield from timetable.disarm_pauses(plan, done.plan)
    for change in done.changes:
        yield from timetable.rescheduled(change, now, calendar)


@billing.on(PayoutReported)
def post_payout(reported: PayoutReported, now: datetime, cause: Cause, refund: Refund) -> Iterator[Yielded]:
    """Money of a refund left, or bounced: it is posted once for each payout and outcome, however often it is told."""
    told = f"{reported.payout_id}:{reported.outcome}"
    postings = ledger.payout_reported(reported, refund, cause, now)
    if told in refund.posted or not postings:
        return
    yield replace(refund, posted=(*refund.posted, told))
    yield from postings
