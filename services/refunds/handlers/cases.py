"""Return cases until the goods may be sent back: asked for, reviewed, proven, given up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from services.refunds.deadlines import CASE_DEADLINES, Evidence, Review, ShipBack
from services.refunds.rules import facts, intake, reviews, timetable, units
from services.refunds.rules.admission import own_case, refuse_foreign_merchant
from services.refunds.service import refunds
from services.refunds.state import CASE_MACHINE, Case, CaseStatus, Order, Proof
from shared.contracts.refunds import (
    CaseOutcome,
    EvidenceRequested,
    EvidenceSubmitted,
    RequestReturn,
    ReturnApproved,
    ReturnRejected,
    ReviewReturn,
    SubmitEvidence,
    WithdrawReturn,
)
from shared.engine.refusals import repeated, require
from shared.engine.service import Yielded
from shared.engine.vocabulary import Cause, Deadline, Disarm, Rejected
from shared.kernel.calendar import Calendar

__all__ = [
    "approve",
    "close",
    "lapse_evidence",
    "open_case",
    "review_due",
    "review_return",
    "submit_evidence",
    "withdraw_return",
]


@refunds.on(RequestReturn)
def open_case(
    request: RequestReturn, now: datetime, cause: Cause, order: Order, case: Case | None, calendar: Calendar
) -> Iterator[Yielded]:
    """The buyer wants to give goods back: the seller has a day to answer (REF-01, R-R1)."""
    refuse_foreign_merchant(order, request.merchant_id)
    if case is not None:
        raise repeated(same=case.content == cause.content, case_id=case.case_id, status=str(case.status))
    intake.check(request, order, now, calendar)
    case = intake.opened(request, order, now, calendar, cause.content)
    review = review_due(case, now)
    yield case
    yield units.taken(order, case)
    yield facts.return_opened(case, review.at)
    yield review


def review_due(case: Case, now: datetime) -> Deadline:
    """The seller has a day from now."""
    return Deadline(now + timetable.SELLER_REVIEW, Review(case.buyer_id, case.order_id, case.case_id))


# -- the seller reviews the request ------------------------------------------------------------------------------------


@refunds.on(ReviewReturn)
def review_return(review: ReviewReturn, now: datetime, case: Case, order: Order) -> Iterator[Yielded]:
    """The seller approves a request, rejects it, or asks for proof first (REF-05)."""
    own_case(review, case)
    require(CASE_MACHINE, case.status, f"ReviewReturn {review.decision}")
    reviews.check_review(review, case)
    match review.decision:
        case "APPROVE":
            yield from approve(case, now, review.return_address_ref)
        case "REJECT":
            appeal_until = now + timetable.APPEAL
            yield ReturnRejected(**case.named(), reason=review.reason or "", appeal_until=appeal_until)
            yield from close(case, order, "REJECTED")
        case "NEED_EVIDENCE":
            yield from _await_evidence(case, now)


def approve(case: Case, now: datetime, address: str | None = None, *, lapsed: bool = False) -> Iterator[Yielded]:
    """The goods may be sent back: the buyer has a week to post them."""
    ship_by = now + timetable.SHIP_BACK
    yield replace(case, status=CaseStatus.APPROVED)
    yield ReturnApproved(**case.named(), return_address_ref=address, ship_by=ship_by, lapsed=lapsed)
    yield Disarm(Review, case.case_id)
    yield Deadline(ship_by, ShipBack(case.buyer_id, case.order_id, case.case_id))


def close(case: Case, order: Order, outcome: CaseOutcome) -> Iterator[Yielded]:
    """The case ends without a refund: its units are free again, and nothing waits for it any more."""
    yield replace(case, status=CaseStatus.CLOSED, outcome=outcome)
    yield units.freed(order, case)
    yield facts.return_closed(case, outcome)
    yield from (Disarm(kind, case.case_id) for kind in CASE_DEADLINES)


# -- proof -------------------------------------------------------------------------------------------------------------


def _await_evidence(case: Case, now: datetime) -> Iterator[Yielded]:
    """The request cannot be decided yet: the buyer has three days to show more."""
    until = now + timetable.EVIDENCE
    yield replace(case, status=CaseStatus.EVIDENCE_REQUIRED)
    yield EvidenceRequested(**case.named(), by="BUYER", until=until)
    yield Disarm(Review, case.case_id)
    yield Deadline(until, Evidence(case.buyer_id, case.order_id, case.case_id))


@refunds.on(SubmitEvidence)
def submit_evidence(submitted: SubmitEvidence, now: datetime, case: Case | None) -> Iterator[Yielded]:
    """Proof is given: the seller has another day to decide (REF-04)."""
    _refuse_appeal(submitted)
    case = own_case(submitted, case)
    require(CASE_MACHINE, case.status, "SubmitEvidence")
    proof = Proof(submitted.by, submitted.evidence_refs, submitted.text, now)
    review = review_due(case, now)
    yield replace(case, status=CaseStatus.UNDER_REVIEW, evidence=(*case.evidence, proof))
    yield EvidenceSubmitted(**case.named(), by=submitted.by, until=review.at)
    yield Disarm(Evidence, case.case_id)
    yield review


@refunds.on(Evidence)
def lapse_evidence(due: Evidence, case: Case, order: Order) -> Iterator[Yielded]:
    """The proof never came: the request lapses."""
    if due.KIND in CASE_MACHINE[case.status]:
        yield from close(case, order, "LAPSED")


# -- the buyer gives up ------------------------------------------------------------------------------------------------


@refunds.on(WithdrawReturn)
def withdraw_return(withdraw: WithdrawReturn, case: Case | None, order: Order | None) -> Iterator[Yielded]:
    """The buyer keeps the goods after all; possible until they are on their way."""
    _refuse_appeal(withdraw)
    if order is None:
        raise Rejected(Case.UNKNOWN, "No case is known of an order that is not")
    case = own_case(withdraw, case)
    require(CASE_MACHINE, case.status, "WithdrawReturn")
    yield from close(case, order, "WITHDRAWN")


def _refuse_appeal(command: SubmitEvidence | WithdrawReturn) -> None:
    """No appeal is known: UNKNOWN_APPEAL."""
    if command.appeal_id is not None:
        raise Rejected("UNKNOWN_APPEAL", appeal_id=command.appeal_id)
