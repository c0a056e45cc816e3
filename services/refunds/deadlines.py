"""What refunds tells itself to do later (H-7): each class is one kind of deadline, armed once per subject.

Those of a case name its order as well, so that both rows are found at once. Asking and retrying belong to one leg of a
refund: two legs never replace each other's deadline.
"""

from __future__ import annotations

from dataclasses import dataclass

from shared.engine.vocabulary import Due

__all__ = ["CASE_DEADLINES", "Arrival", "Ask", "Assess", "Evidence", "Receipt", "Retry", "Review", "ShipBack"]


@dataclass(frozen=True, slots=True)
class Review(Due, subject="case_id"):
    """Whoever has to decide - on the request, on the refund, on a dispute - has not."""

    buyer_id: str
    order_id: str
    case_id: str


@dataclass(frozen=True, slots=True)
class Evidence(Due, subject="case_id"):
    """The proof that was asked for has not come."""

    buyer_id: str
    order_id: str
    case_id: str


@dataclass(frozen=True, slots=True)
class ShipBack(Due, subject="case_id"):
    """The buyer may send the goods back and has not."""

    buyer_id: str
    order_id: str
    case_id: str


@dataclass(frozen=True, slots=True)
class Receipt(Due, subject="case_id"):
    """The parcel is on its way and nobody said that it arrived."""

    buyer_id: str
    order_id: str
    case_id: str


@dataclass(frozen=True, slots=True)
class Assess(Due, subject="case_id"):
    """The goods are back and nobody said in which condition."""

    buyer_id: str
    order_id: str
    case_id: str


CASE_DEADLINES: tuple[type[Due], ...] = (Review, Evidence, ShipBack, Receipt, Assess)
"""Every kind a case may have armed."""


@dataclass(frozen=True, slots=True)
class Arrival(Due, subject="refund_id"):
    """The day by which the refund was promised is over (REF-14)."""

    buyer_id: str
    refund_id: str


@dataclass(frozen=True, slots=True)
class Ask(Due, subject="leg_id"):
    """The provider does not know yet whether it paid: it is asked what became of the payout."""

    buyer_id: str
    refund_id: str
    leg_id: str


@dataclass(frozen=True, slots=True)
class Retry(Due, subject="leg_id"):
    """A payout failed and another try makes sense."""

    buyer_id: str
    refund_id: str
    leg_id: str
