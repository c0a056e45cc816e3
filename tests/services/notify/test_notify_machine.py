"""The machine of state.py, walked: retries, channels, reports of every kind at every time (spec 2 and 7)."""

from itertools import product
from typing import Any

import pytest
from notify_story import (
    BUYER,
    OUTCOMES,
    SMS_AND_EMAIL,
    Story,
    due_soon,
    in_status,
    local,
    overdue,
    report,
)

from services.notify.deadlines import Age, NoReport, Release, Retry
from services.notify.service import notify
from services.notify.state import NOTICE_MACHINE, Evidence, Mailbox, Notice, NoticeStatus
from shared.contracts.notify import (
    DeliveryRequested,
    NoticeDelivered,
    NoticeFailed,
    NoticeRetryArmed,
    NoticeSent,
)
from shared.testing.given import Given

S = NoticeStatus
AT = "03-16 22:10"
ALREADY_DONE = {
    (S.SENT, "ACCEPTED"),
    (S.DELIVERED, "ACCEPTED"),
    (S.DELIVERED, "DELIVERED"),
    (S.UNDELIVERABLE, "FAILED_SOFT"),
    (S.UNDELIVERABLE, "BOUNCED"),
    (S.DEFERRED, "FAILED_SOFT"),
    (S.DEFERRED, "BOUNCED"),
}
ILLEGAL = {
    (S.SENT, "FAILED_SOFT"),
    (S.DELIVERED, "FAILED_SOFT"),
    (S.DELIVERED, "BOUNCED"),
    *product((S.CANCELLED,), OUTCOMES),
}
UNKNOWN = set(product((S.SUPPRESSED,), OUTCOMES))


def the_notice(story: Story, status: NoticeStatus) -> Notice:
    (found,) = [one for one in story.notices if one.status is status]
    return found


# -- every report in every state ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "outcome"), list(product(NoticeStatus, OUTCOMES)))
def test_every_report_in_every_state_of_a_notice(status: NoticeStatus, outcome: str) -> None:
    before = in_status(status)
    notice = the_notice(before, status)
    done = before.given.when(report(notice.notice_id, outcome, AT), now=local(AT))
    after = done.given.row(Notice, notice.notice_id)
    refused = ALREADY_DONE | ILLEGAL | UNKNOWN
    if (status, outcome) not in refused:
        assert done.rejected is None
        assert done.events
        assert after.status in NOTICE_MACHINE[status][outcome]
        return
    assert after == notice
    if (status, outcome) in UNKNOWN:
        assert done.rejected.code == "UNKNOWN_NOTICE"
    elif (status, outcome) in ALREADY_DONE:
        assert done.rejected.code == "ALREADY_DONE"
        assert done.rejected.details == {"notice_id": notice.notice_id, "status": str(status)}
    else:
        assert done.rejected.code == "ILLEGAL_TRANSITION"
        allowed = sorted(set(OUTCOMES) & set(NOTICE_MACHINE[status]))
        assert done.rejected.details == {"from": str(status), "allowed": allowed}


def test_the_table_and_its_refusals_leave_no_pair_out_and_name_none_twice() -> None:
    known = {(status, outcome) for status in NoticeStatus for outcome in OUTCOMES if outcome in NOTICE_MACHINE[status]}
    known -= {(S.SENT, "ACCEPTED")}  # known there, as the word of another channel; this one has spoken
    assert known | ALREADY_DONE | ILLEGAL | UNKNOWN == set(product(NoticeStatus, OUTCOMES))
    assert not known & (ALREADY_DONE | ILLEGAL | UNKNOWN)


def test_every_state_has_its_place_in_the_table() -> None:
    leads_to = {state for triggers in NOTICE_MACHINE.values() for states in triggers.values() for state in states}
    assert set(NOTICE_MACHINE) == set(NoticeStatus)
    assert leads_to == set(NoticeStatus)


@pytest.mark.parametrize(("status", "kind"), list(product(NoticeStatus, (Release, NoReport, Retry, Age))))
def test_every_deadline_in_every_state_of_a_notice(status: NoticeStatus, kind: Any) -> None:
    story = in_status(status)
    if (status, kind) == (S.QUEUED, Retry):
        story = story.reported("FAILED_SOFT", "03-16 09:01")
    notice = the_notice(story, status)
    due = Release(BUYER) if kind is Release else kind(BUYER, notice.notice_id)
    done = story.given.when(due, now=local("03-17 08:00"))
    leads_to = NOTICE_MACHINE[status].get(kind.KIND)
    assert bool(done.yields) is (leads_to is not None)
    if leads_to is not None:
        assert done.given.row(Notice, notice.notice_id).status in leads_to


@pytest.mark.parametrize("due", [NoReport(BUYER, "gone"), Retry(BUYER, "gone"), Age(BUYER, "gone"), Release(BUYER)])
def test_a_deadline_of_a_notice_that_is_gone_does_nothing(due: Any) -> None:
    assert Given(notify).when(due, now=local("03-17 08:00")).yields == []


def test_a_deadline_that_was_overtaken_does_nothing() -> None:
    asked = in_status(S.QUEUED)
    assert asked.given.when(Retry(BUYER, asked.notice.notice_id), now=local("03-16 09:05")).yields == []
    waiting = asked.reported("FAILED_SOFT", "03-16 09:01")
    assert waiting.given.when(NoReport(BUYER, waiting.notice.notice_id), now=local("03-16 09:30")).yields == []


# -- tries and channels ------------------------------------------------------------------------------------------------


def test_a_channel_is_tried_three_times_after_five_and_thirty_minutes_then_the_next() -> None:
    story = Story.of_a_buyer().then(due_soon(), at="03-16 09:00")
    story = story.reported("FAILED_SOFT", "03-16 09:01").until("03-16 09:06")
    story = story.reported("FAILED_SOFT", "03-16 09:07").until("03-16 09:37")
    assert [event.until for event in story.events(NoticeRetryArmed)] == [local("03-16 09:06"), local("03-16 09:37")]
    story = story.reported("FAILED_SOFT", "03-16 09:38")
    asked = story.events(DeliveryRequested)
    assert [(one.channel, one.delivery_id[-2:]) for one in asked] == [
        ("SMS", ":1"),
        ("SMS", ":2"),
        ("SMS", ":3"),
        ("EMAIL", ":4"),
    ]
    assert asked[-1].contact_ref == "contact-email"
    assert story.armed(NoReport) == [local("03-16 10:08")]
    assert story.armed(Retry) == []


def test_silence_counts_as_a_failure_after_half_an_hour() -> None:
    story = Story.of_a_buyer().then(due_soon(), at="03-16 09:00").until("03-16 12:00")
    assert story.requested == [("BILL_DUE_SOON", "SMS")] * 3 + [("BILL_DUE_SOON", "EMAIL")] * 2
    armed = [event.until for event in story.events(NoticeRetryArmed)]
    assert armed[:3] == [local("03-16 09:35"), local("03-16 10:35"), local("03-16 11:40")]
    at_last = story.until("03-17 00:00")
    assert at_last.names[-1] == "NoticeSent"
    assert at_last.told[-1].channel == "IN_APP"
    assert at_last.notice.tried == ("SMS", "SMS", "SMS", "EMAIL", "EMAIL", "EMAIL", "IN_APP")


def test_when_every_channel_has_failed_the_notice_has() -> None:
    order = {"TRANSACTIONAL": ("SMS", "EMAIL")}
    story = Story.of_a_buyer(order=order).then(due_soon(), at="03-16 09:00").reported("FAILED_SOFT", "03-16 09:01")
    story = story.until("03-16 09:06").reported("BOUNCED", "03-16 09:07").reported("BOUNCED", "03-16 09:08")
    assert story.told[-1] == NoticeFailed(
        buyer_id=BUYER,
        notice_id=story.notice.notice_id,
        kind="BILL_DUE_SOON",
        subject_id="b:o-1001",
        tried=("SMS", "EMAIL"),
    )
    assert (story.notice.status, story.notice.channel, story.notice.folder) == (S.UNDELIVERABLE, None, "FILED")
    assert story.given.armed == []


def test_a_channel_whose_contact_is_gone_at_the_retry_gives_way_to_the_next() -> None:
    story = in_status(S.QUEUED).reported("FAILED_SOFT", "03-16 09:01")
    due = Retry(BUYER, story.notice.notice_id)
    by_mail = Given(notify, story.notice, Mailbox(BUYER, contacts={"EMAIL": "contact-email"}))
    assert [event.channel for event in by_mail.when(due, now=local("03-16 09:06")).events] == ["EMAIL"]
    by_nothing = Given(notify, story.notice, Mailbox(BUYER, order={"TRANSACTIONAL": ("SMS",)}))
    given_up = by_nothing.when(due, now=local("03-16 09:06"))
    assert [event.tried for event in given_up.events] == [("SMS",)]
    assert given_up.given.row(Notice, story.notice.notice_id).channel is None


def test_a_report_to_a_buyer_without_a_mailbox_is_judged_all_the_same() -> None:
    story = Story(Given(notify, in_status(S.QUEUED).notice))
    bounced = story.then(report(story.notice.notice_id, "BOUNCED", "03-16 09:01"), at="03-16 09:01")
    assert (bounced.names, bounced.notice.channel) == (["NoticeSent"], "IN_APP")


def test_after_a_bounce_the_evidence_stays_and_the_next_channel_gives_its_own() -> None:
    story = Story.of_a_buyer().then(due_soon(), at="03-16 09:00").reported("ACCEPTED", "03-16 09:01")
    story = story.reported("BOUNCED", "03-16 09:10")
    assert (story.notice.status, story.requested[-1]) == (S.QUEUED, ("BILL_DUE_SOON", "EMAIL"))
    assert story.armed(Age) == []
    story = story.reported("ACCEPTED", "03-16 09:11")
    assert story.notice.evidence == (
        Evidence("SMS", local("03-16 09:01")),
        Evidence("EMAIL", local("03-16 09:11")),
    )
    assert story.notice.sent_at == local("03-16 09:01")
    assert [event.channel for event in story.events(NoticeSent)] == ["SMS", "EMAIL"]


# -- what channels say -------------------------------------------------------------------------------------------------


def test_n_r_6_the_evidence_is_of_now_whatever_the_channel_says() -> None:
    asked = in_status(S.QUEUED)
    early = report(asked.notice.notice_id, "ACCEPTED", "03-15 23:00")
    story = asked.then(early, at="03-16 09:20")
    assert [event.sent_at for event in story.events(NoticeSent)] == [local("03-16 09:20")]


def test_n_r_6_the_channel_dates_the_arrival() -> None:
    asked = in_status(S.QUEUED)
    story = asked.then(report(asked.notice.notice_id, "DELIVERED", "03-16 09:10"), at="03-16 09:20")
    sent, delivered = story.told[1:]
    assert isinstance(sent, NoticeSent)
    assert delivered == NoticeDelivered(
        buyer_id=BUYER,
        notice_id=asked.notice.notice_id,
        kind="BILL_DUE_SOON",
        class_="TRANSACTIONAL",
        subject_id="b:o-1001",
        bill_id="b:o-1001",
        due_version=1,
        channel="SMS",
        sent_at=local("03-16 09:20"),
        delivered_at=local("03-16 09:10"),
        read=False,
    )
    assert story.given.armed == []


def test_evidence_that_was_given_is_not_given_again_on_arrival() -> None:
    story = in_status(S.SENT).reported("DELIVERED", "03-16 09:05")
    assert story.names == ["DeliveryRequested", "NoticeSent", "NoticeDelivered"]
    assert story.told[-1].sent_at == local("03-16 09:01")


def test_a_notice_that_arrived_may_be_read_once() -> None:
    story = in_status(S.DELIVERED).reported("READ", "03-16 12:00")
    read = story.told[-1]
    assert (read.read, read.delivered_at) == (True, local("03-16 09:01"))
    assert story.reported("READ", "03-16 13:00").code == "ALREADY_DONE"


def test_section_7_truth_wins_over_a_notice_given_up() -> None:
    story = in_status(S.UNDELIVERABLE).reported("DELIVERED", "03-16 12:00")
    assert story.names[-3:] == ["NoticeFailed", "NoticeSent", "NoticeDelivered"]
    assert (story.notice.status, story.notice.channel) == (S.DELIVERED, "SMS")


def test_a_debt_notice_read_in_the_inbox_is_known_to_have_been_read() -> None:
    story = Story.of_a_stranger().then(overdue(), at="03-20 10:00")
    story = story.then(report(story.notice.notice_id, "READ", "03-20 11:00"), at="03-20 11:00")
    assert (story.told[-1].channel, story.told[-1].read) == ("IN_APP", True)


# -- reports of attempts that were superseded --------------------------------------------------------------------------


def second_attempt() -> Story:
    """SMS failed for now and was asked again: two attempts, the second awaited."""
    return (
        Story.of_a_buyer()
        .then(due_soon(), at="03-16 09:00")
        .reported("FAILED_SOFT", "03-16 09:01")
        .until("03-16 09:06")
    )


def second_channel() -> Story:
    """SMS said nothing three times, now it is the mail's turn: four attempts, the fourth awaited."""
    return Story.of_a_buyer().then(due_soon(), at="03-16 09:00").until("03-16 11:05")


@pytest.mark.parametrize("outcome", ["FAILED_SOFT", "BOUNCED"])
def test_the_failure_of_an_earlier_attempt_is_known(outcome: str) -> None:
    for story in (second_attempt(), second_channel(), second_attempt().reported("ACCEPTED", "03-16 09:07")):
        assert story.reported(outcome, "03-16 11:06", attempt=1).code == "ALREADY_DONE"


@pytest.mark.parametrize("outcome", ["FAILED_SOFT", "BOUNCED"])
def test_an_attempt_fails_once(outcome: str) -> None:
    waiting = in_status(S.QUEUED).reported("FAILED_SOFT", "03-16 09:01")
    assert waiting.reported(outcome, "03-16 09:02").code == "ALREADY_DONE"


def test_an_earlier_attempt_that_was_accepted_ends_the_later_one() -> None:
    story = second_channel().reported("ACCEPTED", "03-16 11:06", attempt=2)
    assert (story.notice.status, story.notice.channel, story.notice.attempt) == (S.SENT, "SMS", 2)
    assert story.armed(NoReport) == []
    assert story.told[-1].channel == "SMS"


def test_a_failure_counts_for_the_attempt_by_which_the_notice_was_sent() -> None:
    story = second_channel().reported("ACCEPTED", "03-16 11:06", attempt=2)
    assert story.reported("BOUNCED", "03-16 11:07", attempt=4).code == "ALREADY_DONE"
    bounced = story.reported("BOUNCED", "03-16 11:07", attempt=2)
    assert bounced.told[-1].channel == "IN_APP"


def test_another_channel_that_took_it_over_as_well_is_evidence_of_its_own() -> None:
    story = second_channel().reported("ACCEPTED", "03-16 11:06", attempt=4)
    also = story.reported("ACCEPTED", "03-16 11:07", attempt=1)
    assert [event.channel for event in also.events(NoticeSent)] == ["EMAIL", "SMS"]
    assert also.reported("ACCEPTED", "03-16 11:08", attempt=3).code == "ALREADY_DONE"


def test_b_f_5_a_channel_that_speaks_after_the_inbox_took_over_is_evidence() -> None:
    story = Story.of_a_buyer(contacts={"SMS": "contact-sms"}).then(due_soon(), at="03-16 09:00").until("03-16 12:00")
    assert [event.channel for event in story.events(NoticeSent)] == ["IN_APP"]
    late = story.reported("ACCEPTED", "03-16 12:00", attempt=3)
    assert [event.channel for event in late.events(NoticeSent)] == ["IN_APP", "SMS"]


@pytest.mark.parametrize("outcome", ["DELIVERED", "READ"])
def test_the_arrival_of_an_earlier_attempt_is_an_arrival(outcome: str) -> None:
    story = second_channel().reported(outcome, "03-16 11:06", attempt=1)
    assert (story.notice.status, story.notice.channel) == (S.DELIVERED, "SMS")
    assert story.armed(NoReport) == []


# -- refusals ----------------------------------------------------------------------------------------------------------


def test_section_7_a_notice_nobody_knows_has_no_reports() -> None:
    assert in_status(S.QUEUED).then(report("no-such", "ACCEPTED", AT), at=AT).code == "UNKNOWN_NOTICE"


@pytest.mark.parametrize("delivery", ["{}", "{}:0", "{}:2", "{}:01", "{}:x", "another:1"])
def test_a_delivery_nobody_asked_for_has_no_reports(delivery: str) -> None:
    story = in_status(S.QUEUED)
    named = report(
        story.notice.notice_id, "ACCEPTED", "03-16 09:01", delivery_id=delivery.format(story.notice.notice_id)
    )
    assert story.then(named, at="03-16 09:01").code == "UNKNOWN_NOTICE"


@pytest.mark.parametrize(
    ("occurred_at", "code"),
    [
        ("03-16 12:01", None),
        ("03-16 12:01:01", "TIME_IN_FUTURE"),
        ("03-15 12:00", None),
        ("03-15 11:59:59", "TIME_IMPLAUSIBLE"),
    ],
)
def test_section_7_a_report_is_of_the_last_day(occurred_at: str, code: str | None) -> None:
    story = in_status(S.SENT)
    late = report(story.notice.notice_id, "DELIVERED", occurred_at)
    assert story.then(late, at="03-16 12:00").code == code


def test_h_5_the_state_is_judged_before_the_time() -> None:
    story = in_status(S.DELIVERED)
    wrong = report(story.notice.notice_id, "ACCEPTED", "03-18 00:00")
    assert story.then(wrong, at="03-16 12:00").code == "ALREADY_DONE"


# -- age ---------------------------------------------------------------------------------------------------------------


def test_a_week_after_it_was_sent_a_notice_is_filed_and_may_still_arrive() -> None:
    story = in_status(S.SENT)
    assert story.until("03-23 09:00").notice.folder == "OPEN"
    filed = story.until("03-23 09:01")
    assert (filed.notice.status, filed.notice.folder) == (S.SENT, "FILED")
    assert filed.reported("DELIVERED", "03-24 09:00").notice.status is S.DELIVERED


@pytest.mark.parametrize("status", NoticeStatus)
def test_a_notice_is_live_while_something_is_expected_of_it(status: NoticeStatus) -> None:
    notice = the_notice(in_status(status), status)
    assert Notice.LIVE.holds(notice) is (status in (S.DEFERRED, S.QUEUED, S.SENT))


def test_contacts_are_those_of_the_attempt() -> None:
    story = Story.of_a_buyer(contacts=SMS_AND_EMAIL).then(due_soon(), at="03-16 09:00")
    assert [one.contact_ref for one in story.events(DeliveryRequested)] == ["contact-sms"]
