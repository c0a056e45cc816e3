"""Returns and appeals: what they keep out of collection and dunning, and how it runs again (B-H)."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Annotated

from services.billing.deadlines import PauseEnd
from services.billing.handlers.changes import changed
from services.billing.rules import facts, late_fees, lines, pause, timetable
from services.billing.rules.closing import concluded
from services.billing.rules.debts import Debts
from services.billing.service import billing
from services.billing.state import Bill, Book, Pause, Plan
from shared.contracts.refunds import AppealDecided, AppealOpened, ReturnClosed, ReturnOpened
from shared.engine.service import Yielded
from shared.engine.vocabulary import Cause, Deadline, Named, Rows
from shared.kernel.calendar import Calendar

__all__ = ["decide_appeal", "end_pause", "pause_disputed_share", "pause_share", "resume_share"]


AwaitedPlan = Annotated[Plan | None, Named(awaited=True)]
"""An appeal need not be about an order, but where it is its plan is waited for (B-X1)."""
AwaitedBill = Annotated[Bill | None, Named(awaited=True)]

Live = tuple[Mapping[str, Plan], Mapping[str, Bill]]
"""The buyer's live plans by order and bills by id."""


# -- paused ------------------------------------------------------------------------------------------------------------


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
    yield from _pause(opened.case_id, opened.share_amount, cause, plan, bills, plans, now, calendar)


@billing.on(AppealOpened)
def pause_disputed_share(
    opened: AppealOpened,
    now: datetime,
    cause: Cause,
    plan: AwaitedPlan,
    bills: Rows[Bill],
    plans: Rows[Plan],
    calendar: Calendar,
) -> Iterator[Yielded]:
    """An outcome is challenged: where it is about an order, what is in dispute waits for the ruling (B-H1)."""
    if plan is not None and opened.amount is not None:
        yield from _pause(opened.appeal_id, opened.amount, cause, plan, bills, plans, now, calendar)


def _pause(
    ref: str,
    amount: int,
    cause: Cause,
    plan: Plan,
    bills: Rows[Bill],
    plans: Rows[Plan],
    now: datetime,
    calendar: Calendar,
) -> Iterator[Yielded]:
    if pause.heard(plan, ref, cause.id):
        return
    plan = pause.paused(plan, ref, amount, cause.id, now, calendar)
    yield plan
    held = pause.running(plan, ref)
    if held is None or held.until is None:
        return  # nothing was left to pause
    changes = lines.changed_bills(plan, bills, plans, calendar.date(now))
    yield from (change.after for change in changes)
    yield from facts.bills_paused(held, plan, {**plans, plan.order_id: plan}, changes)
    yield Deadline(held.until, PauseEnd(plan.buyer_id, held.ref, plan.order_id))
    for change in changes:
        yield from timetable.rescheduled(change, now, calendar)


# -- running again -----------------------------------------------------------------------------------------------------


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
    yield from _close(closed.case_id, "RETURN_CLOSED", cause, plan, bills, plans, now, calendar)


@billing.on(AppealDecided)
def decide_appeal(
    decided: AppealDecided,
    now: datetime,
    cause: Cause,
    book: Book,
    plan: AwaitedPlan,
    bill: AwaitedBill,
    bills: Rows[Bill],
    plans: Rows[Plan],
    calendar: Calendar,
) -> Iterator[Yielded]:
    """The ruling on a challenge: what waited for it is payable again, a wrong late fee is taken back (B-F7)."""
    live: Live = plans, bills
    if plan is not None:
        live = yield from _close(decided.appeal_id, "APPEAL_DECIDED", cause, plan, bills, plans, now, calendar)
    if bill is not None:
        debts = Debts(book, *live)
        yield from _rule_on_fee(decided, debts.bills.get(bill.bill_id, bill), debts, cause, now, calendar)


def _rule_on_fee(
    decided: AppealDecided, bill: Bill, debts: Debts, cause: Cause, now: datetime, calendar: Calendar
) -> Iterator[Yielded]:
    """What the ruling grants of the late fee it names is taken back, once for each appeal."""
    fee = bill.late_fee(decided.fee_id)
    if fee is None or decided.appeal_id in fee.appeals:
        return
    granted = {"BUYER": fee.revocable, "SPLIT": min(fee.revocable, decided.amount or 0)}.get(decided.outcome, 0)
    if not granted:
        return
    heard = replace(fee, appeals=(*fee.appeals, decided.appeal_id))
    before = debts.with_bills(bill)
    marked = debts.with_bills(bill.with_late_fee(heard))
    after = late_fees.reversed_fee(marked, bill.bill_id, fee.fee_id, granted, "APPEAL")
    yield from changed(concluded(before, after, calendar.date(now)), None, cause, now, calendar)


@billing.on(PauseEnd)
def end_pause(
    end: PauseEnd, now: datetime, plan: Plan, bills: Rows[Bill], plans: Rows[Plan], calendar: Calendar
) -> Iterator[Yielded]:
    """It took too long: the share is payable again although nothing is decided (B-H1, B-H2)."""
    over = pause.running(plan, end.ref)
    if over is not None:
        after = pause.resumed(plan, over, calendar.date(now))
        yield from _resume(after, over, "LIMIT", bills, plans, now, calendar)


def _close(
    ref: str,
    reason: facts.ResumeReason,
    cause: Cause,
    plan: Plan,
    bills: Rows[Bill],
    plans: Rows[Plan],
    now: datetime,
    calendar: Calendar,
) -> Generator[Yielded, None, Live]:
    """The case or appeal ended, with a mark that it did; what is live afterwards."""
    over = pause.latest(plan, ref)
    if over is None or pause.heard(plan, ref, cause.id):
        return plans, bills
    after = pause.resumed(plan, over, calendar.date(now), cause.id)
    yield from timetable.disarm_pauses(plan, after)
    return (yield from _resume(after, over, reason, bills, plans, now, calendar))


def _resume(
    plan: Plan,
    over: Pause,
    reason: facts.ResumeReason,
    bills: Rows[Bill],
    plans: Rows[Plan],
    now: datetime,
    calendar: Calendar,
) -> Generator[Yielded, None, Live]:
    """The plan without the pause that is ``over``, its bills with the dates their lines have now (B-H3)."""
    yield plan
    running = {**plans, plan.order_id: plan}
    changes = lines.changed_bills(plan, bills, plans, calendar.date(now))
    yield from (change.after for change in changes)
    yield from facts.bills_resumed(over, plan, running, changes, reason)
    for change in changes:
        yield from timetable.rescheduled(change, now, calendar)
    return running, {**bills, **{change.after.bill_id: change.after for change in changes}}
