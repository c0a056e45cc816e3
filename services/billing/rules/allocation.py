"""Which debts money pays, and in which order: penalty, then fee, then principal (B-A). Amounts are minor units."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date

from services.billing.rules.debts import Debts
from services.billing.rules.dues import lines_of
from services.billing.rules.schedule import bill_id_of
from services.billing.state import Allocation, Bill, FeePayment, Instalment, Payment, Plan
from shared.contracts.fields import Instrument

__all__ = ["Money", "allocate", "applied", "by_bill", "parts_of_bill", "parts_of_order", "total"]


@dataclass(frozen=True, slots=True)
class Money:
    """Money of the buyer: the repayment it came with. What it pays can go back along it."""

    repayment_id: str
    instrument: Instrument
    paid_on: date


def parts_of_bill(bill: Bill, plans: Mapping[str, Plan]) -> list[Allocation]:
    """What a bill still costs, in the order it is paid (B-A1).

    Late fees, the oldest first; then line by line the fee and the principal; paused parts last, with them the fee of a
    line that is paused as a whole. Principal that was charged off is among it: it can still be paid (B-D4).
    """
    lines = sorted(
        lines_of(bill, plans),
        key=lambda one: (one[0].due_on, plans[one[0].order_id].accepted_on, one[0].order_id, one[0].seq),
    )
    return [*_late_fees(bill), *_parts((line.order_id, part) for line, part in lines)]


def parts_of_order(plan: Plan, bills: Mapping[str, Bill]) -> list[Allocation]:
    """What an order still costs, in the order it is paid: late fees of its own bill, then its instalments (B-A1)."""
    own = bills.get(bill_id_of(plan.order_id))
    late_fees = _late_fees(own) if own is not None else ()
    return [*late_fees, *_parts((plan.order_id, part) for part in plan.instalments)]


def total(parts: Iterable[Allocation]) -> int:
    """The sum of parts; of all there are, the most a repayment may bring (B-A2)."""
    return sum(part.amount for part in parts)


def by_bill(parts: Iterable[Allocation]) -> dict[str, int]:
    """The sums of parts by the bill they stand on."""
    sums: dict[str, int] = {}
    for part in parts:
        sums[part.bill_id] = sums.get(part.bill_id, 0) + part.amount
    return sums


def allocate(amount: int, parts: Iterable[Allocation]) -> tuple[Allocation, ...]:
    """Pay ``parts`` in their order as far as ``amount`` reaches; what is left over is overpaid (B-A3)."""
    allocations = []
    for part in parts:
        share = min(amount, part.amount)
        if share:
            allocations.append(replace(part, amount=share, recovers=min(share, part.recovers)))
        amount -= share
    return tuple(allocations)


def applied(debts: Debts, allocations: Iterable[Allocation], money: Money) -> Debts:
    """The debts after these allocations of somebody's money were paid."""
    for part in allocations:
        if part.component == "LATE_FEE":
            debts = debts.with_bills(_with_fee_paid(debts.bills[part.bill_id], part, money))
        else:
            debts = debts.with_plans(_with_part_paid(debts.plans[part.order_id], part, money))
    return debts


def _late_fees(bill: Bill) -> Iterator[Allocation]:
    first = bill.lines[0]
    for fee in bill.late_fees:
        if fee.unpaid:
            yield Allocation(first.order_id, first.seq, bill.bill_id, "LATE_FEE", fee.unpaid, fee.fee_id)


def _parts(instalments: Iterable[tuple[str, Instalment]]) -> list[Allocation]:
    running: list[Allocation] = []
    paused: list[Allocation] = []
    for order_id, one in instalments:
        place = (order_id, one.seq, one.bill_id)
        held = min(one.paused, one.outstanding)  # within one message a pause may be above what is unpaid by now
        fee = Allocation(*place, "FEE", one.unpaid_fee)
        (paused if 0 < held == one.outstanding else running).append(fee)
        running.append(Allocation(*place, "PRINCIPAL", one.outstanding - held))
        running.append(Allocation(*place, "PRINCIPAL", one.charged_off, recovers=one.charged_off))
        paused.append(Allocation(*place, "PRINCIPAL", held))
    return [part for part in running + paused if part.amount]


def _with_fee_paid(bill: Bill, part: Allocation, money: Money) -> Bill:
    payment = FeePayment(money.repayment_id, money.instrument, money.paid_on, part.amount)
    fee = next(one for one in bill.late_fees if one.fee_id == part.fee_id)
    return bill.with_late_fee(replace(fee, paid_by=(*fee.paid_by, payment)))


def _with_part_paid(plan: Plan, part: Allocation, money: Money) -> Plan:
    one = plan.instalments[part.seq - 1]
    if part.component == "FEE":
        return plan.with_instalment(replace(one, fee_paid=one.fee_paid + part.amount))
    paid = replace(one, paid=one.paid + part.amount, charged_off=one.charged_off - part.recovers)
    return replace(plan.with_instalment(paid), payments=_with_payment(plan.payments, part.amount, money))


def _with_payment(payments: tuple[Payment, ...], amount: int, money: Money) -> tuple[Payment, ...]:
    """The payments with more principal on that of this repayment."""
    if not any(one.repayment_id == money.repayment_id for one in payments):
        return (*payments, Payment(money.repayment_id, money.instrument, money.paid_on, amount, amount))
    return tuple(
        replace(one, principal=one.principal + amount, refundable=one.refundable + amount)
        if one.repayment_id == money.repayment_id
        else one
        for one in payments
    )
