"""Attempts to deliver: answered by channels, given up while they keep silent, repeated after a pause."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from services.notify.deadlines import Age, NoReport, Retry
from services.notify.rules import delivery
from services.notify.rules.contact import Moment
from services.notify.rules.reports import attempt_of, refuse_no_news, refuse_wrong_time
from services.notify.service import notify
from services.notify.state import NOTICE_MACHINE, Mailbox, Notice, PlatformContact
from shared.contracts.notify import ReportNoticeDelivery
from shared.engine.service import Yielded
from shared.kernel.calendar import Calendar

__all__ = ["file_notice", "give_up_waiting", "report_delivery", "try_again"]


@notify.on(ReportNoticeDelivery)
def report_delivery(
    report: ReportNoticeDelivery,
    now: datetime,
    notice: Notice,
    mailbox: Mailbox | None,
    policy: PlatformContact,
    calendar: Calendar,
) -> Iterator[Yielded]:
    """What a channel says of an attempt: taken over, arrived, read, failed for now or for good (spec 2, N-R6)."""
    attempt = attempt_of(report, notice)
    refuse_no_news(report.outcome, attempt, notice)
    refuse_wrong_time(report.occurred_at, now)
    mailbox = mailbox or Mailbox(report.buyer_id)
    yield from delivery.stand_down(notice)
    match report.outcome:
        case "ACCEPTED":
            yield from delivery.accept(notice, attempt, now)
        case "DELIVERED" | "READ":
            yield from delivery.arrive(notice, attempt, report.occurred_at, now, read=report.outcome == "READ")
        case "FAILED_SOFT":
            yield from delivery.fail(notice, mailbox, Moment.of(now, policy, calendar))
        case "BOUNCED":
            yield from delivery.bounce(notice, mailbox, Moment.of(now, policy, calendar))


@notify.on(NoReport)
def give_up_waiting(
    due: NoReport,
    now: datetime,
    notice: Notice | None,
    mailbox: Mailbox | None,
    policy: PlatformContact,
    calendar: Calendar,
) -> Iterator[Yielded]:
    """The channel said nothing: it has failed for now."""
    if notice is None or due.KIND not in NOTICE_MACHINE[notice.status] or not notice.in_flight:
        return
    yield from delivery.fail(notice, mailbox or Mailbox(due.buyer_id), Moment.of(now, policy, calendar))


@notify.on(Retry)
def try_again(
    due: Retry,
    now: datetime,
    notice: Notice | None,
    mailbox: Mailbox | None,
    policy: PlatformContact,
    calendar: Calendar,
) -> Iterator[Yielded]:
    """The pause after a failure is over: the same channel once more, or contact hours if they have ended meanwhile."""
    if notice is None or due.KIND not in NOTICE_MACHINE[notice.status] or notice.in_flight:
        return
    yield from delivery.send(notice, mailbox or Mailbox(due.buyer_id), Moment.of(now, policy, calendar))


@notify.on(Age)
def file_notice(due: Age, notice: Notice | None) -> Iterator[Yielded]:
    """A week after it was sent nothing more is expected of a notice; what a channel says later still counts."""
    if notice is not None and due.KIND in NOTICE_MACHINE[notice.status]:
        yield replace(notice, folder="FILED")
