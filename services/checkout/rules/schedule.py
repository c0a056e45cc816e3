"""When an order falls due, and in which parts, if its goods were accepted on a given day (B-P1 to P3).

It is what billing will bill, but for a statement that was cut before billing heard of the acceptance.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from shared.contracts.checkout import PlaceOrder
from shared.contracts.policy import INTEREST_FREE_DAYS, Terms
from shared.kernel.calendar import months_after
from shared.kernel.money import equal_split, percentage

__all__ = ["Due", "instalment_fee", "schedule"]


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
    return percentage(place.amount, terms.fee_bps(place.instalments))


def schedule(place: PlaceOrder, terms: Terms, accepted_on: date) -> tuple[Due, ...]:
    """The instalments of an order accepted on that day.

    PAY_AFTER_USE is due as a whole when its window ends. MONTHLY is split evenly over the statements that follow, the
    earlier taking more; a statement is cut on the first of a month and due thirty days later.
    """
    fee = instalment_fee(place, terms)
    if place.product == "PAY_AFTER_USE":
        return (Due(accepted_on + timedelta(days=terms.window_days), place.amount, fee),)
    count = place.instalments
    days = (day + timedelta(days=INTEREST_FREE_DAYS) for day in months_after(accepted_on, count))
    return tuple(map(Due, days, equal_split(place.amount, count), equal_split(fee, count)))
