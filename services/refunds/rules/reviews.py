"""Who may decide a case, and what a decision may say (R-R4, section 7)."""

from __future__ import annotations

from services.refunds.state import Case
from shared.contracts.refunds import ReviewMode, ReviewRefund, ReviewReturn
from shared.engine.vocabulary import Rejected

__all__ = ["check_review", "check_ruling"]

PROOFS_MAX = 10
"""What is put forward in a case, the request included: a reviewer who asks without end decides nothing."""


def check_review(review: ReviewReturn, case: Case) -> None:
    """Refuse a decision on a request that is not the sender's, or cannot be made.

    PARTY_NOT_ALLOWED out of turn, AMOUNT_INVALID for any amount (a return is computed, never granted),
    EVIDENCE_LIMIT when proof was asked for too often.
    """
    _refuse_other(review.by, case)
    if review.amount is not None:
        raise Rejected("AMOUNT_INVALID", "The refund of a return is computed", amount=review.amount)
    if review.decision == "NEED_EVIDENCE" and len(case.evidence) >= PROOFS_MAX:
        raise Rejected("EVIDENCE_LIMIT", "Proof was asked for often enough", proofs=len(case.evidence))


def check_ruling(review: ReviewRefund, case: Case, computed: int) -> None:
    """Refuse a decision on a refund that is not the sender's, or of an amount that may not be ruled.

    PARTY_NOT_ALLOWED out of turn and for any amount named by the seller; the platform may approve less than
    ``computed``, in the order's currency: CURRENCY_MISMATCH, AMOUNT_INVALID.
    """
    _refuse_other(review.by, case)
    if review.amount is None:
        return
    if review.by == "SELLER":
        raise Rejected("PARTY_NOT_ALLOWED", "Only the platform sets an amount", by=review.by, allowed=["PLATFORM"])
    if review.currency != case.currency:
        raise Rejected("CURRENCY_MISMATCH", currency=case.currency)
    if review.decision != "APPROVE" or review.amount > computed:
        raise Rejected("AMOUNT_INVALID", amount=review.amount, computed=computed)


def _refuse_other(by: ReviewMode, case: Case) -> None:
    if by != case.review_mode:
        raise Rejected("PARTY_NOT_ALLOWED", by=by, allowed=[case.review_mode])
