"""Splitting integer money: no unit is lost and none is made (M-1 to M-4). All amounts are minor units, never negative.

A share is computed once and stored; later steps take shares of the stored integers.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["equal_split", "percentage", "proportional_split", "quantity_share"]

_BPS = 10_000


def proportional_split(amount: int, weights: Sequence[int]) -> list[int]:
    """Divide ``amount`` in proportion to ``weights`` (M-1).

    Everyone gets the floor; left-over units go one each by largest remainder, ties to the earlier weight.
    ValueError if there is something to divide and no weight above 0.
    """
    whole = sum(weights)
    if whole <= 0 or min(weights) < 0:
        if amount == 0:
            return [0] * len(weights)
        raise ValueError(f"cannot divide {amount} over weights {list(weights)}")
    shares = [amount * weight // whole for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda place: -(amount * weights[place] % whole))
    for place in by_remainder[: amount - sum(shares)]:
        shares[place] += 1
    return shares


def equal_split(amount: int, parts: int) -> list[int]:
    """Divide ``amount`` into equal ``parts``, the earliest ones taking a unit more (M-2, EARLIEST_SPREAD)."""
    quotient, longer = divmod(amount, parts)
    return [quotient + 1] * longer + [quotient] * (parts - longer)


def quantity_share(total: int, done: int, quantity: int, of: int) -> int:
    """The value of the next ``quantity`` units of a line of ``of`` units worth ``total``, ``done`` being gone (M-3).

    Cumulative, so that the shares of all units add up to ``total`` in whatever steps they go.
    """
    return total * (done + quantity) // of - total * done // of


def percentage(amount: int, bps: int) -> int:
    """``bps`` basis points of ``amount``, rounded down (M-4)."""
    return amount * bps // _BPS
