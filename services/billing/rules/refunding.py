"""Where a refund falls: on what is unpaid first, on fees then, on cash that was paid only at last (B-R). Minor units.

Approving a refund and asking what one would do are one computation, so that a simulation never differs from the deed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from services.billing.rules import ledger
from services.billing.rules.closing import Outcome, concluded
from services.billing.rules.debts import Debts
from services.billing.rules.dues import bills_of, days_late
from services.billing.rules.late_fees import after_refund
from services.billing.rules.pause import lowered
from services.billing.rules.schedule import bill_id_of
from services.billing.rules.spread import first_first, last_first, spread
from services.billing.state import Allocation, BillStatus, FeePayment, Instalment, LateFee, Payment, Plan
from shared.contracts.billing import LegKind, RefundEffect, RefundLeg, RefundStep
from shared.contracts.fields import LIST_MAX
from shared.contracts.refunds import Destination
from shared.kernel.calendar import Calendar

__all__ = ["Fall", "RefundAsked", "fall"]

PAYMENTS_MAX = LIST_MAX - 1
"""Along how many payments one refund can go back: a message lists so many legs, and one is the debt's. What would need
more stays unallocated."""


@dataclass(frozen=True, slots=True)
class RefundAsked:
    """A refund that was approved, or one that is only asked about."""

    refund_id: str
    """Numbers its legs."""
    order_id: str
    amount: int
    destination: Destination
    value_on: date
    """From this day on it counts for fees."""
    refs: tuple[str, ...] = ()
    """The case and the appeal whose pauses it lowers."""


@dataclass(frozen=True, slots=True)
class Fall:
    """How a refund falls, and what became of the debts."""

    outcome: Outcome
    before: Plan
    legs: tuple[RefundLeg, ...]
    trace: tuple[RefundStep, ...]
    unallocated: int
    fees_cancelled: int

    @property
    def after(self) -> Plan:
        return self.outcome.after.plans[self.before.order_id]

    @property
    def fees_reversed(self) -> int:
        """Late fees taken back because of it."""
        return sum(one.amount for one in self.outcome.after.fee_reversals)

    def amount_of(self, *kinds: LegKind) -> int:
        """The sum of the legs of these kinds."""
        return sum(leg.amount for leg in self.legs if leg.kind in kinds)


def fall(asked: RefundAsked, debts: Debts, today: date, calendar: Calendar) -> Fall:
    """Let a refund fall on the debts of its order; ``debts`` hold the plan, open or closed.

    In this order (B-R1): unpaid principal by the plan's policy, written-off principal, then fees are reckoned anew (R2,
    F7) and the unpaid ones taken, then cash goes back (R3). What exceeds the order goes nowhere (R4).
    """
    before = debts.plans[asked.order_id]
    rest = min(asked.amount, before.principal - before.refunded_total)
    taking = _Taking(debts, asked.order_id, rest)
    taking.lower_principal(today)
    taking.lower_charged_off()
    taking.lower_pauses(asked.refs, today)
    fees_cancelled = taking.cancel_fees()
    taking.reckon_late_fees(asked.value_on, calendar)
    taking.pay_fees()
    debt = rest - taking.left
    back = taking.return_cash()
    unallocated = asked.amount - debt - sum(share for _, share in back)
    if unallocated:
        taking.trace.append(RefundStep(does="EXCEEDS_ORDER", amount=unallocated))
    plan = taking.plan
    plan = replace(plan, refunded_total=plan.refunded_total + asked.amount - unallocated)
    return Fall(
        outcome=concluded(debts, taking.debts.with_plans(plan), today),
        before=before,
        legs=_legs(asked.refund_id, debt, back, asked.destination),
        trace=tuple(taking.trace[:LIST_MAX]),
        unallocated=unallocated,
        fees_cancelled=fees_cancelled,
    )


class _Taking:
    """A refund while it is taken step by step: what is left of it, and the debts so far."""

    def __init__(self, debts: Debts, order_id: str, amount: int) -> None:
        self.debts = debts
        self.order_id = order_id
        self.left = amount
        self.trace: list[RefundStep] = []
        self.taken: dict[int, int] = {}
        """Unpaid principal it took, by instalment."""
        self.taken_from: dict[str, int] = {}
        """Principal it took, by bill."""

    @property
    def plan(self) -> Plan:
        return self.debts.plans[self.order_id]

    def lower_principal(self, today: date) -> None:
        """Unpaid principal goes first, in the order of the plan's policy."""
        plan = self.plan
        late = {
            line.seq: days_late(line, today)
            for bill in bills_of(plan.order_id, self.debts.bills)
            for line in bill.lines
            if line.order_id == plan.order_id
        }
        unpaid = [one.outstanding for one in plan.instalments]
        shares = spread(plan.refund_policy, self.left, unpaid, [late.get(one.seq, 0) for one in plan.instalments])
        self.taken = {seq: share for seq, share in enumerate(shares, start=1) if share}
        for seq in sorted(self.taken, reverse=plan.refund_policy == "REVERSE_DUE"):
            self._lower(seq, self.taken[seq], recovers=0)

    def lower_charged_off(self) -> None:
        """Then principal that was written off: it is recovered from the merchant."""
        shares = last_first(self.left, [one.charged_off for one in self.plan.instalments])
        for seq, share in enumerate(shares, start=1):
            self._lower(seq, share, recovers=share)

    def lower_pauses(self, refs: Iterable[str], today: date) -> None:
        """The pauses of its case and appeal lose what was taken; none keeps more than is unpaid (B-H1)."""
        self.debts = self.debts.with_plans(lowered(self.plan, refs, self.taken, today))

    def cancel_fees(self) -> int:
        """Fees of instalments not billed yet shrink with their principal, never below what was paid of them (R2)."""
        cancelled = 0
        for seq, taken in self.taken.items():
            one = self.plan.instalments[seq - 1]
            kept = one.principal - one.refunded
            fee = max(one.fee_paid, one.fee * kept // (kept + taken))
            if fee < one.fee and self.debts.bills[one.bill_id].status is BillStatus.SCHEDULED:
                cancelled += one.fee - fee
                self._replace(replace(one, fee=fee))
                self._move(ledger.instalment_fee_cancelled(self.plan, one.bill_id, one.fee - fee))
                self._step("CANCELS_FEE", one.fee - fee, order_id=self.order_id, seq=seq)
        return cancelled

    def reckon_late_fees(self, value_on: date, calendar: Calendar) -> None:
        """Late fees of the bills it took principal from are reckoned anew (F7)."""
        for bill_id, taken in self.taken_from.items():
            self.debts = after_refund(self.debts, bill_id, self.order_id, taken, value_on, calendar)
        for one in self.debts.fee_reversals:
            self._step("REVERSES_LATE_FEE", one.amount, bill_id=one.bill_id, fee_id=one.fee_id)

    def pay_fees(self) -> None:
        """Then it pays the fees still unpaid of the order, and the late fees of the order's own bill.

        As much less can go back along the payments: those that would have given it first.
        """
        for one in self.plan.instalments:
            share = min(self.left, one.unpaid_fee)
            if share:
                self._give_back(share)
                self._replace(replace(one, fee_paid=one.fee_paid + share))
                self._step("PAYS_FEE", share, order_id=self.order_id, seq=one.seq)
                self._pay(Allocation(self.order_id, one.seq, one.bill_id, "FEE", share))
        own = self.debts.bills.get(bill_id_of(self.order_id))
        for fee in own.late_fees if own is not None else ():
            share = min(self.left, fee.unpaid)
            if share:
                self._pay_late_fee(fee, share)

    def return_cash(self) -> list[tuple[Payment, int]]:
        """What is left goes back along the payments, the latest ``paid_on`` first, ties by the higher id (R3)."""
        back = self._give_back(self.left)
        for payment, share in back:
            self._step("RETURNS_CASH", share, repayment_id=payment.repayment_id)
        inside = sum(share for payment, share in back if payment.instrument.kind != "EXTERNAL")
        self._move(ledger.refund_in_cash(self.plan, inside))
        self.left -= sum(share for _, share in back)
        return back

    def _lower(self, seq: int, share: int, recovers: int) -> None:
        if not share:
            return
        one = self.plan.instalments[seq - 1]
        bill = self.debts.bills[one.bill_id]
        self._replace(replace(one, refunded=one.refunded + share, charged_off=one.charged_off - recovers))
        self.debts = self.debts.with_bills(replace(bill, refunded=bill.refunded + share))
        self.taken_from[bill.bill_id] = self.taken_from.get(bill.bill_id, 0) + share
        self._step("LOWERS_CHARGED_OFF" if recovers else "LOWERS_PRINCIPAL", share, order_id=self.order_id, seq=seq)
        self._pay(Allocation(self.order_id, seq, one.bill_id, "PRINCIPAL", share, recovers=recovers))

    def _pay_late_fee(self, fee: LateFee, share: int) -> None:
        given = self._give_back(share)
        paid_by = (FeePayment(one.repayment_id, one.instrument, one.paid_on, part) for one, part in given)
        paid = replace(fee, paid_by=(*fee.paid_by, *paid_by))
        bill = self.debts.bills[bill_id_of(self.order_id)]
        self.debts = self.debts.with_bills(bill.with_late_fee(paid))
        self._step("PAYS_LATE_FEE", share, bill_id=bill.bill_id, fee_id=fee.fee_id)
        self._pay(Allocation(self.order_id, bill.lines[0].seq, bill.bill_id, "LATE_FEE", share, fee.fee_id))

    def _give_back(self, amount: int) -> list[tuple[Payment, int]]:
        """Lower by ``amount`` what may still go back along the payments; each that gives, with its share."""
        latest = sorted(self.plan.payments, key=lambda one: (one.paid_on, one.repayment_id), reverse=True)
        refundable = [one for one in latest if one.refundable][:PAYMENTS_MAX]
        shares = first_first(amount, [one.refundable for one in refundable])
        given = [(one, share) for one, share in zip(refundable, shares, strict=True) if share]
        less = {one.repayment_id: share for one, share in given}
        payments = tuple(
            replace(one, refundable=one.refundable - less.get(one.repayment_id, 0)) for one in self.plan.payments
        )
        self.debts = self.debts.with_plans(replace(self.plan, payments=payments))
        return given

    def _pay(self, part: Allocation) -> None:
        """Post a part of the debt that the refund paid."""
        self.left -= part.amount
        self._move(ledger.refund_on_debt(part, self.plan))

    def _replace(self, one: Instalment) -> None:
        self.debts = self.debts.with_plans(self.plan.with_instalment(one))

    def _move(self, movements: Iterable[ledger.Movement]) -> None:
        self.debts = self.debts.moving(movements)

    def _step(self, does: RefundEffect, amount: int, **about: Any) -> None:
        self.trace.append(RefundStep(does=does, amount=amount, **about))


def _legs(
    refund_id: str, debt: int, back: Sequence[tuple[Payment, int]], destination: Destination
) -> tuple[RefundLeg, ...]:
    """The shares as legs: what was paid outside goes back outside, all else as the buyer chose (R3)."""
    inside = sum(share for payment, share in back if payment.instrument.kind != "EXTERNAL")
    wallet = inside if destination == "WALLET" else 0
    drafts: list[tuple[LegKind, int, Payment | None]] = [("DEBT", debt, None), ("WALLET", wallet, None)]
    for payment, share in back:
        if payment.instrument.kind == "EXTERNAL":
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
