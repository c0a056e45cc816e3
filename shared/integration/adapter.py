"""An adapter stands between Houfu and the world outside: it reads events, does I/O, and answers with commands.

::

    smtp = Adapter("smtp", source="https://mail.example/houfu")

    @smtp.on(DeliveryRequested, channel="EMAIL")
    async def send_mail(request: DeliveryRequested, mail: Mail) -> AsyncIterator[Command]:
        outcome = await mail.send(render(request))
        yield ReportNoticeDelivery.of(request, outcome)

The shape is that of a handler inside, only that an adapter may do I/O. It keeps no database.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar, get_type_hints

from shared.contracts.envelope import Envelope
from shared.contracts.message import Command, Event, newest_type

__all__ = ["Adapter", "AdapterInvalid", "Answer", "Reaction"]

Answer = Callable[..., AsyncIterator[Command]]
"""What an integrator writes: an async generator of commands."""

A = TypeVar("A", bound=Answer)


class AdapterInvalid(TypeError):
    """A registration cannot work; the text names the function and what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Reaction:
    """One registered answer: the event it reads, the payload fields it asks for, and what its parameters need."""

    event: type[Event]
    filters: tuple[tuple[str, object], ...]
    answer: Answer
    needs: tuple[tuple[str, type], ...]
    """Parameter name and type, the event itself left out."""

    @property
    def name(self) -> str:
        return f"{self.answer.__module__}.{self.answer.__qualname__}"

    def concerns(self, event: Event) -> bool:
        """Whether every filter's field of the payload has the filter's value."""
        return all(getattr(event, field) == value for field, value in self.filters)


class Adapter:
    """One kind of integrator. ``name`` is its consumer group, and so its memory; ``source`` its URI on its commands."""

    def __init__(self, name: str, *, source: str) -> None:
        self.name = name
        self.source = source
        self._reactions: dict[type[Event], list[Reaction]] = {}
        self._resources: list[object] = []

    def on(self, event: type[Event], **filters: object) -> Callable[[A], A]:
        """Register the answer to ``event``, where the payload's fields have the values of ``filters``."""

        def register(answer: A) -> A:
            reaction = Reaction(event, tuple(sorted(filters.items())), answer, _needs(answer, event, filters))
            others = self._reactions.setdefault(event, [])
            if any(other.filters == reaction.filters for other in others):
                raise AdapterInvalid(f"{reaction.name}: {self.name} already answers {event.__name__} like this")
            others.append(reaction)
            return answer

        return register

    def provide(self, *resources: object) -> Adapter:
        """Give answers what they ask for by type, such as a provider's client."""
        self._resources.extend(resources)
        return self

    @property
    def reactions(self) -> tuple[Reaction, ...]:
        return tuple(reaction for several in self._reactions.values() for reaction in several)

    @property
    def module(self) -> str:
        """The module its process runs (``python -m``): the one that holds its answers."""
        return self.reactions[0].answer.__module__

    @property
    def topics(self) -> tuple[str, ...]:
        """Every topic this adapter reads, sorted."""
        return tuple(sorted({event.topic() for event in self._reactions}))

    def reads(self, wire_type: str) -> bool:
        """Whether some answer reads messages of this type, older versions included."""
        return newest_type(wire_type) in self._reactions

    def reaction_to(self, event: Event) -> Reaction | None:
        """The first registered reaction whose filters the event meets."""
        return next((one for one in self._reactions.get(type(event), ()) if one.concerns(event)), None)

    def check(self) -> None:
        """Raise :class:`AdapterInvalid` for an answer whose parameters nobody provides, or more than one does."""
        for reaction in self.reactions:
            self._resources_for(reaction)

    def answer(self, reaction: Reaction, event: Event, envelope: Envelope, now: datetime) -> AsyncIterator[Command]:
        """Call the reaction's answer with everything its parameters ask for."""
        given: dict[str, Any] = self._resources_for(reaction)
        given |= {name: now for name, kind in reaction.needs if kind is datetime}
        given |= {name: envelope for name, kind in reaction.needs if kind is Envelope}
        return reaction.answer(event, **given)

    def _resources_for(self, reaction: Reaction) -> dict[str, Any]:
        found = {}
        for name, kind in reaction.needs:
            if kind in (datetime, Envelope):
                continue
            fitting = [resource for resource in self._resources if isinstance(resource, kind)]
            if len(fitting) != 1:
                raise AdapterInvalid(f"{reaction.name}: {len(fitting)} resources are a {kind.__name__} for {name!r}")
            found[name] = fitting[0]
        return found


def _needs(answer: Answer, event: type[Event], filters: dict[str, object]) -> tuple[tuple[str, type], ...]:
    name = f"{answer.__module__}.{answer.__qualname__}"
    if not inspect.isasyncgenfunction(answer):
        raise AdapterInvalid(f"{name} is not an async generator: an answer yields the commands to send")
    unknown = [field for field in filters if field not in event.model_fields]
    if unknown:
        raise AdapterInvalid(f"{name}: {event.__name__} has no field {unknown[0]!r} to filter by")
    hints = get_type_hints(answer)
    first, *others = inspect.signature(answer).parameters
    if hints.get(first) is not event:
        raise AdapterInvalid(f"{name}: the first parameter must be annotated with {event.__name__}")
    for parameter in others:
        if not isinstance(hints.get(parameter), type):
            raise AdapterInvalid(f"{name}: parameter {parameter!r} must be annotated with a class")
    return tuple((parameter, hints[parameter]) for parameter in others)
