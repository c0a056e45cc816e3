"""What a return is worth: assessed, reviewed a second time, disputed, ruled upon."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from services.refunds.deadlines import Assess, Review
from services.refunds.handlers.cases import approve, close, review_due
from services.refunds.handlers.refunds import grant
from services.refunds.rules import amounts, approval, facts, inspection, reviews, timetable, units
from services.refunds.rules.admission import own_case
from services.refunds.service import refunds
from services.refunds.state import CASE_MACHINE, Case, CaseStatus, Order
from shared.contracts.fields import Listed
from shared.contracts.refunds import (
    AssessedLine,
    AssessReturn,
    RefundDisputed,
    Responsibility,
    ReviewRefund,
)
from shared.engine.refusals import require
from shared.engine.service import Yielded
from shared.engine.vocabulary import Deadline, Disarm
from shared.kernel.calendar import Calendar

__all__ = ["assess_return", "dispute", "lapse_assessment", "lapse_review", "review_refund"]


# -- the condition of the goods ----------------------------------------------------------------------------------------


@refunds.on(AssessReturn)
def assess_return(assess: AssessReturn, now: datetime, case: Case, order: Order) -> Iterator[Yielded]:
    """The seller says in which condition the goods are, and who answers for it (REF-09, REF-15)."""
    own_case(assess, case)
    require(CASE_MACHINE, case.status, "AssessReturn")
    inspection.check_grades(case, assess.lines)
    yield from _assess(case, order, assess.lines, assess.responsibility, now)
    yield Disarm(Assess, case.case_id)


@refunds.on(Assess)
def lapse_assessment(due: Assess, now: datetime, case: Case, order: Order) -> Iterator[Yielded]:
    """The seller is silent about the goods: they count as new, and nothing is deducted for them."""
    if due.KIND in CASE_MACHINE[case.status]:
        yield from _assess(case, order, inspection.all_as_new(case), "SELLER", now)


def _assess(
    case: Case, order: Order, grades: Listed[AssessedLine], responsibility: Responsibility, now: datetime
) -> Iterator[Yielded]:
    """The refund is computed, and with it the second application begins: the seller has another day (REF-09)."""
    case = replace(case, status=CaseStatus.ASSESSED, grades=grades, responsibility=responsibility)
    computed = amounts.assess(order, case)
    review = review_due(case, now)
    yield case
    yield facts.return_assessed(case, responsibility, computed, review.at)
    yield review


# -- the decision on the refund ----------------------------------------------------------------------------------------


@refunds.on(ReviewRefund)
def review_refund(
    review: ReviewRefund, now: datetime, case: Case, order: Order, calendar: Calendar
) -> Iterator[Yielded]:
    """The seller approves the computed refund or contests it; on a contest the platform rules (REF-09)."""
    own_case(review, case)
    require(CASE_MACHINE, case.status, f"ReviewRefund {review.decision}")
    computed = amounts.assess(order, case)
    reviews.check_ruling(review, case, computed.amount)
    match review.decision:
        case "APPROVE":
            yield from _decide(case, order, computed, review.amount, now, calendar)
        case "DISPUTE":
            yield from dispute(case, review.reason or "", now, calendar)
        case "REJECT":
            yield from close(case, order, "REJECTED")


@refunds.on(Review)
def lapse_review(review: Review, now: datetime, case: Case, order: Order, calendar: Calendar) -> Iterator[Yielded]:
    """Whoever had to decide did not: the seller's silence is consent (REF-06), the platform is reminded (REF-10)."""
    match case.status:
        case CaseStatus.UNDER_REVIEW:
            yield facts.promise_missed(case, "SELLER_REVIEW", now)
            yield from approve(case, now, lapsed=True)
        case CaseStatus.ASSESSED:
            yield facts.promise_missed(case, "REFUND_REVIEW", now)
            yield from _decide(case, order, amounts.assess(order, case), None, now, calendar)
        case CaseStatus.DISPUTED:
            yield facts.promise_missed(case, "PLATFORM_REVIEW", now)
            yield Deadline(calendar.working_days_after(now, timetable.PLATFORM_AGAIN_DAYS), review)
        case _:
            return  # it is decided


def dispute(case: Case, reason: str, now: datetime, calendar: Calendar) -> Iterator[Yielded]:
    """The seller contests a refund, or that anything came back: it is the platform's turn."""
    yield replace(case, status=CaseStatus.DISPUTED, review_mode="PLATFORM")
    yield RefundDisputed(**case.named(), reason=reason)
    review_by = calendar.working_days_after(now, timetable.PLATFORM_REVIEW_DAYS)
    yield Deadline(review_by, Review(case.buyer_id, case.order_id, case.case_id))


def _decide(
    case: Case, order: Order, computed: amounts.Assessment, ruled: int | None, now: datetime, calendar: Calendar
) -> Iterator[Yielded]:
    """The units are worth what was computed, or less if the platform ruled so; a refund of nothing ends the case."""
    amount = computed.amount if ruled is None else ruled
    yield units.decided(order, case, computed, amount)
    yield Disarm(Review, case.case_id)
    if amount == 0:
        yield replace(case, status=CaseStatus.CLOSED, outcome="NO_REFUND")
        yield facts.return_closed(case, "NO_REFUND")
        return
    promise_from, promise_by = timetable.promised(now, calendar)
    refund = approval.of_return(case, amount, promise_by)
    skus = tuple(dict.fromkeys(one.sku for one in computed.units))
    yield replace(case, status=CaseStatus.REFUND_DUE, refund_id=refund.refund_id)
    approved = facts.refund_approved(refund, case.destination, case.value_on, skus, promise_from)
    yield from grant(refund, approved, now, calendar)
