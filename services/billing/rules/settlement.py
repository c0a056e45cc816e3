"""What money does to a buyer's debts when it has come: debts are paid in their order, fees it takes back go (B-A)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date

from services.billing.rules import ledger
from services.billing.rules.allocation import Money, allocate, applied, parts_of_bill, parts_of_order, total
from services.billing.rules.closing import Outcome, concluded
from services.billing.rules.debts import Debts
from services.billing.rules.delinquency import days_past_due
from services.billing.rules.dues import bills_of, due_part, is_late
from services.billing.rules.late_fees import assessed_since, reversed_fee
from services.billing.rules.pause import within_outstanding
from services.billing.state import Allocation, Bill, Repayment, RepaymentStatus
from shared.contracts.billing import RepayBill
from shared.kernel.calendar import Calendar

__all__ = ["Settlement", "bills_waiting", "settle", "target_bills", "target_parts"]


@dataclass(frozen=True, slots=True)
class Settlement:
    """The repayment after its success, and what became of the debts."""

    repayment: Repayment
    outcome: Outcome


def settle(repayment: Repayment, debts: Debts, paid_on: date, today: date, calendar: Calendar) -> Settlement:
    """Apply a repayment that counts from ``paid_on`` and turned out to be successful on ``today``.

    On what is closed there is nothing left to pay: the repayment of a closed bill is all overpaid (B-A3, B-D3).
    """
    after = _waived(repayment, debts)
    waiting = bills_waiting(repayment, after.bills)
    after = after.with_bills(*waiting.values())
    reduced = {part.bill_id for part in allocate(repayment.amount, target_parts(repayment, after))}
    punctual = {bill_id for bill_id in reduced if paid_on <= after.bills[bill_id].due_on}
    settled = _paid(repayment, _without_fees(after, punctual, paid_on, calendar), paid_on, today)
    in_time = {bill_id for bill_id in punctual if not settled.is_late(bill_id, today)}
    if in_time != punctual:  # what is still late of a bill was late: its fees stay
        settled = _paid(repayment, _without_fees(after, in_time, paid_on, calendar), paid_on, today)
    bills = (
        _counted(settled.debts.bills[bill_id], due_part(debts.bills[bill_id], debts.plans), paid_on, bill_id in in_time)
        for bill_id in sorted(settled.bill_ids | in_time)
    )
    return Settlement(
        repayment=replace(
            repayment,
            status=RepaymentStatus.SUCCEEDED,
            allocations=settled.allocations,
            overpaid=repayment.amount - total(settled.allocations),
        ),
        outcome=concluded(debts, settled.debts.with_bills(*bills), today),
    )


def target_bills(repayment: Repayment | RepayBill, bills: Mapping[str, Bill]) -> list[Bill]:
    """The live bills a repayment, or the wish for one, is meant for: one bill, or all that hold its order."""
    if repayment.bill_id is not None:
        return [bills[repayment.bill_id]] if repayment.bill_id in bills else []
    return bills_of(repayment.order_id or "", bills)


def target_parts(repayment: Repayment, debts: Debts) -> list[Allocation]:
    """What the bill or order a repayment is meant for still costs, without the late fees it is to take back (B-F6).

    Nothing where it is closed.
    """
    bill, plan = debts.bills.get(repayment.bill_id or ""), debts.plans.get(repayment.order_id or "")
    parts: list[Allocation] = []
    if bill is not None:
        parts = parts_of_bill(bill, debts.plans)
    elif plan is not None:
        parts = parts_of_order(plan, debts.bills)
    return [part for part in parts if part.fee_id not in repayment.waive_fee_ids]


def bills_waiting(repayment: Repayment, bills: Mapping[str, Bill]) -> dict[str, Bill]:
    """The bills that wait for this repayment, as they are when they wait no longer."""
    waiting = repayment.repayment_id
    return {
        bill_id: replace(bill, in_flight=None)
        for bill_id, bill in bills.items()
        if bill.in_flight is not None and bill.in_flight.repayment_id == waiting
    }


@dataclass(frozen=True, slots=True)
class _Paid:
    debts: Debts
    allocations: tuple[Allocation, ...]

    @property
    def bill_ids(self) -> set[str]:
        """The bills it was paid on."""
        return {part.bill_id for part in self.allocations}

    def is_late(self, bill_id: str, today: date) -> bool:
        return is_late(self.debts.bills[bill_id], self.debts.plans, today)


def _paid(repayment: Repayment, debts: Debts, paid_on: date, today: date) -> _Paid:
    """The money is there: it pays what its target costs, pauses give way to it, the rest is overpaid."""
    money = Money(repayment.repayment_id, repayment.instrument, paid_on)
    allocations = allocate(repayment.amount, target_parts(repayment, debts))
    left = repayment.amount - total(allocations)
    target = {"order_id": repayment.order_id, "bill_id": repayment.bill_id}
    merchant = debts.bills[repayment.bill_id or ""].lines[0].merchant_id if repayment.mode == "EXTERNAL" else None
    came = ledger.money_came(repayment.amount, merchant_id=merchant, **target)
    paid = ledger.paid(allocations, debts.plans)
    debts = applied(debts, allocations, money).moving([*came, *paid, *ledger.money_left_over(left, **target)])
    debts = debts.with_plans(*(within_outstanding(plan, today) for plan in debts.plans.values()))
    return _Paid(debts.overpaid(left, money.repayment_id, money.instrument, "EXCEEDS_DEBT", **target), allocations)


def _waived(repayment: Repayment, debts: Debts) -> Debts:
    """Prompt payment: what is unpaid of the fees it was to take back goes (B-F6)."""
    for bill in target_bills(repayment, debts.bills):
        for fee in bill.late_fees:
            if fee.fee_id in repayment.waive_fee_ids and fee.unpaid:
                debts = reversed_fee(debts, bill.bill_id, fee.fee_id, fee.unpaid, "PROMPT_PAYMENT")
    return debts


def _without_fees(debts: Debts, bill_ids: Iterable[str], paid_on: date, calendar: Calendar) -> Debts:
    """The debts without the late fees assessed since the money counts (B-D3)."""
    for bill_id in sorted(bill_ids):
        for fee in assessed_since(debts.bills[bill_id], paid_on, calendar):
            debts = reversed_fee(debts, bill_id, fee.fee_id, fee.revocable, "LATE_SUCCESS")
    return debts


def _counted(bill: Bill, due_part: int, paid_on: date, in_time: bool) -> Bill:
    """The bill after it was paid on: its age is counted to ``paid_on`` (section 2, B-D3)."""
    was_not_late = in_time and bill.last_step
    latest = max(paid_on, bill.paid_on or paid_on)
    return replace(bill, paid_on=latest, max_dpd=0 if was_not_late else days_past_due(bill, paid_on, due_part))
