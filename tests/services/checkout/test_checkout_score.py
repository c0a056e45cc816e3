"""Score, limit and what billing reports: worked example 8 (its part without write-off and appeal), C-R3 and C-R4."""

import pytest
from checkout_story import BUYER, Story, account, bill_paid, delinquent, local, names, policy

from services.checkout.rules.limit import band
from services.checkout.rules.score import late_level
from services.checkout.state import AccountStatus, BillScore, MonthPoints
from shared.contracts.policy import DEFAULTS, LimitBand

BANDS = DEFAULTS.limit_bands


def test_example_8_good_points_are_capped_per_month() -> None:
    story = Story(account(month_points=(MonthPoints("2027-03", 13),)))
    (event,) = story.send(bill_paid(paid_on="03-18", due_on="03-19"), "03-18 12:00").events
    assert (event.score, event.score_delta, event.cause, event.cause_ref) == (642, 2, "BILL_PAID", "b:o-1")
    assert story.send(bill_paid("b:o-2", "03-18", "03-19"), "03-18 12:00").events == []
    assert story.send(bill_paid("b:o-3", "04-01", "04-01"), "04-01 12:00").events[0].score_delta == 3


def test_example_8_a_bill_costs_more_the_later_it_gets() -> None:
    story = Story(account())
    deltas = [
        story.send(delinquent(dpd, stage), "03-20 00:00").events[-1].score_delta
        for dpd, stage in ((1, "REMINDER"), (4, "RESTRICTED"), (31, "COLLECTIONS"), (181, "CHARGED_OFF"))
    ]
    assert deltas == [-5, -20, -55, -120]
    assert story.account.score == 440


def test_cr4_steps_within_a_level_and_of_other_bills() -> None:
    story = Story(account())
    story.send(delinquent(4, "RESTRICTED"), "03-20 00:00")
    assert story.send(delinquent(10, "SUSPENDED"), "03-26 00:00").events[0].to_status == "SUSPENDED"
    assert story.account.score == 615
    story.send(delinquent(1, "REMINDER", "b:o-2", "SUSPENDED"), "03-26 00:00")
    assert story.account.score == 610


def test_cr4_a_bill_found_to_be_paid_in_time_gives_its_late_points_back_first() -> None:
    story = Story(account())
    story.send(delinquent(4, "RESTRICTED"), "03-23 00:00")
    (event,) = story.send(bill_paid(), "03-24 00:00").events
    assert (event.score, event.score_delta) == (643, 28)


def test_cr4_a_bill_paid_late_brings_nothing() -> None:
    story = Story(account())
    assert story.send(bill_paid(max_dpd=2), "03-24 00:00").events == []
    assert story.account.good_bills == 0


@pytest.mark.parametrize(("score", "posted"), [(0, 0), (3, 3), (640, 25)])
def test_cr4_the_score_never_falls_below_zero_and_returns_what_it_lost(score: int, posted: int) -> None:
    story = Story(account(score=score, limit=0))
    story.send(delinquent(4, "RESTRICTED"), "03-23 00:00")
    assert story.account.score == score - posted
    assert story.given.row(BillScore, "b:o-1").late_points == posted


def test_cr4_the_score_never_rises_above_a_thousand() -> None:
    story = Story(account(score=999, limit=2_000_000))
    assert story.send(bill_paid(paid_on="03-18"), "03-18 12:00").events[0].score == 1_000
    assert story.given.row(BillScore, "b:o-1").good_points == 1


def test_a_payment_dated_into_an_earlier_month_counts_there() -> None:
    story = Story(account(month_points=(MonthPoints("2027-03", 14), MonthPoints("2027-04", 15))))
    assert story.send(bill_paid("b:o-2", "03-31", "03-31"), "04-02 12:00").events[0].score_delta == 1
    assert story.account.month_points == (MonthPoints("2027-03", 15), MonthPoints("2027-04", 15))


def test_law_4_replayed_events_of_billing_change_nothing() -> None:
    story = Story(account())
    events = [delinquent(1, "REMINDER"), delinquent(4, "RESTRICTED"), delinquent(0, "NONE"), bill_paid(max_dpd=4)]
    for event in events:
        story.send(event, "03-23 00:00")
    stands = story.account
    story.messages = 0
    for event in events:
        assert story.send(event, "03-23 00:00").yields == []
    assert story.account == stands


@pytest.mark.parametrize(
    ("score", "limit"),
    [
        (499, 0),
        (500, 50_000),
        (599, 50_000),
        (600, 200_000),
        (700, 500_000),
        (800, 1_000_000),
        (900, 2_000_000),
        (1000, 2_000_000),
    ],
)
def test_cr3_a_score_is_worth_its_band(score: int, limit: int) -> None:
    assert band(score, BANDS) == limit


@pytest.mark.parametrize(("dpd", "points"), [(0, 0), (1, 5), (3, 5), (4, 25), (30, 25), (31, 80), (200, 80)])
def test_cr4_late_levels(dpd: int, points: int) -> None:
    assert late_level(dpd, "REMINDER") == points


def test_cr3_a_limit_is_cut_at_once_and_may_leave_less_than_nothing() -> None:
    story = Story(account(score=604, used=150_000))
    (_, event) = story.send(delinquent(4, "RESTRICTED"), "03-23 00:00").events
    assert (event.score, event.limit, event.available, event.cause) == (579, 50_000, -100_000, "DELINQUENCY_CHANGED")


def test_cr3_below_the_lowest_band_nothing_is_left() -> None:
    story = Story(account(score=504, limit=50_000))
    story.send(delinquent(1, "REMINDER"), "03-23 00:00")
    assert story.account.limit == 0


def test_cr3_a_limit_rises_one_band_at_a_time_with_three_good_bills() -> None:
    story = Story(account(score=860))
    limits = []
    for number in range(1, 8):
        story.send(bill_paid(f"b:o-{number}", f"0{number}-02", f"0{number}-02"), f"0{number}-02 12:00")
        limits.append(story.account.limit)
    assert limits == [200_000, 200_000, 500_000, 500_000, 500_000, 1_000_000, 1_000_000]


@pytest.mark.parametrize(
    "facts",
    [
        {"good_bills": 1},
        {"stage": "REMINDER"},
        {"activated_at": local("01-01 00:00")},
        {"status": AccountStatus.CLOSING},
    ],
)
def test_cr3_a_limit_waits_for_three_bills_ninety_days_and_a_clean_book(facts: dict) -> None:
    story = Story(account(**{"score": 860, "good_bills": 2, **facts}))
    story.send(bill_paid(), "03-31 23:00")
    assert story.account.limit == 200_000


def test_cr3_ninety_days_are_enough() -> None:
    story = Story(account(score=860, good_bills=2, activated_at=local("01-01 00:00")))
    story.send(bill_paid(), "04-01 00:00")
    assert (story.account.limit, story.account.good_bills) == (500_000, 0)


def test_cr3_a_limit_the_desk_set_lower_is_no_cut_and_rises_to_its_band() -> None:
    story = Story(account(limit=100_000, good_bills=2))
    story.send(bill_paid(), "03-19 12:00")
    assert story.account.limit == 200_000


def test_cr3_the_bands_are_the_platforms() -> None:
    story = Story(account(good_bills=2), policy("platform", limit_bands=(LimitBand(min_score=0, limit=10_000),)))
    (event,) = story.send(bill_paid(), "03-19 12:00").events
    assert event.limit == 10_000


def test_bil_11_the_status_is_told_before_the_credit_line() -> None:
    then = Story(account()).send(delinquent(4, "RESTRICTED"), "03-23 00:00")
    assert names(then.events) == ["AccountStatusChanged", "CreditLineChanged"]
    assert then.events[0].reasons == ("RESTRICTED",)
    assert then.events[0].buyer_id == BUYER


def test_late_points_are_kept_per_bill() -> None:
    story = Story(account())
    story.send(delinquent(4, "RESTRICTED"), "03-23 00:00")
    bill = story.given.row(BillScore, "b:o-1")
    assert (bill.level, bill.late_points, bill.paid) == (25, 25, False)
