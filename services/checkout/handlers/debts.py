"""What billing reports about the debt: holds become used, used follows, the score moves, orders come to their end.

Used follows every event that tells what is owed in all, by the version of billing's book it carries. Every reaction
tells a replayed event from a new one by the rows alone, so that reading billing's topic from zero changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Annotated

from services.checkout.handlers.acceptance import saved_or_completed, saved_or_refunded
from services.checkout.handlers.credit import credit_changed, line_changed, pair_recounted, status_changed
from services.checkout.rules.acceptance import refunded
from services.checkout.rules.credit import recounted, with_book, without_hold
from services.checkout.rules.limit import reviewed
from services.checkout.rules.policy import platform_policy
from services.checkout.rules.score import forgiven, late_level, paid_in_time, stepped, taken_back
from services.checkout.rules.standing import settled
from services.checkout.service import checkout
from services.checkout.state import Acceptance, Account, BillScore, MerchantPair, Order, PlatformPolicy, Refund
from shared.contracts.billing import (
    BillChargedOff,
    BillPaid,
    DelinquencyChanged,
    ExtensionDecided,
    FeeReversed,
    PlanOpened,
    PlanReopened,
    PlanSettled,
    RefundAllocated,
    RepaymentAllocated,
    RepaymentReversed,
)
from shared.engine.service import Yielded
from shared.engine.vocabulary import Cause, Named, Rows

__all__: list[str] = []


def _bills_paid(reversal: RepaymentReversed) -> tuple[str, ...]:
    return reversal.bill_ids


def _counted(bill: BillScore, cause: Cause) -> BillScore:
    """The bill's score, with the event that moved it."""
    return replace(bill, steps_counted=(*bill.steps_counted, cause.id))


def _reviewed(account: Account, platform: PlatformPolicy, now: datetime) -> Account:
    """The account with the limit that its score earns under the platform's policy (C-R3)."""
    return reviewed(account, platform_policy(platform, now).limit_bands or (), now)


@checkout.on(PlanOpened)
def plan_opened(plan: PlanOpened, _accepted: Acceptance, account: Account, order: Order) -> Iterator[Yielded]:
    """The debt exists: the order's hold turns into used, so that what is available is never overstated."""
    if order.held_amount:
        yield replace(order, held_amount=0)
    after = with_book(without_hold(account, order.held_amount), plan)
    yield from credit_changed(account, after, "PLAN_OPENED", plan.order_id)


@checkout.on(PlanSettled)
def plan_settled(
    plan: PlanSettled, cause: Cause, _accepted: Acceptance, account: Account, order: Order, pair: MerchantPair | None
) -> Iterator[Yielded]:
    """Nothing is left to pay on the order: it is open no longer, and complete once nothing can come back."""
    if order.plan_settled or cause.id in order.plan_heard:
        return
    after = replace(order, plan_settled=True, plan_heard=(*order.plan_heard, cause.id))
    yield from saved_or_completed(after)
    yield from credit_changed(account, recounted(account, order, after), "PLAN_SETTLED", plan.order_id)
    yield from pair_recounted(pair, order, after)


@checkout.on(PlanReopened)
def plan_reopened(
    plan: PlanReopened, cause: Cause, _accepted: Acceptance, account: Account, order: Order, pair: MerchantPair | None
) -> Iterator[Yielded]:
    """A reversal revived the debt: the order is open again until that is settled; one at its end stays there (2.2)."""
    if cause.id in order.plan_heard:
        return
    after = replace(order, plan_settled=False, plan_heard=(*order.plan_heard, cause.id))
    yield after
    owing = with_book(recounted(account, order, after), plan)
    yield from credit_changed(account, owing, "PLAN_REOPENED", plan.order_id)
    yield from pair_recounted(pair, order, after)


@checkout.on(RepaymentAllocated)
def repayment_allocated(repayment: RepaymentAllocated, account: Account) -> Iterator[Yielded]:
    """Money came in: the limit it used is free again."""
    yield from credit_changed(account, with_book(account, repayment), "REPAYMENT_ALLOCATED", repayment.repayment_id)


@checkout.on(RepaymentReversed)
def repayment_reversed(
    reversal: RepaymentReversed,
    now: datetime,
    cause: Cause,
    account: Account,
    bills: Annotated[Rows[BillScore], Named(ids=_bills_paid)],
    platform: PlatformPolicy,
) -> Iterator[Yielded]:
    """A bank took money back: the limit is used again, and what its bills had brought to the score goes (C-R4)."""
    after = with_book(account, reversal)
    for bill_id in _bills_paid(reversal):
        bill = bills.get(bill_id) or BillScore(reversal.buyer_id, bill_id)
        if cause.id not in bill.steps_counted:
            after, bill = taken_back(after, bill)
            yield _counted(bill, cause)
    if after.score != account.score:
        after = _reviewed(after, platform, now)
    yield from credit_changed(account, after, "REPAYMENT_REVERSED", reversal.reversal_id)


@checkout.on(FeeReversed)
def fee_reversed(reversal: FeeReversed, account: Account) -> Iterator[Yielded]:
    """A late fee was taken back: what had been paid of it may have paid principal instead."""
    yield from credit_changed(account, with_book(account, reversal), "FEE_REVERSED", reversal.fee_id)


@checkout.on(RefundAllocated)
def refund_allocated(
    allocated: RefundAllocated,
    _accepted: Acceptance,
    account: Account,
    order: Order,
    pair: MerchantPair | None,
    refund: Refund | None,
) -> Iterator[Yielded]:
    """A refund fell: the limit its debt used is free again, and an order given back whole has come to its end."""
    if refund is not None:
        return
    amount = allocated.amount - allocated.unallocated
    yield Refund(allocated.buyer_id, allocated.refund_id, allocated.order_id, amount)
    after = refunded(order, amount)
    yield from saved_or_refunded(order, after)
    freed = with_book(recounted(account, order, after), allocated)
    yield from credit_changed(account, freed, "REFUND_ALLOCATED", allocated.refund_id)
    yield from pair_recounted(pair, order, after)


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
    after = _reviewed(scored, platform, now)
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
    yield _counted(bill, cause)
    staged = replace(scored, stage=change.account_stage)
    after = settled(_reviewed(staged, platform, now))
    yield after
    if after.status is not account.status:
        yield status_changed(account, after, change.account_stage)
    yield from line_changed(account, after, "DELINQUENCY_CHANGED", change.bill_id)


@checkout.on(BillChargedOff)
def bill_charged_off(
    off: BillChargedOff,
    now: datetime,
    cause: Cause,
    account: Account,
    bill: BillScore | None,
    platform: PlatformPolicy,
) -> Iterator[Yielded]:
    """A bill is written off: it costs the score the most a bill can, and its principal stays used (C-R4, README 11)."""
    bill = bill or BillScore(off.buyer_id, off.bill_id)
    if cause.id in bill.steps_counted:
        return
    scored, bill = stepped(with_book(account, off), bill, late_level(off.dpd, "CHARGED_OFF"))
    yield _counted(bill, cause)
    after = _reviewed(scored, platform, now)
    yield from credit_changed(account, after, "BILL_CHARGED_OFF", off.bill_id)


@checkout.on(ExtensionDecided)
def extension_decided(
    decided: ExtensionDecided,
    now: datetime,
    cause: Cause,
    account: Account,
    bill: BillScore | None,
    platform: PlatformPolicy,
) -> Iterator[Yielded]:
    """A bill may be paid later: what it cost the score for being late returns (C-R4)."""
    bill = bill or BillScore(decided.buyer_id, decided.bill_id)
    if decided.decision != "GRANTED" or cause.id in bill.steps_counted:
        return
    scored, bill = forgiven(account, bill)
    yield _counted(bill, cause)
    after = _reviewed(scored, platform, now)
    yield from credit_changed(account, after, "EXTENSION_DECIDED", decided.extension_id)
