"""Where rules meet: pauses with fees, extensions with pauses, write-offs with refunds, reversals with late fees."""

from datetime import date

import pytest
from billing_stories import (
    BUYER,
    MERCHANT,
    TERMS,
    Story,
    accepted,
    after_accepting,
    appealed,
    approved,
    charge_off,
    closed,
    decide,
    extend,
    local,
    monthly,
    notice,
    opened,
    pay_outside,
    repay,
    report,
    reversal,
    ruled,
    sums,
    waive,
)

from services.billing.deadlines import Collect, DueSoon, Step
from services.billing.rules.late_fees import cap, standing
from services.billing.rules.schedule import CurrencyDiffers
from services.billing.state import Bill, Book, Plan
from shared.contracts.billing import (
    BillChargedOff,
    BillDueSoon,
    BillIssued,
    BillPaid,
    BillResumed,
    BillVoided,
    CollectionFailed,
    CollectionRequested,
    DelinquencyChanged,
    FeeReversed,
    LateFeeAssessed,
    OverpaymentDetected,
    RepaymentAllocated,
    RepaymentReversed,
)
from shared.contracts.policy import ExtensionTerms

STATEMENT = "m:b-7:2027-03-01"
FEES = TERMS.model_copy(update={"instalment_fee_bps": {"3": 300, "6": 0, "12": 0}})
PLATFORM_DECIDES = TERMS.model_copy(update={"extension": ExtensionTerms(approver="PLATFORM")})


def on_a_statement(**autopay: object) -> Story:
    """Orders o-1 of 3333 and o-2 of 5000 on the statement of 03-01, due on 03-31."""
    story = Story.of_a_buyer(**autopay)
    story = story.then(monthly("o-1", 3333, 1, at="02-10 10:00"), at="02-10 10:00")
    return story.then(monthly("o-2", 5000, 1, at="02-11 10:00"), at="02-11 10:00").until("03-01 00:00")


def fined_once() -> Story:
    """12000, one late fee of 600, on 03-23."""
    story = after_accepting(12000, enabled=False).then(notice("03-16 09:01"), at="03-16 09:01")
    return story.until("03-23 00:00")


def stages(story: Story) -> list[str]:
    return [event.stage for event in story.events(DelinquencyChanged)]


def test_b_p_2_a_statement_lists_what_is_left_of_a_month_with_more_than_a_hundred_orders() -> None:
    """101 orders of 100 on one statement, all but the last one paid early."""
    story = Story.of_a_buyer(enabled=False)
    for number in range(101):
        story = story.then(monthly(f"o-{number}", 100, 1, at="02-02 10:00"), at="02-02 10:00")
        if number < 100:
            story = story.then(repay(f"p-{number}", 100, order_id=f"o-{number}"), at="02-02 10:00")
            story = story.then(report(f"p-{number}", "SUCCEEDED", 100, "02-02 10:00"), at="02-02 10:00")
    (told,) = story.until("03-01 00:00").events(BillIssued)
    assert (told.amount_due, [line.order_id for line in told.lines]) == (100, ["o-100"])


# -- pauses ------------------------------------------------------------------------------------------------------------


def test_the_fee_of_a_line_that_is_paused_as_a_whole_is_paid_last() -> None:
    """B-A1: 5000 collected for o-2 pay o-2, not the fee of o-1."""
    story = Story.of_a_buyer().then(monthly("o-1", 10000, 3, terms=FEES), at="01-12 10:00")
    story = story.then(monthly("o-2", 5000, 1, at="01-13 10:00"), at="01-13 10:00").until("02-01 00:00")
    story = story.then(opened(share=10000), at="02-20 10:00").until("03-03 14:00")
    asked = story.events(CollectionRequested)[-1]
    assert asked.amount == 5000
    story = story.then(report(asked.repayment_id, "SUCCEEDED", 5000, "03-03 14:01"), at="03-03 14:01")
    (told,) = story.events(RepaymentAllocated)
    assert [(part.order_id, part.component, part.amount) for part in told.allocations] == [("o-2", "PRINCIPAL", 5000)]
    assert stages(story.until("03-04 00:00")) == []


def test_a_fee_that_a_refund_leaves_of_a_paused_line_may_be_paid_three_days_more() -> None:
    """B-H3: its principal is gone, what runs again is the fee; nobody had been reminded of it."""
    story = Story.of_a_buyer(enabled=False).then(monthly("o-1", 9000, 3, terms=FEES), at="01-12 10:00")
    story = story.then(opened(share=9000), at="02-20 11:00")
    story = story.then(approved(9000, value_on=date(2027, 2, 21)), at="03-12 10:00")
    bill = story.row(Bill, "m:b-7:2027-02-01")
    assert (bill.due_on, bill.due_version) == (date(2027, 3, 15), 2)
    assert stages(story) == []


def test_deadlines_of_a_later_date_go_when_an_earlier_line_runs_again() -> None:
    """2.1: o-2 was resumed for 04-08, then o-1 goes on from 04-03; no reminder speaks of 04-03 on 04-07."""
    story = on_a_statement(enabled=False).then(opened("case-2", share=5000, order_id="o-2"), at="03-20 10:00")
    story = story.then(opened("case-1", share=3333, order_id="o-1"), at="04-02 10:00")
    story = story.then(closed("case-2", order_id="o-2"), at="04-05 08:00")
    story = story.then(closed("case-1", order_id="o-1"), at="04-06 10:00")
    assert story.row(Bill, STATEMENT).due_on == date(2027, 4, 4)
    assert (story.armed(DueSoon), story.armed(Collect)) == ([], [local("04-07 14:00")])
    later = story.until("04-09 23:00").events(BillDueSoon)[len(story.events(BillDueSoon)) :]
    assert later == []


def test_a_line_that_runs_again_repeats_no_step_though_its_bill_had_another_date_meanwhile() -> None:
    """B-H3, B-D1, B-F2: o-1 is 4 days late again and fined already; o-2 was due on 04-05 meanwhile, and is paid."""
    story = Story.of_a_buyer(enabled=False).then(monthly("o-1", 12000, 1, at="02-01 10:00"), at="02-01 10:00")
    story = story.then(monthly("o-2", 5000, 1, at="02-02 10:00"), at="02-02 10:00")
    story = story.then(opened("case-1", share=12000), at="02-10 10:00").until("03-03 10:00")
    story = story.then(opened("case-2", share=5000, order_id="o-2"), at="03-20 10:00")
    story = story.then(notice("03-28 09:01", STATEMENT), at="03-28 09:01")
    story = story.then(closed("case-2", order_id="o-2"), at="04-02 08:00").until("04-04 00:00")
    story = story.then(opened("case-3", share=12000), at="04-04 10:00")
    assert (story.row(Bill, STATEMENT).due_version, story.row(Bill, STATEMENT).last_step) == (2, 0)
    story = story.then(repay("p", 5000, order_id="o-2"), at="04-05 10:00")
    story = story.then(report("p", "SUCCEEDED", 5000, "04-05 10:01"), at="04-05 10:01").until("04-24 00:00")
    bill = story.row(Bill, STATEMENT)
    assert (bill.due_on, bill.due_version, bill.last_step) == (date(2027, 4, 20), 1, 4)
    story = story.until("05-01 00:00")
    assert [(one.dpd, one.amount) for one in story.events(LateFeeAssessed)] == [(4, 600), (11, 600)]
    assert stages(story) == ["REMINDER", "RESTRICTED", "SUSPENDED"]


def test_b_d_2_a_refund_of_the_paused_line_that_was_late_cures() -> None:
    story = on_a_statement(enabled=False).then(opened("case-2", share=5000, order_id="o-2"), at="03-20 10:00")
    story = story.until("04-04 00:00").then(closed("case-2", order_id="o-2"), at="04-05 08:00")
    story = story.then(opened("case-1", share=3333, order_id="o-1"), at="04-05 10:00")
    story = story.then(approved(3333, order_id="o-1", value_on=date(2027, 4, 5)), at="04-06 10:00")
    assert stages(story) == ["REMINDER", "RESTRICTED", "NONE"]


def test_b_d_2_a_pause_freezes_the_stage_while_another_line_begins_to_age() -> None:
    story = on_a_statement(enabled=False).then(opened("case-2", share=5000, order_id="o-2"), at="03-20 10:00")
    story = story.until("04-04 00:00").then(closed("case-2", order_id="o-2"), at="04-05 08:00")
    story = story.then(opened("case-1", share=3333, order_id="o-1"), at="04-05 10:00").until("04-09 00:00")
    assert stages(story) == ["REMINDER", "RESTRICTED", "RESTRICTED"]


def test_b_h_1_a_refund_of_an_appeal_about_a_case_lowers_the_pause_of_the_appeal() -> None:
    story = after_accepting(28000, enabled=False).then(appealed(10000, case_id="case-1"), at="03-13 10:00")
    refund = approved(10000, "ap-1:r1", case_id="case-1", appeal_id="ap-1", cause="APPEAL")
    story = story.then(refund, at="03-14 10:00").then(ruled("BUYER", case_id="case-1"), at="03-14 10:00")
    assert story.row(Plan, "o-1").instalments[0].paused == 0
    assert story.events(BillResumed) == []


def test_b_x_1_an_appeal_that_comes_before_its_plan_waits_for_it() -> None:
    """Alone there is nothing to work on; one that is about no order is not waited for."""
    story = Story.of_a_buyer()
    assert story.then(appealed(5000), at="03-12 09:00").code == "UNKNOWN_ORDER"
    about_the_score = appealed(None, subject="SCORE", order_id=None, merchant_id=None, currency=None)
    assert story.then(about_the_score, at="03-12 09:00").code is None


def test_a_ruling_on_a_late_fee_and_its_order_makes_the_order_payable_again() -> None:
    """B-F7, B-H2, B-H3: paused 4 days past due, it goes on from there; the fee is gone."""
    about = {"appeal_id": "ap-9", "subject": "LATE_FEE", "bill_id": "b:o-1", "fee_id": "b:o-1:f1"}
    story = fined_once().then(appealed(12000, **about), at="03-23 10:00")
    story = story.then(ruled("BUYER", **about), at="03-25 10:00")
    assert story.names[-2:] == ["BillResumed", "FeeReversed"]
    assert [one.due_on for one in story.row(Bill, "b:o-1").lines] == [date(2027, 3, 21)]
    assert (story.armed(Collect), story.armed(Step)) == ([local("03-27 14:00")], [local("03-31 00:00")])
    assert stages(story.until("03-31 00:00"))[-1] == "SUSPENDED"


# -- extensions --------------------------------------------------------------------------------------------------------


def test_b_e_lines_that_are_due_on_different_days_keep_different_numbers() -> None:
    story = on_a_statement().then(opened(share=5000, order_id="o-2"), at="03-20 10:00")
    story = story.then(closed(order_id="o-2"), at="03-30 08:00").then(extend(7, bill_id=STATEMENT), at="03-30 10:00")
    assert [(one.order_id, one.due_on, one.due_version) for one in story.row(Bill, STATEMENT).lines] == [
        ("o-1", date(2027, 4, 7), 3),
        ("o-2", date(2027, 4, 9), 4),
    ]
    story = story.until("04-07 14:00").then(
        report(f"a:{STATEMENT}:3:0", "SUCCEEDED", 3333, "04-07 15:00"), at="04-07 15:00"
    )
    assert story.until("04-09 14:00").events(CollectionRequested)[-1].repayment_id == f"a:{STATEMENT}:4:0"


def test_b_d_2_an_extension_cures_what_was_late_before_it_was_paused_too() -> None:
    """B-E, B-H3: both lines are given more time; o-2, paused two days past due, is so no more."""
    story = on_a_statement(enabled=False).until("04-01 00:00")
    story = story.then(opened("case-2", share=5000, order_id="o-2"), at="04-02 10:00")
    story = story.then(extend(7, bill_id=STATEMENT), at="04-03 10:00")
    assert story.names[-2:] == ["ExtensionDecided", "DelinquencyChanged"]
    assert (stages(story), story.row(Book, BUYER).stage) == (["REMINDER", "NONE"], "NONE")


def test_b_d_2_an_extension_cures_nothing_that_stays_late_while_it_is_paused() -> None:
    """B-E: twelve days late when it was paused, o-2 will be five days late when it runs again."""
    patient = TERMS.model_copy(update={"extension": ExtensionTerms(max_dpd=12)})
    story = Story.of_a_buyer(enabled=False)
    story = story.then(monthly("o-1", 3333, 1, at="02-10 10:00", terms=patient), at="02-10 10:00")
    story = story.then(monthly("o-2", 5000, 1, at="02-11 10:00"), at="02-11 10:00").until("04-10 00:00")
    story = story.then(opened("case-2", share=5000, order_id="o-2"), at="04-12 10:00")
    story = story.then(extend(7, bill_id=STATEMENT), at="04-12 11:00")
    assert (stages(story)[-1], story.row(Bill, STATEMENT).stage) == ("SUSPENDED", "SUSPENDED")


def only_late_fees_left() -> Story:
    """The extension of a statement waits; meanwhile its order is paid and a late fee is left."""
    story = Story.of_a_buyer(enabled=False)
    story = story.then(monthly("o-1", 12000, 1, at="02-10 10:00", terms=PLATFORM_DECIDES), at="02-10 10:00")
    story = story.then(notice("03-28 09:01", STATEMENT), at="03-28 09:01")
    story = story.then(extend(7, bill_id=STATEMENT), at="04-03 10:00").until("04-04 00:00")
    story = story.then(repay("p", 12000, order_id="o-1"), at="04-04 10:00")
    return story.then(report("p", "SUCCEEDED", 12000, "04-04 10:01"), at="04-04 10:01")


def paused_meanwhile() -> Story:
    """The extension of a statement waits; meanwhile all of it is paused."""
    story = Story.of_a_buyer(enabled=False)
    story = story.then(monthly("o-1", 12000, 1, at="02-10 10:00", terms=PLATFORM_DECIDES), at="02-10 10:00")
    story = story.then(extend(7, bill_id=STATEMENT), at="04-03 10:00")
    return story.then(opened(share=12000), at="04-03 11:00")


@pytest.mark.parametrize("before", [only_late_fees_left, paused_meanwhile])
def test_b_e_a_date_by_which_nothing_is_due_cannot_be_moved(before: object) -> None:
    story = before().then(decide(bill_id=STATEMENT, by="PLATFORM"), at="04-04 11:00")
    assert story.code == "ILLEGAL_TRANSITION"


# -- write-offs --------------------------------------------------------------------------------------------------------


def fined_twice() -> Story:
    """12000, two late fees of 600, on 03-30."""
    story = after_accepting(12000, enabled=False).then(notice("03-16 09:01"), at="03-16 09:01")
    return story.until("03-30 00:00")


def test_i_6_late_fees_stay_within_the_cap_when_a_refund_takes_what_was_written_off() -> None:
    """B-F7: the fees were paid; a refund of 10000 lowers the cap to 500, the rest goes back."""
    story = fined_twice().then(repay("p", 1200), at="03-31 01:00")
    story = story.then(report("p", "SUCCEEDED", 1200, "03-31 01:01"), at="03-31 01:01")
    story = story.then(charge_off(), at="04-02 10:00")
    story = story.then(approved(10000, value_on=date(2027, 3, 22)), at="04-03 10:00")
    bill = story.row(Bill, "b:o-1")
    assert standing(bill) <= cap(bill) == 500


def test_b_d_4_a_bill_of_which_only_fees_are_left_ends_with_its_write_off() -> None:
    story = Story.of_a_buyer(enabled=False).then(monthly("o-1", 10000, 3, terms=FEES), at="01-12 10:00")
    story = story.until("03-04 00:00").then(approved(10000, "r1", value_on=date(2027, 3, 4)), at="03-04 10:00")
    story = story.until("03-20 09:00")
    before = len(story.told)
    story = story.then(charge_off("m:b-7:2027-02-01"), at="03-20 10:00")
    told = [type(event).__name__ for event in story.told[before:]]
    assert told == ["BillChargedOff", "BillVoided", "DelinquencyChanged"]
    assert (stages(story)[-1], story.events(BillChargedOff)[0].fee) == ("NONE", 100)


def test_max_dpd_is_the_highest_step_taken_not_the_day_of_an_early_write_off() -> None:
    story = after_accepting(12000, enabled=False).until("03-23 00:00").then(charge_off(), at="03-26 10:00")
    assert (story.events(BillChargedOff)[0].dpd, story.row(Bill, "b:o-1").max_dpd) == (7, 4)


def test_b_c_3_a_decline_of_what_is_written_off_is_not_paused() -> None:
    story = after_accepting(12000, enabled=False).until("03-20 00:00").then(charge_off(), at="03-20 02:00")
    story = story.then(repay("p", 12000), at="03-20 03:00")
    story = story.then(report("p", "DECLINED", 12000, "03-20 04:00"), at="03-20 04:00")
    assert [one.stop_reason for one in story.events(CollectionFailed)] == ["EXHAUSTED"]


def half_asked_in_time() -> Story:
    """Half of 12000 is asked for a day before it is due; nothing is heard, a late fee falls on 03-23."""
    story = after_accepting(12000, enabled=False).then(notice("03-16 09:01"), at="03-16 09:01")
    return story.then(repay("p", 6000), at="03-18 10:00").until("03-23 00:00")


def paid_at_last(story: Story, asked_at: str) -> BillPaid:
    """What is told of the bill when the other half is paid."""
    story = story.then(repay("q", 6000), at=asked_at)
    return story.then(report("q", "SUCCEEDED", 6000, asked_at), at=asked_at).events(BillPaid)[-1]


def test_b_d_3_half_that_came_in_time_does_not_make_punctual_what_was_written_off() -> None:
    """Section 2: what is written off has no due part and ages no more; the last step taken was that of day 4."""
    story = half_asked_in_time().then(charge_off(), at="03-26 10:00")
    story = story.then(report("p", "SUCCEEDED", 6000, "03-27 10:00"), at="03-27 10:00")
    assert paid_at_last(story, "07-26 10:00").max_dpd == 4


@pytest.mark.parametrize(("share", "max_dpd"), [(12000, 6), (6000, 18)])
def test_b_d_3_half_that_came_in_time_does_not_make_punctual_what_was_late_when_it_was_paused(
    share: int, max_dpd: int
) -> None:
    """B-H3: five days late when it was paused; all of it goes on from there, half of it keeps its date."""
    story = half_asked_in_time().then(opened(share=share), at="03-24 10:00")
    story = story.then(report("p", "SUCCEEDED", 6000, "03-25 10:00"), at="03-25 10:00")
    assert story.events(FeeReversed) == []
    story = story.then(closed(), at="04-05 10:00")
    assert paid_at_last(story.then(waive(), at="04-05 11:00"), "04-06 10:00").max_dpd == max_dpd


def test_b_d_3_half_that_came_in_time_was_punctual_where_the_rest_was_paused_before_it_was_due() -> None:
    story = after_accepting(12000, enabled=False).then(notice("03-16 09:01"), at="03-16 09:01")
    story = story.then(opened(share=6000), at="03-17 10:00").then(repay("p", 6000), at="03-18 10:00")
    story = story.until("03-28 00:00")
    assert (story.row(Bill, "b:o-1").max_dpd, len(story.events(LateFeeAssessed))) == (4, 1)
    story = story.then(report("p", "SUCCEEDED", 6000, "03-28 10:00"), at="03-28 10:00")
    assert [one.cause for one in story.events(FeeReversed)] == ["LATE_SUCCESS"]
    assert story.row(Bill, "b:o-1").max_dpd == 0


def test_b_h_3_a_share_that_was_paused_before_it_was_due_is_not_late_because_the_rest_of_its_line_was() -> None:
    story = after_accepting(12000, enabled=False).then(notice("03-16 09:01"), at="03-16 09:01")
    story = story.then(opened(share=6000), at="03-17 10:00").until("03-24 00:00")
    (fee,) = story.events(LateFeeAssessed)
    story = story.then(repay("p", 6000 + fee.amount), at="03-25 10:00")
    story = story.then(report("p", "SUCCEEDED", 6000 + fee.amount, "03-25 10:01"), at="03-25 10:01")
    assert story.row(Bill, "b:o-1").stage == "NONE"
    story = story.then(closed(), at="04-05 10:00")
    bill = story.row(Bill, "b:o-1")
    assert (bill.due_on, bill.due_version, bill.stage) == (date(2027, 4, 8), 2, "NONE")
    assert story.until("04-08 10:00").events(LateFeeAssessed) == [fee]


# -- reversals ---------------------------------------------------------------------------------------------------------


def test_b_c_7_a_late_fee_whose_money_went_back_cannot_be_given_back_once_more() -> None:
    """B-F7, ABU-4: it is owed as a fee of the new bill; the card whose money is gone gets nothing."""
    story = fined_twice().then(repay("p", 13200), at="04-01 10:00")
    story = story.then(report("p", "SUCCEEDED", 13200, "04-01 10:01"), at="04-01 10:01")
    story = story.then(reversal("p", 13200, at="04-05 10:00"), at="04-05 10:00").until("04-05 10:00")
    refused = story.then(waive(), at="04-06 10:00")
    assert (refused.code, refused.events(OverpaymentDetected)) == ("ALREADY_DONE", [])
    assert story.events(BillIssued)[-1].amount_due == 13200


def test_b_c_7_a_reversal_names_only_the_bills_whose_payment_it_undid() -> None:
    story = Story.of_a_buyer(enabled=False).then(monthly("o-1", 9000, 3), at="01-12 10:00")
    story = story.then(repay("p", 9000, order_id="o-1"), at="01-13 10:00")
    story = story.then(report("p", "SUCCEEDED", 9000, "01-13 10:01"), at="01-13 10:01")
    story = story.then(reversal("p", 3000, at="01-14 10:00"), at="01-14 10:00").until("01-14 10:00")
    assert story.events(RepaymentReversed)[0].bill_ids == ("m:b-7:2027-04-01",)


def fee_owed_again(*then: int) -> Story:
    """12000 with a late fee of 600 that was paid and taken back by the bank; of it these were paid again."""
    story = fined_once().then(repay("p", 600), at="03-25 10:00")
    story = story.then(report("p", "SUCCEEDED", 600, "03-25 10:01"), at="03-25 10:01")
    story = story.then(reversal("p", 600, at="03-26 10:00"), at="03-26 10:00").until("03-26 10:00")
    for amount in then:
        story = story.then(repay("q", amount, bill_id="r:cb-1"), at="03-26 11:00")
        story = story.then(report("q", "SUCCEEDED", amount, "03-26 11:01"), at="03-26 11:01")
    return story


def test_i_6_a_refund_takes_a_late_fee_back_where_it_is_owed_again() -> None:
    """B-F7, B-C7, I-8: of an order that is refunded whole nothing is owed and nothing is dunned."""
    story = fee_owed_again()
    posted = len(story.posted)
    story = story.then(approved(12000, "rf-1", value_on=date(2027, 3, 20)), at="03-27 10:00")
    (told,) = story.events(FeeReversed)
    assert (told.fee_id, told.amount, told.cause) == ("b:o-1:f1", 600, "REFUND")
    assert [(part.bill_id, part.component, part.amount) for part in told.reapplied] == [("r:cb-1", "FEE", 600)]
    assert sums(story.posted[posted:]) == {"2000": 12000, "1100": -12000, "4100": 600, "1110": -600}
    assert [one.bill_id for one in story.events(BillVoided)] == ["r:cb-1"]
    assert story.row(Plan, "o-1").unpaid == story.row(Bill, "b:o-1").late_fees[0].reinstated == 0
    assert story.given.armed == []


def test_b_f_7_of_a_late_fee_that_is_owed_again_only_what_is_unpaid_vanishes() -> None:
    """ABU-4: 200 of the 600 were paid as a fee of the reversal's bill and stay so."""
    story = fee_owed_again(200).then(approved(12000, "rf-1", value_on=date(2027, 3, 20)), at="03-27 10:00")
    assert [one.amount for one in story.events(FeeReversed)] == [400]
    assert story.events(OverpaymentDetected) == []
    assert (story.row(Plan, "o-1").unpaid, story.row(Bill, "b:o-1").late_fees[0].reinstated) == (0, 200)


def test_b_f_7_a_part_of_a_late_fee_that_is_owed_again_goes_as_far_as_the_cap_is_lower() -> None:
    """I-6: 11000 of 12000 go back, the cap is 250; the fee was assessed before, and stays up to that."""
    story = fee_owed_again().then(approved(11000, "rf-1", value_on=date(2027, 3, 24)), at="03-27 10:00")
    assert [one.amount for one in story.events(FeeReversed)] == [350]
    assert story.row(Plan, "o-1").instalments[1].unpaid_fee == 250


def test_b_r_1_what_a_bank_took_back_is_the_oldest_debt_where_it_is_late_for_longer() -> None:
    """PAST_DUE_FIRST: seq 4, owed again since 03-13, goes before seq 2, which is five days late."""
    oldest_first = TERMS.model_copy(update={"refund_policy": "PAST_DUE_FIRST"})
    story = Story.of_a_buyer(enabled=False).then(monthly("o-1", 9000, 3, terms=oldest_first), at="01-12 10:00")
    story = story.then(repay("p", 3000, bill_id="m:b-7:2027-02-01"), at="02-10 10:00")
    story = story.then(report("p", "SUCCEEDED", 3000, "02-10 10:01"), at="02-10 10:01")
    story = story.then(reversal("p", 3000, at="03-10 10:00"), at="03-10 10:00")
    story = story.then(approved(3000, value_on=date(2027, 4, 5)), at="04-05 10:00")
    assert [one.outstanding for one in story.row(Plan, "o-1").instalments] == [0, 3000, 3000, 0]
    assert [one.bill_id for one in story.events(BillVoided)] == ["r:cb-1"]


def paused_past_the_date_of_the_next() -> Story:
    """6000 in three, past due first: seq 1, due on 03-03, is paused until 04-01; seq 2 is due on 03-31."""
    oldest_first = TERMS.model_copy(update={"refund_policy": "PAST_DUE_FIRST"})
    story = Story.of_a_buyer(enabled=False).then(monthly("o-1", 6000, 3, terms=oldest_first), at="01-12 10:00")
    story = story.then(opened("case-1", 6000), at="03-02 10:00")
    story = story.then(opened("case-2", 4000), at="03-23 10:00").then(opened("case-3", 2000), at="03-23 11:00")
    return story.then(closed("case-2"), at="03-24 10:00").until("04-01 09:00")


def test_b_r_1_a_line_that_a_pause_moved_is_as_old_as_its_new_date() -> None:
    """PAST_DUE_FIRST, B-H3: seq 2 is ten days late, seq 1 is six."""
    story = paused_past_the_date_of_the_next().then(closed("case-3"), at="04-01 10:00")
    assert story.row(Bill, "m:b-7:2027-02-01").due_on == date(2027, 4, 4)
    story = story.then(approved(1000, "rf-1"), at="04-10 10:00")
    assert [one.outstanding for one in story.row(Plan, "o-1").instalments] == [2000, 1000, 2000]


def test_b_r_1_a_line_paused_before_its_date_is_not_late_though_the_date_is_over() -> None:
    """PAST_DUE_FIRST, B-H3: seq 1 will be payable three days after its pause."""
    story = paused_past_the_date_of_the_next().then(approved(1000, "rf-1"), at="04-02 10:00")
    assert [one.outstanding for one in story.row(Plan, "o-1").instalments] == [2000, 1000, 2000]


# -- the rest ----------------------------------------------------------------------------------------------------------


def test_section_6_what_is_paid_outside_is_about_the_merchant_who_has_it() -> None:
    story = after_accepting(12000, enabled=False).then(pay_outside(12000), at="03-19 11:00")
    assert [one.merchant_id for one in story.posted if str(one.account) == "2000"] == [MERCHANT, MERCHANT]


def test_debts_of_a_buyer_are_in_one_currency() -> None:
    """An order in another is a dead letter, so that no sum mixes them."""
    story = Story.of_a_buyer().then(accepted("o-1", 10000), at="03-12 10:00")
    with pytest.raises(CurrencyDiffers, match="o-2 is in USD"):
        story.then(accepted("o-2", 700, currency="USD"), at="03-12 11:00")
    assert story.row(Book, BUYER).outstanding_principal == 10000


def test_b_d_3_a_repayment_of_an_order_covers_of_a_bill_what_it_pays_on_it() -> None:
    """6000 for o-1 pay 3000 on the statement, of which 5000 are due: the step does not wait."""
    story = Story.of_a_buyer(enabled=False).then(monthly("o-1", 9000, 3), at="01-12 10:00")
    story = story.then(monthly("o-2", 2000, 1, at="01-13 10:00"), at="01-13 10:00").until("02-01 00:00")
    story = story.then(repay("p", 6000, order_id="o-1"), at="03-03 10:00").until("03-04 00:00")
    assert stages(story) == ["REMINDER"]


def test_b_f_6_paying_the_order_promptly_takes_the_fee_back_too() -> None:
    story = fined_once().then(repay("p", 12600, order_id="o-1"), at="03-24 20:00")
    assert story.events(CollectionRequested)[-1].amount == 12000


def test_b_d_3_a_prompt_payment_of_the_order_covers_all_of_its_bills() -> None:
    """B-F6: 12000 without the fee of 400, half of it on the bill of the reversal, which waits on the day after."""
    story = after_accepting(12000, enabled=False).then(notice("03-16 09:01"), at="03-16 09:01")
    story = story.then(repay("p", 6000), at="03-17 10:00")
    story = story.then(report("p", "SUCCEEDED", 6000, "03-17 10:01"), at="03-17 10:01")
    story = story.then(reversal("p", 6000, at="03-21 10:00"), at="03-21 10:00").until("03-23 00:00")
    story = story.then(repay("q", 12400, order_id="o-1"), at="03-24 10:00")
    assert story.events(CollectionRequested)[-1].amount == 12000
    waiting = [story.row(Bill, bill_id).in_flight for bill_id in ("b:o-1", "r:cb-1")]
    assert [one.amount for one in waiting] == [6000, 6000]
    assert [one.bill_id for one in story.until("03-25 00:00").events(DelinquencyChanged)] == ["b:o-1", "b:o-1"]


def test_a_bill_was_paid_on_the_latest_day_of_its_repayments() -> None:
    """BillPaid.paid_on: the report of an earlier request comes last."""
    story = after_accepting(12000, enabled=False).then(repay("p", 6000), at="03-13 10:00").until("03-21 09:00")
    story = story.then(repay("q", 6000), at="03-21 10:00")
    story = story.then(report("q", "SUCCEEDED", 6000, "03-21 11:00"), at="03-21 11:00")
    story = story.then(report("p", "SUCCEEDED", 6000, "03-22 11:00"), at="03-22 11:00")
    assert [one.paid_on for one in story.events(BillPaid)] == [date(2027, 3, 21)]
    assert story.events(BillVoided) == []
