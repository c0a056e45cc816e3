"""Step 1 of a turn: what a record says, or why it says nothing. Reading never raises.

A record becomes an :class:`Arrival` (a message and the handler for it), a :class:`Defect` (a dead letter with a stable
reason) or :class:`Skipped` (a fact this service does not care about). Its neighbours are not concerned either way.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json, to_json

from shared.contracts.envelope import BODY_MAX_BYTES, DEFAULT_TENANT, Envelope, EnvelopeInvalid
from shared.contracts.message import Command, Event, Message, message_type, newest_type, read_message
from shared.engine.ports import Clock, Record
from shared.engine.service import Handler, Service
from shared.kernel.ids import derived_id
from shared.kernel.partition import home_partition

__all__ = ["Arrival", "Defect", "Intake", "Skipped", "content_of"]

MAY_BE_OLDER = timedelta(minutes=10)
MAY_BE_AHEAD = timedelta(minutes=1)
"""How far a command's own time may lie from the broker's before it is clamped (T-1)."""


@dataclass(slots=True)
class Arrival:
    """A readable message. ``now`` is its business time, ``horizon`` the later of it and its broker time (T-3)."""

    record: Record
    envelope: Envelope
    message: Message
    handler: Handler
    digest: bytes
    now: datetime
    horizon: datetime
    lane: int

    @property
    def id(self) -> str:
        """By which the inbox knows it again."""
        return self.envelope.id


@dataclass(slots=True)
class Defect:
    """An unreadable record: ``reason`` is a stable code. With a readable ``envelope`` a command is also answered."""

    record: Record
    reason: str
    detail: str
    envelope: Envelope | None
    digest: bytes
    now: datetime
    lane: int

    @property
    def id(self) -> str:
        """By which the inbox knows it again: what has no id of its own is known by its place and its content."""
        if self.envelope is not None:
            return self.envelope.id
        place = f"{self.record.partition}:{self.digest.hex()}"
        return derived_id(self.record.topic, place, self.record.offset)


@dataclass(slots=True)
class Skipped:
    """A fact of a type this service does not react to, or that this build does not know: passed over and counted."""

    record: Record
    type: str
    known: bool


class _Unreadable(Exception):
    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class Intake:
    """Reads the records of one service's topics."""

    def __init__(self, service: Service, clock: Clock, partitions: int) -> None:
        self._service = service
        self._clock = clock
        self._partitions = partitions
        self._commands = f"{service.name}.commands"

    def read(self, records: Iterable[Record]) -> list[Arrival | Defect | Skipped]:
        """Read every record, in the order given."""
        return [self.read_one(record) for record in records]

    def read_one(self, record: Record) -> Arrival | Defect | Skipped:
        """Read one record; whatever is wrong with it comes back as a :class:`Defect`."""
        envelope = None
        try:
            if not self.is_command(record) and (skipped := self._uninteresting(record)):
                return skipped
            envelope = Envelope.parse(record.headers, record.key)
            return self._arrival(record, envelope)
        except EnvelopeInvalid as defect:
            return self._defect(record, None, defect.reason, str(defect))
        except _Unreadable as defect:
            return self._defect(record, envelope, defect.reason, str(defect))
        except ValidationError as defect:
            return self._defect(record, envelope, "SCHEMA_VIOLATION", _violations(defect))
        except Exception as defect:  # noqa: BLE001 - no record may ever stop its neighbours
            return self._defect(record, envelope, "UNREADABLE", type(defect).__name__)  # its text may quote

    def is_command(self, record: Record) -> bool:
        """Whether the record stands on this service's command topic."""
        return record.topic == self._commands

    def _uninteresting(self, record: Record) -> Skipped | None:
        stated = next((value for name, value in record.headers if name == "ce_type"), None)
        if not isinstance(stated, bytes):
            return None
        wire_type = stated.decode("utf-8", "replace")
        kind = newest_type(wire_type)
        if kind is not None and self._service.handler(kind):
            return None
        return Skipped(record, wire_type, known=kind is not None)

    def _arrival(self, record: Record, envelope: Envelope) -> Arrival:
        if envelope.tenant != DEFAULT_TENANT:
            raise _Unreadable("WRONG_TENANT", "ce_tenant names another tenant than this deployment's")
        message, body = self._message(record, envelope)
        handler = self._service.handler(type(message))
        if handler is None:
            raise _Unreadable("UNKNOWN_TYPE", f"{self._service.name} does not react to {envelope.type}")
        if message.key != envelope.key:
            raise _Unreadable("KEY_MISMATCH", f"the record's key differs from the payload's {message.KEY}")
        reached = self._clock.business(record.broker_time)
        now = _clamped(envelope.time, reached) if isinstance(message, Command) else envelope.time
        return Arrival(
            record=record,
            envelope=envelope,
            message=message,
            handler=handler,
            digest=_digest(envelope.type, record.key, body),
            now=now,
            horizon=max(now, reached),
            lane=home_partition(envelope.key, self._partitions),
        )

    def _message(self, record: Record, envelope: Envelope) -> tuple[Message, bytes]:
        kind = message_type(envelope.type)
        if kind is None or not issubclass(kind, Command | Event) or kind.topic() != record.topic:
            raise _Unreadable("UNKNOWN_TYPE", f"{envelope.type!r:.120} is not a message of {record.topic}")
        if record.value is None:
            raise _Unreadable("BODY_MISSING", "the record has no body")
        if len(record.value) > BODY_MAX_BYTES:
            raise _Unreadable("BODY_TOO_LARGE", f"{len(record.value)} bytes, at most {BODY_MAX_BYTES} are read")
        return read_message(envelope.type, record.value), record.value

    def _defect(self, record: Record, envelope: Envelope | None, reason: str, detail: str) -> Defect:
        return Defect(
            record=record,
            reason=reason,
            detail=detail,
            envelope=envelope,
            digest=_digest(envelope.type if envelope else "", record.key, record.value or b""),
            now=self._clock.business(record.broker_time),
            lane=home_partition(envelope.key if envelope else "", self._partitions),
        )


def content_of(message: Message, body: bytes) -> str:
    """The digest by which a repeated request is recognised: the body as sent, without what may differ (H-3)."""
    content: Any = from_json(body)
    for dotted in message.NOT_CONTENT:
        *path, last = dotted.split(".")
        part = content
        for step in path:
            part = part.get(step) if isinstance(part, dict) else None
        if isinstance(part, dict):
            part.pop(last, None)
    return blake2b(to_json(_sorted(content)), digest_size=16).hexdigest()


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _sorted(value[name]) for name in sorted(value)}
    return [_sorted(one) for one in value] if isinstance(value, list) else value


def _clamped(stated: datetime, reached: datetime) -> datetime:
    return min(max(stated, reached - MAY_BE_OLDER), reached + MAY_BE_AHEAD)


def _digest(wire_type: str, key: bytes | None, body: bytes) -> bytes:
    seal = blake2b(body, digest_size=16)
    seal.update(b"\0" + wire_type.encode() + b"\0" + (key or b""))
    return seal.digest()


def _violations(defect: ValidationError) -> str:
    """Which fields are wrong and how, without repeating what they hold."""
    first: Sequence[Any] = defect.errors(include_url=False, include_input=False, include_context=False)[:5]
    return "; ".join(f"{'.'.join(map(str, one['loc'])) or 'body'}: {one['msg']}" for one in first)
