"""The whole story of one order: what was asked, what it brought about, across services, and why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shared.operations.sightings import Sighting

__all__ = ["Chapter", "owners_of", "story_of", "told"]

OF_ONE_ORDER = frozenset({"bill_id", "repayment_id", "overpayment_id", "case_id", "refund_id"})
"""What is an order's own, so that whatever names it belongs to the order's story."""


@dataclass(frozen=True, slots=True)
class Chapter:
    """One message and what it led to, in the order of the broker."""

    sighting: Sighting
    consequences: list[Chapter] = field(default_factory=list)


def owners_of(order_id: str, sightings: Iterable[Sighting]) -> set[str]:
    """The buyers who have an order of this id: ids are unique per buyer only."""
    return {
        str(one.body["buyer_id"])
        for one in sightings
        if one.body.get("order_id") == order_id and isinstance(one.body.get("buyer_id"), str)
    }


def story_of(order_id: str, buyer_id: str, sightings: Iterable[Sighting]) -> list[Sighting]:
    """Every message of the buyer's that concerns the order, its bills, payments, cases and refunds, with all it caused.

    In the order of the broker, each message once however often it was written.
    """
    mine: dict[str, Sighting] = {}
    for one in sorted(sightings, key=lambda one: one.place):
        if one.envelope and one.envelope.key == buyer_id:
            mine.setdefault(one.id, one)
    chosen = _concerned(order_id, mine.values())
    _add_causes(chosen, mine)
    _add_effects(chosen, mine.values())
    return [one for one in mine.values() if one.id in chosen]


def told(story: Sequence[Sighting]) -> list[Chapter]:
    """The story as trees: a message stands below the one that caused it."""
    chapters = {one.id: Chapter(one) for one in story}
    roots: list[Chapter] = []
    for one in story:
        cause = chapters.get((one.envelope.causation_id if one.envelope else None) or "")
        (cause.consequences if cause else roots).append(chapters[one.id])
    return roots


def _concerned(order_id: str, sightings: Iterable[Sighting]) -> set[str]:
    """Ids of messages about the order, or about something that is its own, found until nothing new turns up."""
    known = {("order_id", order_id)}
    chosen: set[str] = set()
    rest = list(sightings)
    while True:
        found = [one for one in rest if known & set(_references(one.body))]
        if not found:
            return chosen
        chosen |= {one.id for one in found}
        rest = [one for one in rest if one.id not in chosen]
        for one in found:
            known |= {it for it in _references(one.body) if it[0] in OF_ONE_ORDER}


def _references(body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What a payload names: (field, id), in its lists and parts too."""
    for name, value in body.items():
        if isinstance(value, str) and name.endswith("_id"):
            yield name, value
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, dict):
                yield from _references(part)


def _add_causes(chosen: set[str], mine: Mapping[str, Sighting]) -> None:
    waiting = list(chosen)
    while waiting:
        envelope = mine[waiting.pop()].envelope
        cause = envelope.causation_id if envelope else None
        if cause and cause in mine and cause not in chosen:
            chosen.add(cause)
            waiting.append(cause)


def _add_effects(chosen: set[str], mine: Iterable[Sighting]) -> None:
    """All that the chosen messages brought about in their turn: a credit line, a notice and its delivery, a refusal."""
    effects: dict[str, list[str]] = {}
    for one in mine:
        if one.envelope and one.envelope.causation_id:
            effects.setdefault(one.envelope.causation_id, []).append(one.id)
    waiting = list(chosen)
    while waiting:
        for effect in effects.get(waiting.pop(), ()):
            if effect not in chosen:
                chosen.add(effect)
                waiting.append(effect)
