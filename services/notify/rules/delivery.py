"""The course of a notice from channel to channel (spec 2): sent on, waiting, taken over, delivered, given up.

Each step yields everything that must be true afterwards. What a step replaces is stood down by its trigger.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from datetime import datetime, timedelta

from services.notify.deadlines import Age, NoReport, Release, Retry
from services.notify.rules import facts
from services.notify.rules.channels import INBOX, choose
from services.notify.rules.contact import Moment, counted, is_capped, is_counted
from services.notify.state import Mailbox, Notice, NoticeStatus
from shared.contracts.notify import Channel, SuppressionReason
from shared.engine.service import Yielded
from shared.engine.vocabulary import Deadline, Disarm, Rows

__all__ = [
    "accept",
    "arrive",
    "bounce",
    "cancel",
    "fail",
    "next_release",
    "release",
    "send",
    "stand_down",
    "suppress",
    "waiting",
]

Course = Generator[Yielded, None, Mailbox]
"""The steps of a notice; their result is the mailbox, which counts debt notices."""

REPORT_PATIENCE = timedelta(minutes=30)
"""A channel that has said nothing for so long has failed for now."""

RETRY_PAUSES = (timedelta(minutes=5), timedelta(minutes=30))
"""Before the second and the third try of one channel; after the third it is the next one's turn."""

SENT_STAYS_OPEN = timedelta(days=7)

RELEASED_AT_ONCE = 100
RELEASE_PAUSE = timedelta(seconds=1)
"""However many bills fall due at one midnight: one release is no endless step, the rest follows after a pause."""


# -- on its way --------------------------------------------------------------------------------------------------------


def send(notice: Notice, mailbox: Mailbox, moment: Moment) -> Course:
    """Hand a notice to the channel it keeps to, else to the next one; outside contact hours it waits (N-R2, N-R3)."""
    if not moment.allows(notice.class_):
        yield from _defer(notice, moment)
        return mailbox
    channel = choose(notice, mailbox)
    if channel is None:
        yield from _give_up(notice)
        return mailbox
    asked = notice.moved(
        NoticeStatus.QUEUED,
        channel=channel,
        tried=(*notice.tried, channel),
        attempt=len(notice.tried) + 1,
        locale=mailbox.locale,
    )
    if channel == INBOX:
        yield from accept(asked, asked.attempt, moment.now)  # the inbox is notify's own: what reaches it is there
    else:
        yield from _ask(asked, channel, mailbox, moment.now)
    return counted(mailbox, moment) if is_counted(notice) else mailbox


def release(notice: Notice, mailbox: Mailbox, moment: Moment) -> Course:
    """Contact hours have begun for a notice that waited: it goes out unless the caps say no (N-R4)."""
    if is_capped(notice, mailbox, moment):
        yield from suppress(notice, "CAP")
        return mailbox
    return (yield from send(notice, mailbox, moment))


def waiting(notices: Rows[Notice], now: datetime) -> list[Notice]:
    """What waited for contact hours up to ``now``, in the order in which it goes out (N-R4)."""
    due = (one for one in _deferred(notices) if one.until is None or one.until <= now)
    return sorted(due, key=lambda one: (one.deferred_at or one.created_at, one.notice_id))[:RELEASED_AT_ONCE]


def next_release(notices: Rows[Notice], now: datetime) -> Iterator[Deadline]:
    """The release of what this one leaves waiting: too many at once, or deferred to a later day.

    Where a message is older than one handled before it, its release is the earlier one and takes the other's place.
    """
    going = {one.notice_id for one in waiting(notices, now)}
    staying = [one for one in _deferred(notices) if one.notice_id not in going]
    if staying:
        at = min(one.until or now for one in staying)
        yield Deadline(max(at, now + RELEASE_PAUSE), Release(staying[0].buyer_id))


def _deferred(notices: Rows[Notice]) -> Iterator[Notice]:
    return (one for one in notices.values() if one.status is NoticeStatus.DEFERRED)


def _defer(notice: Notice, moment: Moment) -> Iterator[Yielded]:
    until = moment.next_opening
    since = notice.deferred_at if notice.status is NoticeStatus.DEFERRED else moment.now
    yield notice.moved(NoticeStatus.DEFERRED, until=until, deferred_at=since)
    yield facts.deferred(notice, until)
    yield Deadline(until, Release(notice.buyer_id))


def _ask(notice: Notice, channel: Channel, mailbox: Mailbox, now: datetime) -> Iterator[Yielded]:
    """An adapter is asked for it, and has to answer in time."""
    yield notice
    yield facts.delivery_requested(notice, channel, mailbox)
    yield Deadline(now + REPORT_PATIENCE, NoReport(notice.buyer_id, notice.notice_id))


# -- what channels say -------------------------------------------------------------------------------------------------


def accept(notice: Notice, attempt: int, now: datetime) -> Iterator[Yielded]:
    """A channel took the notice over: this is the evidence (N-R6)."""
    sent = notice.taken_over(attempt, now).moved(NoticeStatus.SENT)
    yield sent
    yield facts.sent(sent)
    yield Deadline(now + SENT_STAYS_OPEN, Age(notice.buyer_id, notice.notice_id))


def arrive(notice: Notice, attempt: int, occurred_at: datetime, now: datetime, *, read: bool) -> Iterator[Yielded]:
    """The notice reached the buyer; a channel that delivers has taken it over, even if it never said so."""
    delivered_at = notice.delivered_at or occurred_at
    arrived = notice.taken_over(attempt, now).moved(NoticeStatus.DELIVERED, delivered_at=delivered_at, read=read)
    yield arrived
    if arrived.evidence != notice.evidence:
        yield facts.sent(arrived)
    yield facts.delivered(arrived, delivered_at)


def fail(notice: Notice, mailbox: Mailbox, moment: Moment) -> Course:
    """A channel failed for now: it is tried again, twice at most, then the next one is."""
    if notice.tries > len(RETRY_PAUSES):
        return (yield from bounce(notice, mailbox, moment))
    until = moment.now + RETRY_PAUSES[notice.tries - 1]
    yield notice.moved(NoticeStatus.QUEUED, until=until)
    yield facts.retry_armed(notice, until)
    yield Deadline(until, Retry(notice.buyer_id, notice.notice_id))
    return mailbox


def bounce(notice: Notice, mailbox: Mailbox, moment: Moment) -> Course:
    """A channel failed for good: the next one's turn. Evidence it gave before stays (spec 2)."""
    return (yield from send(notice.moved(NoticeStatus.QUEUED, channel=None), mailbox, moment))


def stand_down(notice: Notice) -> Iterator[Disarm]:
    """Nothing that was armed for the notice is wanted any more."""
    return (Disarm(kind, notice.notice_id) for kind in (NoReport, Retry, Age))


# -- the end -----------------------------------------------------------------------------------------------------------


def suppress(notice: Notice, reason: SuppressionReason) -> Iterator[Yielded]:
    """The notice is deliberately not sent (N-R4)."""
    yield notice.moved(NoticeStatus.SUPPRESSED, reason=reason)
    yield facts.suppressed(notice, reason)


def cancel(notice: Notice) -> Iterator[Yielded]:
    """What the notice was going to say is no longer so (N-R5)."""
    yield notice.moved(NoticeStatus.CANCELLED, reason="OBSOLETE")
    yield facts.suppressed(notice, "OBSOLETE")
    yield from stand_down(notice)


def _give_up(notice: Notice) -> Iterator[Yielded]:
    """There is no channel left, or there never was one."""
    if not notice.tried:
        yield from suppress(notice, "NO_CONTACT")
        return
    yield notice.moved(NoticeStatus.UNDELIVERABLE, channel=None)
    yield facts.failed(notice)
