"""Contact law: hours, caps, the order of release, and the platform's policy (N-R3, N-R4)."""

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from notify_story import BUYER, Story, authorized, cause, example, extended, fee, local, overdue

from services.notify.deadlines import NoReport, Release
from services.notify.service import notify
from services.notify.state import ContactPolicy, DebtDay, Mailbox, NoticeStatus
from shared.contracts.billing import BillChargedOff, FeeReversed
from shared.contracts.checkout import MerchantPolicyPublished
from shared.contracts.message import Event
from shared.contracts.notify import (
    DeliveryRequested,
    NoticeDeferred,
    NoticeRetryArmed,
    NoticeSent,
    NoticeSuppressed,
    SetPreferences,
)
from shared.contracts.policy import PLATFORM, ContactTerms
from shared.engine.reaction import YIELDS_MAX
from shared.testing.given import Given


def policy(version: int = 1, effective_from: str = "03-01 00:00", merchant_id: str = PLATFORM, **contact: object):
    stated = {"contact": contact} if contact else {}
    return MerchantPolicyPublished.model_validate(
        {"merchant_id": merchant_id, "version": version, "effective_from": local(effective_from), **stated}
    )


def published(*policies: MerchantPolicyPublished) -> ContactPolicy:
    """The platform's contact rules after these publications."""
    given = Given(notify)
    for one in policies:
        given = given.when(one, now=local("02-01 00:00")).given
    return given.row(ContactPolicy, PLATFORM)


def told_of(bills: int, at: str, story: Story | None = None, first: int = 1) -> Story:
    """So many bills are overdue at once, and the inbox is what reaches the buyer."""
    story = story or Story.of_a_stranger()
    for number in range(first, first + bills):
        story = story.then(overdue(f"b:o-{number}"), at=at)
    return story


def suppressions(story: Story) -> list[tuple[str, str]]:
    return [(event.subject_id, event.reason) for event in story.events(NoticeSuppressed)]


# -- hours -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "until"),
    [
        ("03-20 07:59:59", "03-20 08:00"),
        ("03-20 08:00", None),
        ("03-20 21:59:59", None),
        ("03-20 22:00", "03-21 08:00"),
        ("03-20 23:59:59", "03-21 08:00"),
        ("03-21 00:00", "03-21 08:00"),
    ],
)
def test_n_r_3_a_debt_is_spoken_of_from_eight_to_before_ten_in_the_evening(at: str, until: str | None) -> None:
    story = Story.of_a_buyer().then(overdue(), at=at)
    if until is None:
        assert story.names == ["DeliveryRequested"]
        return
    assert [event.until for event in story.events(NoticeDeferred)] == [local(until)]
    assert story.requested == []
    assert story.armed(Release) == [local(until)]
    assert story.until(until).requested == [("OVERDUE", "SMS")]


@pytest.mark.parametrize(
    ("event", "kind"), [(fee(), "FEE"), (example(FeeReversed), "FEE"), (example(BillChargedOff), "CHARGED_OFF")]
)
def test_n_r_3_fees_and_write_offs_wait_for_the_morning(event: Event, kind: str) -> None:
    """N-R1, N-R3: D and L notices are told from eight on only, however they came about at midnight."""
    story = Story.of_a_buyer().then(event, at="03-23 00:00")
    assert (story.names, story.armed(Release)) == (["NoticeDeferred"], [local("03-23 08:00")])
    assert story.until("03-23 08:00").requested == [(kind, "SMS")]


def test_n_r_3_a_later_due_date_is_told_at_any_hour() -> None:
    """N-R1, N-R3: BILL_CHANGED is a service message."""
    assert Story.of_a_buyer().then(extended(), at="03-23 00:00").requested == [("BILL_CHANGED", "SMS")]


@pytest.mark.parametrize(("event", "channel"), [(example(BillChargedOff), "EMAIL"), (fee(), "PUSH")])
def test_n_r_2_a_legal_notice_is_no_push_message(event: Event, channel: str) -> None:
    """N-R2: L goes by SMS, EMAIL, IN_APP; D may be pushed."""
    reached = {"PUSH": "contact-push", "EMAIL": "contact-email"}
    assert Story.of_a_buyer(contacts=reached).then(event, at="03-23 10:00").notice.channel == channel


def test_n_r_4_fees_count_against_the_caps_and_a_write_off_is_never_held_back() -> None:
    """N-R4: three D notices a day, of whichever kind; L is never capped."""
    story = told_of(2, at="03-23 10:00").then(fee("b:o-3"), at="03-23 10:00").then(fee("b:o-4"), at="03-23 10:00")
    story = story.then(example(FeeReversed), at="03-23 10:00").then(example(BillChargedOff), at="03-23 10:00")
    assert suppressions(story) == [("b:o-4", "CAP"), ("b:o-1001", "CAP")]
    assert [event.kind for event in story.events(NoticeSent)] == ["OVERDUE", "OVERDUE", "FEE", "CHARGED_OFF"]
    assert story.mailbox.debt_days == (DebtDay(date(2027, 3, 23), 3),)


@pytest.mark.parametrize("at", ["03-20 00:00", "03-20 07:59:59", "03-20 22:00"])
def test_n_r_3_a_service_message_knows_no_hours(at: str) -> None:
    assert Story.of_a_buyer().then(authorized(), at=at).requested == [("ORDER_STATUS", "SMS")]


def test_n_r_3_the_inbox_keeps_the_hours_too() -> None:
    story = Story.of_a_stranger().then(overdue(), at="03-20 23:00")
    assert story.names == ["NoticeDeferred"]
    assert story.until("03-21 08:00").names == ["NoticeDeferred", "NoticeSent"]


def test_n_r_3_a_retry_after_hours_waits_for_the_morning_and_is_the_same_channels() -> None:
    story = Story.of_a_buyer().then(overdue(), at="03-20 21:58").reported("FAILED_SOFT", "03-20 21:58")
    assert [event.until for event in story.events(NoticeRetryArmed)] == [local("03-20 22:03")]
    late = story.until("03-20 22:03")
    assert [event.until for event in late.events(NoticeDeferred)] == [local("03-21 08:00")]
    assert late.notice.status is NoticeStatus.DEFERRED
    morning = late.until("03-21 08:00")
    assert morning.requested == [("OVERDUE", "SMS"), ("OVERDUE", "SMS")]
    assert [event.delivery_id[-2:] for event in morning.events(DeliveryRequested)] == [":1", ":2"]


def test_n_r_3_after_a_bounce_in_the_evening_the_next_channel_waits_for_the_morning() -> None:
    story = Story.of_a_buyer().then(overdue(), at="03-20 21:59").reported("BOUNCED", "03-20 22:01")
    assert story.requested == [("OVERDUE", "SMS")]
    assert story.names[-1] == "NoticeDeferred"
    assert story.armed(NoReport) == []
    assert story.until("03-21 08:00").requested == [("OVERDUE", "SMS"), ("OVERDUE", "EMAIL")]


def test_n_r_3_a_deferred_notice_goes_by_the_wishes_of_the_morning() -> None:
    story = Story.of_a_buyer().then(overdue(), at="03-20 00:00")
    story = story.then(SetPreferences(buyer_id=BUYER, locale="en", contacts={"PUSH": "contact-push"}), at="03-20 07:00")
    (asked,) = story.until("03-20 08:00").events(DeliveryRequested)
    assert (asked.channel, asked.contact_ref, asked.locale) == ("PUSH", "contact-push", "en")


# -- caps --------------------------------------------------------------------------------------------------------------


def test_n_r_4_three_debt_notices_a_day_and_the_next_day_three_more() -> None:
    story = told_of(4, "03-20 10:00")
    assert suppressions(story) == [("b:o-4", "CAP")]
    story = told_of(3, "03-21 10:00", story, first=5)
    assert suppressions(story) == [("b:o-4", "CAP")]
    assert story.mailbox.debt_days == (DebtDay(date(2027, 3, 20), 3), DebtDay(date(2027, 3, 21), 3))


def test_n_r_4_seven_debt_notices_in_seven_days() -> None:
    story = told_of(3, "03-20 10:00")
    story = told_of(3, "03-21 10:00", story, first=4)
    story = told_of(2, "03-22 10:00", story, first=7)
    assert suppressions(story) == [("b:o-8", "CAP")]
    on_the_seventh_day = told_of(1, "03-26 10:00", story, first=9)
    assert suppressions(on_the_seventh_day)[-1] == ("b:o-9", "CAP")
    on_the_eighth_day = told_of(4, "03-27 10:00", story, first=9)
    assert suppressions(on_the_eighth_day)[1:] == [("b:o-12", "CAP")]


def test_n_r_4_service_messages_are_never_capped() -> None:
    story = told_of(3, "03-20 10:00")
    for number in range(10):
        story = story.then(authorized(f"o-{number}"), at="03-20 10:00")
    assert suppressions(story) == []
    assert story.names.count("NoticeSent") == 13


def test_n_r_4_a_further_try_is_not_counted_again() -> None:
    story = Story.of_a_buyer().then(overdue(), at="03-20 10:00").reported("FAILED_SOFT", "03-20 10:00")
    story = story.until("03-20 10:05").reported("BOUNCED", "03-20 10:06")
    assert len(story.requested) == 3
    assert story.mailbox.debt_days == (DebtDay(date(2027, 3, 20), 1),)


def test_n_r_4_a_try_of_the_next_morning_is_neither_counted_nor_capped() -> None:
    story = Story.of_a_buyer().then(overdue("b:o-0"), at="03-20 21:59").reported("FAILED_SOFT", "03-20 21:59")
    story = told_of(3, "03-20 22:10", story)
    story = story.until("03-21 08:00")
    assert suppressions(story) == []
    assert story.mailbox.debt_days == (DebtDay(date(2027, 3, 20), 1), DebtDay(date(2027, 3, 21), 3))
    assert story.requested == [("OVERDUE", "SMS")] * 5


def test_n_r_4_a_notice_that_waits_counts_for_the_day_on_which_it_goes_out() -> None:
    story = told_of(3, "03-20 10:00")
    story = told_of(1, "03-20 22:00", story, first=4)
    assert story.names[-1] == "NoticeDeferred"
    story = story.until("03-21 08:00")
    assert story.mailbox.debt_days == (DebtDay(date(2027, 3, 20), 3), DebtDay(date(2027, 3, 21), 1))


def test_n_r_4_a_release_takes_the_longest_waiting_first_and_caps_the_rest() -> None:
    story = Story.of_a_stranger()
    for bill, at in (("b:o-4", "23:00"), ("b:o-2", "22:30"), ("b:o-3", "22:30"), ("b:o-1", "22:00")):
        story = story.then(overdue(bill), at=f"03-20 {at}")
    assert story.armed(Release) == [local("03-21 08:00")]
    released = story.until("03-21 08:00")
    assert [event.subject_id for event in released.told[4:]] == ["b:o-1", "b:o-2", "b:o-3", "b:o-4"]
    assert [type(event).__name__ for event in released.told[4:]] == ["NoticeSent"] * 3 + ["NoticeSuppressed"]
    assert released.armed(Release) == []


def test_n_r_4_who_waits_on_keeps_the_place() -> None:
    rules = published(policy(1, "03-20 01:00", opens_at="10:00", debt_per_day=1))
    story = Story.of_a_stranger(rules).then(overdue("b:o-1"), at="03-20 00:00", by=cause(9))
    story = story.then(overdue("b:o-2"), at="03-20 00:30", by=cause(8)).until("03-20 10:00")
    assert [event.subject_id for event in story.events(NoticeSent)] == ["b:o-1"]
    assert suppressions(story) == [("b:o-2", "CAP")]


def test_n_r_3_a_legal_notice_keeps_the_hours_and_knows_no_caps() -> None:
    story = told_of(3, "03-20 10:00").then(overdue("b:o-4"), at="03-20 23:00")
    (waiting,) = [one for one in story.notices if one.status is NoticeStatus.DEFERRED]
    for at, name in (("03-20 21:59", "NoticeSent"), ("03-20 22:00", "NoticeDeferred")):
        legal = Given(notify, story.mailbox, replace(waiting, class_="LEGAL", until=local(at)))
        released = legal.when(Release(BUYER), now=local(at))
        assert [type(event).__name__ for event in released.events] == [name]
        assert released.given.row(Mailbox, BUYER) == story.mailbox


def test_n_r_4_of_two_deferred_at_one_instant_the_smaller_id_goes_first() -> None:
    story = told_of(2, "03-20 23:00").until("03-21 08:00")
    ids = [event.notice_id for event in story.told[2:]]
    assert ids == sorted(ids)


def test_n_r_4_what_is_older_than_the_last_notice_counts_for_that_notices_day() -> None:
    story = told_of(3, "03-21 10:00")
    late = story.given.when(overdue("b:o-9"), now=local("03-20 10:00"))
    assert [event.reason for event in late.events] == ["CAP"]


def test_a_release_of_a_past_day_leaves_waiting_what_waits_for_a_later_one() -> None:
    story = told_of(1, "03-21 23:00")
    late = story.given.when(overdue("b:o-9"), now=local("03-20 23:00"))
    (first,) = [one for one in late.given.armed if isinstance(one.message, Release)]
    assert first.at == local("03-21 08:00")
    released = late.given.when(first.message, now=first.at)
    assert [event.subject_id for event in released.events] == ["b:o-9"]
    assert [one.at for one in released.given.armed if isinstance(one.message, Release)] == [local("03-22 08:00")]


def test_however_many_wait_a_release_is_no_endless_step() -> None:
    story = told_of(250, "03-20 23:00")
    steps = [len(step.yields) for step in story.given.until(local("03-21 08:01"))]
    assert len(steps) == 3
    assert max(steps) < YIELDS_MAX
    after = story.until("03-21 08:01")
    assert {one.status for one in after.notices} == {NoticeStatus.SENT, NoticeStatus.SUPPRESSED}
    assert after.armed(Release) == []


# -- the platform's policy ---------------------------------------------------------------------------------------------


def test_the_platforms_hours_and_caps_stand_in_for_houfus() -> None:
    rules = published(policy(opens_at="09:30", closes_at="20:00", debt_per_day=1, debt_per_week=2))
    story = Story.of_a_buyer(rules).then(overdue("b:o-1"), at="03-20 09:00")
    assert [event.until for event in story.events(NoticeDeferred)] == [local("03-20 09:30")]
    story = story.then(overdue("b:o-2"), at="03-20 10:00")
    assert suppressions(story) == [("b:o-2", "CAP")]
    story = story.then(overdue("b:o-3"), at="03-20 20:00").until("03-21 09:30")
    story = story.then(overdue("b:o-4"), at="03-22 10:00")
    assert suppressions(story)[1:] == [("b:o-4", "CAP")]


def test_a_version_holds_from_its_day_on_and_says_nothing_by_saying_nothing() -> None:
    rules = published(
        policy(3, "03-25 00:00"),
        policy(2, "03-20 00:00", opens_at="10:00"),
        policy(1, "03-10 00:00", opens_at="09:00"),
    )
    assert [one.version for one in rules.versions] == [1, 2, 3]
    for day, opens in (("03-09", "08:00"), ("03-19", "09:00"), ("03-20", "10:00"), ("03-25", "08:00")):
        story = Story.of_a_buyer(rules).then(overdue(), at=f"{day} 00:00")
        assert story.armed(Release) == [local(f"{day} {opens}")]


def test_hours_that_changed_meanwhile_hold_at_the_release() -> None:
    rules = published(policy(1, "03-20 01:00", opens_at="10:00"))
    story = Story.of_a_buyer(rules).then(overdue(), at="03-20 00:00")
    assert story.armed(Release) == [local("03-20 08:00")]
    story = story.until("03-20 08:00")
    assert [event.until for event in story.events(NoticeDeferred)] == [local("03-20 08:00"), local("03-20 10:00")]
    assert story.until("03-20 10:00").requested == [("OVERDUE", "SMS")]


def test_hours_that_end_before_they_begin_are_none() -> None:
    rules = published(policy(opens_at="22:00", closes_at="08:00", debt_per_day=1))
    assert rules.versions[0].terms == ContactTerms(debt_per_day=1)


def test_a_merchants_policy_has_no_contact_rules() -> None:
    done = Given(notify).when(policy(merchant_id="m-42", opens_at="00:00"), now=local("03-01 00:00"))
    assert done.yields == []


def test_a_version_that_is_known_changes_nothing_and_only_twenty_are() -> None:
    days = [datetime(2027, 1, day, tzinfo=UTC) for day in range(1, 26)]
    versions = [
        MerchantPolicyPublished(merchant_id=PLATFORM, version=number, effective_from=day)
        for number, day in enumerate(days, start=1)
    ]
    rules = published(*versions)
    assert [one.version for one in rules.versions] == list(range(6, 26))
    assert published(*versions, *versions) == rules
