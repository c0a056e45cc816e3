"""The worked examples of the specification that this build can live through, by their numbers."""

from datetime import date

from billing_stories import BUYER, CARD, MERCHANT, Story, accepted, after_accepting, attempt, local, report

from services.billing.deadlines import Ask, Collect, DueSoon, Step
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
    Instalment,
    PlanOpened,
    PlanSettled,
    RepaymentAllocated,
)

DUE_ON = date(2027, 3, 19)


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


SOFT_DECLINES = [
    (0, "03-19 14:01"),
    (1, "03-20 14:01"),
    (3, "03-22 14:01"),
    (6, "03-25 14:01"),
    (9, "03-28 14:01"),
    (13, "04-01 14:01"),
]


def late_bill(until: str) -> Story:
    """Example 3: 12000 due on 03-19, every attempt softly declined."""
    story = after_accepting(12000)
    for offset, day in SOFT_DECLINES:
        if local(day) <= local(until):
            story = story.then(report(attempt("o-1", offset), "DECLINED", 12000, day), at=day)
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
        (4, "RESTRICTED", "D4_30", 12000),
        (10, "SUSPENDED", "D4_30", 12000),
    ]
    assert story.row(Bill, "b:o-1").status is BillStatus.OVERDUE


def test_example_3_paying_cures_and_the_lateness_stays_on_record() -> None:
    story = late_bill("03-28 14:02").then(
        report(attempt("o-1", 13), "SUCCEEDED", 12000, "04-01 14:00"), at="04-01 14:05"
    )
    assert story.names[-4:] == ["RepaymentAllocated", "BillPaid", "PlanSettled", "DelinquencyChanged"]
    assert story.events(BillPaid)[0].max_dpd == 13
    cure = story.events(DelinquencyChanged)[-1]
    assert (cure.stage, cure.bucket, cure.dpd, cure.account_stage, cure.amount_due) == ("NONE", "NONE", 0, "NONE", 0)
    assert story.row(Book, BUYER).overdue == ()


def test_reminders_say_what_is_payable_and_whether_it_will_be_collected() -> None:
    first = after_accepting(enabled=False).until("03-16 09:00").events(BillDueSoon)
    assert [(event.due_version, event.autopay) for event in first] == [(1, False)]
