"""How a bill ages: the days of the ladder, the stage and bucket of each, and what a late success undoes (B-D)."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import replace
from datetime import date, datetime, timedelta

from services.billing.deadlines import Step
from services.billing.rules.late_fees import fee_days
from services.billing.state import STAGES, Bill, BillStatus, BillTerms
from shared.contracts.billing import Bucket, Stage

__all__ = [
    "CHARGED_OFF_FROM",
    "STEP_WAIT",
    "aged",
    "bucket_at",
    "climbs",
    "days_past_due",
    "ladder",
    "must_wait",
    "stage_at",
]

CHARGED_OFF_FROM = 181
"""The day past due on which a bill is written off (B-D4)."""

STEP_WAIT = timedelta(hours=24)
STEP_WAITS_MAX = 7

_STAGES: tuple[tuple[int, Stage], ...] = (
    (1, "REMINDER"),
    (4, "RESTRICTED"),
    (10, "SUSPENDED"),
    (31, "COLLECTIONS"),
    (CHARGED_OFF_FROM, "CHARGED_OFF"),
)
_BUCKETS: tuple[tuple[int, Bucket], ...] = (
    (1, "D1_3"),
    (4, "D4_30"),
    (31, "D31_60"),
    (61, "D61_90"),
    (91, "D91_120"),
    (121, "D121_180"),
    (181, "D181_UP"),
)


def ladder(terms: BillTerms) -> tuple[int, ...]:
    """The days past due on which something happens to an unpaid bill, ascending: dunning steps and fee days (B-D1)."""
    return tuple(sorted({*terms.dunning.step_days, *fee_days(terms.late_fee)}))


def climbs(terms: BillTerms, day: int) -> bool:
    """Whether a day of the ladder is a dunning step, not a fee day alone."""
    return day in terms.dunning.step_days


def stage_at(dpd: int) -> Stage:
    """The stage of a bill ``dpd`` days past due."""
    reached = bisect_right(_STAGES, dpd, key=lambda one: one[0])
    return _STAGES[reached - 1][1] if reached else "NONE"


def bucket_at(dpd: int) -> Bucket:
    """The ageing bucket of a bill ``dpd`` days past due; NONE before the first."""
    reached = bisect_right(_BUCKETS, dpd, key=lambda one: one[0])
    return _BUCKETS[reached - 1][1] if reached else "NONE"


def aged(bill: Bill, day: int) -> Bill:
    """The bill after the ladder's ``day`` was taken."""
    reached = stage_at(day) if climbs(bill.terms, day) else bill.stage
    stage = max(bill.stage, reached, key=STAGES.index)  # another line of it may have come further and be paused
    return replace(bill, status=BillStatus.OVERDUE, last_step=day, max_dpd=max(bill.max_dpd, day), stage=stage)


def must_wait(bill: Bill, step: Step, due_part: int, fell_due_at: datetime) -> bool:
    """Whether a step waits for the provider: a repayment asked before it covers the due part and is out (B-D3)."""
    waiting = bill.in_flight
    return (
        waiting is not None
        and waiting.requested_at < fell_due_at
        and waiting.amount >= due_part
        and step.waits < STEP_WAITS_MAX
        and step.missed_until is None
    )


def days_past_due(bill: Bill, paid_on: date, due_part: int) -> int:
    """``max_dpd`` of a bill after a repayment requested on ``paid_on`` reduced it (section 2).

    The highest day of a step taken or, if higher, of ``paid_on``; 0 if no step was taken. While the bill had no
    ``due_part`` it did not age.
    """
    late = (paid_on - bill.due_on).days
    return max(bill.max_dpd, late) if bill.max_dpd and due_part else bill.max_dpd
