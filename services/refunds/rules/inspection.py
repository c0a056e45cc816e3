"""What arrived of a case, and in which condition (2.1, R-R4)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

from services.refunds.state import Case, CaseLine
from shared.contracts.refunds import AssessedLine, ReturnedLine
from shared.engine.vocabulary import Rejected

__all__ = ["all_as_new", "all_asked_for", "check_grades", "received"]


def received(case: Case, arrived: Iterable[ReturnedLine]) -> tuple[CaseLine, ...]:
    """The case's lines once these units arrived; QUANTITY_EXCEEDED where more came than was asked for."""
    units = {line.line_id: line.quantity for line in arrived}
    _refuse_more(units, {line.line_id: line.quantity for line in case.lines})
    return tuple(replace(line, received=units.get(line.line_id, 0)) for line in case.lines)


def check_grades(case: Case, grades: Iterable[AssessedLine]) -> None:
    """Refuse grades for more units than were received: QUANTITY_EXCEEDED."""
    units: Counter[str] = Counter()
    for one in grades:
        units[one.line_id] += one.quantity
    _refuse_more(units, {line.line_id: line.received for line in case.lines})


def all_asked_for(case: Case) -> tuple[ReturnedLine, ...]:
    """Every unit the case asks for."""
    return tuple(ReturnedLine(line_id=line.line_id, quantity=line.quantity) for line in case.lines)


def all_as_new(case: Case) -> tuple[AssessedLine, ...]:
    """Every unit received, as new: what a silent seller says of them."""
    return tuple(AssessedLine(line_id=line_id, quantity=quantity, grade="A") for line_id, quantity in case.units())


def _refuse_more(units: Mapping[str, int], of: Mapping[str, int]) -> None:
    for line_id, quantity in units.items():
        if quantity > of.get(line_id, 0):
            raise Rejected("QUANTITY_EXCEEDED", line_id=line_id, quantity=quantity, left=of.get(line_id, 0))
