"""Refunds: granted, allocated by billing, complete - or late."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Annotated

from services.refunds.deadlines import Arrival
from services.refunds.rules import approval, facts, payouts, timetable, units
from services.refunds.rules.admission import refuse_foreign_merchant
from services.refunds.rules.names import case_of_refund, refund_of_overpayment
from services.refunds.service import refunds
from services.refunds.state import (
    CASE_MACHINE,
    REFUND_MACHINE,
    Case,
    CaseStatus,
    LegStatus,
    Order,
    Refund,
    RefundStatus,
)
from shared.contracts.billing import OverpaymentDetected, RefundAllocated
from shared.contracts.refunds import IssueRefund, RefundApproved
from shared.engine.refusals import repeated
from shared.engine.service import Yielded
from shared.engine.vocabulary import Cause, Deadline, Disarm, Named
from shared.kernel.calendar import Calendar

__all__ = ["CaseOfRefund", "complete", "execute_refund", "grant", "issue_refund", "miss_arrival", "return_overpayment"]

CaseOfRefund = Annotated[Case | None, Named(ids=case_of_refund)]
"""The case a message's refund comes from."""


@refunds.on(IssueRefund)
def issue_refund(
    issue: IssueRefund, now: datetime, cause: Cause, order: Order, refund: Refund | None, calendar: Calendar
) -> Iterator[Yielded]:
    """The merchant or the desk gives part of the price back without a return (R-R6)."""
    refuse_foreign_merchant(order, issue.merchant_id)
    if refund is not None:
        raise repeated(same=refund.content == cause.content, refund_id=refund.refund_id, status=str(refund.status))
    approval.check_gesture(issue, order)
    promise_from, promise_by = timetable.promised(now, calendar)
    refund = approval.of_gesture(issue, order, promise_by, cause.content)
    yield units.refunded_without_return(order, refund.amount)
    approved = facts.refund_approved(refund, issue.destination, calendar.date(now), (), promise_from)
    yield from grant(refund, approved, now, calendar)


def grant(refund: Refund, approved: RefundApproved, now: datetime, calendar: Calendar) -> Iterator[Yielded]:
    """A refund is approved: billing says where it falls, and the buyer when it will have arrived (REF-14)."""
    yield refund
    yield approved
    yield Deadline(timetable.arrival_at(now, calendar), Arrival(refund.buyer_id, refund.refund_id))


@refunds.on(RefundAllocated)
def execute_refund(allocated: RefundAllocated, refund: Refund, case: CaseOfRefund) -> Iterator[Yielded]:
    """Billing said where a refund falls: what is not debt is paid out leg by leg; without such legs it is complete."""
    if "RefundAllocated" not in REFUND_MACHINE[refund.status]:
        return  # this allocation is known
    refund = payouts.allocated(refund, allocated.legs, allocated.unallocated)
    yield refund
    yield from (facts.payout_requested(refund, leg) for leg in refund.legs if leg.status is LegStatus.REQUESTED)
    if refund.status is RefundStatus.COMPLETED:
        yield from complete(refund, case)


def complete(refund: Refund, case: Case | None) -> Iterator[Yielded]:
    """Everything has arrived; the case it comes from is closed, unless an earlier arrival that bounced closed it."""
    yield facts.refund_completed(refund)
    yield Disarm(Arrival, refund.refund_id)
    if case is not None and "RefundCompleted" in CASE_MACHINE[case.status]:
        yield replace(case, status=CaseStatus.CLOSED, outcome="REFUNDED")
        yield facts.return_closed(case, "REFUNDED")


@refunds.on(OverpaymentDetected)
def return_overpayment(
    detected: OverpaymentDetected,
    now: datetime,
    refund: Annotated[Refund | None, Named(ids=refund_of_overpayment)],
    calendar: Calendar,
) -> Iterator[Yielded]:
    """More came in than was owed: it goes back the way it came, without anybody's approval (B-A3)."""
    if refund is not None:
        return  # this overpayment is known
    _, promise_by = timetable.promised(now, calendar)
    refund = approval.of_overpayment(detected, promise_by)
    yield refund
    yield from (facts.payout_requested(refund, leg) for leg in refund.legs)
    yield Deadline(timetable.arrival_at(now, calendar), Arrival(refund.buyer_id, refund.refund_id))


@refunds.on(Arrival)
def miss_arrival(due: Arrival, now: datetime, refund: Refund) -> Iterator[Yielded]:
    """The refund has not arrived by the promised day (REF-14, REF-22)."""
    if due.KIND in REFUND_MACHINE[refund.status]:
        yield facts.arrival_missed(refund, now)
