"""What billing tells itself to do later (H-7): each class is one kind of deadline, armed once per subject.

Deadlines name the orders or bills they concern, so that these rows are found without looking at another row first:
the lines of a bill never change once it is issued, and a statement is armed anew with each line it gets.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from shared.engine.vocabulary import Due

__all__ = [
    "Ask",
    "Collect",
    "DaysLeft",
    "DueSoon",
    "ExtensionEnd",
    "PauseEnd",
    "ReinstateDebt",
    "StatementCut",
    "Step",
]


DaysLeft = Literal[3, 1, 0]
"""How long before the due date a buyer is reminded."""


@dataclass(frozen=True, slots=True)
class StatementCut(Due, subject="bill_id"):
    """The month is over: what stands on its statement is fixed and payable (B-P2)."""

    buyer_id: str
    bill_id: str
    order_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DueSoon(Due, subject="bill_id"):
    """The due date is ``days_left`` days away: the buyer is reminded."""

    buyer_id: str
    bill_id: str
    order_ids: tuple[str, ...]
    days_left: DaysLeft


@dataclass(frozen=True, slots=True)
class Collect(Due, subject="bill_id"):
    """``offset`` days after the due date, what is due is taken from the buyer's instrument (B-C2)."""

    buyer_id: str
    bill_id: str
    order_ids: tuple[str, ...]
    offset: int


@dataclass(frozen=True, slots=True)
class Step(Due, subject="bill_id"):
    """The bill has been past due for ``day`` days (B-D1)."""

    buyer_id: str
    bill_id: str
    order_ids: tuple[str, ...]
    day: int
    waits: int = 0
    """How often it was put off by 24 hours because a provider had not answered (B-D3)."""
    missed_until: datetime | None = None
    """Where an earlier step waited beyond this one's day: it waits no more, like all steps up to that instant."""


@dataclass(frozen=True, slots=True)
class Ask(Due, subject="repayment_id"):
    """The provider has not said how a repayment ended: it is asked (B-C4). ``bill_ids`` wait for the answer."""

    buyer_id: str
    repayment_id: str
    bill_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PauseEnd(Due, subject="ref"):
    """The case ``ref`` kept a share of an order paused for as long as a case may: it runs again (B-H1)."""

    buyer_id: str
    ref: str
    order_id: str


@dataclass(frozen=True, slots=True)
class ExtensionEnd(Due, subject="extension_id"):
    """Nobody has decided on a later due date in time: the wish lapses (B-E)."""

    buyer_id: str
    extension_id: str
    bill_id: str


@dataclass(frozen=True, slots=True)
class ReinstateDebt(Due, subject="reversal_id"):
    """A repayment was reversed: what it had paid is owed again, at once (B-C7).

    The report names the repayment only; this one names the orders and bills it had paid, closed ones too.
    """

    buyer_id: str
    reversal_id: str
    order_ids: tuple[str, ...]
    bill_ids: tuple[str, ...]
