"""Messages that cannot be handled now: how they are kept, and what a key's held messages mean for its next one.

A message is held until a *time* (a deadline), until a *row* exists (an event that overtook its cause), until an
*operator* speaks (a dead letter) or *behind* such a dead letter of its key. One :class:`Agenda` per key says what of
it comes up when.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from pydantic import TypeAdapter
from pydantic_core import SchemaSerializer, from_json, to_json

from shared.contracts.envelope import HEADER_MAX
from shared.contracts.message import Message
from shared.engine.intake import Arrival
from shared.engine.monitor import Span
from shared.engine.ports import Held, Record, RowKey, Until
from shared.engine.service import Handler
from shared.engine.vocabulary import Deadline, Due
from shared.kernel.ids import derived_id

__all__ = [
    "ROW_PATIENCE",
    "Agenda",
    "HeldLedger",
    "Work",
    "as_dead_letter",
    "held_deadline",
    "held_record",
    "named",
    "pack_record",
    "row_name",
    "unpack_record",
]

_NEWEST = 2**63

ROW_PATIENCE = timedelta(days=7)
"""How long an event waits for its row, in broker time with nothing unread, before it is a dead letter (H-6)."""


@dataclass(slots=True)
class Work:
    """One message that has come up, with everything its handler and its outgoing messages need.

    ``now`` is its business time; deadlines of its key due up to ``horizon`` run before it (T-3). ``causation_id`` is
    what its outgoing messages name as their cause: its own id, or for a deadline the message that armed it.
    ``traceparent`` is the trace context it came with, ``trace`` the one of everything it brings about.
    """

    handler: Handler
    message: Message | Due
    id: str
    key: str
    lane: int
    now: datetime
    horizon: datetime
    correlation_id: str
    causation_id: str
    traceparent: str | None = None
    record: Record | None = None
    held: Held | None = None
    """The held row it came from, if it was held."""
    prepared: bool = False
    """Everything its handler needs is in the working set."""
    span: Span | None = None
    """Its handling, where somebody follows it."""

    @property
    def type(self) -> str:
        """Its wire type, or the kind of the deadline."""
        return self.message.KIND if isinstance(self.message, Due) else self.message.TYPE

    @property
    def trace(self) -> str | None:
        return self.traceparent if self.span is None else self.span.traceparent

    @property
    def deadline(self) -> str | None:
        return self.message.KIND if isinstance(self.message, Due) else None

    @classmethod
    def of_arrival(cls, arrival: Arrival, held: Held | None = None) -> Work:
        envelope = arrival.envelope
        return cls(
            handler=arrival.handler,
            message=arrival.message,
            id=envelope.id,
            key=envelope.key,
            lane=arrival.lane,
            now=arrival.now,
            horizon=arrival.horizon,
            correlation_id=envelope.correlation_id,
            causation_id=envelope.id,
            traceparent=envelope.traceparent,
            record=arrival.record,
            held=held,
        )

    @classmethod
    def of_deadline(cls, held: Held, handler: Handler) -> Work:
        if held.due_at is None or not issubclass(handler.message, Due):
            raise ValueError(f"held message {held.seq} is not a deadline")
        return cls(
            handler=handler,
            message=_fields_of(handler.message).validate_json(held.message),  # type: ignore[arg-type]
            id=_deadline_id(held.id),
            key=held.key,
            lane=held.lane,
            now=held.due_at,
            horizon=held.due_at,
            correlation_id=held.correlation_id,
            causation_id=held.cause_id,
            traceparent=held.traceparent,
            held=held,
        )


@dataclass(slots=True)
class Agenda:
    """What one key holds during a turn: its deadlines, its waiting events, its dead letters."""

    key: str
    deadlines: dict[tuple[str, str], Held] = field(default_factory=dict)
    touched: set[tuple[str, str]] = field(default_factory=set)
    """(kind, subject) of deadlines armed, disarmed or fired in this turn."""
    waiting: list[Held] = field(default_factory=list)
    dead: list[Held] = field(default_factory=list)

    def admit(self, held: Held) -> None:
        """Take over one thing the database holds for the key."""
        match held.until:
            case Until.TIME:
                self.deadlines[held.kind, held.subject] = held
            case Until.ROW:
                self.waiting.append(held)
            case Until.OPERATOR:
                self.dead.append(held)
            case Until.BEHIND:
                raise ValueError("what is parked behind a dead letter is no part of the agenda")

    def coming(self) -> list[Held]:
        """Everything that may come up in this turn."""
        return [*self.deadlines.values(), *self.waiting, *self.spoken()]

    @property
    def parked(self) -> bool:
        """A dead letter stands in front of whatever comes next."""
        return any(one.parks for one in self.dead)

    def spoken(self) -> list[Held]:
        """Dead letters an operator has spoken about, oldest first."""
        return [one for one in self.dead if one.word is not None]

    def next_due(self, horizon: datetime) -> Held | None:
        """The deadline to run next: the earliest due up to ``horizon``, by (due_at, kind, subject) (T-3)."""
        if not self.deadlines:
            return None
        due = [one for one in self.deadlines.values() if one.due_at is not None and one.due_at <= horizon]
        return min(due, key=lambda one: (one.due_at, one.kind, one.subject)) if due else None

    def arm(self, held: Held) -> None:
        self.deadlines[held.kind, held.subject] = held
        self.touched.add((held.kind, held.subject))

    def disarm(self, kind: str, subject: str) -> None:
        self.deadlines.pop((kind, subject), None)
        self.touched.add((kind, subject))

    def armed(self) -> Iterator[Held]:
        """Deadlines armed in this turn that still stand."""
        return (one for slot, one in self.deadlines.items() if slot in self.touched)

    def disarmed(self) -> Iterator[tuple[str, str, str]]:
        """(key, kind, subject) of deadlines this turn fired or called off."""
        return ((self.key, *slot) for slot in self.touched if slot not in self.deadlines)

    def wait(self, held: Held) -> None:
        """One more waiting event, at its place in the arrival order."""
        self.waiting.append(held)
        self.waiting.sort(key=lambda one: one.seq or _NEWEST)

    def woken_by(self, rows: set[str]) -> Held | None:
        """The first event that waits for one of ``rows``, in arrival order."""
        return next((one for one in self.waiting if one.waits_for in rows), None)

    def out_of_patience(self, now: datetime) -> list[Held]:
        return [one for one in self.waiting if one.held_at <= now - ROW_PATIENCE]


class HeldLedger:
    """What becomes of the rows of held messages, deadlines apart, in one turn."""

    def __init__(self) -> None:
        self._new: list[Held] = []
        self._again: dict[int, Held] = {}
        self._released: set[int] = set()

    def release(self, held: Held) -> None:
        """It waits no longer."""
        if held.seq:
            self._again.pop(held.seq, None)
            self._released.add(held.seq)
        else:
            self._new = [one for one in self._new if one is not held]

    def keep(self, held: Held) -> None:
        """It waits, under the place it had if it had one."""
        if held.seq:
            self._released.discard(held.seq)
            self._again[held.seq] = held
        else:
            self._new.append(held)

    def kept(self) -> list[Held]:
        return [*self._again.values(), *self._new]

    def released(self) -> list[int]:
        return sorted(self._released)


def held_deadline(deadline: Deadline, work: Work, index: int) -> Held:
    """The held form of a deadline armed by ``work``; ``index`` makes it distinct among what that message armed.

    Most deadlines are called off or replaced: what only one that fires needs is made when it does.
    """
    due = deadline.message
    return Held(
        lane=work.lane,
        key=work.key,
        until=Until.TIME,
        message=_serializer_of(type(due)).to_json(due).decode(),  # type: ignore[arg-type]
        id=f"{work.id}:{index}",
        held_at=work.now,
        kind=due.KIND,
        subject=due.subject,
        due_at=deadline.at,
        cause_id=work.causation_id,
        correlation_id=work.correlation_id,
        traceparent=work.trace,
    )


def held_record(
    record: Record,
    *,
    key: str,
    lane: int,
    message_id: str,
    at: datetime,
    correlation_id: str = "",
    traceparent: str | None = None,
) -> Held:
    """The held form of a whole record, so that it is read anew when it comes up.

    What its envelope says of correlation and trace is for the notice and the log of a dead letter.
    """
    return Held(
        lane,
        key,
        Until.OPERATOR,
        pack_record(record),
        message_id,
        held_at=at,
        correlation_id=correlation_id,
        traceparent=traceparent,
    )


def as_dead_letter(held: Held, reason: str, detail: str, fingerprint: str) -> Held:
    """The same message, now waiting for an operator; with a ``fingerprint`` its key is parked behind it."""
    return replace(
        held, until=Until.OPERATOR, reason=reason, detail=detail, fingerprint=fingerprint, waits_for="", word=None
    )


def named(dead: Held) -> dict[str, Any]:
    """How a log names a dead letter: ids and codes, never what it says (law 8)."""
    line: dict[str, Any] = {"message_id": dead.id, "correlation_id": dead.correlation_id, "type": dead.kind}
    if not dead.kind:
        record = unpack_record(dead.message)
        stated = next((value for name, value in record.headers if name == "ce_type"), None) or b""
        line["type"] = stated.decode("utf-8", "replace")[:HEADER_MAX]
        line["where"] = f"{record.topic}:{record.partition}@{record.offset}"
    return {**line, "reason": dead.reason, "fingerprint": dead.fingerprint, "parks": dead.parks}


def row_name(key: RowKey) -> str:
    """How a waiting event names the row it waits for."""
    return f"{key.row.TABLE}/{key.id}"


def pack_record(record: Record) -> str:
    """A record as text, whatever bytes it holds."""
    return to_json(
        {
            "topic": record.topic,
            "partition": record.partition,
            "offset": record.offset,
            "broker_time": record.broker_time,
            "key": _text(record.key),
            "value": _text(record.value),
            "headers": [(name, _text(value)) for name, value in record.headers],
        }
    ).decode()


def unpack_record(packed: str) -> Record:
    """The record :func:`pack_record` packed."""
    found = from_json(packed)
    return Record(
        topic=found["topic"],
        partition=found["partition"],
        offset=found["offset"],
        broker_time=datetime.fromisoformat(found["broker_time"]).astimezone(UTC),
        key=_bytes(found["key"]),
        value=_bytes(found["value"]),
        headers=[(name, _bytes(value)) for name, value in found["headers"]],
    )


def _text(value: bytes | None) -> str | None:
    return None if value is None else b64encode(value).decode()


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else b64decode(text)


def _deadline_id(held_id: str) -> str:
    """The id of a deadline that fires, made of its armer's and its place among what that armed; or as it was made."""
    armer, armed, index = held_id.rpartition(":")
    return derived_id("deadline", armer, int(index)) if armed else held_id


@cache
def _fields_of(kind: type[Due]) -> TypeAdapter[Due]:
    return TypeAdapter(kind)


@cache
def _serializer_of(kind: type[Due]) -> SchemaSerializer:
    return _fields_of(kind).serializer  # type: ignore[arg-type]
