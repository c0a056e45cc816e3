"""What returns and refunds do to an accepted order and to the credit line (2.2, I-3, I-5, law 4)."""

from itertools import permutations
from typing import Any

import pytest
from checkout_story import (
    BUYER,
    MERCHANT,
    ORDER,
    Story,
    account,
    consenting,
    in_order,
    line,
    names,
    place,
    plan_opened,
    plan_reopened,
    plan_settled,
    refunded,
    repaid,
    return_closed,
    return_opened,
    ship,
)

from services.checkout.deadlines import ReturnWindow
from services.checkout.state import ORDER_MACHINE, AccountStatus, OrderStatus
from shared.contracts import checkout as c

AMOUNT = 90_000
WINDOW_OVER = "03-18 00:00"
"""End of the return window of an order accepted on 03-02."""


def billed() -> Story:
    """An order of 90000, accepted on 03-02 and owed since."""
    story = Story(account(), consenting())
    at = "03-02 10:00"
    for message in (place(line(), at=at), ship("s1", at, A=1), in_order(c.ConfirmReceipt), plan_opened(AMOUNT, 1)):
        assert story.send(message, at).rejected is None
    return story


def told(story: Story, *messages: Any, at: str = "03-10 10:00") -> list[str]:
    """What follows from each of these, all at one time."""
    return [name for message in messages for name in names(story.send(message, at).events)]


# -- refunds -----------------------------------------------------------------------------------------------------------


def test_refunds_example_5_a_refund_of_debt_frees_the_limit_it_used() -> None:
    story = billed()
    (line_changed,) = story.send(refunded(12_884, AMOUNT - 12_884, 2), "03-10 10:00").events
    assert (line_changed.used, line_changed.cause, line_changed.cause_ref) == (
        AMOUNT - 12_884,
        "REFUND_ALLOCATED",
        "case-1:r1",
    )
    assert (story.order().refunded_amount, story.order().status) == (12_884, OrderStatus.ACCEPTED)


def test_a_refund_in_cash_counts_on_the_order_and_leaves_the_credit_line_alone() -> None:
    story = billed()
    told(story, repaid(0, 2), plan_settled())
    assert told(story, refunded(12_884, 0, 2)) == []
    assert story.order().refunded_amount == 12_884


def test_what_billing_could_not_allocate_is_not_given_back() -> None:
    story = billed()
    story.send(refunded(AMOUNT + 500, 0, 2, unallocated=500), "03-10 10:00")
    assert (story.order().refunded_amount, story.order().status) == (AMOUNT, OrderStatus.REFUNDED)


def test_2_2_an_order_given_back_whole_is_refunded_and_waits_for_nothing() -> None:
    story = billed()
    events = story.send(refunded(AMOUNT, 0, 2), "03-10 10:00").events
    assert events[0] == in_order(c.OrderCompleted, currency="CNY", outcome="REFUNDED")
    assert names(events) == ["OrderCompleted", "CreditLineChanged"]
    assert story.armed() == []
    assert (story.order().status, story.order().return_until) == (OrderStatus.REFUNDED, None)


def test_2_2_several_refunds_add_up_to_the_whole() -> None:
    story = billed()
    assert told(story, refunded(AMOUNT - 1, 1, 2)) == ["CreditLineChanged"]
    assert told(story, refunded(1, 0, 3, "rf-2")) == ["OrderCompleted", "CreditLineChanged"]


def test_2_2_a_completed_order_may_still_be_refunded() -> None:
    story = billed()
    told(story, repaid(0, 2), plan_settled())
    story.until(WINDOW_OVER)
    assert story.order().status is OrderStatus.COMPLETED
    assert told(story, refunded(AMOUNT, 0, 2), at="03-20 10:00") == ["OrderCompleted"]
    assert story.order().status is OrderStatus.REFUNDED


def test_an_order_whose_plan_a_refund_settled_is_settled_like_any_other() -> None:
    story = billed()
    assert told(story, refunded(AMOUNT, 0, 2)) == ["OrderCompleted", "CreditLineChanged"]
    assert (story.account.open_orders, story.pair.open_orders) == (0, 0), "an order given back whole is open no longer"
    assert told(story, plan_settled()) == []
    assert (story.order().plan_settled, story.order().status) == (True, OrderStatus.REFUNDED)
    assert (story.account.open_orders, story.pair.open_orders, story.account.used) == (0, 0, 0)


def test_a_closing_account_is_closed_with_the_refund_of_its_last_order() -> None:
    story = billed()
    close = c.ChangeAccountStatus(buyer_id=BUYER, action="CLOSE", by="BUYER", reason="enough")
    assert told(story, close, refunded(AMOUNT, 0, 2)) == [
        "AccountStatusChanged",
        "OrderCompleted",
        "CreditLineChanged",
        "AccountStatusChanged",
    ]
    assert story.account.status is AccountStatus.CLOSED
    assert told(story, plan_settled()) == []


# -- open cases --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", list(permutations(("settled", "window", "closed"))), ids="-".join)
def test_2_2_an_order_completes_with_the_last_of_window_plan_and_cases(order: tuple[str, ...]) -> None:
    messages = {
        "settled": plan_settled(),
        "window": ReturnWindow(BUYER, ORDER, MERCHANT),
        "closed": return_closed(),
    }
    story = billed()
    told(story, return_opened())
    assert [told(story, messages[one]) for one in order] == [[], [], ["OrderCompleted"]]
    assert story.order().status is OrderStatus.COMPLETED


def test_every_open_case_keeps_the_order_open() -> None:
    story = billed()
    told(story, plan_settled(), return_opened("case-1"), return_opened("case-2"))
    story.until(WINDOW_OVER)
    assert told(story, return_closed("case-1")) == []
    assert told(story, return_closed("case-2")) == ["OrderCompleted"]


def test_a_case_opened_after_completion_leaves_the_order_completed() -> None:
    story = billed()
    told(story, plan_settled())
    story.until(WINDOW_OVER)
    assert told(story, return_opened(), return_closed(), at="03-19 10:00") == []
    assert (story.order().status, story.order().open_cases) == (OrderStatus.COMPLETED, 0)


def test_a_case_that_an_appeal_opens_again_keeps_the_order_open_again() -> None:
    story = billed()
    told(story, plan_settled(), return_opened(), return_closed(), return_opened(reopened=True))
    story.until(WINDOW_OVER)
    assert story.order().status is OrderStatus.ACCEPTED
    assert told(story, return_closed()) == ["OrderCompleted"]


# -- waiting and repeating ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("message", [refunded(AMOUNT, 0, 2), return_opened()])
def test_h_6_what_happens_to_an_order_waits_for_its_acceptance(message: Any) -> None:
    story = Story(account(), consenting())
    story.send(place(line(), at="03-02 10:00"), "03-02 10:00")
    done = story.send(message, "03-02 10:00")
    assert done.rejected is not None
    assert done.rejected.code == "ORDER_NOT_ACCEPTED", "to the engine: it waits for the row"


LIFE = (
    return_opened(),
    return_opened("case-2"),
    refunded(500, AMOUNT - 500, 2),
    return_closed(),
    return_opened(reopened=True),
    return_closed("case-2", "WITHDRAWN"),
    refunded(700, AMOUNT - 500, 2, "rf-2"),
    return_closed(outcome="REFUNDED"),
    refunded(AMOUNT - 1_200, 0, 3, "rf-3"),
)


@pytest.mark.parametrize("heard", range(1, len(LIFE) + 1))
def test_law_4_events_read_again_at_any_moment_change_nothing(heard: int) -> None:
    story = billed()
    before = story.messages
    told(story, *LIFE[:heard])
    story.messages = before  # the same ids come again
    for message in LIFE[:heard]:
        assert story.send(message, "03-10 10:00").yields == []


TRIGGERS = {
    "RETURN_WINDOW": ReturnWindow(BUYER, ORDER, MERCHANT),
    "PlanSettled": plan_settled(),
    "PlanReopened": plan_reopened(500, 3),
    "ReturnOpened": return_opened("case-2"),
    "ReturnClosed": return_closed(),
    "RefundAllocated": refunded(500, 0, 2, "rf-2", unallocated=500),
}


@pytest.mark.parametrize("status", [OrderStatus.ACCEPTED, OrderStatus.COMPLETED, OrderStatus.REFUNDED])
@pytest.mark.parametrize("trigger", TRIGGERS)
def test_every_event_in_every_state_of_an_accepted_order(status: OrderStatus, trigger: str) -> None:
    """With a case open; the refund is one of which nothing is left to give back."""
    story = billed()
    match status:
        case OrderStatus.COMPLETED:
            told(story, plan_settled())
            story.until(WINDOW_OVER)
        case OrderStatus.REFUNDED:
            told(story, refunded(AMOUNT, 0, 2, "rf-1"))
    told(story, return_opened(), at="03-19 10:00")
    assert story.order().status is status
    then = story.send(TRIGGERS[trigger], "03-19 11:00")
    leads_to = ORDER_MACHINE[status].get(trigger)
    if leads_to is None:
        assert then.yields == []
    assert story.order().status in (leads_to or (status,))
