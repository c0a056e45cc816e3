"""The machines of state.py, walked: what is not in the table is refused, with the state and what it allows."""

from collections.abc import Callable
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from refunds_stories import (
    BUYER,
    CASE,
    FIRST,
    LEG,
    ORDER,
    REFUND,
    Story,
    allocated,
    approved,
    arrived,
    assessed,
    completed,
    disputed,
    executing,
    gesture,
    graded,
    in_transit,
    leg,
    local,
    opened,
    paid,
    proof,
    received,
    refund_due,
    repair,
    review,
    ruling,
    shipped,
    withdraw,
)

from services.refunds.deadlines import CASE_DEADLINES, Arrival, Ask, Retry
from services.refunds.state import CASE_MACHINE, LEG_MACHINE, REFUND_MACHINE, Case, CaseStatus, LegStatus, RefundStatus
from shared.contracts.message import Message
from shared.testing.given import Then

NOW = local("03-18 18:00")


def refused(done: Then, state: str, machine: Any) -> bool:
    """Nothing happened, and the sender knows where things stand and what would be possible."""
    assert done.rejected is not None
    assert done.yields == []
    assert done.rejected.details == {"from": state, "allowed": sorted(machine[state])}
    return done.rejected.code == "ILLEGAL_TRANSITION"


# -- the case ----------------------------------------------------------------------------------------------------------

CASES: dict[CaseStatus, Callable[[], Story]] = {
    CaseStatus.UNDER_REVIEW: opened,
    CaseStatus.EVIDENCE_REQUIRED: lambda: opened().then(review("NEED_EVIDENCE"), at="03-15 20:00"),
    CaseStatus.APPROVED: approved,
    CaseStatus.IN_TRANSIT: in_transit,
    CaseStatus.RECEIVED: received,
    CaseStatus.ASSESSED: assessed,
    CaseStatus.DISPUTED: disputed,
    CaseStatus.REFUND_DUE: refund_due,
    CaseStatus.CLOSED: completed,
}

SAYINGS: dict[str, Callable[[Case], Message]] = {
    "ReviewReturn APPROVE": lambda case: review(by=case.review_mode),
    "ReviewReturn REJECT": lambda case: review("REJECT", case.review_mode),
    "ReviewReturn NEED_EVIDENCE": lambda case: review("NEED_EVIDENCE", case.review_mode),
    "SubmitEvidence": lambda _: proof(),
    "WithdrawReturn": lambda _: withdraw(),
    "ReportReturnShipment": lambda _: shipped(NOW),
    "ReportReturnReceipt": lambda _: arrived(NOW),
    "ReportReturnReceipt of nothing": lambda _: arrived(NOW, ()),
    "AssessReturn": lambda _: graded(),
    "ReviewRefund APPROVE": lambda case: ruling(by=case.review_mode),
    "ReviewRefund DISPUTE": lambda case: ruling("DISPUTE", case.review_mode),
    "ReviewRefund REJECT": lambda case: ruling("REJECT", case.review_mode),
}


def trigger_of(saying: str) -> str:
    return saying.removesuffix(" of nothing")


@pytest.mark.parametrize("status", CaseStatus)
def test_the_ways_into_each_state_of_a_case_lead_there(status: CaseStatus) -> None:
    assert CASES[status]().case.status is status


@pytest.mark.parametrize(("status", "saying"), list(product(CaseStatus, SAYINGS)))
def test_every_command_in_every_state_of_a_case(status: CaseStatus, saying: str) -> None:
    story, trigger = CASES[status](), trigger_of(saying)
    done = story.given.when(SAYINGS[saying](story.case), NOW)
    if trigger not in CASE_MACHINE[status]:
        assert refused(done, status, CASE_MACHINE)
        return
    assert done.events
    assert done.given.row(Case, CASE).status in CASE_MACHINE[status][trigger]


@pytest.mark.parametrize(("status", "kind"), list(product(CaseStatus, CASE_DEADLINES)))
def test_every_deadline_in_every_state_of_a_case(status: CaseStatus, kind: type) -> None:
    done = CASES[status]().given.when(kind(BUYER, ORDER, CASE), NOW)
    leads_to = CASE_MACHINE[status].get(kind.KIND)
    assert bool(done.yields) is (leads_to is not None)
    if leads_to is not None:
        assert done.given.row(Case, CASE).status in leads_to


def test_every_way_of_the_table_is_gone() -> None:
    """Each state a trigger may lead to is reached by it: the table promises nothing that does not happen."""
    seen = set()
    for status, way in CASES.items():
        for start in (way(), worthless(way())):
            messages = [(trigger_of(name), say(start.case)) for name, say in SAYINGS.items()]
            messages += [(kind.KIND, kind(BUYER, ORDER, CASE)) for kind in CASE_DEADLINES]
            messages += [("RefundCompleted", told) for told in completing(start)]
            for trigger, message in messages:
                done = start.given.when(message, NOW)
                if done.events:
                    seen.add((status, trigger, done.given.row(Case, CASE).status))
    assert seen == {
        (status, trigger, end)
        for status, triggers in CASE_MACHINE.items()
        for trigger, ends in triggers.items()
        for end in ends
    }


def worthless(story: Story) -> Story:
    """The same story, had the rest of the order been given back as a gesture."""
    rest = story.order.rest
    return Story(story.given.when(gesture(rest), NOW).given) if rest else story


def completing(story: Story) -> list[Message]:
    """What completes the refund of a case that waits for it."""
    waits = story.case.status is CaseStatus.REFUND_DUE
    return [allocated(story.refund, leg("DEBT", story.refund.amount))] if waits else []


# -- the legs ----------------------------------------------------------------------------------------------------------


def answered(outcome: str, **other: Any) -> Story:
    return executing().then(paid(FIRST, outcome, "03-18 17:00", **other), at="03-18 17:00")


def bounced() -> Story:
    return completed().then(paid(FIRST, "RETURNED", "03-18 17:30"), at="03-18 17:30")


LEGS: dict[str, tuple[LegStatus, Callable[[], Story]]] = {
    "requested": (LegStatus.REQUESTED, executing),
    "pending": (LegStatus.PENDING, lambda: answered("PENDING")),
    "unknown": (LegStatus.UNKNOWN, lambda: answered("UNKNOWN")),
    "failed": (LegStatus.FAILED, lambda: answered("FAILED")),
    "failed for good": (LegStatus.NEEDS_DESK, lambda: answered("FAILED", failure="HARD")),
    "bounced": (LegStatus.NEEDS_DESK, bounced),
    "succeeded": (LegStatus.SUCCEEDED, completed),
}
OUTCOMES = ("SUCCEEDED", "FAILED", "PENDING", "UNKNOWN", "RETURNED")
ALREADY_DONE = {
    ("failed", "FAILED"),
    ("failed for good", "FAILED"),
    ("bounced", "SUCCEEDED"),
    ("bounced", "RETURNED"),
    ("succeeded", "SUCCEEDED"),
}


@pytest.mark.parametrize(("state", "outcome"), list(product(LEGS, OUTCOMES)))
def test_every_report_in_every_state_of_a_leg(state: str, outcome: str) -> None:
    (status, way), trigger = LEGS[state], f"ReportPayout {outcome}"
    story = way()
    assert story.refund.legs[0].status is status
    done = story.given.when(paid(FIRST, outcome, NOW), NOW)
    if (state, outcome) in ALREADY_DONE:
        assert done.rejected.code == "ALREADY_DONE"
        assert done.rejected.details == {"payout_id": FIRST, "status": str(status)}
    elif trigger not in LEG_MACHINE[status]:
        assert refused(done, status, LEG_MACHINE)
    else:
        assert Story(done.given).refund.legs[0].status in LEG_MACHINE[status][trigger]
        assert Story(done.given).refund.status in REFUND_MACHINE[story.refund.status][trigger]


@pytest.mark.parametrize("state", LEGS)
def test_a_repair_in_every_state_of_a_leg(state: str) -> None:
    status, way = LEGS[state]
    story = way()
    done = story.given.when(repair(LEG), NOW)
    if "RetryPayout" not in REFUND_MACHINE[story.refund.status]:
        assert refused(done, story.refund.status, REFUND_MACHINE)
    elif "RetryPayout" not in LEG_MACHINE[status]:
        assert refused(done, status, LEG_MACHINE)
    else:
        assert Story(done.given).refund.legs[0].status in LEG_MACHINE[status]["RetryPayout"]
        assert done.events[0].payout_id == f"{LEG}:2"


@pytest.mark.parametrize(("state", "kind"), list(product(LEGS, (Ask, Retry))))
def test_every_deadline_in_every_state_of_a_leg(state: str, kind: type) -> None:
    status, way = LEGS[state]
    done = way().given.when(kind(BUYER, REFUND, LEG), NOW)
    leads_to = LEG_MACHINE[status].get(kind.KIND)
    assert bool(done.yields) is (leads_to is not None)
    if leads_to is not None:
        assert Story(done.given).refund.legs[0].status in leads_to


# -- the refund --------------------------------------------------------------------------------------------------------

REFUNDS: dict[RefundStatus, Callable[[], Story]] = {
    RefundStatus.APPROVED: refund_due,
    RefundStatus.EXECUTING: executing,
    RefundStatus.COMPLETED: completed,
}


@pytest.mark.parametrize("status", RefundStatus)
def test_an_allocation_is_heard_once(status: RefundStatus) -> None:
    story = REFUNDS[status]()
    assert story.refund.status is status
    for cash, ends in ((0, RefundStatus.COMPLETED), (1, RefundStatus.EXECUTING)):
        legs = [leg("DEBT", 12500 - cash), leg("WALLET", cash)][: 1 + cash]
        done = story.given.when(allocated(story.refund, *legs), NOW)
        if "RefundAllocated" in REFUND_MACHINE[status]:
            assert ends in REFUND_MACHINE[status]["RefundAllocated"]
            assert Story(done.given).refund.status is ends
        else:
            assert done.yields == []


@pytest.mark.parametrize("status", RefundStatus)
def test_the_promised_day_in_every_state_of_a_refund(status: RefundStatus) -> None:
    done = REFUNDS[status]().given.when(Arrival(BUYER, REFUND), NOW)
    leads_to = REFUND_MACHINE[status].get("ARRIVAL")
    assert bool(done.events) is (leads_to is not None)
    assert done.rows == []


@pytest.mark.parametrize("status", RefundStatus)
def test_a_repair_in_every_state_of_a_refund(status: RefundStatus) -> None:
    story = REFUNDS[status]()
    failed = tuple(replace(one, status=LegStatus.NEEDS_DESK) for one in story.refund.legs)
    done = story.with_row(replace(story.refund, legs=failed)).given.when(repair(LEG), NOW)
    if "RetryPayout" in REFUND_MACHINE[status]:
        assert Story(done.given).refund.status in REFUND_MACHINE[status]["RetryPayout"]
    else:
        assert refused(done, status, REFUND_MACHINE)


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_before_billing_has_spoken_no_payout_was_asked_for(outcome: str) -> None:
    assert refund_due().given.when(paid(FIRST, outcome, NOW), NOW).rejected.code == "UNKNOWN_PAYOUT"


@pytest.mark.parametrize(
    ("machine", "states"), [(CASE_MACHINE, CaseStatus), (REFUND_MACHINE, RefundStatus), (LEG_MACHINE, LegStatus)]
)
def test_every_state_has_its_place_in_the_table(machine: dict, states: type) -> None:
    assert set(machine) == set(states)
    assert {state for triggers in machine.values() for ends in triggers.values() for state in ends} <= set(states)
