"""From an accepted order to its plan and its bill (B-P)."""

from __future__ import annotations

from datetime import date, timedelta

from services.billing.state import Bill, BillStatus, BillTerms, Instalment, Line, Plan, PlanStatus
from shared.contracts.checkout import OrderAccepted

__all__ = ["ProductNotBilled", "bill_id_of", "first_bill", "opened_plan"]

FIRST_DUE_VERSION = 1


class ProductNotBilled(ValueError):
    """An order was accepted under a product this build cannot bill: a dead letter, so that no debt is lost silently."""


def bill_id_of(order_id: str) -> str:
    """The id of the bill that holds one PAY_AFTER_USE order."""
    return f"b:{order_id}"


def opened_plan(accepted: OrderAccepted, accepted_on: date) -> Plan:
    """The plan of an accepted order: under PAY_AFTER_USE one instalment without a fee (B-P1).

    :class:`ProductNotBilled` for any other product.
    """
    if accepted.product != "PAY_AFTER_USE" or accepted.instalments != 1:
        raise ProductNotBilled(f"{accepted.product} in {accepted.instalments} instalments cannot be billed yet")
    return Plan(
        buyer_id=accepted.buyer_id,
        order_id=accepted.order_id,
        merchant_id=accepted.merchant_id,
        status=PlanStatus.OPEN,
        product=accepted.product,
        currency=accepted.currency,
        accepted_on=accepted_on,
        principal=accepted.amount,
        instalments=(Instalment(1, bill_id_of(accepted.order_id), accepted.amount, 0),),
        refund_policy=accepted.terms.refund_policy,
    )


def first_bill(accepted: OrderAccepted, accepted_on: date) -> Bill:
    """The bill of a PAY_AFTER_USE order, due ``window_days`` after the acceptance date (B-P1, B-P4)."""
    terms = accepted.terms
    due_on = accepted_on + timedelta(days=terms.window_days)
    return Bill(
        buyer_id=accepted.buyer_id,
        bill_id=bill_id_of(accepted.order_id),
        kind=accepted.product,
        status=BillStatus.ISSUED,
        currency=accepted.currency,
        due_on=due_on,
        due_version=FIRST_DUE_VERSION,
        lines=(Line(accepted.order_id, accepted.merchant_id, 1, due_on, FIRST_DUE_VERSION),),
        terms=BillTerms(terms.late_fee, terms.extension, terms.dunning),
    )
