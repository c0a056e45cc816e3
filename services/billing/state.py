"""The rows billing keeps, the machines they move through, and the entries of its journal.

The spec's *book* is spread over rows: a small header with the totals, and a row for each plan, bill, repayment and
refund, so that a message rewrites only what it changes.

The triggers in the machines are messages by their class and deadlines by their kind; SUCCEEDED is the end of a
repayment, the other outcomes are those a provider reports.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Literal, get_args

from shared.contracts.billing import BillKind, RefundCause, Stage
from shared.contracts.fields import Instrument, Product
from shared.contracts.policy import Approver, DunningTerms, ExtensionTerms, LateFeeTerms, RefundPolicy
from shared.engine.vocabulary import Entry, Live, Recurring, Row

__all__ = [
    "BILL_MACHINE",
    "EXTENSION_MACHINE",
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
    "Extension",
    "ExtensionStatus",
    "FeeBase",
    "FeePayment",
    "InFlight",
    "Instalment",
    "JournalFact",
    "LateFee",
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
    "Reversal",
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
    """Unpaid principal of all plans in minor units, charged off or not; what checkout calls used."""
    autopay: Autopay = Autopay()
    overdue: tuple[BillStage, ...] = ()
    overpayments: int = 0
    """How often money came in that nobody owed; numbers the overpayments, so that none of them shares an id."""

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
_PAUSES = ("ReturnOpened", "ReturnClosed", "AppealOpened", "AppealDecided", "PAUSE_END")
_MONEY = ("SUCCEEDED", "RecordExternalPayment")
_FEES_BACK = ("WaiveFee", "AppealDecided")
"""What was paid of a late fee that is taken back pays something else."""

PLAN_MACHINE: Mapping[PlanStatus, Mapping[str, tuple[PlanStatus, ...]]] = {
    _P.OPEN: {
        "RepayBill": (_P.OPEN,),
        **dict.fromkeys(_PAUSES, (_P.OPEN,)),
        **dict.fromkeys((*_MONEY, *_FEES_BACK, "RefundApproved"), (_P.OPEN, _P.SETTLED, _P.CHARGED_OFF)),
        **dict.fromkeys(("ChargeOffBill", "STEP"), (_P.OPEN, _P.SETTLED, _P.CHARGED_OFF)),
        "REINSTATE_DEBT": (_P.OPEN,),
    },
    _P.SETTLED: {
        "RefundApproved": (_P.SETTLED,),
        "REINSTATE_DEBT": (_P.OPEN,),
        **dict.fromkeys(_PAUSES, (_P.SETTLED,)),
    },
    _P.CHARGED_OFF: {
        "RepayBill": (_P.CHARGED_OFF,),
        **dict.fromkeys(_PAUSES, (_P.CHARGED_OFF,)),
        **dict.fromkeys((*_MONEY, *_FEES_BACK, "RefundApproved"), (_P.CHARGED_OFF, _P.SETTLED)),
        "REINSTATE_DEBT": (_P.OPEN,),
    },
}
"""On a settled plan nothing is left to pause, and refunds are cash alone. One of which fees alone were left is settled
when they are written off."""


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
    """Principal written off and not recovered; it can still be paid."""
    fee_charged_off: int = 0
    """Fee written off; it is forgiven."""
    paused: int = 0

    @property
    def outstanding(self) -> int:
        """Unpaid principal that is not written off."""
        return self.principal - self.paid - self.refunded - self.charged_off

    @property
    def owed(self) -> int:
        """Unpaid principal, written off or not."""
        return self.outstanding + self.charged_off

    @property
    def unpaid_fee(self) -> int:
        return self.fee - self.fee_paid - self.fee_charged_off

    @property
    def unpaid(self) -> int:
        """Everything the instalment still costs: principal, written off or not, and fee."""
        return self.owed + self.unpaid_fee

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
    reversed: int = 0
    """What the bank took back of this principal (B-C7)."""


@dataclass(frozen=True, slots=True)
class PausedShare:
    """What a pause keeps out of one instalment."""

    seq: int
    amount: int


@dataclass(frozen=True, slots=True)
class Pause:
    """A share of an order kept out of collection and dunning while a return or an appeal is open (B-H).

    It runs while it holds ``shares``. Afterwards it stays, for the events it has heard of and for the days it took of
    the order's allowance. A case that an appeal opens again has another one.
    """

    ref: str
    """The case or appeal it waits for."""
    heard: tuple[str, ...]
    """Ids of the events that opened and closed it: read once more, none of them pauses or resumes again."""
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
    reinstated: int = 0
    """Principal that reversed repayments brought back, on instalments of its own: not the order's price (B-C7)."""
    pauses: tuple[Pause, ...] = ()
    """In the order in which their cases were opened."""

    def with_instalment(self, one: Instalment) -> Plan:
        """The plan with this instalment in place of that of its ``seq``."""
        return replace(self, instalments=tuple(one if known.seq == one.seq else known for known in self.instalments))

    @property
    def fee(self) -> int:
        """All instalment fees."""
        return sum(one.fee for one in self.instalments)

    @property
    def paid(self) -> int:
        """Principal paid so far, less what a bank took back; below 0 where that had been overpaid and was returned."""
        return sum(one.paid for one in self.instalments) - self.reinstated

    @property
    def refunded(self) -> int:
        """Principal that refunds took away."""
        return sum(one.refunded for one in self.instalments)

    @property
    def outstanding(self) -> int:
        """Unpaid principal that is not written off."""
        return sum(one.outstanding for one in self.instalments)

    @property
    def owed(self) -> int:
        """Unpaid principal, written off or not."""
        return sum(one.owed for one in self.instalments)

    @property
    def unpaid(self) -> int:
        """Everything the order still costs: principal, written off or not, and fees."""
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
_EXTENSIONS = ("RequestExtension", "DecideExtension", "EXTENSION_END")


def _open(status: BillStatus) -> dict[str, tuple[BillStatus, ...]]:
    """What both kinds of an open bill know alike."""
    return {
        **dict.fromkeys(("DUE_SOON", "COLLECT", "RepayBill", *_PAUSES), (status,)),
        **dict.fromkeys(_MONEY, (status, _B.PAID)),
        **dict.fromkeys((*_FEES_BACK, "RefundApproved"), (status, _B.PAID, _B.VOIDED)),
        **dict.fromkeys(_EXTENSIONS, (status, _B.ISSUED)),
    }


BILL_MACHINE: Mapping[BillStatus, Mapping[str, tuple[BillStatus, ...]]] = {
    _B.SCHEDULED: {
        **dict.fromkeys(("OrderAccepted", "SUCCEEDED", "RefundApproved", *_PAUSES), (_B.SCHEDULED,)),
        "STATEMENT_CUT": (_B.ISSUED, _B.VOIDED),
    },
    _B.ISSUED: {**_open(_B.ISSUED), "STEP": (_B.OVERDUE,)},
    _B.OVERDUE: {
        **_open(_B.OVERDUE),
        "STEP": (_B.OVERDUE, _B.CHARGED_OFF, _B.PAID, _B.VOIDED),
        "ChargeOffBill": (_B.CHARGED_OFF, _B.PAID, _B.VOIDED),
    },
    _B.PAID: {"WaiveFee": (_B.PAID,)},
    _B.VOIDED: {"WaiveFee": (_B.VOIDED,)},
    _B.CHARGED_OFF: {
        "RepayBill": (_B.CHARGED_OFF,),
        **dict.fromkeys((*_FEES_BACK, *_MONEY), (_B.CHARGED_OFF, _B.PAID)),
        "RefundApproved": (_B.CHARGED_OFF, _B.PAID, _B.VOIDED),
    },
}
"""A statement on which nothing is left when it is cut goes, without having been issued (VOIDED and no event); a bill on
which fees alone were left goes when they are written off."""


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
    last_step: int = 0
    """The last step taken of its due date before the bill turned to another one; of its present one the bill knows."""

    @property
    def place(self) -> tuple[str, int]:
        """The instalment it is for: its order and its ``seq``; no other line of a bill has the same."""
        return self.order_id, self.seq


@dataclass(frozen=True, slots=True)
class InFlight:
    """The repayment whose end a bill is waiting for (B-C1)."""

    repayment_id: str
    amount: int
    """What of it would be paid on the bill, in minor units."""
    requested_at: datetime


@dataclass(frozen=True, slots=True)
class FeeBase:
    """What one order contributed to a late fee, in minor units of past-due principal (B-F1)."""

    order_id: str
    amount: int
    paused: int = 0
    """Its paused share at that time; a refund takes this first (B-F7)."""


@dataclass(frozen=True, slots=True)
class FeePayment:
    """What one repayment paid of a late fee."""

    repayment_id: str
    instrument: Instrument
    paid_on: date
    amount: int


@dataclass(frozen=True, slots=True)
class LateFee:
    """A late fee of a bill (B-F). Amount = paid + reversed + charged off + reinstated + unpaid."""

    fee_id: str
    amount: int
    dpd: int
    """The day past due on which it fell."""
    assessed_at: datetime
    base: tuple[FeeBase, ...]
    reversed: int = 0
    charged_off: int = 0
    reinstated: int = 0
    """What had been paid of it until a bank took it back: it is owed on another bill now, as a fee (B-C7)."""
    paid_by: tuple[FeePayment, ...] = ()
    appeals: tuple[str, ...] = ()
    """Appeals that were decided on it: told once more, none of them takes it back again."""

    @property
    def live(self) -> int:
        """What stands of it, paid or not."""
        return self.amount - self.reversed - self.charged_off

    @property
    def paid(self) -> int:
        return sum(one.amount for one in self.paid_by)

    @property
    def unpaid(self) -> int:
        return self.revocable - self.paid

    @property
    def revocable(self) -> int:
        """What of it can still be taken back here."""
        return self.live - self.reinstated


@dataclass(frozen=True, slots=True)
class Bill(
    Row,
    table="bill",
    owner="buyer_id",
    id="bill_id",
    unknown="UNKNOWN_BILL",
    live=Live.when("status", _B.SCHEDULED, _B.ISSUED, _B.OVERDUE, _B.CHARGED_OFF),
):
    """What falls due together. What its lines cost stands on the plans; a bill knows when, and its late fees.

    A line whose plan is not among the buyer's live ones costs nothing any more.
    """

    buyer_id: str
    bill_id: str
    kind: BillKind
    status: BillStatus
    currency: str
    due_on: date
    due_version: int
    lines: tuple[Line, ...]
    terms: Annotated[BillTerms, Recurring]
    billed: int
    """Principal of its lines when they were attached."""
    refunded: int = 0
    """What refunds took of it; billed - this is what its late fees are capped by (B-F3)."""
    late_fees: tuple[LateFee, ...] = ()
    statement_on: date | None = None
    extended: bool = False
    """Whether a later due date was granted; none is a second time (B-E)."""
    in_flight: InFlight | None = None
    tried: tuple[str, ...] = ()
    """Collection attempts made, as ``due_version:offset``; none is made twice (B-C2)."""
    last_step: int = 0
    """The last day past due of this due date that was a step taken; 0 for none."""
    max_dpd: int = 0
    stage: Stage = "NONE"
    paid_on: date | None = None
    """When the last repayment that paid on it was requested; None while nothing was paid."""

    @property
    def order_ids(self) -> tuple[str, ...]:
        """The orders on it, each once."""
        return tuple(dict.fromkeys(line.order_id for line in self.lines))

    def late_fee(self, fee_id: str | None) -> LateFee | None:
        """The late fee of this id; None where the bill has no such fee."""
        return next((fee for fee in self.late_fees if fee.fee_id == fee_id), None)

    def with_late_fee(self, fee: LateFee) -> Bill:
        """The bill with this late fee in place of that of its ``fee_id``."""
        return replace(self, late_fees=tuple(fee if known.fee_id == fee.fee_id else known for known in self.late_fees))

    @property
    def unpaid_late_fees(self) -> int:
        return sum(fee.unpaid for fee in self.late_fees)

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
    """Proof that the buyer was reminded of a bill, by due date: what a late fee rests on (B-F5).

    A row beside the bill, so that proof is kept whether or not the bill has been heard of yet.
    """

    buyer_id: str
    bill_id: str
    reminders: tuple[Reminder, ...]


# -- extensions --------------------------------------------------------------------------------------------------------


class ExtensionStatus(StrEnum):
    """What became of the wish for a later due date."""

    REQUESTED = "REQUESTED"
    GRANTED = "GRANTED"
    DECLINED = "DECLINED"
    LAPSED = "LAPSED"


_E = ExtensionStatus

EXTENSION_MACHINE: Mapping[ExtensionStatus, Mapping[str, tuple[ExtensionStatus, ...]]] = {
    _E.REQUESTED: {"DecideExtension": (_E.GRANTED, _E.DECLINED), "EXTENSION_END": (_E.LAPSED,)},
    _E.GRANTED: {},
    _E.DECLINED: {},
    _E.LAPSED: {},
}


@dataclass(frozen=True, slots=True)
class Extension(
    Row,
    table="extension",
    owner="buyer_id",
    id="extension_id",
    unknown="UNKNOWN_EXTENSION",
    live=Live.when("status", _E.REQUESTED),
):
    """A later due date that a buyer asked for (B-E)."""

    buyer_id: str
    extension_id: str
    bill_id: str
    status: ExtensionStatus
    days: int
    fee: int
    approver: Approver
    until: datetime
    """When it lapses unless it is decided."""
    content: str
    """Digest of the request, by which its repetition is known (H-3)."""


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
    _R.SUCCEEDED: {"ReportCollectionReversal": (_R.SUCCEEDED, _R.REVERSED)},
    _R.REVERSED: {},
}
"""The triggers of a ReportCollection are the outcomes it reports. After a failure only the late truth is news."""


@dataclass(frozen=True, slots=True)
class Allocation:
    """A part of a repayment and what it paid for (B-A1). A late fee stands under the first line of its bill."""

    order_id: str
    seq: int
    bill_id: str
    component: Component
    amount: int
    fee_id: str | None = None
    """The late fee, if it is one."""
    recovers: int = 0
    """How much of the principal had been charged off."""


@dataclass(frozen=True, slots=True)
class Repayment(
    Row,
    table="repayment",
    owner="buyer_id",
    id="repayment_id",
    unknown="UNKNOWN_REPAYMENT",
    live=Live.when("status", _R.REQUESTED, _R.PENDING, _R.UNKNOWN),
):
    """Money from the buyer: asked for through a provider, or paid outside and recorded by the merchant (EXTERNAL).

    Its target is one bill, or one order (``bill_id`` is None).
    """

    buyer_id: str
    repayment_id: str
    status: RepaymentStatus
    mode: Literal["MANUAL", "AUTO", "EXTERNAL"]
    bill_id: str | None
    order_id: str | None
    amount: int
    currency: str
    instrument: Instrument
    requested_at: datetime
    order_ids: tuple[str, ...]
    bill_ids: tuple[str, ...]
    """What it was meant for when it was asked for: the bill's orders and the bill, or the order and its bills."""
    waive_fee_ids: tuple[str, ...] = ()
    """Late fees that its success takes back: prompt payment (B-F6)."""
    content: str = ""
    """Digest of the request, by which its repetition is known (H-3); empty where no command asked."""
    asks: int = 0
    """How often the provider was asked (B-C4)."""
    allocations: tuple[Allocation, ...] = ()
    overpaid: int = 0
    reversed: int = 0
    """What the bank took back so far (B-C7)."""
    provider_ref: str | None = None
    """The provider's own reference of the outcome, or the merchant's proof: the evidence behind the journal."""


@dataclass(frozen=True, slots=True)
class Reversal(Row, table="reversal", owner="buyer_id", id="reversal_id", unknown="UNKNOWN_REVERSAL"):
    """Money of a repayment that a bank took back, and what of it was undone (B-C7)."""

    buyer_id: str
    reversal_id: str
    repayment_id: str
    currency: str
    amount: int
    reason: str
    undone: tuple[Allocation, ...]
    """In the order in which it was undone: what was overpaid as principal, then the allocations, the last first."""
    content: str
    """Digest of the report, by which its repetition is known (H-3)."""


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


JournalFact = Literal[
    "PLAN_OPENED",
    "LATE_FEE_ASSESSED",
    "EXTENSION_GRANTED",
    "REPAYMENT",
    "REPAYMENT_REVERSED",
    "FEE_REVERSED",
    "REFUND",
    "PAYOUT",
    "CHARGE_OFF",
]
"""What happened, for the reader of the journal."""


@dataclass(frozen=True, slots=True)
class Posting(Entry, table="journal", owner="buyer_id"):
    """One line of the journal: a debit or a credit, in minor units. Those of one cause sum to zero (I-1)."""

    buyer_id: str
    cause_id: str
    """The message that brought it about; with ``n`` the posting's own identity."""
    n: int
    posted_at: datetime
    fact: JournalFact
    account: LedgerAccount
    debit: int
    credit: int
    currency: str
    order_id: str | None = None
    bill_id: str | None = None
    merchant_id: str | None = None
