"""What any command must satisfy before its own rules count: existence, repetition, times (H-3, H-5)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Protocol

from services.refunds.state import Case, Order
from shared.engine.vocabulary import Rejected

__all__ = ["own_case", "refuse_foreign_merchant", "refuse_future", "repeated"]

CLOCK_TOLERANCE = timedelta(minutes=1)
"""How far ahead of business time a sender's clock may be (H-5)."""


class _AboutACase(Protocol):
    @property
    def order_id(self) -> str: ...
    @property
    def merchant_id(self) -> str: ...


def refuse_foreign_merchant(order: Order, merchant_id: str) -> None:
    """An order is known only together with its merchant: ORDER_NOT_ACCEPTED."""
    if order.merchant_id != merchant_id:
        raise Rejected(Order.UNKNOWN, "This merchant has no such accepted order of the buyer")


def own_case(command: _AboutACase, case: Case | None) -> Case:
    """The case, known only together with its order and merchant: UNKNOWN_CASE."""
    if case is None or (case.order_id, case.merchant_id) != (command.order_id, command.merchant_id):
        raise Rejected(Case.UNKNOWN, "This order of this merchant has no such case")
    return case


def refuse_future(occurred_at: datetime, now: datetime) -> None:
    """A reported fact must have happened, clocks being a minute apart at most: TIME_IN_FUTURE."""
    if occurred_at > now + CLOCK_TOLERANCE:
        raise Rejected("TIME_IN_FUTURE", occurred_at=occurred_at, now=now)


def repeated(*, same: bool, **stands: Any) -> Rejected:
    """The answer to a request whose id is taken: ALREADY_DONE for the same request, ALREADY_EXISTS for another."""
    return Rejected("ALREADY_DONE" if same else "ALREADY_EXISTS", **stands)
