"""The tenant's calendar: business dates, local instants and working days (T-2, T-4). A constant of the deployment."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterator
from enum import StrEnum
from functools import lru_cache
from zoneinfo import ZoneInfo

import holidays

__all__ = ["MIDNIGHT", "Calendar", "WorkingWeek", "months_after"]

log = logging.getLogger(__name__)

_DAY = dt.timedelta(days=1)
_SATURDAY = 5

MIDNIGHT = dt.time()
"""The local clock time at which a business date begins."""


class WorkingWeek(StrEnum):
    """Which days are worked: China's published holidays and make-up days, or plainly Monday to Friday."""

    CN = "CN"
    CN_WEEKENDS = "CN-WEEKENDS"


class Calendar:
    """Turns instants into business dates and back, in the tenant's zone.

    A handler asks for it by annotation (``calendar: Calendar``); the composition root provides it.
    """

    def __init__(self, zone: str = "Asia/Shanghai", week: WorkingWeek | str = WorkingWeek.CN) -> None:
        self.zone = ZoneInfo(zone)
        self.week = WorkingWeek(week)
        self._china = holidays.country_holidays("CN")
        self._last_published = max(self._china.special_public_holidays)
        self._warned: set[int] = set()

    @property
    def horizon(self) -> dt.date | None:
        """The last day whose working days are officially published; None where no publication matters."""
        return dt.date(self._last_published, 12, 31) if self.week is WorkingWeek.CN else None

    def date(self, now: dt.datetime) -> dt.date:
        """The business date of an instant (T-2)."""
        return now.astimezone(self.zone).date()

    def at(self, day: dt.date, clock: dt.time) -> dt.datetime:
        """The instant, in UTC, at which the local wall clock of ``day`` shows ``clock`` (T-2)."""
        return _instant(self.zone, day, clock)

    def is_working_day(self, day: dt.date) -> bool:
        """Whether ``day`` is worked; beyond the horizon Monday to Friday, with a warning once per year (T-4)."""
        if self.week is WorkingWeek.CN:
            if day.year <= self._last_published:
                return self._china.is_working_day(day)
            self._warn(day.year)
        return day.weekday() < _SATURDAY

    def working_days_after(self, now: dt.datetime, days: int) -> dt.datetime:
        """``WD(now, days)``: the end of the ``days``-th working day strictly after the date of ``now`` (T-4)."""
        day = self.date(now)
        while days > 0:
            day += _DAY
            days -= self.is_working_day(day)
        return self.at(day + _DAY, MIDNIGHT)

    def _warn(self, year: int) -> None:
        if year not in self._warned:
            self._warned.add(year)
            log.warning("No working days are published for %d: Monday to Friday is assumed", year)


def months_after(day: dt.date, count: int) -> Iterator[dt.date]:
    """The first days of the ``count`` months after that of ``day``."""
    for _ in range(count):
        day = dt.date(day.year + day.month // 12, day.month % 12 + 1, 1)
        yield day


@lru_cache(maxsize=4096)
def _instant(zone: ZoneInfo, day: dt.date, clock: dt.time) -> dt.datetime:
    """Few days and clock times are asked for, by every handler and again and again."""
    return dt.datetime.combine(day, clock, zone).astimezone(dt.UTC)
