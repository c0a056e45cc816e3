"""The machines of state.py, walked: what is not in the table is refused, with the right code."""

from collections.abc import Callable
from dataclasses import replace
from itertools import product

import pytest
from billing_stories import BUYER, Story, after_accepting, approved, attempt, closed, local, opened, report

from services.billing.deadlines import Ask, Collect, DueSoon, PauseEnd, Step
from services.billing.state import (
    BILL_MACHINE,
    PLAN_MACHINE,
    REPAYMENT_MACHINE,
    Bill,
    BillStatus,
    Plan,
    PlanStatus,
    Repayment,
    RepaymentStatus,
)
from shared.testing.given import Given

FIRST = attempt("o-1", 0)
OUTCOMES = ("SUCCEEDED", "DECLINED", "PENDING", "UNKNOWN")
DEADLINES = (
    DueSoon(BUYER, "b:o-1", ("o-1",), 0),
    Collect(BUYER, "b:o-1", ("o-1",), 3),
    Step(BUYER, "b:o-1", ("o-1",), 4),
)
ALREADY_DONE = {
    (RepaymentStatus.SUCCEEDED, "SUCCEEDED"),
    (RepaymentStatus.REVERSED, "SUCCEEDED"),
    (RepaymentStatus.FAILED, "DECLINED"),
}


def a_repayment(status: RepaymentStatus) -> Story:
    """The first attempt for order o-1, brought into this state."""
    story = after_accepting().until("03-19 14:00")
    return with_row(story, replace(story.row(Repayment, FIRST), status=status))


def with_row(story: Story, row: Repayment | Bill) -> Story:
    others = [one for one in story.given.rows if one.identity() != row.identity() or type(one) is not type(row)]
    return Story(Given(story.given.service, *others, row, armed=story.given.armed))


@pytest.mark.parametrize(("status", "outcome"), list(product(RepaymentStatus, OUTCOMES)))
def test_every_report_in_every_state_of_a_repayment(status: RepaymentStatus, outcome: str) -> None:
    story = a_repayment(status).then(report(FIRST, outcome, 25769, "03-19 14:01"), at="03-19 14:01")
    if outcome in REPAYMENT_MACHINE[status]:
        assert story.code is None
        assert story.row(Repayment, FIRST).status in REPAYMENT_MACHINE[status][outcome]
        return
    assert story.row(Repayment, FIRST).status is status
    if (status, outcome) in ALREADY_DONE:
        assert story.code == "ALREADY_DONE"
    else:
        assert story.code == "ILLEGAL_TRANSITION"
        allowed = sorted(set(REPAYMENT_MACHINE[status]) & set(OUTCOMES))
        assert story.rejected.details == {"from": str(status), "allowed": allowed}


@pytest.mark.parametrize("status", RepaymentStatus)
def test_a_question_in_every_state_of_a_repayment(status: RepaymentStatus) -> None:
    done = a_repayment(status).given.when(Ask(BUYER, FIRST, ("b:o-1",)), now=local("03-19 14:15"))
    leads_to = REPAYMENT_MACHINE[status].get("ASK")
    assert bool(done.events) is (leads_to is not None)
    if leads_to is not None:
        assert done.given.row(Repayment, FIRST).status in leads_to


@pytest.mark.parametrize(
    ("status", "due"),
    list(product(BillStatus, DEADLINES)),
)
def test_every_deadline_in_every_state_of_a_bill(status: BillStatus, due: DueSoon | Collect | Step) -> None:
    story = after_accepting()
    story = with_row(story, replace(story.row(Bill, "b:o-1"), status=status))
    done = story.given.when(due, now=local("03-23 00:00"))
    leads_to = BILL_MACHINE[status].get(due.KIND)
    assert bool(done.yields) is (leads_to is not None)
    if leads_to is not None:
        assert done.given.row(Bill, "b:o-1").status in leads_to


_P, _B = PlanStatus, BillStatus

WAYS: dict[tuple[PlanStatus, BillStatus], tuple[str, Callable[[], Story]]] = {
    (_P.OPEN, _B.ISSUED): ("03-13 10:00", after_accepting),
    (_P.OPEN, _B.OVERDUE): ("03-22 10:00", lambda: after_accepting(enabled=False)),
    (_P.SETTLED, _B.VOIDED): ("03-14 10:00", lambda: after_accepting().then(approved(25769, "rf-1"), at="03-13 10:00")),
    (_P.SETTLED, _B.PAID): ("03-20 10:00", lambda: after_accepting().then(PAYMENT, at="03-19 14:01")),
}
PAYMENT = report(FIRST, "SUCCEEDED", 25769, "03-19 14:01")
CASES = {
    "ReturnOpened": opened("case-2", share=5000),
    "RefundApproved": approved(5000),
    "RefundApproved whole": approved(25769),
    "ReturnClosed": closed(),
    "PAUSE_END": PauseEnd(BUYER, "case-1", "o-1"),
}


@pytest.mark.parametrize(("way", "case"), list(product(WAYS, CASES)))
@pytest.mark.parametrize("share", [0, 12884, 25769])
def test_every_message_about_a_case_in_every_state_of_plan_and_bill(
    way: tuple[PlanStatus, BillStatus], case: str, share: int
) -> None:
    """With nothing, half or all of the order paused for case-1."""
    at, walked = WAYS[way]
    story = walked().then(opened(share=share), at=at)
    assert (story.row(Plan, "o-1").status, story.row(Bill, "b:o-1").status) == way
    done = story.given.when(CASES[case], now=local(at))
    trigger = case.removesuffix(" whole")
    assert done.given.row(Plan, "o-1").status in PLAN_MACHINE[way[0]][trigger]
    stays = (way[1],)
    assert done.given.row(Bill, "b:o-1").status in BILL_MACHINE[way[1]].get(trigger, stays)
    if case == "RefundApproved whole" and way[0] is _P.OPEN:
        assert (done.given.row(Plan, "o-1").status, done.given.row(Bill, "b:o-1").status) == (_P.SETTLED, _B.VOIDED)


@pytest.mark.parametrize(
    ("machine", "states"),
    [(BILL_MACHINE, BillStatus), (PLAN_MACHINE, PlanStatus), (REPAYMENT_MACHINE, RepaymentStatus)],
)
def test_every_state_has_its_place_in_the_table(machine: dict, states: type) -> None:
    assert set(machine) == set(states)
    assert {state for triggers in machine.values() for leads_to in triggers.values() for state in leads_to} <= set(
        states
    )
