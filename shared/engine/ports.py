"""What the engine asks of the world: a database, a log to publish to, a clock. Two sets of drivers answer.

``shared.drivers.postgres`` and ``shared.drivers.kafka`` are the real ones, ``shared.drivers.memory`` behaves the same
inside one process; one conformance suite holds them together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, Protocol

from shared.contracts.envelope import Headers
from shared.engine.vocabulary import Entry, Row

__all__ = [
    "Admission",
    "Appearance",
    "Attempt",
    "Changes",
    "Clock",
    "DataRefused",
    "Database",
    "Held",
    "Line",
    "Log",
    "Outgoing",
    "Packed",
    "Position",
    "Record",
    "RowKey",
    "TopicPartition",
    "Transaction",
    "Unavailable",
    "Until",
    "Wanted",
    "Word",
]


class Unavailable(Exception):
    """The world did not answer (connection, serialization, time-out, broker): nothing was wrong with the data."""


class DataRefused(Exception):
    """The database refused what was to be saved (constraint, overflow, NUL): some message of this turn is to blame."""


class TopicPartition(NamedTuple):
    topic: str
    partition: int


@dataclass(slots=True)
class Record:
    """One record of the log as it was read, undecoded. ``broker_time`` is the broker's append time, UTC."""

    topic: str
    partition: int
    offset: int
    broker_time: datetime
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]


@dataclass(slots=True)
class Outgoing:
    """One message on its way out, its home partition decided."""

    topic: str
    partition: int
    key: str
    headers: Headers
    body: str


class Position(NamedTuple):
    """How far a partition has been handled: the next offset, and the latest broker time seen up to it."""

    next_offset: int
    reached: datetime | None


class Appearance(NamedTuple):
    """A message's id and the digest of what came under it, to be put into the inbox."""

    id: str
    digest: bytes


class Admission(NamedTuple):
    """What the inbox said: ``known`` maps the ids that stood there before to the digests they came with."""

    known: dict[str, bytes]


class Packed(NamedTuple):
    """One outbox row: the messages one turn left for one lane, packed."""

    seq: int
    lane: int
    body: str


class Until(StrEnum):
    """What a held message waits for."""

    TIME = "TIME"
    ROW = "ROW"
    OPERATOR = "OPERATOR"
    BEHIND = "BEHIND"
    """For the dead letter in front of it, of the same key."""


class Word(StrEnum):
    """What an operator said of a dead letter."""

    REDRIVE = "REDRIVE"
    DISCARD = "DISCARD"


@dataclass(slots=True)
class Held:
    """A message that could not be handled when it came up.

    Every held message has ``seq``, its place in the arrival order (0 until it is saved). A deadline (``TIME``) is one
    per (key, kind, subject) and has ``due_at``; an early event (``ROW``) names the row it ``waits_for``; a dead letter
    (``OPERATOR``) its ``reason``, ``detail`` and, where a handler or the database failed on it, ``fingerprint``
    (which is what parks its key). ``message`` is packed: a deadline's fields or a whole record.
    """

    lane: int
    key: str
    until: Until
    message: str
    id: str
    held_at: datetime
    seq: int = 0
    kind: str = ""
    subject: str = ""
    due_at: datetime | None = None
    cause_id: str = ""
    correlation_id: str = ""
    traceparent: str | None = None
    waits_for: str = ""
    reason: str = ""
    detail: str = ""
    fingerprint: str = ""
    word: Word | None = None

    @property
    def parks(self) -> bool:
        return self.until is Until.OPERATOR and bool(self.fingerprint)


class RowKey(NamedTuple):
    """Where one row lives."""

    row: type[Row]
    owner: str
    id: str


@dataclass(slots=True)
class Wanted:
    """Rows to load of one table: by (owner, id) and all live ones of some owners, with or without locking them."""

    locked: set[tuple[str, str]] = field(default_factory=set)
    read: set[tuple[str, str]] = field(default_factory=set)
    live_of: set[str] = field(default_factory=set)
    read_live_of: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Changes:
    """Everything one turn makes true. ``outbox`` maps a lane to its packed messages."""

    rows: dict[type[Row], list[Row]] = field(default_factory=dict)
    entries: dict[type[Entry], list[Entry]] = field(default_factory=dict)
    armed: list[Held] = field(default_factory=list)
    disarmed: list[tuple[str, str, str]] = field(default_factory=list)
    """(key, kind, subject) of deadlines to remove; there may be none."""
    held: list[Held] = field(default_factory=list)
    """New held messages (seq 0) in arrival order, and known ones (seq > 0) that wait for something else now."""
    released: list[int] = field(default_factory=list)
    """seq of held messages that wait no longer."""
    positions: dict[TopicPartition, Position] = field(default_factory=dict)
    outbox: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Line:
    """The state of a service's line: running, or stopped by the breaker for ``reason`` under ``build``."""

    stopped: bool = False
    reason: str = ""
    build: str = ""
    since: datetime | None = None
    resumed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """The mark of a turn that began: how far it reached or whose time it was, and which try it is.

    A mark that is still there when a lane is assigned belongs to a turn that never ended.
    """

    lane: int
    reach: dict[str, int]
    """``topic:partition`` to the offset after the last record of the turn; empty in a turn of time."""
    tries: int
    keys: tuple[str, ...] = ()
    """The keys of which something held was to come up in a turn of time."""


class Transaction(Protocol):
    """One turn's transaction. Every method may raise :class:`Unavailable`, ``save`` also :class:`DataRefused`."""

    async def fence(self, lanes: Sequence[int]) -> None:
        """Wait until no other process is in a turn of these lanes (sorted); held until the transaction ends."""

    async def line(self) -> Line:
        """Whether the line runs."""

    async def positions(self, lanes: Sequence[int]) -> dict[TopicPartition, Position]:
        """The positions of all topics on these partitions."""

    async def outbox(self, lanes: Sequence[int], acknowledged: Sequence[int]) -> list[Packed]:
        """Remove the rows known to be acknowledged; return the rest of these lanes in order of ``seq``."""

    async def admit(self, appearances: Sequence[Appearance], at: datetime) -> Admission:
        """Put ids (distinct) into the inbox; those that stood there are returned with their digests."""

    async def held(self, keys: Sequence[str], horizon: datetime) -> list[Held]:
        """What these keys hold, in order of ``seq``: deadlines due up to ``horizon``, waiting events, dead letters.

        What is parked behind a dead letter is left out.
        """

    async def behind(self, key: str) -> list[Held]:
        """What is parked behind the key's dead letter, in order of ``seq``."""

    async def due(
        self, horizons: Mapping[int, datetime], waiting_since: Mapping[int, datetime], limit: int
    ) -> list[str]:
        """Keys with something to do, at most ``limit``.

        Per lane: a deadline due up to the lane's horizon whose key is not parked, an event waiting for a row since
        before ``waiting_since`` (lanes with nothing unread only), or a dead letter an operator spoke about.
        """

    async def failing(self, fingerprint: str, since: datetime | None) -> int:
        """How many distinct keys have dead letters of this fingerprint, held after ``since``."""

    async def load(self, wanted: Mapping[type[Row], Wanted]) -> list[Row]:
        """The rows wanted, one statement a table; locked ones stay locked until the transaction ends."""

    async def save(self, changes: Changes) -> dict[int, int]:
        """Save everything, set-based. Returns the ``seq`` of the new outbox row of each lane."""

    def savepoint(self) -> AbstractAsyncContextManager[None]:
        """What is saved inside is undone if the block raises; the transaction goes on."""


class Database(Protocol):
    """One service's schema."""

    def turn(self) -> AbstractAsyncContextManager[Transaction]:
        """A transaction that commits when the block ends and rolls back when it raises."""

    async def stop_line(self, line: Line) -> None:
        """Stop the line in all replicas, or (``stopped=False``) let it run again; in a transaction of its own."""

    async def begin_attempt(self, attempts: Sequence[Attempt]) -> None:
        """Durably mark that these lanes' turns begin, replacing earlier marks."""

    async def attempts(self, lanes: Sequence[int]) -> list[Attempt]:
        """Marks of turns that began on these lanes and never ended."""

    async def end_attempt(self, lanes: Sequence[int]) -> None:
        """The turns ended, well or badly."""

    async def prune(self, before: datetime, limit: int) -> int:
        """Remove at most ``limit`` inbox rows older than ``before``; returns how many went."""

    async def speak(self, seq: int, word: Word) -> bool:
        """Say an operator's word about a dead letter; False if there is no such dead letter."""


class Log(Protocol):
    """The broker, as far as the engine writes to it or asks it."""

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        """Append in this order per partition and wait for all acknowledgements; :class:`Unavailable` otherwise."""

    async def ends(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """The next offset of each partition at some instant after the call began."""


class Clock(Protocol):
    """Business time (T-1, T-6)."""

    async def now(self) -> datetime:
        """The business time, all advances published before the call included."""

    def business(self, broker_time: datetime) -> datetime:
        """The business time at which the broker appended something."""


DETAIL_MAX = 4000
"""Longest explanation kept with a dead letter, in characters."""
