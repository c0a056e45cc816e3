"""What any command must satisfy before its own rules count: existence, repetition, currency, times (H-3, H-5)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from services.checkout.state import Account, Order
from shared.engine.vocabulary import Rejected

__all__ = ["refuse_foreign_merchant", "refuse_future", "refuse_other_currency", "repeated"]

CLOCK_TOLERANCE = timedelta(minutes=1)


def refuse_foreign_merchant(order: Order, merchant_id: str) -> None:
    """An order is known only together with its merchant: UNKNOWN_ORDER."""
    if order.merchant_id != merchant_id:
        raise Rejected("UNKNOWN_ORDER", "This merchant has no such order of the buyer")


def refuse_future(occurred_at: datetime, now: datetime) -> None:
    """A reported fact must have happened, clocks being a minute apart at most: TIME_IN_FUTURE."""
    if occurred_at > now + CLOCK_TOLERANCE:
        raise Rejected("TIME_IN_FUTURE", occurred_at=occurred_at, now=now)


def refuse_other_currency(account: Account, currency: str) -> None:
    """An account has one currency: CURRENCY_MISMATCH."""
    if currency != account.currency:
        raise Rejected("CURRENCY_MISMATCH", currency=currency, account_currency=account.currency)


def repeated(*, same: bool, stands: Mapping[str, Any]) -> Rejected:
    """The answer to a request whose id is taken: ALREADY_DONE for the same request, ALREADY_EXISTS for another."""
    return Rejected("ALREADY_DONE" if same else "ALREADY_EXISTS", **stands)
