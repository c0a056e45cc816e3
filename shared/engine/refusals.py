"""The refusals all services share (H-3, H-5): a repeated request, a trigger the state does not know, a future fact."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from shared.engine.vocabulary import Rejected

__all__ = ["CLOCK_TOLERANCE", "Machine", "refusal", "refuse_future", "repeated", "require"]

Machine = Mapping[Any, Mapping[str, tuple[Any, ...]]]
"""For each state of a row the triggers it knows (messages by class, deadlines by kind) and where each may lead."""

CLOCK_TOLERANCE = timedelta(minutes=1)
"""How far ahead of business time a sender's clock may be (H-5)."""


def require(machine: Machine, state: StrEnum, trigger: str) -> None:
    """Refuse a trigger the state does not know: ILLEGAL_TRANSITION with ``from`` and the triggers ``allowed``."""
    known = machine.get(state, {})
    if trigger not in known:
        raise Rejected("ILLEGAL_TRANSITION", f"{trigger} is not possible in {state}", **refusal(state, known))


def refusal(state: StrEnum, allowed: Iterable[str]) -> dict[str, Any]:
    """The details of ILLEGAL_TRANSITION: the state that stands and what it would allow."""
    return {"from": str(state), "allowed": sorted(allowed)}


def refuse_future(occurred_at: datetime, now: datetime) -> None:
    """A reported fact must have happened, clocks being a minute apart at most: TIME_IN_FUTURE."""
    if occurred_at > now + CLOCK_TOLERANCE:
        raise Rejected("TIME_IN_FUTURE", occurred_at=occurred_at, now=now)


def repeated(*, same: bool, **stands: Any) -> Rejected:
    """The answer to a request whose id is taken: ALREADY_DONE for the same request, ALREADY_EXISTS for another.

    ``stands`` tells what is there already (H-3).
    """
    return Rejected("ALREADY_DONE" if same else "ALREADY_EXISTS", **stands)
