"""The worked examples of the specification that this build can live through, by their numbers."""

from notify_story import BILL, BUYER, Story, authorized, cause, due_soon, example, local, overdue

from services.notify.deadlines import Age, NoReport, Release
from services.notify.state import NoticeStatus
from shared.contracts.billing import BillPaid
from shared.contracts.notify import DeliveryRequested, NoticeDeferred, NoticeSent, NoticeSuppressed

REMINDER = f"{cause(0).id}:BILL_DUE_SOON"
ARREARS = f"{cause(0).id}:OVERDUE"


def test_example_1_a_reminder_is_asked_of_the_sms_channel() -> None:
    story = Story.of_a_buyer().then(due_soon(), at="03-16 09:00")
    assert story.told == (
        DeliveryRequested(
            buyer_id=BUYER,
            notice_id=REMINDER,
            delivery_id=f"{REMINDER}:1",
            kind="BILL_DUE_SOON",
            class_="TRANSACTIONAL",
            subject_id=BILL,
            channel="SMS",
            contact_ref="contact-sms",
            locale="zh-CN",
            template="bill_due_soon",
            params={
                "bill_id": BILL,
                "currency": "CNY",
                "due_on": "2027-03-19",
                "due_version": 1,
                "days_left": 3,
                "amount_due": 25769,
                "autopay": True,
            },
        ),
    )
    assert story.notice.status is NoticeStatus.QUEUED
    assert story.armed(NoReport) == [local("03-16 09:30")]


def test_example_1_accepted_by_the_channel_it_is_evidence_of_that_instant() -> None:
    story = Story.of_a_buyer().then(due_soon(), at="03-16 09:00").reported("ACCEPTED", "03-16 09:00:05")
    assert story.events(NoticeSent) == [
        NoticeSent(
            buyer_id=BUYER,
            notice_id=REMINDER,
            kind="BILL_DUE_SOON",
            class_="TRANSACTIONAL",
            subject_id=BILL,
            bill_id=BILL,
            due_version=1,
            channel="SMS",
            sent_at=local("03-16 09:00:05"),
        )
    ]
    assert story.notice.status is NoticeStatus.SENT
    assert story.armed(NoReport) == []
    assert story.armed(Age) == [local("03-23 09:00:05")]


def test_example_2_what_befalls_at_midnight_is_told_at_eight() -> None:
    story = Story.of_a_buyer().then(overdue(), at="03-20 00:00")
    until = local("03-20 08:00")
    assert story.told == (NoticeDeferred(buyer_id=BUYER, notice_id=ARREARS, kind="OVERDUE", until=until),)
    assert story.armed(Release) == [until]
    released = story.until("03-20 08:00")
    assert released.requested == [("OVERDUE", "SMS")]
    assert released.armed(NoReport) == [local("03-20 08:30")]


def test_example_2_a_bill_paid_before_eight_is_never_called_overdue() -> None:
    story = Story.of_a_buyer().then(overdue(), at="03-20 00:00").then(example(BillPaid), at="03-20 07:30")
    assert story.told[1:] == (
        NoticeSuppressed(buyer_id=BUYER, notice_id=ARREARS, kind="OVERDUE", subject_id=BILL, reason="OBSOLETE"),
    )
    assert story.notice.status is NoticeStatus.CANCELLED
    assert story.until("03-21 00:00").told == story.told


def test_example_3_a_bounced_sms_a_push_that_fails_three_times_a_mail_that_is_taken() -> None:
    reached = {"SMS": "contact-sms", "PUSH": "contact-push", "EMAIL": "contact-email"}
    story = Story.of_a_buyer(contacts=reached).then(overdue(), at="03-20 10:00")
    story = story.reported("BOUNCED", "03-20 10:01")
    story = story.reported("FAILED_SOFT", "03-20 10:02").until("03-20 10:07")
    story = story.reported("FAILED_SOFT", "03-20 10:08").until("03-20 10:38")
    story = story.reported("FAILED_SOFT", "03-20 10:39").reported("ACCEPTED", "03-20 10:40")
    assert [channel for _, channel in story.requested] == ["SMS", "PUSH", "PUSH", "PUSH", "EMAIL"]
    assert [(event.channel, event.sent_at) for event in story.events(NoticeSent)] == [("EMAIL", local("03-20 10:40"))]


def test_example_3_without_contacts_the_inbox_takes_it() -> None:
    story = Story.of_a_stranger().then(due_soon(), at="03-16 09:00")
    assert story.names == ["NoticeSent"]
    assert (story.told[0].channel, story.told[0].sent_at) == ("IN_APP", local("03-16 09:00"))
    assert (story.notice.status, story.notice.channel) == (NoticeStatus.SENT, "IN_APP")
    assert story.mailbox.locale == "zh-CN"


def test_example_4_the_fourth_debt_notice_of_a_day_is_too_many() -> None:
    story = Story.of_a_buyer()
    for order in ("o-1", "o-2", "o-3", "o-4"):
        story = story.then(overdue(f"b:{order}"), at="03-20 10:00")
    assert len(story.requested) == 3
    (suppressed,) = story.events(NoticeSuppressed)
    assert (suppressed.subject_id, suppressed.reason) == ("b:o-4", "CAP")


def test_example_4_a_service_message_goes_out_at_eleven_in_the_evening() -> None:
    story = Story.of_a_buyer().then(authorized(), at="03-20 23:00")
    assert story.requested == [("ORDER_STATUS", "SMS")]


def test_example_5_the_same_reminder_under_a_new_id_is_a_duplicate() -> None:
    story = Story.of_a_buyer().then(due_soon(), at="03-16 09:00").then(due_soon(), at="03-16 09:10")
    assert story.told[-1] == NoticeSuppressed(
        buyer_id=BUYER,
        notice_id=f"{cause(1).id}:BILL_DUE_SOON",
        kind="BILL_DUE_SOON",
        subject_id=BILL,
        reason="DUPLICATE",
    )


def test_example_5_for_another_due_date_it_is_another_reminder() -> None:
    story = Story.of_a_buyer().then(due_soon(), at="03-16 09:00").reported("ACCEPTED", "03-16 09:01")
    story = story.then(due_soon(due_version=2, due_on="2027-03-26"), at="03-23 09:00")
    assert [event.params["due_version"] for event in story.events(DeliveryRequested)] == [1, 2]
    assert story.events(NoticeSuppressed) == []
