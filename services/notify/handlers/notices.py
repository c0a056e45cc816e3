"""Notices: made by what happens to a buyer's account, orders, bills and refunds, and overtaken by it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated

from services.notify.deadlines import Release
from services.notify.rules import delivery
from services.notify.rules.catalogue import CATALOGUE, Occasion, occasion_of, subject_of
from services.notify.rules.composition import compose, dedup_key
from services.notify.rules.contact import Moment
from services.notify.rules.resolution import RESOLVING, BillEvent, bill_of, obsolete, resolved_by
from services.notify.rules.suppression import reason_against
from services.notify.service import notify
from services.notify.state import Mailbox, Notice, PlatformContact, Subject
from shared.contracts.message import Event
from shared.engine.service import Yielded
from shared.engine.vocabulary import Cause, Named, Rows
from shared.kernel.calendar import Calendar

__all__ = ["follow_bill", "release_notices", "tell_buyer"]


@notify.on(*(event for event in CATALOGUE if event not in RESOLVING))
def tell_buyer(
    event: Event,
    now: datetime,
    cause: Cause,
    mailbox: Mailbox | None,
    subject: Annotated[Subject | None, Named(ids=subject_of)],
    policy: PlatformContact,
    calendar: Calendar,
) -> Iterator[Yielded]:
    """Something happened that the buyer is to know (N-R1)."""
    subject = subject or Subject(event.key, subject_of(event))
    occasion = occasion_of(event)
    if occasion is None or cause.id in subject.heard:
        return
    yield resolved_by(event, subject).hearing(cause.id, dedup_key(event, occasion))
    yield from _tell(event, occasion, cause, mailbox, subject, Moment.of(now, policy, calendar))


@notify.on(*RESOLVING)
def follow_bill(
    event: BillEvent,
    now: datetime,
    cause: Cause,
    mailbox: Mailbox | None,
    subject: Annotated[Subject | None, Named(ids=bill_of)],
    notices: Rows[Notice],
    policy: PlatformContact,
    calendar: Calendar,
) -> Iterator[Yielded]:
    """A bill is paid, gone, paused, extended, overdue or cured: what holds no longer is not said, news is (N-R5)."""
    subject = subject or Subject(event.buyer_id, event.bill_id)
    if cause.id in subject.heard:
        return
    occasion = occasion_of(event)
    yield resolved_by(event, subject).hearing(cause.id, dedup_key(event, occasion))
    for notice in obsolete(event, notices):
        yield from delivery.cancel(notice)
    if occasion is not None:
        yield from _tell(event, occasion, cause, mailbox, subject, Moment.of(now, policy, calendar))


def _tell(
    event: Event, occasion: Occasion, cause: Cause, mailbox: Mailbox | None, subject: Subject, moment: Moment
) -> Iterator[Yielded]:
    """Make the notice and send it, unless something speaks against it; the first one opens the buyer's mailbox."""
    after = before = mailbox or Mailbox(event.key)
    notice = compose(event, occasion, cause.id, before, moment.now)
    reason = reason_against(notice, dedup_key(event, occasion), subject, before, moment)
    if reason is not None:
        yield from delivery.suppress(notice, reason)
    else:
        after = yield from delivery.send(notice, before, moment)
    if after is not mailbox:
        yield after


@notify.on(Release)
def release_notices(
    release: Release,
    now: datetime,
    mailbox: Mailbox | None,
    notices: Rows[Notice],
    policy: PlatformContact,
    calendar: Calendar,
) -> Iterator[Yielded]:
    """Contact hours begin: what waited goes out in its order, as far as the caps allow (N-R3, N-R4)."""
    moment = Moment.of(now, policy, calendar)
    after = before = mailbox or Mailbox(release.buyer_id)
    yield from delivery.next_release(notices, now)
    for notice in delivery.waiting(notices, now):
        after = yield from delivery.release(notice, after, moment)
    if after is not before:
        yield after
