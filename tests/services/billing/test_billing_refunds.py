"""Approved refunds and their payouts: debt first, cash only of what was paid, each once (B-R, section 6)."""

from datetime import date

import pytest
from billing_stories import (
    BUYER,
    CARD,
    MERCHANT,
    OTHER_CARD,
    Story,
    after_accepting,
    approved,
    attempt,
    closed,
    local,
    moved,
    opened,
    payout,
    repay,
    report,
)

from services.billing.deadlines import Collect, DueSoon, PauseEnd, Step
from services.billing.state import Bill, BillStatus, Book, Plan, PlanStatus, Refund
from shared.contracts.billing import (
    BillPaid,
    BillVoided,
    CollectionFailed,
    DelinquencyChanged,
    InstalmentBalance,
    OverpaymentDetected,
    PlanSettled,
    RefundAllocated,
    RefundLeg,
    RefundStep,
    RepaymentAllocated,
)

FIRST = attempt("o-1", 0)
GOODWILL = "rf-1"


def paid_bill(amount: int = 25769) -> Story:
    """Order o-1, collected on its due date."""
    return after_accepting(amount).then(report(FIRST, "SUCCEEDED", amount, "03-19 14:01"), at="03-19 14:01")


def partly_paid(amount: int = 10000, paid: int = 3334) -> Story:
    """Order o-1, of which the buyer paid a part before it was due."""
    story = after_accepting(amount).then(repay(amount=paid), at="03-14 10:00")
    return story.then(report("pay-1", "SUCCEEDED", paid, "03-14 10:01"), at="03-14 10:01")


def legs(story: Story) -> list[list[tuple[str, int]]]:
    """The legs of each refund so far."""
    return [[(leg.kind, leg.amount) for leg in event.legs] for event in story.events(RefundAllocated)]


def postings(story: Story, since: Story) -> list[tuple[str, int]]:
    return moved(story.posted[len(since.posted) :])


# -- where a refund falls ----------------------------------------------------------------------------------------------


def test_refunds_example_5_a_refund_of_an_unpaid_order_lowers_the_debt_and_pays_nothing_out() -> None:
    before = after_accepting()
    story = before.then(approved(12884, destination="WALLET"), at="03-15 10:00")
    assert story.told[-1] == RefundAllocated(
        buyer_id=BUYER,
        order_id="o-1",
        merchant_id=MERCHANT,
        refund_id="case-1:r1",
        case_id="case-1",
        currency="CNY",
        cause="RETURN",
        amount=12884,
        legs=(RefundLeg(leg_id="case-1:r1:1", kind="DEBT", amount=12884),),
        before=(InstalmentBalance(seq=1, outstanding=25769),),
        after=(InstalmentBalance(seq=1, outstanding=12885),),
        policy="REVERSE_DUE",
        value_on=date(2027, 3, 16),
        fees_reversed=0,
        fees_cancelled=0,
        unallocated=0,
        trace=(RefundStep(does="LOWERS_PRINCIPAL", amount=12884, order_id="o-1", seq=1),),
        skus=("case",),
        outstanding_principal=12885,
        book_version=2,
    )
    assert postings(story, before) == [("2000", 12884), ("1100", -12884)]
    assert story.armed(Collect) == [local("03-19 14:00")]


def test_refunds_example_6_a_partly_paid_order_gives_back_in_cash_what_exceeds_the_debt() -> None:
    before = partly_paid()
    story = before.then(approved(8000, destination="WALLET"), at="03-15 10:00")
    assert legs(story) == [[("DEBT", 6666), ("WALLET", 1334)]]
    assert story.names[-3:] == ["RefundAllocated", "BillPaid", "PlanSettled"]


def test_section_6_the_merchant_is_owed_less_by_the_debt_and_by_the_cash_to_be_paid_out() -> None:
    before = partly_paid()
    story = before.then(approved(8000), at="03-15 10:00")
    assert postings(story, before) == [("2000", 8000), ("1100", -6666), ("2100", -1334)]
    assert {(one.order_id, one.merchant_id) for one in story.posted} >= {("o-1", MERCHANT)}
    cash = story.events(RefundAllocated)[0].legs[1]
    assert (cash.kind, cash.instrument, cash.repayment_id) == ("ORIGINAL_ROUTE", CARD, "pay-1")


def test_a_refund_of_a_paid_order_is_cash_alone_and_leaves_book_and_plan_as_they_are() -> None:
    before = paid_bill()
    story = before.then(approved(12884), at="03-22 10:00")
    assert story.names[len(before.names) :] == ["RefundAllocated"]
    assert legs(story) == [[("ORIGINAL_ROUTE", 12884)]]
    told = story.events(RefundAllocated)[0]
    assert (told.outstanding_principal, told.book_version) == (0, 2)
    assert story.row(Book, BUYER) == before.row(Book, BUYER)
    plan = story.row(Plan, "o-1")
    assert (plan.status, plan.settled_on, plan.refunded, plan.refunded_total) == (
        PlanStatus.SETTLED,
        date(2027, 3, 19),
        0,
        12884,
    )


def test_b_r_4_no_refund_pays_out_more_than_was_paid_and_not_given_back_yet() -> None:
    before = paid_bill().then(approved(20000), at="03-22 10:00")
    story = before.then(approved(20000, "case-2:r1"), at="03-23 10:00")
    assert legs(story)[-1] == [("ORIGINAL_ROUTE", 5769)]
    assert story.events(RefundAllocated)[-1].unallocated == 14231
    assert postings(story, before) == [("2000", 5769), ("2100", -5769)]
    nothing = story.then(approved(1, "case-3:r1"), at="03-24 10:00")
    assert (legs(nothing)[-1], nothing.events(RefundAllocated)[-1].unallocated) == ([], 1)
    assert nothing.posted == story.posted


def test_b_r_3_two_cards_that_paid_each_get_their_own_back() -> None:
    story = partly_paid().then(repay("pay-2", 6666, instrument=OTHER_CARD), at="03-15 10:00")
    story = story.then(report("pay-2", "SUCCEEDED", 6666, "03-15 10:01"), at="03-15 10:01")
    story = story.then(approved(8000), at="03-22 10:00")
    assert [(leg.instrument, leg.amount) for leg in story.events(RefundAllocated)[0].legs] == [
        (OTHER_CARD, 6666),
        (CARD, 1334),
    ]


# -- what closes -------------------------------------------------------------------------------------------------------


def test_b_r_6_a_refund_of_all_that_was_never_paid_voids_the_bill_and_settles_the_plan() -> None:
    story = after_accepting().then(approved(25769), at="03-15 10:00")
    assert story.names[-3:] == ["RefundAllocated", "BillVoided", "PlanSettled"]
    assert story.events(BillVoided) == [BillVoided(buyer_id=BUYER, bill_id="b:o-1")]
    settled = story.events(PlanSettled)[0]
    assert (settled.paid, settled.refunded, settled.settled_on) == (0, 25769, date(2027, 3, 15))
    assert story.row(Bill, "b:o-1").status is BillStatus.VOIDED
    assert story.given.armed == []
    assert story.row(Book, BUYER).outstanding_principal == 0


def test_b_r_6_a_refund_of_the_rest_pays_the_bill_with_the_day_of_the_last_repayment() -> None:
    story = partly_paid().then(approved(6666), at="03-17 10:00")
    assert story.events(BillPaid) == [
        BillPaid(
            buyer_id=BUYER,
            bill_id="b:o-1",
            paid_on=date(2027, 3, 14),
            due_on=date(2027, 3, 19),
            max_dpd=0,
        )
    ]
    settled = story.events(PlanSettled)[0]
    assert (settled.paid, settled.refunded, settled.settled_on) == (3334, 6666, date(2027, 3, 17))


def test_the_lateness_of_a_bill_that_a_refund_closes_stays_on_record() -> None:
    story = after_accepting(10000, enabled=False).then(repay(amount=3334), at="03-14 10:00")
    story = story.then(report("pay-1", "SUCCEEDED", 3334, "03-14 10:01"), at="03-14 10:01")
    story = story.then(approved(6666), at="03-25 10:00")
    assert story.events(BillPaid)[0].max_dpd == 4


def test_b_d_2_a_refund_cures_and_says_so_last() -> None:
    story = after_accepting(enabled=False).then(approved(25769), at="03-24 10:00")
    assert story.names[-4:] == ["RefundAllocated", "BillVoided", "PlanSettled", "DelinquencyChanged"]
    cure = story.events(DelinquencyChanged)[-1]
    assert (cure.stage, cure.bucket, cure.dpd, cure.account_stage, cure.amount_due) == ("NONE", "NONE", 0, "NONE", 0)
    assert story.row(Book, BUYER).overdue == ()


def test_b_d_2_a_refund_of_a_part_cures_nothing_and_the_rest_goes_on_ageing() -> None:
    story = after_accepting(enabled=False).then(approved(20000), at="03-24 10:00").until("03-29 00:00")
    assert [(event.stage, event.amount_due) for event in story.events(DelinquencyChanged)] == [
        ("REMINDER", 25769),
        ("RESTRICTED", 25769),
        ("SUSPENDED", 5769),
    ]


def test_a_refund_of_the_whole_paused_share_of_an_overdue_bill_cures_it() -> None:
    story = after_accepting(enabled=False).then(opened(share=25769), at="03-24 10:00")
    story = story.then(approved(25769), at="03-28 10:00")
    assert story.names[-4:] == ["RefundAllocated", "BillVoided", "PlanSettled", "DelinquencyChanged"]
    assert story.armed(PauseEnd) == []


def test_b_h_1_a_refund_after_deductions_leaves_the_rest_of_the_share_paused_until_its_case_is_closed() -> None:
    story = after_accepting().then(opened(share=25769), at="03-15 10:00").then(approved(20000), at="03-18 10:00")
    assert [story.armed(kind) for kind in (DueSoon, Collect, Step)] == [[], [], []]
    part = story.row(Plan, "o-1").instalments[0]
    assert (part.outstanding, part.paused) == (5769, 5769)
    story = story.then(closed(outcome="REFUNDED"), at="03-25 10:00")
    assert story.names[-1] == "BillResumed"
    assert story.armed(Collect) == [local("03-28 14:00")]


def test_a_refund_without_a_case_takes_what_runs_and_leaves_what_is_paused() -> None:
    story = after_accepting().then(opened(), at="03-15 10:00").then(approved(20000, GOODWILL), at="03-16 08:00")
    part = story.row(Plan, "o-1").instalments[0]
    assert (part.outstanding, part.paused) == (5769, 5769)
    assert story.armed(Collect) == []


# -- a repayment in flight ---------------------------------------------------------------------------------------------


def test_example_7_a_repayment_in_flight_is_not_awaited_and_its_excess_goes_back() -> None:
    before = after_accepting(10000).then(report(FIRST, "PENDING", 10000, "03-19 14:01"), at="03-19 14:01")
    refunded = before.then(approved(4000), at="03-19 14:02")
    assert legs(refunded) == [[("DEBT", 4000)]]
    assert refunded.events(RefundAllocated)[0].outstanding_principal == 6000
    story = refunded.then(report(FIRST, "SUCCEEDED", 10000, "03-19 15:00"), at="03-19 15:00")
    (allocated,) = story.events(RepaymentAllocated)
    assert [part.amount for part in allocated.allocations] == [6000]
    (excess,) = story.events(OverpaymentDetected)
    assert (excess.amount, excess.instrument, excess.overpayment_id) == (4000, CARD, f"{FIRST}:o1")
    assert postings(story, refunded) == [("1000", 10000), ("1100", -6000), ("2200", -4000)]


def test_b_r_5_a_bill_voided_while_a_repayment_is_in_flight_waits_for_nothing() -> None:
    before = after_accepting(10000).until("03-19 14:00").then(approved(10000), at="03-19 14:02")
    assert before.row(Bill, "b:o-1").in_flight is None
    story = before.then(report(FIRST, "SUCCEEDED", 10000, "03-19 15:00"), at="03-19 15:00")
    assert story.names[-2:] == ["RepaymentAllocated", "OverpaymentDetected"]
    assert story.events(OverpaymentDetected)[0].amount == 10000
    declined = before.then(report(FIRST, "DECLINED", 10000, "03-19 15:00"), at="03-19 15:00")
    assert declined.events(CollectionFailed)[0].stop_reason == "PAID"


# -- payouts in the journal --------------------------------------------------------------------------------------------

ORDER = {"order_id": "o-1", "merchant_id": MERCHANT}


def refunded_in_cash() -> Story:
    return paid_bill().then(approved(12884), at="03-22 10:00")


def test_section_6_a_payout_that_arrived_is_posted_and_one_that_bounced_is_taken_back() -> None:
    before = refunded_in_cash()
    story = before.then(payout("case-1:r1:1", "SUCCEEDED", 12884, **ORDER), at="03-23 10:00")
    assert postings(story, before) == [("2100", 12884), ("1000", -12884)]
    assert {(one.order_id, one.bill_id, one.merchant_id) for one in story.posted[len(before.posted) :]} == {
        ("o-1", None, MERCHANT)
    }
    bounced = story.then(payout("case-1:r1:1", "RETURNED", 12884, **ORDER), at="03-25 10:00")
    assert postings(bounced, story) == [("2100", -12884), ("1000", 12884)]
    again = bounced.then(payout("case-1:r1:1", "SUCCEEDED", 12884, payout_id="case-1:r1:1:2"), at="03-26 10:00")
    assert postings(again, bounced) == [("2100", 12884), ("1000", -12884)]


@pytest.mark.parametrize("outcome", ["PENDING", "UNKNOWN", "FAILED"])
def test_what_a_provider_does_not_know_or_refuses_moves_no_money(outcome: str) -> None:
    before = refunded_in_cash()
    done = before.given.when(payout("case-1:r1:1", outcome, 12884, **ORDER), now=local("03-23 10:00"))
    assert done.yields == []


def test_section_6_an_external_leg_is_the_merchants_own_affair() -> None:
    before = refunded_in_cash()
    told = payout("case-1:r1:1", "SUCCEEDED", 12884, kind="EXTERNAL", **ORDER)
    assert before.given.when(told, now=local("03-23 10:00")).yields == []


@pytest.mark.parametrize(("kind", "payer"), [("ORIGINAL_ROUTE", "1000"), ("EXTERNAL", "2000")])
def test_section_6_the_payout_of_an_overpayment_is_about_the_bill_that_was_overpaid(kind: str, payer: str) -> None:
    before = after_accepting(10000).until("03-19 14:00").then(approved(4000), at="03-19 14:02")
    before = before.then(report(FIRST, "SUCCEEDED", 10000, "03-19 15:00"), at="03-19 15:00")
    told = payout(f"op:{FIRST}:o1:1", "SUCCEEDED", 4000, kind=kind, cause="OVERPAYMENT", repayment_id=FIRST)
    story = before.then(told, at="03-20 10:00")
    assert postings(story, before) == [("2200", 4000), (payer, -4000)]
    assert {(one.order_id, one.bill_id) for one in story.posted[len(before.posted) :]} == {(None, "b:o-1")}
    back = story.then(told.model_copy(update={"outcome": "RETURNED"}), at="03-21 10:00")
    assert postings(back, story) == [("2200", -4000), (payer, 4000)]


def test_a_payout_waits_for_its_refund() -> None:
    done = after_accepting().given.when(payout("case-1:r1:1", "SUCCEEDED", 1, **ORDER), now=local("03-23 10:00"))
    assert done.rejected is not None
    assert done.rejected.code == "UNKNOWN_REFUND", "to the engine: it waits for the row"


# -- law 4 -------------------------------------------------------------------------------------------------------------


def test_law_4_refunds_and_payouts_read_again_change_nothing() -> None:
    messages = (
        approved(12884),
        approved(500, GOODWILL),
        payout("case-1:r1:1", "PENDING", 12884, **ORDER),
        payout("case-1:r1:1", "SUCCEEDED", 12884, **ORDER),
        payout("case-1:r1:1", "RETURNED", 12884, **ORDER),
    )
    story = paid_bill()
    for message in messages:
        story = story.then(message, at="03-22 10:00")
    for message in messages:
        assert story.given.when(message, now=local("03-22 10:00")).yields == []


def test_a_refund_is_kept_with_how_it_fell() -> None:
    story = partly_paid().then(approved(12000), at="03-15 10:00")
    kept = story.row(Refund, "case-1:r1")
    assert (kept.amount, kept.debt, kept.cash, kept.external, kept.unallocated) == (12000, 6666, 3334, 0, 2000)
    assert (kept.order_id, kept.bill_id, kept.merchant_id) == ("o-1", None, MERCHANT)
