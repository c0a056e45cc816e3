"""What returns and appeals keep out of collection and dunning, and until when (B-H). Amounts are minor units."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta

from services.billing.rules.spread import last_first
from services.billing.state import Pause, PausedShare, Plan
from shared.kernel.calendar import MIDNIGHT, Calendar

__all__ = ["heard", "latest", "lowered", "paused", "resumed", "running", "within_outstanding"]

PAUSED_FOR = timedelta(days=21)
"""How long one case may pause its share."""

PAUSED_DAYS_MAX = 42
"""On how many calendar days an order may have any share paused, all its cases together."""

PAUSES_MAX = 100
"""Cases of one order that are kept in mind; each leaves a mark in the plan's row, which must not grow without end.
Later ones pause nothing."""


def heard(plan: Plan, ref: str, event_id: str) -> bool:
    """Whether this event about the case ``ref`` has been applied already, by the marks on the plan alone."""
    return any(one.ref == ref and event_id in one.heard for one in plan.pauses)


def running(plan: Plan, ref: str) -> Pause | None:
    """The pause that holds shares for the case ``ref`` now."""
    return next((one for one in plan.pauses if one.ref == ref and one.shares), None)


def latest(plan: Plan, ref: str) -> Pause | None:
    """The last pause of the case ``ref``, running or not."""
    return next((one for one in reversed(plan.pauses) if one.ref == ref), None)


def paused(plan: Plan, ref: str, amount: int, event_id: str, now: datetime, calendar: Calendar) -> Plan:
    """The plan with ``amount`` paused for a case, or as much as is left to pause, the last instalment first (B-H1).

    The pause ends 21 days from ``now``, or at the end of the 42nd calendar day with any pause if that is earlier. Where
    nothing is left to pause, of the principal or of the days, only the mark is left that the event was heard.
    """
    if len(plan.pauses) >= PAUSES_MAX:
        return plan
    today = calendar.date(now)
    days_left = PAUSED_DAYS_MAX - _days_paused_before(plan, today)
    shares = last_first(amount if days_left > 0 else 0, [one.outstanding - one.paused for one in plan.instalments])
    pause = Pause(ref, (event_id,), today, until=None)
    if any(shares):
        limit = calendar.at(today + timedelta(days=days_left), MIDNIGHT)
        held = tuple(PausedShare(seq, share) for seq, share in enumerate(shares, start=1) if share)
        pause = replace(pause, until=min(now + PAUSED_FOR, limit), shares=held)
    return _with_pauses(plan, (*plan.pauses, pause))


def resumed(plan: Plan, pause: Pause, today: date, event_id: str | None = None) -> Plan:
    """The plan when a pause is over (B-H2), with a mark of the event that closed its case, if one did."""
    heard_of = pause.heard if event_id is None else (*pause.heard, event_id)
    return _with_pause(plan, pause, replace(_kept(pause, {}, today), heard=heard_of))


def lowered(plan: Plan, refs: Iterable[str], taken: Mapping[int, int], today: date) -> Plan:
    """The plan after a refund took ``taken`` by instalment: the pauses of its case and appeal lose that much (B-H1)."""
    left = dict(taken)
    for pause in [found for ref in refs if (found := running(plan, ref)) is not None]:
        kept = {share.seq: share.amount - min(share.amount, left.get(share.seq, 0)) for share in pause.shares}
        left |= {one.seq: left[one.seq] - one.amount + kept[one.seq] for one in pause.shares if one.seq in left}
        plan = _with_pause(plan, pause, _kept(pause, kept, today))
    return within_outstanding(plan, today)


def within_outstanding(plan: Plan, today: date) -> Plan:
    """The plan with no more paused than is unpaid, instalment by instalment; the latest pause gives way first."""
    room = {one.seq: one.outstanding for one in plan.instalments}
    if all(one.paused <= room[one.seq] for one in plan.instalments):
        return plan
    pauses = []
    for pause in plan.pauses:
        kept = {share.seq: min(share.amount, room[share.seq]) for share in pause.shares}
        room = {seq: left - kept.get(seq, 0) for seq, left in room.items()}
        pauses.append(_kept(pause, kept, today))
    return _with_pauses(plan, tuple(pauses))


def _days_paused_before(plan: Plan, today: date) -> int:
    """Calendar days before ``today`` on which any share was paused."""
    days: set[date] = set()
    for pause in plan.pauses:
        if pause.until is not None:
            last = pause.ended_on or today
            days.update(pause.opened_on + timedelta(days=n) for n in range((last - pause.opened_on).days + 1))
    return sum(day < today for day in days)


def _kept(pause: Pause, amounts: Mapping[int, int], today: date) -> Pause:
    """A pause that keeps ``amounts`` of its shares by instalment; with the last of them it ends."""
    shares = tuple(PausedShare(seq, amount) for seq, amount in amounts.items() if amount > 0)
    return replace(pause, shares=shares, ended_on=today if pause.shares and not shares else pause.ended_on)


def _with_pause(plan: Plan, before: Pause, after: Pause) -> Plan:
    return _with_pauses(plan, tuple(after if one is before else one for one in plan.pauses))


def _with_pauses(plan: Plan, pauses: tuple[Pause, ...]) -> Plan:
    """The plan with these pauses, and on each instalment the sum of its shares."""
    sums = dict.fromkeys((one.seq for one in plan.instalments), 0)
    for share in (share for pause in pauses for share in pause.shares):
        sums[share.seq] += share.amount
    return replace(
        plan, pauses=pauses, instalments=tuple(replace(one, paused=sums[one.seq]) for one in plan.instalments)
    )
