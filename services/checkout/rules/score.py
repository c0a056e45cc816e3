"""C-R4: how bills move the score (0-1000). Points are recorded as really posted, so that they can be given back."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from services.checkout.state import Account, BillScore, MonthPoints

__all__ = ["forgiven", "late_level", "paid_in_time", "stepped", "taken_back"]

SCORE_MAX = 1000
MONTHLY_CAP = 15
POINTS_IN_TIME = 3
POINTS_EARLY = 1

_LATE_LEVELS = ((31, 80), (4, 25), (1, 5))
_CHARGED_OFF = 200

_MONTHS_KEPT = 3
"""A late report may date a payment into a month before the last one seen; older ones are closed."""


def late_level(dpd: int, stage: str) -> int:
    """The points a bill costs at ``dpd`` days past due: 5, 25, 80, and 200 once it is charged off."""
    if stage == "CHARGED_OFF":
        return _CHARGED_OFF
    return next((points for days, points in _LATE_LEVELS if dpd >= days), 0)


def stepped(account: Account, bill: BillScore, level: int) -> tuple[Account, BillScore]:
    """A bill became later: entering a worse level posts the difference to the level before."""
    if level <= bill.level:
        return account, bill
    posted = min(account.score, level - bill.level)
    return (
        replace(account, score=account.score - posted),
        replace(bill, level=level, late_points=bill.late_points + posted),
    )


def paid_in_time(account: Account, bill: BillScore, paid_on: date, due_on: date) -> tuple[Account, BillScore]:
    """A bill was paid without delay: its late points return, then good points follow, capped per calendar month."""
    account, bill = forgiven(account, bill)
    month = f"{paid_on:%Y-%m}"
    so_far = next((one.points for one in account.month_points if one.month == month), 0)
    wanted = POINTS_IN_TIME + (POINTS_EARLY if paid_on < due_on else 0)
    good = max(0, min(wanted, MONTHLY_CAP - so_far, SCORE_MAX - account.score))
    others = [one for one in account.month_points if one.month != month]
    months = sorted([*others, MonthPoints(month, so_far + good)], key=lambda one: one.month)[-_MONTHS_KEPT:]
    return (
        replace(account, score=account.score + good, month_points=tuple(months), good_bills=account.good_bills + 1),
        replace(bill, paid=True, good_points=good),
    )


def forgiven(account: Account, bill: BillScore) -> tuple[Account, BillScore]:
    """A bill's late points return: it was not late after all, or is no longer, having got another due date."""
    score = min(SCORE_MAX, account.score + bill.late_points)
    return replace(account, score=score), replace(bill, late_points=0, level=0)


def taken_back(account: Account, bill: BillScore) -> tuple[Account, BillScore]:
    """A bill's good points go, because money that paid it went back. What its month has brought is not reopened."""
    return replace(account, score=max(0, account.score - bill.good_points)), replace(bill, good_points=0)
