"""When an order falls due, and in which parts, if its goods were accepted on a given day (B-P1 to P3).

It is what billing will bill, but for a statement that was cut before billing heard of the acceptance.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from shared.contracts.checkout import PlaceOrder
from shared.contracts.policy import Terms
from shared.kernel.money import equal_split, percentage

__all__ = ["Due", "instalment_fee", "schedule"]

STATEMENT_DAY = 1
"""Of the month: on it the statement with all that a buyer pays monthly is cut."""

INTEREST_FREE_DAYS = 30
"""From a statement to its due date (B-P2)."""


@dataclass(frozen=True, slots=True)
class Due:
    """One instalment, in minor units, and the day until whose end it is payable."""

    due_on: date
    principal: int
    fee: int


def instalment_fee(place: PlaceOrder, terms: Terms) -> int:
    """What paying in so many parts costs in all, in minor units; nothing after use, nor in one part (B-P3)."""
    if place.product == "PAY_AFTER_USE":
        return 0
    rates = {int(count): bps for count, bps in terms.instalment_fee_bps.items()}
    return percentage(place.amount, rates.get(place.instalments, 0))


def schedule(place: PlaceOrder, terms: Terms, accepted_on: date) -> tuple[Due, ...]:
    """The instalments of an order accepted on that day.

    PAY_AFTER_USE is due as a whole when its window ends. MONTHLY is split evenly over the statements that follow, the
    earlier taking more, and each is due thirty days after its statement.
    """
    fee = instalment_fee(place, terms)
    if place.product == "PAY_AFTER_USE":
        return (Due(accepted_on + timedelta(days=terms.window_days), place.amount, fee),)
    count = place.instalments
    days = (day + timedelta(days=INTEREST_FREE_DAYS) for day in _statements_after(accepted_on, count))
    return tuple(map(Due, days, equal_split(place.amount, count), equal_split(fee, count)))


def _statements_after(day: date, count: int) -> Iterator[date]:
    """The next statement days strictly after ``day``."""
    for _ in range(count):
        day = date(day.year + day.month // 12, day.month % 12 + 1, STATEMENT_DAY)
        yield day
