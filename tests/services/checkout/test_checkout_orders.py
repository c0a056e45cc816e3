"""An authorised order's life: worked examples 4, 5, 6 and 11, C-R6, C-R7, C-R9, and the whole machine of spec 2.2."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from checkout_story import (
    BUYER,
    CARD,
    LINE_A,
    LINE_B,
    MERCHANT,
    ORDER,
    Story,
    account,
    authorised,
    cancel,
    consenting,
    deliver,
    in_order,
    line,
    local,
    names,
    place,
    plan_opened,
    plan_settled,
    policy,
    refunded,
    repaid,
    ship,
)

from services.checkout.deadlines import AuthExpiry, AutoAccept, ReturnWindow
from services.checkout.state import ORDER_MACHINE, Order, OrderStatus
from shared.contracts import checkout as c

CONFIRM = in_order(c.ConfirmReceipt)
EXTEND = in_order(c.ExtendAuthorisation)


def two_lines() -> Story:
    """The order of example 2, authorised 03-01 10:00: A twice and B once, 33499 with freight."""
    return authorised(LINE_A, LINE_B, freight=1_000)


def after(story: Story, *steps: tuple) -> Story:
    for message, at in steps:
        then = story.send(message, at)
        assert then.rejected is None, then.rejected
    return story


def test_example_4_the_hold_turns_into_used_with_the_plan() -> None:
    story = after(two_lines(), (ship("s1", "03-01 12:00", A=2, B=1), "03-01 12:00"), (CONFIRM, "03-02 12:00"))
    assert (story.account.held, story.account.used, story.order().held_amount) == (33_499, 0, 33_499)
    then = story.send(plan_opened(33_499, 1), "03-02 12:00")
    assert [(one.held, one.used, one.cause) for one in then.events] == [(0, 33_499, "PLAN_OPENED")]
    assert story.order().held_amount == 0
    then = story.send(repaid(0, 2), "03-09 14:00")
    assert [(one.used, one.cause_ref) for one in then.events] == [(0, "r-1")]
    for replayed in (plan_opened(33_499, 1), repaid(0, 2)):
        assert story.send(replayed, "03-09 14:00").yields == []


def test_example_5_the_buyer_cancels_within_a_day() -> None:
    then = two_lines().send(cancel(), "03-02 10:00:00")
    assert names(then.events) == ["OrderCancelled", "CreditLineChanged"]
    assert then.events[0].complete
    assert (then.events[0].amount, then.events[1].held) == (33_499, 0)
    assert [one.kind for one in then.disarmed] == [AuthExpiry]


def test_example_5_later_only_merchant_and_support_cancel() -> None:
    story = two_lines()
    refused = story.send(cancel(), "03-02 10:00:01").rejected
    assert (refused.code, refused.details) == ("CANCEL_WINDOW_CLOSED", {"until": local("03-02 10:00")})
    assert story.send(cancel("SUPPORT", "B"), "03-02 10:00:01").rejected is None
    story.send(cancel("MERCHANT"), "03-02 10:00:01")
    assert story.order().status is OrderStatus.CANCELLED
    assert (story.account.held, story.account.open_orders, story.pair.open_orders) == (0, 0, 0)


def test_example_5_what_is_shipped_cannot_be_cancelled() -> None:
    story = after(two_lines(), (ship("s1", "03-01 11:00", A=2, B=1), "03-01 11:00"))
    refused = story.send(cancel(), "03-01 12:00").rejected
    assert (refused.code, refused.details) == ("ALREADY_SHIPPED", {"use": "refuse the delivery"})


def test_example_6_a_refused_part_is_released_and_the_rest_accepted_in_silence() -> None:
    story = after(
        two_lines(),
        (ship("sA", "03-01 12:00", A=2), "03-01 12:00"),
        (ship("sB", "03-01 12:00", B=1), "03-01 12:00"),
    )
    then = story.send(deliver("sB", "03-02 11:00", "REFUSED"), "03-02 11:00")
    assert names(then.events) == ["DeliveryReported", "CreditLineChanged"]
    assert (then.events[0].released_amount, then.events[0].auto_accept_at) == (7_730, None)
    then = story.send(deliver("sA", "03-02 15:00"), "03-02 15:00")
    assert then.events[0].auto_accept_at == local("03-12 15:00")
    assert story.armed() == [("AUTO_ACCEPT", local("03-12 15:00"))]
    (accepted,) = story.until("03-12 15:00")
    (event,) = accepted.events
    assert (event.amount, event.by, event.accepted_at) == (25_769, "AUTO", local("03-12 15:00"))
    assert [(one.line_id, one.quantity, one.goods, one.freight) for one in event.lines] == [("A", 2, 25_000, 769)]
    assert (event.instrument, event.terms.window_days) == (CARD, 7)


def test_example_11_an_authorisation_is_extended_once_a_day() -> None:
    story = authorised()
    assert story.order().expires_at == local("03-29 10:00")
    (event,) = story.send(EXTEND, "03-20 09:00").events
    assert event.expires_at == local("04-17 09:00")
    assert story.armed() == [("AUTH_EXPIRY", local("04-17 09:00"))]
    assert story.send(EXTEND, "03-20 23:59").rejected.code == "ALREADY_DONE"
    assert story.send(EXTEND, "03-21 00:00").rejected is None


def test_cr7_an_authorisation_ends_after_180_days() -> None:
    story = authorised()
    day = local("03-01 10:00") + timedelta(days=152)
    assert story.send(EXTEND, day).rejected is None
    refused = story.send(EXTEND, day + timedelta(days=1)).rejected
    assert (refused.code, refused.details) == (
        "AUTHORISATION_LIMIT",
        {"limit": local("03-01 10:00") + timedelta(days=180)},
    )


def test_cr6_part_cancels_keep_the_order_open_until_the_last() -> None:
    story = two_lines()
    (cancelled, _) = story.send(cancel("BUYER", "B"), "03-01 11:00").events
    assert (cancelled.amount, cancelled.line_ids, cancelled.complete) == (7_730, ("B",), False)
    assert story.order().status is OrderStatus.AUTHORIZED
    assert story.send(cancel("BUYER", "B"), "03-01 11:00").rejected.code == "ALREADY_DONE"
    assert story.send(cancel("BUYER", "C"), "03-01 11:00").rejected.code == "UNKNOWN_LINE"
    (cancelled, _) = story.send(cancel("BUYER", "A"), "03-01 11:00").events
    assert cancelled.complete


def test_cr6_of_a_shipped_part_only_the_rest_is_cancelled() -> None:
    story = after(two_lines(), (ship("s1", "03-01 11:00", A=1), "03-01 11:00"))
    (cancelled, _) = story.send(cancel(), "03-01 12:00").events
    assert (cancelled.amount, cancelled.line_ids) == (12_885 + 7_730, ("A", "B"))
    assert story.order().status is OrderStatus.SHIPPED
    assert story.armed() == [("AUTH_EXPIRY", local("03-01 10:00") + timedelta(days=180))]


def test_cr6_a_wholly_shipped_line_of_an_open_order_is_shipped() -> None:
    story = after(two_lines(), (ship("s1", "03-01 11:00", A=2), "03-01 11:00"))
    assert story.send(cancel("BUYER", "A"), "03-01 12:00").rejected.code == "ALREADY_SHIPPED"


def test_cancelling_the_rest_of_a_delivered_part_delivers_the_order() -> None:
    story = after(
        two_lines(),
        (ship("s1", "03-01 11:00", A=2), "03-01 11:00"),
        (deliver("s1", "03-01 12:00"), "03-01 12:00"),
        (cancel(), "03-01 13:00"),
    )
    assert story.order().status is OrderStatus.DELIVERED
    assert story.armed() == [("AUTO_ACCEPT", local("03-11 13:00"))]


def test_an_unused_authorisation_expires_whole() -> None:
    story = authorised()
    (expired,) = story.until("03-29 10:00")
    assert names(expired.events) == ["OrderExpired", "CreditLineChanged"]
    assert (expired.events[0].amount, expired.events[0].complete) == (90_000, True)
    assert (story.order().status, story.account.held, story.pair.open_orders) == (OrderStatus.EXPIRED, 0, 0)
    assert story.armed() == []


def test_the_unshipped_part_expires_and_the_rest_goes_on() -> None:
    story = after(two_lines(), (ship("s1", "03-02 11:00", A=1), "03-02 11:00"))
    (expired,) = story.until("03-29 10:00")
    assert (expired.events[0].amount, expired.events[0].complete) == (20_615, False)
    assert story.order().status is OrderStatus.SHIPPED
    (accepted,) = story.until("08-28 10:00")
    assert (accepted.events[0].amount, accepted.events[0].by) == (12_884, "AUTO")


def test_the_unshipped_part_expires_after_all_else_was_refused() -> None:
    story = after(
        two_lines(),
        (ship("s1", "03-02 11:00", A=1), "03-02 11:00"),
        (deliver("s1", "03-02 12:00", "LOST"), "03-02 12:00"),
    )
    (expired,) = story.until("03-29 10:00")
    assert expired.events[0].complete
    assert story.order().status is OrderStatus.EXPIRED


def test_a_final_parcel_releases_what_will_not_follow() -> None:
    story = two_lines()
    then = story.send(ship("s1", "03-01 11:00", final=True, A=1), "03-01 11:00")
    assert names(then.events) == ["OrderCaptured", "CreditLineChanged"]
    assert (then.events[0].amount, then.events[0].released_amount) == (12_884, 20_615)
    assert story.order().status is OrderStatus.SHIPPED
    assert story.send(ship("s2", "03-01 11:00", B=1), "03-01 11:00").rejected.code == "ILLEGAL_TRANSITION"


def test_a_shipped_order_is_kept_180_days_but_never_less_than_an_authorisation() -> None:
    story = authorised()
    at = local("03-01 10:00") + timedelta(days=152)
    after(story, (EXTEND, at), (ship("s1", "03-01 11:00", A=1), at + timedelta(days=20)))
    assert story.armed() == [("AUTH_EXPIRY", at + timedelta(days=48))]


def test_an_order_of_which_everything_came_back_is_cancelled() -> None:
    story = after(two_lines(), (ship("s1", "03-01 11:00", A=2, B=1), "03-01 11:00"))
    then = story.send(deliver("s1", "03-02 11:00", "REFUSED"), "03-02 11:00")
    assert names(then.events) == ["DeliveryReported", "CreditLineChanged", "OrderCancelled"]
    assert (then.events[2].by, then.events[2].reason, then.events[2].complete) == ("COURIER", "REFUSED", True)
    assert (story.order().status, story.account.open_orders) == (OrderStatus.CANCELLED, 0)
    assert story.armed() == []


def test_a_gift_alone_is_no_order() -> None:
    story = authorised(line("A", 500), line("G", 0))
    then = story.send(cancel("BUYER", "A"), "03-01 11:00")
    assert then.events[0].complete
    story = authorised(line("A", 500), line("G", 0))
    then = story.send(ship("s1", "03-01 11:00", final=True, G=1), "03-01 11:00")
    assert names(then.events) == ["OrderCaptured", "CreditLineChanged", "OrderCancelled"]
    assert (then.events[2].by, story.order().status) == ("SYSTEM", OrderStatus.CANCELLED)


def test_h3_a_parcel_is_reported_once() -> None:
    story = after(two_lines(), (ship("s1", "03-01 11:00", A=1), "03-01 11:00"))
    refused = story.send(ship("s1", "03-01 11:01", A=1), "03-01 11:01").rejected
    assert (refused.code, refused.details) == ("ALREADY_DONE", {"shipment_id": "s1", "status": "OPEN"})
    assert story.send(ship("s1", "03-01 11:01", A=2), "03-01 11:01").rejected.code == "ALREADY_EXISTS"


@pytest.mark.parametrize("units", [{"A": 3}, {"B": 2}, {"C": 1}])
def test_cr9_no_more_is_shipped_than_was_ordered(units: dict[str, int]) -> None:
    refused = two_lines().send(ship("s1", "03-01 11:00", **units), "03-01 11:00").rejected
    assert refused.code == "QUANTITY_EXCEEDED"


def test_cr9_what_was_cancelled_cannot_be_shipped() -> None:
    story = after(two_lines(), (cancel("BUYER", "B"), "03-01 11:00"))
    assert story.send(ship("s1", "03-01 11:00", B=1), "03-01 11:00").rejected.code == "QUANTITY_EXCEEDED"


def test_h5_a_fact_from_the_future_is_refused() -> None:
    story = two_lines()
    early = ship("s1", "03-01 11:01:01", A=1)
    assert story.send(early, "03-01 11:00").rejected.code == "TIME_IN_FUTURE"
    assert story.send(early, "03-01 11:00:01").rejected is None
    assert story.send(deliver("s1", "03-01 12:00"), "03-01 11:30").rejected.code == "TIME_IN_FUTURE"


def test_a_carrier_repeats_itself_without_effect_and_cannot_take_its_word_back() -> None:
    story = after(
        two_lines(),
        (ship("s1", "03-01 11:00", A=1), "03-01 11:00"),
        (deliver("s1", "03-01 12:00"), "03-01 12:00"),
    )
    assert story.send(deliver("s1", "03-01 12:00"), "03-01 13:00").rejected.code == "ALREADY_DONE"
    refused = story.send(deliver("s1", "03-01 12:00", "LOST"), "03-01 13:00").rejected
    assert (refused.code, refused.details) == ("ILLEGAL_TRANSITION", {"from": "DELIVERED", "allowed": []})
    assert story.send(deliver("s9", "03-01 12:00"), "03-01 13:00").rejected.code == "UNKNOWN_SHIPMENT"


def test_chk_20_confirming_counts_open_parcels_as_delivered() -> None:
    story = after(
        two_lines(),
        (ship("s1", "03-01 11:00", A=1), "03-01 11:00"),
        (ship("s2", "03-01 11:00", A=1, B=1), "03-01 11:00"),
    )
    (event,) = story.send(CONFIRM, "03-03 09:00").events
    assert (event.amount, event.by) == (33_499, "BUYER")
    assert [(one.line_id, one.quantity, one.goods + one.freight) for one in event.lines] == [
        ("A", 2, 25_769),
        ("B", 1, 7_730),
    ]
    assert story.send(deliver("s1", "03-03 10:00"), "03-03 10:00").rejected.code == "ALREADY_DONE"


def test_cr9_nothing_is_accepted_while_units_are_unshipped() -> None:
    story = two_lines()
    assert story.send(CONFIRM, "03-01 11:00").rejected.code == "SHIPMENT_INCOMPLETE"
    after(story, (ship("s1", "03-01 11:00", A=2), "03-01 11:00"))
    refused = story.send(CONFIRM, "03-01 11:00").rejected
    assert (refused.code, refused.details) == ("SHIPMENT_INCOMPLETE", {"unshipped": ["B"]})


def accepted_at(at: str, *rows) -> Story:
    story = Story(account(), consenting(), *rows)
    return after(story, (place(line(), at=at), at), (ship("s1", at, A=1), at), (CONFIRM, at))


def test_an_order_completes_once_its_plan_is_settled_and_its_return_window_is_over() -> None:
    story = accepted_at("03-02 10:00")
    assert story.armed() == [("RETURN_WINDOW", local("03-18 00:00"))]
    assert story.send(plan_settled(), "03-09 14:00").events == []
    assert (story.account.open_orders, story.pair.open_orders) == (0, 0)
    (closed,) = story.until("03-18 00:00")
    assert closed.events == [in_order(c.OrderCompleted, outcome="COMPLETED")]
    assert story.send(plan_settled(), "03-19 14:00").yields == []


def test_an_order_paid_after_its_return_window_completes_with_the_payment() -> None:
    story = accepted_at("03-02 10:00")
    (closed,) = story.until("03-18 00:00")
    assert closed.events == []
    assert names(story.send(plan_settled(), "03-17 14:00").events) == ["OrderCompleted"]
    assert story.order().status is OrderStatus.COMPLETED


def test_the_longest_fault_window_of_the_lines_counts() -> None:
    terms = {"by_category": {"HOME": {"fault_window_days": 30}}}
    published = policy(return_terms=type(story_terms()).model_validate(terms, strict=False))
    assert accepted_at("03-02 10:00", published).armed() == [("RETURN_WINDOW", local("04-02 00:00"))]


def story_terms():
    return authorised().order().terms.return_terms


def test_section_7_another_merchant_or_buyer_does_not_know_the_order() -> None:
    story = two_lines()
    commands = (cancel(), ship("s1", "03-01 10:00", A=1), deliver("s1", "03-01 10:00"), CONFIRM, EXTEND)
    for command in commands:
        for foreign in ({"merchant_id": "m-1"}, {"order_id": "o-9"}, {"buyer_id": "b-9"}):
            refused = story.send(command.model_copy(update=foreign), "03-01 11:00").rejected
            assert refused.code == "UNKNOWN_ORDER", (command, foreign)


# -- every state and every command


def completed() -> Story:
    story = after(
        WAYS[OrderStatus.ACCEPTED](), (plan_opened(33_499, 1), "03-01 12:00"), (plan_settled(), "03-01 12:00")
    )
    story.until("04-30 10:00")
    return story


def expired() -> Story:
    story = two_lines()
    story.until("03-29 10:00")
    return story


WAYS: dict[OrderStatus, Callable[[], Story]] = {
    OrderStatus.AUTHORIZED: two_lines,
    OrderStatus.PARTIALLY_SHIPPED: lambda: after(two_lines(), (ship("s1", "03-01 11:00", A=1), "03-01 11:00")),
    OrderStatus.SHIPPED: lambda: after(two_lines(), (ship("s1", "03-01 11:00", A=2, B=1), "03-01 11:00")),
    OrderStatus.DELIVERED: lambda: after(WAYS[OrderStatus.SHIPPED](), (deliver("s1", "03-01 12:00"), "03-01 12:00")),
    OrderStatus.ACCEPTED: lambda: after(WAYS[OrderStatus.DELIVERED](), (CONFIRM, "03-01 12:00")),
    OrderStatus.COMPLETED: completed,
    OrderStatus.REFUNDED: lambda: after(WAYS[OrderStatus.ACCEPTED](), (refunded(33_499, 0, 2), "03-01 12:30")),
    OrderStatus.CANCELLED: lambda: after(two_lines(), (cancel(), "03-01 12:00")),
    OrderStatus.EXPIRED: expired,
    OrderStatus.DECLINED: lambda: after(
        Story(account(limit=1)), (place(LINE_A, LINE_B, freight=1_000, at="03-01 10:00"), "03-01 10:00")
    ),
}

COMMANDS = {
    "CancelOrder": cancel("MERCHANT"),
    "ExtendAuthorisation": EXTEND,
    "ReportShipment": ship("s2", "03-01 11:00", A=1),
    "ReportDelivery": deliver("s1", "03-01 12:00", "REFUSED"),
    "ConfirmReceipt": CONFIRM,
}
TELLS_MORE = {
    ("CancelOrder", OrderStatus.SHIPPED): "ALREADY_SHIPPED",
    ("CancelOrder", OrderStatus.DELIVERED): "ALREADY_SHIPPED",
    ("CancelOrder", OrderStatus.ACCEPTED): "ALREADY_SHIPPED",
    ("ConfirmReceipt", OrderStatus.AUTHORIZED): "SHIPMENT_INCOMPLETE",
    ("ConfirmReceipt", OrderStatus.PARTIALLY_SHIPPED): "SHIPMENT_INCOMPLETE",
}


@pytest.mark.parametrize("status", OrderStatus)
@pytest.mark.parametrize("command", COMMANDS)
def test_every_order_command_is_known_to_its_state_or_refused(status: OrderStatus, command: str) -> None:
    story = WAYS[status]()
    assert story.order().status is status
    then = story.send(COMMANDS[command], "03-01 13:00")
    to = ORDER_MACHINE[status].get(command)
    if to is not None:
        assert then.rejected is None
        assert story.order().status in to
        return
    assert then.rejected.code == TELLS_MORE.get((command, status), "ILLEGAL_TRANSITION")
    if then.rejected.code == "ILLEGAL_TRANSITION":
        assert then.rejected.details == {"from": status, "allowed": sorted(ORDER_MACHINE[status])}


@pytest.mark.parametrize("status", OrderStatus)
@pytest.mark.parametrize("kind", [AuthExpiry, AutoAccept, ReturnWindow])
def test_a_deadline_the_state_does_not_know_changes_nothing(status: OrderStatus, kind: type) -> None:
    story = WAYS[status]()
    then = story.send(kind(BUYER, ORDER, MERCHANT), "09-01 10:00")
    to = ORDER_MACHINE[status].get(kind.KIND)
    if to is None:
        assert then.yields == []
    else:
        assert story.order().status in to


def test_the_machine_has_a_row_for_every_state() -> None:
    assert set(ORDER_MACHINE) == set(OrderStatus)
    assert {row.status for way in WAYS.values() for row in way().given.rows if isinstance(row, Order)} == set(
        OrderStatus
    )
