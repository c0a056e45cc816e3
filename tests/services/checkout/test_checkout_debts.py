"""What billing says of a debt after it was opened: used follows it, reversals revive it, the score answers."""

from typing import Any

import pytest
from checkout_story import (
    BUYER,
    MERCHANT,
    ORDER,
    Story,
    account,
    bill_paid,
    charged_off,
    consenting,
    delinquent,
    extension,
    fee_reversed,
    in_order,
    line,
    names,
    place,
    plan_opened,
    plan_reopened,
    plan_settled,
    policy,
    refunded,
    repaid,
    return_closed,
    return_opened,
    reversed_repayment,
    ship,
)

from services.checkout.deadlines import ReturnWindow
from services.checkout.service import checkout
from services.checkout.state import AccountStatus, BillScore, OrderStatus
from shared.contracts import billing
from shared.contracts import checkout as c
from shared.contracts.message import Message
from shared.contracts.policy import LimitBand

AMOUNT = 90_000
TEN = "03-10 10:00"
WINDOW_OVER = "03-18 00:00"
"""End of the return window of an order accepted on 03-02."""


def billed(**facts: Any) -> Story:
    """An order of 90000, accepted on 03-02 and owed since."""
    story = Story(account(**facts), consenting())
    at = "03-02 10:00"
    for message in (place(line(), at=at), ship("s1", at, A=1), in_order(c.ConfirmReceipt), plan_opened(AMOUNT, 1)):
        assert story.send(message, at).rejected is None
    return story


def settled(**facts: Any) -> Story:
    """The same order, paid on 03-10, its return window still open."""
    story = billed(**facts)
    told(story, repaid(0, 2), plan_settled())
    return story


def completed() -> Story:
    """The same order with its return window over."""
    story = settled()
    story.until(WINDOW_OVER)
    assert story.order().status is OrderStatus.COMPLETED
    return story


def given_back() -> Story:
    """The same order, paid, then given back whole in cash."""
    story = settled()
    told(story, refunded(AMOUNT, 0, 2))
    assert story.order().status is OrderStatus.REFUNDED
    return story


def told(story: Story, *messages: Message, at: str = TEN) -> list[str]:
    """What follows from each of these, all at one time."""
    return [name for message in messages for name in names(story.send(message, at).events)]


def open_orders(story: Story) -> tuple[int, int]:
    return story.account.open_orders, story.pair.open_orders


# -- used --------------------------------------------------------------------------------------------------------------

DEBTS: dict[type[billing.DebtChanged], tuple[Message, str, str]] = {
    billing.PlanOpened: (plan_opened(AMOUNT, 2, 123_456), "PLAN_OPENED", ORDER),
    billing.PlanReopened: (plan_reopened(33_456, 2, 123_456), "PLAN_REOPENED", ORDER),
    billing.BillChargedOff: (charged_off(123_456, 2), "BILL_CHARGED_OFF", "b:o-1"),
    billing.FeeReversed: (fee_reversed(123_456, 2), "FEE_REVERSED", "b:o-1:f1"),
    billing.RepaymentAllocated: (repaid(123_456, 2), "REPAYMENT_ALLOCATED", "r-1"),
    billing.RepaymentReversed: (reversed_repayment(123_456, 2), "REPAYMENT_REVERSED", "cb-1"),
    billing.RefundAllocated: (refunded(1, 123_456, 2), "REFUND_ALLOCATED", "case-1:r1"),
}


def test_every_event_after_which_the_debt_is_another_is_heard() -> None:
    """README 11, I-9: used is copied from whatever event of billing tells what is owed in all."""
    changing = {one for one in vars(billing).values() if isinstance(one, type) and issubclass(one, billing.DebtChanged)}
    assert set(DEBTS) == changing - {billing.DebtChanged}
    assert all(checkout.handler(one) is not None for one in DEBTS)


@pytest.mark.parametrize("kind", DEBTS, ids=lambda kind: kind.__name__)
def test_used_follows_what_is_owed_in_all(kind: type[billing.DebtChanged]) -> None:
    """README 11, I-9: the newest version of billing's book is what counts, and the cause is told."""
    event, cause, ref = DEBTS[kind]
    story = billed()
    (changed,) = [one for one in story.send(event, TEN).events if isinstance(one, c.CreditLineChanged)]
    assert (changed.used, changed.cause, changed.cause_ref) == (123_456, cause, ref)
    assert story.account.book_version == 2


@pytest.mark.parametrize("kind", DEBTS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("version", [1, 2])
def test_an_older_version_of_the_book_does_not_lower_a_newer_one(kind: type[billing.DebtChanged], version: int) -> None:
    """README 11: events of one message share a version; what is not newer than the one seen changes nothing."""
    event, _, _ = DEBTS[kind]
    story = billed()
    told(story, repaid(50_000, 2))
    told(story, event.model_copy(update={"book_version": version}))
    assert (story.account.used, story.account.book_version) == (50_000, 2)


# -- a plan that is opened again ---------------------------------------------------------------------------------------


def test_an_order_whose_repayment_came_back_is_open_again() -> None:
    """Section 2.2, B-C7: used rises with the reversal, and the order counts among the open ones until it is settled."""
    story = settled()
    assert open_orders(story) == (0, 0)
    (changed,) = story.send(reversed_repayment(AMOUNT, 3, amount=AMOUNT), TEN).events
    assert (changed.used, changed.available) == (AMOUNT, 110_000)
    assert told(story, plan_reopened(AMOUNT, 3)) == [], "the same version: nothing about the line is new"
    assert (story.order().status, story.order().plan_settled) == (OrderStatus.ACCEPTED, False)
    assert open_orders(story) == (1, 1)
    assert told(story, repaid(0, 4), plan_settled()) == ["CreditLineChanged"]
    assert open_orders(story) == (0, 0)


def test_an_order_opened_again_waits_for_its_plan_to_be_settled_again() -> None:
    """Section 2.2: the end of the return window completes it only once the plan is settled again."""
    story = settled()
    told(story, plan_reopened(AMOUNT, 3))
    (closed,) = story.until(WINDOW_OVER)
    assert closed.events == []
    assert told(story, plan_settled(), at="03-20 10:00") == ["OrderCompleted"]
    assert open_orders(story) == (0, 0)


def test_a_plan_that_was_never_settled_stays_open_once() -> None:
    """Section 2: a reversal of one of several payments reopens a plan that is open; the order counts once."""
    story = billed()
    told(story, repaid(60_000, 2), reversed_repayment(AMOUNT, 3), plan_reopened(30_000, 3, AMOUNT))
    assert open_orders(story) == (1, 1)
    told(story, plan_settled())
    assert open_orders(story) == (0, 0)


@pytest.mark.parametrize(
    ("at_its_end", "status"), [(completed, OrderStatus.COMPLETED), (given_back, OrderStatus.REFUNDED)]
)
def test_an_order_at_its_end_stays_there_when_its_plan_is_opened_again(at_its_end: Any, status: OrderStatus) -> None:
    """Section 2.2: a COMPLETED order stays so, its debt is used again; it counts neither now nor when it is settled."""
    story = at_its_end()
    assert told(story, plan_reopened(AMOUNT, 3), at="03-20 10:00") == ["CreditLineChanged"]
    assert (story.order().status, story.order().plan_settled) == (status, False)
    assert (story.account.used, open_orders(story)) == (AMOUNT, (0, 0))
    assert told(story, repaid(0, 4), plan_settled(), at="03-21 10:00") == ["CreditLineChanged"]
    assert (story.order().status, story.order().plan_settled) == (status, True)
    assert open_orders(story) == (0, 0)


def test_a_completed_order_opened_again_may_still_be_given_back() -> None:
    """Section 2.2: COMPLETED turns REFUNDED with the refund of all of it, whatever is owed."""
    story = completed()
    told(story, plan_reopened(AMOUNT, 3), at="03-20 10:00")
    assert told(story, refunded(AMOUNT, 0, 4), at="03-20 11:00") == ["OrderCompleted", "CreditLineChanged"]
    assert (story.order().status, open_orders(story)) == (OrderStatus.REFUNDED, (0, 0))


def test_an_order_with_a_case_and_a_plan_opened_again_needs_both_to_end() -> None:
    """Section 2.2: completed is tested on each of the three."""
    story = settled()
    told(story, return_opened(), plan_reopened(AMOUNT, 3))
    story.until(WINDOW_OVER)
    assert told(story, return_closed(), at="03-20 10:00") == []
    assert told(story, plan_settled(), at="03-20 11:00") == ["OrderCompleted"]


def test_a_reversal_on_a_closed_account_is_debt_all_the_same() -> None:
    """C-R2, section 2.1: a closed account stays closed; what it owes outlives it, and so do its open orders."""
    story = settled()
    told(story, c.ChangeAccountStatus(buyer_id=BUYER, action="CLOSE", by="BUYER", reason="enough"))
    assert story.account.status is AccountStatus.CLOSED
    assert told(story, reversed_repayment(AMOUNT, 3), plan_reopened(AMOUNT, 3)) == ["CreditLineChanged"]
    assert (story.account.status, story.account.used, open_orders(story)) == (AccountStatus.CLOSED, AMOUNT, (1, 1))
    apply = c.ApplyForAccount(buyer_id=BUYER, currency="CNY", platform_account_ref="acc-7", agreement_version="2027-01")
    told(story, apply, repaid(0, 4), plan_settled())
    assert (story.account.status, story.account.used, open_orders(story)) == (AccountStatus.APPLIED, 0, (0, 0))


def test_a_closing_account_waits_for_the_debt_that_came_back() -> None:
    """Section 2.1: CLOSING turns CLOSED once nothing is open and nothing is used."""
    story = billed()
    close = c.ChangeAccountStatus(buyer_id=BUYER, action="CLOSE", by="BUYER", reason="enough")
    told(story, close, repaid(0, 2), reversed_repayment(AMOUNT, 3), plan_reopened(AMOUNT, 3))
    assert told(story, repaid(0, 4)) == ["CreditLineChanged"]
    assert told(story, plan_settled()) == ["AccountStatusChanged"]
    assert story.account.status is AccountStatus.CLOSED


def test_a_consent_cannot_be_withdrawn_while_an_order_is_open_again() -> None:
    """C-R10: what is owed again to a merchant's order is in flight."""
    story = settled()
    told(story, plan_reopened(AMOUNT, 3))
    revoke = c.SetMerchantConsent(buyer_id=BUYER, merchant_id=MERCHANT, granted=False, text_version="1", scopes=())
    assert story.send(revoke, TEN).rejected.code == "ORDERS_IN_FLIGHT"


def test_a_plan_opened_again_waits_for_the_acceptance_of_its_order() -> None:
    """H-6: a service restored to an older state meets billing's events before its own commands."""
    story = Story(account(), consenting())
    story.send(place(line(), at="03-02 10:00"), "03-02 10:00")
    assert story.send(plan_reopened(AMOUNT, 3), TEN).rejected.code == "ORDER_NOT_ACCEPTED"


LIFE: tuple[Message, ...] = (
    repaid(0, 2),
    bill_paid(),
    plan_settled(),
    reversed_repayment(AMOUNT, 3, "b:o-1"),
    plan_reopened(AMOUNT, 3),
    delinquent(1, "REMINDER", "r:cb-1"),
    extension(bill_id="r:cb-1"),
    delinquent(0, "NONE", "r:cb-1"),
    delinquent(31, "COLLECTIONS", "r:cb-1"),
    charged_off(AMOUNT, 4, "r:cb-1"),
    delinquent(181, "CHARGED_OFF", "r:cb-1"),
    fee_reversed(AMOUNT - 600, 5),
    repaid(0, 6),
    bill_paid("r:cb-1", max_dpd=181),
    plan_settled(),
    delinquent(0, "NONE", "r:cb-1"),
)


@pytest.mark.parametrize("window_over", [False, True])
@pytest.mark.parametrize("heard", range(1, len(LIFE) + 1))
def test_events_of_a_debt_read_again_at_any_moment_change_nothing(heard: int, window_over: bool) -> None:
    """Law 4, I-8: whatever was heard may be read again from zero, in every state of the order it led to."""
    story = billed()
    if window_over:
        story.send(ReturnWindow(BUYER, ORDER, MERCHANT), TEN)
    before = story.messages
    told(story, *LIFE[:heard])
    stands = (story.account, story.pair, story.order())
    story.messages = before  # the same ids come again
    for message in LIFE[:heard]:
        assert [one for one in story.send(message, TEN).yields if one not in stands] == []
    assert (story.account, story.pair, story.order()) == stands


# -- the score ---------------------------------------------------------------------------------------------------------


def test_a_repayment_that_came_back_takes_its_bills_points_along() -> None:
    """C-R4: the good points of the bills it had paid go, whichever they are; the line is told once."""
    story = settled()
    told(story, bill_paid(), bill_paid("b:o-2", paid_on="03-18"))
    assert story.account.score == 647
    (changed,) = story.send(reversed_repayment(AMOUNT, 3, "b:o-1", "b:o-2"), TEN).events
    assert (changed.score, changed.score_delta, changed.used, changed.cause) == (640, -7, AMOUNT, "REPAYMENT_REVERSED")
    assert [story.given.row(BillScore, one).good_points for one in ("b:o-1", "b:o-2")] == [0, 0]


def test_points_are_taken_back_once() -> None:
    """C-R4: a second reversal finds nothing left to take; neither does one of a bill that brought nothing."""
    story = settled()
    told(story, bill_paid())
    told(story, reversed_repayment(1, 3, "b:o-1"))
    (changed,) = story.send(reversed_repayment(2, 4, "b:o-1", "b:o-9", reversal_id="cb-2"), TEN).events
    assert (changed.score, changed.score_delta) == (640, 0)


def test_the_score_lost_with_a_reversal_cuts_the_limit_at_once() -> None:
    """C-R3, C-R4: below its band the limit falls."""
    story = settled(score=598)
    told(story, bill_paid())
    assert (story.account.score, story.account.limit) == (601, 200_000)
    (changed,) = story.send(reversed_repayment(AMOUNT, 3, "b:o-1"), TEN).events
    assert (changed.score, changed.limit, changed.available) == (598, 50_000, -40_000)


def test_a_bill_reversed_before_it_was_paid_keeps_the_points_it_earns_later() -> None:
    """C-R4, law 4: the reversal took nothing then, and read again it takes nothing now."""
    story = billed()
    reversal = reversed_repayment(AMOUNT, 2, "b:o-1")
    before = story.messages
    told(story, reversal)
    told(story, bill_paid())
    assert story.account.score == 643
    story.messages = before
    assert story.send(reversal, TEN).yields == []


def test_a_granted_extension_returns_what_being_late_had_cost() -> None:
    """C-R4: the late points of the bill return, and a later delay under the new due date costs anew."""
    story = billed()
    told(story, delinquent(1, "REMINDER"))
    (changed,) = story.send(extension(), TEN).events
    assert (changed.score, changed.score_delta, changed.cause, changed.cause_ref) == (
        640,
        5,
        "EXTENSION_DECIDED",
        "ext-1",
    )
    told(story, delinquent(0, "NONE"), delinquent(1, "REMINDER"))
    assert story.account.score == 635


@pytest.mark.parametrize("decision", ["DECLINED", "LAPSED"])
def test_an_extension_that_was_not_granted_returns_nothing(decision: str) -> None:
    """C-R4: only GRANTED does."""
    story = billed()
    told(story, delinquent(1, "REMINDER"))
    assert story.send(extension(decision), TEN).yields == []


def test_an_extension_read_again_returns_no_points_lost_after_it() -> None:
    """Law 4: also where it was granted before the bill had cost anything."""
    story = billed()
    before = story.messages
    assert told(story, extension()) == []
    told(story, delinquent(4, "RESTRICTED"))
    story.messages = before
    assert story.send(extension(), TEN).yields == []
    assert story.account.score == 615


def test_a_bill_written_off_costs_the_most_a_bill_can() -> None:
    """C-R4, checkout example 8: -5, -25, -80, -200 in all; the difference is posted once, with the write-off."""
    story = billed()
    told(story, delinquent(31, "COLLECTIONS"))
    then = story.send(charged_off(AMOUNT, 2), TEN)
    (changed,) = then.events
    assert (changed.score_delta, changed.used, changed.cause) == (-120, AMOUNT, "BILL_CHARGED_OFF")
    assert told(story, delinquent(181, "CHARGED_OFF")) == []
    assert (story.account.score, story.account.status) == (440, AccountStatus.SUSPENDED)


def test_a_bill_written_off_early_costs_all_of_it_at_once() -> None:
    """C-R4, B-D4: whatever its age; the limit falls to the band of the score."""
    story = billed()
    (changed,) = story.send(charged_off(AMOUNT, 2, dpd=0), TEN).events
    assert (changed.score_delta, changed.limit) == (-200, 0)


def test_the_limit_after_a_write_off_is_that_of_the_platforms_bands() -> None:
    """C-R3: bands are the platform's."""
    story = Story(account(), policy("platform", limit_bands=(LimitBand(min_score=0, limit=10_000),)))
    (changed,) = story.send(charged_off(AMOUNT, 2), TEN).events
    assert changed.limit == 10_000


def test_who_has_a_bill_written_off_is_suspended_until_it_is_recovered() -> None:
    """C-R2: the worst stage CHARGED_OFF suspends; the cure gives the account its standing back, not its score."""
    story = billed()
    told(story, charged_off(AMOUNT, 2))
    (status,) = story.send(delinquent(181, "CHARGED_OFF"), TEN).events
    assert (status.from_status, status.to_status, status.reasons) == ("ACTIVE", "SUSPENDED", ("CHARGED_OFF",))
    (declined,) = story.send(place(line(amount=1), at=TEN, order_id="o-2"), TEN).events
    assert "ACCOUNT_NOT_ACTIVE" in declined.reasons
    told(story, repaid(0, 3), bill_paid(max_dpd=181), plan_settled())
    (status,) = story.send(delinquent(0, "NONE"), TEN).events
    assert status.to_status == "ACTIVE"
    assert (story.account.score, open_orders(story)) == (440, (0, 0))


def test_another_bill_keeps_the_account_suspended() -> None:
    """C-R2: the stage that counts is the worst of all the buyer's bills."""
    story = billed()
    told(story, delinquent(181, "CHARGED_OFF"))
    assert told(story, delinquent(0, "NONE", "b:o-2", "CHARGED_OFF")) == []
    assert (story.account.status, story.account.stage) == (AccountStatus.SUSPENDED, "CHARGED_OFF")
