"""Return cases: what they keep out of collection and dunning, and how it runs again (B-H)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Literal

from services.billing.deadlines import PauseEnd
from services.billing.rules import facts, lines, pause, timetable
from services.billing.service import billing
from services.billing.state import Bill, Pause, Plan
from shared.contracts.refunds import ReturnClosed, ReturnOpened
from shared.engine.service import Yielded
from shared.engine.vocabulary import Cause, Deadline, Rows
from shared.kernel.calendar import Calendar

__all__ = ["end_pause", "pause_share", "resume_share"]


@billing.on(ReturnOpened)
def pause_share(
    opened: ReturnOpened,
    now: datetime,
    cause: Cause,
    plan: Plan,
    bills: Rows[Bill],
    plans: Rows[Plan],
    calendar: Calendar,
) -> Iterator[Yielded]:
    """Goods may come back: until that is decided their unpaid share is neither collected nor dunned (B-H1)."""
    if pause.heard(plan, opened.case_id, cause.id):
        return
    plan = pause.paused(plan, opened.case_id, opened.share_amount, cause.id, now, calendar)
    yield plan
    held = pause.running(plan, opened.case_id)
    if held is None or held.until is None:
        return  # nothing was left to pause
    changes = lines.changed_bills(plan, bills, plans, calendar.date(now))
    yield from (change.after for change in changes)
    yield from facts.bills_paused(plan, held, changes)
    yield Deadline(held.until, PauseEnd(plan.buyer_id, held.ref, plan.order_id))
    for change in changes:
        yield from timetable.rescheduled(change, now, calendar)


@billing.on(ReturnClosed)
def resume_share(
    closed: ReturnClosed,
    now: datetime,
    cause: Cause,
    plan: Plan,
    bills: Rows[Bill],
    plans: Rows[Plan],
    calendar: Calendar,
) -> Iterator[Yielded]:
    """The case ended: what is still paused for it is payable again (B-H2)."""
    over = pause.latest(plan, closed.case_id)
    if over is None or pause.heard(plan, closed.case_id, cause.id):
        return
    after = pause.resumed(plan, over, calendar.date(now), cause.id)
    yield from timetable.disarm_pauses(plan, after)
    yield from _resume(after, over, "RETURN_CLOSED", bills, plans, now, calendar)


@billing.on(PauseEnd)
def end_pause(
    end: PauseEnd, now: datetime, plan: Plan, bills: Rows[Bill], plans: Rows[Plan], calendar: Calendar
) -> Iterator[Yielded]:
    """The case took too long: its share is payable again although it is still open (B-H1, B-H2)."""
    over = pause.running(plan, end.ref)
    if over is not None:
        after = pause.resumed(plan, over, calendar.date(now))
        yield from _resume(after, over, "LIMIT", bills, plans, now, calendar)


def _resume(
    plan: Plan,
    over: Pause,
    reason: Literal["RETURN_CLOSED", "LIMIT"],
    bills: Rows[Bill],
    plans: Rows[Plan],
    now: datetime,
    calendar: Calendar,
) -> Iterator[Yielded]:
    """The plan without the pause that is ``over``, its bills with the dates their lines have now (B-H3)."""
    yield plan
    changes = lines.changed_bills(plan, bills, plans, calendar.date(now))
    yield from (change.after for change in changes)
    yield from facts.bills_resumed(plan, over, changes, reason)
    for change in changes:
        yield from timetable.rescheduled(change, now, calendar)
