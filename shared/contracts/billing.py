"""Messages of billing: plans, bills, repayments, dunning.

``outstanding_principal`` and ``book_version`` stand on every event that changes a buyer's debt: the unpaid principal
of all the buyer's plans after the whole message, and a number that grows by one with each such message (README 11).
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from shared.contracts.fields import (
    BusinessDate,
    BuyerId,
    ChosenId,
    Code,
    Count,
    Currency,
    DerivedId,
    Instant,
    Instrument,
    Listed,
    MerchantId,
    Money,
    OrderId,
    Part,
    Product,
    Ref,
    Text,
    example,
)
from shared.contracts.message import Command, Event, Rejection
from shared.contracts.policy import Approver, RefundPolicy

__all__ = [
    "Allocation",
    "AutopayChanged",
    "BillChargedOff",
    "BillDueSoon",
    "BillIssued",
    "BillKind",
    "BillLine",
    "BillPaid",
    "BillPaused",
    "BillResumed",
    "BillVoided",
    "Bucket",
    "ChargeOffBill",
    "CollectionFailed",
    "CollectionPending",
    "CollectionRequested",
    "CommandRejected",
    "DebtChanged",
    "DecideExtension",
    "DelinquencyChanged",
    "ExtensionDecided",
    "ExtensionRequested",
    "FeeReversalCause",
    "FeeReversed",
    "Instalment",
    "InstalmentBalance",
    "LateFeeAssessed",
    "LateFeeWithheld",
    "LegKind",
    "OverpaymentDetected",
    "PlanOpened",
    "PlanReopened",
    "PlanSettled",
    "RecordExternalPayment",
    "RefundAllocated",
    "RefundCause",
    "RefundEffect",
    "RefundLeg",
    "RefundSimulated",
    "RefundStep",
    "RepayBill",
    "RepaymentAllocated",
    "RepaymentReversed",
    "ReportCollection",
    "ReportCollectionReversal",
    "RequestExtension",
    "SetAutopay",
    "SimulateRefund",
    "Stage",
    "WaiveFee",
]

BillKind = Literal["PAY_AFTER_USE", "MONTHLY", "REVERSAL"]
Bucket = Literal["NONE", "D1_3", "D4_30", "D31_60", "D61_90", "D91_120", "D121_180", "D181_UP"]
Stage = Literal["NONE", "REMINDER", "RESTRICTED", "SUSPENDED", "COLLECTIONS", "CHARGED_OFF"]
BillId = Annotated[
    DerivedId,
    Field(description="The bill: b:<order_id>, m:<buyer_id>:<statement_on> or r:<reversal_id>"),
]
RepaymentId = Annotated[
    DerivedId,
    Field(description="The repayment: chosen by the sender, a:<bill_id>:<due_version>:<offset> or x:<external_ref>"),
]
LegKind = Literal["DEBT", "ORIGINAL_ROUTE", "WALLET", "EXTERNAL"]
RefundEffect = Literal[
    "LOWERS_PRINCIPAL",
    "LOWERS_CHARGED_OFF",
    "CANCELS_FEE",
    "REVERSES_LATE_FEE",
    "PAYS_FEE",
    "PAYS_LATE_FEE",
    "RETURNS_CASH",
    "EXCEEDS_ORDER",
]
RefundCause = Literal["RETURN", "CLAIM", "GOODWILL", "APPEAL", "DISPUTE", "OVERPAYMENT"]
RefundId = Annotated[
    DerivedId,
    Field(description="The refund: chosen by the sender, <case_id>:r<n>, <appeal_id>:r<n> or op:<overpayment_id>"),
]
FeeId = Annotated[DerivedId, Field(description="The late fee: <bill_id>:f<n>, n from 1")]
ExtensionId = Annotated[ChosenId, Field(description="The extension, unique per buyer")]
FeeReversalCause = Literal["PROMPT_PAYMENT", "REFUND", "LATE_SUCCESS", "APPEAL", "WAIVER"]
DueVersion = Annotated[Count, Field(description="Which due date of the bill this is, counted from 1")]
Dpd = Annotated[Count, Field(description="Days past due")]

_INSTRUMENT = {"kind": "CARD", "token": "tok_4f6d"}
_ORDER = {"buyer_id": "b-7", "order_id": "o-1001", "merchant_id": "m-42"}
_BILL = {"buyer_id": "b-7", "bill_id": "b:o-1001"}
_REPAYMENT = {"buyer_id": "b-7", "repayment_id": "a:b:o-1001:1:0"}
_DEBT = {"outstanding_principal": 25769, "book_version": 1}
_EXTENSION = {"buyer_id": "b-7", "extension_id": "ext-1", "bill_id": "b:o-1001"}


def _split(refund_id: str) -> dict[str, object]:
    """How 8,000 fall on 3,333 and 3,333 that are unpaid and 3,334 that were paid (examples)."""
    back = {"amount": 1334, "repayment_id": "a:b:o-1001:1:0"}
    return {
        "legs": [
            {"leg_id": f"{refund_id}:1", "kind": "DEBT", "amount": 6666},
            {"leg_id": f"{refund_id}:2", "kind": "ORIGINAL_ROUTE", "instrument": _INSTRUMENT, **back},
        ],
        "before": [
            {"seq": 1, "outstanding": 0},
            {"seq": 2, "outstanding": 3333},
            {"seq": 3, "outstanding": 3333},
        ],
        "after": [{"seq": seq, "outstanding": 0} for seq in (1, 2, 3)],
        "policy": "REVERSE_DUE",
        "value_on": "2027-03-22",
        "fees_reversed": 0,
        "fees_cancelled": 0,
        "unallocated": 0,
        "trace": [
            {"does": "LOWERS_PRINCIPAL", "amount": 3333, "order_id": "o-1001", "seq": 3},
            {"does": "LOWERS_PRINCIPAL", "amount": 3333, "order_id": "o-1001", "seq": 2},
            {"does": "RETURNS_CASH", **back},
        ],
    }


# ------------------------------------------------------------------ parts


class Instalment(Part):
    """One instalment of a plan and the bill it sits on."""

    seq: Count = Field(description="Place in the plan, from 1")
    bill_id: BillId
    due_on: BusinessDate = Field(description="Payable until the end of this day")
    principal: Money = Field(description="Principal in minor units")
    fee: Money = Field(description="Instalment fee in minor units")


class BillLine(Part):
    """One instalment as it stands on a bill."""

    order_id: OrderId
    merchant_id: MerchantId
    seq: Count = Field(description="Which instalment of the order's plan, from 1")
    of: Count = Field(description="How many instalments the plan has")
    principal: Money = Field(description="Principal in minor units")
    fee: Money = Field(description="Instalment fee in minor units")


class Allocation(Part):
    """Where a part of a repayment went (B-A1)."""

    order_id: OrderId | None = Field(default=None, description="The order; absent for a late fee, which is the bill's")
    seq: Count | None = Field(default=None, description="The instalment; absent for a late fee")
    bill_id: BillId
    component: Literal["LATE_FEE", "FEE", "PRINCIPAL"] = Field(description="What was paid")
    amount: Money = Field(description="Amount in minor units")


class RefundLeg(Part):
    """A share of a refund and what it does: DEBT lowers the plan, the others are money that goes out (B-R3)."""

    leg_id: DerivedId = Field(description="The leg: <refund_id>:<n>, n from 1")
    kind: LegKind = Field(description="Less debt, cash to where it came from, cash to the wallet, or paid outside")
    amount: Money = Field(description="Amount in minor units")
    instrument: Instrument | None = Field(default=None, description="Where the money goes; absent for DEBT and WALLET")
    repayment_id: RepaymentId | None = Field(default=None, description="The payment that goes back, if it is one")


class RefundStep(Part):
    """One step in which a refund was taken, in the order of B-R1: the steps together explain where every cent went."""

    does: RefundEffect = Field(
        description="What it does; cancelled and reversed fees (B-R2, B-F7) come on top of the refund's amount"
    )
    amount: Money = Field(description="By how much, in minor units")
    order_id: OrderId | None = Field(default=None, description="The order whose instalment it is, if it is one")
    seq: Count | None = Field(default=None, description="The instalment, if it is one")
    bill_id: BillId | None = Field(default=None, description="The bill of a late fee")
    fee_id: FeeId | None = Field(default=None, description="The late fee, if it is one")
    repayment_id: RepaymentId | None = Field(default=None, description="The payment that goes back, if it is one")


class InstalmentBalance(Part):
    """Unpaid principal of one instalment."""

    seq: Count = Field(description="Place in the plan, from 1")
    outstanding: Money = Field(description="Unpaid principal in minor units")


class DebtChanged(Event):
    """An event after which the buyer's debt is another (README section 11)."""

    outstanding_principal: Money = Field(
        description="Unpaid principal of all the buyer's plans after this message, in minor units"
    )
    book_version: Count = Field(description="Grows with every message that changes the principal; newest wins")


# ------------------------------------------------------------------ commands


class RepayBill(Command, service="billing", subject="repayment_id", sender="shop"):
    """A buyer pays now, a bill or an order (BIL-05)."""

    model_config = example(
        buyer_id="b-7",
        repayment_id="pay-1",
        bill_id="b:o-1001",
        currency="CNY",
        amount=25769,
        instrument=_INSTRUMENT,
    )

    buyer_id: BuyerId
    repayment_id: ChosenId = Field(description="Id of this repayment, unique per buyer")
    bill_id: BillId | None = Field(default=None, description="The bill to pay; exactly one of bill_id and order_id")
    order_id: OrderId | None = Field(default=None, description="The order to pay; exactly one of bill_id and order_id")
    currency: Currency
    amount: Money = Field(description="From 1 to what is outstanding, in minor units")
    instrument: Instrument = Field(description="What to pay with; not EXTERNAL")

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        if (self.bill_id is None) == (self.order_id is None):
            raise ValueError("exactly one of bill_id and order_id must be present")
        return self


class SetAutopay(Command, service="billing", subject="buyer_id", sender="shop"):
    """Switch automatic deduction on or off, or change its instrument (BIL-06)."""

    model_config = example(buyer_id="b-7", enabled=True, instrument=_INSTRUMENT)

    buyer_id: BuyerId
    enabled: bool = Field(description="On or off")
    instrument: Instrument | None = Field(default=None, description="New instrument; absent: as before")


class ReportCollection(
    Command, service="billing", subject="repayment_id", sender="provider adapter", not_content=("occurred_at",)
):
    """A payment provider's answer to a CollectionRequested, or its later truth (B-C)."""

    model_config = example(
        **_REPAYMENT,
        outcome="SUCCEEDED",
        currency="CNY",
        amount=25769,
        provider_ref="psp-889",
        occurred_at="2027-03-19T06:00:02Z",
    )

    buyer_id: BuyerId
    repayment_id: RepaymentId
    outcome: Literal["SUCCEEDED", "DECLINED", "PENDING", "UNKNOWN"] = Field(
        description="What the provider says; PENDING and UNKNOWN are never success"
    )
    decline: Literal["SOFT", "HARD"] | None = Field(
        default=None, description="DECLINED: whether another try makes sense; absent: SOFT"
    )
    reason: Text | None = Field(default=None, description="The provider's reason")
    currency: Currency
    amount: Money = Field(description="Amount the provider answers for, in minor units; must be the one requested")
    provider_ref: Ref = Field(description="The provider's own reference")
    occurred_at: Instant = Field(description="When it happened at the provider")


class ReportCollectionReversal(
    Command, service="billing", subject="reversal_id", sender="provider adapter", not_content=("occurred_at",)
):
    """A bank took a repayment back, or the buyer charged it back: what it paid is owed again (B-C7)."""

    model_config = example(
        buyer_id="b-7",
        reversal_id="cb-1",
        repayment_id="a:b:o-1001:1:0",
        currency="CNY",
        amount=25769,
        reason="CHARGEBACK",
        occurred_at="2027-05-10T02:00:00Z",
    )

    buyer_id: BuyerId
    reversal_id: ChosenId = Field(description="Id of this reversal, unique per buyer")
    repayment_id: RepaymentId
    currency: Currency
    amount: Money = Field(description="From 1 to what is not yet reversed of the repayment, in minor units")
    reason: Text = Field(description="The bank's reason")
    occurred_at: Instant = Field(description="When it happened at the provider")


class RecordExternalPayment(
    Command, service="billing", subject="external_ref", sender="merchant", not_content=("occurred_at",)
):
    """The buyer paid a bill to the merchant, outside Houfu (B-C6, ABU-8)."""

    model_config = example(
        buyer_id="b-7",
        external_ref="till-889",
        bill_id="b:o-1001",
        currency="CNY",
        amount=12000,
        channel="CASH",
        proof_ref="receipt-889",
        by="MERCHANT",
        occurred_at="2027-03-19T06:00:00Z",
    )

    buyer_id: BuyerId
    external_ref: ChosenId = Field(description="The merchant's id of the payment, unique per buyer")
    bill_id: BillId
    currency: Currency
    amount: Money = Field(description="From 1 to what is outstanding, in minor units")
    channel: Code = Field(description="How it was paid")
    proof_ref: Ref = Field(description="The merchant's receipt")
    by: Literal["MERCHANT", "PLATFORM"] = Field(description="Who records it")
    occurred_at: Instant = Field(description="When it was paid, at most 30 days ago")


class RequestExtension(Command, service="billing", subject="extension_id", sender="shop"):
    """A buyer wants a later due date (BIL-13, B-E)."""

    model_config = example(**_EXTENSION, days=7, reason="salary comes on the 25th")

    buyer_id: BuyerId
    extension_id: ExtensionId
    bill_id: BillId
    days: Count = Field(description="By how many days; one of the options of the bill's terms")
    reason: Text = Field(description="Why, in the buyer's words")


class DecideExtension(Command, service="billing", subject="extension_id", sender="merchant, desk"):
    """The answer of whoever decides on an extension (B-E)."""

    model_config = example(**_EXTENSION, decision="GRANTED", by="MERCHANT")

    buyer_id: BuyerId
    extension_id: ExtensionId
    bill_id: BillId
    decision: Literal["GRANTED", "DECLINED"] = Field(description="Granted or not")
    by: Literal["MERCHANT", "PLATFORM"] = Field(description="Who decides; must be the approver")


class SimulateRefund(Command, service="billing", subject="simulation_id", sender="shop, desk"):
    """Ask what a refund would do; nothing changes (B-R)."""

    model_config = example(
        **_ORDER,
        simulation_id="sim-1",
        currency="CNY",
        amount=8000,
        value_on="2027-03-22",
        destination="ORIGINAL_ROUTE",
    )

    buyer_id: BuyerId
    simulation_id: ChosenId = Field(description="Id of this question")
    order_id: OrderId
    merchant_id: MerchantId
    currency: Currency
    amount: Money = Field(description="From 1 to the rest of the order, in minor units")
    value_on: BusinessDate | None = Field(default=None, description="From when on it counts for fees; absent: today")
    destination: Literal["ORIGINAL_ROUTE", "WALLET"] = Field(description="Where cash would go")


class WaiveFee(Command, service="billing", subject="fee_id", sender="desk"):
    """Support drops a late fee (B-F)."""

    model_config = example(**_BILL, fee_id="b:o-1001:f1", reason="first time", by="PLATFORM")

    buyer_id: BuyerId
    bill_id: BillId
    fee_id: FeeId
    reason: Text = Field(description="Why")
    by: Literal["MERCHANT", "PLATFORM"] = Field(description="Who waives it; only the platform may")


class ChargeOffBill(Command, service="billing", subject="bill_id", sender="desk"):
    """An overdue bill is written off before its time: death, insolvency (B-D4)."""

    model_config = example(**_BILL, reason="insolvency", by="PLATFORM")

    buyer_id: BuyerId
    bill_id: BillId
    reason: Text = Field(description="Why")
    by: Literal["MERCHANT", "PLATFORM"] = Field(description="Who writes it off; only the platform may")


# ------------------------------------------------------------------ events: the plan


class PlanOpened(DebtChanged, service="billing", subject="order_id"):
    """The debt of an order exists; its instalments sit on bills (B-P)."""

    model_config = example(
        **_ORDER,
        currency="CNY",
        product="PAY_AFTER_USE",
        principal=25769,
        fee=0,
        instalments=[{"seq": 1, "bill_id": "b:o-1001", "due_on": "2027-03-19", "principal": 25769, "fee": 0}],
        **_DEBT,
    )

    buyer_id: BuyerId
    order_id: OrderId
    merchant_id: MerchantId
    currency: Currency
    product: Product = Field(description="Pay within days of acceptance, or on monthly statements")
    principal: Money = Field(description="Accepted amount in minor units")
    fee: Money = Field(description="Instalment fee of the whole plan in minor units")
    instalments: Listed[Instalment] = Field(description="The schedule; sums to principal and fee")


class PlanSettled(Event, service="billing", subject="order_id"):
    """Nothing is left to pay on an order."""

    model_config = example(**_ORDER, currency="CNY", settled_on="2027-03-19", paid=25769, refunded=0)

    buyer_id: BuyerId
    order_id: OrderId
    merchant_id: MerchantId
    currency: Currency
    settled_on: BusinessDate = Field(description="On which day")
    paid: Money = Field(description="Principal that was paid, in minor units")
    refunded: Money = Field(description="Principal that refunds took away, in minor units")


class PlanReopened(DebtChanged, service="billing", subject="order_id"):
    """Something is owed again on an order, because a repayment was reversed (B-C7)."""

    model_config = example(
        **_ORDER, currency="CNY", principal=25769, fee=0, bill_id="r:cb-1", due_on="2027-05-13", **_DEBT
    )

    buyer_id: BuyerId
    order_id: OrderId
    merchant_id: MerchantId
    currency: Currency
    principal: Money = Field(description="Principal that is owed again, in minor units")
    fee: Money = Field(default=0, description="Fees that are owed again, in minor units")
    bill_id: BillId
    due_on: BusinessDate = Field(description="Payable until the end of this day")


# ------------------------------------------------------------------ events: the bill


class BillIssued(Event, service="billing", subject="bill_id"):
    """A bill's amount is fixed and payable (BIL-09)."""

    model_config = example(
        **_BILL,
        currency="CNY",
        kind="PAY_AFTER_USE",
        due_on="2027-03-19",
        due_version=1,
        lines=[{"order_id": "o-1001", "merchant_id": "m-42", "seq": 1, "of": 1, "principal": 25769, "fee": 0}],
        amount_due=25769,
        paused=0,
    )

    buyer_id: BuyerId
    bill_id: BillId
    currency: Currency
    kind: BillKind = Field(description="One order, a monthly statement, or a repayment that came back")
    statement_on: BusinessDate | None = Field(default=None, description="MONTHLY: date of the statement")
    due_on: BusinessDate = Field(description="Payable until the end of this day")
    due_version: DueVersion
    lines: Listed[BillLine] = Field(description="What is billed")
    amount_due: Money = Field(description="Payable amount in minor units, without what is paused")
    paused: Money = Field(description="Amount taken out while a return or appeal is open, in minor units")


class BillDueSoon(Event, service="billing", subject="bill_id"):
    """A bill is due in three days, tomorrow or today (B-D)."""

    model_config = example(
        **_BILL, currency="CNY", due_on="2027-03-19", due_version=1, days_left=3, amount_due=25769, autopay=True
    )

    buyer_id: BuyerId
    bill_id: BillId
    currency: Currency
    due_on: BusinessDate = Field(description="Payable until the end of this day")
    due_version: DueVersion
    days_left: Literal[3, 1, 0] = Field(description="Days until then")
    amount_due: Money = Field(description="Payable by then, in minor units")
    autopay: bool = Field(description="Whether it will be collected automatically")


class BillPaid(Event, service="billing", subject="bill_id"):
    """A bill is fully paid (BIL-12)."""

    model_config = example(**_BILL, paid_on="2027-03-19", due_on="2027-03-19", max_dpd=0)

    buyer_id: BuyerId
    bill_id: BillId
    paid_on: BusinessDate = Field(description="Day on which the last repayment was requested")
    due_on: BusinessDate = Field(description="Day until which it was payable")
    max_dpd: Dpd = Field(description="Highest number of days past due; 0 if it was never late")


class BillVoided(Event, service="billing", subject="bill_id"):
    """Refunds took away all that was owed on a bill before anything was paid."""

    model_config = example(**_BILL)

    buyer_id: BuyerId
    bill_id: BillId


class BillPaused(Event, service="billing", subject="bill_id"):
    """A share of a bill is out of collection and dunning while a return or an appeal is open (B-H)."""

    model_config = example(
        **_BILL,
        order_id="o-1001",
        merchant_id="m-42",
        currency="CNY",
        ref="case-1",
        amount=12884,
        amount_due=12885,
        until="2027-04-05T02:00:00Z",
    )

    buyer_id: BuyerId
    bill_id: BillId
    order_id: OrderId
    merchant_id: MerchantId
    currency: Currency
    ref: ChosenId = Field(description="The case or appeal it waits for")
    amount: Money = Field(description="Share taken out, in minor units")
    amount_due: Money = Field(description="Payable amount that is left, in minor units")
    until: Instant = Field(description="When it ends at the latest")


class BillResumed(Event, service="billing", subject="bill_id"):
    """A paused share is payable again (B-H2, B-H3)."""

    model_config = example(
        **_BILL,
        order_id="o-1001",
        merchant_id="m-42",
        currency="CNY",
        ref="case-1",
        amount=12884,
        amount_due=25769,
        due_on="2027-04-08",
        due_version=2,
        reason="RETURN_CLOSED",
    )

    buyer_id: BuyerId
    bill_id: BillId
    order_id: OrderId
    merchant_id: MerchantId
    currency: Currency
    ref: ChosenId = Field(description="The case or appeal it waited for")
    amount: Money = Field(description="Share that is payable again, in minor units")
    amount_due: Money = Field(description="Payable amount in minor units")
    due_on: BusinessDate = Field(description="Payable until the end of this day")
    due_version: DueVersion
    reason: Literal["RETURN_CLOSED", "APPEAL_DECIDED", "LIMIT"] = Field(description="Why the pause ended")


class BillChargedOff(DebtChanged, service="billing", subject="bill_id"):
    """What a bill still cost is written off; its principal can still be repaid (B-D4)."""

    model_config = example(
        **_BILL,
        currency="CNY",
        principal=25769,
        fee=0,
        late_fee=1600,
        dpd=181,
        outstanding_principal=25769,
        book_version=1,
    )

    buyer_id: BuyerId
    bill_id: BillId
    currency: Currency
    principal: Money = Field(description="Principal written off, in minor units")
    fee: Money = Field(description="Instalment and extension fees forgiven, in minor units")
    late_fee: Money = Field(description="Late fees forgiven, in minor units")
    dpd: Dpd


class LateFeeAssessed(Event, service="billing", subject="fee_id"):
    """A late fee was added to a bill (B-F, BIL-10)."""

    model_config = example(
        **_BILL, fee_id="b:o-1001:f1", currency="CNY", amount=600, base=12000, dpd=4, fees_total=600, cap=2400
    )

    buyer_id: BuyerId
    bill_id: BillId
    fee_id: FeeId
    currency: Currency
    amount: Money = Field(description="The fee in minor units")
    base: Money = Field(description="Past-due principal it was reckoned from, in minor units")
    dpd: Dpd
    fees_total: Money = Field(description="All late fees of the bill that stand, this one included, in minor units")
    cap: Money = Field(description="The most they may be, in minor units (B-F3)")


class LateFeeWithheld(Event, service="billing", subject="bill_id"):
    """A late fee was not charged, because nothing proves that the buyer was reminded in time (B-F5)."""

    model_config = example(**_BILL, dpd=4, reason="NO_REMINDER_EVIDENCE")

    buyer_id: BuyerId
    bill_id: BillId
    dpd: Dpd
    reason: Code = Field(description="Why")


class FeeReversed(DebtChanged, service="billing", subject="fee_id"):
    """A late fee, or part of one, was taken back; what was paid of it pays the bill, the rest is overpaid (B-F7)."""

    model_config = example(
        **_BILL, fee_id="b:o-1001:f1", currency="CNY", amount=400, cause="REFUND", reapplied=[], **_DEBT
    )

    buyer_id: BuyerId
    bill_id: BillId
    fee_id: FeeId
    currency: Currency
    amount: Money = Field(description="Taken back, in minor units")
    cause: FeeReversalCause = Field(description="Why")
    reapplied: Listed[Allocation] = Field(
        description="What had been paid of it and pays something else of the bill now"
    )


class ExtensionRequested(Event, service="billing", subject="extension_id"):
    """A later due date waits for whoever decides on it (B-E)."""

    model_config = example(
        **_EXTENSION, currency="CNY", days=7, fee=0, approver="MERCHANT", until="2027-03-23T02:00:00Z"
    )

    buyer_id: BuyerId
    extension_id: ExtensionId
    bill_id: BillId
    currency: Currency
    days: Count = Field(description="By how many days the due date would move")
    fee: Money = Field(description="Price in minor units")
    approver: Approver = Field(description="Who decides")
    until: Instant = Field(description="Until when; afterwards it lapses")


class ExtensionDecided(Event, service="billing", subject="extension_id"):
    """A later due date was granted, declined, or not answered in time (B-E)."""

    model_config = example(**_EXTENSION, currency="CNY", decision="GRANTED", due_on="2027-03-26", due_version=2, fee=0)

    buyer_id: BuyerId
    extension_id: ExtensionId
    bill_id: BillId
    currency: Currency
    decision: Literal["GRANTED", "DECLINED", "LAPSED"] = Field(description="What became of the wish")
    due_on: BusinessDate | None = Field(default=None, description="GRANTED: payable until the end of this day")
    due_version: DueVersion | None = Field(default=None, description="GRANTED: which due date of the bill this is")
    fee: Money = Field(description="Price in minor units; charged if granted")


class DelinquencyChanged(Event, service="billing", subject="bill_id"):
    """A bill reached a step of dunning, or was cured (B-D, BIL-11)."""

    model_config = example(
        **_BILL,
        currency="CNY",
        due_version=1,
        dpd=4,
        bucket="D4_30",
        stage="RESTRICTED",
        account_stage="RESTRICTED",
        amount_due=25769,
    )

    buyer_id: BuyerId
    bill_id: BillId
    currency: Currency
    due_version: DueVersion
    dpd: Dpd
    bucket: Bucket = Field(description="Range of days past due; NONE once cured")
    stage: Stage = Field(description="Step of this bill; NONE once cured")
    account_stage: Stage = Field(description="Worst step of all the buyer's bills")
    amount_due: Money = Field(description="Payable amount in minor units")


# ------------------------------------------------------------------ events: the repayment


class CollectionRequested(Event, service="billing", subject="repayment_id"):
    """An order to the payment adapter to take money; idempotent on (buyer_id, repayment_id)."""

    model_config = example(
        **_REPAYMENT,
        bill_id="b:o-1001",
        currency="CNY",
        amount=25769,
        instrument=_INSTRUMENT,
        mode="AUTO",
        attempt=1,
    )

    buyer_id: BuyerId
    repayment_id: RepaymentId
    bill_id: BillId | None = Field(default=None, description="The bill it pays, if not an order")
    order_id: OrderId | None = Field(default=None, description="The order it pays, if not a bill")
    currency: Currency
    amount: Money = Field(description="Amount to take in minor units")
    instrument: Instrument = Field(description="What to take it from")
    mode: Literal["MANUAL", "AUTO"] = Field(description="Asked for by the buyer, or by the due date")
    attempt: Count = Field(description="Which attempt for this due date, from 1")


class CollectionPending(Event, service="billing", subject="repayment_id"):
    """It is not known yet whether money was taken; with ``ask`` >= 1 the adapter must look it up and report (B-C4)."""

    model_config = example(**_REPAYMENT, outcome="UNKNOWN", ask=1, unresolved=False)

    buyer_id: BuyerId
    repayment_id: RepaymentId
    outcome: Literal["PENDING", "UNKNOWN"] = Field(description="What is known so far")
    ask: Count = Field(description="Which question this is; 0: none, the provider reported by itself")
    unresolved: bool = Field(description="Asked for the last time: an operator must look")


class CollectionFailed(Event, service="billing", subject="repayment_id"):
    """The provider declined (B-C3)."""

    model_config = example(
        **_REPAYMENT,
        bill_id="b:o-1001",
        reason="INSUFFICIENT_FUNDS",
        decline="SOFT",
        final=False,
        next_at="2027-03-20T06:00:00Z",
    )

    buyer_id: BuyerId
    repayment_id: RepaymentId
    bill_id: BillId | None = Field(default=None, description="The bill, if it was not an order")
    reason: Text = Field(description="The provider's reason, empty if it gave none")
    decline: Literal["SOFT", "HARD"] = Field(description="Whether another try makes sense")
    final: bool = Field(description="Whether no further automatic attempt will follow")
    stop_reason: Literal["HARD_DECLINED", "EXHAUSTED", "PAID", "PAUSED", "AUTOPAY_OFF"] | None = Field(
        default=None, description="Why no further automatic attempt will follow"
    )
    next_at: Instant | None = Field(default=None, description="The next automatic attempt")


class RepaymentAllocated(DebtChanged, service="billing", subject="repayment_id"):
    """Money came in and was applied: penalty, then fee, then principal (B-A)."""

    model_config = example(
        **_REPAYMENT,
        currency="CNY",
        mode="AUTO",
        instrument=_INSTRUMENT,
        amount=25769,
        paid_on="2027-03-19",
        allocations=[
            {"order_id": "o-1001", "seq": 1, "bill_id": "b:o-1001", "component": "PRINCIPAL", "amount": 25769}
        ],
        outstanding_principal=0,
        book_version=2,
    )

    buyer_id: BuyerId
    repayment_id: RepaymentId
    currency: Currency
    mode: Literal["MANUAL", "AUTO", "EXTERNAL"] = Field(description="How it came about")
    instrument: Instrument = Field(description="What it was taken from")
    amount: Money = Field(description="Whole amount in minor units")
    paid_on: BusinessDate = Field(description="Day on which it was requested")
    allocations: Listed[Allocation] = Field(description="Where it went; empty if there was nothing left to pay")


class RepaymentReversed(DebtChanged, service="billing", subject="reversal_id"):
    """A bank took money back: what it had paid is owed again, on a bill of its own (B-C7)."""

    model_config = example(
        buyer_id="b-7",
        reversal_id="cb-1",
        repayment_id="a:b:o-1001:1:0",
        currency="CNY",
        amount=25769,
        reason="CHARGEBACK",
        bill_ids=["b:o-1001"],
        order_ids=["o-1001"],
        outstanding_principal=25769,
        book_version=3,
    )

    buyer_id: BuyerId
    reversal_id: ChosenId = Field(description="The reversal, unique per buyer; its bill is r:<reversal_id>")
    repayment_id: RepaymentId
    currency: Currency
    amount: Money = Field(description="Taken back, in minor units")
    reason: Text = Field(description="The bank's reason")
    bill_ids: Listed[BillId] = Field(description="The bills it had paid, of what was taken back")
    order_ids: Listed[OrderId] = Field(description="The orders on which it is owed again")


class OverpaymentDetected(Event, service="billing", subject="overpayment_id"):
    """More came in than was owed; refunds gives it back to the instrument it came from (B-A3)."""

    model_config = example(
        buyer_id="b-7",
        overpayment_id="a:b:o-1001:1:0:o1",
        currency="CNY",
        amount=4000,
        repayment_id="a:b:o-1001:1:0",
        instrument=_INSTRUMENT,
        reason="EXCEEDS_DEBT",
    )

    buyer_id: BuyerId
    overpayment_id: DerivedId = Field(description="The overpayment: <repayment_id>:o<n>")
    currency: Currency
    amount: Money = Field(description="Amount to give back in minor units")
    repayment_id: RepaymentId
    instrument: Instrument = Field(description="What it came from and goes back to")
    reason: Code = Field(description="Why it was too much")


class RefundAllocated(DebtChanged, service="billing", subject="refund_id"):
    """How an approved refund falls: on the debt first, on cash that was paid only then (B-R)."""

    model_config = example(
        **_ORDER,
        refund_id="case-1:r1",
        case_id="case-1",
        currency="CNY",
        cause="RETURN",
        amount=8000,
        **_split("case-1:r1"),
        skus=["case-black"],
        outstanding_principal=0,
        book_version=3,
    )

    buyer_id: BuyerId
    order_id: OrderId
    merchant_id: MerchantId
    refund_id: RefundId
    case_id: ChosenId | None = Field(default=None, description="The return case it comes from, if it is one")
    currency: Currency
    cause: RefundCause = Field(description="Why it was approved")
    amount: Money = Field(description="The refund in minor units; the legs and what is unallocated sum to it")
    legs: Listed[RefundLeg] = Field(description="Its shares, in the order in which they were taken")
    before: Listed[InstalmentBalance] = Field(description="The plan before it")
    after: Listed[InstalmentBalance] = Field(description="The plan after it")
    policy: RefundPolicy = Field(description="Which instalments were lowered first")
    value_on: BusinessDate = Field(description="From this day on it counts for fees")
    fees_reversed: Money = Field(description="Late fees taken back because of it, in minor units")
    fees_cancelled: Money | None = Field(
        default=None, description="Fees of instalments not yet billed that it cancels, in minor units (B-R2)"
    )
    unallocated: Money = Field(description="What exceeds the order, in minor units: an alarm, never cash (B-R4)")
    trace: Listed[RefundStep] | None = Field(
        default=None, description="How it was taken, step by step; the first hundred if there are more"
    )
    skus: Listed[ChosenId] = Field(description="Article numbers of what came back")


class RefundSimulated(Event, service="billing", subject="simulation_id"):
    """What a refund would do, to the cent; nothing changed (B-R)."""

    model_config = example(
        **_ORDER,
        simulation_id="sim-1",
        currency="CNY",
        amount=8000,
        **_split("sim-1"),
    )

    buyer_id: BuyerId
    simulation_id: ChosenId = Field(description="Id of the question")
    order_id: OrderId
    merchant_id: MerchantId
    currency: Currency
    amount: Money = Field(description="The refund in minor units; the legs and what is unallocated sum to it")
    legs: Listed[RefundLeg] = Field(description="Its shares, in the order in which they would be taken")
    before: Listed[InstalmentBalance] = Field(description="The plan as it stands")
    after: Listed[InstalmentBalance] = Field(description="The plan as it would be")
    policy: RefundPolicy = Field(description="Which instalments would be lowered first")
    value_on: BusinessDate = Field(description="From this day on it would count for fees")
    fees_reversed: Money = Field(description="Late fees that would be taken back because of it, in minor units")
    fees_cancelled: Money = Field(description="Fees of instalments not yet billed it would cancel, in minor units")
    unallocated: Money = Field(description="What exceeds the order, in minor units: never cash (B-R4)")
    trace: Listed[RefundStep] = Field(description="How it would be taken, step by step")


class AutopayChanged(Event, service="billing", subject="buyer_id"):
    """The setting of automatic deduction is stored."""

    model_config = example(buyer_id="b-7", enabled=True, instrument=_INSTRUMENT)

    buyer_id: BuyerId
    enabled: bool = Field(description="On or off")
    instrument: Instrument | None = Field(default=None, description="What will be charged, if one is known")


class CommandRejected(Rejection, service="billing", subject="command_id"):
    """billing refused a command; nothing changed (H-2)."""

    model_config = example(
        command_id="0b6cb2f6-9f0c-4b7e-8f0a-0d3c3f6a1c55",
        command_type="houfu.billing.repay_bill.v1",
        code="AMOUNT_EXCEEDS_OUTSTANDING",
        message="Amount exceeds outstanding",
        details={"outstanding": 25769},
        buyer_id="b-7",
    )
