"""How an amount taken from a plan is spread over its instalments: the three refund policies (B-R). Minor units.

Amounts and shares stand in the order of the instalments; no share is above what its instalment can take.
"""

from __future__ import annotations

from collections.abc import Sequence

from shared.contracts.policy import RefundPolicy
from shared.kernel.money import proportional_split

__all__ = ["first_first", "last_first", "past_due_first", "spread"]


def spread(policy: RefundPolicy, amount: int, unpaid: Sequence[int], days_late: Sequence[int]) -> list[int]:
    """The shares ``policy`` takes of what is ``unpaid``; together ``amount``, or all there is if that is less.

    ``days_late`` says how many days past due each instalment is, 0 if it is not.
    """
    match policy:
        case "REVERSE_DUE":
            return last_first(amount, unpaid)
        case "PAST_DUE_FIRST":
            return past_due_first(amount, unpaid, days_late)
        case "PRO_RATA":
            return proportional_split(min(amount, sum(unpaid)), unpaid)


def last_first(amount: int, unpaid: Sequence[int]) -> list[int]:
    """REVERSE_DUE: the last instalment first."""
    return first_first(amount, unpaid[::-1])[::-1]


def first_first(amount: int, unpaid: Sequence[int]) -> list[int]:
    """The first instalment first."""
    shares = []
    for one in unpaid:
        shares.append(min(amount, one))
        amount -= shares[-1]
    return shares


def past_due_first(amount: int, unpaid: Sequence[int], days_late: Sequence[int]) -> list[int]:
    """PAST_DUE_FIRST: what is past due, oldest first; the rest evenly over the unpaid instalments still to come.

    Oldest is what is late for the longest time, whatever its number: what a bank took back is a later instalment that
    may be due before an earlier one. Of those still to come each takes the floor of its part and the last one the
    remainder; what is too much for one goes to the last first.
    """
    places = range(len(unpaid))
    late = sorted((place for place in places if days_late[place]), key=lambda place: -days_late[place])
    shares = dict(zip(late, first_first(amount, [unpaid[place] for place in late]), strict=True))
    future = [place for place in places if unpaid[place] and not days_late[place]]
    rest = _evenly(amount - sum(shares.values()), [unpaid[place] for place in future])
    shares |= zip(future, rest, strict=True)
    return [shares.get(place, 0) for place in places]


def _evenly(amount: int, unpaid: Sequence[int]) -> list[int]:
    if not unpaid:
        return []
    part, remainder = divmod(amount, len(unpaid))
    wanted = [part] * (len(unpaid) - 1) + [part + remainder]
    shares = [min(one, most) for one, most in zip(wanted, unpaid, strict=True)]
    excess = last_first(amount - sum(shares), [most - one for one, most in zip(shares, unpaid, strict=True)])
    return [one + more for one, more in zip(shares, excess, strict=True)]
