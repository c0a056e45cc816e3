"""One buyer's story with checkout: every message is sent at a local time of 2027, and the state carries on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import services.checkout.handlers  # noqa: F401 - importing them registers them
from services.checkout.rules.proof import PaymentProofs, Purchase
from services.checkout.service import checkout
from services.checkout.state import Account, AccountStatus, Consent, MerchantPair, Order, Policy, PublishedPolicy
from shared.contracts import checkout as c
from shared.contracts.billing import (
    BillChargedOff,
    BillPaid,
    DelinquencyChanged,
    ExtensionDecided,
    FeeReversed,
    PlanOpened,
    PlanReopened,
    PlanSettled,
    RefundAllocated,
    RepaymentAllocated,
    RepaymentReversed,
)
from shared.contracts.fields import Instrument
from shared.contracts.message import Message
from shared.contracts.policy import PolicyFields
from shared.contracts.refunds import ReturnClosed, ReturnOpened
from shared.engine.vocabulary import Cause, Due, Row
from shared.kernel.calendar import Calendar, WorkingWeek
from shared.testing.given import Given, Then

ZONE = ZoneInfo("Asia/Shanghai")
CALENDAR = Calendar("Asia/Shanghai", WorkingWeek.CN_WEEKENDS)
PROOFS = PaymentProofs("a secret of the tests, long enough for HS256")
CARD = Instrument(kind="CARD", token="tok_1")
BUYER, MERCHANT, ORDER = "b-7", "m-42", "o-1"
AGREEMENT = "2027-01"


def local(text: str) -> datetime:
    """``"03-01 10:00"`` as an instant of 2027 in the tenant's zone."""
    form = "%Y-%m-%d %H:%M:%S" if text.count(":") == 2 else "%Y-%m-%d %H:%M"
    return datetime.strptime(f"2027-{text}", form).replace(tzinfo=ZONE).astimezone(UTC)


def account(**facts: Any) -> Account:
    """An account in use since the start of 2026: score 640, limit 200000, nothing held or used."""
    standing: dict[str, Any] = {
        "status": AccountStatus.ACTIVE,
        "currency": "CNY",
        "platform_account_ref": "acc-7",
        "agreement_version": AGREEMENT,
        "steps": ("IDENTITY", "CARD", "PASSWORD"),
        "instrument": CARD,
        "score": 640,
        "limit": 200_000,
        "activated_at": datetime(2026, 1, 1, tzinfo=UTC),
    }
    return Account(BUYER, **{**standing, **facts})


def consenting(**facts: Any) -> MerchantPair:
    """The buyer has activated the merchant."""
    return MerchantPair(BUYER, MERCHANT, **{"consent": Consent(True, "1", (), local("01-01 00:00")), **facts})


def policy(merchant_id: str = MERCHANT, **stated: Any) -> Policy:
    """What a merchant, or the platform, has published; in force since the first day of 2027."""
    version = PublishedPolicy.of(1, local("01-01 00:00"), PolicyFields(**stated))
    return Policy(merchant_id, (version,))


def line(line_id: str = "A", amount: int = 90_000, **facts: Any) -> c.OrderLine:
    sold: dict[str, Any] = {
        "sku": f"sku-{line_id}",
        "name": "手机壳",
        "category": "HOME",
        "quantity": 1,
        "unit_price": amount,
        "discount": 0,
        "amount": amount,
        "eligible": True,
        "returnable": True,
    }
    return c.OrderLine(line_id=line_id, **{**sold, **facts})


LINE_A = line("A", 25_000, quantity=2, unit_price=12_900, discount=800)
LINE_B = line("B", 7_499)
"""The order of worked example 2: 33499 with a freight of 1000."""


def place(*lines: c.OrderLine, at: str, freight: int = 0, **facts: Any) -> c.PlaceOrder:
    """A correct order, proven and confirmed at ``at``; ``facts`` replace what the test is about."""
    lines = lines or (line(),)
    amount = sum(one.amount for one in lines) + freight
    now = local(at)
    order_id = facts.get("order_id", ORDER)
    confirmed = {
        "amount": amount,
        "window_days": 7,
        "instalment_fee": 0,
        "agreement_version": AGREEMENT,
        "expected_receipt_on": date(2027, 3, 5),
        "quoted_at": now,
        **facts.pop("confirmed", {}),
    }
    placed: dict[str, Any] = {
        "buyer_id": BUYER,
        "order_id": order_id,
        "merchant_id": MERCHANT,
        "currency": "CNY",
        "kind": "GOODS",
        "product": "PAY_AFTER_USE",
        "instalments": 1,
        "lines": lines,
        "freight": freight,
        "amount": amount,
        "confirmed": c.Confirmed(**confirmed),
        "payment_proof": PROOFS.sign(Purchase(BUYER, order_id, amount, "CNY", "dev-1"), now),
        "device_ref": "dev-1",
        "address_ref": "adr-1",
    }
    return c.PlaceOrder(**{**placed, **facts})


def monthly(
    instalments: int, *lines: c.OrderLine, at: str, fee: int = 0, confirmed: dict[str, Any] | None = None, **facts: Any
) -> c.PlaceOrder:
    """A correct order on monthly statements, in so many instalments that cost ``fee`` in all."""
    offer = {"window_days": None, "instalment_fee": fee, **(confirmed or {})}
    return place(*lines, at=at, product="MONTHLY", instalments=instalments, confirmed=offer, **facts)


class Story:
    """Checkout's state as it grows, and what each step did."""

    def __init__(self, *rows: Row) -> None:
        self.given = Given(checkout, *rows)
        self.messages = 0

    def send(self, message: Message | Due, at: str | datetime) -> Then:
        """Handle a message at a local time; each has an id of its own, equal requests have one content (H-3)."""
        self.messages += 1
        content = ""
        if isinstance(message, Message):
            body = message.model_dump(mode="json")
            for path in message.NOT_CONTENT:
                within = body
                *parents, name = path.split(".")
                for parent in parents:
                    within = within[parent]
                within.pop(name)
            content = repr(body)
        now = local(at) if isinstance(at, str) else at
        then = self.given.when(message, now, Cause(f"cause-{self.messages}", content))
        self.given = then.given
        return then

    def until(self, at: str) -> list[Then]:
        """Let deadlines come due up to a local time."""
        steps = list(self.given.until(local(at)))
        self.given = steps[-1].given if steps else self.given
        return steps

    @property
    def account(self) -> Account:
        return self.given.row(Account, BUYER)

    @property
    def pair(self) -> MerchantPair:
        return self.given.row(MerchantPair, MERCHANT)

    def order(self, order_id: str = ORDER) -> Order:
        return self.given.row(Order, order_id)

    def armed(self) -> list[tuple[str, datetime]]:
        """The deadlines that stand: kind and instant."""
        return [(one.message.KIND, one.at) for one in self.given.armed]


def in_order(kind: type, order_id: str = ORDER, **facts: Any) -> Any:
    """A message about an order of this buyer and merchant."""
    return kind(buyer_id=BUYER, order_id=order_id, merchant_id=MERCHANT, **facts)


def cancel(by: str = "BUYER", *line_ids: str, order_id: str = ORDER) -> c.CancelOrder:
    return in_order(c.CancelOrder, order_id, by=by, reason="changed my mind", line_ids=line_ids or None)


def ship(shipment_id: str, at: str, *, final: bool = False, order_id: str = ORDER, **units: int) -> c.ReportShipment:
    lines = tuple(c.ShippedLine(line_id=line_id, quantity=quantity) for line_id, quantity in units.items())
    return in_order(
        c.ReportShipment,
        order_id,
        shipment_id=shipment_id,
        lines=lines,
        final=final,
        waybill_no="SF-1",
        occurred_at=local(at),
    )


def deliver(shipment_id: str, at: str, outcome: str = "DELIVERED", order_id: str = ORDER) -> c.ReportDelivery:
    return in_order(c.ReportDelivery, order_id, shipment_id=shipment_id, outcome=outcome, occurred_at=local(at))


def plan_opened(principal: int, version: int, outstanding: int | None = None, order_id: str = ORDER) -> PlanOpened:
    return in_order(
        PlanOpened,
        order_id,
        currency="CNY",
        product="PAY_AFTER_USE",
        principal=principal,
        fee=0,
        instalments=(),
        outstanding_principal=principal if outstanding is None else outstanding,
        book_version=version,
    )


def plan_settled(order_id: str = ORDER) -> PlanSettled:
    return in_order(PlanSettled, order_id, currency="CNY", settled_on=date(2027, 3, 19), paid=1, refunded=0)


def plan_reopened(principal: int, version: int, outstanding: int | None = None, order_id: str = ORDER) -> PlanReopened:
    """So much is owed again on an order; what is owed in all is ``outstanding`` now."""
    return in_order(
        PlanReopened,
        order_id,
        currency="CNY",
        principal=principal,
        bill_id="r:cb-1",
        due_on=date(2027, 5, 13),
        outstanding_principal=principal if outstanding is None else outstanding,
        book_version=version,
    )


def reversed_repayment(
    outstanding: int, version: int, *bill_ids: str, reversal_id: str = "cb-1", amount: int = 1
) -> RepaymentReversed:
    """A bank took a repayment back that had paid on these bills."""
    return RepaymentReversed(
        buyer_id=BUYER,
        reversal_id=reversal_id,
        repayment_id="r-1",
        currency="CNY",
        amount=amount,
        reason="CHARGEBACK",
        bill_ids=bill_ids,
        order_ids=(ORDER,),
        outstanding_principal=outstanding,
        book_version=version,
    )


def fee_reversed(outstanding: int, version: int, fee_id: str = "b:o-1:f1") -> FeeReversed:
    """A late fee was taken back; if it had been paid, less principal is owed."""
    return FeeReversed(
        buyer_id=BUYER,
        bill_id="b:o-1",
        fee_id=fee_id,
        currency="CNY",
        amount=600,
        cause="WAIVER",
        reapplied=(),
        outstanding_principal=outstanding,
        book_version=version,
    )


def charged_off(outstanding: int, version: int, bill_id: str = "b:o-1", dpd: int = 181) -> BillChargedOff:
    """A bill is written off; its principal is owed all the same."""
    return BillChargedOff(
        buyer_id=BUYER,
        bill_id=bill_id,
        currency="CNY",
        principal=outstanding,
        fee=0,
        late_fee=0,
        dpd=dpd,
        outstanding_principal=outstanding,
        book_version=version,
    )


def extension(decision: str = "GRANTED", bill_id: str = "b:o-1") -> ExtensionDecided:
    granted = {"due_on": date(2027, 3, 26), "due_version": 2} if decision == "GRANTED" else {}
    return ExtensionDecided(
        buyer_id=BUYER, extension_id="ext-1", bill_id=bill_id, currency="CNY", decision=decision, fee=0, **granted
    )


def repaid(outstanding: int, version: int) -> RepaymentAllocated:
    return RepaymentAllocated(
        buyer_id=BUYER,
        repayment_id="r-1",
        currency="CNY",
        mode="AUTO",
        instrument=CARD,
        amount=1,
        paid_on=date(2027, 3, 19),
        allocations=(),
        outstanding_principal=outstanding,
        book_version=version,
    )


def refunded(
    amount: int, outstanding: int, version: int, refund_id: str = "case-1:r1", order_id: str = ORDER, **facts: Any
) -> RefundAllocated:
    """A refund fell on an order; what is owed in all is ``outstanding`` now."""
    fell: dict[str, Any] = {
        "currency": "CNY",
        "cause": "RETURN",
        "legs": (),
        "before": (),
        "after": (),
        "policy": "REVERSE_DUE",
        "value_on": date(2027, 3, 16),
        "fees_reversed": 0,
        "unallocated": 0,
        "skus": (),
        "outstanding_principal": outstanding,
        "book_version": version,
    }
    return in_order(RefundAllocated, order_id, refund_id=refund_id, amount=amount, **{**fell, **facts})


def return_opened(case_id: str = "case-1", order_id: str = ORDER, *, reopened: bool = False) -> ReturnOpened:
    return ReturnOpened(
        buyer_id=BUYER,
        order_id=order_id,
        merchant_id=MERCHANT,
        case_id=case_id,
        currency="CNY",
        kind="RETURN_REFUND",
        review_mode="SELLER",
        lines=(),
        reason="NOT_WANTED",
        share_amount=100,
        reopened=reopened,
    )


def return_closed(case_id: str = "case-1", outcome: str = "REJECTED", order_id: str = ORDER) -> ReturnClosed:
    return in_order(ReturnClosed, order_id, case_id=case_id, outcome=outcome)


def bill_paid(bill_id: str = "b:o-1", paid_on: str = "03-19", due_on: str = "03-19", max_dpd: int = 0) -> BillPaid:
    return BillPaid(
        buyer_id=BUYER,
        bill_id=bill_id,
        paid_on=date.fromisoformat(f"2027-{paid_on}"),
        due_on=date.fromisoformat(f"2027-{due_on}"),
        max_dpd=max_dpd,
    )


def delinquent(dpd: int, stage: str, bill_id: str = "b:o-1", account_stage: str | None = None) -> DelinquencyChanged:
    bucket = {"NONE": "NONE", "REMINDER": "D1_3"}.get(stage, "D4_30")
    return DelinquencyChanged(
        buyer_id=BUYER,
        bill_id=bill_id,
        currency="CNY",
        due_version=1,
        dpd=dpd,
        bucket=bucket,
        stage=stage,
        account_stage=account_stage or stage,
        amount_due=1,
    )


def names(events: Sequence[Any]) -> list[str]:
    return [type(event).__name__ for event in events]


def authorised(*lines: c.OrderLine, at: str = "03-01 10:00", freight: int = 0, **facts: Any) -> Story:
    """A story in which the order stands authorised."""
    story = Story(account(**facts), consenting())
    then = story.send(place(*lines, at=at, freight=freight), at)
    assert then.rejected is None
    return story
