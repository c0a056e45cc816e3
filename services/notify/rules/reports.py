"""How a channel's report is judged (spec 7): truth wins, a failure counts once, proof is not antedated.

Refusals in the order of H-5: existence, state, content.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import get_args

from services.notify.state import NOTICE_MACHINE, Notice, NoticeStatus
from shared.contracts.notify import DeliveryOutcome, ReportNoticeDelivery
from shared.engine.refusals import refusal, refuse_future
from shared.engine.vocabulary import Rejected

__all__ = ["attempt_of", "refuse_no_news", "refuse_wrong_time"]

OUTCOMES = frozenset(get_args(DeliveryOutcome))
FAILURES = frozenset({"FAILED_SOFT", "BOUNCED"})

LATE_MAX = timedelta(hours=24)
"""How long after the fact a report still counts: late evidence cannot be invented."""


def attempt_of(report: ReportNoticeDelivery, notice: Notice) -> int:
    """Which attempt a report speaks of, from 1; UNKNOWN_NOTICE where no channel was asked for that delivery."""
    for attempt in range(1, len(notice.tried) + 1):
        if report.delivery_id == f"{notice.notice_id}:{attempt}":
            return attempt
    raise Rejected("UNKNOWN_NOTICE", "No channel was asked for this delivery", delivery_id=report.delivery_id)


def refuse_no_news(outcome: DeliveryOutcome, attempt: int, notice: Notice) -> None:
    """ALREADY_DONE where the notice stands so or stands better already, ILLEGAL_TRANSITION where it cannot be."""
    if _is_news(outcome, attempt, notice):
        return
    if _contradicts(outcome, attempt, notice):
        allowed = OUTCOMES & set(NOTICE_MACHINE[notice.status])
        details = refusal(notice.status, allowed)
        raise Rejected("ILLEGAL_TRANSITION", f"{outcome} is not possible in {notice.status}", **details)
    raise Rejected("ALREADY_DONE", notice_id=notice.notice_id, status=str(notice.status))


def refuse_wrong_time(occurred_at: datetime, now: datetime) -> None:
    """TIME_IN_FUTURE, TIME_IMPLAUSIBLE."""
    refuse_future(occurred_at, now)
    if occurred_at < now - LATE_MAX:
        raise Rejected("TIME_IMPLAUSIBLE", occurred_at=occurred_at, now=now)


def _is_news(outcome: DeliveryOutcome, attempt: int, notice: Notice) -> bool:
    if outcome not in NOTICE_MACHINE[notice.status]:
        return False
    match outcome:
        case "ACCEPTED":
            return notice.sent_through(notice.tried[attempt - 1]) is None
        case "DELIVERED":
            return True
        case "READ":
            return not notice.read
        case "FAILED_SOFT" | "BOUNCED":
            return attempt == notice.attempt and notice.until is None


def _contradicts(outcome: DeliveryOutcome, attempt: int, notice: Notice) -> bool:
    """A cancelled notice is no channel's any more; what was taken over bounces at most, what arrived not even that."""
    if notice.status is NoticeStatus.CANCELLED:
        return True
    arrived = notice.status in (NoticeStatus.SENT, NoticeStatus.DELIVERED)
    return outcome in FAILURES and arrived and attempt == notice.attempt
