"""The rows billing keeps, the machines they move through, and the entries of its journal.

The spec's *book* is spread over rows: a small header with the totals, and a row for each plan, bill, repayment and
refund, so that a message rewrites only what it changes. States that belong to statements, write-offs and reversals are
named here already; the triggers that lead there join the machines together with their messages.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from typing import Literal, get_args

from shared.contracts.billing import BillKind, RefundCause, Stage
from shared.contracts.fields import Instrument, Product
from shared.contracts.policy import DunningTerms, ExtensionTerms, LateFeeTerms, RefundPolicy
from shared.engine.vocabulary import Entry, Live, Row

__all__ = [
    "BILL_MACHINE",
    "PLAN_MACHINE",
    "REPAYMENT_MACHINE",
    "STAGES",
    "Allocation",
    "Autopay",
    "Bill",
    "BillStage",
    "BillStatus",
    "BillTerms",
    "Book",
    "Component",
    "Evidence",
    "InFlight",
    "Instalment",
    "LedgerAccount",
    "Line",
    "Pause",
    "PausedShare",
    "Payment",
    "Plan",
    "PlanStatus",
    "Posting",
    "Refund",
    "Reminder",
    "Repayment",
    "RepaymentStatus",
]

Component = Literal["LATE_FEE", "FEE", "PRINCIPAL"]
"""What a part of a repayment pays for: penalty, then fee, then principal."""


# -- the book ----------------------------------------------------------------------------------------------------------


STAGES: tuple[Stage, ...] = get_args(Stage)
"""In ascending order of severity."""


@dataclass(frozen=True, slots=True)
class Autopay:
    """The buyer's standing order to collect what is due; ``blocked`` by a hard decline until the instrument changes."""

    enabled: bool = True
    instrument: Instrument | None = None
    blocked: bool = False
    told_by: tuple[str, ...] = ()
    """Ids of the messages that named a card: read once more, none of them brings back an old one or lifts a block."""

    @property
    def usable(self) -> bool:
        return self.enabled and self.instrument is not None and not self.blocked

    def paid_with(self, instrument: Instrument) -> Autopay:
        """The same order on another instrument, which lifts the block."""
        if instrument == self.instrument:
            return self
        return replace(self, instrument=instrument, blocked=False)

    def told(self, instrument: Instrument | None, message_id: str) -> Autopay:
        """The same order after a message named a card, or None; unchanged by one that was heard before."""
        if instrument is None or message_id in self.told_by:
            return self
        return replace(self.paid_with(instrument), told_by=(*self.told_by, message_id))


@dataclass(frozen=True, slots=True)
class BillStage:
    """An overdue bill of the book and the stage it has reached."""

    bill_id: str
    stage: Stage


@dataclass(frozen=True, slots=True)
class Book(Row, table="book", owner="buyer_id", unknown="UNKNOWN_ACCOUNT"):
    """The header of a buyer's debts: the totals and settings that every bill of the buyer shares."""

    buyer_id: str
    currency: str
    version: int = 0
    """Raised by one with every message that changes ``outstanding_principal``."""
    outstanding_principal: int = 0
    """Unpaid principal of all plans, in minor units; what checkout calls used."""
    autopay: Autopay = Autopay()
    overdue: tuple[BillStage, ...] = ()

    @property
    def stage(self) -> Stage:
        """The worst stage among the bills: the buyer's."""
        return max((one.stage for one in self.overdue), key=STAGES.index, default="NONE")

    def owing(self, change: int) -> Book:
        """The book after its unpaid principal changed by ``change``; unchanged by 0."""
        if change == 0:
            return self
        principal = self.outstanding_principal + change
        return replace(self, version=self.version + 1, outstanding_principal=principal)

    def staged(self, bill_id: str, stage: Stage) -> Book:
        """The book after a bill reached a stage, or with NONE left them all."""
        others = tuple(one for one in self.overdue if one.bill_id != bill_id)
        return replace(self, overdue=others if stage == "NONE" else (*others, BillStage(bill_id, stage)))


# -- plans -------------------------------------------------------------------------------------------------------------


class PlanStatus(StrEnum):
    """Whether something is left on an order."""

    OPEN = "OPEN"
    SETTLED = "SETTLED"
    CHARGED_OFF = "CHARGED_OFF"


_P = PlanStatus
_PAUSES = ("ReturnOpened", "ReturnClosed", "PAUSE_END")

PLAN_MACHINE: Mapping[PlanStatus, Mapping[str, tuple[PlanStatus, ...]]] = {
    _P.OPEN: {
        "SUCCEEDED": (_P.OPEN, _P.SETTLED),
        "RefundApproved": (_P.OPEN, _P.SETTLED),
        **dict.fromkeys(_PAUSES, (_P.OPEN,)),
    },
    _P.SETTLED: {"RefundApproved": (_P.SETTLED,), **dict.fromkeys(_PAUSES, (_P.SETTLED,))},
    _P.CHARGED_OFF: {},
}
"""SUCCEEDED is the end of a repayment. On a settled plan nothing is left to pause, and refunds are cash alone."""


@dataclass(frozen=True, slots=True)
class Instalment:
    """One part of a plan, billed as a line of ``bill_id``. Principal = paid + refunded + charged off + outstanding."""

    seq: int
    bill_id: str
    principal: int
    fee: int
    paid: int = 0
    fee_paid: int = 0
    refunded: int = 0
    charged_off: int = 0
    paused: int = 0

    @property
    def outstanding(self) -> int:
        """Unpaid principal."""
        return self.principal - self.paid - self.refunded - self.charged_off

    @property
    def unpaid_fee(self) -> int:
        return self.fee - self.fee_paid

    @property
    def unpaid(self) -> int:
        """Everything the instalment still costs: principal and fee."""
        return self.outstanding + self.unpaid_fee

    @property
    def due_part(self) -> int:
        """What may be collected: a pause takes its share out, and the fee too where all principal is paused."""
        running = self.outstanding - self.paused
        return running + self.unpaid_fee if running or not self.paused else 0


@dataclass(frozen=True, slots=True)
class Payment:
    """What one repayment paid on one order; refunds go back along it."""

    repayment_id: str
    instrument: Instrument
    paid_on: date
    principal: int
    refundable: int


@dataclass(frozen=True, slots=True)
class PausedShare:
    """What a pause keeps out of one instalment."""

    seq: int
    amount: int


@dataclass(frozen=True, slots=True)
class Pause:
    """A share of an order kept out of collection and dunning while a return case is open (B-H).

    It runs while it holds ``shares``. Afterwards it stays, for the events it has heard of and for the days it took of
    the order's allowance. A case that an appeal opens again has another one.
    """

    ref: str
    """The case it waits for."""
    heard: tuple[str, ...]
    """Ids of the events that opened and closed the case: read once more, none of them pauses or resumes again."""
    opened_on: date
    until: datetime | None
    """When it ends at the latest; None where nothing was left to pause."""
    shares: tuple[PausedShare, ...] = ()
    ended_on: date | None = None
    """The day on which its last share was resumed, paid or refunded."""


@dataclass(frozen=True, slots=True)
class Plan(
    Row,
    table="plan",
    owner="buyer_id",
    id="order_id",
    unknown="UNKNOWN_ORDER",
    live=Live.when("status", PlanStatus.OPEN, PlanStatus.CHARGED_OFF),
):
    """The debt of one order, from its acceptance."""

    buyer_id: str
    order_id: str
    merchant_id: str
    status: PlanStatus
    product: Product
    currency: str
    accepted_on: date
    principal: int
    instalments: tuple[Instalment, ...]
    refund_policy: RefundPolicy
    """Which instalments a refund lowers first; of the order's terms the only one the bills do not carry."""
    payments: tuple[Payment, ...] = ()
    settled_on: date | None = None
    refunded_total: int = 0
    """What refunds gave back so far, as less debt or in cash; principal - this is the rest of the order (B-R4)."""
    pauses: tuple[Pause, ...] = ()
    """In the order in which their cases were opened."""

    @property
    def fee(self) -> int:
        """All instalment fees."""
        return sum(one.fee for one in self.instalments)

    @property
    def paid(self) -> int:
        """Principal paid so far."""
        return sum(one.paid for one in self.instalments)

    @property
    def refunded(self) -> int:
        """Principal that refunds took away."""
        return sum(one.refunded for one in self.instalments)

    @property
    def unpaid(self) -> int:
        return sum(one.unpaid for one in self.instalments)


# -- bills -------------------------------------------------------------------------------------------------------------


class BillStatus(StrEnum):
    """Where a bill stands (spec 2.1)."""

    SCHEDULED = "SCHEDULED"
    ISSUED = "ISSUED"
    OVERDUE = "OVERDUE"
    PAID = "PAID"
    VOIDED = "VOIDED"
    CHARGED_OFF = "CHARGED_OFF"


_B = BillStatus

BILL_MACHINE: Mapping[BillStatus, Mapping[str, tuple[BillStatus, ...]]] = {
    _B.SCHEDULED: {},
    _B.ISSUED: {
        "DUE_SOON": (_B.ISSUED,),
        "COLLECT": (_B.ISSUED,),
        "STEP": (_B.OVERDUE,),
        "SUCCEEDED": (_B.ISSUED, _B.PAID),
        "RefundApproved": (_B.ISSUED, _B.PAID, _B.VOIDED),
        **dict.fromkeys(_PAUSES, (_B.ISSUED,)),
    },
    _B.OVERDUE: {
        "DUE_SOON": (_B.OVERDUE,),
        "COLLECT": (_B.OVERDUE,),
        "STEP": (_B.OVERDUE,),
        "SUCCEEDED": (_B.OVERDUE, _B.PAID),
        "RefundApproved": (_B.OVERDUE, _B.PAID, _B.VOIDED),
        **dict.fromkeys(_PAUSES, (_B.OVERDUE,)),
    },
    _B.PAID: {},
    _B.VOIDED: {},
    _B.CHARGED_OFF: {},
}
"""SUCCEEDED is the end of a repayment that pays on the bill."""


@dataclass(frozen=True, slots=True)
class BillTerms:
    """The terms a bill lives under: those of the first line attached to it (B-P4)."""

    late_fee: LateFeeTerms
    extension: ExtensionTerms
    dunning: DunningTerms


@dataclass(frozen=True, slots=True)
class Line:
    """One instalment on a bill. ``due_version`` numbers the due dates the bill has had; this line has that one."""

    order_id: str
    merchant_id: str
    seq: int
    due_on: date
    due_version: int
    paused_dpd: int | None = None
    """While all that is unpaid of it is paused: how many days past due it was when that began; else None (B-H3)."""


@dataclass(frozen=True, slots=True)
class InFlight:
    """The repayment whose end a bill is waiting for (B-C1)."""

    repayment_id: str
    amount: int
    requested_at: datetime


@dataclass(frozen=True, slots=True)
class Bill(
    Row,
    table="bill",
    owner="buyer_id",
    id="bill_id",
    unknown="UNKNOWN_BILL",
    live=Live.when("status", _B.SCHEDULED, _B.ISSUED, _B.OVERDUE, _B.CHARGED_OFF),
):
    """What falls due together. Amounts stand on the plans; a bill knows when, and what was tried so far."""

    buyer_id: str
    bill_id: str
    kind: BillKind
    status: BillStatus
    currency: str
    due_on: date
    due_version: int
    lines: tuple[Line, ...]
    terms: BillTerms
    in_flight: InFlight | None = None
    tried: tuple[str, ...] = ()
    """Collection attempts made, as ``due_version:offset``; none is made twice (B-C2)."""
    last_step: int = 0
    """The last day past due of this due date that was a step taken; 0 for none."""
    max_dpd: int = 0
    stage: Stage = "NONE"
    paid_on: date | None = None

    @property
    def attempts(self) -> int:
        """Collections tried for the present due date."""
        return sum(one.startswith(f"{self.due_version}:") for one in self.tried)


@dataclass(frozen=True, slots=True)
class Reminder:
    """When the buyer was first reminded of one due date."""

    due_version: int
    sent_at: datetime


@dataclass(frozen=True, slots=True)
class Evidence(Row, table="evidence", owner="buyer_id", id="bill_id"):
    """Proof that the buyer was reminded of a bill, by due date: what a late fee will have to rest on (B-F5).

    A row beside the bill, so that proof is kept whether or not the bill has been heard of yet.
    """

    buyer_id: str
    bill_id: str
    reminders: tuple[Reminder, ...]


# -- repayments --------------------------------------------------------------------------------------------------------


class RepaymentStatus(StrEnum):
    """What is known of a repayment (spec 2.2). A missing or unknown outcome is never success."""

    REQUESTED = "REQUESTED"
    PENDING = "PENDING"
    UNKNOWN = "UNKNOWN"
    FAILED = "FAILED"
    SUCCEEDED = "SUCCEEDED"
    REVERSED = "REVERSED"


_R = RepaymentStatus

_OPEN: Mapping[str, tuple[RepaymentStatus, ...]] = {
    "SUCCEEDED": (_R.SUCCEEDED,),
    "DECLINED": (_R.FAILED,),
    "PENDING": (_R.PENDING,),
    "UNKNOWN": (_R.UNKNOWN,),
}

REPAYMENT_MACHINE: Mapping[RepaymentStatus, Mapping[str, tuple[RepaymentStatus, ...]]] = {
    _R.REQUESTED: {**_OPEN, "ASK": (_R.UNKNOWN,)},
    _R.PENDING: {**_OPEN, "ASK": (_R.PENDING,)},
    _R.UNKNOWN: {**_OPEN, "ASK": (_R.UNKNOWN,)},
    _R.FAILED: {"SUCCEEDED": (_R.SUCCEEDED,)},
    _R.SUCCEEDED: {},
    _R.REVERSED: {},
}
"""The triggers of a ReportCollection are the outcomes it reports. After a failure only the late truth is news."""


@dataclass(frozen=True, slots=True)
class Allocation:
    """A part of a repayment and what it paid for (B-A1)."""

    order_id: str
    seq: int
    bill_id: str
    component: Component
    amount: int


@dataclass(frozen=True, slots=True)
class Repayment(
    Row,
    table="repayment",
    owner="buyer_id",
    id="repayment_id",
    unknown="UNKNOWN_REPAYMENT",
    live=Live.when("status", _R.REQUESTED, _R.PENDING, _R.UNKNOWN),
):
    """Money asked from the buyer through a provider. Its target is one bill, or one order (``bill_id`` is None)."""

    buyer_id: str
    repayment_id: str
    status: RepaymentStatus
    mode: Literal["MANUAL", "AUTO"]
    bill_id: str | None
    order_id: str | None
    amount: int
    currency: str
    instrument: Instrument
    requested_at: datetime
    content: str = ""
    """Digest of the request, by which its repetition is known (H-3); empty where no command asked."""
    asks: int = 0
    """How often the provider was asked (B-C4)."""
    allocations: tuple[Allocation, ...] = ()
    overpaid: int = 0
    provider_ref: str | None = None
    """The provider's own reference of the outcome: the evidence behind the journal."""


# -- refunds -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Refund(Row, table="refund", owner="buyer_id", id="refund_id", unknown="UNKNOWN_REFUND"):
    """A refund and how it fell, in minor units; an overpayment is one as well, all of it cash.

    It is the mark by which a repeated RefundApproved is known, and what reports of its payouts wait for.
    """

    buyer_id: str
    refund_id: str
    cause: RefundCause
    order_id: str | None
    bill_id: str | None
    merchant_id: str | None
    """What it is about: the order and its merchant; of an overpayment the target of the repayment."""
    currency: str
    amount: int
    debt: int = 0
    cash: int = 0
    external: int = 0
    """What the merchant repays outside, as it was paid outside."""
    unallocated: int = 0
    """What exceeds the order: an alarm, never cash (B-R4)."""
    posted: tuple[str, ...] = ()
    """``<payout_id>:<outcome>`` of the reports that are in the journal; none is posted twice."""


# -- the journal -------------------------------------------------------------------------------------------------------


class LedgerAccount(StrEnum):
    """The chart of accounts (spec 6)."""

    PROVIDER_CASH = "1000"
    PRINCIPAL_RECEIVABLE = "1100"
    FEE_RECEIVABLE = "1110"
    LATE_FEE_RECEIVABLE = "1120"
    MERCHANT_PAYABLE = "2000"
    REFUNDS_PAYABLE = "2100"
    BUYER_CREDIT = "2200"
    INSTALMENT_FEE_INCOME = "4000"
    LATE_FEE_INCOME = "4100"
    EXTENSION_FEE_INCOME = "4200"
    RECOVERIES = "4900"
    CREDIT_LOSS = "5000"


@dataclass(frozen=True, slots=True)
class Posting(Entry, table="journal", owner="buyer_id"):
    """One line of the journal: a debit or a credit, in minor units. Those of one cause sum to zero (I-1)."""

    buyer_id: str
    cause_id: str
    """The message that brought it about; with ``n`` the posting's own identity."""
    n: int
    posted_at: datetime
    account: LedgerAccount
    debit: int
    credit: int
    currency: str
    order_id: str | None = None
    bill_id: str | None = None
    merchant_id: str | None = None
