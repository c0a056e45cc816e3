"""Which debts a repayment pays, and in which order (B-A). Amounts are minor units."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import date

from services.billing.state import Allocation, Bill, Component, Instalment, Payment, Plan, Repayment

__all__ = ["allocate", "open_parts_of_bill", "open_parts_of_order", "outstanding", "paid"]


def open_parts_of_bill(bill: Bill, plans: Mapping[str, Plan]) -> list[Allocation]:
    """What a bill still costs, in the order it is paid: per line fee, then principal; paused parts last (B-A1)."""
    lines = sorted(bill.lines, key=lambda one: (one.due_on, plans[one.order_id].accepted_on, one.order_id, one.seq))
    return _open_parts((plans[line.order_id], plans[line.order_id].instalments[line.seq - 1]) for line in lines)


def open_parts_of_order(plan: Plan) -> list[Allocation]:
    """What an order still costs, in the order it is paid: its instalments one after the other (B-A1)."""
    return _open_parts((plan, instalment) for instalment in plan.instalments)


def outstanding(parts: Iterable[Allocation]) -> int:
    """The most a repayment of these parts may bring (B-A2)."""
    return sum(part.amount for part in parts)


def allocate(amount: int, parts: Iterable[Allocation]) -> tuple[Allocation, ...]:
    """Pay ``parts`` in their order as far as ``amount`` reaches; what is left over is overpaid (B-A3)."""
    allocations = []
    for part in parts:
        share = min(amount, part.amount)
        if share:
            allocations.append(replace(part, amount=share))
        amount -= share
    return tuple(allocations)


def paid(plan: Plan, allocations: Iterable[Allocation], repayment: Repayment, paid_on: date) -> Plan:
    """The plan after these of a repayment's allocations were paid on it."""
    instalments = list(plan.instalments)
    principal = 0
    for allocation in allocations:
        instalment = instalments[allocation.seq - 1]
        if allocation.component == "PRINCIPAL":
            principal += allocation.amount
            instalments[allocation.seq - 1] = replace(instalment, paid=instalment.paid + allocation.amount)
        else:
            instalments[allocation.seq - 1] = replace(instalment, fee_paid=instalment.fee_paid + allocation.amount)
    payment = Payment(repayment.repayment_id, repayment.instrument, paid_on, principal, principal)
    return replace(plan, instalments=tuple(instalments), payments=(*plan.payments, payment))


def _open_parts(instalments: Iterable[tuple[Plan, Instalment]]) -> list[Allocation]:
    running: list[Allocation] = []
    paused: list[Allocation] = []
    for plan, one in instalments:
        running += _parts(plan, one, one.unpaid_fee, one.outstanding - one.paused)
        paused += _parts(plan, one, 0, one.paused)
    return running + paused


def _parts(plan: Plan, instalment: Instalment, fee: int, principal: int) -> Iterator[Allocation]:
    amounts: tuple[tuple[Component, int], ...] = (("FEE", fee), ("PRINCIPAL", principal))
    for component, amount in amounts:
        if amount:
            yield Allocation(plan.order_id, instalment.seq, instalment.bill_id, component, amount)
