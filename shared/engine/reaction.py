"""What one handler did with one message: its yields, sorted and judged. Until they are applied nothing has happened."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import islice
from typing import Any

from shared.contracts.message import Command, Event
from shared.engine.held import Work
from shared.engine.vocabulary import Deadline, Disarm, Entry, Row

__all__ = ["YIELDS_MAX", "HandlerMistaken", "Reaction", "react"]

YIELDS_MAX = 1000
"""A handler that yields more than this ran away."""


class HandlerMistaken(Exception):
    """A handler yielded what no handler may yield."""


@dataclass(slots=True)
class Reaction:
    """What must be true afterwards, in the order it was yielded."""

    rows: list[Row] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    timing: list[Deadline | Disarm] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)


def react(work: Work, arguments: Sequence[Any], emits: Collection[type[Event]]) -> Reaction:
    """Run the handler of ``work`` to its end. Raises what it raises, and :class:`HandlerMistaken`."""
    reaction = Reaction()
    count = 0
    for one in islice(work.handler.react(work.message, *arguments), YIELDS_MAX + 1):
        count += 1
        part = _part(type(one))  # type: ignore[arg-type]  # classes with __hash__ are taken for unhashable
        if part is None:
            raise HandlerMistaken(f"yields a {type(one).__name__}, which is not in the vocabulary")
        getattr(reaction, part).append(one)
    if count > YIELDS_MAX:
        raise HandlerMistaken(f"yields more than {YIELDS_MAX} things")
    _judge(reaction, work, emits)
    return reaction


@cache
def _part(kind: type) -> str | None:
    """The part of a reaction that what a handler yields belongs to; None where no handler may yield it."""
    if issubclass(kind, Row):
        return "rows"
    if issubclass(kind, Entry):
        return "entries"
    if issubclass(kind, Event):
        return "events"
    return "timing" if issubclass(kind, Deadline | Disarm) else None


def _judge(reaction: Reaction, work: Work, emits: Collection[type[Event]]) -> None:
    kept: list[Row | Entry] = [*reaction.rows, *reaction.entries]
    for one in kept:
        if getattr(one, one.OWNER) != work.key:
            raise HandlerMistaken(f"yields a {type(one).__name__} of another owner than the message's key")
    for timed in reaction.timing:
        if isinstance(timed, Deadline) and timed.message.key != work.key:
            raise HandlerMistaken(f"arms {timed.message.KIND} for another owner than the message's key")
        if isinstance(timed, Deadline) and timed.at <= work.now and timed.message == work.message:
            raise HandlerMistaken(f"{timed.message.KIND} arms itself again at or before its own instant")
    for event in reaction.events:
        if type(event) not in emits:
            raise HandlerMistaken(f"yields {type(event).__name__}, which is not among the events this service emits")
    if isinstance(work.message, Command) and not reaction.events:
        raise HandlerMistaken("a command's handler must yield an event or raise Rejected")
