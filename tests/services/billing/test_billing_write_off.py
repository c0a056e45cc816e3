"""Writing off, and what comes in afterwards (B-D4)."""

import pytest
from billing_stories import (
    BUYER,
    TERMS,
    Story,
    accepted,
    after_accepting,
    approved,
    attempt,
    charge_off,
    monthly,
    notice,
    opened,
    repay,
    report,
    sums,
)

from services.billing.deadlines import Collect, DueSoon, PauseEnd, Step
from services.billing.state import Bill, BillStatus, Book, Plan, PlanStatus
from shared.contracts.billing import (
    BillChargedOff,
    BillPaid,
    BillVoided,
    CollectionRequested,
    DelinquencyChanged,
    PlanSettled,
    RefundAllocated,
    RepaymentAllocated,
)
from shared.contracts.policy import LateFeeTerms, LateFeeTier

FLAT = TERMS.model_copy(update={"late_fee": LateFeeTerms(tiers=(LateFeeTier(fee=600),))})


def written_off() -> Story:
    """12000 due on 03-19 2027 with two fees of 600, written off on the 181st day past due."""
    story = Story.of_a_buyer(enabled=False).then(accepted(amount=12000, terms=FLAT), at="03-12 10:00")
    return story.then(notice("03-16 09:01"), at="03-16 09:01").until("09-16 00:00")


def test_b_d_4_after_half_a_year_a_bill_is_written_off_with_its_fees() -> None:
    story = written_off()
    (told,) = story.events(BillChargedOff)
    assert (told.principal, told.fee, told.late_fee, told.dpd) == (12000, 0, 1200, 181)
    assert story.names[-2:] == ["BillChargedOff", "DelinquencyChanged"]
    last = story.events(DelinquencyChanged)[-1]
    assert (last.stage, last.bucket, last.account_stage, last.amount_due) == (
        "CHARGED_OFF",
        "D181_UP",
        "CHARGED_OFF",
        0,
    )
    assert (story.row(Bill, "b:o-1").status, story.row(Plan, "o-1").status) == (
        BillStatus.CHARGED_OFF,
        PlanStatus.CHARGED_OFF,
    )
    assert sums(story.posted[-4:]) == {"5000": 13200, "1100": -12000, "1120": -1200}
    assert not any(story.armed(kind) for kind in (DueSoon, Collect, Step))


def test_readme_11_what_is_written_off_and_not_recovered_is_still_used() -> None:
    story = written_off()
    assert story.row(Book, BUYER).outstanding_principal == 12000
    told = story.events(BillChargedOff)[0]
    assert (told.outstanding_principal, told.book_version) == (12000, 1)


def test_b_d_4_a_part_that_comes_in_is_recovered() -> None:
    before = written_off()
    story = before.then(repay(amount=5000), at="10-01 10:00")
    story = story.then(report("pay-1", "SUCCEEDED", 5000, "10-01 10:01"), at="10-01 10:01")
    (told,) = story.events(RepaymentAllocated)
    assert [(part.component, part.amount) for part in told.allocations] == [("PRINCIPAL", 5000)]
    assert (told.outstanding_principal, told.book_version) == (7000, 2)
    part = story.row(Plan, "o-1").instalments[0]
    assert (part.charged_off, part.paid, part.outstanding) == (7000, 5000, 0)
    assert sums(story.posted[len(before.posted) :]) == {"1000": 5000, "4900": -5000}
    assert story.row(Bill, "b:o-1").stage == "CHARGED_OFF"


def test_b_d_4_what_is_fully_recovered_is_paid_and_settled() -> None:
    story = written_off().then(repay(amount=12000), at="10-01 10:00")
    story = story.then(report("pay-1", "SUCCEEDED", 12000, "10-01 10:01"), at="10-01 10:01")
    assert story.names[-4:] == ["RepaymentAllocated", "BillPaid", "PlanSettled", "DelinquencyChanged"]
    assert story.events(BillPaid)[0].max_dpd >= 181
    assert story.events(DelinquencyChanged)[-1].account_stage == "NONE"


def test_b_a_2_no_more_than_the_principal_can_be_repaid_of_what_is_written_off() -> None:
    refused = written_off().then(repay(amount=12001), at="10-01 10:00")
    assert (refused.code, refused.rejected.details) == ("AMOUNT_EXCEEDS_OUTSTANDING", {"outstanding": 12000})


def test_b_r_1_a_refund_recovers_it_from_the_merchant() -> None:
    before = written_off()
    story = before.then(approved(12000, "rf-1"), at="10-01 10:00")
    told = story.events(RefundAllocated)[0]
    assert [(step.does, step.amount) for step in told.trace] == [("LOWERS_CHARGED_OFF", 12000)]
    assert [(leg.kind, leg.amount) for leg in told.legs] == [("DEBT", 12000)]
    assert sums(story.posted[len(before.posted) :]) == {"2000": 12000, "4900": -12000}
    assert (len(story.events(BillVoided)), len(story.events(PlanSettled))) == (1, 1)


def test_an_early_write_off_takes_what_is_paused_too() -> None:
    """ChargeOffBill: death, insolvency."""
    story = after_accepting(12000, enabled=False).then(opened(share=5000), at="03-15 10:00").until("03-21 00:00")
    story = story.then(charge_off(), at="03-21 10:00")
    (told,) = story.events(BillChargedOff)
    assert (told.principal, told.dpd) == (12000, 2)
    assert story.row(Plan, "o-1").instalments[0].paused == 0
    assert story.armed(PauseEnd) == []


@pytest.mark.parametrize(
    ("command", "at", "code"),
    [
        (charge_off(), "03-19 10:00", "ILLEGAL_TRANSITION"),
        (charge_off("b:o-9"), "03-21 10:00", "UNKNOWN_BILL"),
        (charge_off(by="MERCHANT"), "03-21 10:00", "PARTY_NOT_ALLOWED"),
    ],
)
def test_a_write_off_that_is_refused(command: object, at: str, code: str) -> None:
    story = after_accepting(enabled=False).then(command, at=at)
    assert (story.code, story.events(BillChargedOff)) == (code, [])


def test_a_collection_in_flight_that_succeeds_afterwards_is_a_recovery() -> None:
    story = after_accepting(12000).until("03-27 00:00")
    story = story.then(charge_off(), at="03-27 10:00")
    before = len(story.posted)
    story = story.then(report(attempt("o-1", 0), "SUCCEEDED", 12000, "03-19 14:00"), at="03-28 10:00")
    assert sums(story.posted[before:]) == {"1000": 12000, "4900": -12000}
    assert story.events(BillPaid) != []


def test_one_bill_of_a_plan_written_off_leaves_the_plan_open() -> None:
    story = Story.of_a_buyer(enabled=False).then(monthly(), at="01-12 10:00").until("03-10 00:00")
    story = story.then(charge_off("m:b-7:2027-02-01"), at="03-10 10:00")
    plan = story.row(Plan, "o-1")
    assert (plan.status, [one.charged_off for one in plan.instalments]) == (PlanStatus.OPEN, [3334, 0, 0])
    paid = story.then(repay("pay-1", 10000, order_id="o-1"), at="03-11 10:00")
    paid = paid.then(report("pay-1", "SUCCEEDED", 10000, "03-11 10:01"), at="03-11 10:01")
    assert paid.row(Plan, "o-1").status is PlanStatus.SETTLED
    assert paid.events(CollectionRequested)[-1].order_id == "o-1"
