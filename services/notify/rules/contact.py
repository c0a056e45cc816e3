"""Contact law: at which hours a buyer may be told of debts, and how often (N-R3, N-R4)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta

from services.notify.rules.policy import terms_in_force
from services.notify.state import ContactPolicy, DebtDay, Mailbox, Notice
from shared.contracts.notify import NoticeClass
from shared.contracts.policy import ContactTerms
from shared.kernel.calendar import Calendar

__all__ = ["Moment", "counted", "is_capped", "is_counted"]

IN_CONTACT_HOURS: frozenset[NoticeClass] = frozenset({"DEBT", "LEGAL"})
"""Service messages are sent at any hour."""

WEEK_DAYS = 7


@dataclass(frozen=True, slots=True)
class Moment:
    """An instant as contact law sees it."""

    now: datetime
    terms: ContactTerms
    calendar: Calendar

    @classmethod
    def of(cls, now: datetime, policy: ContactPolicy | None, calendar: Calendar) -> Moment:
        """This instant under the rules in force."""
        return cls(now, terms_in_force(policy, now), calendar)

    @property
    def today(self) -> date:
        return self.calendar.date(self.now)

    def allows(self, class_: NoticeClass) -> bool:
        """Whether a notice of this class may go out now: a service message always, others within contact hours."""
        if class_ not in IN_CONTACT_HOURS:
            return True
        return self._at(self.terms.opens_at) <= self.now < self._at(self.terms.closes_at)

    @property
    def next_opening(self) -> datetime:
        """When contact hours begin next."""
        opening = self._at(self.terms.opens_at)
        return opening if opening > self.now else self._at(self.terms.opens_at, days=1)

    def _at(self, clock: str, days: int = 0) -> datetime:
        return self.calendar.at(self.today + timedelta(days=days), time.fromisoformat(clock))


def is_counted(notice: Notice) -> bool:
    """Whether sending a notice on counts against the caps: a debt notice once, when it is first queued."""
    return notice.class_ == "DEBT" and not notice.tried


def is_capped(notice: Notice, mailbox: Mailbox, moment: Moment) -> bool:
    """Whether a notice that could go out now would exceed what a buyer has to bear in a day or a week (N-R4)."""
    if not (is_counted(notice) and moment.allows(notice.class_)):
        return False
    day, days = _week(mailbox, moment)
    on_the_day = sum(one.count for one in days if one.day == day)
    in_the_week = sum(one.count for one in days)
    return on_the_day >= moment.terms.debt_per_day or in_the_week >= moment.terms.debt_per_week


def counted(mailbox: Mailbox, moment: Moment) -> Mailbox:
    """The mailbox after one more debt notice was queued."""
    day, days = _week(mailbox, moment)
    before = sum(one.count for one in days if one.day == day)
    others = tuple(one for one in days if one.day != day)
    return replace(mailbox, debt_days=(*others, DebtDay(day, before + 1)))


def _week(mailbox: Mailbox, moment: Moment) -> tuple[date, tuple[DebtDay, ...]]:
    """The local day a notice counts for, and the counts of the week that ends with it.

    A message may be older than one handled before; its notice counts for the later day, so that no day is counted anew.
    """
    day = max((moment.today, *(one.day for one in mailbox.debt_days)))
    return day, tuple(one for one in mailbox.debt_days if (day - one.day).days < WEEK_DAYS)
