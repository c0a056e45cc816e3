"""The words notify's tests tell their stories in: a buyer with contacts, things that happen, channels that answer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from services.notify.service import notify
from services.notify.state import Mailbox, Notice, NoticeStatus
from shared.contracts.billing import BillDueSoon, BillPaid, DelinquencyChanged, ExtensionDecided, LateFeeAssessed
from shared.contracts.checkout import OrderAuthorized
from shared.contracts.message import Event, Message
from shared.contracts.notify import DeliveryRequested, ReportNoticeDelivery
from shared.engine.vocabulary import Cause, Rejected, Row
from shared.testing.given import Given, Then
from shared.testing.samples import sample_of

BUYER = "b-7"
BILL = "b:o-1001"
SMS_AND_EMAIL = {"SMS": "contact-sms", "EMAIL": "contact-email"}
OUTCOMES = ("ACCEPTED", "DELIVERED", "READ", "FAILED_SOFT", "BOUNCED")


def local(text: str | datetime) -> datetime:
    """An instant of 2027 by the local clock, as in ``local("03-16 09:00")``; an instant is itself."""
    if isinstance(text, datetime):
        return text
    return datetime.fromisoformat(f"2027-{text.replace(' ', 'T')}+08:00").astimezone(UTC)


def example(kind: type[Event], **changes: Any) -> Any:
    """The contract's own example of an event, of our buyer, with these fields changed."""
    return sample_of(kind, **{"buyer_id": BUYER, **changes})


def due_soon(bill_id: str = BILL, **changes: Any) -> BillDueSoon:
    """billing reminds: due on 03-19."""
    return example(BillDueSoon, bill_id=bill_id, **changes)


def overdue(bill_id: str = BILL, dpd: int = 1, **changes: Any) -> DelinquencyChanged:
    """billing's word that a bill is past due."""
    return example(DelinquencyChanged, **{"bill_id": bill_id, "dpd": dpd, "stage": "REMINDER", **changes})


def cured(bill_id: str = BILL, **changes: Any) -> DelinquencyChanged:
    """billing's word that a bill no longer is."""
    return overdue(bill_id, dpd=0, bucket="NONE", stage="NONE", account_stage="NONE", **changes)


def fee(bill_id: str = BILL, **changes: Any) -> LateFeeAssessed:
    """billing's word that a late fee was added to a bill."""
    return example(LateFeeAssessed, bill_id=bill_id, fee_id=f"{bill_id}:f1", **changes)


def extended(bill_id: str = BILL, decision: str = "GRANTED", **changes: Any) -> ExtensionDecided:
    """billing's word on a later due date."""
    return example(ExtensionDecided, bill_id=bill_id, decision=decision, **changes)


def authorized(order_id: str = "o-1001") -> OrderAuthorized:
    return example(OrderAuthorized, order_id=order_id)


def report(notice_id: str, outcome: str, at: str | datetime, attempt: int = 1, **other: Any) -> ReportNoticeDelivery:
    """A channel's answer, given at once unless told otherwise."""
    fields: dict[str, Any] = {
        "buyer_id": BUYER,
        "notice_id": notice_id,
        "delivery_id": f"{notice_id}:{attempt}",
        "outcome": outcome,
        "occurred_at": local(at),
    }
    return ReportNoticeDelivery(**{**fields, **other})


def cause(number: int) -> Cause:
    """The ``number``-th message."""
    return Cause(str(UUID(int=number, version=4)))


@dataclass(frozen=True)
class Story:
    """How a buyer's notices stand, and every event so far; immutable like what it wraps."""

    given: Given
    told: tuple[Event, ...] = ()
    rejected: Rejected | None = None
    last: Then | None = None
    messages: int = 0

    @classmethod
    def of_a_buyer(cls, *rows: Row, contacts: dict[str, str] | None = None, **mailbox: Any) -> Story:
        """A buyer to be reached by SMS and by mail unless told otherwise."""
        reached = SMS_AND_EMAIL if contacts is None else contacts
        return cls(Given(notify, Mailbox(BUYER, contacts=reached, **mailbox), *rows))

    @classmethod
    def of_a_stranger(cls, *rows: Row) -> Story:
        """A buyer notify has never heard of."""
        return cls(Given(notify, *rows))

    def then(self, message: Message, at: str | datetime, by: Cause | None = None) -> Story:
        """Everything due before, then this message; every message has an id of its own unless one is given."""
        before = self.until(at)
        done = before.given.when(message, local(at), by or cause(self.messages))
        return replace(before._after(done), messages=self.messages + 1)

    def reported(self, outcome: str, at: str | datetime, attempt: int | None = None, notice: str = "") -> Story:
        """The channel of the latest request, or of the given attempt, answers."""
        asked = next(one for one in reversed(self.events(DeliveryRequested)) if not notice or one.notice_id == notice)
        latest = int(asked.delivery_id.rpartition(":")[2])
        return self.then(report(asked.notice_id, outcome, at, attempt or latest), at)

    def until(self, at: str | datetime) -> Story:
        """Let time pass up to and including this instant."""
        story = self
        for done in self.given.until(local(at)):
            story = story._after(done)
        return story

    def _after(self, done: Then) -> Story:
        return replace(self, given=done.given, told=(*self.told, *done.events), rejected=done.rejected, last=done)

    # ------------------------------------------------------------------ what is seen

    def events(self, *kinds: type[Event]) -> list[Any]:
        """The events told so far, of these kinds if any are named."""
        return [event for event in self.told if not kinds or isinstance(event, kinds)]

    @property
    def names(self) -> list[str]:
        return [type(event).__name__ for event in self.told]

    @property
    def code(self) -> str | None:
        """The code of the last message's rejection."""
        return self.rejected.code if self.rejected else None

    def rows(self, kind: type[Row]) -> list[Any]:
        return [row for row in self.given.rows if isinstance(row, kind)]

    @property
    def notices(self) -> list[Notice]:
        """In the order in which they were made."""
        return sorted(self.rows(Notice), key=lambda one: (one.created_at, one.notice_id))

    @property
    def notice(self) -> Notice:
        """The one there is."""
        (only,) = self.rows(Notice)
        return only

    @property
    def mailbox(self) -> Mailbox:
        (only,) = self.rows(Mailbox)
        return only

    @property
    def requested(self) -> list[tuple[str, str]]:
        """Kind and channel of every request to an adapter, in order."""
        return [(event.kind, event.channel) for event in self.events(DeliveryRequested)]

    def armed(self, kind: type) -> list[datetime]:
        """When deadlines of this kind are due."""
        return [one.at for one in self.given.armed if isinstance(one.message, kind)]


def in_status(status: NoticeStatus) -> Story:
    """A notice brought into this state the way it gets there in life; but for SUPPRESSED, with its first attempt made.

    SMS is the only channel of service messages. SUPPRESSED is the second notice, all others are the first.
    """
    buyer = Story.of_a_buyer(contacts={"SMS": "contact-sms"}, order={"TRANSACTIONAL": ("SMS",)})
    asked = buyer.then(due_soon(), at="03-16 09:00")
    match status:
        case NoticeStatus.QUEUED:
            story = asked
        case NoticeStatus.SENT:
            story = asked.reported("ACCEPTED", "03-16 09:01")
        case NoticeStatus.DELIVERED:
            story = asked.reported("DELIVERED", "03-16 09:01")
        case NoticeStatus.UNDELIVERABLE:
            story = asked.reported("BOUNCED", "03-16 09:01")
        case NoticeStatus.CANCELLED:
            story = asked.then(example(BillPaid), at="03-16 09:01")
        case NoticeStatus.SUPPRESSED:
            story = asked.then(due_soon(), at="03-16 09:01")
        case NoticeStatus.DEFERRED:
            late = buyer.then(overdue(), at="03-16 21:59").reported("FAILED_SOFT", "03-16 21:59")
            story = late.until("03-16 22:05")
    return story
