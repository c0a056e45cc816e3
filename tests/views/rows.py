"""Something to look at: Ann's rows in every service, all about one order of one shop unless told otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from services.billing import state as billing
from services.billing.rules import ledger
from services.checkout import state as checkout
from services.notify import state as notify
from services.refunds import state as refunds
from shared.contracts.checkout import AuthorizedLine
from shared.contracts.fields import Instrument
from shared.contracts.policy import DEFAULTS, PolicyVersions, Terms
from shared.contracts.refunds import AssessedLine
from shared.engine.vocabulary import Cause, Entry, Row

BUYER = "ann"
SHOP = "shop"
ORDER = "o-1"
CARD = Instrument(kind="CARD", token="tok_secret")
TERMS = Terms.frozen(DEFAULTS)
NOON = datetime(2027, 3, 1, 4, tzinfo=UTC)
DAY = timedelta(days=1)

KINDS: Mapping[str, tuple[type[Row], ...]] = {
    "checkout": (checkout.Account, checkout.Order),
    "billing": (billing.Plan, billing.Bill),
    "refunds": (refunds.Case, refunds.Refund),
    "notify": (notify.Mailbox, notify.Notice),
}
"""The rows that the views of each service read."""

BESIDES: Mapping[str, tuple[type[Row] | type[Entry], ...]] = {"billing": (billing.Extension, billing.Posting)}
"""What they read besides: nobody asks for one of these by its id."""


def account(**facts: Any) -> checkout.Account:
    """An account in use: 2000.00, of which 129.00 is held and 300.00 used."""
    standing: dict[str, Any] = {
        "buyer_id": BUYER,
        "status": checkout.AccountStatus.ACTIVE,
        "currency": "CNY",
        "platform_account_ref": "acc-1",
        "agreement_version": "1",
        "instrument": CARD,
        "score": 640,
        "limit": 200_000,
        "held": 12_900,
        "used": 30_000,
        "activated_at": NOON,
    }
    return checkout.Account(**{**standing, **facts})


def order(order_id: str = ORDER, **facts: Any) -> checkout.Order:
    """An authorised order of two phone cases, of which one is on its way."""
    sold = AuthorizedLine(
        line_id="1",
        sku="case",
        name="手机壳",
        category="ACCESSORY",
        quantity=2,
        unit_price=6_000,
        discount=0,
        amount=12_000,
        eligible=True,
        returnable=True,
        freight_share=900,
    )
    parcel = checkout.Shipment("s-1", checkout.ShipmentStatus.OPEN, (checkout.Units("1", 1, 6_000, 450),), "digest")
    standing: dict[str, Any] = {
        "buyer_id": BUYER,
        "order_id": order_id,
        "merchant_id": SHOP,
        "content": "digest",
        "status": checkout.OrderStatus.PARTIALLY_SHIPPED,
        "kind": "GOODS",
        "product": "PAY_AFTER_USE",
        "instalments": 1,
        "currency": "CNY",
        "lines": (checkout.Line(sold, shipped=1),),
        "freight": 900,
        "amount": 12_900,
        "held_amount": 12_900,
        "expected_receipt_on": date(2027, 3, 4),
        "terms": TERMS,
        "policy_versions": PolicyVersions(platform=1, merchant=2),
        "shipments": (parcel,),
        "authorised_at": NOON,
        "expires_at": NOON + 28 * DAY,
    }
    return checkout.Order(**{**standing, **facts})


def plan(order_id: str = ORDER, **facts: Any) -> billing.Plan:
    """A debt of 129.00, of which 29.00 is paid and 60.00 waits for a return case."""
    part = billing.Instalment(1, f"b:{order_id}", 12_900, 0, paid=2_900, paused=6_000)
    standing: dict[str, Any] = {
        "buyer_id": BUYER,
        "order_id": order_id,
        "merchant_id": SHOP,
        "status": billing.PlanStatus.OPEN,
        "product": "PAY_AFTER_USE",
        "currency": "CNY",
        "accepted_on": date(2027, 3, 4),
        "principal": 12_900,
        "instalments": (part,),
        "refund_policy": "REVERSE_DUE",
        "payments": (billing.Payment("pay-1", CARD, date(2027, 3, 5), 2_900, 2_900),),
    }
    return billing.Plan(**{**standing, **facts})


def bill(order_id: str = ORDER, due_on: date = date(2027, 3, 11), **facts: Any) -> billing.Bill:
    """The bill of that debt, waiting for the end of a collection."""
    standing: dict[str, Any] = {
        "buyer_id": BUYER,
        "bill_id": f"b:{order_id}",
        "kind": "PAY_AFTER_USE",
        "status": billing.BillStatus.ISSUED,
        "currency": "CNY",
        "due_on": due_on,
        "due_version": 1,
        "lines": (billing.Line(order_id, SHOP, 1, due_on, 1),),
        "terms": billing.BillTerms(TERMS.late_fee, TERMS.extension, TERMS.dunning),
        "billed": 12_900,
        "in_flight": billing.InFlight(f"a:b:{order_id}:1:0", 4_000, NOON + 10 * DAY),
        "tried": ("1:0",),
    }
    return billing.Bill(**{**standing, **facts})


def posted(*movements: ledger.Movement, cause_id: str = "4f0e", at: datetime = NOON) -> list[billing.Posting]:
    """What one message adds to the journal of Ann."""
    return ledger.post(BUYER, "CNY", movements, Cause(cause_id), at)


def journal() -> list[billing.Posting]:
    """How that debt came about: it was opened, and 29.00 of it paid a day later."""
    bill_id, accounts = f"b:{ORDER}", billing.LedgerAccount
    opened = (
        ledger.Movement("PLAN_OPENED", accounts.PRINCIPAL_RECEIVABLE, 12_900, ORDER, None, SHOP),
        ledger.Movement("PLAN_OPENED", accounts.MERCHANT_PAYABLE, -12_900, ORDER, None, SHOP),
    )
    paid = (
        ledger.Movement("REPAYMENT", accounts.PROVIDER_CASH, 2_900, None, bill_id),
        ledger.Movement("REPAYMENT", accounts.PRINCIPAL_RECEIVABLE, -2_900, ORDER, bill_id, SHOP),
    )
    return [
        *posted(*opened, cause_id="4f0e", at=NOON + 3 * DAY),
        *posted(*paid, cause_id="4f0f", at=NOON + 4 * DAY),
    ]


def refund(refund_id: str = "case-1:r1", **facts: Any) -> refunds.Refund:
    """A refund of 64.50, of which 40.00 lowers the debt and 24.50 is on its way back to the card."""
    legs = (
        refunds.Leg(f"{refund_id}:1", "DEBT", 4_000, refunds.LegStatus.SUCCEEDED),
        refunds.Leg(f"{refund_id}:2", "ORIGINAL_ROUTE", 2_450, refunds.LegStatus.PENDING, CARD, "pay-1", tries=1),
    )
    standing: dict[str, Any] = {
        "buyer_id": BUYER,
        "refund_id": refund_id,
        "order_id": ORDER,
        "merchant_id": SHOP,
        "case_id": "case-1",
        "cause": "RETURN",
        "currency": "CNY",
        "amount": 6_450,
        "status": refunds.RefundStatus.EXECUTING,
        "promise_by": date(2027, 4, 9),
        "legs": legs,
    }
    return refunds.Refund(**{**standing, **facts})


def case(case_id: str = "case-1", **facts: Any) -> refunds.Case:
    """One of two phone cases came back slightly used; its refund is due."""
    proof = refunds.Proof("BUYER", ("photo-1",), "does not fit", NOON + 14 * DAY)
    standing: dict[str, Any] = {
        "buyer_id": BUYER,
        "case_id": case_id,
        "order_id": ORDER,
        "merchant_id": SHOP,
        "content": "digest",
        "status": refunds.CaseStatus.REFUND_DUE,
        "kind": "RETURN_REFUND",
        "review_mode": "SELLER",
        "reason": "NOT_WANTED",
        "lines": (refunds.CaseLine("1", 1, received=1),),
        "evidence": (proof,),
        "destination": "ORIGINAL_ROUTE",
        "currency": "CNY",
        "share_amount": 6_450,
        "opened_at": NOON + 14 * DAY,
        "value_on": date(2027, 3, 16),
        "grades": (AssessedLine(line_id="1", quantity=1, grade="B"),),
        "responsibility": "SELLER",
        "refund_id": "case-1:r1",
    }
    return refunds.Case(**{**standing, **facts})


def mailbox(**facts: Any) -> notify.Mailbox:
    """Ann reads English."""
    return notify.Mailbox(**{"buyer_id": BUYER, "locale": "en", "contacts": {"EMAIL": "contact-1"}, **facts})


def notice(notice_id: str = "4f0e:BILL_DUE_SOON", **facts: Any) -> notify.Notice:
    """A reminder three days before a bill is due, on its way as a mail."""
    standing: dict[str, Any] = {
        "buyer_id": BUYER,
        "notice_id": notice_id,
        "cause": "4f0e",
        "kind": "BILL_DUE_SOON",
        "class_": "TRANSACTIONAL",
        "subject_id": f"b:{ORDER}",
        "template": "bill_due_soon",
        "params": {
            "bill_id": f"b:{ORDER}",
            "currency": "CNY",
            "amount_due": 12_900,
            "due_on": "2027-03-11",
            "days_left": 3,
            "autopay": True,
        },
        "locale": "zh-CN",
        "created_at": NOON + 7 * DAY,
        "due_version": 1,
        "channel": "EMAIL",
        "tried": ("EMAIL",),
        "attempt": 1,
    }
    return notify.Notice(**{**standing, **facts})
