"""Refunds on their way to the buyer: gestures, allocation, payouts, doubt, repair, overpayments (2.2, R-R6)."""

from datetime import timedelta

import pytest
from refunds_stories import (
    BUYER,
    CARD,
    CASE,
    EXTERNAL,
    FIRST,
    LEG,
    MERCHANT,
    ORDER,
    OTHER_CARD,
    REFUND,
    Story,
    allocated,
    completed,
    day,
    executing,
    gesture,
    in_order,
    leg,
    local,
    overpaid,
    paid,
    refund_due,
    repair,
)

from services.refunds.deadlines import Arrival, Ask, Retry
from services.refunds.service import refunds
from services.refunds.state import CaseStatus, LegStatus, Refund, RefundStatus
from shared.contracts.fields import Instrument
from shared.contracts.refunds import (
    PayoutReported,
    PayoutRequested,
    RefundApproved,
    RefundCompleted,
    ReturnClosed,
    SlaMissed,
)
from shared.engine.vocabulary import Cause
from shared.testing.given import Given

SECOND = f"{LEG}:2"
THIRD = f"{LEG}:3"


def failed(payout_id: str, at: str, **other: object):
    return paid(payout_id, "FAILED", at, **other)


# -- a gesture ---------------------------------------------------------------------------------------------------------


def test_a_gesture_is_approved_at_once_and_counts_from_today() -> None:
    story = Story.of_an_order().then(gesture(2000, destination="WALLET"), at="03-19 15:00")
    assert story.told == (
        in_order(
            RefundApproved,
            refund_id="rf-1",
            currency="CNY",
            cause="GOODWILL",
            amount=2000,
            destination="WALLET",
            value_on=day("03-19"),
            skus=(),
            promise_from=day("03-26"),
            promise_by=day("04-09"),
        ),
    )
    assert (story.order.refunded, story.order.lines[0].refunded, story.order.lines[0].free_qty) == (2000, 0, 2)
    assert story.armed() == [("ARRIVAL", local("04-10 00:00"))]


def test_a_gesture_completes_without_any_case() -> None:
    story = Story.of_an_order().then(gesture(2000), at="03-19 15:00")
    story = story.then(allocated(story.told[-1], leg("DEBT", 2000)), at="03-19 15:01")
    assert story.told[-1] == in_order(RefundCompleted, refund_id="rf-1", currency="CNY", amount=2000, cash_amount=0)


def test_a_service_can_be_refunded_without_coming_back() -> None:
    assert Story.of_an_order(kind="SERVICE").then(gesture(25769), at="03-19 15:00").code is None


@pytest.mark.parametrize(
    ("code", "asked"),
    [
        ("ORDER_NOT_ACCEPTED", gesture(order_id="o-unknown")),
        ("ORDER_NOT_ACCEPTED", gesture(merchant_id="m-other")),
        ("ORDER_NOT_ACCEPTED", gesture(buyer_id="b-other")),
        ("CURRENCY_MISMATCH", gesture(currency="EUR")),
        ("AMOUNT_INVALID", gesture(0)),
        ("REFUND_EXCEEDS_ORDER", gesture(25770)),
    ],
)
def test_a_gesture_that_cannot_be(code: str, asked: object) -> None:
    story = Story.of_an_order().then(asked, at="03-19 15:00")
    assert (story.code, story.told, story.order.refunded) == (code, (), 0)


def test_abu_3_gestures_and_returns_together_never_exceed_the_order() -> None:
    story = refund_due().then(gesture(13269), at="03-18 17:00")
    assert (story.code, story.order.rest) == (None, 0)
    beyond = story.then(gesture(1, "rf-2"), at="03-18 17:01")
    assert (beyond.code, beyond.rejected.details) == ("REFUND_EXCEEDS_ORDER", {"amount": 1, "rest": 0})


def test_h_3_the_same_gesture_again_is_already_done_and_another_one_already_exists() -> None:
    story = Story.of_an_order().then(gesture(), at="03-19 15:00", cause=Cause("1", "digest"))
    again = story.then(gesture(), at="03-19 15:01", cause=Cause("2", "digest"))
    other = story.then(gesture(1), at="03-19 15:01", cause=Cause("3", "another digest"))
    assert (again.code, other.code) == ("ALREADY_DONE", "ALREADY_EXISTS")
    assert again.rejected.details == {"refund_id": "rf-1", "status": "APPROVED"}
    assert again.order.refunded == other.order.refunded == 2000


# -- where it falls ----------------------------------------------------------------------------------------------------


def test_each_leg_that_is_no_debt_is_asked_for_once() -> None:
    legs = leg("DEBT", 500), leg("ORIGINAL_ROUTE", 4000), leg("WALLET", 3000), leg("EXTERNAL", 5000, EXTERNAL)
    story = executing(*legs)
    asked = story.events(PayoutRequested)
    assert [(one.payout_id, one.kind, one.amount, one.instrument, one.ask) for one in asked] == [
        (f"{REFUND}:2:1", "ORIGINAL_ROUTE", 4000, CARD, 0),
        (f"{REFUND}:3:1", "WALLET", 3000, None, 0),
        (f"{REFUND}:4:1", "EXTERNAL", 5000, EXTERNAL, 0),
    ]
    assert {(one.order_id, one.merchant_id, one.case_id) for one in asked} == {(ORDER, MERCHANT, CASE)}
    assert [one.repayment_id for one in asked] == ["a:b:o-1:1:0", None, "a:b:o-1:1:0"]


def test_cash_is_what_providers_paid_not_what_the_merchant_pays_outside() -> None:
    story = executing(leg("DEBT", 500), leg("ORIGINAL_ROUTE", 7000), leg("EXTERNAL", 5000, EXTERNAL))
    for n in (2, 3):
        assert story.events(RefundCompleted) == []
        story = story.then(paid(f"{REFUND}:{n}:1", "SUCCEEDED", "03-18 17:00"), at="03-18 17:00")
    assert (story.events(RefundCompleted)[0].amount, story.events(RefundCompleted)[0].cash_amount) == (12500, 7000)


def test_what_exceeds_the_order_is_never_paid() -> None:
    story = refund_due()
    story = story.then(allocated(story.refund, leg("DEBT", 500), unallocated=12000), at="03-18 16:01")
    assert story.events(PayoutRequested) == []
    assert (story.refund.status, story.refund.unallocated) == (RefundStatus.COMPLETED, 12000)


def test_a_refund_is_complete_and_its_case_closed_with_the_last_leg() -> None:
    story = completed()
    assert story.names[-3:] == ["PayoutReported", "RefundCompleted", "ReturnClosed"]
    assert (story.case.status, story.case.outcome) == (CaseStatus.CLOSED, "REFUNDED")
    assert (story.refund.status, story.refund.legs[0].provider_ref) == (RefundStatus.COMPLETED, "psp-1")
    assert story.armed() == []


def test_a_late_refund_is_told_once_and_still_completes() -> None:
    story = executing().until("12-31 00:00")
    assert [(one.rule, one.refund_id, one.case_id) for one in story.events(SlaMissed)] == [
        ("REFUND_ARRIVAL", REFUND, CASE)
    ]
    assert story.then(paid(FIRST, "SUCCEEDED", "12-31 01:00"), at="12-31 01:00").case.outcome == "REFUNDED"


# -- doubt -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("outcome", ["PENDING", "UNKNOWN"])
def test_in_doubt_the_provider_is_asked_after_an_hour_and_then_every_day(outcome: str) -> None:
    story = executing().then(paid(FIRST, outcome, "03-18 17:00"), at="03-18 17:00")
    assert story.armed()[0] == ("ASK", local("03-18 18:00"))
    assert (story.told[-1].outcome, story.refund.legs[0].status) == (outcome, LegStatus(outcome))
    story = story.until("03-20 18:00")
    assert story.payouts() == [(FIRST, 0), (FIRST, 1), (FIRST, 2), (FIRST, 3)]
    assert story.armed()[0] == ("ASK", local("03-21 18:00"))


def test_later_doubt_does_not_move_the_questions() -> None:
    story = executing().then(paid(FIRST, "PENDING", "03-18 17:00"), at="03-18 17:00")
    story = story.then(paid(FIRST, "UNKNOWN", "03-18 17:30"), at="03-18 17:30")
    assert story.armed()[0] == ("ASK", local("03-18 18:00"))
    story = story.then(paid(FIRST, "PENDING", "03-18 18:30"), at="03-18 18:30")
    assert story.armed()[0] == ("ASK", local("03-19 18:00"))


@pytest.mark.parametrize("outcome", ["SUCCEEDED", "FAILED"])
def test_an_answer_ends_the_questions(outcome: str) -> None:
    story = executing().then(paid(FIRST, "PENDING", "03-18 17:00"), at="03-18 17:00")
    story = story.then(paid(FIRST, outcome, "03-18 17:10"), at="03-18 17:10")
    assert "ASK" not in dict(story.armed())


def test_a_new_payout_is_asked_about_from_the_beginning() -> None:
    story = executing().then(paid(FIRST, "PENDING", "03-18 17:00"), at="03-18 17:00").until("03-18 18:00")
    story = story.then(failed(FIRST, "03-18 19:00"), at="03-18 19:00").until("03-19 19:00")
    story = story.then(paid(SECOND, "UNKNOWN", "03-19 20:00"), at="03-19 20:00").until("03-19 21:00")
    assert story.payouts() == [(FIRST, 0), (FIRST, 1), (SECOND, 0), (SECOND, 1)]


def test_a_silent_provider_is_never_taken_for_success() -> None:
    story = executing().until("12-31 00:00")
    assert story.events(RefundCompleted) == []
    assert (story.refund.status, story.payouts()) == (RefundStatus.EXECUTING, [(FIRST, 0)])


def test_legs_in_doubt_are_asked_about_each_for_itself() -> None:
    story = executing(leg("ORIGINAL_ROUTE", 7500), leg("ORIGINAL_ROUTE", 5000, OTHER_CARD))
    second = f"{REFUND}:2:1"
    story = story.then(paid(FIRST, "PENDING", "03-18 17:00"), at="03-18 17:00")
    story = story.then(paid(second, "PENDING", "03-18 17:20"), at="03-18 17:20")
    assert story.armed()[:2] == [("ASK", local("03-18 18:00")), ("ASK", local("03-18 18:20"))]
    story = story.then(failed(FIRST, "03-18 17:30"), at="03-18 17:30")
    story = story.then(failed(second, "03-18 17:40"), at="03-18 17:40")
    assert story.armed()[:2] == [("RETRY", local("03-19 17:30")), ("RETRY", local("03-19 17:40"))]
    assert story.until("03-19 17:40").payouts()[2:] == [(SECOND, 0), (f"{REFUND}:2:2", 0)]


# -- failure -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("failure", [{}, {"failure": "SOFT"}], ids=["absent", "soft"])
def test_a_soft_failure_is_tried_again_twice_each_after_a_day(failure: dict) -> None:
    story = executing().then(failed(FIRST, "03-18 17:00", **failure), at="03-18 17:00")
    assert (story.refund.legs[0].status, story.armed()[0]) == (LegStatus.FAILED, ("RETRY", local("03-19 17:00")))
    story = story.until("03-19 17:00").then(failed(SECOND, "03-19 18:00", **failure), at="03-19 18:00")
    story = story.until("03-20 18:00").then(failed(THIRD, "03-20 19:00", **failure), at="03-20 19:00")
    assert story.payouts() == [(FIRST, 0), (SECOND, 0), (THIRD, 0)]
    assert (story.refund.legs[0].status, story.armed()) == (LegStatus.NEEDS_DESK, [("ARRIVAL", local("04-09 00:00"))])


def test_a_hard_failure_waits_for_a_person() -> None:
    story = executing().then(failed(FIRST, "03-18 17:00", failure="HARD"), at="03-18 17:00")
    assert (story.refund.legs[0].status, story.refund.status) == (LegStatus.NEEDS_DESK, RefundStatus.EXECUTING)
    assert story.until("04-01 00:00").payouts() == [(FIRST, 0)]


@pytest.mark.parametrize("failure", ["SOFT", "HARD"])
def test_the_late_truth_of_a_failed_payout_counts_while_there_is_no_newer_one(failure: str) -> None:
    story = executing().then(failed(FIRST, "03-18 17:00", failure=failure), at="03-18 17:00")
    story = story.then(paid(FIRST, "SUCCEEDED", "03-18 18:00"), at="03-18 18:00")
    assert story.names[-3:] == ["PayoutReported", "RefundCompleted", "ReturnClosed"]
    assert (story.armed(), story.payouts()) == ([], [(FIRST, 0)])


def test_a_report_of_a_superseded_payout_is_an_alarm_and_no_success() -> None:
    story = executing().then(failed(FIRST, "03-18 17:00"), at="03-18 17:00").until("03-19 17:00")
    for outcome in ("SUCCEEDED", "FAILED", "PENDING", "UNKNOWN", "RETURNED"):
        refused = story.then(paid(FIRST, outcome, "03-19 18:00"), at="03-19 18:00")
        assert (refused.code, refused.rejected.details["present"]) == ("PAYOUT_SUPERSEDED", SECOND)
        assert refused.refund.status is RefundStatus.EXECUTING


# -- what came back ----------------------------------------------------------------------------------------------------


def bounced() -> Story:
    return completed().then(paid(FIRST, "RETURNED", "03-20 09:00"), at="03-20 09:00")


def test_a_payout_that_bounced_waits_for_a_person_and_its_case_stays_closed() -> None:
    story = bounced()
    assert (story.told[-1].outcome, story.refund.status) == ("RETURNED", RefundStatus.EXECUTING)
    assert (story.refund.legs[0].status, story.case.outcome) == (LegStatus.NEEDS_DESK, "REFUNDED")
    story = story.then(repair(LEG, OTHER_CARD), at="03-20 10:00")
    story = story.then(paid(SECOND, "SUCCEEDED", "03-20 10:01"), at="03-20 10:01")
    assert story.names[-2:] == ["PayoutReported", "RefundCompleted"]
    assert len(story.events(ReturnClosed)) == 1


def test_of_several_legs_one_may_bounce_while_another_is_under_way() -> None:
    story = executing(leg("ORIGINAL_ROUTE", 7500), leg("WALLET", 5000))
    story = story.then(paid(FIRST, "SUCCEEDED", "03-18 17:00"), at="03-18 17:00")
    story = story.then(paid(FIRST, "RETURNED", "03-19 17:00"), at="03-19 17:00")
    assert [one.status for one in story.refund.legs] == [LegStatus.NEEDS_DESK, LegStatus.REQUESTED]


@pytest.mark.parametrize("outcome", ["SUCCEEDED", "RETURNED"])
def test_a_bounce_is_final_for_its_payout(outcome: str) -> None:
    assert bounced().then(paid(FIRST, outcome, "03-20 11:00"), at="03-20 11:00").code == "ALREADY_DONE"


def test_the_late_truth_of_the_payout_after_a_bounce_counts_as_well() -> None:
    story = bounced().then(repair(LEG, OTHER_CARD), at="03-20 10:00")
    story = story.then(failed(SECOND, "03-20 10:01", failure="HARD"), at="03-20 10:01")
    story = story.then(paid(SECOND, "SUCCEEDED", "03-20 10:02"), at="03-20 10:02")
    assert (story.code, story.refund.status) == (None, RefundStatus.COMPLETED)


# -- repair ------------------------------------------------------------------------------------------------------------


def test_a_person_pays_a_leg_anew_as_before_or_elsewhere() -> None:
    story = executing().then(failed(FIRST, "03-18 17:00", failure="HARD"), at="03-18 17:00")
    for instrument, expected in ((None, CARD), (OTHER_CARD, OTHER_CARD)):
        asked = story.then(repair(LEG, instrument), at="03-18 18:00").told[-1]
        assert (asked.payout_id, asked.instrument, asked.ask, asked.amount) == (SECOND, expected, 0, 12500)


def test_a_person_may_be_faster_than_the_next_try() -> None:
    story = executing().then(failed(FIRST, "03-18 17:00"), at="03-18 17:00").then(repair(LEG), at="03-18 18:00")
    assert story.armed() == [("ARRIVAL", local("04-09 00:00"))]
    assert story.until("03-20 00:00").payouts() == [(FIRST, 0), (SECOND, 0)]


@pytest.mark.parametrize(
    ("of", "instrument"),
    [
        (leg("ORIGINAL_ROUTE", 12500), EXTERNAL),
        (leg("WALLET", 12500), CARD),
        (leg("EXTERNAL", 12500, EXTERNAL), CARD),
    ],
    ids=["cash outside", "the wallet to a card", "outside from the provider"],
)
def test_i_4_a_repair_does_not_turn_one_kind_of_money_into_another(of: tuple, instrument: Instrument) -> None:
    story = executing(of).then(failed(FIRST, "03-18 17:00", failure="HARD"), at="03-18 17:00")
    story = story.then(repair(LEG, instrument), at="03-18 18:00")
    assert (story.code, story.payouts()) == ("INSTRUMENT_NOT_ALLOWED", [(FIRST, 0)])


def test_a_leg_the_refund_does_not_have_cannot_be_repaired() -> None:
    assert executing().then(repair(f"{REFUND}:9"), at="03-18 18:00").code == "UNKNOWN_PAYOUT"


# -- what a report must not say ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("UNKNOWN_REFUND", paid("another:r1:1:1", "SUCCEEDED", "03-18 17:00")),
        ("UNKNOWN_REFUND", paid(FIRST, "SUCCEEDED", "03-18 17:00", buyer_id="b-other")),
        ("UNKNOWN_PAYOUT", paid(SECOND, "SUCCEEDED", "03-18 17:00")),
        ("UNKNOWN_PAYOUT", paid(f"{LEG}:0", "SUCCEEDED", "03-18 17:00")),
        ("UNKNOWN_PAYOUT", paid(f"{LEG}:01", "SUCCEEDED", "03-18 17:00")),
        ("UNKNOWN_PAYOUT", paid(f"{REFUND}:2:1", "SUCCEEDED", "03-18 17:00")),
        ("UNKNOWN_CASE", paid(FIRST, "SUCCEEDED", "03-18 17:00", case_id="case-2")),
        ("TIME_IN_FUTURE", paid(FIRST, "SUCCEEDED", "03-18 17:02")),
    ],
)
def test_a_report_of_what_was_not_asked_for_changes_nothing(code: str, told: object) -> None:
    story = executing().then(told, at="03-18 17:00")
    assert (story.code, story.refund.legs[0].status) == (code, LegStatus.REQUESTED)


def test_no_payout_of_a_debt_leg_was_ever_asked_for() -> None:
    story = executing(leg("DEBT", 5000), leg("WALLET", 7500))
    for try_ in (0, 1):
        assert story.then(paid(f"{LEG}:{try_}", "RETURNED", "03-18 17:00"), at="03-18 17:00").code == "UNKNOWN_PAYOUT"
    assert story.then(repair(LEG), at="03-18 17:00").code == "ILLEGAL_TRANSITION"


@pytest.mark.parametrize("echoed", [CASE, None])
def test_the_case_is_found_whether_or_not_the_adapter_repeats_it(echoed: str | None) -> None:
    story = executing().then(paid(FIRST, "SUCCEEDED", "03-18 17:00", case_id=echoed), at="03-18 17:00")
    assert story.case.outcome == "REFUNDED"


# -- what was overpaid -------------------------------------------------------------------------------------------------

OVERPAYMENT = "op:pay-1:o1"


@pytest.mark.parametrize(("instrument", "kind", "cash"), [(CARD, "ORIGINAL_ROUTE", 4000), (EXTERNAL, "EXTERNAL", 0)])
def test_b_a_3_what_was_overpaid_goes_back_the_way_it_came(instrument: Instrument, kind: str, cash: int) -> None:
    story = Story(Given(refunds)).then(overpaid(instrument=instrument), at="03-19 15:00")
    about = {"buyer_id": BUYER, "refund_id": OVERPAYMENT, "currency": "CNY"}
    of_leg = {"leg_id": f"{OVERPAYMENT}:1", "payout_id": f"{OVERPAYMENT}:1:1", "kind": kind, "amount": 4000}
    asked = PayoutRequested(**about, **of_leg, instrument=instrument, repayment_id="pay-1", ask=0)
    assert story.told == (asked,)
    assert story.armed() == [("ARRIVAL", local("04-10 00:00"))]
    story = story.then(paid(f"{OVERPAYMENT}:1:1", "SUCCEEDED", "03-19 16:00"), at="03-19 16:00")
    assert story.told == (
        asked,
        PayoutReported(**about, **of_leg, cause="OVERPAYMENT", outcome="SUCCEEDED", repayment_id="pay-1"),
        RefundCompleted(**about, amount=4000, cash_amount=cash),
    )
    assert story.armed() == []


def test_an_overpayment_not_returned_in_time_is_told() -> None:
    story = Story(Given(refunds)).then(overpaid(), at="03-19 15:00").until("04-10 00:00")
    late = SlaMissed(buyer_id=BUYER, rule="REFUND_ARRIVAL", refund_id=OVERPAYMENT, due_at=local("04-10 00:00"))
    assert story.told[-1] == late


def test_an_overpayment_touches_no_order_and_no_case_of_a_like_name() -> None:
    story = refund_due()
    before = story.order, story.case
    story = story.then(overpaid(overpayment_id=f"{CASE}:o1"), at="03-18 16:30")
    story = story.then(paid(f"op:{CASE}:o1:1:1", "SUCCEEDED", "03-18 16:31"), at="03-18 16:31")
    assert story.row(Refund, f"op:{CASE}:o1").status is RefundStatus.COMPLETED
    assert (story.order, story.case) == before


# -- deadlines that came too late --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "due", [Arrival(BUYER, REFUND), Ask(BUYER, REFUND, LEG), Retry(BUYER, REFUND, LEG), Ask(BUYER, REFUND, "another")]
)
def test_deadlines_of_a_refund_that_arrived_do_nothing(due: object) -> None:
    assert completed().given.when(due, now=local("04-10 00:00")).yields == []


def test_every_answer_carries_what_it_answers() -> None:
    story = executing()
    at = local("03-18 17:00")
    for outcome in ("PENDING", "UNKNOWN", "SUCCEEDED"):
        at += timedelta(minutes=1)
        story = story.then(paid(FIRST, outcome, at), at=at)
    assert [one.outcome for one in story.events(PayoutReported)] == ["PENDING", "UNKNOWN", "SUCCEEDED"]
    assert {(one.order_id, one.merchant_id, one.case_id, one.repayment_id) for one in story.events(PayoutReported)} == {
        (ORDER, MERCHANT, CASE, "a:b:o-1:1:0")
    }
