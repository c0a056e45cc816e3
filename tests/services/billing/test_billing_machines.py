"""The machines of state.py, walked: what is not in the table is refused, with the right code."""

from dataclasses import replace
from itertools import product

import pytest
from billing_stories import BUYER, Story, after_accepting, attempt, local, report

from services.billing.deadlines import Ask, Collect, DueSoon, Step
from services.billing.state import (
    BILL_MACHINE,
    PLAN_MACHINE,
    REPAYMENT_MACHINE,
    Bill,
    BillStatus,
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


@pytest.mark.parametrize(
    ("machine", "states"),
    [(BILL_MACHINE, BillStatus), (PLAN_MACHINE, PlanStatus), (REPAYMENT_MACHINE, RepaymentStatus)],
)
def test_every_state_has_its_place_in_the_table(machine: dict, states: type) -> None:
    assert set(machine) == set(states)
    assert {state for triggers in machine.values() for leads_to in triggers.values() for state in leads_to} <= set(
        states
    )
