"""Collections: attempts, declines, silence, and the buyer paying by hand (B-C, B-A2, B-A3, H-3, H-5)."""

from datetime import timedelta

import pytest
from billing_stories import (
    BUYER,
    CARD,
    OTHER_CARD,
    Story,
    accepted,
    after_accepting,
    attempt,
    local,
    repay,
    report,
)

from services.billing.deadlines import Ask, Collect
from services.billing.service import billing
from services.billing.state import Bill, BillStatus, Book, Repayment, RepaymentStatus
from shared.contracts.billing import (
    AutopayChanged,
    BillPaid,
    CollectionFailed,
    CollectionPending,
    CollectionRequested,
    OverpaymentDetected,
    PlanOpened,
    RepayBill,
    RepaymentAllocated,
    SetAutopay,
)
from shared.contracts.checkout import AcceptedLine, AccountActivated, CardBound
from shared.contracts.fields import Instrument
from shared.contracts.message import Message
from shared.engine.vocabulary import Cause
from shared.testing.given import Given

FIRST = attempt("o-1", 0)
THIRD_CARD = Instrument(kind="CARD", token="tok_third")


# -- the instrument ----------------------------------------------------------------------------------------------------


def test_an_activated_account_opens_the_book_with_its_card() -> None:
    activated = AccountActivated(buyer_id=BUYER, currency="CNY", score=640, limit=200000, instrument=CARD)
    done = Given(billing).when(activated, now=local("03-01 10:00"))
    assert done.given.row(Book, BUYER).autopay.usable
    assert done.events == []


def test_an_account_activated_again_keeps_its_debts() -> None:
    activated = AccountActivated(buyer_id=BUYER, currency="CNY", score=640, limit=200000, instrument=OTHER_CARD)
    book = after_accepting().then(activated, at="03-13 10:00").row(Book, BUYER)
    assert (book.outstanding_principal, book.autopay.instrument) == (25769, OTHER_CARD)


def test_a_debt_that_comes_before_its_account_is_collected_from_the_orders_instrument() -> None:
    done = Given(billing).when(accepted(), now=local("03-12 10:00"))
    assert done.given.row(Book, BUYER).autopay.instrument == CARD


def test_set_autopay_answers_with_what_stands_now() -> None:
    story = after_accepting().then(SetAutopay(buyer_id=BUYER, enabled=False), at="03-13 10:00")
    assert story.told[-1] == AutopayChanged(buyer_id=BUYER, enabled=False, instrument=CARD)


def test_autopay_cannot_take_from_an_external_instrument() -> None:
    external = Instrument(kind="EXTERNAL", token="cash")
    story = after_accepting().then(SetAutopay(buyer_id=BUYER, enabled=True, instrument=external), at="03-13 10:00")
    assert story.code == "INSTRUMENT_NOT_ALLOWED"


def test_autopay_of_a_buyer_without_an_account_is_unknown_account() -> None:
    assert Given(billing).when(SetAutopay(buyer_id=BUYER, enabled=True), now=local("03-13 10:00")).rejected.code == (
        "UNKNOWN_ACCOUNT"
    )


NAMINGS = [
    AccountActivated(buyer_id=BUYER, currency="CNY", score=640, limit=200000, instrument=CARD),
    SetAutopay(buyer_id=BUYER, enabled=True, instrument=OTHER_CARD),
    SetAutopay(buyer_id=BUYER, enabled=False),
    CardBound(buyer_id=BUYER, instrument=THIRD_CARD),
    SetAutopay(buyer_id=BUYER, enabled=True, instrument=OTHER_CARD),
]


def named(story: Story, *messages: Message) -> Story:
    """These messages come one after another, under the same ids in every story."""
    for number, message in enumerate(messages):
        story = story.then(message, at="03-13 10:00", cause=Cause(f"naming-{number}"))
    return story


@pytest.mark.parametrize("count", range(1, len(NAMINGS) + 1))
def test_law_4_whatever_named_a_card_is_read_again_and_the_youngest_stays(count: int) -> None:
    story = named(after_accepting(), *NAMINGS[:count])
    assert named(story, *NAMINGS[:count]).row(Book, BUYER) == story.row(Book, BUYER)


def test_law_4_commands_that_named_cards_are_read_again_and_lift_no_block() -> None:
    choices = [SetAutopay(buyer_id=BUYER, enabled=True, instrument=card) for card in (OTHER_CARD, THIRD_CARD)]
    hard = report(FIRST, "DECLINED", 25769, "03-19 14:01", decline="HARD")
    blocked = named(after_accepting(), *choices).then(hard, at="03-19 14:01")
    assert blocked.row(Book, BUYER).autopay.blocked
    assert named(blocked, *choices).row(Book, BUYER) == blocked.row(Book, BUYER)


# -- automatic attempts ------------------------------------------------------------------------------------------------


def test_b_c_2_a_skipped_attempt_waits_for_the_next_offset() -> None:
    off = after_accepting(enabled=False).until("03-19 14:00")
    assert off.events(CollectionRequested) == []
    on = off.then(SetAutopay(buyer_id=BUYER, enabled=True), at="03-19 15:00").until("03-20 14:00")
    assert [request.repayment_id for request in on.events(CollectionRequested)] == [attempt("o-1", 1)]


def test_b_c_2_after_the_last_offset_nothing_is_attempted() -> None:
    assert after_accepting(enabled=False).until("04-01 14:00").armed(Collect) == []


def test_b_c_2_an_offset_is_never_tried_twice() -> None:
    story = after_accepting().then(report(FIRST, "DECLINED", 25769, "03-19 14:01"), at="03-19 14:01")
    again = Collect(BUYER, "b:o-1", ("o-1",), 0)
    assert story.given.when(again, now=local("03-19 14:02")).rows == []


def test_b_c_3_a_hard_decline_blocks_the_instrument() -> None:
    story = after_accepting().then(
        report(FIRST, "DECLINED", 25769, "03-19 14:01", decline="HARD", reason="CARD_STOLEN"), at="03-19 14:01"
    )
    failed = story.events(CollectionFailed)[0]
    assert (failed.reason, failed.decline, failed.final, failed.stop_reason, failed.next_at) == (
        "CARD_STOLEN",
        "HARD",
        True,
        "HARD_DECLINED",
        None,
    )
    assert story.armed(Ask) == []
    assert len(story.until("04-02 00:00").events(CollectionRequested)) == 1


def test_b_c_3_a_new_instrument_lifts_the_block() -> None:
    blocked = after_accepting().then(report(FIRST, "DECLINED", 25769, "03-19 14:01", decline="HARD"), at="03-19 14:01")
    same = blocked.then(SetAutopay(buyer_id=BUYER, enabled=True, instrument=CARD), at="03-19 15:00")
    assert len(same.until("03-20 14:00").events(CollectionRequested)) == 1
    for message in (
        SetAutopay(buyer_id=BUYER, enabled=True, instrument=OTHER_CARD),
        CardBound(buyer_id=BUYER, instrument=OTHER_CARD),
    ):
        request = blocked.then(message, at="03-19 15:00").until("03-20 14:00").events(CollectionRequested)[-1]
        assert (request.instrument, request.attempt) == (OTHER_CARD, 2)


def test_b_c_3_a_hard_decline_of_a_replaced_card_blocks_nothing() -> None:
    story = (
        after_accepting().until("03-19 14:00").then(CardBound(buyer_id=BUYER, instrument=OTHER_CARD), at="03-19 14:00")
    )
    failed = story.then(report(FIRST, "DECLINED", 25769, "03-19 14:01", decline="HARD"), at="03-19 14:01").told[-1]
    assert (failed.final, failed.next_at) == (False, local("03-20 14:00"))


def test_b_c_3_a_decline_without_autopay_says_so() -> None:
    story = after_accepting().until("03-19 14:00").then(SetAutopay(buyer_id=BUYER, enabled=False), at="03-19 14:00")
    failed = story.then(report(FIRST, "DECLINED", 25769, "03-19 14:01"), at="03-19 14:01").told[-1]
    assert (failed.decline, failed.final, failed.stop_reason) == ("SOFT", True, "AUTOPAY_OFF")


# -- the provider's silence --------------------------------------------------------------------------------------------


def test_b_c_4_the_provider_is_asked_seven_times_then_a_person_must_look() -> None:
    second = local("03-19 15:15")
    instants = [local("03-19 14:15"), second, *(second + timedelta(days=day) for day in range(1, 6))]
    assert questions(after_accepting(), until="03-25 00:00") == [
        (at, ask, "UNKNOWN", ask == 7) for ask, at in enumerate(instants, start=1)
    ]


def questions(story: Story, until: str) -> list[tuple]:
    """When the provider was asked, which time that was, what was known, and whether it was the last."""
    given, asked = story.given, []
    while given.armed[0].at < local(until):
        at = given.armed[0].at
        done = next(given.until(at))
        asked += [
            (at, one.ask, one.outcome, one.unresolved) for one in done.events if isinstance(one, CollectionPending)
        ]
        given = done.given
    return asked


@pytest.mark.parametrize("outcome", ["PENDING", "UNKNOWN"])
def test_b_c_4_the_first_report_that_nothing_is_known_hurries_the_first_question(outcome: str) -> None:
    story = after_accepting().then(report(FIRST, outcome, 25769, "03-19 14:02"), at="03-19 14:02")
    pending = story.told[-1]
    assert (pending.outcome, pending.ask, pending.unresolved) == (outcome, 0, False)
    assert story.armed(Ask) == [local("03-19 14:07")]
    repeated = story.then(report(FIRST, "PENDING", 25769, "03-19 14:05"), at="03-19 14:05")
    assert repeated.armed(Ask) == [local("03-19 14:07")]


def test_b_c_4_later_reports_do_not_move_the_questions() -> None:
    asked = after_accepting().until("03-19 14:15")
    assert asked.row(Repayment, FIRST).status is RepaymentStatus.UNKNOWN
    story = asked.then(report(FIRST, "PENDING", 25769, "03-19 14:20"), at="03-19 14:20")
    assert story.armed(Ask) == [local("03-19 15:15")]
    assert story.until("03-19 15:15").told[-1].outcome == "PENDING"


def test_b_c_4_an_unresolved_repayment_no_longer_holds_the_bill_but_still_counts() -> None:
    story = after_accepting().until("03-24 15:14")
    assert story.row(Bill, "b:o-1").in_flight is not None
    given_up = story.until("03-24 15:15")
    assert given_up.row(Bill, "b:o-1").in_flight is None
    assert given_up.until("03-25 14:00").events(CollectionRequested)[-1].repayment_id == attempt("o-1", 6)
    late = given_up.then(report(FIRST, "SUCCEEDED", 25769, "03-19 14:01"), at="03-24 16:00")
    assert late.events(BillPaid)[0].max_dpd == 0


def test_a_missing_outcome_is_never_success() -> None:
    story = after_accepting().until("12-31 00:00")
    assert story.events(RepaymentAllocated) == []
    assert story.row(Bill, "b:o-1").status is BillStatus.CHARGED_OFF


def test_the_late_truth_of_a_failed_repayment_counts() -> None:
    story = after_accepting().then(report(FIRST, "DECLINED", 25769, "03-19 14:01"), at="03-19 14:01")
    late = story.then(report(FIRST, "SUCCEEDED", 25769, "03-19 14:01"), at="03-19 18:00")
    assert late.names[-3:] == ["RepaymentAllocated", "BillPaid", "PlanSettled"]
    assert late.until("04-02 00:00").names == late.names


# -- what a report must not say ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "other"),
    [
        ("AMOUNT_MISMATCH", {"amount": 25768}),
        ("CURRENCY_MISMATCH", {"currency": "EUR"}),
        ("TIME_IN_FUTURE", {"occurred_at": local("03-19 14:03") + timedelta(seconds=1)}),
        ("UNKNOWN_REPAYMENT", {"repayment_id": "another-buyers"}),
    ],
)
def test_a_report_that_contradicts_the_request_changes_nothing(code: str, other: dict) -> None:
    """B-C5: nothing is allocated, the asks go on."""
    told = report(FIRST, "SUCCEEDED", 25769, "03-19 14:01").model_copy(update=other)
    story = after_accepting().until("03-19 14:02").then(told, at="03-19 14:02")
    assert story.code == code
    assert story.row(Bill, "b:o-1").in_flight is not None
    assert story.armed(Ask) == [local("03-19 14:15")]


def test_h_5_a_senders_clock_may_be_a_minute_ahead() -> None:
    told = report(FIRST, "SUCCEEDED", 25769, "03-19 14:03")
    assert after_accepting().then(told, at="03-19 14:02").code is None


# -- the buyer pays by hand --------------------------------------------------------------------------------------------


def test_repay_bill_asks_the_provider_and_success_pays_the_bill_early() -> None:
    story = after_accepting().then(repay(), at="03-14 10:00")
    request = story.told[-1]
    assert (request.mode, request.bill_id, request.order_id, request.attempt) == ("MANUAL", "b:o-1", None, 1)
    assert story.armed(Ask) == [local("03-14 10:15")]
    paid = story.then(report("pay-1", "SUCCEEDED", 25769, "03-14 10:01"), at="03-14 10:01")
    assert paid.events(BillPaid)[0].paid_on < paid.events(BillPaid)[0].due_on
    assert paid.given.armed == []


def test_an_order_can_be_paid_instead_of_its_bill() -> None:
    story = after_accepting().then(repay(order_id="o-1"), at="03-14 10:00")
    assert (story.told[-1].bill_id, story.told[-1].order_id) == (None, "o-1")
    assert story.row(Bill, "b:o-1").in_flight.repayment_id == "pay-1"
    paid = story.then(report("pay-1", "SUCCEEDED", 25769, "03-14 10:01"), at="03-14 10:01")
    assert paid.names[-3:] == ["RepaymentAllocated", "BillPaid", "PlanSettled"]


def test_a_part_payment_leaves_the_rest_to_the_due_date() -> None:
    story = after_accepting().then(repay(amount=20000), at="03-14 10:00")
    story = story.then(report("pay-1", "SUCCEEDED", 20000, "03-14 10:01"), at="03-14 10:01")
    allocated = story.events(RepaymentAllocated)[0]
    assert (allocated.outstanding_principal, allocated.book_version) == (5769, 2)
    assert story.events(BillPaid) == []
    assert story.until("03-19 14:00").events(CollectionRequested)[-1].amount == 5769


def test_a_manual_decline_leaves_it_to_the_next_automatic_attempt() -> None:
    story = after_accepting().then(repay(instrument=OTHER_CARD), at="03-14 10:00")
    told = report("pay-1", "DECLINED", 25769, "03-14 10:01", decline="HARD")
    failed = story.then(told, at="03-14 10:01").told[-1]
    assert (failed.final, failed.next_at) == (False, local("03-19 14:00"))


def test_b_a_3_what_nobody_owed_goes_back_to_the_instrument_it_came_from() -> None:
    """Example 11's double payment, here by hand while the automatic one is unresolved."""
    story = after_accepting().until("03-24 15:15").then(repay(instrument=OTHER_CARD), at="03-24 16:00")
    story = story.then(report("pay-1", "SUCCEEDED", 25769, "03-24 16:01"), at="03-24 16:01")
    late = story.then(report(FIRST, "SUCCEEDED", 25769, "03-19 14:01"), at="03-24 17:00")
    assert late.told[-2:] == (
        RepaymentAllocated(
            buyer_id=BUYER,
            repayment_id=FIRST,
            currency="CNY",
            mode="AUTO",
            instrument=CARD,
            amount=25769,
            paid_on=local("03-19 14:00").date(),
            allocations=(),
            outstanding_principal=0,
            book_version=2,
        ),
        OverpaymentDetected(
            buyer_id=BUYER,
            overpayment_id=f"{FIRST}:o1",
            currency="CNY",
            amount=25769,
            repayment_id=FIRST,
            instrument=CARD,
            reason="EXCEEDS_DEBT",
        ),
    )


def test_b_c_3_a_decline_of_a_bill_paid_meanwhile_is_final() -> None:
    story = after_accepting().until("03-24 15:15").then(repay(), at="03-24 16:00")
    story = story.then(report("pay-1", "SUCCEEDED", 25769, "03-24 16:01"), at="03-24 16:01")
    failed = story.then(report(FIRST, "DECLINED", 25769, "03-19 14:01"), at="03-24 17:00").told[-1]
    assert (failed.final, failed.stop_reason) == (True, "PAID")


@pytest.mark.parametrize(
    ("code", "command"),
    [
        ("UNKNOWN_BILL", repay(bill_id="b:another-buyers")),
        ("UNKNOWN_ORDER", repay(order_id="another-buyers")),
        ("CURRENCY_MISMATCH", repay(currency="EUR")),
        ("INSTRUMENT_NOT_ALLOWED", repay(instrument=Instrument(kind="EXTERNAL", token="cash"))),
        ("AMOUNT_EXCEEDS_OUTSTANDING", repay(amount=25770)),
        ("AMOUNT_EXCEEDS_OUTSTANDING", repay(amount=0)),
    ],
)
def test_a_repayment_that_cannot_be_is_refused(code: str, command: object) -> None:
    story = after_accepting().then(command, at="03-14 10:00")
    assert story.code == code
    assert story.events(CollectionRequested) == []


def test_b_a_2_the_refusal_names_what_is_outstanding() -> None:
    story = after_accepting().then(repay(amount=30000), at="03-14 10:00")
    assert story.rejected.details == {"outstanding": 25769}


@pytest.mark.parametrize(
    ("command", "state"), [(repay(amount=1), "PAID"), (repay(amount=1, order_id="o-1"), "SETTLED")]
)
def test_a_paid_bill_or_order_takes_no_payment(command: RepayBill, state: str) -> None:
    paid = after_accepting().then(report(FIRST, "SUCCEEDED", 25769, "03-19 14:01"), at="03-19 14:01")
    refused = paid.then(command, at="03-20 10:00")
    assert (refused.code, refused.rejected.details["from"]) == ("ILLEGAL_TRANSITION", state)


@pytest.mark.parametrize("command", [repay("pay-2"), repay("pay-2", order_id="o-1")])
def test_b_c_1_one_repayment_at_a_time(command: object) -> None:
    story = after_accepting().then(repay(), at="03-14 10:00").then(command, at="03-14 10:01")
    assert story.code == "COLLECTION_IN_FLIGHT"
    assert story.rejected.details["repayment_id"] == "pay-1"
    declined = story.then(report("pay-1", "DECLINED", 25769, "03-14 10:02"), at="03-14 10:02")
    assert declined.then(command, at="03-14 10:03").code is None


def test_b_c_1_a_manual_repayment_in_flight_skips_the_automatic_attempt() -> None:
    story = after_accepting().then(repay(), at="03-19 13:59").until("03-19 14:00")
    assert [request.mode for request in story.events(CollectionRequested)] == ["MANUAL"]


def test_h_3_the_same_request_again_is_already_done() -> None:
    story = after_accepting().then(repay(), at="03-14 10:00", cause=Cause("1", "digest"))
    again = story.then(repay(), at="03-14 10:01", cause=Cause("2", "digest"))
    other = story.then(repay(amount=1), at="03-14 10:01", cause=Cause("3", "another digest"))
    assert (again.code, other.code) == ("ALREADY_DONE", "ALREADY_EXISTS")
    assert again.rejected.details == {"repayment_id": "pay-1", "status": "REQUESTED", "amount": 25769}


@pytest.mark.parametrize("kind", ["CARD", "WALLET", "BANK", "ALIPAY", "WECHAT"])
def test_every_kind_of_instrument_but_an_external_one_can_be_charged(kind: str) -> None:
    """BIL-07: by its opaque token, for the buyer and for the due date."""
    instrument = Instrument(kind=kind, token="tok_any")
    story = after_accepting(instrument=instrument).until("03-19 14:00")
    assert story.events(CollectionRequested)[0].instrument == instrument
    by_hand = after_accepting().then(repay(instrument=instrument), at="03-14 10:00")
    assert by_hand.events(CollectionRequested)[0].instrument == instrument


def test_the_debt_is_what_was_accepted_with_its_freight() -> None:
    """BIL-08, BIL-16: goods of 25000 and freight of 769."""
    goods = AcceptedLine(
        line_id="1", sku="case", category="ACCESSORY", quantity=1, goods=25000, freight=769, returnable=True
    )
    story = Story.of_a_buyer().then(accepted(lines=(goods,)), at="03-12 10:00")
    assert story.events(PlanOpened)[0].principal == 25769
