"""Open return cases: what they pause, what nothing touches meanwhile, and how it runs again (B-H)."""

from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest
from billing_stories import (
    BUYER,
    CARD,
    MERCHANT,
    Story,
    accepted,
    after_accepting,
    approved,
    attempt,
    bill,
    closed,
    line,
    local,
    opened,
    plan,
    repay,
    report,
)
from hypothesis import given
from hypothesis import strategies as st

from services.billing.deadlines import Collect, DueSoon, PauseEnd, Step
from services.billing.rules import lines, pause, timetable
from services.billing.service import billing
from services.billing.state import Autopay, Bill, Book, Instalment, Plan
from shared.contracts.billing import (
    BillDueSoon,
    BillPaid,
    BillPaused,
    BillResumed,
    CollectionFailed,
    CollectionRequested,
    DelinquencyChanged,
)
from shared.engine.vocabulary import Cause
from shared.kernel.calendar import Calendar, WorkingWeek
from shared.testing.given import Given

CALENDAR = Calendar(week=WorkingWeek.CN_WEEKENDS)
FIRST = attempt("o-1", 0)
SET = (DueSoon, Collect, Step)


def part(story: Story) -> Instalment:
    """The one instalment of order o-1."""
    return story.row(Plan, "o-1").instalments[0]


def steps(story: Story) -> list[tuple[int, str]]:
    return [(event.dpd, event.stage) for event in story.events(DelinquencyChanged)]


def armed(story: Story) -> list[list[datetime]]:
    """When the bill is reminded of, collected and ages next."""
    return [story.armed(kind) for kind in SET]


# -- pausing -----------------------------------------------------------------------------------------------------------


def test_b_h_1_a_return_takes_its_share_out_of_the_bill_for_21_days() -> None:
    story = after_accepting().then(opened(), at="03-15 10:00")
    assert story.events(BillPaused) == [
        BillPaused(
            buyer_id=BUYER,
            bill_id="b:o-1",
            order_id="o-1",
            merchant_id=MERCHANT,
            currency="CNY",
            ref="case-1",
            amount=12884,
            amount_due=12885,
            until=local("04-05 10:00"),
        )
    ]
    assert (part(story).outstanding, part(story).paused, part(story).due_part) == (25769, 12884, 12885)
    assert story.armed(PauseEnd) == [local("04-05 10:00")]


def test_b_h_1_a_partial_pause_keeps_the_date_and_only_the_rest_is_reminded_of_and_collected() -> None:
    story = after_accepting().then(opened(), at="03-15 10:00")
    assert armed(story) == [[local("03-16 09:00")], [local("03-19 14:00")], [local("03-20 00:00")]]
    story = story.until("03-19 14:00")
    assert [event.amount_due for event in story.events(BillDueSoon)] == [12885] * 3
    assert [event.amount for event in story.events(CollectionRequested)] == [12885]


def test_b_h_1_a_pause_that_leaves_no_due_part_disarms_the_bill() -> None:
    story = after_accepting().then(opened(share=25769), at="03-15 10:00")
    assert story.events(BillPaused)[0].amount_due == 0
    assert armed(story) == [[], [], []]
    story = story.until("04-05 09:59")
    assert story.names == ["PlanOpened", "BillIssued", "BillPaused"]


@pytest.mark.parametrize("share", [25770, 10**9])
def test_b_h_1_no_more_is_paused_than_is_unpaid(share: int) -> None:
    story = after_accepting().then(opened(share=share), at="03-15 10:00")
    assert story.events(BillPaused)[0].amount == 25769


def test_b_h_1_a_second_case_pauses_what_the_first_left() -> None:
    story = after_accepting().then(opened(share=20000), at="03-15 10:00")
    story = story.then(opened("case-2", 20000), at="03-15 11:00")
    assert [(event.ref, event.amount, event.amount_due) for event in story.events(BillPaused)] == [
        ("case-1", 20000, 5769),
        ("case-2", 5769, 0),
    ]
    story = story.then(closed("case-1"), at="03-16 10:00")
    assert (story.events(BillResumed)[0].amount, part(story).paused) == (20000, 5769)


def test_b_h_1_nothing_is_paused_on_an_order_that_is_paid() -> None:
    story = after_accepting().then(report(FIRST, "SUCCEEDED", 25769, "03-19 14:01"), at="03-19 14:01")
    told = story.told
    story = story.then(opened(), at="03-20 10:00").then(closed(), at="03-21 10:00")
    assert story.told == told
    assert story.given.armed == []


def test_b_h_1_the_last_instalments_are_paused_first() -> None:
    order = plan("o-1", date(2027, 1, 12), *(Instalment(seq, f"m{seq}", 100, 0) for seq in (1, 2, 3)))
    held = pause.paused(order, "case-1", 150, "e-1", local("03-15 10:00"), CALENDAR)
    assert [one.paused for one in held.instalments] == [0, 50, 100]
    more = pause.paused(held, "case-2", 100, "e-2", local("03-15 10:00"), CALENDAR)
    assert [one.paused for one in more.instalments] == [50, 100, 100]


def test_b_h_1_in_all_an_order_is_paused_on_42_calendar_days() -> None:
    """03-15 to 04-05 are 22 of them; from 04-10 on the other 20 end with 04-29."""
    story = after_accepting().then(opened(share=25769), at="03-15 10:00").until("04-05 10:00")
    again = story.then(opened("case-2", 25769), at="04-10 10:00")
    assert again.events(BillPaused)[-1].until == local("04-30 00:00")
    ended = again.until("04-30 00:00")
    assert ended.events(BillResumed)[-1].reason == "LIMIT"
    spent = ended.then(opened("case-3", 25769), at="05-03 10:00")
    assert len(spent.events(BillPaused)) == 2
    assert part(spent).paused == 0


def test_b_h_1_days_on_which_two_cases_are_open_count_once() -> None:
    story = after_accepting().then(opened(share=100), at="03-15 10:00").then(opened("case-2", 100), at="03-15 11:00")
    story = story.then(closed("case-1"), at="03-16 10:00").then(closed("case-2"), at="03-16 11:00")
    story = story.then(opened("case-3", 100), at="03-30 10:00").until("04-20 10:00")
    last = story.then(opened("case-4", 100), at="04-20 11:00").events(BillPaused)[-1]
    assert last.until == local("05-09 00:00"), "2 days in March, 22 up to 04-20, 18 more"


def test_cases_without_number_leave_no_more_than_a_hundred_marks() -> None:
    held = plan("o-1", date(2027, 1, 12), Instalment(1, "m", 1000, 0))
    for number in range(110):
        held = pause.paused(held, f"case-{number}", 1, f"e-{number}", local("03-15 10:00"), CALENDAR)
    assert (len(held.pauses), held.instalments[0].paused) == (100, 100)


def test_h_6_a_return_that_comes_before_its_plan_has_nothing_to_work_on_yet() -> None:
    """B-X1: it waits for PlanOpened's row."""
    done = Story.of_a_buyer().given.when(opened(), now=local("03-15 10:00"))
    assert done.rejected is not None
    assert done.rejected.code == "UNKNOWN_ORDER", "to the engine: it waits for the plan"


# -- what nothing touches ----------------------------------------------------------------------------------------------


def test_b_d_2_a_pause_freezes_the_stage_and_cures_nothing() -> None:
    story = after_accepting(enabled=False).then(opened(share=25769), at="03-24 10:00").until("04-10 00:00")
    assert steps(story) == [(1, "REMINDER"), (4, "RESTRICTED")]
    assert story.row(Bill, "b:o-1").stage == story.row(Book, BUYER).stage == "RESTRICTED"


def test_b_h_1_the_unpaused_rest_goes_on_ageing() -> None:
    story = after_accepting(enabled=False).then(opened(), at="03-20 10:00").until("03-23 00:00")
    assert [event.amount_due for event in story.events(DelinquencyChanged)] == [25769, 12885]


def test_b_a_1_a_repayment_takes_what_is_paused_last_and_the_pause_gives_way() -> None:
    story = after_accepting().then(repay(amount=20000), at="03-14 10:00").then(opened(), at="03-15 10:00")
    story = story.then(report("pay-1", "SUCCEEDED", 20000, "03-15 10:01"), at="03-15 10:01")
    assert (part(story).outstanding, part(story).paused) == (5769, 5769)
    assert armed(story) == [[], [], []]
    resumed = story.then(closed(), at="03-25 10:00").events(BillResumed)[0]
    assert (resumed.amount, resumed.due_on) == (5769, date(2027, 3, 28))


def test_a_repayment_of_everything_ends_the_pause_with_the_debt() -> None:
    story = after_accepting().then(opened(), at="03-15 10:00").then(repay(), at="03-15 11:00")
    story = story.then(report("pay-1", "SUCCEEDED", 25769, "03-15 11:01"), at="03-15 11:01")
    assert story.names[-3:] == ["RepaymentAllocated", "BillPaid", "PlanSettled"]
    assert story.given.armed == []
    assert story.then(closed(), at="03-20 10:00").told == story.told


def test_b_d_2_paying_the_running_rest_cures_and_the_paused_share_stays_frozen() -> None:
    story = after_accepting(enabled=False).then(opened(), at="03-24 10:00").then(repay(amount=12885), at="03-24 11:00")
    story = story.then(report("pay-1", "SUCCEEDED", 12885, "03-24 11:01"), at="03-24 11:01")
    assert steps(story)[-1] == (0, "NONE")
    assert armed(story) == [[], [], []]


def test_b_d_2_a_cent_on_a_wholly_paused_bill_cures_nothing() -> None:
    story = after_accepting(enabled=False).then(opened(share=25769), at="03-24 10:00")
    story = story.then(repay(amount=1), at="03-24 11:00")
    story = story.then(report("pay-1", "SUCCEEDED", 1, "03-24 11:01"), at="03-24 11:01")
    assert steps(story)[-1] == (4, "RESTRICTED")
    assert story.row(Bill, "b:o-1").stage == "RESTRICTED"


def test_a_bill_does_not_age_while_all_of_it_is_paused() -> None:
    """RESTRICTED at 4 days, paused, paid ten days later: it was 5 days late, as on the day of the pause, not 15."""
    story = after_accepting(enabled=False).then(opened(share=25769), at="03-24 10:00").then(repay(), at="04-03 10:00")
    paid = story.then(report("pay-1", "SUCCEEDED", 25769, "04-03 10:01"), at="04-03 10:01")
    assert paid.events(BillPaid)[0].max_dpd == 4


def test_b_c_3_a_decline_of_a_paused_bill_says_why_nothing_follows() -> None:
    story = after_accepting().then(repay(), at="03-14 10:00").then(opened(share=25769), at="03-15 10:00")
    failed = story.then(report("pay-1", "DECLINED", 25769, "03-15 10:01"), at="03-15 10:01").events(CollectionFailed)
    assert [(one.final, one.stop_reason, one.next_at) for one in failed] == [(True, "PAUSED", None)]
    half = after_accepting().then(repay(), at="03-14 10:00").then(opened(), at="03-15 10:00")
    failed = half.then(report("pay-1", "DECLINED", 25769, "03-15 10:01"), at="03-15 10:01").events(CollectionFailed)
    assert [(one.final, one.next_at) for one in failed] == [(False, local("03-19 14:00"))]


# -- running again -----------------------------------------------------------------------------------------------------


def test_b_h_2_a_closed_case_makes_its_share_payable_again() -> None:
    story = after_accepting().then(opened(), at="03-15 10:00").then(closed(), at="03-17 10:00")
    assert story.events(BillResumed) == [
        BillResumed(
            buyer_id=BUYER,
            bill_id="b:o-1",
            order_id="o-1",
            merchant_id=MERCHANT,
            currency="CNY",
            ref="case-1",
            amount=12884,
            amount_due=25769,
            due_on=date(2027, 3, 19),
            due_version=1,
            reason="RETURN_CLOSED",
        )
    ]
    assert story.armed(PauseEnd) == []
    assert story.until("03-19 14:00").events(CollectionRequested)[0].amount == 25769


def test_b_h_3_a_line_with_an_unpaused_rest_keeps_its_date_however_late() -> None:
    story = after_accepting(enabled=False).then(opened(), at="03-15 10:00").then(closed(), at="03-25 10:00")
    resumed = story.events(BillResumed)[0]
    assert (resumed.due_on, resumed.due_version) == (date(2027, 3, 19), 1)
    assert steps(story.until("03-29 00:00")) == [(1, "REMINDER"), (4, "RESTRICTED"), (10, "SUSPENDED")]


@pytest.mark.parametrize(
    ("resumed_at", "due_on", "due_version"),
    [("03-16 08:00", "03-19", 1), ("03-17 10:00", "03-20", 2), ("04-01 10:00", "04-04", 2)],
)
def test_b_h_3_a_line_paused_before_it_was_due_leaves_three_days_to_pay(
    resumed_at: str, due_on: str, due_version: int
) -> None:
    story = after_accepting().then(opened(share=25769), at="03-15 10:00").then(closed(), at=resumed_at)
    resumed = story.events(BillResumed)[0]
    assert (resumed.due_on, resumed.due_version) == (local(f"{due_on} 10:00").date(), due_version)
    assert story.armed(Collect) == [local(f"{due_on} 14:00")]
    assert story.armed(Step) == [local(f"{due_on} 00:00") + timedelta(days=1)]
    asked = story.until(f"{due_on} 14:00").events(CollectionRequested)[0]
    assert (asked.repayment_id, asked.amount) == (f"a:b:o-1:{due_version}:0", 25769)


def test_b_h_3_a_line_past_due_goes_on_where_it_stopped_and_repeats_no_step() -> None:
    """5 days past due when paused on 03-24; resumed on 04-01 it is so again, and 10 on 04-06."""
    story = after_accepting(enabled=False).then(opened(share=25769), at="03-24 10:00").then(closed(), at="04-01 10:00")
    resumed = story.events(BillResumed)[0]
    assert (resumed.due_on, resumed.due_version) == (date(2027, 3, 27), 1)
    assert story.armed(Step) == [local("04-06 00:00")]
    assert steps(story.until("04-06 00:00")) == [(1, "REMINDER"), (4, "RESTRICTED"), (10, "SUSPENDED")]


def test_b_h_3_a_step_taken_is_not_repeated_by_a_pause_that_ends_at_its_very_instant() -> None:
    """4 days past due, and resumed at the midnight on which the line is 4 days past due again."""
    story = after_accepting(enabled=False).then(opened(share=25769), at="03-23 10:00")
    story = story.then(closed(), at="04-01 00:00")
    assert story.row(Bill, "b:o-1").due_on == date(2027, 3, 28)
    assert story.armed(Step) == [local("04-07 00:00")]


def test_b_h_3_attempts_of_the_due_date_are_not_repeated() -> None:
    story = after_accepting()
    for offset, at in ((0, "03-19 14:01"), (1, "03-20 14:01")):
        story = story.then(report(attempt("o-1", offset), "DECLINED", 25769, at), at=at)
    story = story.then(opened(share=25769), at="03-21 10:00").then(closed(), at="03-21 11:00").until("03-24 00:00")
    assert [event.repayment_id for event in story.events(CollectionRequested)] == [
        attempt("o-1", offset) for offset in (0, 1, 3)
    ]


def test_b_h_2_after_its_limit_the_share_runs_again_although_the_case_is_open() -> None:
    story = after_accepting().then(opened(share=25769), at="03-15 10:00").until("04-05 10:00")
    resumed = story.events(BillResumed)[0]
    assert (resumed.reason, resumed.due_on, resumed.due_version) == ("LIMIT", date(2027, 4, 8), 2)
    assert story.then(closed(), at="04-06 10:00").told == story.told


def test_a_case_that_an_appeal_opens_again_pauses_again() -> None:
    story = after_accepting().then(opened(), at="03-15 10:00", cause=Cause("e-1"))
    story = story.then(closed(), at="03-16 10:00", cause=Cause("e-2"))
    story = story.then(opened(reopened=True), at="04-10 10:00", cause=Cause("e-3"))
    assert len(story.events(BillPaused)) == 2
    assert part(story).paused == 12884


# -- worked example 8 --------------------------------------------------------------------------------------------------

DUE = date(2027, 3, 31)


def statement() -> Story:
    """A statement due 03-31: 3333 of order o-1, which has more to come, and the whole of o-2, 5000."""
    plans = (
        plan("o-1", date(2027, 1, 12), Instalment(1, "m-1", 3333, 0), Instalment(2, "m-2", 3333, 0)),
        plan("o-2", date(2027, 1, 20), Instalment(1, "m-1", 5000, 0)),
    )
    one = replace(bill(line("o-1", DUE), line("o-2", DUE)), bill_id="m-1", kind="MONTHLY")
    book = Book(BUYER, "CNY", 2, 11666, Autopay(instrument=CARD))
    return Story(Given(billing, book, one, *plans, armed=timetable.arm_set(one, local("03-15 00:00"), CALENDAR)))


def test_example_8_a_return_of_one_order_on_a_statement() -> None:
    story = statement().then(opened(order_id="o-2", share=5000), at="03-20 10:00")
    (paused,) = story.events(BillPaused)
    assert (paused.bill_id, paused.amount, paused.amount_due, paused.until) == (
        "m-1",
        5000,
        3333,
        local("04-10 10:00"),
    )
    story = story.until("03-31 14:00")
    assert [event.amount for event in story.events(CollectionRequested)] == [3333]
    story = story.then(report("a:m-1:1:0", "SUCCEEDED", 3333, "03-31 14:01"), at="03-31 14:01")
    story = story.then(closed(order_id="o-2"), at="04-05 10:00")
    (resumed,) = story.events(BillResumed)
    assert (resumed.due_on, resumed.due_version, resumed.amount_due) == (date(2027, 4, 8), 2, 5000)
    last = story.until("04-08 14:00").events(CollectionRequested)[-1]
    assert (last.repayment_id, last.amount) == ("a:m-1:2:0", 5000)


def test_example_8_a_return_of_what_is_past_due_already() -> None:
    story = statement().then(report("a:m-1:1:0", "DECLINED", 8333, "03-31 14:01"), at="03-31 14:01")
    story = story.then(opened(order_id="o-2", share=5000), at="04-02 10:00")
    story = story.then(closed(order_id="o-2"), at="04-05 10:00")
    (resumed,) = story.events(BillResumed)
    assert (resumed.due_on, resumed.due_version) == (date(2027, 4, 3), 1)


def test_example_8_the_refund_of_the_paused_share_leaves_the_rest_its_date() -> None:
    story = after_accepting(28000).then(opened(share=26800), at="03-15 10:00")
    story = story.then(approved(26800), at="03-17 10:00")
    assert (part(story).outstanding, part(story).paused) == (1200, 0)
    assert story.row(Bill, "b:o-1").due_on == date(2027, 3, 19)
    assert story.armed(PauseEnd) == []
    assert story.then(closed(outcome="REFUNDED"), at="03-17 11:00").told == story.told
    assert story.until("03-19 14:00").events(CollectionRequested)[0].amount == 1200


def test_lines_moved_to_one_date_share_its_version() -> None:
    one = bill(line("o-1", DUE), line("o-2", DUE))
    frozen = replace(one, lines=tuple(replace(each, paused_dpd=0) for each in one.lines), last_step=4)
    plans = {order: plan(order, date(2027, 1, 12), Instalment(1, "m", 100, 0)) for order in ("o-1", "o-2")}
    half = {**plans, "o-2": plan("o-2", date(2027, 1, 12), Instalment(1, "m", 100, 0, paused=100))}
    first = lines.followed(frozen, half, date(2027, 4, 5))
    assert (first.due_on, first.due_version, first.last_step) == (date(2027, 4, 8), 2, 0)
    both = lines.followed(first, plans, date(2027, 4, 5))
    assert {(each.due_on, each.due_version) for each in both.lines} == {(date(2027, 4, 8), 2)}


# -- law 4 -------------------------------------------------------------------------------------------------------------

LIFE = (
    (opened(), "03-15 10:00", "e-1"),
    (opened("case-2", 5000), "03-15 11:00", "e-2"),
    (closed(), "03-20 10:00", "e-3"),
    (opened(reopened=True), "03-21 10:00", "e-4"),
    (closed("case-2", "WITHDRAWN"), "03-22 10:00", "e-5"),
    (closed(outcome="REFUNDED"), "03-25 10:00", "e-6"),
)


@given(st.integers(1, len(LIFE)))
def test_law_4_events_of_cases_read_again_at_any_moment_change_nothing(heard: int) -> None:
    story = after_accepting(enabled=False)
    for message, at, event in LIFE[:heard]:
        story = story.then(message, at=at, cause=Cause(event))
    for message, at, event in LIFE[:heard]:
        assert story.given.when(message, now=local(at), cause=Cause(event)).yields == []


def test_a_pause_that_is_over_when_its_deadline_comes_is_let_be() -> None:
    story = after_accepting().then(opened(), at="03-15 10:00").then(closed(), at="03-16 10:00")
    assert story.given.when(PauseEnd(BUYER, "case-1", "o-1"), now=local("04-05 10:00")).yields == []


def test_an_order_accepted_afterwards_is_no_concern_of_the_pause() -> None:
    story = after_accepting().then(accepted("o-2", 500, "03-14 10:00"), at="03-14 10:00")
    done = story.given.when(opened(share=25769), now=local("03-15 10:00"))
    assert {row.identity()[1] for row in done.rows} == {"o-1", "b:o-1"}
