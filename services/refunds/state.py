"""The rows refunds keeps, and the machines they move through.

Built is the seller's flow of RETURN_REFUND, and every refund's execution. The platform's own review with its pickups,
refunds without a return, exchanges, claims and appeals join with their messages, and with them their states, triggers
and rows (the buyer's recent cases among them).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Literal

from shared.contracts.billing import LegKind, RefundCause
from shared.contracts.checkout import OrderKind
from shared.contracts.fields import Instrument
from shared.contracts.policy import CategoryReturnTerms, ReturnTerms
from shared.contracts.refunds import (
    AssessedLine,
    CaseKind,
    CaseOutcome,
    Destination,
    Responsibility,
    ReviewMode,
)
from shared.engine.vocabulary import Live, Row

__all__ = [
    "CASE_MACHINE",
    "LEG_MACHINE",
    "REFUND_MACHINE",
    "Case",
    "CaseLine",
    "CaseStatus",
    "Leg",
    "LegStatus",
    "Order",
    "OrderLine",
    "Proof",
    "Refund",
    "RefundStatus",
]

# -- the order ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OrderLine:
    """Accepted units of one article and what became of them. ``refunded`` is what returns took of its value (I-3)."""

    line_id: str
    sku: str
    category: str
    quantity: int
    goods: int
    freight: int
    returnable: bool
    refunded_qty: int = 0
    """Units whose return is decided, with or without deductions."""
    open_qty: int = 0
    """Units asked for in cases that are not decided."""
    refunded: int = 0

    @property
    def free_qty(self) -> int:
        """Units that may still be asked for."""
        return self.quantity - self.refunded_qty - self.open_qty


@dataclass(frozen=True, slots=True)
class Order(Row, table="orders", owner="buyer_id", id="order_id", unknown="ORDER_NOT_ACCEPTED"):
    """An accepted order. A gesture without a return counts in ``refunded`` here and on no line."""

    buyer_id: str
    order_id: str
    merchant_id: str
    kind: OrderKind
    currency: str
    accepted_at: datetime
    amount: int
    lines: tuple[OrderLine, ...]
    terms: ReturnTerms
    refunded: int = 0

    @property
    def rest(self) -> int:
        """What is not refunded yet: no refund goes beyond it (R-R6)."""
        return self.amount - self.refunded

    def line(self, line_id: str) -> OrderLine | None:
        return next((line for line in self.lines if line.line_id == line_id), None)

    def terms_of(self, line: OrderLine) -> CategoryReturnTerms:
        """The return terms of the line's category."""
        return self.terms.of_category(line.category)


# -- the case ----------------------------------------------------------------------------------------------------------


class CaseStatus(StrEnum):
    """Where a return case stands (spec 2.1)."""

    UNDER_REVIEW = "UNDER_REVIEW"
    EVIDENCE_REQUIRED = "EVIDENCE_REQUIRED"
    APPROVED = "APPROVED"
    IN_TRANSIT = "IN_TRANSIT"
    RECEIVED = "RECEIVED"
    ASSESSED = "ASSESSED"
    DISPUTED = "DISPUTED"
    REFUND_DUE = "REFUND_DUE"
    CLOSED = "CLOSED"


_C = CaseStatus

CASE_MACHINE: Mapping[CaseStatus, Mapping[str, tuple[CaseStatus, ...]]] = {
    _C.UNDER_REVIEW: {
        "ReviewReturn APPROVE": (_C.APPROVED,),
        "ReviewReturn REJECT": (_C.CLOSED,),
        "ReviewReturn NEED_EVIDENCE": (_C.EVIDENCE_REQUIRED,),
        "WithdrawReturn": (_C.CLOSED,),
        "REVIEW": (_C.APPROVED,),
    },
    _C.EVIDENCE_REQUIRED: {
        "SubmitEvidence": (_C.UNDER_REVIEW,),
        "WithdrawReturn": (_C.CLOSED,),
        "EVIDENCE": (_C.CLOSED,),
    },
    _C.APPROVED: {
        "ReportReturnShipment": (_C.IN_TRANSIT,),
        "WithdrawReturn": (_C.CLOSED,),
        "SHIP_BACK": (_C.CLOSED,),
    },
    _C.IN_TRANSIT: {"ReportReturnReceipt": (_C.RECEIVED, _C.DISPUTED), "RECEIPT": (_C.RECEIVED,)},
    _C.RECEIVED: {"AssessReturn": (_C.ASSESSED,), "ASSESS": (_C.ASSESSED,)},
    _C.ASSESSED: {
        "ReviewRefund APPROVE": (_C.REFUND_DUE, _C.CLOSED),
        "ReviewRefund DISPUTE": (_C.DISPUTED,),
        "REVIEW": (_C.REFUND_DUE, _C.CLOSED),
    },
    _C.DISPUTED: {
        "ReviewRefund APPROVE": (_C.REFUND_DUE, _C.CLOSED),
        "ReviewRefund REJECT": (_C.CLOSED,),
        "REVIEW": (_C.DISPUTED,),
    },
    _C.REFUND_DUE: {"RefundCompleted": (_C.CLOSED,)},
    _C.CLOSED: {},
}
"""Triggers are messages by class, followed by the decision or outcome they carry, and deadlines by kind.

A refund of nothing closes the case at once. RefundCompleted is this service's own word on the case's refund.
"""


@dataclass(frozen=True, slots=True)
class CaseLine:
    """Units of one line that are to come back, and how many of them have."""

    line_id: str
    quantity: int
    received: int = 0


@dataclass(frozen=True, slots=True)
class Proof:
    """What one party put forward."""

    by: Literal["BUYER", "SELLER", "PLATFORM"]
    evidence_refs: tuple[str, ...]
    text: str
    given_at: datetime


@dataclass(frozen=True, slots=True)
class Case(
    Row,
    table="return_case",
    owner="buyer_id",
    id="case_id",
    unknown="UNKNOWN_CASE",
    live=Live.when("status", *(status for status in CaseStatus if status is not CaseStatus.CLOSED)),
):
    """A buyer's request to give goods back, until it is refused, given up or refunded."""

    buyer_id: str
    case_id: str
    order_id: str
    merchant_id: str
    content: str
    """Digest of the request that opened it (H-3)."""
    status: CaseStatus
    kind: CaseKind
    review_mode: ReviewMode
    """Whose turn it is to decide: the seller's, and in a dispute the platform's."""
    reason: str
    lines: tuple[CaseLine, ...]
    evidence: tuple[Proof, ...]
    destination: Destination
    currency: str
    share_amount: int
    """Goods and freight of the units asked for, in minor units: what billing pauses meanwhile."""
    opened_at: datetime
    value_on: date
    """From this day on a refund counts: the day of the request until the goods are handed over (R-R5)."""
    grades: tuple[AssessedLine, ...] = ()
    """The condition of units as inspected, in the order listed; units not named are as new."""
    responsibility: Responsibility | None = None
    refund_id: str | None = None
    outcome: CaseOutcome | None = None

    def named(self) -> dict[str, Any]:
        """The fields in which every event says of which case it speaks."""
        return {
            "buyer_id": self.buyer_id,
            "order_id": self.order_id,
            "merchant_id": self.merchant_id,
            "case_id": self.case_id,
        }

    def units(self) -> Iterator[tuple[str, int]]:
        """The units a refund is about, by line: those received, or where nothing arrived those asked for (R-R4)."""
        arrived = any(line.received for line in self.lines)
        for line in self.lines:
            quantity = line.received if arrived else line.quantity
            if quantity:
                yield line.line_id, quantity


# -- the refund --------------------------------------------------------------------------------------------------------


class LegStatus(StrEnum):
    """What is known of a leg's present payout. A missing or unknown outcome is never success."""

    REQUESTED = "REQUESTED"
    PENDING = "PENDING"
    UNKNOWN = "UNKNOWN"
    FAILED = "FAILED"
    NEEDS_DESK = "NEEDS_DESK"
    SUCCEEDED = "SUCCEEDED"


_L = LegStatus

_UNDER_WAY: Mapping[str, tuple[LegStatus, ...]] = {
    "ReportPayout SUCCEEDED": (_L.SUCCEEDED,),
    "ReportPayout FAILED": (_L.FAILED, _L.NEEDS_DESK),
    "ReportPayout PENDING": (_L.PENDING,),
    "ReportPayout UNKNOWN": (_L.UNKNOWN,),
}

LEG_MACHINE: Mapping[LegStatus, Mapping[str, tuple[LegStatus, ...]]] = {
    _L.REQUESTED: _UNDER_WAY,
    _L.PENDING: {**_UNDER_WAY, "ASK": (_L.PENDING,)},
    _L.UNKNOWN: {**_UNDER_WAY, "ASK": (_L.UNKNOWN,)},
    _L.FAILED: {
        "ReportPayout SUCCEEDED": (_L.SUCCEEDED,),
        "RETRY": (_L.REQUESTED,),
        "RetryPayout": (_L.REQUESTED,),
    },
    _L.NEEDS_DESK: {"ReportPayout SUCCEEDED": (_L.SUCCEEDED,), "RetryPayout": (_L.REQUESTED,)},
    _L.SUCCEEDED: {"ReportPayout RETURNED": (_L.NEEDS_DESK,)},
}
"""FAILED tries again by itself, NEEDS_DESK waits for a person. After a failure only the late truth is news."""


@dataclass(frozen=True, slots=True)
class Leg:
    """A share of a refund. Of kind DEBT it is done with the allocation; any other is paid, one payout after another."""

    leg_id: str
    kind: LegKind
    amount: int
    status: LegStatus
    instrument: Instrument | None = None
    repayment_id: str | None = None
    """The payment that goes back, if it is one."""
    tries: int = 0
    """Payouts requested so far; the last is the present one."""
    asks: int = 0
    """How often the provider was asked what became of the present payout."""
    returned: bool = False
    """The present payout arrived and bounced."""
    provider_ref: str | None = None
    """The provider's own reference of what it last reported."""

    @property
    def payout_id(self) -> str:
        """The present payout."""
        return f"{self.leg_id}:{self.tries}"


class RefundStatus(StrEnum):
    """Where a refund stands (spec 2.2)."""

    APPROVED = "APPROVED"
    EXECUTING = "EXECUTING"
    COMPLETED = "COMPLETED"


_R = RefundStatus

REFUND_MACHINE: Mapping[RefundStatus, Mapping[str, tuple[RefundStatus, ...]]] = {
    _R.APPROVED: {"RefundAllocated": (_R.EXECUTING, _R.COMPLETED), "ARRIVAL": (_R.APPROVED,)},
    _R.EXECUTING: {
        "ReportPayout SUCCEEDED": (_R.EXECUTING, _R.COMPLETED),
        "ReportPayout FAILED": (_R.EXECUTING,),
        "ReportPayout PENDING": (_R.EXECUTING,),
        "ReportPayout UNKNOWN": (_R.EXECUTING,),
        "ReportPayout RETURNED": (_R.EXECUTING,),
        "RetryPayout": (_R.EXECUTING,),
        "ARRIVAL": (_R.EXECUTING,),
        "ASK": (_R.EXECUTING,),
        "RETRY": (_R.EXECUTING,),
    },
    _R.COMPLETED: {"ReportPayout RETURNED": (_R.EXECUTING,)},
}
"""Which of these a leg allows is in LEG_MACHINE."""


@dataclass(frozen=True, slots=True)
class Refund(
    Row,
    table="refund",
    owner="buyer_id",
    id="refund_id",
    unknown="UNKNOWN_REFUND",
    live=Live.when("status", _R.APPROVED, _R.EXECUTING),
):
    """Money that goes back to a buyer, for one cause (I-7). The legs and what is unallocated sum to ``amount``."""

    buyer_id: str
    refund_id: str
    order_id: str | None
    """None for an overpayment, as is the merchant."""
    merchant_id: str | None
    case_id: str | None
    cause: RefundCause
    currency: str
    amount: int
    status: RefundStatus
    promise_by: date
    legs: tuple[Leg, ...] = ()
    unallocated: int = 0
    """What billing found to exceed the order; never paid (B-R4)."""
    content: str = ""
    """Digest of the request, by which its repetition is known (H-3); empty where no command asked."""

    @property
    def cash_amount(self) -> int:
        """What the refund pays out through providers: neither debt nor what the merchant pays outside (I-4)."""
        return sum(leg.amount for leg in self.legs if leg.kind in ("ORIGINAL_ROUTE", "WALLET"))

    def leg(self, leg_id: str) -> Leg | None:
        return next((leg for leg in self.legs if leg.leg_id == leg_id), None)

    def named(self) -> dict[str, Any]:
        """The fields in which every event says of which refund it speaks."""
        return {
            "buyer_id": self.buyer_id,
            "order_id": self.order_id,
            "merchant_id": self.merchant_id,
            "refund_id": self.refund_id,
            "case_id": self.case_id,
            "currency": self.currency,
        }
