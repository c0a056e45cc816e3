"""What billing reports about the debt: holds become used, used falls, the score moves, orders come to their end.

Every reaction tells a replayed event from a new one by the rows alone, so that reading billing's topic from zero
changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from services.checkout.handlers.acceptance import saved_or_completed, saved_or_refunded
from services.checkout.handlers.credit import credit_changed, line_changed, status_changed
from services.checkout.rules.credit import with_book, without_hold, without_open_order
from services.checkout.rules.limit import reviewed
from services.checkout.rules.policy import platform_policy
from services.checkout.rules.score import late_level, paid_in_time, stepped
from services.checkout.rules.standing import settled
from services.checkout.service import checkout
from services.checkout.state import Acceptance, Account, BillScore, MerchantPair, Order, PlatformPolicy, Refund
from shared.contracts.billing import (
    BillPaid,
    DelinquencyChanged,
    PlanOpened,
    PlanSettled,
    RefundAllocated,
    RepaymentAllocated,
)
from shared.engine.service import Yielded
from shared.engine.vocabulary import Cause

__all__: list[str] = []


@checkout.on(PlanOpened)
def plan_opened(plan: PlanOpened, _accepted: Acceptance, account: Account, order: Order) -> Iterator[Yielded]:
    """The debt exists: the order's hold turns into used, so that what is available is never overstated."""
    if order.held_amount:
        yield replace(order, held_amount=0)
    after = with_book(without_hold(account, order.held_amount), plan)
    yield from credit_changed(account, after, "PLAN_OPENED", plan.order_id)


@checkout.on(PlanSettled)
def plan_settled(
    plan: PlanSettled, _accepted: Acceptance, account: Account, order: Order, pair: MerchantPair | None
) -> Iterator[Yielded]:
    """Nothing is left to pay on the order: it is open no longer, and complete once nothing can come back."""
    if order.plan_settled:
        return
    yield from saved_or_completed(replace(order, plan_settled=True))
    yield from credit_changed(account, without_open_order(account), "PLAN_SETTLED", plan.order_id)
    if pair is not None:
        yield without_open_order(pair)


@checkout.on(RepaymentAllocated)
def repayment_allocated(repayment: RepaymentAllocated, account: Account) -> Iterator[Yielded]:
    """Money came in: the limit it used is free again."""
    yield from credit_changed(account, with_book(account, repayment), "REPAYMENT_ALLOCATED", repayment.repayment_id)


@checkout.on(RefundAllocated)
def refund_allocated(
    allocated: RefundAllocated, _accepted: Acceptance, account: Account, order: Order, refund: Refund | None
) -> Iterator[Yielded]:
    """A refund fell: the limit its debt used is free again, and an order given back whole has come to its end."""
    if refund is not None:
        return
    amount = allocated.amount - allocated.unallocated
    yield Refund(allocated.buyer_id, allocated.refund_id, allocated.order_id, amount)
    yield from saved_or_refunded(order, amount)
    yield from credit_changed(account, with_book(account, allocated), "REFUND_ALLOCATED", allocated.refund_id)


@checkout.on(BillPaid)
def bill_paid(
    paid: BillPaid, now: datetime, account: Account, bill: BillScore | None, platform: PlatformPolicy
) -> Iterator[Yielded]:
    """A bill is paid; one that was never late lifts the score and may lift the limit (BIL-12, C-R3, C-R4)."""
    bill = bill or BillScore(paid.buyer_id, paid.bill_id)
    if bill.paid:
        return
    if paid.max_dpd > 0:
        yield replace(bill, paid=True)
        return
    scored, bill = paid_in_time(account, bill, paid.paid_on, paid.due_on)
    yield bill
    after = reviewed(scored, platform_policy(platform, now).limit_bands or (), now)
    yield from credit_changed(account, after, "BILL_PAID", paid.bill_id)


@checkout.on(DelinquencyChanged)
def delinquency_changed(
    change: DelinquencyChanged,
    now: datetime,
    cause: Cause,
    account: Account,
    bill: BillScore | None,
    platform: PlatformPolicy,
) -> Iterator[Yielded]:
    """A bill reached a step of dunning or was cured: score, limit and standing follow (BIL-11, C-R2 to C-R4)."""
    bill = bill or BillScore(change.buyer_id, change.bill_id)
    if cause.id in bill.steps_counted:
        return
    scored, bill = stepped(account, bill, late_level(change.dpd, change.stage))
    yield replace(bill, steps_counted=(*bill.steps_counted, cause.id))
    staged = replace(scored, stage=change.account_stage)
    after = settled(reviewed(staged, platform_policy(platform, now).limit_bands or (), now))
    yield after
    if after.status is not account.status:
        yield status_changed(account, after, change.account_stage)
    yield from line_changed(account, after, "DELINQUENCY_CHANGED", change.bill_id)
