"""Late fees beyond the worked examples: the tiers, the gate by line, and what taking one back does (B-F)."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date

import pytest
from billing_stories import (
    BUYER,
    CARD,
    TERMS,
    Story,
    after_accepting,
    approved,
    attempt,
    bill,
    closed,
    line,
    monthly,
    moved,
    notice,
    opened,
    repay,
    report,
    ruled_on_fee,
    waive,
)
from hypothesis import given
from hypothesis import strategies as st

from services.billing.rules import dues, late_fees
from services.billing.state import Bill, BillStatus, Book, Plan
from shared.contracts.billing import (
    BillPaid,
    CollectionRequested,
    DebtChanged,
    FeeReversed,
    LateFeeAssessed,
    LateFeeWithheld,
    OverpaymentDetected,
    RepaymentAllocated,
)
from shared.contracts.policy import LateFeeTerms, Terms

DEFAULT = LateFeeTerms()
FIRST = attempt("o-1", 0)


def fined(until: str = "03-23 00:00", amount: int = 12000, **autopay: object) -> Story:
    """A bill due on 03-19 that nobody pays, the buyer reminded: a fee of 600 on 03-23, another on 03-30."""
    story = after_accepting(amount, **{"enabled": False, **autopay}).then(notice("03-16 09:01"), at="03-16 09:01")
    return story.until(until)


def amount_due(story: Story, bill_id: str = "b:o-1") -> int:
    plans = {row.order_id: row for row in story.given.rows if isinstance(row, Plan)}
    return dues.amount_due(story.row(Bill, bill_id), plans)


# -- how much and when -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("base", "fee"),
    [(1, 0), (2499, 0), (2500, 200), (5999, 200), (6000, 400), (9999, 400), (10000, 600), (19999, 600), (20000, 800)],
)
def test_b_f_1_the_tier_of_the_past_due_principal_sets_the_fee(base: int, fee: int) -> None:
    assert late_fees.rated(DEFAULT, base, 4) == fee


def test_b_f_2_fee_days_follow_the_grace_of_the_terms() -> None:
    assert late_fees.fee_days(DEFAULT) == (4, 11)
    assert late_fees.fee_days(LateFeeTerms(grace_days=5, second_after_days=10)) == (6, 16)
    assert late_fees.fee_days(LateFeeTerms(scheme="DAILY_BPS")) == (4, 11, 31, 61, 91, 121)


@given(st.integers(0, 200_000), st.integers(0, 200_000), st.sampled_from((4, 11)))
def test_b_f_1_more_that_is_late_never_costs_less(base: int, other: int, day: int) -> None:
    for scheme in ("FLAT_TIER", "DAILY_BPS"):
        terms = LateFeeTerms(scheme=scheme)
        low, high = sorted((base, other))
        assert late_fees.rated(terms, low, day) <= late_fees.rated(terms, high, day)


@given(st.integers(0, 100_000), st.integers(0, 100_000))
def test_b_f_3_the_cap_is_a_share_of_what_is_billed_and_not_refunded_and_never_above_its_amount(
    billed: int, refunded: int
) -> None:
    one = replace(bill(line("o-1", date(2027, 3, 3))), billed=billed, refunded=min(billed, refunded))
    assert late_fees.cap(one) == min((billed - one.refunded) * 2500 // 10000, 2400)


def test_b_f_1_a_small_bill_costs_nothing_and_nothing_is_said_of_it() -> None:
    story = fined("04-15 00:00", amount=2000)
    assert (story.events(LateFeeAssessed), story.events(LateFeeWithheld)) == ([], [])


# -- the gate ----------------------------------------------------------------------------------------------------------


def on_a_statement(terms: Terms = TERMS) -> Story:
    """Two orders of 12000 on one statement, due on 03-03, of which the buyer was reminded."""
    story = Story.of_a_buyer(enabled=False)
    for order_id in ("o-1", "o-2"):
        story = story.then(monthly(order_id, 12000, 1, terms=terms), at="01-12 10:00")
    return story.then(notice("02-28 09:01", "m:b-7:2027-02-01"), at="02-28 09:01")


def test_b_f_5_what_was_reminded_of_counts() -> None:
    story = on_a_statement().until("03-14 00:00")
    assert [(one.base, one.amount) for one in story.events(LateFeeAssessed)] == [(24000, 800), (24000, 800)]


def test_b_f_5_a_line_without_proof_does_not_count() -> None:
    """Order o-2 is paused from 03-01 to 03-20 and due on 03-23 then, under a number of which nobody reminds."""
    terms = TERMS.model_copy(update={"late_fee": LateFeeTerms(second_after_days=20)})
    story = on_a_statement(terms).then(opened(share=12000, order_id="o-2"), at="03-01 10:00")
    story = story.then(closed(order_id="o-2"), at="03-20 10:00").until("03-27 00:00")
    assert [(one.dpd, one.base) for one in story.events(LateFeeAssessed)] == [(4, 12000), (24, 12000)]


# -- taken back --------------------------------------------------------------------------------------------------------


def test_a_waived_fee_that_nobody_paid_vanishes() -> None:
    """WaiveFee, section 6: the unpaid part."""
    before = fined()
    story = before.then(waive(), at="03-23 10:00")
    assert [(one.amount, one.cause, one.reapplied) for one in story.events(FeeReversed)] == [(600, "WAIVER", ())]
    assert amount_due(story) == 12000
    assert moved(story.posted[len(before.posted) :]) == [("4100", 600), ("1120", -600)]


def test_b_f_7_what_was_paid_of_a_fee_pays_the_bill() -> None:
    """600 of 1000 paid the fee; once it is waived they pay principal, and can be refunded along that payment."""
    before = fined().then(repay(amount=1000), at="03-26 10:00")
    before = before.then(report("pay-1", "SUCCEEDED", 1000, "03-26 10:01"), at="03-26 10:01")
    assert [part.component for part in before.events(RepaymentAllocated)[0].allocations] == ["LATE_FEE", "PRINCIPAL"]
    story = before.then(waive(), at="03-27 10:00")
    (told,) = story.events(FeeReversed)
    assert [(part.component, part.amount) for part in told.reapplied] == [("PRINCIPAL", 600)]
    assert (told.outstanding_principal, amount_due(story)) == (11000, 11000)
    assert [(one.principal, one.refundable) for one in story.row(Plan, "o-1").payments] == [(1000, 1000)]
    assert moved(story.posted[len(before.posted) :]) == [
        ("4100", 600),
        ("2200", -600),
        ("2200", 600),
        ("1100", -600),
    ]


def paid_late() -> Story:
    """A bill paid with its fee on 03-26."""
    story = fined().then(repay(amount=12600), at="03-26 10:00")
    return story.then(report("pay-1", "SUCCEEDED", 12600, "03-26 10:01"), at="03-26 10:01")


def test_b_f_7_what_was_paid_of_a_fee_on_a_closed_bill_goes_back() -> None:
    before = paid_late()
    story = before.then(waive(), at="04-10 10:00")
    assert story.names[-2:] == ["FeeReversed", "OverpaymentDetected"]
    (overpaid,) = story.events(OverpaymentDetected)
    assert (overpaid.amount, overpaid.instrument, overpaid.repayment_id) == (600, CARD, "pay-1")
    assert story.row(Bill, "b:o-1").status is BillStatus.PAID
    assert moved(story.posted[len(before.posted) :]) == [("4100", 600), ("2200", -600)]


def test_overpayments_of_one_repayment_never_share_an_id() -> None:
    story = after_accepting(12000, enabled=False).then(notice("03-16 09:01"), at="03-16 09:01")
    story = story.then(repay(amount=12600), at="03-26 10:00").then(approved(1, "rf-1"), at="03-26 10:01")
    story = story.then(report("pay-1", "SUCCEEDED", 12600, "03-26 10:02"), at="03-26 10:02")
    story = story.then(waive(), at="04-10 10:00")
    assert [one.overpayment_id for one in story.events(OverpaymentDetected)] == ["pay-1:o1", "pay-1:o2"]


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (waive("b:o-1:f7"), "UNKNOWN_FEE"),
        (waive(bill_id="b:o-9"), "UNKNOWN_BILL"),
        (waive(by="MERCHANT"), "PARTY_NOT_ALLOWED"),
    ],
)
def test_a_fee_that_cannot_be_waived(command: object, code: str) -> None:
    story = fined().then(command, at="03-23 10:00")
    assert (story.code, story.events(FeeReversed)) == (code, [])


def test_b_f_7_a_fee_that_is_gone_is_already_done() -> None:
    story = fined().then(waive(), at="03-23 10:00").then(waive(), at="03-23 10:01")
    assert story.code == "ALREADY_DONE"


@pytest.mark.parametrize(
    ("ruling", "taken_back"),
    [
        (ruled_on_fee("BUYER"), 600),
        (ruled_on_fee("SPLIT", currency="CNY", amount=250), 250),
        (ruled_on_fee("SELLER"), 0),
        (ruled_on_fee("WITHDRAWN"), 0),
    ],
)
@pytest.mark.parametrize("before", [fined, paid_late])
def test_an_appeal_against_a_late_fee_takes_back_what_it_won(
    before: Callable[[], Story], ruling: object, taken_back: int
) -> None:
    """FeeReversed APPEAL, on an open bill and on a closed one; told once more it changes nothing (law 4)."""
    story = before().then(ruling, at="04-10 10:00")
    assert sum(one.amount for one in story.events(FeeReversed)) == taken_back
    assert all(one.cause == "APPEAL" for one in story.events(FeeReversed))
    assert story.then(ruling, at="04-10 11:00").events(FeeReversed) == story.events(FeeReversed)


def test_b_d_3_a_late_truth_takes_back_the_fees_assessed_since() -> None:
    """B-D3, B-X2, B-X3: in doubt since the due date; after seven days the ladder went on and charged 600."""
    story = fined("03-27 00:00", enabled=True)
    assert [one.amount for one in story.events(LateFeeAssessed)] == [600]
    story = story.then(report(FIRST, "SUCCEEDED", 12000, "03-19 14:00"), at="03-28 10:00")
    assert [(one.amount, one.cause) for one in story.events(FeeReversed)] == [(600, "LATE_SUCCESS")]
    assert story.names[-5:] == ["RepaymentAllocated", "FeeReversed", "BillPaid", "PlanSettled", "DelinquencyChanged"]
    assert story.events(BillPaid)[0].max_dpd == 0
    versions = [event.book_version for event in story.told if isinstance(event, DebtChanged)]
    assert versions == [1, 2, 2]  # the plan, then repayment and fee of one message


def test_b_d_3_the_late_truth_of_a_punctual_attempt_takes_back_a_fee_that_was_paid_meanwhile() -> None:
    """The second attempt paid 2506 of 2706; the first had succeeded on the due date: all of it goes back, no fee."""
    story = after_accepting(2506).then(notice("03-16 09:01"), at="03-16 09:01")
    story = story.then(report(FIRST, "DECLINED", 2506, "03-19 14:01"), at="03-19 14:01")
    story = story.then(report(attempt("o-1", 1), "DECLINED", 2506, "03-20 14:01"), at="03-20 14:01")
    story = story.then(report(attempt("o-1", 3), "DECLINED", 2506, "03-22 14:01"), at="03-22 14:01")
    story = story.then(report(attempt("o-1", 1), "SUCCEEDED", 2506, "03-20 14:00"), at="03-23 01:00")
    assert amount_due(story) == 200
    story = story.then(report(FIRST, "SUCCEEDED", 2506, "03-19 14:00"), at="03-23 02:00")
    assert [(one.amount, one.cause) for one in story.events(FeeReversed)] == [(200, "LATE_SUCCESS")]
    assert [one.amount for one in story.events(OverpaymentDetected)] == [2506]
    assert story.events(BillPaid)[0].max_dpd == 0


def test_b_d_3_a_late_truth_about_a_part_leaves_the_fees_of_what_was_late() -> None:
    story = fined("03-12 12:00").then(repay(amount=100), at="03-19 10:00").until("03-27 00:00")
    story = story.then(report("pay-1", "SUCCEEDED", 100, "03-19 10:01"), at="03-28 10:00")
    assert story.events(LateFeeAssessed) != []
    assert story.events(FeeReversed) == []


def test_b_f_6_less_than_everything_else_takes_no_fee_back() -> None:
    story = fined().then(repay(amount=11999), at="03-24 10:00")
    assert story.events(CollectionRequested)[-1].amount == 11999
    story = story.then(report("pay-1", "SUCCEEDED", 11999, "03-24 10:01"), at="03-24 10:01")
    assert (story.events(FeeReversed), amount_due(story)) == ([], 601)


# -- a bill that only late fees are left on ----------------------------------------------------------------------------


STATEMENT = "m:b-7:2027-02-01"


def principal_paid_late() -> Story:
    """The principal of a statement was paid by its order after the late fee fell; the fee is left."""
    story = Story.of_a_buyer(enabled=False).then(monthly("o-1", 12000, 1), at="01-12 10:00")
    story = story.then(notice("02-28 09:01", STATEMENT), at="02-28 09:01").until("03-07 00:00")
    story = story.then(repay("pay-1", 12000, order_id="o-1"), at="03-08 10:00")
    return story.then(report("pay-1", "SUCCEEDED", 12000, "03-08 10:01"), at="03-08 10:01")


def test_late_fees_alone_neither_age_a_bill_nor_are_collected() -> None:
    """Section 2, B-C2: the bill stays open, cured, and still."""
    story = principal_paid_late()
    assert story.names[-3:] == ["RepaymentAllocated", "PlanSettled", "DelinquencyChanged"]
    assert (amount_due(story, STATEMENT), story.row(Book, BUYER).outstanding_principal) == (600, 0)
    assert story.row(Bill, STATEMENT).status is BillStatus.OVERDUE
    assert story.until("12-01 00:00").told == story.told


def test_late_fees_can_be_paid_when_nothing_else_is_left() -> None:
    story = principal_paid_late().then(repay("pay-2", 600, bill_id=STATEMENT), at="03-09 10:00")
    story = story.then(report("pay-2", "SUCCEEDED", 600, "03-09 10:01"), at="03-09 10:01")
    assert story.names[-2:] == ["RepaymentAllocated", "BillPaid"]
    assert story.events(BillPaid)[0].paid_on == date(2027, 3, 9)
