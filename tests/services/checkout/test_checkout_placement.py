"""Placing an order: worked examples 2 and 3, and every code of C-R8."""

from datetime import date

import pytest
from checkout_story import (
    BUYER,
    LINE_A,
    LINE_B,
    MERCHANT,
    ORDER,
    PROOFS,
    Story,
    account,
    authorised,
    consenting,
    line,
    local,
    monthly,
    names,
    place,
    policy,
    ship,
)

from services.checkout.rules.proof import PaymentProofs, Purchase
from services.checkout.state import AccountStatus, MerchantPair, Order, OrderStatus
from shared.contracts import checkout as c

NOON = "03-01 12:00"


def placed(message: c.PlaceOrder, *rows, at: str = NOON):
    return Story(*(rows or (account(), consenting()))).send(message, at)


def test_example_2_freight_is_shared_by_value_and_units_carry_their_part() -> None:
    story = Story(account(), consenting())
    event = story.send(place(LINE_A, LINE_B, freight=1_000, at=NOON), NOON).events[0]
    assert event.amount == 33_499
    assert [one.freight_share for one in event.lines] == [769, 231]
    captured = [story.send(ship(f"s{n}", NOON, A=1), NOON).events[0].amount for n in (1, 2)]
    assert captured == [12_884, 12_885]


def test_example_3_an_order_within_the_limit_is_authorised_and_held() -> None:
    story = Story(account(held=50_000, used=60_000, open_orders=1), consenting())
    then = story.send(place(line(amount=90_000), at=NOON), NOON)
    assert names(then.events) == ["OrderAuthorized", "CreditLineChanged"]
    assert (then.events[1].held, then.events[1].available) == (140_000, 0)
    assert (story.account.open_orders, story.pair.open_orders) == (2, 1)
    assert story.armed() == [("AUTH_EXPIRY", local("03-29 12:00"))]


def test_example_3_an_order_beyond_the_limit_is_declined_with_what_was_possible() -> None:
    then = placed(place(line(amount=120_000), at=NOON), account(held=50_000, used=60_000), consenting())
    (declined,) = then.events
    assert declined.reasons == ("INSUFFICIENT_LIMIT",)
    assert declined.counterfactual.max_amount == 90_000
    assert then.given.row(Order, ORDER).status is OrderStatus.DECLINED
    assert then.deadlines == []


def test_chk_18_the_terms_are_frozen_with_their_versions() -> None:
    message = place(at=NOON, confirmed={"window_days": 14, "agreement_version": "2027-01"})
    rows = (policy("platform", agreement_version="2027-01"), policy(window_days=14))
    event = placed(message, account(), consenting(), *rows).events[0]
    assert (event.terms.window_days, event.policy_versions.platform, event.policy_versions.merchant) == (14, 1, 1)


def test_h3_the_same_order_again_is_done_and_another_one_exists() -> None:
    story = Story(account(), consenting())
    story.send(place(at=NOON), NOON)
    again = place(at="03-01 12:01")
    refused = story.send(again, "03-01 12:01").rejected
    assert (refused.code, refused.details) == ("ALREADY_DONE", {"order_id": ORDER, "status": "AUTHORIZED"})
    assert story.send(place(line(amount=1), at=NOON), NOON).rejected.code == "ALREADY_EXISTS"
    assert story.account.held == 90_000


def test_h3_a_declined_order_is_an_answer_too() -> None:
    story = Story(account(limit=1), consenting())
    story.send(place(at=NOON), NOON)
    assert story.send(place(at=NOON), NOON).rejected.code == "ALREADY_DONE"


# -- what makes the request itself wrong, the first failure counting


def test_cr8_a_buyer_without_account_is_unknown() -> None:
    assert placed(place(at=NOON), consenting()).rejected.code == "UNKNOWN_ACCOUNT"


def test_cr8_an_account_has_one_currency() -> None:
    refused = placed(place(at=NOON, currency="USD")).rejected
    assert (refused.code, refused.details) == ("CURRENCY_MISMATCH", {"currency": "USD", "account_currency": "CNY"})


@pytest.mark.parametrize(
    "message",
    [
        place(line(amount=100, quantity=2, unit_price=60), at=NOON),
        place(line(amount=100), at=NOON, amount=101),
        place(line(amount=100), at=NOON, freight=1, amount=100),
    ],
)
def test_cr8_sums_must_agree(message: c.PlaceOrder) -> None:
    assert placed(message).rejected.code == "AMOUNT_MISMATCH"


def test_goods_that_cost_nothing_need_no_credit() -> None:
    assert placed(place(line(amount=0), freight=5, at=NOON)).rejected.code == "AMOUNT_INVALID"


@pytest.mark.parametrize(
    "purchase",
    [
        Purchase("b-8", ORDER, 90_000, "CNY", "dev-1"),
        Purchase(BUYER, "o-2", 90_000, "CNY", "dev-1"),
        Purchase(BUYER, ORDER, 90_001, "CNY", "dev-1"),
        Purchase(BUYER, ORDER, 90_000, "USD", "dev-1"),
        Purchase(BUYER, ORDER, 90_000, "CNY", "dev-2"),
    ],
)
def test_chk_04_a_proof_of_another_purchase_is_invalid(purchase: Purchase) -> None:
    message = place(at=NOON, payment_proof=PROOFS.sign(purchase, local(NOON)))
    assert placed(message).rejected.code == "PAYMENT_PROOF_INVALID"


@pytest.mark.parametrize("proof", ["x", "a.b.c", "eyJhbGciOiJub25lIn0.e30.", "é" * 10])
def test_chk_04_what_is_no_proof_is_invalid(proof: str) -> None:
    assert placed(place(at=NOON, payment_proof=proof)).rejected.code == "PAYMENT_PROOF_INVALID"


def test_chk_04_a_proof_signed_by_someone_else_is_invalid() -> None:
    forged = PaymentProofs("another secret, just as long as ours is").sign(
        Purchase(BUYER, ORDER, 90_000, "CNY", "dev-1"), local(NOON)
    )
    assert placed(place(at=NOON, payment_proof=forged)).rejected.code == "PAYMENT_PROOF_INVALID"


def test_chk_04_a_proof_lasts_five_minutes_of_business_time() -> None:
    assert placed(place(at=NOON), at="03-01 12:05").rejected is None
    assert placed(place(at=NOON), at="03-01 12:05:01").rejected.code == "PAYMENT_PROOF_EXPIRED"


@pytest.mark.parametrize(
    ("quoted_at", "code"),
    [("03-01 11:30", None), ("03-01 11:29:59", "QUOTE_EXPIRED"), ("03-01 12:00:01", "QUOTE_EXPIRED")],
)
def test_chk_17_a_quote_holds_for_thirty_minutes(quoted_at: str, code: str | None) -> None:
    then = placed(place(at=NOON, confirmed={"quoted_at": local(quoted_at)}))
    assert (then.rejected and then.rejected.code) == code


@pytest.mark.parametrize(
    "confirmed",
    [{"amount": 1}, {"window_days": 8}, {"window_days": None}, {"instalment_fee": 1}, {"agreement_version": "old"}],
)
def test_chk_15_terms_that_changed_are_told_with_the_offer(confirmed: dict) -> None:
    then = placed(
        place(at=NOON, confirmed=confirmed), account(), consenting(), policy("platform", agreement_version="2027-01")
    )
    assert then.rejected.code == "TERMS_CHANGED"
    offer = then.rejected.details["offer"]
    assert (offer["amount"], offer["window_days"], offer["agreement_version"]) == (90_000, 7, "2027-01")
    assert offer["schedule"] == [{"due_on": date(2027, 3, 8), "principal": 90_000, "fee": 0}]


def test_chk_15_the_expected_receipt_is_not_part_of_the_terms() -> None:
    assert placed(place(at=NOON, confirmed={"expected_receipt_on": date(2028, 1, 1)})).rejected is None


def test_cr8_the_first_failure_counts() -> None:
    wrong = place(at=NOON, currency="USD", amount=1, payment_proof="x", confirmed={"quoted_at": local("01-01 00:00")})
    codes = []
    for repaired in ({}, {"currency": "CNY"}, {"amount": 90_000}):
        wrong = wrong.model_copy(update=repaired)
        codes.append(placed(wrong).rejected.code)
    assert codes == ["CURRENCY_MISMATCH", "AMOUNT_MISMATCH", "PAYMENT_PROOF_INVALID"]


# -- every failing test of eligibility


@pytest.mark.parametrize(
    ("message", "rows", "reason"),
    [
        (place(at=NOON), (account(status=AccountStatus.RESTRICTED), consenting()), "ACCOUNT_NOT_ACTIVE"),
        (place(at=NOON), (account(status=AccountStatus.CLOSING), consenting()), "ACCOUNT_NOT_ACTIVE"),
        (place(at=NOON), (account(),), "CONSENT_MISSING"),
        (place(at=NOON), (account(), MerchantPair(BUYER, MERCHANT)), "CONSENT_MISSING"),
        (place(at=NOON), (account(), consenting(), policy(status="BLOCKED")), "MERCHANT_BLOCKED"),
        (place(at=NOON), (account(), consenting(), policy(products=("MONTHLY",))), "PRODUCT_NOT_OFFERED"),
        (monthly(3, at=NOON), (account(), consenting(), policy(products=("PAY_AFTER_USE",))), "PRODUCT_NOT_OFFERED"),
        (place(at=NOON, kind="SERVICE"), (account(), consenting()), "PRODUCT_NOT_OFFERED"),
        (monthly(1, at=NOON, kind="SERVICE"), (account(), consenting()), "PRODUCT_NOT_OFFERED"),
        (place(at=NOON, instalments=3), (account(), consenting()), "INSTALMENTS_NOT_ALLOWED"),
        (place(line(eligible=False), at=NOON), (account(), consenting()), "ITEM_NOT_ELIGIBLE"),
        (place(line(category="GIFT_CARD"), at=NOON), (account(), consenting()), "CATEGORY_BLOCKED"),
        (
            place(line(category="TOY"), at=NOON),
            (account(), consenting(), policy(blocked_categories=("TOY",))),
            "CATEGORY_BLOCKED",
        ),
        (place(at=NOON), (account(score=549), consenting()), "SCORE_TOO_LOW"),
        (
            place(line(service_code="VIP"), at=NOON),
            (account(), consenting(), policy(service_min_score={"VIP": 641})),
            "SCORE_TOO_LOW",
        ),
        (place(at=NOON), (account(), consenting(), policy(max_order_amount=89_999)), "AMOUNT_ABOVE_MERCHANT_MAX"),
        (place(at=NOON), (account(limit=89_999), consenting()), "INSUFFICIENT_LIMIT"),
        (place(at=NOON), (account(open_orders=30), consenting()), "TOO_MANY_OPEN_ORDERS"),
    ],
)
def test_cr8_each_failing_test_declines_by_itself(message: c.PlaceOrder, rows: tuple, reason: str) -> None:
    then = placed(message, *rows)
    assert names(then.events) == ["OrderDeclined"]
    assert then.events[0].reasons == (reason,)
    about_amount = reason in {"AMOUNT_ABOVE_MERCHANT_MAX", "INSUFFICIENT_LIMIT"}
    assert (then.events[0].counterfactual is not None) is about_amount


def test_cr8_all_failing_tests_are_told_in_order_and_no_amount_is_promised() -> None:
    message = place(line(eligible=False, category="TOP_UP"), at=NOON, kind="SERVICE", instalments=6)
    rows = (
        account(status=AccountStatus.SUSPENDED, score=400, limit=0, open_orders=30),
        policy(status="BLOCKED", max_order_amount=1),
    )
    (declined,) = placed(message, *rows).events
    assert declined.reasons == (
        "ACCOUNT_NOT_ACTIVE",
        "CONSENT_MISSING",
        "MERCHANT_BLOCKED",
        "PRODUCT_NOT_OFFERED",
        "INSTALMENTS_NOT_ALLOWED",
        "ITEM_NOT_ELIGIBLE",
        "CATEGORY_BLOCKED",
        "SCORE_TOO_LOW",
        "AMOUNT_ABOVE_MERCHANT_MAX",
        "INSUFFICIENT_LIMIT",
        "TOO_MANY_OPEN_ORDERS",
    )
    assert declined.counterfactual is None


def test_cr8_the_counterfactual_is_never_negative() -> None:
    (declined,) = placed(place(at=NOON), account(used=300_000), consenting()).events
    assert declined.counterfactual.max_amount == 0


def test_chk_07_a_merchant_may_do_without_consent() -> None:
    then = placed(place(at=NOON), account(), policy(consent_required=False))
    assert names(then.events) == ["OrderAuthorized", "CreditLineChanged"]


def test_two_orders_racing_for_one_limit_the_second_sees_the_hold() -> None:
    story = authorised(line(amount=150_000), at=NOON)
    then = story.send(place(line(amount=100_000), at=NOON, order_id="o-2"), NOON)
    assert then.events[0].reasons == ("INSUFFICIENT_LIMIT",)
