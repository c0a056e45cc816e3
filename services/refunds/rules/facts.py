"""The events of refunds, made from the rows they speak of; those of a line or two stand where they are told."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from services.refunds.rules.amounts import Assessment
from services.refunds.rules.inspection import all_asked_for
from services.refunds.state import Case, Leg, Refund
from shared.contracts.fields import Listed
from shared.contracts.refunds import (
    CaseOutcome,
    Destination,
    PayoutReported,
    PayoutRequested,
    RefundApproved,
    RefundCompleted,
    ReportPayout,
    Responsibility,
    ReturnAssessed,
    ReturnClosed,
    ReturnOpened,
    SlaMissed,
    SlaRule,
)

__all__ = [
    "arrival_missed",
    "payout_reported",
    "payout_requested",
    "promise_missed",
    "refund_approved",
    "refund_completed",
    "return_assessed",
    "return_closed",
    "return_opened",
]


def return_opened(case: Case, review_by: datetime) -> ReturnOpened:
    """A request is under review until ``review_by``; its share is paused meanwhile."""
    return ReturnOpened(
        **case.named(),
        currency=case.currency,
        kind=case.kind,
        review_mode=case.review_mode,
        lines=all_asked_for(case),
        reason=case.reason,
        share_amount=case.share_amount,
        review_by=review_by,
        reopened=False,
    )


def return_assessed(
    case: Case, responsibility: Responsibility, computed: Assessment, review_by: datetime
) -> ReturnAssessed:
    """The refund is computed, deduction by deduction; the seller reviews it until ``review_by``."""
    return ReturnAssessed(
        **case.named(),
        currency=case.currency,
        lines=case.grades,
        responsibility=responsibility,
        goods=computed.goods,
        freight=computed.freight,
        damage=computed.damage,
        restocking=computed.restocking,
        return_fee=computed.return_fee,
        amount=computed.amount,
        review_by=review_by,
    )


def return_closed(case: Case, outcome: CaseOutcome) -> ReturnClosed:
    """The case ended; whatever was paused for it runs again."""
    return ReturnClosed(**case.named(), outcome=outcome)


def promise_missed(case: Case, rule: SlaRule, now: datetime) -> SlaMissed:
    """A reviewer's or seller's promise about a case was to be kept until now (REF-22)."""
    return SlaMissed(**case.named(), rule=rule, due_at=now)


def arrival_missed(refund: Refund, now: datetime) -> SlaMissed:
    """A refund was to have arrived by now (REF-14)."""
    return SlaMissed(
        buyer_id=refund.buyer_id,
        order_id=refund.order_id,
        merchant_id=refund.merchant_id,
        rule="REFUND_ARRIVAL",
        case_id=refund.case_id,
        refund_id=refund.refund_id,
        appeal_id=None,
        due_at=now,
    )


def refund_approved(
    refund: Refund, destination: Destination, value_on: date, skus: Listed[str], promise_from: date
) -> RefundApproved:
    """Part of the order's price goes back: billing says where it falls."""
    return RefundApproved(
        **refund.named(),
        cause=refund.cause,
        amount=refund.amount,
        destination=destination,
        value_on=value_on,
        skus=skus,
        promise_from=promise_from,
        promise_by=refund.promise_by,
    )


def payout_requested(refund: Refund, leg: Leg) -> PayoutRequested:
    """The order to pay a leg; after the first ask the question what became of it."""
    return PayoutRequested(**_leg(refund, leg), instrument=leg.instrument, ask=leg.asks)


def payout_reported(refund: Refund, leg: Leg, report: ReportPayout) -> PayoutReported:
    """What is known of a leg now."""
    return PayoutReported(**_leg(refund, leg), cause=refund.cause, outcome=report.outcome, reason=report.reason)


def refund_completed(refund: Refund) -> RefundCompleted:
    """Everything of the refund has arrived."""
    return RefundCompleted(**refund.named(), amount=refund.amount, cash_amount=refund.cash_amount)


def _leg(refund: Refund, leg: Leg) -> dict[str, Any]:
    return {
        **refund.named(),
        "leg_id": leg.leg_id,
        "payout_id": leg.payout_id,
        "kind": leg.kind,
        "amount": leg.amount,
        "repayment_id": leg.repayment_id,
    }
