"""The machines of state.py, walked: what is not in the table is refused, with the right code."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from itertools import product

import pytest
from billing_stories import (
    BUYER,
    Story,
    after_accepting,
    approved,
    attempt,
    charge_off,
    closed,
    decide,
    extend,
    local,
    notice,
    opened,
    pay_outside,
    repay,
    report,
    reversal,
    waive,
)

from services.billing.deadlines import Ask, Collect, DueSoon, ExtensionEnd, PauseEnd, StatementCut, Step
from services.billing.state import (
    BILL_MACHINE,
    EXTENSION_MACHINE,
    PLAN_MACHINE,
    REPAYMENT_MACHINE,
    Bill,
    BillStatus,
    Extension,
    ExtensionStatus,
    Plan,
    PlanStatus,
    Repayment,
    RepaymentStatus,
)
from shared.engine.vocabulary import Row
from shared.testing.given import Given

FIRST = attempt("o-1", 0)
OUTCOMES = ("SUCCEEDED", "DECLINED", "PENDING", "UNKNOWN")
DEADLINES = (
    StatementCut(BUYER, "b:o-1", ("o-1",)),
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


def with_row(story: Story, row: Row, instead_of: str = "") -> Story:
    """The story with this row in place of that of its id, or of another one."""
    replaced = {row.identity(), (BUYER, instead_of)}
    others = [one for one in story.given.rows if type(one) is not type(row) or one.identity() not in replaced]
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
        allowed = sorted(REPAYMENT_MACHINE[status])
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
def test_every_deadline_in_every_state_of_a_bill(
    status: BillStatus, due: StatementCut | DueSoon | Collect | Step
) -> None:
    story = after_accepting()
    story = with_row(story, replace(story.row(Bill, "b:o-1"), status=status))
    done = story.given.when(due, now=local("03-23 00:00"))
    leads_to = BILL_MACHINE[status].get(due.KIND)
    assert bool(done.yields) is (leads_to is not None)
    if leads_to is not None:
        assert done.given.row(Bill, "b:o-1").status in leads_to


# -- commands ----------------------------------------------------------------------------------------------------------

COMMANDS = {
    "RepayBill": repay("pay-1", 100),
    "RecordExternalPayment": pay_outside(100, "03-23 09:00"),
    "RequestExtension": extend(7),
    "DecideExtension": decide("GRANTED"),
    "WaiveFee": waive(),
    "ChargeOffBill": charge_off(),
}


def a_bill(status: BillStatus) -> Story:
    """An order whose bill has a late fee and an open wish for another order's bill, brought into this state."""
    story = after_accepting(12000, enabled=False).then(notice("03-16 09:01"), at="03-16 09:01").until("03-23 00:00")
    story = with_row(story, replace(story.row(Bill, "b:o-1"), status=status))
    wish = Extension(BUYER, "ext-1", "b:o-1", ExtensionStatus.REQUESTED, 7, 0, "MERCHANT", local("03-25 00:00"), "")
    if status is BillStatus.CHARGED_OFF:
        plan = story.row(Plan, "o-1")
        part = replace(plan.instalments[0], charged_off=12000)
        story = with_row(story, replace(plan, status=PlanStatus.CHARGED_OFF, instalments=(part,)))
    return with_row(story, wish)


@pytest.mark.parametrize(("status", "name"), list(product(BillStatus, COMMANDS)))
def test_every_command_in_every_state_of_a_bill(status: BillStatus, name: str) -> None:
    story = a_bill(status)
    if name == "RequestExtension":  # one open for the buyer would be refused for that
        story = with_row(story, replace(story.row(Extension, "ext-1"), extension_id="ext-0", status="LAPSED"), "ext-1")
        story = with_row(story, replace(story.row(Bill, "b:o-1"), due_on=date(2027, 3, 22)))
    done = story.given.when(COMMANDS[name], now=local("03-23 10:00"))
    if name in BILL_MACHINE[status]:
        assert done.rejected is None
        assert done.given.row(Bill, "b:o-1").status in BILL_MACHINE[status][name]
        return
    assert done.rejected is not None
    assert done.rejected.code == "ILLEGAL_TRANSITION"
    assert done.rejected.details == {"from": str(status), "allowed": sorted(BILL_MACHINE[status])}


@pytest.mark.parametrize("status", PlanStatus)
def test_paying_an_order_in_every_state_of_its_plan(status: PlanStatus) -> None:
    story = after_accepting(12000, enabled=False)
    story = with_row(story, replace(story.row(Plan, "o-1"), status=status, settled_on=None))
    done = story.given.when(repay("pay-1", 100, order_id="o-1"), now=local("03-13 10:00"))
    if "RepayBill" in PLAN_MACHINE[status]:
        assert done.rejected is None
    else:
        assert done.rejected is not None
        assert done.rejected.details == {"from": str(status), "allowed": sorted(PLAN_MACHINE[status])}


@pytest.mark.parametrize("status", ExtensionStatus)
def test_a_decision_and_the_end_of_waiting_in_every_state_of_an_extension(status: ExtensionStatus) -> None:
    story = a_bill(BillStatus.OVERDUE)
    story = with_row(story, replace(story.row(Extension, "ext-1"), status=status))
    ended = story.given.when(ExtensionEnd(BUYER, "ext-1", "b:o-1"), now=local("03-25 00:00"))
    assert bool(ended.yields) is ("EXTENSION_END" in EXTENSION_MACHINE[status])
    for decision in ("GRANTED", "DECLINED"):
        done = story.given.when(decide(decision), now=local("03-24 00:00"))
        if "DecideExtension" in EXTENSION_MACHINE[status]:
            assert done.given.row(Extension, "ext-1").status in EXTENSION_MACHINE[status]["DecideExtension"]
        else:
            same = str(status) == decision
            assert done.rejected is not None
            assert done.rejected.code == ("ALREADY_DONE" if same else "ILLEGAL_TRANSITION")


@pytest.mark.parametrize("status", RepaymentStatus)
def test_a_reversal_in_every_state_of_a_repayment(status: RepaymentStatus) -> None:
    done = a_repayment(status).given.when(reversal(FIRST, 1), now=local("03-20 10:00"))
    if "ReportCollectionReversal" not in REPAYMENT_MACHINE[status]:
        assert done.rejected is not None
        assert done.rejected.details == {"from": str(status), "allowed": sorted(REPAYMENT_MACHINE[status])}
    else:
        assert done.given.row(Repayment, FIRST).status in REPAYMENT_MACHINE[status]["ReportCollectionReversal"]


# -- messages about a case ---------------------------------------------------------------------------------------------

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
    [
        (BILL_MACHINE, BillStatus),
        (PLAN_MACHINE, PlanStatus),
        (EXTENSION_MACHINE, ExtensionStatus),
        (REPAYMENT_MACHINE, RepaymentStatus),
    ],
)
def test_every_state_has_its_place_in_the_table(machine: dict, states: type) -> None:
    assert set(machine) == set(states)
    assert {state for triggers in machine.values() for leads_to in triggers.values() for state in leads_to} <= set(
        states
    )
