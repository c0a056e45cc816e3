"""A later due date: who grants it, what is refused, and what follows (B-E, BIL-13)."""

from collections.abc import Callable
from datetime import date

import pytest
from billing_stories import (
    CARD,
    TERMS,
    Story,
    accepted,
    after_accepting,
    attempt,
    closed,
    decide,
    extend,
    local,
    monthly,
    notice,
    opened,
    report,
)

from services.billing.deadlines import Collect, DueSoon, ExtensionEnd, Step
from services.billing.state import Bill, BillStatus, Extension, ExtensionStatus
from shared.contracts.billing import (
    BillDueSoon,
    CollectionRequested,
    DelinquencyChanged,
    ExtensionDecided,
    ExtensionRequested,
    LateFeeAssessed,
)
from shared.contracts.policy import ExtensionTerms
from shared.engine.vocabulary import Cause

MERCHANT_DECIDES = TERMS.model_copy(update={"extension": ExtensionTerms(approver="MERCHANT")})


def asked(terms: object = MERCHANT_DECIDES) -> Story:
    """Order o-1 of 12000, due on 03-19; its buyer asks the merchant for seven days on 03-18 10:00."""
    story = Story.of_a_buyer(enabled=False).then(accepted(amount=12000, terms=terms), at="03-12 10:00")
    return story.then(extend(7), at="03-18 10:00")


# -- who decides -------------------------------------------------------------------------------------------------------


def test_b_e_a_merchant_is_asked_and_grants_it() -> None:
    story = asked()
    (told,) = story.events(ExtensionRequested)
    assert (told.approver, told.days, told.fee, told.until) == ("MERCHANT", 7, 0, local("03-20 10:00"))
    assert story.armed(ExtensionEnd) == [local("03-20 10:00")]
    granted = story.then(decide("GRANTED"), at="03-19 10:00")
    assert [(one.decision, one.due_on, one.due_version) for one in granted.events(ExtensionDecided)] == [
        ("GRANTED", date(2027, 3, 26), 2)
    ]
    assert granted.armed(ExtensionEnd) == []
    assert granted.row(Extension, "ext-1").status is ExtensionStatus.GRANTED


def test_b_e_a_merchant_declines_it_and_the_due_date_stays() -> None:
    story = asked().then(decide("DECLINED"), at="03-19 10:00")
    assert [(one.decision, one.due_on) for one in story.events(ExtensionDecided)] == [("DECLINED", None)]
    assert story.row(Bill, "b:o-1").due_on == date(2027, 3, 19)
    assert story.then(extend(7, extension_id="ext-2"), at="03-19 11:00").code is None


def test_b_e_nobody_answers_for_48_hours_and_it_lapses() -> None:
    story = asked().until("03-20 10:00")
    assert [one.decision for one in story.events(ExtensionDecided)] == ["LAPSED"]
    assert story.then(decide("GRANTED"), at="03-20 11:00").code == "ILLEGAL_TRANSITION"


def test_b_e_a_statement_that_mixes_merchants_is_decided_by_the_platform() -> None:
    story = Story.of_a_buyer(enabled=False).then(monthly("o-1", 12000, 1, terms=MERCHANT_DECIDES), at="01-12 10:00")
    story = story.then(monthly("o-2", 5000, 1, merchant_id="m-43"), at="01-12 11:00")
    story = story.then(extend(7, bill_id="m:b-7:2027-02-01"), at="02-20 10:00")
    assert story.events(ExtensionRequested)[0].approver == "PLATFORM"
    answer = decide("GRANTED", bill_id="m:b-7:2027-02-01")
    refused = story.then(answer, at="02-20 11:00")
    assert (refused.code, refused.rejected.details) == (
        "PARTY_NOT_ALLOWED",
        {"by": "MERCHANT", "allowed": ["PLATFORM"]},
    )
    assert story.then(answer.model_copy(update={"by": "PLATFORM"}), at="02-20 11:00").code is None


# -- what is refused ---------------------------------------------------------------------------------------------------


def granted_once() -> Story:
    return after_accepting(12000, enabled=False).then(extend(7), at="03-18 10:00")


def wholly_paused() -> Story:
    return after_accepting(12000).then(opened(share=12000), at="03-16 10:00")


def scheduled() -> Story:
    return Story.of_a_buyer().then(monthly(), at="01-12 10:00")


def paid() -> Story:
    return after_accepting().then(report(attempt("o-1", 0), "SUCCEEDED", 25769, "03-19 14:01"), at="03-19 14:01")


def another_open() -> Story:
    return asked().then(accepted("o-2", 5000, "03-18 11:00"), at="03-18 11:00")


def decided() -> Story:
    return asked().then(decide(), at="03-18 11:00")


@pytest.mark.parametrize(
    ("before", "command", "at", "code"),
    [
        (granted_once, extend(7, extension_id="ext-2"), "03-20 10:00", "EXTENSION_USED"),
        (another_open, extend(7, extension_id="ext-2", bill_id="b:o-2"), "03-18 12:00", "EXTENSION_OPEN"),
        (after_accepting, extend(8), "03-18 10:00", "EXTENSION_NOT_OFFERED"),
        (after_accepting, extend(7), "03-23 00:00", "TOO_LATE"),
        (scheduled, extend(7, bill_id="m:b-7:2027-02-01"), "01-20 10:00", "ILLEGAL_TRANSITION"),
        (paid, extend(7), "03-20 10:00", "ILLEGAL_TRANSITION"),
        (wholly_paused, extend(7), "03-18 10:00", "ILLEGAL_TRANSITION"),
        (after_accepting, extend(7, bill_id="b:o-9"), "03-18 10:00", "UNKNOWN_BILL"),
        (asked, decide("GRANTED", by="PLATFORM"), "03-18 11:00", "PARTY_NOT_ALLOWED"),
        (asked, decide("GRANTED", extension_id="ext-9"), "03-18 11:00", "UNKNOWN_EXTENSION"),
        (another_open, decide("GRANTED", bill_id="b:o-2"), "03-18 12:00", "UNKNOWN_EXTENSION"),
        (decided, decide(), "03-18 12:00", "ALREADY_DONE"),
        (decided, decide("DECLINED"), "03-18 12:00", "ILLEGAL_TRANSITION"),
    ],
)
def test_b_e_what_is_refused_changes_nothing(before: Callable[[], Story], command: object, at: str, code: str) -> None:
    story = before().until(at)
    refused = story.then(command, at=at)
    assert refused.code == code
    assert refused.given.rows == story.given.rows


@pytest.mark.parametrize(("digest", "code"), [("same", "ALREADY_DONE"), ("other", "ALREADY_EXISTS")])
def test_h_3_a_wish_whose_id_is_taken(digest: str, code: str) -> None:
    story = Story.of_a_buyer(enabled=False).then(accepted(amount=12000, terms=MERCHANT_DECIDES), at="03-12 10:00")
    story = story.then(extend(7), at="03-18 10:00", cause=Cause("message-2", "same"))
    assert story.then(extend(7), at="03-18 11:00", cause=Cause("message-3", digest)).code == code


# -- what follows ------------------------------------------------------------------------------------------------------


def test_b_e_reminders_collections_and_steps_begin_anew() -> None:
    story = after_accepting(12000).until("03-18 09:30").then(extend(7), at="03-18 10:00")
    assert [story.armed(kind) for kind in (DueSoon, Collect, Step)] == [
        [local("03-23 09:00")],
        [local("03-26 14:00")],
        [local("03-27 00:00")],
    ]
    later = story.until("03-27 00:00")
    assert [(one.due_version, one.days_left) for one in later.events(BillDueSoon)] == [
        (1, 3),
        (1, 1),
        (2, 3),
        (2, 1),
        (2, 0),
    ]
    assert [one.repayment_id for one in later.events(CollectionRequested)] == ["a:b:o-1:2:0"]


def test_b_e_a_reminder_of_the_old_date_proves_nothing_about_the_new_one() -> None:
    """B-F5: evidence goes by due_version."""
    story = after_accepting(12000, enabled=False).then(notice("03-16 09:01"), at="03-16 09:01")
    story = story.then(extend(7), at="03-18 10:00").until("03-30 00:00")
    assert story.events(LateFeeAssessed) == []


def test_b_d_2_an_extension_cures_and_its_ladder_starts_at_the_bottom() -> None:
    story = after_accepting(12000, enabled=False).then(extend(7), at="03-21 10:00")
    assert [(one.dpd, one.stage) for one in story.events(DelinquencyChanged)] == [(1, "REMINDER"), (0, "NONE")]
    bill = story.row(Bill, "b:o-1")
    assert (bill.status, bill.last_step, bill.max_dpd) == (BillStatus.ISSUED, 0, 0)
    again = story.until("03-27 00:00")
    assert [(one.dpd, one.stage) for one in again.events(DelinquencyChanged)][-1] == (1, "REMINDER")


def test_b_e_what_is_paused_meanwhile_is_due_later_too() -> None:
    """B-H3: the paused order of the statement goes on from its later date when its case is closed."""
    statement = "m:b-7:2027-02-01"
    story = Story.of_a_buyer(enabled=False)
    for order_id in ("o-1", "o-2"):
        story = story.then(monthly(order_id, 5000, 1), at="01-12 10:00")
    story = story.then(opened(share=5000, order_id="o-2"), at="02-25 10:00")
    story = story.then(extend(14, bill_id=statement), at="03-02 10:00")
    story = story.then(closed(order_id="o-2"), at="03-04 10:00")
    bill = story.row(Bill, statement)
    assert [(one.order_id, one.due_on, one.due_version) for one in bill.lines] == [
        ("o-1", date(2027, 3, 17), 2),
        ("o-2", date(2027, 3, 17), 2),
    ]


def test_a_collection_in_flight_goes_on_under_an_extension() -> None:
    story = after_accepting(12000).until("03-19 14:00").then(extend(7), at="03-19 15:00")
    story = story.then(report(attempt("o-1", 0), "SUCCEEDED", 12000, "03-19 16:00"), at="03-19 16:00")
    assert story.row(Bill, "b:o-1").status is BillStatus.PAID
    assert story.armed(Step) == []
    assert story.events(CollectionRequested)[0].instrument == CARD
