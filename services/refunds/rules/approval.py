"""The refunds that are decided here: for a return, as a gesture, and of what was overpaid (I-7, R-R6)."""

from __future__ import annotations

from datetime import date

from services.refunds.rules.names import refund_of_case, refund_of_overpayment
from services.refunds.rules.payouts import first_payout
from services.refunds.state import Case, Order, Refund, RefundStatus
from shared.contracts.billing import LegKind, OverpaymentDetected
from shared.contracts.refunds import IssueRefund
from shared.engine.vocabulary import Rejected

__all__ = ["check_gesture", "of_gesture", "of_overpayment", "of_return"]


def of_return(case: Case, amount: int, promise_by: date) -> Refund:
    """The refund a case leads to."""
    return Refund(
        buyer_id=case.buyer_id,
        refund_id=refund_of_case(case.case_id),
        order_id=case.order_id,
        merchant_id=case.merchant_id,
        case_id=case.case_id,
        cause="RETURN",
        currency=case.currency,
        amount=amount,
        status=RefundStatus.APPROVED,
        promise_by=promise_by,
    )


def check_gesture(issue: IssueRefund, order: Order) -> None:
    """Refuse a gesture of nothing, or of more than the order still is: no refund makes money (ABU-3)."""
    if issue.currency != order.currency:
        raise Rejected("CURRENCY_MISMATCH", currency=order.currency)
    if issue.amount == 0:
        raise Rejected("AMOUNT_INVALID", "There is nothing to refund", amount=issue.amount)
    if issue.amount > order.rest:
        raise Rejected("REFUND_EXCEEDS_ORDER", amount=issue.amount, rest=order.rest)


def of_gesture(issue: IssueRefund, order: Order, promise_by: date, content: str) -> Refund:
    """The refund a merchant or the desk grants without a return; ``content`` is the digest of the request."""
    return Refund(
        buyer_id=issue.buyer_id,
        refund_id=issue.refund_id,
        order_id=order.order_id,
        merchant_id=order.merchant_id,
        case_id=None,
        cause="GOODWILL",
        currency=order.currency,
        amount=issue.amount,
        status=RefundStatus.APPROVED,
        promise_by=promise_by,
        content=content,
    )


def of_overpayment(detected: OverpaymentDetected, promise_by: date) -> Refund:
    """What nobody owed goes back the way it came; an external payment is the merchant's to give back."""
    refund_id = refund_of_overpayment(detected)
    kind: LegKind = "EXTERNAL" if detected.instrument.kind == "EXTERNAL" else "ORIGINAL_ROUTE"
    leg = first_payout(f"{refund_id}:1", kind, detected.amount, detected.instrument, detected.repayment_id)
    return Refund(
        buyer_id=detected.buyer_id,
        refund_id=refund_id,
        order_id=None,
        merchant_id=None,
        case_id=None,
        cause="OVERPAYMENT",
        currency=detected.currency,
        amount=detected.amount,
        status=RefundStatus.EXECUTING,
        promise_by=promise_by,
        legs=(leg,),
    )
