"""What a return is worth (R-R4). All amounts are minor units of the order's currency.

A case may span categories with different terms: each line's own decide its reason, its restocking and its grades; the
way back is one parcel, for which the dearest of their fees is taken.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from services.refunds.rules.terms import is_fault
from services.refunds.state import Case, Order, OrderLine
from shared.contracts.policy import CategoryReturnTerms
from shared.contracts.refunds import AssessedLine, Grade
from shared.kernel.money import percentage, quantity_share

__all__ = ["Assessment", "Units", "assess", "share"]

WHOLE_BPS = 10_000
"""A policy may state a larger ratio; no deduction takes more than the goods it is made for."""


@dataclass(frozen=True, slots=True)
class Units:
    """Units of one line, and what they are worth before deductions."""

    line_id: str
    sku: str
    quantity: int
    goods: int
    freight: int
    """0 where the seller is not at fault: the buyer then bears the way there."""

    @property
    def worth(self) -> int:
        return self.goods + self.freight


@dataclass(frozen=True, slots=True)
class Assessment:
    """A computed refund: what the units are worth, what is deducted, and ``amount``, what is left."""

    units: tuple[Units, ...]
    damage: int
    restocking: int
    return_fee: int
    amount: int

    @property
    def goods(self) -> int:
        return sum(units.goods for units in self.units)

    @property
    def freight(self) -> int:
        return sum(units.freight for units in self.units)


def share(line: OrderLine, quantity: int) -> int:
    """Goods and freight of units that are asked for, after all that are gone or asked for already (M-3)."""
    done = line.refunded_qty + line.open_qty
    return quantity_share(line.goods, done, quantity, line.quantity) + quantity_share(
        line.freight, done, quantity, line.quantity
    )


def assess(order: Order, case: Case) -> Assessment:
    """What the case's units are worth at this moment: as of the order's units decided so far, and of its rest."""
    parts = list(_parts(order, case))
    units = tuple(_units(part, case.reason) for part in parts)
    remorse = [part for part in parts if not is_fault(part.terms, case.reason)]
    damage = sum(_damage(part, case.grades) for part in parts) if case.responsibility == "BUYER" else 0
    restocking = _restocking(remorse)
    return_fee = max((part.terms.return_fee for part in remorse), default=0)
    worth = sum(one.worth for one in units)
    amount = min(order.rest, max(0, worth - damage - restocking - return_fee))
    return Assessment(units, damage, restocking, return_fee, amount)


@dataclass(frozen=True, slots=True)
class _Part:
    """Units of one line that are to be assessed, under that line's terms."""

    line: OrderLine
    terms: CategoryReturnTerms
    quantity: int

    @property
    def goods(self) -> int:
        return quantity_share(self.line.goods, self.line.refunded_qty, self.quantity, self.line.quantity)

    @property
    def freight(self) -> int:
        return quantity_share(self.line.freight, self.line.refunded_qty, self.quantity, self.line.quantity)


def _parts(order: Order, case: Case) -> Iterator[_Part]:
    quantities = dict(case.units())
    for line in order.lines:
        if line.line_id in quantities:
            yield _Part(line, order.terms_of(line), quantities[line.line_id])


def _units(part: _Part, reason: str) -> Units:
    freight = part.freight if is_fault(part.terms, reason) else 0
    return Units(part.line.line_id, part.line.sku, part.quantity, part.goods, freight)


def _damage(part: _Part, grades: Iterable[AssessedLine]) -> int:
    """Deducted for condition: group by group in the order listed, units not graded last and as new."""
    ratios = part.terms.grade_bps
    bps: dict[Grade, int] = {"A": ratios.a, "B": ratios.b, "C": ratios.c, "D": ratios.d}
    groups = [(one.grade, one.quantity) for one in grades if one.line_id == part.line.line_id]
    groups.append(("A", part.quantity - sum(quantity for _, quantity in groups)))
    done, damage = part.line.refunded_qty, 0
    for grade, quantity in groups:
        damage += _deducted(quantity_share(part.line.goods, done, quantity, part.line.quantity), bps[grade])
        done += quantity
    return damage


def _restocking(parts: Iterable[_Part]) -> int:
    """Deducted for restocking: the ratio is of all goods that have it, not of each line (M-4)."""
    goods: Counter[int] = Counter()
    for part in parts:
        goods[part.terms.restocking_bps] += part.goods
    return sum(_deducted(amount, bps) for bps, amount in goods.items())


def _deducted(goods: int, bps: int) -> int:
    return percentage(goods, min(bps, WHOLE_BPS))
