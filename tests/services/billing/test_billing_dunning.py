"""How an unpaid bill ages: steps, stages, waiting for a provider, and catching up (B-D)."""

from billing_stories import BUYER, Story, accepted, after_accepting, attempt, local, repay, report

from services.billing.deadlines import Ask, Collect, DueSoon, Step
from services.billing.state import Bill, Book
from shared.contracts.billing import BillPaid, CollectionRequested, DelinquencyChanged, LateFeeWithheld

FIRST = attempt("o-1", 0)


def steps(story: Story) -> list[tuple[int, str, str]]:
    return [(event.dpd, event.stage, event.bucket) for event in story.events(DelinquencyChanged)]


def test_b_d_1_the_ladder_of_a_bill_nobody_pays() -> None:
    story = after_accepting(enabled=False).until("12-31 00:00")
    assert steps(story) == [
        (1, "REMINDER", "D1_3"),
        (4, "RESTRICTED", "D4_30"),
        (10, "SUSPENDED", "D4_30"),
        (31, "COLLECTIONS", "D31_60"),
        (61, "COLLECTIONS", "D61_90"),
        (91, "COLLECTIONS", "D91_120"),
        (121, "COLLECTIONS", "D121_180"),
        (181, "CHARGED_OFF", "D181_UP"),
    ]
    assert story.row(Bill, "b:o-1").max_dpd == 181
    assert story.armed(Step) == []


def test_t_2_due_on_a_day_is_payable_until_its_end() -> None:
    story = after_accepting(enabled=False)
    assert story.until("03-19 23:59").events(DelinquencyChanged) == []
    assert len(story.until("03-20 00:00").events(DelinquencyChanged)) == 1


def test_b_d_1_the_buyers_stage_is_the_worst_of_the_bills() -> None:
    story = after_accepting(enabled=False).then(accepted("o-2", 5000, "03-18 10:00"), at="03-18 10:00")
    story = story.until("03-29 00:00")
    told = [(event.bill_id, event.stage, event.account_stage) for event in story.events(DelinquencyChanged)]
    assert told == [
        ("b:o-1", "REMINDER", "REMINDER"),
        ("b:o-1", "RESTRICTED", "RESTRICTED"),
        ("b:o-2", "REMINDER", "RESTRICTED"),
        ("b:o-1", "SUSPENDED", "SUSPENDED"),
        ("b:o-2", "RESTRICTED", "SUSPENDED"),
    ]
    assert story.row(Book, BUYER).stage == "SUSPENDED"


def test_b_d_3_a_step_waits_while_a_repayment_that_covers_it_is_out() -> None:
    story = after_accepting().until("03-20 00:00")
    assert story.events(DelinquencyChanged) == []
    assert story.armed(Step) == [local("03-21 00:00")]
    paid = story.then(report(FIRST, "SUCCEEDED", 25769, "03-20 09:00"), at="03-20 09:00")
    assert paid.events(BillPaid)[0].max_dpd == 0
    assert paid.events(DelinquencyChanged) == []


def test_b_d_3_a_repayment_that_does_not_cover_the_due_part_stops_no_step() -> None:
    story = after_accepting(enabled=False).then(repay(amount=25768), at="03-19 20:00").until("03-20 00:00")
    assert steps(story) == [(1, "REMINDER", "D1_3")]


def test_b_d_3_a_repayment_asked_for_after_the_step_was_due_stops_it_no_more() -> None:
    story = (
        after_accepting().until("03-20 00:00").then(report(FIRST, "DECLINED", 25769, "03-20 00:10"), at="03-20 00:10")
    )
    story = story.then(repay(), at="03-20 23:50").until("03-21 00:00")
    assert steps(story) == [(1, "REMINDER", "D1_3")]


def test_b_d_3_what_was_missed_while_waiting_runs_at_once_each_with_its_own_day() -> None:
    """Silence until 03-24 15:15; the step of day 1 waits, comes up on 03-25 and takes day 4 along."""
    story = after_accepting().until("03-24 23:59")
    assert story.events(DelinquencyChanged) == []
    caught_up = story.until("03-25 00:00")
    assert steps(caught_up) == [(1, "REMINDER", "D1_3"), (4, "RESTRICTED", "D4_30")]
    assert caught_up.armed(Step) == [local("03-29 00:00")]


def test_b_d_3_a_step_waits_seven_times_at_most() -> None:
    bill = after_accepting().until("03-19 14:00").row(Bill, "b:o-1")
    story = after_accepting().until("03-19 14:00")
    waiting = next(one for one in story.given.armed if isinstance(one.message, Step))
    given = story.given
    for day in range(20, 27):
        done = given.when(waiting.message, now=local(f"03-{day} 00:00"))
        assert done.events == []
        waiting = done.deadlines[0]
        given = done.given
    assert bill.in_flight is not None
    done = given.when(waiting.message, now=waiting.at)
    assert [event.dpd for event in done.events] == [1]
    assert done.deadlines[0].at == local("03-23 00:00")
    caught_up = done.given.when(done.deadlines[0].message, now=done.deadlines[0].at)
    assert [event.dpd for event in caught_up.events] == [4, 4]  # a fee is withheld, for nobody was reminded


def test_b_d_3_a_success_counts_from_the_day_it_was_asked_for() -> None:
    """Unresolved since the due date, meanwhile RESTRICTED: the late truth makes the bill punctual and cures it."""
    story = after_accepting().until("03-25 00:00")
    paid = story.then(report(FIRST, "SUCCEEDED", 25769, "03-19 14:01"), at="03-25 10:00")
    assert paid.names[-4:] == ["RepaymentAllocated", "BillPaid", "PlanSettled", "DelinquencyChanged"]
    assert paid.events(BillPaid)[0].max_dpd == 0
    assert steps(paid)[-1] == (0, "NONE", "NONE")


def test_deadlines_of_a_bill_that_is_closed_do_nothing() -> None:
    paid = after_accepting().then(report(FIRST, "SUCCEEDED", 25769, "03-19 14:01"), at="03-19 14:01")
    for late in (
        DueSoon(BUYER, "b:o-1", ("o-1",), 0),
        Collect(BUYER, "b:o-1", ("o-1",), 1),
        Step(BUYER, "b:o-1", ("o-1",), 1),
        Ask(BUYER, FIRST, ("b:o-1",)),
    ):
        assert paid.given.when(late, now=local("03-20 00:00")).yields == []


def test_an_order_accepted_twice_opens_one_plan() -> None:
    story = after_accepting().then(accepted(), at="03-12 11:00")
    assert story.names.count("PlanOpened") == 1


def test_thirty_open_orders_touch_no_other_bill() -> None:
    story = Story.of_a_buyer()
    for number in range(30):
        story = story.then(accepted(f"o-{number}", 100, "03-12 10:00"), at="03-12 10:00")
    done = story.given.when(accepted("o-last", 100, "03-12 10:00"), now=local("03-12 10:00"))
    assert [type(row).__name__ for row in done.rows] == ["Book", "Plan", "Bill"]
    assert done.given.row(Book, BUYER).outstanding_principal == 3100
    story = Story(done.given).until("03-19 14:00")
    assert len(story.events(CollectionRequested)) == 31


def test_b_d_1_a_day_of_the_ladder_that_is_no_step_ages_the_bill_without_climbing() -> None:
    story = after_accepting(enabled=False).until("03-29 00:00")
    done = story.given.when(Step(BUYER, "b:o-1", ("o-1",), 11), now=local("03-30 00:00"))
    assert [type(event) for event in done.events] == [LateFeeWithheld]
    assert (done.given.row(Bill, "b:o-1").last_step, done.given.row(Bill, "b:o-1").stage) == (11, "SUSPENDED")
