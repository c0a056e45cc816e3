"""A bank takes money back: what it had paid is undone, the last first, and owed again on a bill of its own (B-C7)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta

from services.billing.state import (
    Allocation,
    Bill,
    BillStatus,
    Instalment,
    LateFee,
    Line,
    Payment,
    Plan,
    Repayment,
    RepaymentStatus,
    Reversal,
)

__all__ = ["Reinstated", "principal", "reinstated", "reversed_repayment", "undone"]

PAYABLE_DAYS = 3
"""From the reversal to the due date of what is owed again."""


def undone(repayment: Repayment, amount: int) -> tuple[Allocation, ...]:
    """What a reversal of ``amount`` undoes after earlier ones: what was overpaid, then the allocations, the last first.

    What was overpaid is principal of the last order it paid on, else of the last it was meant for.
    """
    paid = repayment.allocations
    order_id = paid[-1].order_id if paid else repayment.order_ids[-1]
    bill_id = paid[-1].bill_id if paid else repayment.bill_ids[-1]
    overpaid = Allocation(order_id, paid[-1].seq if paid else 1, bill_id, "PRINCIPAL", repayment.overpaid)
    skip, parts = repayment.reversed, []
    for part in (overpaid, *reversed(paid)):
        skipped = min(skip, part.amount)
        share = min(amount, part.amount - skipped)
        if share:
            parts.append(replace(part, amount=share, recovers=0))
        skip, amount = skip - skipped, amount - share
    return tuple(parts)


def principal(undone: Iterable[Allocation]) -> int:
    """How much of what is undone is owed as principal again."""
    return sum(part.amount for part in undone if part.component == "PRINCIPAL")


def reversed_repayment(repayment: Repayment, amount: int) -> Repayment:
    """The repayment with so much more of it taken back; REVERSED when all of it is."""
    taken = repayment.reversed + amount
    status = RepaymentStatus.REVERSED if taken == repayment.amount else repayment.status
    return replace(repayment, reversed=taken, status=status)


@dataclass(frozen=True, slots=True)
class Reinstated:
    """The debt that exists again: a bill, with one new instalment on the plan of each order."""

    bill: Bill
    plans: tuple[Plan, ...]
    relieved: tuple[Bill, ...]
    """Bills whose late fees were paid with that money: they are owed elsewhere now."""


def reinstated(reversal: Reversal, plans: Mapping[str, Plan], bills: Mapping[str, Bill], today: date) -> Reinstated:
    """What ``reversal`` makes the buyer owe again; ``plans`` and ``bills`` hold those it had paid, closed ones too.

    Principal is principal again, also where it was since refunded in cash; fees and late fees are a fee.
    """
    due_on, bill_id = today + timedelta(days=PAYABLE_DAYS), f"r:{reversal.reversal_id}"
    revived = tuple(
        _with_instalment(plans[order_id], reversal, bill_id)
        for order_id in dict.fromkeys(part.order_id for part in reversal.undone)
    )
    model = next(bills[part.bill_id] for part in reversal.undone if part.bill_id in bills)
    bill = Bill(
        buyer_id=reversal.buyer_id,
        bill_id=bill_id,
        kind="REVERSAL",
        status=BillStatus.ISSUED,
        currency=reversal.currency,
        due_on=due_on,
        due_version=1,
        lines=tuple(Line(plan.order_id, plan.merchant_id, len(plan.instalments), due_on, 1) for plan in revived),
        terms=model.terms,
        billed=sum(plan.instalments[-1].principal for plan in revived),
    )
    relieved = (_relieved(one, reversal) for one in bills.values())
    return Reinstated(bill, revived, tuple(one for one in relieved if one != bills[one.bill_id]))


def _relieved(bill: Bill, reversal: Reversal) -> Bill:
    """The bill with its late fees no longer paid by the money that went back, and not unpaid either."""
    gone = {part.fee_id: part.amount for part in reversal.undone if part.bill_id == bill.bill_id and part.fee_id}
    late_fees = tuple(_moved(fee, reversal.repayment_id, gone.get(fee.fee_id, 0)) for fee in bill.late_fees)
    return replace(bill, late_fees=late_fees)


def _moved(fee: LateFee, repayment_id: str, amount: int) -> LateFee:
    paid_by = []
    for payment in fee.paid_by:
        less = min(amount, payment.amount) if payment.repayment_id == repayment_id else 0
        amount -= less
        fee = replace(fee, reinstated=fee.reinstated + less)
        if payment.amount > less:
            paid_by.append(replace(payment, amount=payment.amount - less))
    return replace(fee, paid_by=tuple(paid_by))


def _with_instalment(plan: Plan, reversal: Reversal, bill_id: str) -> Plan:
    mine = [part for part in reversal.undone if part.order_id == plan.order_id]
    owed = principal(mine)
    fee = sum(part.amount for part in mine) - owed
    instalment = Instalment(len(plan.instalments) + 1, bill_id, owed, fee)
    return replace(
        plan,
        reinstated=plan.reinstated + owed,
        instalments=(*plan.instalments, instalment),
        payments=tuple(_less(one, reversal.repayment_id, owed) for one in plan.payments),
    )


def _less(payment: Payment, repayment_id: str, amount: int) -> Payment:
    """The payment after the bank took ``amount`` of its principal back: as much less can be refunded along it."""
    if payment.repayment_id != repayment_id:
        return payment
    return replace(payment, reversed=payment.reversed + amount, refundable=max(0, payment.refundable - amount))
