"""Orders on monthly statements: what is offered, what the buyer confirms, and that billing bills exactly that."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from checkout_story import (
    CALENDAR,
    Story,
    account,
    consenting,
    in_order,
    line,
    local,
    monthly,
    names,
    place,
    policy,
    ship,
)
from hypothesis import given, settings
from hypothesis import strategies as st

import services.billing.handlers  # noqa: F401 - importing them registers them
from services.billing.service import billing
from services.checkout.rules.eligibility import offer
from services.checkout.rules.policy import resolve
from services.checkout.rules.schedule import schedule
from services.checkout.state import OrderStatus
from shared.contracts import checkout as c
from shared.contracts.billing import PlanOpened
from shared.contracts.policy import DEFAULTS, LateFeeTerms, PolicyFields, Terms
from shared.testing.given import Given

NOON = "01-12 12:00"
FEES = {"3": 150, "6": 250, "12": 500}


@pytest.fixture(autouse=True)
def neighbour() -> Iterator[None]:
    """Billing lives by the same calendar."""
    before = dict(billing.resources)
    billing.provide(CALENDAR)
    yield
    billing.resources.clear()
    billing.resources.update(before)


def scheduled(
    order: c.PlaceOrder, accepted_on: date, fees: dict[str, int] | None = None
) -> list[tuple[date, int, int]]:
    terms = Terms.frozen(PolicyFields(instalment_fee_bps=fees or FEES).over(DEFAULTS))
    return [(one.due_on, one.principal, one.fee) for one in schedule(order, terms, accepted_on)]


# -- what is offered ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("instalments", [1, 3, 6, 12])
def test_goods_may_be_paid_monthly(instalments: int) -> None:
    """CHK-16, C-R8: an order of goods on monthly statements is authorised for each number of instalments."""
    story = Story(account(), consenting())
    then = story.send(monthly(instalments, at=NOON), NOON)
    assert names(then.events) == ["OrderAuthorized", "CreditLineChanged"]
    assert (then.events[0].product, then.events[0].instalments) == ("MONTHLY", instalments)
    assert (story.account.held, story.account.open_orders, story.pair.open_orders) == (90_000, 1, 1)


@pytest.mark.parametrize(
    ("products", "reasons"),
    [(("MONTHLY",), None), (("PAY_AFTER_USE",), ("PRODUCT_NOT_OFFERED",)), ((), ("PRODUCT_NOT_OFFERED",))],
)
def test_a_merchant_says_which_products_it_offers(products: tuple[str, ...], reasons: tuple[str, ...] | None) -> None:
    """C-R8, section 4.1: the policy names the products; what it does not name is declined."""
    then = Story(account(), consenting(), policy(products=products)).send(monthly(3, at=NOON), NOON)
    (declined,) = [one for one in then.events if isinstance(one, c.OrderDeclined)] or [None]
    assert (declined and declined.reasons) == reasons


@pytest.mark.parametrize(
    ("order", "reasons"),
    [
        (place(at=NOON, instalments=3), ("INSTALMENTS_NOT_ALLOWED",)),
        (monthly(1, at=NOON, kind="SERVICE"), ("PRODUCT_NOT_OFFERED",)),
        (monthly(3, at=NOON, kind="SERVICE"), ("PRODUCT_NOT_OFFERED", "INSTALMENTS_NOT_ALLOWED")),
    ],
)
def test_only_goods_on_monthly_statements_are_split(order: c.PlaceOrder, reasons: tuple[str, ...]) -> None:
    """C-R8: PAY_AFTER_USE, and SERVICE with more than one instalment, are not split; services are not offered yet."""
    (declined,) = Story(account(), consenting()).send(order, NOON).events
    assert declined.reasons == reasons


def test_a_monthly_order_needs_the_limit_for_its_principal_only() -> None:
    """CHK-11, README 11: fees use no limit, so an order of all that is available passes with its fee."""
    rows = (account(limit=90_000), consenting(), policy(instalment_fee_bps=FEES))
    then = Story(*rows).send(monthly(12, at=NOON, fee=4_500), NOON)
    assert then.events[1].available == 0


# -- what the buyer confirms -------------------------------------------------------------------------------------------


def test_the_schedule_is_told_as_if_the_goods_were_accepted_today() -> None:
    """CHK-16, B-P2, B-P3: 10,000 in three for 150 basis points, on the statements of 02-01, 03-01 and 04-01."""
    order = monthly(3, line(amount=10_000), at=NOON, fee=149)
    then = Story(account(), consenting(), policy(instalment_fee_bps=FEES)).send(order, NOON)
    assert then.rejected.code == "TERMS_CHANGED"
    stands = then.rejected.details["offer"]
    assert (stands["amount"], stands["window_days"], stands["instalment_fee"]) == (10_000, None, 150)
    assert stands["schedule"] == [
        {"due_on": date(2027, 3, 3), "principal": 3_334, "fee": 50},
        {"due_on": date(2027, 3, 31), "principal": 3_333, "fee": 50},
        {"due_on": date(2027, 5, 1), "principal": 3_333, "fee": 50},
    ]


def test_an_offer_that_was_confirmed_as_it_stands_is_authorised() -> None:
    """CHK-15: the fee of the whole plan is what the buyer confirms."""
    rows = (account(), consenting(), policy(instalment_fee_bps=FEES))
    then = Story(*rows).send(monthly(3, line(amount=10_000), at=NOON, fee=150), NOON)
    assert names(then.events) == ["OrderAuthorized", "CreditLineChanged"]


@pytest.mark.parametrize("confirmed", [{"window_days": 7}, {"instalment_fee": 0}, {"amount": 9_999}])
def test_other_terms_than_those_of_the_offer_are_refused(confirmed: dict[str, Any]) -> None:
    """CHK-17, C-R8: a monthly order has no window, and its fee is that of the policy in force."""
    order = monthly(3, line(amount=10_000), at=NOON, fee=150, confirmed=confirmed)
    rows = (account(), consenting(), policy(instalment_fee_bps=FEES))
    assert Story(*rows).send(order, NOON).rejected.code == "TERMS_CHANGED"


@pytest.mark.parametrize(
    ("accepted_on", "first_due_on"),
    [
        (date(2027, 1, 31), date(2027, 3, 3)),
        (date(2027, 2, 1), date(2027, 3, 31)),
        (date(2027, 12, 1), date(2028, 1, 31)),
        (date(2028, 1, 2), date(2028, 3, 2)),
    ],
)
def test_the_first_statement_is_the_next_one_after_the_acceptance(accepted_on: date, first_due_on: date) -> None:
    """B-P2: strictly after, so that what is accepted on a statement day is due a month later; leap years count."""
    assert scheduled(monthly(1, at=NOON), accepted_on) == [(first_due_on, 90_000, 0)]


def test_twelve_instalments_take_twelve_months() -> None:
    """B-P2: one on every statement, across the turn of the year."""
    days = [due_on - timedelta(days=30) for due_on, _, _ in scheduled(monthly(12, at=NOON), date(2027, 3, 15))]
    assert days == [date(2027 + month // 12, month % 12 + 1, 1) for month in range(3, 15)]


@pytest.mark.parametrize(("instalments", "fee"), [(1, 0), (3, 150), (6, 250), (12, 500)])
def test_each_number_of_instalments_has_its_price(instalments: int, fee: int) -> None:
    """CHK-16, B-P3: by the policy, of the principal, for the whole plan; one instalment costs nothing."""
    parts = scheduled(monthly(instalments, line(amount=10_000), at=NOON), date(2027, 1, 12))
    assert (sum(part[1] for part in parts), sum(part[2] for part in parts)) == (10_000, fee)
    assert scheduled(monthly(6, at=NOON), date(2027, 1, 12), {"3": 150})[0][2] == 0, "what is not named is free"


# -- what becomes of it ------------------------------------------------------------------------------------------------


def accepted(order: c.PlaceOrder, *rows: Any, at: str = NOON) -> c.OrderAccepted:
    """The order placed, shipped and accepted at one time."""
    story = Story(account(limit=2_000_000), consenting(), *rows)
    for message in (order, ship("s1", at, A=1), in_order(c.ConfirmReceipt)):
        then = story.send(message, at)
        assert then.rejected is None, then.rejected
    assert story.order().status is OrderStatus.ACCEPTED
    return then.events[0]


def test_the_acceptance_says_in_how_many_instalments_the_debt_is_paid() -> None:
    """CHK-16, section 3.3: OrderAccepted carries product, instalments and the fee that is frozen on the order."""
    event = accepted(monthly(6, at=NOON, fee=2_250), policy(instalment_fee_bps=FEES))
    assert (event.product, event.instalments) == ("MONTHLY", 6)
    assert event.terms.instalment_fee_bps["6"] == 250


def test_a_statement_mixes_merchants_so_it_is_late_by_the_platforms_terms() -> None:
    """Section 4.1, README 8: late fees and extensions of a monthly order are the platform's."""
    own = LateFeeTerms(cap_abs=1)
    assert accepted(monthly(3, at=NOON), policy(late_fee=own)).terms.late_fee == DEFAULTS.late_fee
    assert accepted(place(at=NOON), policy(late_fee=own)).terms.late_fee == own


@settings(max_examples=60, deadline=None)
@given(
    instalments=st.sampled_from((1, 3, 6, 12)),
    amount=st.integers(1, 1_000_000),
    bps=st.integers(0, 3_000),
    day=st.dates(date(2027, 1, 2), date(2029, 12, 31)),
    hour=st.integers(0, 23),
)
def test_what_the_buyer_confirms_is_what_billing_bills(
    instalments: int, amount: int, bps: int, day: date, hour: int
) -> None:
    """CHK-15, B-P2, B-P3: accepted on the day of the offer, a plan is the offer's schedule to the cent and the day."""
    now = datetime(day.year, day.month, day.day, hour, tzinfo=CALENDAR.zone).astimezone(UTC)
    fees = policy(instalment_fee_bps={"3": bps, "6": bps, "12": bps})
    order = monthly(instalments, line(amount=amount), at=NOON)
    stands = offer(order, resolve(None, fees, now), now, CALENDAR)
    told = accepted(monthly(instalments, line(amount=amount), at=NOON, fee=stands["instalment_fee"]), fees).model_copy(
        update={"accepted_at": now}
    )
    (plan,) = [one for one in Given(billing).when(told, now).events if isinstance(one, PlanOpened)]
    billed = [{"due_on": one.due_on, "principal": one.principal, "fee": one.fee} for one in plan.instalments]
    assert (billed, plan.fee) == (stands["schedule"], stands["instalment_fee"])


def test_the_offer_of_an_order_paid_after_use_is_what_billing_bills_too() -> None:
    """CHK-15, B-P1: one instalment, due when the window after the acceptance ends, without a fee."""
    now = local(NOON)
    (due,) = offer(place(at=NOON), resolve(None, None, now), now, CALENDAR)["schedule"]
    (plan,) = [one for one in Given(billing).when(accepted(place(at=NOON)), now).events if isinstance(one, PlanOpened)]
    assert [(one.due_on, one.principal, one.fee) for one in plan.instalments] == [tuple(due.values())]
