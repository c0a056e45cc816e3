"""Messages of checkout: accounts, merchant policies, and orders from placement to completion."""

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
    Label,
    LineId,
    Listed,
    MerchantId,
    Money,
    OrderId,
    Part,
    Product,
    Quantity,
    Ref,
    Score,
    SignedMoney,
    SomeLines,
    Text,
    example,
)
from shared.contracts.message import Command, Event, Rejection
from shared.contracts.policy import DEFAULTS, PLATFORM, FrozenTerms, PolicyVersions, PublishedPolicy, Terms

__all__ = [
    "AcceptedLine",
    "AccountActivated",
    "AccountApplied",
    "AccountRejected",
    "AccountStatus",
    "AccountStatusChanged",
    "ApplicationAdvanced",
    "ApplicationStep",
    "ApplyForAccount",
    "AuthorisationExtended",
    "AuthorizedLine",
    "BindCard",
    "CancelOrder",
    "CardBound",
    "ChangeAccountStatus",
    "CommandRejected",
    "ConfirmReceipt",
    "Confirmed",
    "Counterfactual",
    "CreditLineChanged",
    "DeliveryReported",
    "ExtendAuthorisation",
    "Instalments",
    "MerchantConsentChanged",
    "MerchantPolicyPublished",
    "OrderAccepted",
    "OrderAuthorized",
    "OrderCancelled",
    "OrderCaptured",
    "OrderCompleted",
    "OrderDeclined",
    "OrderExpired",
    "OrderKind",
    "OrderLine",
    "PlaceOrder",
    "PublishMerchantPolicy",
    "RecordPasswordSet",
    "ReportDelivery",
    "ReportIdentity",
    "ReportScore",
    "ReportShipment",
    "ReviewAccount",
    "SetMerchantConsent",
    "ShippedLine",
]

AccountStatus = Literal[
    "APPLIED", "UNDER_REVIEW", "ACTIVE", "RESTRICTED", "SUSPENDED", "CLOSING", "CLOSED", "EXPIRED", "REJECTED"
]
ApplicationStep = Literal["IDENTITY", "CARD", "PASSWORD", "SCORE"]
OrderKind = Literal["GOODS", "SERVICE"]
Instalments = Annotated[Literal[1, 3, 6, 12], Field(description="Number of instalments")]
ShipmentId = Annotated[ChosenId, Field(description="The shipment, unique per order")]

_INSTRUMENT = {"kind": "CARD", "token": "tok_4f6d"}
_LINE = {
    "line_id": "1",
    "sku": "case-black",
    "name": "手机壳",
    "category": "ACCESSORY",
    "quantity": 2,
    "unit_price": 12900,
    "discount": 800,
    "amount": 25000,
    "eligible": True,
    "returnable": True,
}
_TERMS = Terms.frozen(DEFAULTS).model_dump(mode="json", exclude_none=True)
_VERSIONS = {"platform": 3, "merchant": 1}
_ORDER = {"buyer_id": "b-7", "order_id": "o-1001", "merchant_id": "m-42"}


# ------------------------------------------------------------------ parts


class OrderLine(Part):
    """One line of an order as the shop offers it; amount = quantity * unit_price - discount."""

    line_id: LineId
    sku: ChosenId = Field(description="The shop's article number")
    name: Label = Field(description="What the buyer calls it")
    category: Code = Field(description="Category of the goods")
    service_code: ChosenId | None = Field(default=None, description="Kind of service, where the merchant scores it")
    quantity: Quantity
    unit_price: Money = Field(description="Price of one unit in minor units")
    discount: Money = Field(description="Reduction of the whole line in minor units")
    amount: Money = Field(description="quantity * unit_price - discount, in minor units, without freight")
    eligible: bool = Field(description="Whether the shop offers this line on credit (CHK-14)")
    returnable: bool = Field(description="Whether the shop takes this line back")


class AuthorizedLine(OrderLine):
    """A line with its share of the order's freight (M-1)."""

    freight_share: Money = Field(description="This line's share of the freight, in minor units")


class ShippedLine(Part):
    """Units of a line that were handed over."""

    line_id: LineId
    quantity: Quantity


class AcceptedLine(Part):
    """Accepted units of a line and what they are worth (M-3)."""

    line_id: LineId
    sku: ChosenId = Field(description="The shop's article number")
    category: Code = Field(description="Category of the goods")
    quantity: Quantity
    goods: Money = Field(description="Value of these units without freight, in minor units")
    freight: Money = Field(description="Freight of these units, in minor units")
    returnable: bool = Field(description="Whether the shop takes this line back")


class Confirmed(Part):
    """The offer the buyer saw and confirmed (CHK-15, CHK-17)."""

    amount: Money = Field(description="Order amount in minor units")
    window_days: Count | None = Field(default=None, description="PAY_AFTER_USE: days from acceptance to the due date")
    instalment_fee: Money = Field(description="Fee of the whole plan in minor units")
    agreement_version: ChosenId = Field(description="Version of the credit agreement agreed to")
    expected_receipt_on: BusinessDate = Field(description="When the goods are expected")
    quoted_at: Instant = Field(description="When the offer was made; it holds for 30 minutes")


class Counterfactual(Part):
    """What would have been possible."""

    max_amount: Money = Field(description="Largest amount that would not have been declined, in minor units")


# ------------------------------------------------------------------ commands: the account


class ApplyForAccount(Command, service="checkout", sender="shop"):
    """A registered buyer applies for a credit line (CHK-01)."""

    model_config = example(buyer_id="b-7", currency="CNY", platform_account_ref="acc-7", agreement_version="2027-01")

    buyer_id: BuyerId
    currency: Currency
    platform_account_ref: Ref = Field(description="The buyer's account at the platform")
    agreement_version: ChosenId = Field(description="Version of the credit agreement agreed to")


class ReportIdentity(Command, service="checkout", sender="identity provider"):
    """The real-name check of a buyer is done (CHK-02)."""

    model_config = example(buyer_id="b-7", outcome="VERIFIED", document_ref="doc-7")

    buyer_id: BuyerId
    outcome: Literal["VERIFIED", "FAILED"] = Field(description="Result of the check")
    document_ref: Ref = Field(description="The document, kept by the provider")
    reason: Text | None = Field(default=None, description="Why it failed")


class BindCard(Command, service="checkout", sender="provider adapter"):
    """Bind a buyer's card or replace it; repayments are collected from it (CHK-03)."""

    model_config = example(
        buyer_id="b-7",
        instrument=_INSTRUMENT,
        issuer="ICBC",
        brand="UNIONPAY",
        card_type="DEBIT",
        holder_match=True,
        device_ref="dev-1",
    )

    buyer_id: BuyerId
    instrument: Instrument = Field(description="The card as an opaque token")
    issuer: Label = Field(description="Issuing bank")
    brand: Label = Field(description="Card network")
    card_type: Code = Field(description="DEBIT, CREDIT, or another type the provider knows")
    holder_match: bool = Field(description="Whether the holder is the verified buyer")
    device_ref: Ref = Field(description="The device it was bound on")


class RecordPasswordSet(Command, service="checkout", sender="checkout's own endpoint"):
    """A payment password exists; the password itself never enters a topic (CHK-04)."""

    model_config = example(buyer_id="b-7", set_at="2027-03-01T01:05:00Z")

    buyer_id: BuyerId
    set_at: Instant = Field(description="When it was set")


class ReportScore(Command, service="checkout", sender="score provider"):
    """A provider's score for the review of an application; it counts at activation only."""

    model_config = example(buyer_id="b-7", score=640, provider="zhima")

    buyer_id: BuyerId
    score: Score
    provider: Label = Field(description="Who scored")


class ReviewAccount(Command, service="checkout", sender="review desk"):
    """Approve or reject an application whose steps are complete (CHK-05)."""

    model_config = example(buyer_id="b-7", decision="APPROVE", currency="CNY", limit=150000, reasons=[])

    buyer_id: BuyerId
    decision: Literal["APPROVE", "REJECT"] = Field(description="The desk's decision")
    limit: Money | None = Field(default=None, description="Limit below that of the score's band, in minor units")
    currency: Currency | None = Field(default=None, description="ISO 4217 code of the limit; required with one")
    reasons: Listed[Text] = Field(description="Why, as codes or text")

    @model_validator(mode="after")
    def _a_limit_has_a_currency(self) -> Self:
        if self.limit is not None and self.currency is None:
            raise ValueError("a limit needs a currency")
        return self


class ChangeAccountStatus(Command, service="checkout", sender="buyer app, desk"):
    """Hold, release or close an account (C-R2)."""

    model_config = example(buyer_id="b-7", action="SUSPEND", by="DESK", reason="address under review")

    buyer_id: BuyerId
    action: Literal["SUSPEND", "REINSTATE", "CLOSE"] = Field(description="What to do")
    by: Literal["BUYER", "DESK", "RISK"] = Field(description="Who asks")
    reason: Text = Field(description="Why")


class SetMerchantConsent(Command, service="checkout", subject="merchant_id", sender="shop"):
    """A buyer activates a merchant for pay-later, or withdraws that (CHK-06, CHK-07)."""

    model_config = example(
        buyer_id="b-7", merchant_id="m-42", granted=True, text_version="2027-01", scopes=["CREDIT_DECISION"]
    )

    buyer_id: BuyerId
    merchant_id: MerchantId
    granted: bool = Field(description="Granted, or withdrawn")
    text_version: ChosenId = Field(description="Version of the text agreed to")
    scopes: Listed[Code] = Field(description="What the merchant may learn")


# ------------------------------------------------------------------ commands: policies


class PublishMerchantPolicy(
    Command, PublishedPolicy, service="checkout", key="merchant_id", sender="merchant, platform"
):
    """A merchant, or the platform as ``merchant_id = platform``, publishes a new version of its policy (BIL-14)."""

    model_config = example(
        merchant_id=PLATFORM,
        version=3,
        effective_from="2027-03-01T02:00:00Z",
        currency="CNY",
        window_days=10,
        agreement_version="2027-01",
        late_fee={**_TERMS["late_fee"], "cap_abs": 2000},
    )


# ------------------------------------------------------------------ commands: the order


class PlaceOrder(
    Command,
    service="checkout",
    subject="order_id",
    sender="shop",
    not_content=("payment_proof", "confirmed.quoted_at"),
):
    """The buyer confirmed a pay-later order: authorise it against the limit, or decline it with reasons (C-R8)."""

    model_config = example(
        **_ORDER,
        currency="CNY",
        kind="GOODS",
        product="PAY_AFTER_USE",
        instalments=1,
        lines=[_LINE],
        freight=769,
        amount=25769,
        confirmed={
            "amount": 25769,
            "window_days": 7,
            "instalment_fee": 0,
            "agreement_version": "2027-01",
            "expected_receipt_on": "2027-03-05",
            "quoted_at": "2027-03-01T01:55:00Z",
        },
        payment_proof="eyJhbGciOiJIUzI1NiJ9.e30.c2ln",
        device_ref="dev-1",
        address_ref="adr-1",
    )

    buyer_id: BuyerId
    order_id: OrderId
    merchant_id: MerchantId
    currency: Currency
    kind: OrderKind = Field(description="Goods that are shipped, or a service that is used")
    product: Product = Field(description="Pay within days of acceptance, or on monthly statements")
    instalments: Instalments
    lines: SomeLines[OrderLine] = Field(description="What is bought")
    freight: Money = Field(description="Freight of the whole order in minor units")
    amount: Money = Field(description="Sum of the lines' amounts and the freight, in minor units")
    confirmed: Confirmed = Field(description="The offer the buyer confirmed")
    payment_proof: Annotated[str, Field(min_length=1, max_length=4096)] = Field(
        description="Token of checkout's password endpoint over buyer, order, amount, currency and device"
    )
    device_ref: Ref = Field(description="The device it was ordered on")
    address_ref: Ref = Field(description="Where it goes, kept by the shop")


class CancelOrder(Command, service="checkout", subject="order_id", sender="shop, desk"):
    """Cancel what is not handed over yet, all of it or some lines (C-R6, CHK-23, CHK-24)."""

    model_config = example(**_ORDER, by="BUYER", reason="changed my mind")

    buyer_id: BuyerId
    order_id: OrderId
    merchant_id: MerchantId
    by: Literal["BUYER", "MERCHANT", "SUPPORT"] = Field(description="Who cancels")
    reason: Text = Field(description="Why")
    line_ids: Listed[ChosenId] | None = Field(default=None, description="Lines to cancel; absent: all unshipped")


class ReportShipment(Command, service="checkout", subject="order_id", sender="shop", not_content=("occurred_at",)):
    """Goods were handed to the carrier: their value is captured, nothing is charged yet."""

    model_config = example(
        **_ORDER,
        shipment_id="s-1",
        lines=[{"line_id": "1", "quantity": 2}],
        final=True,
        waybill_no="SF1234567890",
        occurred_at="2027-03-02T02:00:00Z",
    )

    buyer_id: BuyerId
    order_id: OrderId
    merchant_id: MerchantId
    shipment_id: ShipmentId
    lines: SomeLines[ShippedLine] = Field(description="What was handed over")
    final: bool = Field(description="Whether nothing more will be shipped; the rest is released")
    waybill_no: Ref = Field(description="The carrier's number")
    occurred_at: Instant = Field(description="When it was handed over")


class ReportDelivery(Command, service="checkout", subject="order_id", sender="courier", not_content=("occurred_at",)):
    """The carrier delivered a shipment, had it refused, or lost it."""

    model_config = example(**_ORDER, shipment_id="s-1", outcome="DELIVERED", occurred_at="2027-03-04T07:00:00Z")

    buyer_id: BuyerId
    order_id: OrderId
    merchant_id: MerchantId
    shipment_id: ShipmentId
    outcome: Literal["DELIVERED", "REFUSED", "LOST"] = Field(description="What became of it")
    occurred_at: Instant = Field(description="When")


class ConfirmReceipt(Command, service="checkout", subject="order_id", sender="shop"):
    """The buyer accepts the goods: the debt starts (CHK-20)."""

    model_config = example(**_ORDER)

    buyer_id: BuyerId
    order_id: OrderId
    merchant_id: MerchantId


class ExtendAuthorisation(Command, service="checkout", subject="order_id", sender="shop"):
    """Keep the authorisation of an order alive that takes longer to ship (C-R7)."""

    model_config = example(**_ORDER)

    buyer_id: BuyerId
    order_id: OrderId
    merchant_id: MerchantId


# ------------------------------------------------------------------ events: the account


class AccountApplied(Event, service="checkout"):
    """An application was received."""

    model_config = example(buyer_id="b-7", currency="CNY")

    buyer_id: BuyerId
    currency: Currency


class ApplicationAdvanced(Event, service="checkout"):
    """A step of an application was done or failed."""

    model_config = example(
        buyer_id="b-7", step="IDENTITY", result="DONE", missing=["CARD", "PASSWORD"], status="APPLIED"
    )

    buyer_id: BuyerId
    step: ApplicationStep = Field(description="The step")
    result: Literal["DONE", "FAILED"] = Field(description="Its result")
    missing: Listed[ApplicationStep] = Field(description="Steps still to be done")
    status: AccountStatus = Field(description="Where the application stands")


class AccountActivated(Event, service="checkout"):
    """The credit line is usable from now on."""

    model_config = example(buyer_id="b-7", currency="CNY", score=640, limit=200000, instrument=_INSTRUMENT)

    buyer_id: BuyerId
    currency: Currency
    score: Score
    limit: Money = Field(description="Credit limit in minor units")
    instrument: Instrument = Field(description="The bound card; repayments are collected from it")


class AccountRejected(Event, service="checkout"):
    """The application was not approved."""

    model_config = example(buyer_id="b-7", reasons=["INCOME_UNVERIFIED"])

    buyer_id: BuyerId
    reasons: Listed[Text] = Field(description="Why, as codes or text")


class AccountStatusChanged(Event, service="checkout"):
    """An account's status was set, even if to what it was (C-R2)."""

    model_config = example(buyer_id="b-7", from_="ACTIVE", to="SUSPENDED", reasons=["DESK_HOLD"])

    buyer_id: BuyerId
    from_status: AccountStatus = Field(alias="from", description="Status before")
    to_status: AccountStatus = Field(alias="to", description="Status from now on")
    reasons: Listed[Text] = Field(description="Why, as codes or text")


class CardBound(Event, service="checkout"):
    """The card was replaced after activation."""

    model_config = example(buyer_id="b-7", instrument=_INSTRUMENT)

    buyer_id: BuyerId
    instrument: Instrument = Field(description="The new card")


class CreditLineChanged(Event, service="checkout"):
    """Score, limit, held or used changed; available = limit - held - used (I-5)."""

    model_config = example(
        buyer_id="b-7",
        currency="CNY",
        score=640,
        score_delta=0,
        limit=200000,
        held=25769,
        used=0,
        available=174231,
        cause="ORDER_AUTHORIZED",
        cause_ref="o-1001",
    )

    buyer_id: BuyerId
    currency: Currency
    score: Score
    score_delta: int = Field(ge=-1000, le=1000, description="Change of the score, may be negative")
    limit: Money = Field(description="Credit limit in minor units")
    held: Money = Field(description="Reserved for authorised orders, in minor units")
    used: Money = Field(description="Unpaid principal as last reported by billing, in minor units")
    available: SignedMoney = Field(description="limit - held - used; below 0 after a cut of the limit")
    cause: Code = Field(description="What changed it")
    cause_ref: DerivedId = Field(description="The order, bill or message that changed it")


class MerchantConsentChanged(Event, service="checkout", subject="merchant_id"):
    """A buyer activated a merchant, or withdrew that."""

    model_config = example(buyer_id="b-7", merchant_id="m-42", granted=True, text_version="2027-01")

    buyer_id: BuyerId
    merchant_id: MerchantId
    granted: bool = Field(description="Granted, or withdrawn")
    text_version: ChosenId = Field(description="Version of the text agreed to")


class MerchantPolicyPublished(Event, PublishedPolicy, service="checkout", key="merchant_id"):
    """A policy version is stored and will come into force; what it leaves open is inherited."""

    model_config = example(
        merchant_id="m-42",
        version=1,
        effective_from="2027-03-01T02:00:00Z",
        currency="CNY",
        display_name="Phone Cases & More",
        window_days=14,
        cancel_hours=12,
    )


# ------------------------------------------------------------------ events: the order


class OrderAuthorized(Event, service="checkout", subject="order_id"):
    """The order's amount is held on the limit; nothing is charged (CHK-18)."""

    model_config = example(
        **_ORDER,
        currency="CNY",
        amount=25769,
        product="PAY_AFTER_USE",
        instalments=1,
        lines=[{**_LINE, "freight_share": 769}],
        expires_at="2027-03-29T02:00:00Z",
        terms=_TERMS,
        policy_versions=_VERSIONS,
    )

    buyer_id: BuyerId
    order_id: OrderId
    merchant_id: MerchantId
    currency: Currency
    amount: Money = Field(description="Held amount in minor units")
    product: Product = Field(description="Pay within days of acceptance, or on monthly statements")
    instalments: Instalments
    lines: Listed[AuthorizedLine] = Field(description="What was bought")
    expires_at: Instant = Field(description="When the authorisation lapses")
    terms: FrozenTerms = Field(description="The policy as frozen on this order")
    policy_versions: PolicyVersions = Field(description="Where the terms come from")


class OrderDeclined(Event, service="checkout", subject="order_id"):
    """The order cannot be paid later; other ways to pay stay open (CHK-11, CHK-13)."""

    model_config = example(
        **_ORDER,
        currency="CNY",
        reasons=["INSUFFICIENT_LIMIT"],
        counterfactual={"max_amount": 90000},
        signals=[],
    )

    buyer_id: BuyerId
    order_id: OrderId
    merchant_id: MerchantId
    currency: Currency
    reasons: Listed[Code] = Field(description="Every test that failed (C-R8)")
    counterfactual: Counterfactual | None = Field(
        default=None, description="What would have been possible; present if every reason is about the amount"
    )
    signals: Listed[Code] = Field(description="Risk signals that were true (C-R5)")


class OrderCancelled(Event, service="checkout", subject="order_id"):
    """An order, or part of it, is off; its value is released."""

    model_config = example(
        **_ORDER, currency="CNY", amount=25769, line_ids=["1"], by="BUYER", reason="changed my mind", complete=True
    )

    buyer_id: BuyerId
    order_id: OrderId
    merchant_id: MerchantId
    currency: Currency
    amount: Money = Field(description="Released amount in minor units")
    line_ids: Listed[ChosenId] = Field(description="Lines that are off")
    by: Literal["BUYER", "MERCHANT", "SUPPORT", "COURIER", "SYSTEM"] = Field(description="Who ended it")
    reason: Text = Field(description="Why")
    complete: bool = Field(description="Whether nothing is left of the order")


class OrderCaptured(Event, service="checkout", subject="order_id"):
    """Goods were shipped, or a service started; fixes what may be charged."""

    model_config = example(
        **_ORDER,
        currency="CNY",
        shipment_id="s-1",
        lines=[{"line_id": "1", "quantity": 2}],
        amount=25769,
        released_amount=0,
    )

    buyer_id: BuyerId
    order_id: OrderId
    merchant_id: MerchantId
    currency: Currency
    shipment_id: ShipmentId | None = Field(default=None, description="The shipment; absent for a service")
    lines: Listed[ShippedLine] = Field(description="What was handed over")
    amount: Money = Field(description="Captured amount of these units in minor units")
    released_amount: Money = Field(description="What will not be shipped and is released, in minor units")


class AuthorisationExtended(Event, service="checkout", subject="order_id"):
    """The authorisation of an order lasts longer."""

    model_config = example(**_ORDER, expires_at="2027-04-17T01:00:00Z")

    buyer_id: BuyerId
    order_id: OrderId
    merchant_id: MerchantId
    expires_at: Instant = Field(description="When the authorisation lapses now")


class OrderExpired(Event, service="checkout", subject="order_id"):
    """What was not shipped in time lapsed; its value is released."""

    model_config = example(**_ORDER, currency="CNY", amount=25769, complete=True)

    buyer_id: BuyerId
    order_id: OrderId
    merchant_id: MerchantId
    currency: Currency
    amount: Money = Field(description="Released amount in minor units")
    complete: bool = Field(description="Whether nothing is left of the order")


class DeliveryReported(Event, service="checkout", subject="order_id"):
    """A shipment was delivered, refused or lost."""

    model_config = example(
        **_ORDER,
        currency="CNY",
        shipment_id="s-1",
        outcome="DELIVERED",
        auto_accept_at="2027-03-14T07:00:00Z",
        released_amount=0,
    )

    buyer_id: BuyerId
    order_id: OrderId
    merchant_id: MerchantId
    currency: Currency
    shipment_id: ShipmentId
    outcome: Literal["DELIVERED", "REFUSED", "LOST"] = Field(description="What became of it")
    auto_accept_at: Instant | None = Field(default=None, description="When the order is accepted without a word")
    released_amount: Money = Field(description="Value of what was refused or lost, in minor units")


class OrderAccepted(Event, service="checkout", subject="order_id"):
    """The goods are accepted, or the service ended: the debt starts (CHK-20, BIL-08)."""

    model_config = example(
        **_ORDER,
        currency="CNY",
        kind="GOODS",
        amount=25769,
        lines=[
            {
                "line_id": "1",
                "sku": "case-black",
                "category": "ACCESSORY",
                "quantity": 2,
                "goods": 25000,
                "freight": 769,
                "returnable": True,
            }
        ],
        accepted_at="2027-03-12T02:00:00Z",
        by="BUYER",
        product="PAY_AFTER_USE",
        instalments=1,
        instrument=_INSTRUMENT,
        terms=_TERMS,
        policy_versions=_VERSIONS,
    )

    buyer_id: BuyerId
    order_id: OrderId
    merchant_id: MerchantId
    currency: Currency
    kind: OrderKind = Field(description="Goods that were shipped, or a service that was used")
    amount: Money = Field(description="Accepted amount in minor units: the principal of the debt")
    lines: Listed[AcceptedLine] = Field(description="Accepted units")
    accepted_at: Instant = Field(description="When")
    by: Literal["BUYER", "AUTO", "SERVICE_END"] = Field(description="By whom")
    product: Product = Field(description="Pay within days of acceptance, or on monthly statements")
    instalments: Instalments
    instrument: Instrument = Field(description="What the debt is collected from")
    terms: FrozenTerms = Field(description="The policy as frozen on this order")
    policy_versions: PolicyVersions = Field(description="Where the terms come from")


class OrderCompleted(Event, service="checkout", subject="order_id"):
    """Nothing about an order is open any more."""

    model_config = example(**_ORDER, outcome="COMPLETED")

    buyer_id: BuyerId
    order_id: OrderId
    merchant_id: MerchantId
    outcome: Literal["COMPLETED", "REFUNDED"] = Field(description="Paid and past its return window, or given back")


class CommandRejected(Rejection, service="checkout", subject="command_id"):
    """checkout refused a command; nothing changed (H-2)."""

    model_config = example(
        command_id="0b6cb2f6-9f0c-4b7e-8f0a-0d3c3f6a1c55",
        command_type="houfu.checkout.cancel_order.v1",
        code="CANCEL_WINDOW_CLOSED",
        message="Cancel window closed",
        details={"until": "2027-03-02T02:00:00Z"},
        buyer_id="b-7",
    )
