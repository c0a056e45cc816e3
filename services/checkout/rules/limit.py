"""C-R3: how much credit a score is worth, when a limit is cut and when it may rise. Amounts in minor units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from services.checkout.rules.standing import IN_USE
from services.checkout.state import Account
from shared.contracts.policy import LimitBand

__all__ = ["band", "reviewed"]

GOOD_BILLS_TO_RISE = 3
SEASONED_AFTER = timedelta(days=90)


def band(score: int, bands: Sequence[LimitBand]) -> int:
    """The highest limit ``score`` is worth; 0 below the lowest band."""
    return max((one.limit for one in bands if one.min_score <= score), default=0)


def reviewed(account: Account, bands: Sequence[LimitBand], now: datetime) -> Account:
    """The account with the limit its score now earns: cut at once, raised by one band at a time when seasoned."""
    if account.status not in IN_USE:
        return account
    earned = band(account.score, bands)
    if earned > account.limit:
        if not _may_rise(account, now):
            return account
        earned = min(one.limit for one in bands if account.limit < one.limit)
    return account if earned == account.limit else replace(account, limit=earned, good_bills=0)


def _may_rise(account: Account, now: datetime) -> bool:
    return (
        account.stage == "NONE"
        and account.good_bills >= GOOD_BILLS_TO_RISE
        and account.activated_at is not None
        and now - account.activated_at >= SEASONED_AFTER
    )
