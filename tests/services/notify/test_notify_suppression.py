"""What a buyer is not told: twice, what is not wanted, what no longer holds (N-R2, N-R4, N-R5)."""

from typing import Any

import pytest
from notify_story import (
    BILL,
    BUYER,
    SMS_AND_EMAIL,
    Story,
    authorized,
    cause,
    cured,
    due_soon,
    example,
    extended,
    fee,
    local,
    overdue,
)

from services.notify.deadlines import NoReport, Retry
from services.notify.rules.catalogue import CATALOGUE, MUTABLE_KINDS
from services.notify.state import Notice, NoticeStatus, Subject
from shared.contracts.billing import BillChargedOff, BillPaid, BillPaused, BillResumed, BillVoided, FeeReversed
from shared.contracts.checkout import AccountStatusChanged, CreditLineChanged
from shared.contracts.message import Event
from shared.contracts.notify import NoticeSent, NoticeSuppressed, PreferencesChanged, SetPreferences

OTHER_BILL = "b:o-2"


def reasons(story: Story) -> list[tuple[str, str]]:
    return [(event.kind, event.reason) for event in story.events(NoticeSuppressed)]


# -- said before -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second", "reason"),
    [
        (due_soon(days_left=3), due_soon(days_left=3, amount_due=1), "DUPLICATE"),
        (due_soon(days_left=3), due_soon(days_left=1), None),
        (due_soon(due_version=1), due_soon(due_version=2), None),
        (due_soon(), due_soon(OTHER_BILL), None),
        (overdue(dpd=1), overdue(dpd=1, amount_due=1), "DUPLICATE"),
        (overdue(dpd=1), overdue(dpd=4), None),
        (overdue(due_version=1), overdue(due_version=2), None),
        (fee(), fee(), None),
        (extended(), extended(), None),
        (authorized(), authorized(), None),
        (example(AccountStatusChanged), example(AccountStatusChanged), None),
    ],
)
def test_n_r_4_the_same_is_said_once(first: Event, second: Event, reason: str | None) -> None:
    story = Story.of_a_stranger().then(first, at="03-20 10:00").then(second, at="03-20 10:01")
    assert [event.reason for event in story.events(NoticeSuppressed)] == ([reason] if reason else [])
    assert story.names.count("NoticeSent") == (1 if reason else 2)


def test_n_r_4_what_the_caps_held_back_is_a_duplicate_when_it_comes_again() -> None:
    story = Story.of_a_stranger()
    for bill in ("b:o-1", "b:o-2", "b:o-3", "b:o-4", "b:o-4"):
        story = story.then(overdue(bill), at="03-20 10:00")
    assert reasons(story) == [("OVERDUE", "CAP"), ("OVERDUE", "DUPLICATE")]


def test_law_4_an_event_read_again_does_nothing() -> None:
    bill_events = (due_soon(), overdue(), cured(), fee(), extended(), example(FeeReversed), example(BillChargedOff))
    for event in (authorized(), *bill_events, example(BillPaid), example(BillPaused, amount_due=0)):
        story = Story.of_a_buyer().then(event, at="03-20 10:00", by=cause(7))
        assert story.then(event, at="03-20 10:20", by=cause(7)).last.yields == []


def test_a_subject_keeps_the_last_two_hundred_events() -> None:
    story = Story.of_a_stranger()
    for _ in range(203):
        story = story.then(example(AccountStatusChanged), at="03-20 10:00")
    (account,) = story.rows(Subject)
    assert account.heard == tuple(cause(number).id for number in range(3, 203))
    story = Story.of_a_stranger()
    for days in range(205):
        story = story.then(overdue(dpd=days + 1), at="03-20 10:00")
    (bill,) = story.rows(Subject)
    assert bill.seen == tuple(f"OVERDUE:1:{dpd}" for dpd in range(6, 206))


# -- not wanted --------------------------------------------------------------------------------------------------------


def prefer(**stated: Any) -> SetPreferences:
    return SetPreferences(buyer_id=BUYER, **stated)


@pytest.mark.parametrize(
    ("kind", "event"),
    [
        ("ORDER_STATUS", authorized()),
        ("SCORE_IMPACT", example(CreditLineChanged, score_delta=-9)),
        ("BILL_CHANGED", example(BillResumed)),
        ("BILL_CHANGED", extended()),
    ],
)
def test_n_r_4_a_muted_kind_is_not_sent(kind: str, event: Event) -> None:
    story = Story.of_a_buyer().then(prefer(muted=(kind,)), at="03-20 10:00").then(event, at="03-20 10:01")
    assert reasons(story) == [(kind, "MUTED")]
    assert (story.notice.status, story.notice.reason) == (NoticeStatus.SUPPRESSED, "MUTED")
    assert story.then(prefer(muted=()), at="03-20 10:02").then(event, at="03-20 10:03").requested == [(kind, "SMS")]


@pytest.mark.parametrize("kind", sorted({occasion.kind for occasion in CATALOGUE.values()} - MUTABLE_KINDS))
def test_n_r_4_what_is_owed_to_the_buyer_cannot_be_muted(kind: str) -> None:
    story = Story.of_a_buyer().then(prefer(muted=("ORDER_STATUS", kind), locale="en"), at="03-20 10:00")
    assert (story.code, story.rejected.details) == ("NOT_MUTABLE", {"kinds": [kind]})
    assert story.mailbox.locale == "zh-CN"


def test_preferences_stay_where_nothing_is_said_of_them() -> None:
    story = Story.of_a_stranger().then(
        prefer(locale="en", contacts=SMS_AND_EMAIL, order={"DEBT": ("EMAIL",)}, muted=("ORDER_STATUS",)),
        at="03-20 10:00",
    )
    story = story.then(prefer(order={"LEGAL": ("SMS",)}), at="03-20 10:01")
    assert story.told[-1] == PreferencesChanged(
        buyer_id=BUYER, locale="en", order={"DEBT": ("EMAIL",), "LEGAL": ("SMS",)}, muted=("ORDER_STATUS",)
    )
    assert story.mailbox.contacts == SMS_AND_EMAIL
    story = story.then(prefer(contacts={"PUSH": "contact-push"}, order={"DEBT": ()}, muted=()), at="03-20 10:02")
    assert story.mailbox.contacts == {"PUSH": "contact-push"}
    assert (story.mailbox.order["DEBT"], story.mailbox.muted) == ((), ())


# -- no way ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "contacts", "order", "channel"),
    [
        (authorized(), ("PUSH", "SMS", "EMAIL"), {}, "PUSH"),
        (authorized(), ("SMS", "EMAIL"), {}, "SMS"),
        (overdue(), ("PUSH", "SMS", "EMAIL"), {}, "SMS"),
        (overdue(), ("PUSH", "EMAIL"), {}, "PUSH"),
        (authorized(), ("SMS", "EMAIL"), {"TRANSACTIONAL": ("EMAIL", "SMS")}, "EMAIL"),
        (authorized(), ("SMS", "EMAIL"), {"DEBT": ("EMAIL", "SMS")}, "SMS"),
        (authorized(), ("PHONE",), {"TRANSACTIONAL": ("PHONE", "IN_APP")}, "IN_APP"),
        (authorized(), ("PHONE",), {"TRANSACTIONAL": ("PHONE",)}, None),
        (authorized(), (), {"TRANSACTIONAL": ("SMS", "EMAIL")}, None),
        (overdue(), ("SMS",), {"DEBT": ()}, None),
    ],
)
def test_n_r_2_the_first_channel_that_has_a_contact(
    event: Event, contacts: tuple[str, ...], order: dict[str, Any], channel: str | None
) -> None:
    reached = {one: f"contact-{one}" for one in contacts}
    story = Story.of_a_buyer(contacts=reached, order=order).then(event, at="03-20 10:00")
    assert story.notice.channel == channel
    if channel is None:
        assert [event.reason for event in story.events(NoticeSuppressed)] == ["NO_CONTACT"]
        assert story.mailbox.debt_days == ()


# -- no longer so ------------------------------------------------------------------------------------------------------

PAUSED_WHOLLY = example(BillPaused, amount_due=0)


def reminded_and_overdue() -> Story:
    """A reminder, a dunning and a fee of a bill, the first two of another, other notices of the first; on their way."""
    story = Story.of_a_buyer().then(example(BillResumed), at="03-20 10:00")
    story = story.then(example(BillChargedOff), at="03-20 10:00").then(fee(), at="03-20 10:00")
    for bill in (BILL, OTHER_BILL):
        story = story.then(due_soon(bill), at="03-20 10:00").then(overdue(bill), at="03-20 10:00")
    return story


def cancelled(story: Story) -> list[tuple[str, str]]:
    return sorted((one.kind, one.subject_id) for one in story.rows(Notice) if one.status is NoticeStatus.CANCELLED)


@pytest.mark.parametrize(
    ("event", "kinds"),
    [
        (example(BillPaid), ["BILL_DUE_SOON", "FEE", "OVERDUE"]),
        (example(BillVoided), ["BILL_DUE_SOON", "FEE", "OVERDUE"]),
        (PAUSED_WHOLLY, ["BILL_DUE_SOON", "FEE", "OVERDUE"]),
        (example(BillPaused, amount_due=1), []),
        (extended(), ["BILL_DUE_SOON", "FEE", "OVERDUE"]),
        (extended(decision="DECLINED"), []),
        (extended(decision="LAPSED"), []),
        (cured(), ["OVERDUE"]),
        (overdue(dpd=4), []),
    ],
)
def test_n_r_5_what_no_longer_holds_of_a_bill_is_not_said(event: Event, kinds: list[str]) -> None:
    story = reminded_and_overdue().then(event, at="03-20 10:05")
    assert cancelled(story) == [(kind, BILL) for kind in kinds]
    assert sorted(kind for kind, reason in reasons(story) if reason == "OBSOLETE") == kinds
    gone = {one.notice_id for one in story.rows(Notice) if one.status is NoticeStatus.CANCELLED}
    watched = {one.message.subject for one in story.given.armed if isinstance(one.message, NoReport | Retry)}
    assert not gone & watched


def test_n_r_5_an_extension_is_told_in_place_of_the_arrears_that_wait_for_the_morning() -> None:
    """N-R5, B-E: granted at night, it silences what was to be said at eight, and is told itself at once."""
    story = Story.of_a_stranger().then(overdue(), at="03-20 00:00").then(fee(), at="03-20 00:00")
    story = story.then(extended(), at="03-20 07:00").until("03-20 12:00")
    assert [event.kind for event in story.events(NoticeSent)] == ["BILL_CHANGED"]
    assert sorted(reasons(story)) == [("FEE", "OBSOLETE"), ("OVERDUE", "OBSOLETE")]


def test_n_r_5_an_extended_bill_is_reminded_of_under_its_new_date() -> None:
    """N-R4, N-R5: an extension resolves nothing; it begins another due date."""
    story = Story.of_a_buyer().then(due_soon(), at="03-16 09:00").then(extended(), at="03-16 09:05")
    assert reasons(story) == [("BILL_DUE_SOON", "OBSOLETE")]
    story = story.reported("ACCEPTED", "03-16 09:06").then(due_soon(due_version=2), at="03-23 09:00")
    story = story.reported("ACCEPTED", "03-23 09:01").then(overdue(due_version=2), at="03-27 10:00")
    assert [kind for kind, _ in story.requested] == ["BILL_DUE_SOON", "BILL_CHANGED", "BILL_DUE_SOON", "OVERDUE"]
    assert len(reasons(story)) == 1


def test_law_4_an_extension_read_again_does_not_silence_a_later_dunning() -> None:
    """Law 4: what was heard once does nothing more."""
    story = Story.of_a_buyer().then(extended(), at="03-16 10:00", by=cause(100))
    story = story.then(overdue(due_version=2), at="03-27 10:00")
    assert story.given.when(extended(), now=local("03-16 10:00"), cause=cause(100)).yields == []


@pytest.mark.parametrize("outcome", ["ACCEPTED", "DELIVERED"])
def test_n_r_5_what_is_said_is_said(outcome: str) -> None:
    story = Story.of_a_buyer().then(due_soon(), at="03-16 09:00").reported(outcome, "03-16 09:01")
    assert story.then(example(BillPaid), at="03-16 10:00").last.events == []


def test_n_r_5_a_notice_between_two_tries_is_cancelled_too() -> None:
    story = Story.of_a_buyer().then(due_soon(), at="03-16 09:00").reported("FAILED_SOFT", "03-16 09:01")
    story = story.then(example(BillPaid), at="03-16 09:02")
    assert cancelled(story) == [("BILL_DUE_SOON", BILL)]
    assert story.armed(Retry) == []
    assert len(story.until("03-17 00:00").requested) == 1


@pytest.mark.parametrize("closing", [example(BillPaid), example(BillVoided), PAUSED_WHOLLY])
def test_n_r_4_nobody_is_reminded_of_a_bill_on_which_nothing_is_due(closing: Event) -> None:
    story = Story.of_a_stranger().then(closing, at="03-16 08:00")
    story = story.then(due_soon(), at="03-16 09:00").then(overdue(), at="03-20 00:00").then(fee(), at="03-23 00:00")
    assert reasons(story) == [("BILL_DUE_SOON", "OBSOLETE"), ("OVERDUE", "OBSOLETE"), ("FEE", "OBSOLETE")]
    assert story.then(due_soon(OTHER_BILL), at="03-20 10:00").names[-1] == "NoticeSent"


def test_n_r_5_a_bill_that_is_due_again_is_spoken_of_again() -> None:
    story = Story.of_a_stranger().then(PAUSED_WHOLLY, at="03-16 08:00").then(example(BillResumed), at="03-20 08:00")
    story = story.then(due_soon(due_version=2), at="04-05 09:00")
    assert reasons(story) == []
    assert [event.kind for event in story.told] == ["BILL_CHANGED", "BILL_CHANGED", "BILL_DUE_SOON"]


def test_law_4_a_pause_read_again_does_not_silence_what_was_said_after_it() -> None:
    story = Story.of_a_buyer().then(PAUSED_WHOLLY, at="03-16 08:00", by=cause(100)).reported("ACCEPTED", "03-16 08:01")
    story = story.then(example(BillResumed), at="03-20 08:00").then(due_soon(due_version=2), at="03-20 09:00")
    again = story.given.when(PAUSED_WHOLLY, now=local("03-16 08:00"), cause=cause(100))
    assert again.yields == []


def test_law_4_a_cure_read_again_does_not_silence_a_later_dunning() -> None:
    story = Story.of_a_buyer().then(cured(), at="03-20 10:00", by=cause(100)).then(overdue(dpd=4), at="03-24 10:00")
    assert story.given.when(cured(), now=local("03-20 10:00"), cause=cause(100)).yields == []


def test_what_a_buyer_was_never_told_leaves_only_the_memory_of_it() -> None:
    story = Story.of_a_stranger().then(example(BillPaid), at="03-20 10:00")
    assert story.given.rows == [Subject(BUYER, BILL, heard=(cause(0).id,), resolved=True)]
