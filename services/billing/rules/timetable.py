"""When a bill comes up: reminders at 09:00, collections at 14:00, steps at midnight (2.1, T-5).

Everything is anchored on the bill's due date, never on the time a handler ran.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta

from services.billing.deadlines import Collect, DaysLeft, DueSoon, PauseEnd, StatementCut, Step
from services.billing.rules.delinquency import ladder
from services.billing.rules.lines import BillChange
from services.billing.state import Bill, BillStatus, Plan
from shared.engine.vocabulary import Deadline, Disarm
from shared.kernel.calendar import MIDNIGHT, Calendar

__all__ = [
    "arm_set",
    "disarm_pauses",
    "disarm_set",
    "next_attempt_at",
    "next_collection",
    "next_reminder",
    "next_step",
    "rescheduled",
    "statement_cut",
    "step_at",
]

REMINDER_DAYS: tuple[DaysLeft, ...] = (3, 1, 0)
REMINDED_AT = time(9)
COLLECTED_AT = time(14)


def statement_cut(bill: Bill, calendar: Calendar) -> Iterator[Deadline]:
    """A statement is cut at the beginning of its day (B-P2)."""
    if bill.statement_on is not None:
        at = calendar.at(bill.statement_on, MIDNIGHT)
        yield Deadline(at, StatementCut(bill.buyer_id, bill.bill_id, bill.order_ids))


def arm_set(bill: Bill, now: datetime, calendar: Calendar) -> Iterator[Deadline]:
    """The first reminder, collection and step of the bill's due date; instants passed and steps taken are skipped."""
    yield from next_reminder(bill, now, calendar)
    yield from next_collection(bill, now, calendar)
    ahead = (day for day in ladder(bill.terms) if day > bill.last_step and step_at(bill, day, calendar) >= now)
    first = next(ahead, None)
    if first is not None:
        yield _step(bill, first, calendar)


def disarm_set(bill: Bill) -> Iterator[Disarm]:
    """A bill that is closed, or paused as a whole, comes up no more."""
    return (Disarm(kind, bill.bill_id) for kind in (DueSoon, Collect, Step))


def rescheduled(change: BillChange, now: datetime, calendar: Calendar) -> Iterator[Deadline | Disarm]:
    """What a change of its instalments does to a bill's deadlines: they stand only while there is a due part.

    They are set anew when it has one again, or another due date.
    """
    before, after = change.before, change.after
    if after.status is BillStatus.SCHEDULED:
        return
    if not change.due_after:
        yield from disarm_set(after)
    elif not change.due_before or (before.due_on, before.due_version) != (after.due_on, after.due_version):
        armed = list(arm_set(after, now, calendar))
        ahead = {type(one.message) for one in armed}
        yield from (one for one in disarm_set(after) if one.kind not in ahead)
        yield from armed


def disarm_pauses(before: Plan, after: Plan) -> Iterator[Disarm]:
    """Pauses that hold nothing any more do not have to end."""
    running = {pause.ref for pause in after.pauses if pause.shares}
    return (Disarm(PauseEnd, pause.ref) for pause in before.pauses if pause.shares and pause.ref not in running)


def next_reminder(bill: Bill, now: datetime, calendar: Calendar, before: int | None = None) -> Iterator[Deadline]:
    """The next of T-3, T-1 and T-0, from ``now`` on; with ``before`` nearer to the due date than so many days."""
    for days_left in REMINDER_DAYS:
        if before is None or days_left < before:
            at = calendar.at(bill.due_on - timedelta(days=days_left), REMINDED_AT)
            if at >= now:
                yield Deadline(at, DueSoon(bill.buyer_id, bill.bill_id, bill.order_ids, days_left))
                return


def next_collection(bill: Bill, now: datetime, calendar: Calendar, after: int = -1) -> Iterator[Deadline]:
    """The next attempt from ``now`` on, later than the offset ``after`` (B-C2)."""
    for offset in bill.terms.dunning.collect_days:
        if offset > after and (at := _attempt_at(bill.due_on, offset, calendar)) >= now:
            yield Deadline(at, Collect(bill.buyer_id, bill.bill_id, bill.order_ids, offset))
            return


def next_attempt_at(bill: Bill, now: datetime, calendar: Calendar) -> datetime | None:
    """When the bill is collected next, after ``now``; None when every attempt of its due date is behind it."""
    instants = (_attempt_at(bill.due_on, offset, calendar) for offset in bill.terms.dunning.collect_days)
    return next((at for at in instants if at > now), None)


def next_step(bill: Bill, step: Step, now: datetime, calendar: Calendar) -> Iterator[Deadline]:
    """The day of the ladder after ``step``, at its own instant.

    That may have passed while ``step`` waited for a provider: then it runs at once, without waiting itself (B-D3).
    """
    day = next((day for day in ladder(bill.terms) if day > step.day), None)
    if day is not None:
        caught_up = step.missed_until or now
        missed = step_at(bill, day, calendar) <= caught_up
        yield _step(bill, day, calendar, caught_up if missed else None)


def step_at(bill: Bill, day: int, calendar: Calendar) -> datetime:
    """The instant at which the bill becomes ``day`` days past due."""
    return calendar.at(bill.due_on + timedelta(days=day), MIDNIGHT)


def _step(bill: Bill, day: int, calendar: Calendar, missed_until: datetime | None = None) -> Deadline:
    step = Step(bill.buyer_id, bill.bill_id, bill.order_ids, day, missed_until=missed_until)
    return Deadline(step_at(bill, day, calendar), step)


def _attempt_at(due_on: date, offset: int, calendar: Calendar) -> datetime:
    return calendar.at(due_on + timedelta(days=offset), COLLECTED_AT)
