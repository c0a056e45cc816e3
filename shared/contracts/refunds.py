"""Messages of refunds: return cases, refund decisions, payouts.

A refund says *whether and how much*; billing answers with where it falls (``RefundAllocated``), and only then is a
payout asked for, leg by leg.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from shared.contracts.billing import RefundCause
from shared.contracts.fields import (
    AnyLines,
    BusinessDate,
    BuyerId,
    ChosenId,
    Code,
    Count,
    Currency,
    DerivedId,
    Instant,
    Instrument,
    LineId,
    Listed,
    MerchantId,
    Money,
    OrderId,
    Part,
    Quantity,
    Ref,
    SomeLines,
    Text,
    example,
)
from shared.contracts.message import Command, Event, Rejection

__all__ = [
    "AppealDecided",
    "AppealOpened",
    "AssessReturn",
    "AssessedLine",
    "CaseKind",
    "CaseOutcome",
    "CashKind",
    "CommandRejected",
    "Destination",
    "EvidenceRequested",
    "EvidenceSubmitted",
    "Grade",
    "IssueRefund",
    "PayoutOutcome",
    "PayoutReported",
    "PayoutRequested",
    "RefundApproved",
    "RefundCompleted",
    "RefundDisputed",
    "ReportPayout",
    "ReportReturnReceipt",
    "ReportReturnShipment",
    "RequestReturn",
    "Responsibility",
    "RetryPayout",
    "ReturnApproved",
    "ReturnAssessed",
    "ReturnClosed",
    "ReturnInTransit",
    "ReturnOpened",
    "ReturnReceived",
    "ReturnRejected",
    "ReturnedLine",
    "ReviewMode",
    "ReviewRefund",
    "ReviewReturn",
    "SlaMissed",
    "SlaRule",
    "SubmitEvidence",
    "WithdrawReturn",
]

CaseKind = Literal["RETURN_REFUND", "REFUND_ONLY", "EXCHANGE", "CLAIM"]
CaseOutcome = Literal["REFUNDED", "NO_REFUND", "EXCHANGED", "REJECTED", "WITHDRAWN", "LAPSED"]
ReviewMode = Literal["SELLER", "PLATFORM"]
Destination = Literal["ORIGINAL_ROUTE", "WALLET"]
Grade = Literal["A", "B", "C", "D"]
Responsibility = Literal["BUYER", "CARRIER", "SELLER"]
CashKind = Literal["ORIGINAL_ROUTE", "WALLET", "EXTERNAL"]
PayoutOutcome = Literal["SUCCEEDED", "FAILED", "PENDING", "UNKNOWN", "RETURNED"]
SlaRule = Literal[
    "SELLER_REVIEW", "PLATFORM_REVIEW", "SELLER_RECEIPT", "REFUND_REVIEW", "REFUND_ARRIVAL", "APPEAL_DECISION"
]

AppealSubject = Literal["RETURN_REJECTION", "REFUND_AMOUNT", "UNRECOGNISED_ORDER", "LATE_FEE", "SCORE", "ACCOUNT"]

CaseId = Annotated[ChosenId, Field(description="The return case, unique per buyer")]
MaybeCaseId = Annotated[ChosenId | None, Field(default=None, description="The return case, if it comes from one")]
AppealId = Annotated[ChosenId | None, Field(default=None, description="The appeal, if it comes from one")]
RefundId = Annotated[
    DerivedId,
    Field(description="The refund: chosen by the sender, <case_id>:r<n>, <appeal_id>:r<n> or op:<overpayment_id>"),
]
LegId = Annotated[DerivedId, Field(description="The leg: <refund_id>:<n>, n from 1")]
PayoutId = Annotated[DerivedId, Field(description="One try to pay a leg: <leg_id>:<try>, from 1")]
EvidenceRefs = Annotated[Listed[Ref], Field(description="Photos and papers, kept by the sender")]

_INSTRUMENT = {"kind": "CARD", "token": "tok_4f6d"}
_ORDER = {"buyer_id": "b-7", "order_id": "o-1001", "merchant_id": "m-42"}
_CASE = {**_ORDER, "case_id": "case-1"}
_REFUND = {**_ORDER, "refund_id": "case-1:r1", "case_id": "case-1"}
_LINES = [{"line_id": "1", "quantity": 1}]


# ------------------------------------------------------------------ parts


class ReturnedLine(Part):
    """Units of a line that are to come back, or have."""

    line_id: LineId
    quantity: Quantity


class AssessedLine(Part):
    """Units of a line in the condition in which they came back; a line may stand several times, once a grade."""

    line_id: LineId
    quantity: Quantity
    grade: Grade = Field(description="A as new, B slightly used, C damaged, D worthless")


class _CaseOrAppeal(Part):
    """About a return case or about an appeal, never both."""

    case_id: MaybeCaseId
    appeal_id: AppealId

    @model_validator(mode="after")
    def _one_subject(self) -> Self:
        if (self.case_id is None) == (self.appeal_id is None):
            raise ValueError("exactly one of case_id and appeal_id must be present")
        return self


class _Priced(Part):
    """May state an amount, and then its currency."""

    amount: Money | None = Field(default=None, description="CLAIM, or PLATFORM: a lower amount, in minor units")
    currency: Currency | None = Field(default=None, description="ISO 4217 code of the amount; required with one")

    @model_validator(mode="after")
    def _an_amount_has_a_currency(self) -> Self:
        if self.amount is not None and self.currency is None:
            raise ValueError("an amount needs a currency")
        return self


# ------------------------------------------------------------------ commands: the case


class RequestReturn(Command, service="refunds", subject="case_id", sender="shop"):
    """A buyer asks to give goods back (REF-01, R-R1)."""

    model_config = example(
        **_CASE,
        kind="RETURN_REFUND",
        lines=_LINES,
        reason="NOT_WANTED",
        description="does not fit",
        evidence_refs=[],
        destination="ORIGINAL_ROUTE",
    )

    buyer_id: BuyerId
    order_id: OrderId
    merchant_id: MerchantId
    case_id: CaseId
    kind: CaseKind = Field(description="What the buyer wants")
    lines: SomeLines[ReturnedLine] = Field(description="What is to come back")
    reason: Code = Field(description="One of the reasons of the order's return terms")
    description: Text = Field(description="In the buyer's words")
    evidence_refs: EvidenceRefs
    destination: Destination = Field(description="Where cash goes, if there is any: back, or to the wallet (REF-13)")
    claim_amount: Money | None = Field(default=None, description="CLAIM: the amount claimed, in minor units")
    currency: Currency | None = Field(default=None, description="ISO 4217 code of the claim; required with one")

    @model_validator(mode="after")
    def _a_claim_has_a_currency(self) -> Self:
        if self.claim_amount is not None and self.currency is None:
            raise ValueError("a claim needs a currency")
        return self


class ReviewReturn(Command, _Priced, service="refunds", subject="case_id", sender="seller, review desk"):
    """Decide a request: approve it, reject it with a reason, or ask for proof (REF-05)."""

    model_config = example(**_CASE, decision="APPROVE", by="SELLER", return_address_ref="adr-9")

    buyer_id: BuyerId
    order_id: OrderId
    merchant_id: MerchantId
    case_id: CaseId
    decision: Literal["APPROVE", "REJECT", "NEED_EVIDENCE"] = Field(description="The decision")
    by: ReviewMode = Field(description="Who decides; must be who reviews the case")
    reason: Text | None = Field(default=None, description="Why it is rejected")
    return_address_ref: Ref | None = Field(default=None, description="Where the goods go")
    amount: Money | None = Field(default=None, description="CLAIM: the amount granted, in minor units")
    currency: Currency | None = Field(default=None, description="ISO 4217 code of the amount; required with one")


class SubmitEvidence(Command, _CaseOrAppeal, service="refunds", subject="case_id", sender="shop, seller, desk"):
    """Add proof to a case (REF-04)."""

    model_config = example(**_CASE, by="BUYER", evidence_refs=["photo-1"], text="the seam is open")

    buyer_id: BuyerId
    order_id: OrderId
    merchant_id: MerchantId
    case_id: MaybeCaseId
    appeal_id: AppealId
    by: Literal["BUYER", "SELLER", "PLATFORM"] = Field(description="Whose proof it is")
    evidence_refs: EvidenceRefs
    text: Text = Field(description="What it shows")


class WithdrawReturn(Command, _CaseOrAppeal, service="refunds", subject="case_id", sender="shop"):
    """The buyer gives a request up before the goods are on their way."""

    model_config = example(**_CASE)

    buyer_id: BuyerId
    order_id: OrderId
    merchant_id: MerchantId
    case_id: MaybeCaseId
    appeal_id: AppealId


class ReportReturnShipment(Command, service="refunds", subject="case_id", sender="shop", not_content=("occurred_at",)):
    """The buyer posted the parcel (REF-07)."""

    model_config = example(**_CASE, waybill_no="SF7654321098", carrier="SF", occurred_at="2027-03-16T02:00:00Z")

    buyer_id: BuyerId
    order_id: OrderId
    merchant_id: MerchantId
    case_id: CaseId
    waybill_no: Ref = Field(description="The carrier's number of the parcel")
    carrier: Code = Field(description="The carrier")
    occurred_at: Instant = Field(description="When it was posted; the refund counts from this day on")


class ReportReturnReceipt(Command, service="refunds", subject="case_id", sender="seller", not_content=("occurred_at",)):
    """Goods arrived; without lines: nothing did (REF-08)."""

    model_config = example(**_CASE, lines=_LINES, occurred_at="2027-03-18T02:00:00Z")

    buyer_id: BuyerId
    order_id: OrderId
    merchant_id: MerchantId
    case_id: CaseId
    lines: AnyLines[ReturnedLine] = Field(description="What arrived")
    occurred_at: Instant = Field(description="When")


class AssessReturn(Command, service="refunds", subject="case_id", sender="seller, review desk"):
    """The condition of what arrived, and who answers for it (REF-09, REF-15)."""

    model_config = example(**_CASE, lines=[{"line_id": "1", "quantity": 1, "grade": "A"}], responsibility="SELLER")

    buyer_id: BuyerId
    order_id: OrderId
    merchant_id: MerchantId
    case_id: CaseId
    lines: Listed[AssessedLine] = Field(description="Units by condition; units not named are as new")
    responsibility: Responsibility = Field(description="Who answers for damage; only BUYER lowers the refund")


class ReviewRefund(Command, _Priced, service="refunds", subject="case_id", sender="seller, review desk"):
    """The second review: the seller approves the computed refund or contests it; the platform rules on a contest."""

    model_config = example(**_CASE, decision="APPROVE", by="SELLER")

    buyer_id: BuyerId
    order_id: OrderId
    merchant_id: MerchantId
    case_id: CaseId
    decision: Literal["APPROVE", "DISPUTE", "REJECT"] = Field(description="The decision")
    by: ReviewMode = Field(description="Who decides; must be whose turn it is")
    amount: Money | None = Field(default=None, description="PLATFORM: a lower amount in minor units")
    currency: Currency | None = Field(default=None, description="ISO 4217 code of the amount; required with one")
    reason: Text | None = Field(default=None, description="Why it is contested or rejected")


# ------------------------------------------------------------------ commands: the refund


class IssueRefund(Command, service="refunds", subject="refund_id", sender="merchant, desk"):
    """Give part of an order's price back without a return (R-R6)."""

    model_config = example(
        **_ORDER,
        refund_id="rf-1",
        currency="CNY",
        amount=2000,
        reason="a scratch, accepted by the buyer",
        by="MERCHANT",
        destination="ORIGINAL_ROUTE",
    )

    buyer_id: BuyerId
    order_id: OrderId
    merchant_id: MerchantId
    refund_id: ChosenId = Field(description="Id of this refund, unique per buyer")
    currency: Currency
    amount: Money = Field(description="From 1 to what is not refunded of the order yet, in minor units")
    reason: Text = Field(description="Why")
    by: Literal["MERCHANT", "PLATFORM"] = Field(description="Who grants it")
    destination: Destination = Field(description="Where cash goes, if there is any")


class ReportPayout(
    Command, service="refunds", subject="payout_id", sender="provider adapter, merchant", not_content=("occurred_at",)
):
    """A provider's answer to a PayoutRequested, or its later truth."""

    model_config = example(
        buyer_id="b-7",
        refund_id="case-1:r1",
        payout_id="case-1:r1:2:1",
        case_id="case-1",
        outcome="SUCCEEDED",
        provider_ref="psp-990",
        occurred_at="2027-03-20T02:00:00Z",
    )

    buyer_id: BuyerId
    refund_id: RefundId
    payout_id: PayoutId
    case_id: MaybeCaseId
    outcome: PayoutOutcome = Field(description="What the provider says; PENDING and UNKNOWN are never success")
    failure: Literal["SOFT", "HARD"] | None = Field(
        default=None, description="FAILED: whether another try makes sense; absent: SOFT"
    )
    reason: Text | None = Field(default=None, description="The provider's reason")
    provider_ref: Ref = Field(description="The provider's own reference")
    occurred_at: Instant = Field(description="When it happened at the provider")


class RetryPayout(Command, service="refunds", subject="refund_id", sender="desk"):
    """A person repairs a leg that could not be paid."""

    model_config = example(
        buyer_id="b-7",
        refund_id="case-1:r1",
        leg_id="case-1:r1:2",
        instrument={"kind": "CARD", "token": "tok_77aa"},
    )

    buyer_id: BuyerId
    refund_id: RefundId
    leg_id: LegId
    instrument: Instrument | None = Field(
        default=None, description="Another instrument of the same buyer, proven by the adapter; absent: as before"
    )


# ------------------------------------------------------------------ events: the case


class ReturnOpened(Event, service="refunds", subject="case_id"):
    """A request is accepted for review: the share of these goods is paused meanwhile."""

    model_config = example(
        **_CASE,
        currency="CNY",
        kind="RETURN_REFUND",
        review_mode="SELLER",
        lines=_LINES,
        reason="NOT_WANTED",
        share_amount=12884,
        review_by="2027-03-16T02:00:00Z",
        reopened=False,
    )

    buyer_id: BuyerId
    order_id: OrderId
    merchant_id: MerchantId
    case_id: CaseId
    currency: Currency
    kind: CaseKind = Field(description="What the buyer wants")
    review_mode: ReviewMode = Field(description="Who reviews it")
    lines: Listed[ReturnedLine] = Field(description="What is to come back")
    reason: Code = Field(description="The buyer's reason")
    share_amount: Money = Field(description="Goods and freight of these units in minor units, before deductions")
    review_by: Instant | None = Field(default=None, description="Until when it is decided")
    reopened: bool = Field(description="Whether an appeal brought it back")


class ReturnApproved(Event, service="refunds", subject="case_id"):
    """The goods may be sent back."""

    model_config = example(**_CASE, return_address_ref="adr-9", ship_by="2027-03-22T12:00:00Z", lapsed=False)

    buyer_id: BuyerId
    order_id: OrderId
    merchant_id: MerchantId
    case_id: CaseId
    return_address_ref: Ref | None = Field(default=None, description="Where the goods go")
    ship_by: Instant | None = Field(default=None, description="Until when they must be on their way")
    lapsed: bool = Field(description="Whether the reviewer was silent and the request approved by that")


class ReturnRejected(Event, service="refunds", subject="case_id"):
    """A request is refused with a reason."""

    model_config = example(**_CASE, reason="worn", appeal_until="2027-03-22T12:00:00Z")

    buyer_id: BuyerId
    order_id: OrderId
    merchant_id: MerchantId
    case_id: CaseId
    reason: Text = Field(description="Why")
    appeal_until: Instant = Field(description="Until when it can be appealed")


class EvidenceRequested(Event, service="refunds", subject="case_id"):
    """Proof is wanted before a request is decided."""

    model_config = example(**_CASE, by="BUYER", until="2027-03-18T12:00:00Z")

    buyer_id: BuyerId
    order_id: OrderId
    merchant_id: MerchantId
    case_id: MaybeCaseId
    appeal_id: AppealId
    by: Literal["BUYER", "SELLER", "PLATFORM"] = Field(description="Who must give it")
    until: Instant | None = Field(default=None, description="Until when")


class EvidenceSubmitted(Event, service="refunds", subject="case_id"):
    """Proof was given."""

    model_config = example(**_CASE, by="BUYER", until="2027-03-19T02:00:00Z")

    buyer_id: BuyerId
    order_id: OrderId
    merchant_id: MerchantId
    case_id: MaybeCaseId
    appeal_id: AppealId
    by: Literal["BUYER", "SELLER", "PLATFORM"] = Field(description="Whose proof it is")
    until: Instant | None = Field(default=None, description="Until when it is decided, where that is now awaited")


class ReturnInTransit(Event, service="refunds", subject="case_id"):
    """The goods are on their way back."""

    model_config = example(**_CASE, waybill_no="SF7654321098", value_on="2027-03-16")

    buyer_id: BuyerId
    order_id: OrderId
    merchant_id: MerchantId
    case_id: CaseId
    waybill_no: Ref | None = Field(default=None, description="The carrier's number of the parcel")
    value_on: BusinessDate = Field(description="From this day on the refund counts for fees (R-R5)")


class ReturnReceived(Event, service="refunds", subject="case_id"):
    """The goods arrived."""

    model_config = example(**_CASE, lines=_LINES)

    buyer_id: BuyerId
    order_id: OrderId
    merchant_id: MerchantId
    case_id: CaseId
    lines: Listed[ReturnedLine] = Field(description="What arrived")


class ReturnAssessed(Event, service="refunds", subject="case_id"):
    """The refund is computed and waits for the second review (R-R4)."""

    model_config = example(
        **_CASE,
        currency="CNY",
        lines=[{"line_id": "1", "quantity": 1, "grade": "A"}],
        responsibility="SELLER",
        goods=12500,
        freight=384,
        damage=0,
        restocking=0,
        return_fee=0,
        amount=12884,
        review_by="2027-03-19T07:00:00Z",
    )

    buyer_id: BuyerId
    order_id: OrderId
    merchant_id: MerchantId
    case_id: CaseId
    currency: Currency
    lines: Listed[AssessedLine] = Field(description="Units by condition")
    responsibility: Responsibility = Field(description="Who answers for damage")
    goods: Money = Field(description="Value of the units that arrived, in minor units")
    freight: Money = Field(description="Their freight, if the seller is at fault, in minor units")
    damage: Money = Field(description="Deducted for their condition, in minor units")
    restocking: Money = Field(description="Deducted for restocking, in minor units")
    return_fee: Money = Field(description="Deducted for the way back, in minor units")
    amount: Money = Field(description="What is to be refunded, in minor units")
    review_by: Instant | None = Field(default=None, description="Until when it is reviewed")


class RefundDisputed(Event, service="refunds", subject="case_id"):
    """The seller contests a refund: the platform rules."""

    model_config = example(**_CASE, reason="the parcel was empty")

    buyer_id: BuyerId
    order_id: OrderId
    merchant_id: MerchantId
    case_id: CaseId
    reason: Text = Field(description="Why")


class ReturnClosed(Event, service="refunds", subject="case_id"):
    """A case ended; whatever was paused for it runs again."""

    model_config = example(**_CASE, outcome="REFUNDED")

    buyer_id: BuyerId
    order_id: OrderId
    merchant_id: MerchantId
    case_id: CaseId
    outcome: CaseOutcome = Field(description="How")


class _AppealEvent(Event):
    """What an appeal is about."""

    buyer_id: BuyerId
    appeal_id: ChosenId = Field(description="The appeal, unique per buyer")
    subject: AppealSubject = Field(description="What is challenged (R-R7)")
    level: Literal[1, 2] = Field(description="The first ruling, or the second and last")
    case_id: MaybeCaseId
    order_id: OrderId | None = Field(default=None, description="The order, if it is about one")
    merchant_id: MerchantId | None = Field(default=None, description="The merchant, if it is about an order")
    bill_id: DerivedId | None = Field(default=None, description="The bill, if it is about one")
    fee_id: DerivedId | None = Field(default=None, description="The late fee, if it is about one")


class AppealOpened(_AppealEvent, service="refunds", subject="appeal_id"):
    """A buyer challenges an outcome; with an order its share waits for the ruling."""

    model_config = example(
        **_ORDER, appeal_id="ap-1", subject="UNRECOGNISED_ORDER", level=1, currency="CNY", amount=25769
    )

    currency: Currency | None = Field(default=None, description="ISO 4217 code of the amount, if there is one")
    amount: Money | None = Field(default=None, description="What is in dispute, in minor units; always with an order")


class AppealDecided(_AppealEvent, service="refunds", subject="appeal_id"):
    """A challenge was ruled on, lapsed because the other side kept silent, or was withdrawn."""

    model_config = example(
        buyer_id="b-7",
        appeal_id="ap-2",
        subject="LATE_FEE",
        level=1,
        bill_id="b:o-1001",
        fee_id="b:o-1001:f1",
        outcome="BUYER",
        lapsed=False,
    )

    outcome: Literal["BUYER", "SELLER", "SPLIT", "WITHDRAWN"] = Field(description="For whom it was decided")
    lapsed: bool = Field(description="Whether it was decided because the other side kept silent")
    currency: Currency | None = Field(default=None, description="ISO 4217 code of the amount, if there is one")
    amount: Money | None = Field(default=None, description="SPLIT: what the buyer is given, in minor units")


class SlaMissed(Event, service="refunds"):
    """A promise of the seller or the platform was broken (REF-22)."""

    model_config = example(**_ORDER, rule="SELLER_REVIEW", case_id="case-1", due_at="2027-03-16T02:00:00Z")

    buyer_id: BuyerId
    order_id: OrderId | None = Field(default=None, description="The order; absent for an overpayment")
    merchant_id: MerchantId | None = Field(default=None, description="The merchant; absent for an overpayment")
    rule: SlaRule = Field(description="Which promise")
    case_id: MaybeCaseId
    refund_id: DerivedId | None = Field(default=None, description="The refund it is about, if it is one")
    appeal_id: AppealId
    due_at: Instant = Field(description="When it should have been kept")


# ------------------------------------------------------------------ events: the refund


class RefundApproved(Event, service="refunds", subject="refund_id"):
    """Part of an order's price goes back; billing decides where it falls (I-7)."""

    model_config = example(
        **_REFUND,
        currency="CNY",
        cause="RETURN",
        amount=12884,
        destination="ORIGINAL_ROUTE",
        value_on="2027-03-16",
        skus=["case-black"],
        promise_from="2027-03-26",
        promise_by="2027-04-09",
    )

    buyer_id: BuyerId
    order_id: OrderId
    merchant_id: MerchantId
    refund_id: RefundId
    case_id: MaybeCaseId
    appeal_id: AppealId
    currency: Currency
    cause: RefundCause = Field(description="Its one cause (I-7)")
    amount: Money = Field(description="Amount in minor units")
    destination: Destination = Field(description="Where cash goes, if there is any")
    value_on: BusinessDate = Field(description="From this day on it counts for fees (R-R5)")
    skus: Listed[ChosenId] = Field(description="Article numbers of what came back")
    promise_from: BusinessDate = Field(description="When it arrives at the earliest")
    promise_by: BusinessDate = Field(description="When it arrives at the latest")


class PayoutRequested(Event, service="refunds", subject="payout_id"):
    """An order to the payment adapter to pay one leg; idempotent on (buyer_id, payout_id)."""

    model_config = example(
        **_REFUND,
        leg_id="case-1:r1:2",
        payout_id="case-1:r1:2:1",
        currency="CNY",
        kind="ORIGINAL_ROUTE",
        amount=1334,
        instrument=_INSTRUMENT,
        repayment_id="a:b:o-1001:1:0",
        ask=0,
    )

    buyer_id: BuyerId
    order_id: OrderId | None = Field(default=None, description="The order; absent for an overpayment")
    merchant_id: MerchantId | None = Field(default=None, description="The merchant; absent for an overpayment")
    refund_id: RefundId
    case_id: MaybeCaseId
    leg_id: LegId
    payout_id: PayoutId
    currency: Currency
    kind: CashKind = Field(description="Back where it came from, to the wallet, or paid by the merchant outside")
    amount: Money = Field(description="Amount to pay in minor units")
    instrument: Instrument | None = Field(default=None, description="Where to; absent for the buyer's wallet")
    repayment_id: DerivedId | None = Field(default=None, description="The payment that goes back, if it is one")
    ask: Count = Field(description="0: pay; from 1 on: say what became of this payout, do not pay again")


class PayoutReported(Event, service="refunds", subject="refund_id"):
    """What is known of one leg."""

    model_config = example(
        **_REFUND,
        leg_id="case-1:r1:2",
        payout_id="case-1:r1:2:1",
        currency="CNY",
        kind="ORIGINAL_ROUTE",
        cause="RETURN",
        outcome="SUCCEEDED",
        amount=1334,
        repayment_id="a:b:o-1001:1:0",
    )

    buyer_id: BuyerId
    order_id: OrderId | None = Field(default=None, description="The order; absent for an overpayment")
    merchant_id: MerchantId | None = Field(default=None, description="The merchant; absent for an overpayment")
    refund_id: RefundId
    case_id: MaybeCaseId
    leg_id: LegId
    payout_id: PayoutId
    currency: Currency
    kind: CashKind = Field(description="Back where it came from, to the wallet, or paid by the merchant outside")
    cause: RefundCause = Field(description="Cause of the refund")
    outcome: PayoutOutcome = Field(description="What the provider says")
    amount: Money = Field(description="Amount of the leg in minor units")
    reason: Text | None = Field(default=None, description="The provider's reason")
    repayment_id: DerivedId | None = Field(default=None, description="The payment that goes back, if it is one")


class RefundCompleted(Event, service="refunds", subject="refund_id"):
    """Everything of a refund has arrived."""

    model_config = example(**_REFUND, currency="CNY", amount=12884, cash_amount=0)

    buyer_id: BuyerId
    order_id: OrderId | None = Field(default=None, description="The order; absent for an overpayment")
    merchant_id: MerchantId | None = Field(default=None, description="The merchant; absent for an overpayment")
    refund_id: RefundId
    case_id: MaybeCaseId
    currency: Currency
    amount: Money = Field(description="The refund in minor units")
    cash_amount: Money = Field(description="How much of it was paid out in cash, in minor units")


class CommandRejected(Rejection, service="refunds", subject="command_id"):
    """refunds refused a command; nothing changed (H-2)."""

    model_config = example(
        command_id="0b6cb2f6-9f0c-4b7e-8f0a-0d3c3f6a1c55",
        command_type="houfu.refunds.request_return.v1",
        code="RETURN_WINDOW_CLOSED",
        message="Return window closed",
        details={"until": "2027-03-19"},
        buyer_id="b-7",
    )
