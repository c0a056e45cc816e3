"""Where an approved refund falls: on what is unpaid first, on cash that was paid only then (B-R). Minor units."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from services.billing.rules.dues import unpaid
from services.billing.rules.lines import BillChange, bills_of, cured, followed
from services.billing.rules.pause import lowered
from services.billing.rules.settlement import relieved, settled
from services.billing.rules.spread import first_first, spread
from services.billing.state import Bill, BillStatus, Book, Payment, Plan, Refund
from shared.contracts.billing import LegKind, RefundLeg
from shared.contracts.fields import LIST_MAX
from shared.contracts.refunds import Destination, RefundApproved

__all__ = ["Fall", "RefundSettlement", "allocate", "fall"]

Plans = Mapping[str, Plan]

PAYMENTS_MAX = LIST_MAX - 1
"""Along how many payments one refund can go back: a message lists so many legs, and one is the debt's. What would need
more stays unallocated."""


@dataclass(frozen=True, slots=True)
class Fall:
    """How a refund falls on the plan of its order."""

    plan: Plan
    """After it; only its pauses are as they were."""
    taken: Mapping[int, int]
    """Less debt, by instalment."""
    legs: tuple[RefundLeg, ...]
    unallocated: int

    def amount_of(self, *kinds: LegKind) -> int:
        """The sum of the legs of these kinds."""
        return sum(leg.amount for leg in self.legs if leg.kind in kinds)


def fall(plan: Plan, refund_id: str, amount: int, destination: Destination, past_due: Sequence[bool]) -> Fall:
    """Let ``amount`` fall on a plan (B-R1, R3, R4); ``past_due`` says so of each of its instalments.

    Debt goes first, by the policy of the plan; the rest goes back along the payments, the latest first, as far as each
    is refundable; what is left then exceeds the order and goes nowhere.
    """
    shares = spread(plan.refund_policy, amount, [one.outstanding for one in plan.instalments], past_due)
    debt = sum(shares)
    back = _given_back(plan.payments, amount - debt)
    cash = sum(back.values())
    after = replace(
        plan,
        instalments=tuple(
            replace(one, refunded=one.refunded + share) for one, share in zip(plan.instalments, shares, strict=True)
        ),
        payments=tuple(replace(one, refundable=one.refundable - back.get(one, 0)) for one in plan.payments),
        refunded_total=plan.refunded_total + debt + cash,
    )
    taken = {seq: share for seq, share in enumerate(shares, start=1) if share}
    return Fall(after, taken, _legs(refund_id, debt, back, destination), amount - debt - cash)


def _given_back(payments: Iterable[Payment], amount: int) -> dict[Payment, int]:
    """What goes back along each payment, the latest ``paid_on`` first, ties by the higher repayment id (B-R3)."""
    latest = sorted(payments, key=lambda one: (one.paid_on, one.repayment_id), reverse=True)
    refundable = [one for one in latest if one.refundable][:PAYMENTS_MAX]
    shares = first_first(amount, [one.refundable for one in refundable])
    return {one: share for one, share in zip(refundable, shares, strict=True) if share}


def _legs(refund_id: str, debt: int, back: Mapping[Payment, int], destination: Destination) -> tuple[RefundLeg, ...]:
    """The shares as legs: what was paid outside goes back outside, all else as the buyer chose (B-R3)."""
    outside = {payment: share for payment, share in back.items() if payment.instrument.kind == "EXTERNAL"}
    wallet = sum(back.values()) - sum(outside.values()) if destination == "WALLET" else 0
    drafts: list[tuple[LegKind, int, Payment | None]] = [("DEBT", debt, None), ("WALLET", wallet, None)]
    for payment, share in back.items():
        if payment in outside:
            drafts.append(("EXTERNAL", share, payment))
        elif destination == "ORIGINAL_ROUTE":
            drafts.append(("ORIGINAL_ROUTE", share, payment))
    return tuple(
        RefundLeg(
            leg_id=f"{refund_id}:{n}",
            kind=kind,
            amount=amount,
            instrument=payment.instrument if payment else None,
            repayment_id=payment.repayment_id if payment else None,
        )
        for n, (kind, amount, payment) in enumerate((draft for draft in drafts if draft[1]), start=1)
    )


@dataclass(frozen=True, slots=True)
class RefundSettlement:
    """The rows after a refund, and what it brought about."""

    approved: RefundApproved
    fall: Fall
    refund: Refund
    before: Plan
    plan: Plan
    book: Book
    changes: tuple[BillChange, ...]
    """Of the bills its order stands on."""
    all_plans: Plans
    """The buyer's plans, this one among them."""


def allocate(
    approved: RefundApproved, book: Book, plan: Plan, bills: Mapping[str, Bill], plans: Plans, today: date
) -> RefundSettlement:
    """Apply an approved refund to its order's ``plan``; ``bills`` and ``plans`` are the buyer's live ones.

    The case's pause loses what the refund took, then plan and bills close where nothing is left (B-H1, B-R6). A
    repayment in flight is not awaited: what it brings too much is overpaid (B-R5, B-A3).
    """
    mine = bills_of(plan.order_id, bills)
    due_on = {line.seq: line.due_on for bill in mine for line in bill.lines if line.order_id == plan.order_id}
    past_due = [due_on.get(one.seq, today) < today for one in plan.instalments]
    fallen = fall(plan, approved.refund_id, approved.amount, approved.destination, past_due)
    after = settled(lowered(fallen.plan, approved.case_id, fallen.taken, today), today)
    all_plans = {**plans, plan.order_id: after}
    changes = tuple(_change(bill, plans, all_plans, today) for bill in mine)
    return RefundSettlement(
        approved=approved,
        fall=fallen,
        refund=_refund(approved, fallen),
        before=plan,
        plan=after,
        book=relieved(book, fallen.amount_of("DEBT"), changes),
        changes=changes,
        all_plans=all_plans,
    )


def _refund(approved: RefundApproved, fallen: Fall) -> Refund:
    return Refund(
        buyer_id=approved.buyer_id,
        refund_id=approved.refund_id,
        cause=approved.cause,
        order_id=approved.order_id,
        bill_id=None,
        merchant_id=approved.merchant_id,
        currency=approved.currency,
        amount=approved.amount,
        debt=fallen.amount_of("DEBT"),
        cash=fallen.amount_of("ORIGINAL_ROUTE", "WALLET"),
        external=fallen.amount_of("EXTERNAL"),
        unallocated=fallen.unallocated,
    )


def _change(bill: Bill, before: Plans, after: Plans, today: date) -> BillChange:
    now = followed(_closed(bill, after), after, today)
    return BillChange.between(bill, before, cured(bill, before, now, after, today), after)


def _closed(bill: Bill, plans: Plans) -> Bill:
    """The bill, closed if nothing is left on it: PAID if something was paid on it, VOIDED if nothing was (B-R6)."""
    if unpaid(bill, plans):
        return bill
    parts = [plans[line.order_id].instalments[line.seq - 1] for line in bill.lines]
    if not any(part.paid or part.fee_paid for part in parts):
        return replace(bill, status=BillStatus.VOIDED, in_flight=None)
    payments = [plan.payments[-1] for line in bill.lines if (plan := plans[line.order_id]).payments]
    return replace(bill, status=BillStatus.PAID, paid_on=max(one.paid_on for one in payments), in_flight=None)
