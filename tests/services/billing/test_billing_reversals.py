"""Money a bank takes back, and money paid outside (B-C6, B-C7, ABU-8)."""

from datetime import date

import pytest
from billing_stories import (
    BUYER,
    TERMS,
    Story,
    after_accepting,
    approved,
    attempt,
    monthly,
    notice,
    pay_outside,
    repay,
    report,
    reversal,
    sums,
    waive,
)

from services.billing.state import Bill, BillStatus, Book, Plan, PlanStatus, Repayment, RepaymentStatus
from shared.contracts.billing import (
    BillIssued,
    BillPaid,
    OverpaymentDetected,
    PlanReopened,
    PlanSettled,
    RefundAllocated,
    RepaymentAllocated,
    RepaymentReversed,
)
from shared.engine.vocabulary import Cause

FIRST = attempt("o-1", 0)


def paid(amount: int = 12000) -> Story:
    """An order paid by its first attempt."""
    return after_accepting(amount).then(report(FIRST, "SUCCEEDED", amount, "03-19 14:01"), at="03-19 14:01")


def charged_back(story: Story, amount: int, at: str = "05-10 10:00", **other: object) -> Story:
    return story.then(reversal(FIRST, amount, at, **other), at=at).until(at)


# -- reversals ---------------------------------------------------------------------------------------------------------


def test_b_c_7_a_part_is_undone_and_the_repayment_stands_for_the_rest() -> None:
    story = charged_back(paid(), 5000)
    repayment = story.row(Repayment, FIRST)
    assert (repayment.status, repayment.reversed) == (RepaymentStatus.SUCCEEDED, 5000)
    plan = story.row(Plan, "o-1")
    assert (plan.status, plan.paid, plan.outstanding) == (PlanStatus.OPEN, 7000, 5000)
    assert [(one.refundable, one.reversed) for one in plan.payments] == [(7000, 5000)]
    again = charged_back(story, 7000, "05-11 10:00", reversal_id="cb-2")
    assert again.row(Repayment, FIRST).status is RepaymentStatus.REVERSED
    assert [one.bill_id for one in again.events(BillIssued)] == ["b:o-1", "r:cb-1", "r:cb-2"]


def test_b_c_7_what_is_owed_again_is_collected_and_dunned_like_any_bill() -> None:
    story = charged_back(paid(), 12000).then(
        report("a:r:cb-1:1:0", "SUCCEEDED", 12000, "05-13 14:00"), at="05-13 14:01"
    )
    assert story.names[-3:] == ["RepaymentAllocated", "BillPaid", "PlanSettled"]
    assert [(one.paid, one.settled_on) for one in story.events(PlanSettled)] == [
        (12000, date(2027, 3, 19)),
        (12000, date(2027, 5, 13)),
    ]


def test_b_c_7_the_last_allocation_is_undone_first_one_instalment_for_each_order() -> None:
    """A statement of two orders with fees, paid at once; 6000 are taken back: o-2 whole, then of o-1."""
    fees = TERMS.model_copy(update={"instalment_fee_bps": {"3": 150, "6": 0, "12": 0}})
    story = Story.of_a_buyer(enabled=False)
    for order_id in ("o-1", "o-2"):
        story = story.then(monthly(order_id, 10000, 3, terms=fees), at="01-12 10:00")
    story = story.then(repay("pay-1", 6768, bill_id="m:b-7:2027-02-01"), at="02-10 10:00")
    story = story.then(report("pay-1", "SUCCEEDED", 6768, "02-10 10:01"), at="02-10 10:01")
    story = story.then(reversal("pay-1", 6000, "03-10 10:00"), at="03-10 10:00").until("03-10 10:00")
    (told,) = story.events(RepaymentReversed)
    assert told.order_ids == ("o-2", "o-1")
    assert [(one.order_id, one.principal, one.fee) for one in story.events(PlanReopened)] == [
        ("o-2", 3334, 50),
        ("o-1", 2616, 0),
    ]
    assert told.outstanding_principal == story.row(Book, BUYER).outstanding_principal == 20000 - 6668 + 5950


def test_b_c_7_what_was_overpaid_is_undone_first_as_principal_of_the_order() -> None:
    """5000 were refunded while 12000 were in flight: 5000 overpaid; the bank takes 6000 back."""
    story = after_accepting(12000).until("03-19 14:00").then(approved(5000, "rf-1"), at="03-19 15:00")
    story = story.then(report(FIRST, "SUCCEEDED", 12000, "03-19 16:00"), at="03-19 16:00")
    before = len(story.posted)
    story = charged_back(story, 6000)
    assert [(one.principal, one.fee) for one in story.events(PlanReopened)] == [(6000, 0)]
    assert sums(story.posted[before:]) == {"1100": 6000, "1000": -6000}


def test_b_c_7_a_repayment_that_was_all_overpaid_is_owed_by_its_target() -> None:
    story = after_accepting(12000).until("03-19 14:00").then(pay_outside(12000, "03-19 14:30"), at="03-19 15:00")
    story = story.then(report(FIRST, "SUCCEEDED", 12000, "03-19 16:00"), at="03-19 16:00")
    story = charged_back(story, 12000)
    assert [(one.order_id, one.principal) for one in story.events(PlanReopened)] == [("o-1", 12000)]


def test_b_c_7_a_late_fee_that_was_paid_comes_back_as_a_fee() -> None:
    story = after_accepting(12000, enabled=False).then(notice("03-16 09:01"), at="03-16 09:01")
    story = story.then(repay(amount=12600), at="03-26 10:00")
    story = story.then(report("pay-1", "SUCCEEDED", 12600, "03-26 10:01"), at="03-26 10:01")
    story = story.then(reversal("pay-1", 12600, "05-10 10:00"), at="05-10 10:00").until("05-10 10:00")
    assert [(one.principal, one.fee) for one in story.events(PlanReopened)] == [(12000, 600)]


def test_b_c_7_principal_that_was_since_refunded_in_cash_is_owed_again() -> None:
    """I-4: the buyer got 4000 back and the bank takes all 12000: they are owed, and no refund is cash any more."""
    story = paid().then(approved(4000), at="03-25 10:00")
    story = charged_back(story, 12000)
    assert story.row(Plan, "o-1").outstanding == 12000
    story = story.then(approved(8000, "case-1:r2"), at="05-11 10:00")
    assert [(leg.kind, leg.amount) for leg in story.events(RefundAllocated)[-1].legs] == [("DEBT", 8000)]
    assert story.row(Plan, "o-1").outstanding == 4000


@pytest.mark.parametrize(("digest", "code"), [("same", "ALREADY_DONE"), ("other", "ALREADY_EXISTS")])
def test_h_3_a_reversal_whose_id_is_taken(digest: str, code: str) -> None:
    command = reversal(FIRST, 5000, "05-10 10:00")
    story = paid().then(command, at="05-10 10:00", cause=Cause("message-3", "same")).until("05-10 10:00")
    assert story.then(command, at="05-10 11:00", cause=Cause("message-4", digest)).code == code


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (reversal(FIRST, 12001), "AMOUNT_EXCEEDS_REPAYMENT"),
        (reversal(FIRST, 0), "AMOUNT_EXCEEDS_REPAYMENT"),
        (reversal("a:b:o-1:1:9", 1), "UNKNOWN_REPAYMENT"),
        (reversal(FIRST, 1, currency="EUR"), "CURRENCY_MISMATCH"),
        (reversal(FIRST, 1, "12-01 10:00"), "TIME_IN_FUTURE"),
    ],
)
def test_a_reversal_that_is_refused(command: object, code: str) -> None:
    story = paid().then(command, at="05-10 10:00")
    assert (story.code, story.events(RepaymentReversed)) == (code, [])


def test_what_is_not_paid_cannot_be_reversed() -> None:
    story = after_accepting(12000).until("03-19 14:00").then(reversal(FIRST, 1, "03-19 14:00"), at="03-19 15:00")
    assert story.code == "ILLEGAL_TRANSITION"


# -- paid outside ------------------------------------------------------------------------------------------------------


def test_abu_8_what_was_paid_outside_is_owed_no_longer_and_is_no_cash() -> None:
    """B-C6, I-4: the merchant has the money; a later refund of it is the merchant's to pay."""
    story = after_accepting(12000).then(pay_outside(12000, "03-15 10:00"), at="03-16 10:00")
    (told,) = story.events(RepaymentAllocated)
    assert (told.mode, told.paid_on, told.repayment_id) == ("EXTERNAL", date(2027, 3, 15), "x:till-1")
    assert story.row(Repayment, "x:till-1").provider_ref == "receipt-1"
    refunded = story.then(approved(5000), at="03-25 10:00")
    assert [(leg.kind, leg.amount) for leg in refunded.events(RefundAllocated)[0].legs] == [("EXTERNAL", 5000)]
    assert sums(refunded.posted[len(story.posted) :]) == {}


def test_abu_8_a_part_paid_outside_leaves_the_rest_to_be_collected() -> None:
    story = after_accepting(12000).then(pay_outside(2000, "03-15 10:00"), at="03-16 10:00").until("03-19 14:00")
    assert story.told[-1].amount == 10000


def test_a_late_fee_that_was_paid_outside_goes_back_outside() -> None:
    story = after_accepting(12000, enabled=False).then(notice("03-16 09:01"), at="03-16 09:01")
    story = story.then(pay_outside(12600, "03-26 10:00"), at="03-26 10:00").then(waive(), at="04-10 10:00")
    (overpaid,) = story.events(OverpaymentDetected)
    assert (overpaid.amount, overpaid.instrument.kind) == (600, "EXTERNAL")


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (pay_outside(12001), "AMOUNT_EXCEEDS_OUTSTANDING"),
        (pay_outside(0), "AMOUNT_EXCEEDS_OUTSTANDING"),
        (pay_outside(1, bill_id="b:o-9"), "UNKNOWN_BILL"),
        (pay_outside(1, currency="EUR"), "CURRENCY_MISMATCH"),
        (pay_outside(1, "03-19 12:02"), "TIME_IN_FUTURE"),
        (pay_outside(1, "02-17 11:59"), "TOO_OLD"),
    ],
)
def test_a_payment_outside_that_is_refused(command: object, code: str) -> None:
    story = after_accepting(12000).then(command, at="03-19 12:00")
    assert (story.code, story.events(RepaymentAllocated)) == (code, [])


def test_b_c_6_a_statement_is_paid_through_houfu_only() -> None:
    story = Story.of_a_buyer().then(monthly(), at="01-12 10:00")
    assert story.then(pay_outside(1, "02-10 10:00", bill_id="m:b-7:2027-02-01"), at="02-10 10:00").code == (
        "EXTERNAL_NOT_ALLOWED"
    )


def test_section_7_two_equal_external_refs() -> None:
    story = after_accepting(12000).then(pay_outside(2000, "03-15 10:00"), at="03-16 10:00")
    again = story.then(pay_outside(2000, "03-15 10:00"), at="03-16 11:00")
    assert again.code == "ALREADY_DONE"
    assert again.row(Plan, "o-1").outstanding == 10000


def test_what_was_paid_outside_no_provider_can_take_back() -> None:
    story = after_accepting(12000).then(pay_outside(2000, "03-15 10:00"), at="03-16 10:00")
    assert story.then(reversal("x:till-1", 2000, "03-17 10:00"), at="03-17 10:00").code == "EXTERNAL_NOT_ALLOWED"


def test_a_paid_bill_takes_nothing_from_outside() -> None:
    story = paid().then(pay_outside(1, "03-20 10:00"), at="03-20 10:00")
    assert (story.code, story.row(Bill, "b:o-1").status) == ("ILLEGAL_TRANSITION", BillStatus.PAID)
    assert len(story.events(BillPaid)) == 1
