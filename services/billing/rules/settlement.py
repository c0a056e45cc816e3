"""What a successful repayment changes, all at once: plans paid, bills closed or cured, the book's totals (B-A, B-D)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date

from services.billing.rules.allocation import allocate, open_parts_of_bill, open_parts_of_order, outstanding, paid
from services.billing.rules.delinquency import days_past_due
from services.billing.rules.dues import amount_due, unpaid
from services.billing.rules.lines import BillChange, bills_of, cured, followed
from services.billing.rules.pause import within_outstanding
from services.billing.state import (
    Allocation,
    Bill,
    BillStatus,
    Book,
    Plan,
    PlanStatus,
    Refund,
    Repayment,
    RepaymentStatus,
)

__all__ = [
    "Settlement",
    "bills_waiting",
    "overpayment_id",
    "relieved",
    "settle",
    "settled",
    "target_bills",
    "target_parts",
]


@dataclass(frozen=True, slots=True)
class Settlement:
    """The rows after a success, and what it brought about."""

    repayment: Repayment
    book: Book
    plans: tuple[Plan, ...]
    """The plans it paid on."""
    changes: tuple[BillChange, ...]
    """Of the bills it paid on, and of those that waited for it."""
    all_plans: Mapping[str, Plan]
    """The buyer's plans, paid on or not."""
    paid_on: date
    settled_on: date

    @property
    def overpayment(self) -> Refund | None:
        """What nobody owed, as the refund that refunds will make of it (B-A3)."""
        repayment = self.repayment
        if not repayment.overpaid:
            return None
        return Refund(
            buyer_id=repayment.buyer_id,
            refund_id=f"op:{overpayment_id(repayment)}",
            cause="OVERPAYMENT",
            order_id=repayment.order_id,
            bill_id=repayment.bill_id,
            merchant_id=None,
            currency=repayment.currency,
            amount=repayment.overpaid,
            cash=repayment.overpaid,
        )


def settle(
    repayment: Repayment,
    book: Book,
    bills: Mapping[str, Bill],
    plans: Mapping[str, Plan],
    paid_on: date,
    today: date,
) -> Settlement:
    """Apply a repayment that was requested on ``paid_on`` and turned out to be successful on ``today``.

    ``bills`` and ``plans`` are the buyer's live ones: on what is closed there is nothing left to pay, so that the
    repayment of a closed bill is all overpaid (B-A3, B-D3).
    """
    allocations = allocate(repayment.amount, target_parts(repayment, bills, plans))
    paid_plans = _paid_plans(repayment, allocations, plans, paid_on, today)
    all_plans = {**plans, **paid_plans}
    changed = bills_waiting(repayment, bills)
    for bill_id in dict.fromkeys(part.bill_id for part in allocations):
        waiting = changed.get(bill_id, bills[bill_id])
        reduced = _reduced(waiting, plans, all_plans, paid_on)
        changed[bill_id] = cured(waiting, plans, followed(reduced, all_plans, today), all_plans, today)
    changes = tuple(BillChange.between(bills[bill_id], plans, bill, all_plans) for bill_id, bill in changed.items())
    principal = outstanding(part for part in allocations if part.component == "PRINCIPAL")
    return Settlement(
        repayment=_succeeded(repayment, allocations),
        book=relieved(book, principal, changes),
        plans=tuple(paid_plans.values()),
        changes=changes,
        all_plans=all_plans,
        paid_on=paid_on,
        settled_on=today,
    )


def overpayment_id(repayment: Repayment) -> str:
    """The id of what a repayment brought beyond what was owed."""
    return f"{repayment.repayment_id}:o1"


def settled(plan: Plan, today: date) -> Plan:
    """The plan as SETTLED if nothing is left on it."""
    if plan.unpaid or plan.status is PlanStatus.SETTLED:
        return plan
    return replace(plan, status=PlanStatus.SETTLED, settled_on=today)


def relieved(book: Book, principal: int, changes: Iterable[BillChange]) -> Book:
    """The book with ``principal`` less outstanding, and without the stages of the bills that were cured."""
    for change in changes:
        if change.is_cured:
            book = book.staged(change.after.bill_id, "NONE")
    return book.owing(-principal)


def target_bills(repayment: Repayment, bills: Mapping[str, Bill]) -> list[Bill]:
    """The live bills a repayment is meant for: one bill, or all that hold its order."""
    if repayment.bill_id is not None:
        return [bills[repayment.bill_id]] if repayment.bill_id in bills else []
    return bills_of(repayment.order_id or "", bills)


def target_parts(repayment: Repayment, bills: Mapping[str, Bill], plans: Mapping[str, Plan]) -> list[Allocation]:
    """What the bill or order a repayment is meant for still costs; nothing where it is closed."""
    if repayment.bill_id is not None:
        bill = bills.get(repayment.bill_id)
        return open_parts_of_bill(bill, plans) if bill is not None else []
    plan = plans.get(repayment.order_id or "")
    return open_parts_of_order(plan) if plan is not None else []


def bills_waiting(repayment: Repayment, bills: Mapping[str, Bill]) -> dict[str, Bill]:
    """The bills that wait for this repayment, as they are when they wait no longer."""
    waiting = repayment.repayment_id
    return {
        bill_id: replace(bill, in_flight=None)
        for bill_id, bill in bills.items()
        if bill.in_flight is not None and bill.in_flight.repayment_id == waiting
    }


def _succeeded(repayment: Repayment, allocations: tuple[Allocation, ...]) -> Repayment:
    overpaid = repayment.amount - outstanding(allocations)
    return replace(repayment, status=RepaymentStatus.SUCCEEDED, allocations=allocations, overpaid=overpaid)


def _paid_plans(
    repayment: Repayment, allocations: tuple[Allocation, ...], plans: Mapping[str, Plan], paid_on: date, today: date
) -> dict[str, Plan]:
    """The plans it pays on, settled where nothing is left."""
    changed = {}
    for order_id in dict.fromkeys(part.order_id for part in allocations):
        plan = paid(plans[order_id], [part for part in allocations if part.order_id == order_id], repayment, paid_on)
        changed[order_id] = settled(within_outstanding(plan, today), today)
    return changed


def _reduced(bill: Bill, before: Mapping[str, Plan], plans: Mapping[str, Plan], paid_on: date) -> Bill:
    """The bill after a part of it was paid: closed where nothing is left, its age counted to ``paid_on`` (B-D3)."""
    max_dpd = days_past_due(bill, paid_on, amount_due(bill, before))
    if unpaid(bill, plans):
        return replace(bill, max_dpd=max_dpd)
    return replace(bill, status=BillStatus.PAID, paid_on=paid_on, max_dpd=max_dpd, in_flight=None)
