"""Who takes part in the system, seen from outside: the services, and the adapters that only read and write topics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from shared.contracts.dead_letters import DeadLettered
from shared.contracts.message import Command, Event, Message
from shared.engine.service import Service

__all__ = ["Application", "application_of"]


@dataclass(frozen=True, slots=True)
class Application:
    """A deployable part of the system and the messages it exchanges; ``reactions`` say where each is handled."""

    name: str
    meaning: str
    kind: Literal["service", "adapter"] = "adapter"
    receives: frozenset[type[Message]] = frozenset()
    sends: frozenset[type[Message]] = frozenset()
    reactions: Mapping[type[Message], str] = field(default_factory=dict)

    @classmethod
    def adapter(
        cls, name: str, meaning: str, *, consumes: Mapping[type[Event], str], sends: Iterable[type[Command]]
    ) -> Application:
        """An adapter: it reads events and answers with commands, as any integrator would.

        ``consumes`` gives for each event the dotted name of what answers it.
        """
        reactions: dict[type[Message], str] = dict(consumes.items())
        return cls(name, meaning, receives=frozenset(reactions), sends=frozenset(sends), reactions=reactions)


def application_of(service: Service) -> Application:
    """A service as its handlers and its emitted events describe it."""
    reactions: dict[type[Message], str] = {
        handler.message: handler.name for handler in service.handlers if issubclass(handler.message, Command | Event)
    }
    return Application(
        name=service.name,
        meaning=f"The service {service.name}: handles {service.name}.commands and publishes {service.name}.events.",
        kind="service",
        receives=frozenset(reactions),
        sends=frozenset({*service.emits, DeadLettered}),
        reactions=reactions,
    )
