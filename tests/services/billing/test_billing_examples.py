"""The worked examples of billing's specification, by their numbers.

Examples 6 and 8 are told with more instalments in test_billing_spread.py and test_billing_returns.py, too.
"""

from datetime import date
from typing import Any

from billing_stories import (
    BUYER,
    CARD,
    MERCHANT,
    TERMS,
    Story,
    accepted,
    after_accepting,
    approved,
    attempt,
    extend,
    local,
    monthly,
    moved,
    notice,
    opened,
    pay_outside,
    repay,
    report,
    reversal,
    sums,
)

from services.billing.deadlines import Ask, Collect, DueSoon, Step
from services.billing.rules import dues, late_fees
from services.billing.state import Bill, BillStatus, Book, LedgerAccount, Plan, PlanStatus, Repayment
from shared.contracts.billing import (
    Allocation,
    BillDueSoon,
    BillIssued,
    BillLine,
    BillPaid,
    CollectionFailed,
    CollectionRequested,
    DelinquencyChanged,
    ExtensionDecided,
    FeeReversed,
    Instalment,
    LateFeeAssessed,
    LateFeeWithheld,
    OverpaymentDetected,
    PlanOpened,
    PlanReopened,
    PlanSettled,
    RefundAllocated,
    RepaymentAllocated,
)
from shared.contracts.policy import ExtensionOption, ExtensionTerms, LateFeeTerms, LateFeeTier, Terms

DUE_ON = date(2027, 3, 19)


# -- example 1 ---------------------------------------------------------------------------------------------------------


def test_example_1_the_debt_begins_with_acceptance() -> None:
    done = Story.of_a_buyer().given.when(accepted(), now=local("03-12 10:00"))
    assert done.events == [
        PlanOpened(
            buyer_id=BUYER,
            order_id="o-1",
            merchant_id=MERCHANT,
            currency="CNY",
            product="PAY_AFTER_USE",
            principal=25769,
            fee=0,
            instalments=(Instalment(seq=1, bill_id="b:o-1", due_on=DUE_ON, principal=25769, fee=0),),
            outstanding_principal=25769,
            book_version=1,
        ),
        BillIssued(
            buyer_id=BUYER,
            bill_id="b:o-1",
            currency="CNY",
            kind="PAY_AFTER_USE",
            due_on=DUE_ON,
            due_version=1,
            lines=(BillLine(order_id="o-1", merchant_id=MERCHANT, seq=1, of=1, principal=25769, fee=0),),
            amount_due=25769,
            paused=0,
        ),
    ]
    assert [(type(one.message), one.at) for one in done.deadlines] == [
        (DueSoon, local("03-16 09:00")),
        (Collect, local("03-19 14:00")),
        (Step, local("03-20 00:00")),
    ]
    assert [(one.account, one.debit, one.credit) for one in done.entries] == [
        (LedgerAccount.PRINCIPAL_RECEIVABLE, 25769, 0),
        (LedgerAccount.MERCHANT_PAYABLE, 0, 25769),
    ]


def test_example_1_reminders_go_out_three_days_one_day_and_on_the_day() -> None:
    story = after_accepting()
    seen = []
    for done in story.given.until(local("03-19 13:59")):
        seen += [(event.days_left, event.amount_due, event.autopay) for event in done.events]
    assert seen == [(3, 25769, True), (1, 25769, True), (0, 25769, True)]
    instants = [
        story.armed(DueSoon),
        story.until("03-16 09:00").armed(DueSoon),
        story.until("03-18 09:00").armed(DueSoon),
    ]
    assert instants == [[local("03-16 09:00")], [local("03-18 09:00")], [local("03-19 09:00")]]


def test_example_1_the_money_is_asked_for_on_the_due_date_at_14() -> None:
    story = after_accepting().until("03-19 14:00")
    assert story.events(CollectionRequested) == [
        CollectionRequested(
            buyer_id=BUYER,
            repayment_id=attempt("o-1", 0),
            bill_id="b:o-1",
            currency="CNY",
            amount=25769,
            instrument=CARD,
            mode="AUTO",
            attempt=1,
        )
    ]
    assert story.armed(Ask) == [local("03-19 14:15")]


def test_example_1_success_pays_the_bill_and_settles_the_plan() -> None:
    story = after_accepting().until("03-19 14:00")
    done = story.given.when(report(attempt("o-1", 0), "SUCCEEDED", 25769, "03-19 14:00"), now=local("03-19 14:01"))
    assert done.events == [
        RepaymentAllocated(
            buyer_id=BUYER,
            repayment_id=attempt("o-1", 0),
            currency="CNY",
            mode="AUTO",
            instrument=CARD,
            amount=25769,
            paid_on=DUE_ON,
            allocations=(Allocation(order_id="o-1", seq=1, bill_id="b:o-1", component="PRINCIPAL", amount=25769),),
            outstanding_principal=0,
            book_version=2,
        ),
        BillPaid(buyer_id=BUYER, bill_id="b:o-1", paid_on=DUE_ON, due_on=DUE_ON, max_dpd=0),
        PlanSettled(
            buyer_id=BUYER,
            order_id="o-1",
            merchant_id=MERCHANT,
            currency="CNY",
            settled_on=DUE_ON,
            paid=25769,
            refunded=0,
        ),
    ]
    assert done.given.armed == []
    assert done.given.row(Bill, "b:o-1").status is BillStatus.PAID
    assert done.given.row(Plan, "o-1").status is PlanStatus.SETTLED
    assert done.given.row(Repayment, attempt("o-1", 0)).provider_ref == "psp-1"
    assert [(one.account, one.debit, one.credit) for one in done.entries] == [
        (LedgerAccount.PROVIDER_CASH, 25769, 0),
        (LedgerAccount.PRINCIPAL_RECEIVABLE, 0, 25769),
    ]


def test_example_1_nothing_happens_any_more_to_a_paid_bill() -> None:
    story = after_accepting().then(report(attempt("o-1", 0), "SUCCEEDED", 25769, "03-19 14:00"), at="03-19 14:01")
    assert story.until("12-31 00:00").told == story.told


# -- example 2 ---------------------------------------------------------------------------------------------------------

FEES = TERMS.model_copy(update={"instalment_fee_bps": {"3": 150, "6": 0, "12": 0}})


def on_statements() -> Story:
    """Example 2: 10000 in three instalments, accepted on 01-12, fee 150 bps."""
    return Story.of_a_buyer().then(monthly(terms=FEES), at="01-12 10:00")


def test_example_2_principal_and_fee_are_split_over_three_statements() -> None:
    """BIL-03, BIL-04, B-P2, B-P3."""
    (opened,) = on_statements().events(PlanOpened)
    assert [(one.principal, one.fee, one.bill_id, one.due_on) for one in opened.instalments] == [
        (3334, 50, "m:b-7:2027-02-01", date(2027, 3, 3)),
        (3333, 50, "m:b-7:2027-03-01", date(2027, 3, 31)),
        (3333, 50, "m:b-7:2027-04-01", date(2027, 5, 1)),
    ]
    assert (opened.principal, opened.fee, opened.outstanding_principal) == (10000, 150, 10000)
    assert moved(on_statements().posted) == [("1100", 10000), ("1110", 150), ("2000", -10000), ("4000", -150)]


def test_example_2_the_first_statement_is_issued_when_it_is_cut() -> None:
    """BIL-09, B-P2: on the first of the month, 30 days before it is due."""
    story = on_statements()
    assert story.until("01-31 23:59").events(BillIssued) == []
    (issued,) = story.until("02-01 00:00").events(BillIssued)
    assert (issued.kind, issued.statement_on, issued.due_on) == ("MONTHLY", date(2027, 2, 1), date(2027, 3, 3))
    assert (issued.amount_due, issued.paused) == (3384, 0)
    assert [(one.seq, one.of, one.principal, one.fee) for one in issued.lines] == [(1, 3, 3334, 50)]


def test_example_2_an_order_accepted_on_a_statement_day_is_first_billed_a_month_later() -> None:
    story = Story.of_a_buyer().then(monthly(at="02-01 10:00", terms=FEES), at="02-01 10:00")
    assert story.events(PlanOpened)[0].instalments[0].bill_id == "m:b-7:2027-03-01"


def test_example_2_a_plan_that_is_paid_month_by_month_is_settled_with_the_last() -> None:
    story = on_statements()
    for statement, day, amount in (("02-01", "03-03", 3384), ("03-01", "03-31", 3383), ("04-01", "05-01", 3383)):
        repayment = f"a:m:b-7:2027-{statement}:1:0"
        story = story.then(report(repayment, "SUCCEEDED", amount, f"{day} 14:00"), at=f"{day} 14:01")
    assert [event.max_dpd for event in story.events(BillPaid)] == [0, 0, 0]
    (settled,) = story.events(PlanSettled)
    assert (settled.settled_on, settled.paid) == (date(2027, 5, 1), 10000)
    assert story.armed(Step) == []


# -- example 3 ---------------------------------------------------------------------------------------------------------

SOFT_DECLINES = [
    (0, "03-19 14:01"),
    (1, "03-20 14:01"),
    (3, "03-22 14:01"),
    (6, "03-25 14:01"),
    (9, "03-28 14:01"),
    (13, "04-01 14:01"),
]


def late_bill(until: str, reminded_at: str = "03-16 09:01") -> Story:
    """Example 3: 12000 due on 03-19, the buyer reminded, every attempt softly declined."""
    story = after_accepting(12000)
    moments = [(reminded_at, None), *((day, offset) for offset, day in SOFT_DECLINES)]
    for day, offset in sorted(moments, key=lambda moment: local(moment[0])):
        if local(day) > local(until):
            break
        if offset is None:
            story = story.then(notice(day), at=day)
        else:
            asked = story.until(day).row(Repayment, attempt("o-1", offset))
            story = story.then(report(asked.repayment_id, "DECLINED", asked.amount, day), at=day)
    return story.until(until)


def test_example_3_soft_declines_are_tried_again_on_the_days_of_the_terms() -> None:
    story = late_bill("04-02 00:00")
    assert [request.repayment_id for request in story.events(CollectionRequested)] == [
        attempt("o-1", offset) for offset in (0, 1, 3, 6, 9, 13)
    ]
    assert [request.attempt for request in story.events(CollectionRequested)] == [1, 2, 3, 4, 5, 6]
    assert [failure.next_at for failure in story.events(CollectionFailed)] == [
        local("03-20 14:00"),
        local("03-22 14:00"),
        local("03-25 14:00"),
        local("03-28 14:00"),
        local("04-01 14:00"),
        None,
    ]
    last = story.events(CollectionFailed)[-1]
    assert (last.final, last.stop_reason) == (True, "EXHAUSTED")


def test_example_3_the_bill_climbs_from_reminder_to_suspended() -> None:
    story = late_bill("04-02 00:00")
    climbed = story.events(DelinquencyChanged)
    assert [(event.dpd, event.stage, event.bucket, event.amount_due) for event in climbed] == [
        (1, "REMINDER", "D1_3", 12000),
        (4, "RESTRICTED", "D4_30", 12600),
        (10, "SUSPENDED", "D4_30", 12600),
    ]
    assert story.row(Bill, "b:o-1").status is BillStatus.OVERDUE


def test_example_3_fees_fall_on_the_days_after_the_grace_up_to_the_cap() -> None:
    """BIL-10, B-F1, B-F2, B-F3, B-F4: 600 on day 4 and again on day 11."""
    story = late_bill("04-02 00:00")
    assert [
        (one.fee_id, one.amount, one.base, one.dpd, one.fees_total, one.cap) for one in story.events(LateFeeAssessed)
    ] == [("b:o-1:f1", 600, 12000, 4, 600, 2400), ("b:o-1:f2", 600, 12000, 11, 1200, 2400)]
    assert dues.amount_due(story.row(Bill, "b:o-1"), {"o-1": story.row(Plan, "o-1")}) == 13200
    at_the_fee = late_bill("03-23 00:00")
    assert at_the_fee.names[-2:] == ["LateFeeAssessed", "DelinquencyChanged"]
    assert moved(at_the_fee.posted[2:]) == [("1120", 600), ("4100", -600)]


def test_example_3_a_reminder_that_came_too_late_proves_nothing() -> None:
    """B-F5, I-10: sent on 03-20 08:00, when the bill was overdue already."""
    story = late_bill("04-02 00:00", reminded_at="03-20 08:00")
    assert story.events(LateFeeAssessed) == []
    assert [(one.dpd, one.reason) for one in story.events(LateFeeWithheld)] == [
        (4, "NO_REMINDER_EVIDENCE"),
        (11, "NO_REMINDER_EVIDENCE"),
    ]


def test_example_3_paying_cures_and_the_lateness_stays_on_record() -> None:
    story = late_bill("03-28 14:02").then(
        report(attempt("o-1", 13), "SUCCEEDED", 13200, "04-01 14:00"), at="04-01 14:05"
    )
    assert story.names[-4:] == ["RepaymentAllocated", "BillPaid", "PlanSettled", "DelinquencyChanged"]
    assert story.events(BillPaid)[0].max_dpd == 13
    cure = story.events(DelinquencyChanged)[-1]
    assert (cure.stage, cure.bucket, cure.dpd, cure.account_stage, cure.amount_due) == ("NONE", "NONE", 0, "NONE", 0)
    assert story.row(Book, BUYER).overdue == ()


def test_reminders_say_what_is_payable_and_whether_it_will_be_collected() -> None:
    first = after_accepting(enabled=False).until("03-16 09:00").events(BillDueSoon)
    assert [(event.due_version, event.autopay) for event in first] == [(1, False)]


# -- example 4 ---------------------------------------------------------------------------------------------------------


def with_late_fee(**terms: Any) -> Terms:
    return TERMS.model_copy(update={"late_fee": LateFeeTerms(**terms)})


def test_example_4_late_fees_stay_within_the_cap_and_fall_back_under_it_after_a_refund() -> None:
    """B-F3, B-F7, I-6: the latest fee goes first."""
    terms = with_late_fee(tiers=(LateFeeTier(fee=1000),))
    story = Story.of_a_buyer(enabled=False).then(accepted(amount=6000, terms=terms), at="03-12 10:00")
    story = story.then(notice("03-16 09:01"), at="03-16 09:01").until("03-31 00:00")
    assert [(one.amount, one.cap) for one in story.events(LateFeeAssessed)] == [(1000, 1500), (500, 1500)]
    story = story.then(approved(4000, value_on=date(2027, 3, 31)), at="04-01 10:00")
    assert [(one.fee_id, one.amount, one.cause) for one in story.events(FeeReversed)] == [
        ("b:o-1:f2", 500, "REFUND"),
        ("b:o-1:f1", 500, "REFUND"),
    ]
    assert story.events(RefundAllocated)[0].fees_reversed == 1000


def test_example_4_a_daily_ratio_counts_the_days_since_the_last_fee_day() -> None:
    """B-F2: DAILY_BPS 5 on 100000."""
    terms = with_late_fee(scheme="DAILY_BPS", daily_bps=5)
    story = Story.of_a_buyer(enabled=False).then(accepted(amount=100000, terms=terms), at="03-12 10:00")
    story = story.then(notice("03-16 09:01"), at="03-16 09:01").until("03-31 00:00")
    assert [(one.amount, one.dpd) for one in story.events(LateFeeAssessed)] == [(200, 4), (350, 11)]


# -- example 5 ---------------------------------------------------------------------------------------------------------


def test_example_5_a_refund_that_counts_from_before_the_fees_lowers_them() -> None:
    """B-F7, ledger example 5: refund after fees."""
    before = late_bill("04-02 00:00")
    story = before.then(approved(8000, value_on=date(2027, 3, 22)), at="04-02 10:00")
    assert sorted((one.fee_id, one.amount) for one in story.events(FeeReversed)) == [
        ("b:o-1:f1", 400),
        ("b:o-1:f2", 400),
    ]
    bill = story.row(Bill, "b:o-1")
    assert (late_fees.cap(bill), late_fees.standing(bill)) == (1000, 400)
    assert dues.amount_due(bill, {"o-1": story.row(Plan, "o-1")}) == 4400
    assert sums(story.posted[len(before.posted) :]) == {"2000": 8000, "1100": -8000, "4100": 800, "1120": -800}


def test_example_5_a_refund_of_what_was_paused_leaves_the_fee_that_never_counted_it() -> None:
    """B-F7: two units of 5500, one returned and paused before the due date."""
    story = after_accepting(11000, enabled=False).then(notice("03-16 09:01"), at="03-16 09:01")
    story = story.then(opened(share=5500), at="03-17 10:00").until("03-24 00:00")
    assert [(one.amount, one.base) for one in story.events(LateFeeAssessed)] == [(200, 5500)]
    story = story.then(approved(5500, value_on=date(2027, 3, 17)), at="03-24 10:00")
    assert story.events(FeeReversed) == []
    assert dues.amount_due(story.row(Bill, "b:o-1"), {"o-1": story.row(Plan, "o-1")}) == 5700


# -- examples 6 and 7 --------------------------------------------------------------------------------------------------


def first_paid(amount: int = 10000, instalments: int = 3, paid: int = 1) -> Story:
    """Example 6: an order on statements of which the first instalments are paid."""
    story = Story.of_a_buyer().then(monthly(amount=amount, instalments=instalments), at="01-12 10:00")
    share = amount // instalments + (1 if amount % instalments else 0)
    story = story.then(repay("pay-1", share * paid, order_id="o-1"), at="01-13 10:00")
    return story.then(report("pay-1", "SUCCEEDED", share * paid, "01-13 10:01"), at="01-13 10:01")


def balances(story: Story) -> list[int]:
    return [one.outstanding for one in story.row(Plan, "o-1").instalments]


def test_example_6_a_refund_falls_on_the_last_instalments_first() -> None:
    """BIL-16, B-R1."""
    story = first_paid().then(approved(4000), at="01-20 10:00")
    assert balances(story) == [0, 2666, 0]
    assert [(leg.kind, leg.amount) for leg in story.events(RefundAllocated)[0].legs] == [("DEBT", 4000)]
    longer = first_paid(60000, 6, paid=2).then(approved(25000), at="01-20 10:00")
    assert balances(longer) == [0, 0, 10000, 5000, 0, 0]


def test_example_6_what_exceeds_the_debt_goes_back_in_cash_and_the_plan_is_settled() -> None:
    """B-R3, B-R6, ABU-3, ledger example 6: partly paid."""
    before = first_paid()
    story = before.then(approved(8000), at="01-20 10:00")
    told = story.events(RefundAllocated)[0]
    assert [(leg.kind, leg.amount, leg.instrument) for leg in told.legs] == [
        ("DEBT", 6666, None),
        ("ORIGINAL_ROUTE", 1334, CARD),
    ]
    assert [(step.does, step.seq, step.amount) for step in told.trace] == [
        ("LOWERS_PRINCIPAL", 3, 3333),
        ("LOWERS_PRINCIPAL", 2, 3333),
        ("RETURNS_CASH", None, 1334),
    ]
    assert story.events(PlanSettled) != []
    assert sums(story.posted[len(before.posted) :]) == {"2000": 8000, "1100": -6666, "2100": -1334}


def test_example_7_a_refund_while_a_collection_is_in_flight() -> None:
    """B-R5, B-A3, ABU-4, ledger example 7: in flight."""
    story = after_accepting(10000).until("03-19 14:00")
    story = story.then(report(attempt("o-1", 0), "PENDING", 10000, "03-19 14:01"), at="03-19 14:01")
    story = story.then(approved(4000, value_on=date(2027, 3, 19)), at="03-19 15:00")
    assert balances(story) == [6000]
    paid = story.then(report(attempt("o-1", 0), "SUCCEEDED", 10000, "03-19 16:00"), at="03-19 16:00")
    (allocated,) = paid.events(RepaymentAllocated)
    assert [part.amount for part in allocated.allocations] == [6000]
    (overpaid,) = paid.events(OverpaymentDetected)
    assert (overpaid.amount, overpaid.instrument) == (4000, CARD)
    assert sums(paid.posted[len(story.posted) :]) == {"1000": 10000, "1100": -6000, "2200": -4000}


# -- examples 9 to 12 --------------------------------------------------------------------------------------------------


def test_example_9_an_extension_moves_the_due_date_and_cures() -> None:
    """BIL-13, B-E, B-D2."""
    story = after_accepting(12000, enabled=False).then(extend(7), at="03-21 10:00")
    (decided,) = story.events(ExtensionDecided)
    assert (decided.decision, decided.due_on, decided.due_version, decided.fee) == (
        "GRANTED",
        date(2027, 3, 26),
        2,
        0,
    )
    assert (story.events(DelinquencyChanged)[-1].stage, story.row(Bill, "b:o-1").stage) == ("NONE", "NONE")
    assert story.armed(Step) == [local("03-27 00:00")]
    assert story.row(Bill, "b:o-1").status is BillStatus.ISSUED


def test_example_9_later_than_three_days_past_due_is_too_late() -> None:
    story = after_accepting(12000, enabled=False).then(extend(7), at="03-23 10:00")
    assert (story.code, story.rejected.details) == ("TOO_LATE", {"dpd": 4, "max_dpd": 3})


def test_example_9_an_extension_may_have_a_price() -> None:
    offer = ExtensionTerms(options=(ExtensionOption(days=14, fee=100),))
    order = accepted(amount=12000, terms=TERMS.model_copy(update={"extension": offer}))
    before = Story.of_a_buyer().then(order, at="03-12 10:00")
    story = before.then(extend(14), at="03-18 10:00")
    bill = story.row(Bill, "b:o-1")
    assert (bill.due_on, dues.amount_due(bill, {"o-1": story.row(Plan, "o-1")})) == (date(2027, 4, 2), 12100)
    assert moved(story.posted[len(before.posted) :]) == [("1110", 100), ("4200", -100)]


def one_fee() -> Story:
    """Example 10: 12000 due on 03-19, a fee of 600 on 03-23 00:00."""
    return after_accepting(12000, enabled=False).then(notice("03-16 09:01"), at="03-16 09:01")


def test_example_10_paying_within_48_hours_of_the_first_fee_takes_it_back() -> None:
    """B-F6."""
    story = one_fee().then(repay(amount=12600), at="03-24 20:00")
    assert story.events(CollectionRequested)[-1].amount == 12000
    story = story.then(report("pay-1", "SUCCEEDED", 12000, "03-24 20:01"), at="03-24 20:01")
    assert [(one.amount, one.cause) for one in story.events(FeeReversed)] == [(600, "PROMPT_PAYMENT")]
    assert story.names[-5:] == ["RepaymentAllocated", "FeeReversed", "BillPaid", "PlanSettled", "DelinquencyChanged"]


def test_example_10_a_minute_later_the_fee_stays() -> None:
    story = one_fee().then(repay(amount=12600), at="03-25 00:01")
    assert story.events(CollectionRequested)[-1].amount == 12600


def test_example_11_a_payment_outside_and_a_collection_the_excess_goes_back_to_the_card() -> None:
    """ABU-8, B-C6."""
    before = after_accepting(12000).until("03-19 14:00")
    story = before.then(pay_outside(12000, "03-19 14:30"), at="03-19 15:00")
    assert "BillPaid" in story.names
    assert sums(story.posted[len(before.posted) :]) == {"2000": 12000, "1100": -12000}
    paid = story.then(report(attempt("o-1", 0), "SUCCEEDED", 12000, "03-19 16:00"), at="03-19 16:00")
    (overpaid,) = paid.events(OverpaymentDetected)
    assert (overpaid.amount, overpaid.instrument) == (12000, CARD)
    assert sums(paid.posted[len(story.posted) :]) == {"1000": 12000, "2200": -12000}


def test_example_12_a_chargeback_brings_the_debt_back_on_a_bill_of_its_own() -> None:
    """B-C7."""
    paid = after_accepting().then(report(attempt("o-1", 0), "SUCCEEDED", 25769, "03-19 14:00"), at="03-19 14:01")
    story = paid.then(reversal(attempt("o-1", 0), 25769, "05-10 10:00"), at="05-10 10:00").until("05-10 10:00")
    assert story.names[-3:] == ["RepaymentReversed", "PlanReopened", "BillIssued"]
    issued = story.told[-1]
    assert (issued.bill_id, issued.kind, issued.due_on, issued.amount_due) == (
        "r:cb-1",
        "REVERSAL",
        date(2027, 5, 13),
        25769,
    )
    reopened = story.events(PlanReopened)[0]
    assert (reopened.principal, reopened.outstanding_principal) == (25769, 25769)
    assert sums(story.posted[len(paid.posted) :]) == {"1100": 25769, "1000": -25769}
    assert story.armed(Collect) == [local("05-13 14:00")]
