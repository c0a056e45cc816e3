"""Late fees: on which days, how much, never above the cap, and only where the buyer had been reminded (B-F).

Amounts are minor units. A fee is assessed once; a refund, a waiver or a truth that comes late takes it back, wholly or
in part, and what had been paid of it pays something else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from services.billing.rules import ledger
from services.billing.rules.allocation import Money, allocate, applied, parts_of_bill, total
from services.billing.rules.debts import Debts, FeeReversal
from services.billing.rules.dues import lines_of
from services.billing.rules.evidence import reminded_in_time
from services.billing.state import Allocation, Bill, Evidence, FeeBase, FeePayment, LateFee, Plan
from shared.contracts.billing import FeeReversalCause
from shared.contracts.policy import LateFeeTerms
from shared.kernel.calendar import MIDNIGHT, Calendar
from shared.kernel.money import percentage

__all__ = [
    "Assessment",
    "after_refund",
    "assess",
    "assessed_since",
    "cap",
    "fee_days",
    "rated",
    "reversed_fee",
    "standing",
    "within_prompt_payment",
]

DAILY_DAYS = (4, 11, 31, 61, 91, 121)
"""DAILY_BPS: days past due on which the days since the one before are charged (B-F2)."""


# -- when and how much -------------------------------------------------------------------------------------------------


def fee_days(terms: LateFeeTerms) -> tuple[int, ...]:
    """The days past due on which a fee falls, ascending (B-F2)."""
    if terms.scheme == "DAILY_BPS":
        return DAILY_DAYS
    first = terms.grace_days + 1
    return (first, first + terms.second_after_days)


def rated(terms: LateFeeTerms, base: int, day: int) -> int:
    """The fee of a fee day for so much past-due principal, before the cap (B-F1, B-F2)."""
    if terms.scheme == "DAILY_BPS":
        before = max((one for one in DAILY_DAYS if one < day), default=0)
        return percentage(base, terms.daily_bps * (day - before))
    return next((tier.fee for tier in terms.tiers if tier.below is None or base < tier.below), 0)


def cap(bill: Bill) -> int:
    """The most the late fees of a bill may be together: never compounding, less after a refund (B-F3, I-6)."""
    terms = bill.terms.late_fee
    return min(percentage(bill.billed - bill.refunded, terms.cap_bps), terms.cap_abs)


def standing(bill: Bill) -> int:
    """The late fees of a bill that stand, paid or not."""
    return sum(fee.live for fee in bill.late_fees)


@dataclass(frozen=True, slots=True)
class Assessment:
    """What a fee day comes to: a fee, or none because nothing proves that the buyer was reminded (B-F5)."""

    fee: LateFee | None


def assess(
    bill: Bill, plans: Mapping[str, Plan], day: int, evidence: Evidence | None, calendar: Calendar
) -> Assessment | None:
    """The late fee of a bill ``day`` days past due, as it falls at the beginning of that day; None where it is 0.

    Principal of which the buyer was not reminded before it was overdue does not count; if that alone brings the fee to
    0 it is withheld, and never caught up.
    """
    on = bill.due_on + timedelta(days=day)
    late = [(line, part) for line, part in lines_of(bill, plans) if line.due_on < on and part.outstanding > part.paused]
    base = tuple(
        FeeBase(line.order_id, part.outstanding - part.paused, part.paused)
        for line, part in late
        if reminded_in_time(evidence, line, calendar)
    )
    everything = sum(part.outstanding - part.paused for _, part in late)
    proven = sum(one.amount for one in base)
    amount = _capped(bill, proven, day)
    if amount:
        fee_id = f"{bill.bill_id}:f{len(bill.late_fees) + 1}"
        return Assessment(LateFee(fee_id, amount, day, calendar.at(on, MIDNIGHT), base))
    return Assessment(None) if proven < everything and _capped(bill, everything, day) else None


def _capped(bill: Bill, base: int, day: int) -> int:
    room = cap(bill) - standing(bill)
    return max(0, min(rated(bill.terms.late_fee, base, day), room)) if base else 0


def within_prompt_payment(bill: Bill, now: datetime) -> bool:
    """Whether paying everything else now takes the late fees back (B-F6)."""
    if not bill.late_fees:
        return False
    return now <= bill.late_fees[0].assessed_at + timedelta(hours=bill.terms.late_fee.waive_hours)


# -- taken back --------------------------------------------------------------------------------------------------------


def reversed_fee(
    debts: Debts,
    bill_id: str,
    fee_id: str,
    amount: int,
    cause: FeeReversalCause,
    owed_again: Sequence[Allocation] = (),
) -> Debts:
    """Take back ``amount`` of a late fee: first what is unpaid of it vanishes, here and where it is ``owed_again``.

    What had been paid of it, the last payment first, pays what else is outstanding of the bill; the rest goes back to
    the buyer (B-F7).
    """
    bill = debts.bills[bill_id]
    fee = next(one for one in bill.late_fees if one.fee_id == fee_id)
    elsewhere = total(owed_again)
    unpaid = min(amount - elsewhere, fee.unpaid)
    paid_by, taken = _without(fee.paid_by, amount - elsewhere - unpaid)
    reversed_one = replace(fee, reversed=fee.reversed + amount, reinstated=fee.reinstated - elsewhere, paid_by=paid_by)
    debts = debts.with_bills(bill.with_late_fee(reversed_one))
    debts = debts.moving(ledger.late_fee_reversed(bill_id, unpaid, amount - elsewhere - unpaid))
    reapplied = list(owed_again)
    for part in owed_again:
        debts = _owed_no_longer(debts, part, bill_id)
    for payment in taken:
        debts, allocations = _reapplied(debts, bill_id, payment)
        reapplied += allocations
    return debts.reversing(FeeReversal(bill_id, fee_id, amount, cause, tuple(reapplied)))


def _without(paid_by: Sequence[FeePayment], amount: int) -> tuple[tuple[FeePayment, ...], list[FeePayment]]:
    """What payments are left of a late fee when ``amount`` goes, the last payment first; and what went."""
    kept, taken = list(paid_by), []
    while amount:
        last = kept.pop()
        share = min(amount, last.amount)
        taken.append(replace(last, amount=share))
        if share < last.amount:
            kept.append(replace(last, amount=last.amount - share))
        amount -= share
    return tuple(kept), taken


def _reapplied(debts: Debts, bill_id: str, payment: FeePayment) -> tuple[Debts, tuple[Allocation, ...]]:
    """What a payment had paid of a late fee pays what else the bill costs, the rest is overpaid; and where it went."""
    money = Money(payment.repayment_id, payment.instrument, payment.paid_on)
    allocations = allocate(payment.amount, parts_of_bill(debts.bills[bill_id], debts.plans))
    debts = applied(debts, allocations, money)
    debts = debts.moving(ledger.credit_applied(allocations, debts.plans))
    left = payment.amount - total(allocations)
    debts = debts.overpaid(left, payment.repayment_id, payment.instrument, "FEE_REVERSED", bill_id=bill_id)
    return debts, allocations


def _owed_no_longer(debts: Debts, part: Allocation, bill_id: str) -> Debts:
    """A late fee of ``bill_id`` that is owed again as a fee elsewhere is owed there no longer."""
    plan = debts.plans[part.order_id]
    one = plan.instalments[part.seq - 1]
    debts = debts.moving(ledger.reinstated_fee_reversed(part, bill_id, debts.plans))
    return debts.with_plans(plan.with_instalment(replace(one, fee=one.fee - part.amount)))


def after_refund(debts: Debts, bill_id: str, order_id: str, taken: int, value_on: date, calendar: Calendar) -> Debts:
    """The late fees of a bill after a refund took ``taken`` of an order from it (B-F7).

    Those assessed after ``value_on`` are reckoned again from what was late without it; earlier ones stay, but what
    exceeds the new cap goes, the latest first. Of one whose payment a bank took back what is unpaid goes where it is
    owed again; what was paid there stays.
    """
    bill = debts.bills[bill_id]
    reckoned = [
        _lowered(fee, order_id, taken) if calendar.date(fee.assessed_at) > value_on else fee for fee in bill.late_fees
    ]
    debts = debts.with_bills(replace(bill, late_fees=tuple(reckoned)))
    for fee, too_much in reversed(_too_much(debts.bills[bill_id], value_on, calendar)):
        debts = _refunded(debts, bill_id, fee.fee_id, too_much)
    return debts


def _refunded(debts: Debts, bill_id: str, fee_id: str, too_much: int) -> Debts:
    """The debts with a late fee so much lower, or as far as it can be taken back: here, or where it is owed again."""
    bill = debts.bills[bill_id]
    fee = next(one for one in bill.late_fees if one.fee_id == fee_id)
    again = allocate(min(fee.reinstated, max(0, too_much - fee.unpaid)), _owed_again(bill, debts))
    less = min(too_much, fee.revocable + total(again))
    return reversed_fee(debts, bill_id, fee_id, less, "REFUND", again) if less else debts


def _owed_again(bill: Bill, debts: Debts) -> list[Allocation]:
    """Unpaid fees of bills of reversals, the last first: there late fees whose payment came back are owed (B-C7)."""
    order_id = bill.lines[0].order_id  # under which the bill's late fees stand
    parts = debts.plans[order_id].instalments[::-1] if order_id in debts.plans else ()
    return [
        Allocation(order_id, one.seq, one.bill_id, "FEE", one.unpaid_fee)
        for one in parts
        if one.unpaid_fee and debts.bills[one.bill_id].kind == "REVERSAL"
    ]


def _lowered(fee: LateFee, order_id: str, taken: int) -> LateFee:
    """The fee with less to reckon it from: first what was paused of the order, then what was late (B-F7)."""
    return replace(fee, base=tuple(_less(one, taken) if one.order_id == order_id else one for one in fee.base))


def _less(base: FeeBase, taken: int) -> FeeBase:
    from_paused = min(taken, base.paused)
    amount = max(0, base.amount - (taken - from_paused))
    return replace(base, paused=base.paused - from_paused, amount=amount)


def _too_much(bill: Bill, value_on: date, calendar: Calendar) -> list[tuple[LateFee, int]]:
    """By how much each fee is too high now, in the order in which they were assessed; those that are not left out."""
    room = cap(bill)
    kept = []
    for fee in bill.late_fees:
        wanted = fee.live
        if calendar.date(fee.assessed_at) > value_on:
            wanted = min(wanted, rated(bill.terms.late_fee, sum(one.amount for one in fee.base), fee.dpd))
        kept.append(min(wanted, room))
        room -= kept[-1]
    return [(fee, fee.live - keep) for fee, keep in zip(bill.late_fees, kept, strict=True) if fee.live > keep]


def assessed_since(bill: Bill, day: date, calendar: Calendar) -> Iterable[LateFee]:
    """The fees assessed after ``day`` that can be taken back."""
    return [fee for fee in bill.late_fees if fee.revocable and calendar.date(fee.assessed_at) > day]
