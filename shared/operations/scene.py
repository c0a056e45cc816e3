"""What the people of a story say: a buyer, a shop, a courier, a review desk, and the commands they send."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.contracts.billing import RepayBill, RequestExtension, SimulateRefund
from shared.contracts.checkout import (
    ApplyForAccount,
    BindCard,
    CancelOrder,
    ConfirmReceipt,
    PlaceOrder,
    PublishMerchantPolicy,
    RecordPasswordSet,
    ReportDelivery,
    ReportIdentity,
    ReportScore,
    ReportShipment,
    ReviewAccount,
    SetMerchantConsent,
)
from shared.contracts.message import Command
from shared.contracts.notify import SetPreferences
from shared.contracts.refunds import (
    AssessReturn,
    Destination,
    IssueRefund,
    ReportReturnReceipt,
    ReportReturnShipment,
    RequestReturn,
    ReviewRefund,
    ReviewReturn,
)
from shared.kernel.money import percentage

__all__ = ["Prove", "Purchase", "Scene"]

AGREEMENT = "2027-01"
DEVICE = "dev-1"
CURRENCY = "CNY"
LINES = ({"line_id": "1", "quantity": 1},)
INSTALMENT_FEE_BPS = {"3": 150, "6": 250, "12": 450}


@dataclass(frozen=True, slots=True)
class Purchase:
    """What a payment proof is asked for; ``amount`` in minor units."""

    buyer_id: str
    order_id: str
    amount: int
    currency: str
    device_ref: str


Prove = Callable[[Purchase, datetime], str]
"""Makes the token that checkout's password endpoint would: the buyer entered the password for exactly this."""


@dataclass(frozen=True, slots=True)
class Scene:
    """One buyer, one merchant, one order, and the words to speak about them at the business time ``now``."""

    buyer_id: str
    merchant_id: str
    prove: Prove
    now: datetime

    @property
    def order_id(self) -> str:
        return f"{self.buyer_id}-order"

    @property
    def _order(self) -> dict[str, str]:
        return {"buyer_id": self.buyer_id, "order_id": self.order_id, "merchant_id": self.merchant_id}

    def policies(self) -> Iterable[Command]:
        """The platform's policy and the merchant's, in force an hour from now."""
        version = int(self.now.timestamp()) // 60
        common = {"version": version, "effective_from": self.now + timedelta(hours=1)}
        fees = {"instalment_fee_bps": INSTALMENT_FEE_BPS}
        yield PublishMerchantPolicy.model_validate(
            {"merchant_id": "platform", "agreement_version": AGREEMENT, **common}
        )
        yield PublishMerchantPolicy.model_validate(
            {"merchant_id": self.merchant_id, "display_name": "花间小铺", "window_days": 7, **fees, **common}
        )

    def preferences(self) -> Iterable[Command]:
        """How the buyer is to be told; said first of all, so that nothing is told otherwise."""
        yield SetPreferences.model_validate({"buyer_id": self.buyer_id, "contacts": {"EMAIL": self.buyer_id}})

    def enrolment(self, token: str) -> Iterable[Command]:
        """Everything from the application to the approved account and the merchant's activation."""
        buyer = {"buyer_id": self.buyer_id}
        card = {"kind": "CARD", "token": token}
        yield ApplyForAccount.model_validate(
            {**buyer, "currency": CURRENCY, "platform_account_ref": "acc", "agreement_version": AGREEMENT}
        )
        yield ReportIdentity.model_validate({**buyer, "outcome": "VERIFIED", "document_ref": "doc"})
        yield BindCard.model_validate(
            {
                **buyer,
                "instrument": card,
                "issuer": "ICBC",
                "brand": "UNIONPAY",
                "card_type": "DEBIT",
                "holder_match": True,
                "device_ref": DEVICE,
            }
        )
        yield RecordPasswordSet.model_validate({**buyer, "set_at": self.now})
        yield ReportScore.model_validate({**buyer, "score": 640, "provider": "sandbox"})
        yield ReviewAccount.model_validate({**buyer, "decision": "APPROVE", "reasons": ()})
        yield SetMerchantConsent.model_validate(
            {
                **buyer,
                "merchant_id": self.merchant_id,
                "granted": True,
                "text_version": AGREEMENT,
                "scopes": ("CREDIT_DECISION",),
            }
        )

    def order(self, name: str, category: str, amount: int, instalments: int = 0) -> Iterable[Command]:
        """One unit of something; ``amount`` in minor units.

        Payable within seven days of its receipt, or in so many ``instalments`` on monthly statements.
        """
        line = {
            "line_id": "1",
            "sku": "sku-1",
            "name": name,
            "category": category,
            "quantity": 1,
            "unit_price": amount,
            "discount": 0,
            "amount": amount,
            "eligible": True,
            "returnable": True,
        }
        confirmed = {
            "amount": amount,
            "window_days": None if instalments else 7,
            "instalment_fee": percentage(amount, INSTALMENT_FEE_BPS.get(str(instalments), 0)),
            "agreement_version": AGREEMENT,
            "expected_receipt_on": (self.now + timedelta(days=3)).date(),
            "quoted_at": self.now,
        }
        yield PlaceOrder.model_validate(
            {
                **self._order,
                "currency": CURRENCY,
                "kind": "GOODS",
                "product": "MONTHLY" if instalments else "PAY_AFTER_USE",
                "instalments": instalments or 1,
                "lines": (line,),
                "freight": 0,
                "amount": amount,
                "confirmed": confirmed,
                "payment_proof": self.prove(Purchase(self.buyer_id, self.order_id, amount, CURRENCY, DEVICE), self.now),
                "device_ref": DEVICE,
                "address_ref": "adr-1",
            }
        )

    def cancellation(self) -> Iterable[Command]:
        yield CancelOrder.model_validate({**self._order, "by": "BUYER", "reason": "changed my mind"})

    def shipment(self) -> Iterable[Command]:
        yield ReportShipment.model_validate(
            {
                **self._order,
                "shipment_id": "s-1",
                "lines": LINES,
                "final": True,
                "waybill_no": "SF1234567890",
                "occurred_at": self.now,
            }
        )

    def delivery(self) -> Iterable[Command]:
        yield ReportDelivery.model_validate(
            {**self._order, "shipment_id": "s-1", "outcome": "DELIVERED", "occurred_at": self.now}
        )

    def receipt(self) -> Iterable[Command]:
        yield ConfirmReceipt.model_validate(self._order)

    def repayment(self, amount: int, token: str, name: str = "pay", **target: str) -> Iterable[Command]:
        """The buyer pays part of a bill or order, or all of it; ``amount`` in minor units.

        Of the order's own bill, unless ``target`` names a ``bill_id`` or ``order_id``.
        """
        yield RepayBill.model_validate(
            {
                "buyer_id": self.buyer_id,
                "repayment_id": f"{self.buyer_id}-{name}",
                "currency": CURRENCY,
                "amount": amount,
                "instrument": {"kind": "CARD", "token": token},
                **(target or {"bill_id": f"b:{self.order_id}"}),
            }
        )

    # -- monthly statements

    def statement(self, days_ago: int) -> str:
        """The statement of the month so many days ago."""
        cut_on = (self.now - timedelta(days=days_ago)).date().replace(day=1)
        return f"m:{self.buyer_id}:{cut_on}"

    def extension(self, bill_id: str, days: int) -> Iterable[Command]:
        """The buyer wants to pay a bill later."""
        wish = {"extension_id": f"{self.buyer_id}-later", "bill_id": bill_id, "days": days}
        yield RequestExtension.model_validate({"buyer_id": self.buyer_id, "reason": "工资月底才到", **wish})

    def simulation(self, amount: int) -> Iterable[Command]:
        """What would a refund of the order do? ``amount`` in minor units."""
        yield SimulateRefund.model_validate(
            {
                **self._order,
                "simulation_id": f"{self.buyer_id}-question",
                "currency": CURRENCY,
                "amount": amount,
                "destination": "ORIGINAL_ROUTE",
            }
        )

    # -- the goods come back

    @property
    def case_id(self) -> str:
        return f"{self.buyer_id}-case"

    @property
    def _case(self) -> dict[str, str]:
        return {**self._order, "case_id": self.case_id}

    def return_request(self, case: str = "") -> Iterable[Command]:
        """The buyer wants to give the one unit back; ``case`` sets a second request apart from the first."""
        yield RequestReturn.model_validate(
            {
                **self._case,
                "case_id": f"{self.case_id}{case}",
                "kind": "RETURN_REFUND",
                "lines": LINES,
                "reason": "NOT_WANTED",
                "description": "颜色不合适",
                "evidence_refs": (),
                "destination": "ORIGINAL_ROUTE",
            }
        )

    def seller_approval(self) -> Iterable[Command]:
        yield ReviewReturn.model_validate(
            {**self._case, "decision": "APPROVE", "by": "SELLER", "return_address_ref": "adr-9"}
        )

    def return_shipment(self) -> Iterable[Command]:
        yield ReportReturnShipment.model_validate(
            {**self._case, "waybill_no": "SF7654321098", "carrier": "SF", "occurred_at": self.now}
        )

    def return_receipt(self) -> Iterable[Command]:
        """The parcel is back, and the seller finds the goods as new."""
        yield ReportReturnReceipt.model_validate({**self._case, "lines": LINES, "occurred_at": self.now})
        graded = ({"line_id": "1", "quantity": 1, "grade": "A"},)
        yield AssessReturn.model_validate({**self._case, "lines": graded, "responsibility": "BUYER"})

    def refund_approval(self) -> Iterable[Command]:
        yield ReviewRefund.model_validate({**self._case, "decision": "APPROVE", "by": "SELLER"})

    def goodwill(self, name: str, amount: int, destination: Destination) -> Iterable[Command]:
        """The merchant gives money back without a return; ``amount`` in minor units."""
        yield IssueRefund.model_validate(
            {
                **self._order,
                "refund_id": f"{self.buyer_id}-{name}",
                "currency": CURRENCY,
                "amount": amount,
                "reason": "a gesture",
                "by": "MERCHANT",
                "destination": destination,
            }
        )
