"""Messages as an observer sees them on the log: readable as far as they go, and never a reason to stop."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json

from shared.contracts.envelope import Envelope, EnvelopeInvalid
from shared.contracts.message import Message, UnknownType, read_message
from shared.engine.ports import Record

__all__ = ["Moment", "Sighting", "moments", "sighted"]


@dataclass(frozen=True, slots=True)
class Sighting:
    """One record and what can be read of it; ``body`` is the JSON as it came, ``{}`` where it is none."""

    record: Record
    envelope: Envelope | None
    body: dict[str, Any]

    @property
    def id(self) -> str:
        return self.envelope.id if self.envelope else ""

    @property
    def key(self) -> str:
        return self.envelope.key if self.envelope else (self.record.key or b"").decode("utf-8", "replace")

    @property
    def service(self) -> str:
        """The service whose message it is: who reads the command, or who wrote the event."""
        return self.record.topic.partition(".")[0]

    @property
    def name(self) -> str:
        """The message's name as the contracts spell it: ``PlaceOrder`` for ``houfu.checkout.place_order.v1``."""
        parts = self.envelope.type.split(".") if self.envelope else []
        return "".join(word.capitalize() for word in parts[2].split("_")) if len(parts) == 4 else "(unreadable)"

    @property
    def is_command(self) -> bool:
        return self.record.topic.endswith(".commands")

    @property
    def place(self) -> tuple[Any, ...]:
        """Sorts sightings by the order in which the broker took them."""
        return self.record.broker_time, self.record.topic, self.record.partition, self.record.offset

    def as_json(self) -> dict[str, Any]:
        """For programs: coordinates, attributes and body."""
        seen: dict[str, Any] = {
            "topic": self.record.topic,
            "partition": self.record.partition,
            "offset": self.record.offset,
            "broker_time": self.record.broker_time,
            "key": self.key,
        }
        if self.envelope:
            attributes = ("id", "type", "source", "time", "subject", "causation_id", "correlation_id", "deadline")
            seen |= {name: getattr(self.envelope, name) for name in attributes}
        return seen | {"data": self.body}


def sighted(record: Record) -> Sighting:
    """Read a record as far as it can be read."""
    try:
        envelope = Envelope.parse(record.headers, record.key)
    except EnvelopeInvalid:
        envelope = None
    try:
        body = from_json(record.value or b"{}")
    except ValueError:
        body = {}
    return Sighting(record, envelope, body if isinstance(body, dict) else {})


@dataclass(frozen=True, slots=True)
class Moment:
    """One valid message: when it happened in business time, and which deadline caused it, if one did."""

    at: datetime
    message: Message
    deadline: str | None = None


def moments(sightings: Iterable[Sighting]) -> list[Moment]:
    """The valid messages among ``sightings``, each once however often it was written, in the order of the broker."""
    found: dict[str, Moment] = {}
    for one in sorted(sightings, key=lambda one: one.place):
        if one.envelope is None or one.id in found:
            continue
        try:
            message = read_message(one.envelope.type, one.record.value or b"")
        except (UnknownType, ValidationError):
            continue
        found[one.id] = Moment(one.envelope.time, message, one.envelope.deadline)
    return list(found.values())
