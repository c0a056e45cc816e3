"""What the views answer: the rows as they stand, in the form of the messages."""

from __future__ import annotations

from datetime import date
from typing import Any

from services.billing.state import BillStatus, Instalment
from services.checkout.state import OrderStatus
from services.notify.rendering import render
from services.notify.state import NoticeStatus
from services.refunds.state import CaseStatus, Leg, LegStatus
from tests.views.bench import ZONE, Bench
from tests.views.rows import (
    CARD,
    DAY,
    NOON,
    SHOP,
    TERMS,
    account,
    bill,
    case,
    journal,
    mailbox,
    notice,
    order,
    plan,
    refund,
)

ANN = "buyer:ann"


async def test_an_account_is_shown_with_what_is_still_available(checkout: Bench) -> None:
    await checkout.save(account())
    assert await checkout.read("/buyers/ann/account", ANN) == {
        "buyer_id": "ann",
        "status": "ACTIVE",
        "currency": "CNY",
        "limit": 200_000,
        "held": 12_900,
        "used": 30_000,
        "available": 157_100,
        "stage": "NONE",
        "score": 640,
    }


async def test_a_limit_cut_below_what_is_owed_leaves_less_than_nothing(checkout: Bench) -> None:
    await checkout.save(account(limit=20_000))
    assert (await checkout.read("/buyers/ann/account", ANN))["available"] == -22_900


async def test_an_order_is_shown_line_by_line_and_parcel_by_parcel(checkout: Bench) -> None:
    await checkout.save(order())
    shown = await checkout.read("/buyers/ann/orders/o-1", ANN)
    assert shown.pop("terms") == TERMS.model_dump(mode="json", exclude_none=True)
    assert shown == {
        "buyer_id": "ann",
        "order_id": "o-1",
        "merchant_id": SHOP,
        "status": "PARTIALLY_SHIPPED",
        "kind": "GOODS",
        "product": "PAY_AFTER_USE",
        "instalments": 1,
        "currency": "CNY",
        "amount": 12_900,
        "held_amount": 12_900,
        "accepted_amount": 0,
        "refunded_amount": 0,
        "open_cases": 0,
        "authorised_at": "2027-03-01T04:00:00Z",
        "plan_settled": False,
        "lines": [
            {
                "line_id": "1",
                "sku": "case",
                "name": "手机壳",
                "category": "ACCESSORY",
                "quantity": 2,
                "unit_price": 6_000,
                "discount": 0,
                "amount": 12_000,
                "eligible": True,
                "returnable": True,
                "freight_share": 900,
                "shipped": 1,
                "released": 0,
            }
        ],
        "freight": 900,
        "shipments": [
            {
                "shipment_id": "s-1",
                "status": "OPEN",
                "lines": [{"line_id": "1", "quantity": 1, "goods": 6_000, "freight": 450}],
            }
        ],
        "expected_receipt_on": "2027-03-04",
        "expires_at": "2027-03-29T04:00:00Z",
        "policy_versions": {"platform": 1, "merchant": 2},
    }


async def test_a_declined_order_is_in_no_list_and_answers_to_its_id(checkout: Bench) -> None:
    declined = order("o-2", status=OrderStatus.DECLINED, held_amount=0, authorised_at=None, expires_at=None)
    await checkout.save(order(), declined)
    listed = await checkout.read("/buyers/ann/orders", ANN)
    assert [one["order_id"] for one in listed["items"]] == ["o-1"]
    assert (await checkout.read("/buyers/ann/orders/o-2", ANN))["status"] == "DECLINED"


async def test_a_bill_says_what_is_due_what_is_paused_and_what_it_waits_for(billing: Bench) -> None:
    await billing.save(plan(), bill(), *journal())
    assert await billing.read("/buyers/ann/bills/b:o-1", ANN) == {
        "buyer_id": "ann",
        "bill_id": "b:o-1",
        "kind": "PAY_AFTER_USE",
        "status": "ISSUED",
        "issued": True,
        "currency": "CNY",
        "due_on": "2027-03-11",
        "due_version": 1,
        "billed": 12_900,
        "late_fees": 0,
        "late_fees_unpaid": 0,
        "amount_due": 4_000,
        "paused": 6_000,
        "unpaid": 10_000,
        "stage": "NONE",
        "max_dpd": 0,
        "lines": [
            {
                "order_id": "o-1",
                "merchant_id": SHOP,
                "seq": 1,
                "instalments": 1,
                "due_on": "2027-03-11",
                "principal": 12_900,
                "fee": 0,
                "paid": 2_900,
                "fee_paid": 0,
                "refunded": 0,
                "charged_off": 0,
                "fee_charged_off": 0,
                "paused": 6_000,
                "amount_due": 4_000,
            }
        ],
        "late_fees_assessed": [],
        "extended": False,
        "in_flight": {"repayment_id": "a:b:o-1:1:0", "amount": 4_000, "requested_at": "2027-03-11T04:00:00Z"},
        "attempts": 1,
        "history": [
            {
                "posted_at": "2027-03-04T04:00:00Z",
                "fact": "PLAN_OPENED",
                "order_id": "o-1",
                "component": "PRINCIPAL",
                "amount": 12_900,
                "owed": 12_900,
                "cause_id": "4f0e",
            },
            {
                "posted_at": "2027-03-05T04:00:00Z",
                "fact": "REPAYMENT",
                "order_id": "o-1",
                "component": "PRINCIPAL",
                "amount": -2_900,
                "owed": 10_000,
                "cause_id": "4f0f",
            },
        ],
    }


async def test_a_bill_of_several_orders_adds_up_their_instalments(billing: Bench) -> None:
    statement, due_on = "m:ann:2027-04-01", date(2027, 5, 1)
    plans = []
    for number, outstanding in enumerate((3_334, 5_000), start=1):
        part = Instalment(1, statement, outstanding, 100)
        later = Instalment(2, "m:ann:2027-05-01", 3_000, 0)
        plans.append(plan(f"o-{number}", principal=outstanding + 3_000, instalments=(part, later), payments=()))
    lines = tuple(line for one in plans for line in bill(one.order_id, due_on).lines)
    monthly: dict[str, Any] = {"bill_id": statement, "kind": "MONTHLY", "statement_on": date(2027, 4, 1)}
    await billing.save(*plans, bill(due_on=due_on, lines=lines, in_flight=None, **monthly))
    (listed,) = (await billing.read("/buyers/ann/bills", ANN))["items"]
    assert (listed["billed"], listed["amount_due"], listed["paused"]) == (8_534, 8_534, 0)
    shown = await billing.read(f"/buyers/ann/bills/{statement}", ANN)
    assert [(one["order_id"], one["instalments"], one["amount_due"]) for one in shown["lines"]] == [
        ("o-1", 2, 3_434),
        ("o-2", 2, 5_100),
    ]


async def test_a_paid_bill_names_its_day_and_costs_nothing_more(billing: Bench) -> None:
    paid = plan(instalments=(Instalment(1, "b:o-1", 12_900, 0, paid=12_900),))
    await billing.save(paid, bill(status=BillStatus.PAID, paid_on=date(2027, 3, 12), in_flight=None, max_dpd=1))
    (listed,) = (await billing.read("/buyers/ann/bills", ANN))["items"]
    assert (listed["amount_due"], listed["paid_on"], listed["max_dpd"]) == (0, "2027-03-12", 1)


async def test_a_plan_shows_its_schedule_and_its_payments_without_the_cards_token(billing: Bench) -> None:
    await billing.save(plan(), bill(), *journal())
    shown = await billing.read("/buyers/ann/plans/o-1", ANN)
    assert "tok_secret" not in str(shown)
    assert shown == {
        "buyer_id": "ann",
        "order_id": "o-1",
        "merchant_id": SHOP,
        "status": "OPEN",
        "product": "PAY_AFTER_USE",
        "currency": "CNY",
        "accepted_on": "2027-03-04",
        "principal": 12_900,
        "fee": 0,
        "paid": 2_900,
        "refunded": 0,
        "reinstated": 0,
        "unpaid": 10_000,
        "instalments": [
            {
                "seq": 1,
                "bill_id": "b:o-1",
                "due_on": "2027-03-11",
                "principal": 12_900,
                "fee": 0,
                "paid": 2_900,
                "fee_paid": 0,
                "refunded": 0,
                "charged_off": 0,
                "fee_charged_off": 0,
                "paused": 6_000,
                "outstanding": 10_000,
            }
        ],
        "payments": [
            {
                "repayment_id": "pay-1",
                "paid_with": "CARD",
                "paid_on": "2027-03-05",
                "principal": 2_900,
                "refundable": 2_900,
                "reversed": 0,
            }
        ],
        "changes": [
            {
                "posted_at": "2027-03-04T04:00:00Z",
                "facts": ["PLAN_OPENED"],
                "before": [],
                "after": [{"seq": 1, "outstanding": 12_900}],
                "cause_id": "4f0e",
            },
            {
                "posted_at": "2027-03-05T04:00:00Z",
                "facts": ["REPAYMENT"],
                "before": [{"seq": 1, "outstanding": 12_900}],
                "after": [{"seq": 1, "outstanding": 10_000}],
                "cause_id": "4f0f",
            },
        ],
    }


async def test_a_return_case_is_shown_with_the_refund_it_came_to(refunds: Bench) -> None:
    await refunds.save(case(), refund())
    shown = await refunds.read("/buyers/ann/returns/case-1", ANN)
    assert shown.pop("refund") == await refunds.read("/buyers/ann/refunds/case-1:r1", ANN)
    assert shown == {
        "buyer_id": "ann",
        "case_id": "case-1",
        "order_id": "o-1",
        "merchant_id": SHOP,
        "status": "REFUND_DUE",
        "kind": "RETURN_REFUND",
        "review_mode": "SELLER",
        "reason": "NOT_WANTED",
        "currency": "CNY",
        "share_amount": 6_450,
        "opened_at": "2027-03-15T04:00:00Z",
        "refund_id": "case-1:r1",
        "lines": [{"line_id": "1", "quantity": 1, "received": 1}],
        "evidence": [
            {
                "by": "BUYER",
                "evidence_refs": ["photo-1"],
                "text": "does not fit",
                "given_at": "2027-03-15T04:00:00Z",
            }
        ],
        "destination": "ORIGINAL_ROUTE",
        "value_on": "2027-03-16",
        "grades": [{"line_id": "1", "quantity": 1, "grade": "B"}],
        "responsibility": "SELLER",
    }


async def test_a_case_that_is_open_has_no_refund_yet(refunds: Bench) -> None:
    await refunds.save(case(status=CaseStatus.ASSESSED, refund_id=None))
    shown = await refunds.read("/buyers/ann/returns/case-1", ANN)
    assert {"refund", "refund_id", "outcome"}.isdisjoint(shown)
    (listed,) = (await refunds.read("/buyers/ann/returns", ANN))["items"]
    assert listed == {name: shown[name] for name in listed}


async def test_a_refund_shows_each_leg_without_the_cards_token(refunds: Bench) -> None:
    await refunds.save(refund())
    shown = await refunds.read("/buyers/ann/refunds/case-1:r1", ANN)
    assert "tok_secret" not in str(shown)
    assert shown == {
        "buyer_id": "ann",
        "refund_id": "case-1:r1",
        "order_id": "o-1",
        "merchant_id": SHOP,
        "case_id": "case-1",
        "cause": "RETURN",
        "status": "EXECUTING",
        "currency": "CNY",
        "amount": 6_450,
        "cash_amount": 2_450,
        "unallocated": 0,
        "promise_by": "2027-04-09",
        "legs": [
            {
                "leg_id": "case-1:r1:1",
                "kind": "DEBT",
                "amount": 4_000,
                "status": "SUCCEEDED",
                "tries": 0,
                "returned": False,
            },
            {
                "leg_id": "case-1:r1:2",
                "kind": "ORIGINAL_ROUTE",
                "amount": 2_450,
                "status": "PENDING",
                "paid_to": "CARD",
                "repayment_id": "pay-1",
                "tries": 1,
                "returned": False,
            },
        ],
    }


async def test_a_refund_of_an_overpayment_is_no_merchants(refunds: Bench) -> None:
    leg = Leg("op:x:1", "ORIGINAL_ROUTE", 100, LegStatus.REQUESTED, CARD, tries=1)
    of_no_order: dict[str, Any] = {"order_id": None, "merchant_id": None, "case_id": None, "cause": "OVERPAYMENT"}
    await refunds.save(refund("op:x", **of_no_order, amount=100, legs=(leg,)))
    shown = await refunds.read("/buyers/ann/refunds/op:x", ANN)
    assert {"order_id", "merchant_id", "case_id"}.isdisjoint(shown)
    assert (await refunds.get("/buyers/ann/refunds/op:x", "merchant:shop")).status_code == 404


async def test_a_notice_is_read_in_the_buyers_language(notify: Bench) -> None:
    await notify.save(mailbox(), notice())
    shown = await notify.read("/buyers/ann/inbox/4f0e:BILL_DUE_SOON", ANN)
    words = render("bill_due_soon", "en", notice().params, ZONE)
    assert shown == {
        "buyer_id": "ann",
        "notice_id": "4f0e:BILL_DUE_SOON",
        "kind": "BILL_DUE_SOON",
        "class": "TRANSACTIONAL",
        "subject_id": "b:o-1",
        "status": "QUEUED",
        "channel": "EMAIL",
        "created_at": "2027-03-08T04:00:00Z",
        "read": False,
        "language": "en",
        "subject": words.subject,
        "text": words.text,
    }


async def test_another_language_may_be_asked_for(notify: Bench) -> None:
    await notify.save(mailbox(), notice())
    for wanted, language in (("zh-CN", "zh-CN"), ("en-GB", "en"), ("sw", "zh-CN")):
        (shown,) = (await notify.read("/buyers/ann/inbox", ANN, locale=wanted))["items"]
        words = render("bill_due_soon", wanted, notice().params, ZONE)
        assert (shown["language"], shown["subject"], shown["text"]) == (language, words.subject, words.text)
    refused = await notify.get("/buyers/ann/inbox", ANN, locale="../../etc")
    assert (refused.status_code, refused.json()["code"]) == (422, "INVALID_REQUEST")


async def test_whoever_has_said_nothing_reads_in_the_notices_own_language(notify: Bench) -> None:
    await notify.save(notice())
    (shown,) = (await notify.read("/buyers/ann/inbox", ANN))["items"]
    assert shown["language"] == "zh-CN"


async def test_what_is_not_to_be_told_now_is_in_no_inbox(notify: Bench) -> None:
    unsent: dict[str, Any] = {"folder": "FILED", "tried": (), "attempt": 0, "channel": None}
    await notify.save(
        notice("1:BILL_DUE_SOON", **unsent, status=NoticeStatus.SUPPRESSED, reason="MUTED"),
        notice("2:BILL_DUE_SOON", **unsent, status=NoticeStatus.CANCELLED, reason="OBSOLETE"),
        notice("3:OVERDUE", **{**unsent, "folder": "OPEN"}, status=NoticeStatus.DEFERRED, until=NOON, deferred_at=NOON),
        notice("4:BILL_DUE_SOON"),
    )
    shown = await notify.read("/buyers/ann/inbox", ANN)
    assert [one["notice_id"] for one in shown["items"]] == ["4:BILL_DUE_SOON"]
    for hidden in ("1:BILL_DUE_SOON", "2:BILL_DUE_SOON", "3:OVERDUE"):
        assert (await notify.get(f"/buyers/ann/inbox/{hidden}", ANN)).status_code == 404


async def test_a_notice_without_words_keeps_its_place(notify: Bench) -> None:
    """Of a build that knew a text this one does not; the others are read as ever."""
    await notify.save(mailbox(), notice("1:BILL_DUE_SOON", template="not_there"), notice("2:BILL_DUE_SOON"))
    first, second = (await notify.read("/buyers/ann/inbox", ANN))["items"]
    assert (first["notice_id"], "subject" in first, "text" in first) == ("1:BILL_DUE_SOON", False, False)
    assert second["subject"] == render("bill_due_soon", "en", notice().params, ZONE).subject


async def test_the_latest_order_and_the_latest_due_bill_come_first(checkout: Bench, billing: Bench) -> None:
    await checkout.save(*(order(f"o-{day}", authorised_at=NOON + day * DAY) for day in (2, 3, 1)))
    orders = await checkout.read("/buyers/ann/orders", ANN)
    assert [one["order_id"] for one in orders["items"]] == ["o-3", "o-2", "o-1"]
    due = {"o-2": date(2027, 3, 12), "o-3": date(2027, 4, 1), "o-1": date(2027, 3, 12)}
    await billing.save(*map(plan, due), *(bill(order_id, due_on) for order_id, due_on in due.items()))
    bills = await billing.read("/buyers/ann/bills", ANN)
    assert [one["bill_id"] for one in bills["items"]] == ["b:o-3", "b:o-2", "b:o-1"]


async def test_nobodys_rows_are_mixed_with_anothers(checkout: Bench, billing: Bench) -> None:
    """The same ids under two buyers: ids are unique per buyer only."""
    await checkout.save(order(), order(buyer_id="bob", amount=100, held_amount=100, freight=0, lines=(), shipments=()))
    await billing.save(plan(), bill(), plan(buyer_id="bob", principal=77), bill(buyer_id="bob"))
    assert [one["amount"] for one in (await checkout.read("/buyers/bob/orders", "operator"))["items"]] == [100]
    assert (await billing.read("/buyers/bob/plans/o-1", "operator"))["principal"] == 77
    assert (await billing.read("/buyers/ann/bills", "operator"))["items"][0]["amount_due"] == 4_000
