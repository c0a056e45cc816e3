"""Refunds: how one falls on debt and cash, what one would do, and what payouts move in the journal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from services.billing.handlers.changes import changed
from services.billing.rules import facts, ledger, refunding
from services.billing.rules.debts import Debts
from services.billing.rules.refunding import Fall, RefundAsked
from services.billing.service import billing
from services.billing.state import Bill, Book, Plan, Refund
from shared.contracts.billing import SimulateRefund
from shared.contracts.refunds import PayoutReported, RefundApproved
from shared.engine.service import Yielded
from shared.engine.vocabulary import Cause, Rejected, Rows
from shared.kernel.calendar import Calendar

__all__ = ["allocate_refund", "post_payout", "simulate_refund"]


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
    asked = RefundAsked(
        approved.refund_id,
        approved.order_id,
        approved.amount,
        approved.destination,
        approved.value_on,
        refs=tuple(ref for ref in (approved.case_id, approved.appeal_id) if ref),
    )
    debts = Debts(book, {**plans, plan.order_id: plan}, bills)
    fall = refunding.fall(asked, debts, calendar.date(now), calendar)
    yield _refund(approved, fall)
    yield from changed(fall.outcome, facts.refund_allocated(approved, fall), cause, now, calendar)


@billing.on(SimulateRefund)
def simulate_refund(
    command: SimulateRefund,
    now: datetime,
    book: Book,
    plan: Plan,
    bills: Rows[Bill],
    plans: Rows[Plan],
    calendar: Calendar,
) -> Iterator[Yielded]:
    """What would a refund do? The same computation, and nothing is stored (B-R)."""
    if command.currency != plan.currency:
        raise Rejected("CURRENCY_MISMATCH", currency=plan.currency)
    rest = plan.principal - plan.refunded_total
    if not 1 <= command.amount <= rest:
        raise Rejected("AMOUNT_INVALID", rest=rest)
    today = calendar.date(now)
    asked = RefundAsked(
        command.simulation_id, command.order_id, command.amount, command.destination, command.value_on or today
    )
    debts = Debts(book, {**plans, plan.order_id: plan}, bills)
    yield facts.refund_simulated(command, asked, refunding.fall(asked, debts, today, calendar))


@billing.on(PayoutReported)
def post_payout(reported: PayoutReported, now: datetime, cause: Cause, refund: Refund) -> Iterator[Yielded]:
    """Money of a refund left, or bounced: it is posted once for each payout and outcome, however often it is told."""
    told = f"{reported.payout_id}:{reported.outcome}"
    movements = ledger.payout_reported(reported, refund)
    if told in refund.posted or not movements:
        return
    yield replace(refund, posted=(*refund.posted, told))
    yield from ledger.post(reported.buyer_id, reported.currency, movements, cause, now)


def _refund(approved: RefundApproved, fall: Fall) -> Refund:
    """The mark that it has fallen, and how."""
    return Refund(
        buyer_id=approved.buyer_id,
        refund_id=approved.refund_id,
        cause=approved.cause,
        order_id=approved.order_id,
        bill_id=None,
        merchant_id=approved.merchant_id,
        currency=approved.currency,
        amount=approved.amount,
        debt=fall.amount_of("DEBT"),
        cash=fall.amount_of("ORIGINAL_ROUTE", "WALLET"),
        external=fall.amount_of("EXTERNAL"),
        unallocated=fall.unallocated,
    )
