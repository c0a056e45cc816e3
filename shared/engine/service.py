"""A service is its name and its handlers. Whoever adds a handler writes a pure generator and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from shared.contracts.message import Command, Event, Message, Rejection, rejection_of
from shared.engine.signature import Resource, Signature, read_signature
from shared.engine.vocabulary import Deadline, Disarm, Due, Entry, Row

__all__ = ["Handler", "Service", "Yielded", "Yields"]

Yielded = Row | Entry | Event | Deadline | Disarm
"""Everything a handler may yield."""

Yields = Iterator[Yielded]
"""What a handler returns, being a generator of that."""

Reaction = TypeVar("Reaction", bound=Callable[..., Iterable[Yielded]])


@dataclass(frozen=True, slots=True)
class Handler:
    """A reaction and what it needs."""

    message: type[Message] | type[Due]
    react: Callable[..., Iterable[Yielded]]
    signature: Signature

    @property
    def name(self) -> str:
        return f"{self.react.__module__}.{self.react.__qualname__}"


class Service:
    """One deployable service: reads its own commands and other services' events, owns one schema.

    ``rejected`` is its uniform rejection event (H-2), made where its contract declares none; ``emits`` are the events
    it may publish. Decorate handlers with :meth:`on`; the composition root gives the constants they ask for with
    :meth:`provide`.
    """

    def __init__(
        self, name: str, *, rejected: type[Rejection] | None = None, emits: Iterable[type[Event]] = ()
    ) -> None:
        self.name = name
        self.rejected = rejected or rejection_of(name)
        self.emits: frozenset[type[Event]] = frozenset({*emits, self.rejected})
        self.resources: dict[type, Any] = {}
        self.due_kinds: dict[str, type[Due]] = {}
        """The deadline classes this service reacts to, by kind."""
        self._handlers: dict[type[Message] | type[Due], Handler] = {}

    def on(self, *messages: type[Message] | type[Due]) -> Callable[[Reaction], Reaction]:
        """Register a reaction to each of ``messages``; refuses what the engine could not satisfy."""

        def register(reaction: Reaction) -> Reaction:
            for message in messages:
                if message in self._handlers:
                    raise TypeError(f"{self.name} already reacts to {message.__name__}: {self._handlers[message].name}")
                if issubclass(message, Command) and self.name != message.SERVICE:
                    raise TypeError(f"{message.__name__} is a command of {message.SERVICE}, not of {self.name}")
                self._handlers[message] = Handler(message, reaction, read_signature(reaction, message))
                if issubclass(message, Due):
                    self.due_kinds[message.KIND] = message
            return reaction

        return register

    def provide(self, *resources: object) -> Service:
        """Give handlers the constants they ask for by type, such as the tenant's calendar."""
        self.resources.update({type(resource): resource for resource in resources})
        return self

    def handler(self, message: type[Message] | type[Due]) -> Handler | None:
        return self._handlers.get(message)

    @property
    def handlers(self) -> tuple[Handler, ...]:
        return tuple(self._handlers.values())

    @property
    def topics(self) -> tuple[str, ...]:
        """Every topic this service reads, sorted; its own command topic first of all is among them."""
        read = {message.topic() for message in self._handlers if issubclass(message, Command | Event)}
        return tuple(sorted(read | {f"{self.name}.commands"}))

    @property
    def row_types(self) -> tuple[type[Row], ...]:
        """Every row some handler loads, by table."""
        found = {need.row for handler in self.handlers for need in handler.signature.rows}
        return tuple(sorted(found, key=lambda row: row.TABLE))

    def missing_resources(self) -> Iterator[str]:
        """What handlers ask for and nobody provided: ``handler: type``."""
        for handler in self.handlers:
            for need in handler.signature.needs:
                if isinstance(need, Resource) and need.type not in self.resources:
                    yield f"{handler.name}: {need.type.__name__}"
