"""How long everyone has, and what a buyer is promised (2.1, 2.2, R-R5)."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from shared.kernel.calendar import Calendar

__all__ = [
    "APPEAL",
    "ASSESSMENT",
    "EVIDENCE",
    "FIRST_ASK",
    "LATER_ASK",
    "PLATFORM_AGAIN_DAYS",
    "PLATFORM_REVIEW_DAYS",
    "RECEIPT",
    "RETRY",
    "SELLER_REVIEW",
    "SHIP_BACK",
    "arrival_at",
    "handed_over_on",
    "promised",
]

SELLER_REVIEW = timedelta(hours=24)
"""The seller's time for a request, and again for a refund (REF-06, REF-09)."""

PLATFORM_REVIEW_DAYS = 3
PLATFORM_AGAIN_DAYS = 1
"""The platform's working days for a dispute (REF-10); when they are over, one more, again and again."""

EVIDENCE = timedelta(hours=72)
SHIP_BACK = timedelta(days=7)
RECEIPT = timedelta(days=15)
ASSESSMENT = timedelta(hours=72)
APPEAL = timedelta(days=7)

FIRST_ASK = timedelta(hours=1)
LATER_ASK = timedelta(hours=24)
RETRY = timedelta(hours=24)

PROMISED_FROM_DAYS = 5
PROMISED_BY_DAYS = 15
"""Working days after approval between which a refund arrives (REF-14)."""

_DAY = timedelta(days=1)


def promised(now: datetime, calendar: Calendar) -> tuple[date, date]:
    """The days from and by which a refund approved now arrives: the 5th and the 15th working day (R-R5)."""
    return _working_day(now, PROMISED_FROM_DAYS, calendar), _working_day(now, PROMISED_BY_DAYS, calendar)


def arrival_at(now: datetime, calendar: Calendar) -> datetime:
    """The end of the last promised day."""
    return calendar.working_days_after(now, PROMISED_BY_DAYS)


def handed_over_on(occurred_at: datetime, opened_on: date, now: datetime, calendar: Calendar) -> date:
    """The day from which a refund counts: that of the hand-over, not before the request and not after now (R-R5)."""
    return max(opened_on, min(calendar.date(occurred_at), calendar.date(now)))


def _working_day(now: datetime, days: int, calendar: Calendar) -> date:
    return calendar.date(calendar.working_days_after(now, days)) - _DAY
