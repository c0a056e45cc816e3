"""A buyer's debts as one message changes them: the live rows, and what the change has brought about so far.

Every rule that moves money takes debts and gives debts. What it moved in the journal, which late fees it took back and
what turned out to be paid too much is added on the way; :mod:`closing` draws the consequences once, at the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from services.billing.rules.ledger import Movement
from services.billing.state import Allocation, Bill, Book, Plan
from shared.contracts.billing import FeeReversalCause
from shared.contracts.fields import Instrument

__all__ = ["Debts", "FeeReversal", "Overpayment"]


@dataclass(frozen=True, slots=True)
class FeeReversal:
    """A late fee, or a part of it, that was taken back; minor units."""

    bill_id: str
    fee_id: str
    amount: int
    cause: FeeReversalCause
    reapplied: tuple[Allocation, ...]
    """Where the part of it went that had been paid already; the rest of that part is overpaid.

    A part whose payment a bank took back went from the fee it had become on another bill.
    """


@dataclass(frozen=True, slots=True)
class Overpayment:
    """Money that nobody owed, in minor units; it goes back to the instrument it came from (B-A3)."""

    overpayment_id: str
    repayment_id: str
    instrument: Instrument
    amount: int
    order_id: str | None
    bill_id: str | None
    """What it was paid for: an order, or a bill."""
    reason: str


@dataclass(frozen=True, slots=True)
class Debts:
    """The book, the plans by order and the bills by id."""

    book: Book
    plans: Mapping[str, Plan]
    bills: Mapping[str, Bill]
    movements: tuple[Movement, ...] = ()
    fee_reversals: tuple[FeeReversal, ...] = ()
    overpayments: tuple[Overpayment, ...] = ()

    def with_plans(self, *plans: Plan) -> Debts:
        return replace(self, plans={**self.plans, **{plan.order_id: plan for plan in plans}})

    def with_bills(self, *bills: Bill) -> Debts:
        return replace(self, bills={**self.bills, **{bill.bill_id: bill for bill in bills}})

    def moving(self, movements: Iterable[Movement]) -> Debts:
        return replace(self, movements=(*self.movements, *movements))

    def reversing(self, reversal: FeeReversal) -> Debts:
        return replace(self, fee_reversals=(*self.fee_reversals, reversal))

    def overpaid(
        self,
        amount: int,
        repayment_id: str,
        instrument: Instrument,
        reason: str,
        *,
        order_id: str | None = None,
        bill_id: str | None = None,
    ) -> Debts:
        """With ``amount`` to give back, if it is any; it is the buyer's credit in the journal already."""
        if not amount:
            return self
        number = self.book.overpayments + 1
        overpayment = Overpayment(
            f"{repayment_id}:o{number}", repayment_id, instrument, amount, order_id, bill_id, reason
        )
        return replace(
            self, book=replace(self.book, overpayments=number), overpayments=(*self.overpayments, overpayment)
        )
