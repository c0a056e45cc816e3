"""The engine's database inside one process, for simulation and fast tests: behaves as ``shared.drivers.postgres`` does.

Rows are kept as the encoded columns PostgreSQL would get, checked as it would check them, so that a codec's mistake or
an impossible value shows here too. Transactions see what others have committed and their own changes on top; fences
are locks; sequences never run back. Everything that waits does so in a fixed order: equal calls give equal results.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from enum import Enum
from itertools import count
from typing import Any, TypeVar
from uuid import UUID

from shared.drivers.faults import Faults, Point
from shared.drivers.rows import Column, codec
from shared.engine.inspection import Standing
from shared.engine.ports import (
    DETAIL_MAX,
    Admission,
    Appearance,
    Attempt,
    Changes,
    DataRefused,
    Held,
    Line,
    Packed,
    Position,
    TopicPartition,
    Unavailable,
    Until,
    Wanted,
    Word,
)
from shared.engine.vocabulary import Entry, Row

__all__ = ["MemoryDatabase", "MemoryTransaction"]

K = TypeVar("K")
V = TypeVar("V")

_GONE: Any = object()

BIGINT_LIMIT = 2**63


class MemoryDatabase:
    """One service's schema. Implements ``shared.engine.ports.Database`` and ``shared.engine.inspection.Inspection``.

    ``unique`` names the fields that identify an entry, where its table has such a constraint.
    """

    def __init__(
        self, *, unique: Mapping[type[Entry], Sequence[str]] | None = None, faults: Faults | None = None
    ) -> None:
        self.faults = faults or Faults()
        self.unique = dict(unique or {})
        self.lanes: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        self.admitting: dict[str, MemoryTransaction] = {}
        """Ids in the inbox of an open transaction: who brings the same id waits for its end."""
        self.sequences: defaultdict[str, Iterator[int]] = defaultdict(lambda: count(1))
        self._committed = _Tables()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[MemoryTransaction]:
        """A transaction that commits when the block ends and rolls back when it raises."""
        await self.faults.at(Point.BEGIN)
        transaction = MemoryTransaction(self, self._committed)
        try:
            yield transaction
            await transaction.commit()
        finally:
            transaction.end()
        await self.faults.at(Point.COMMITTED)

    async def stop_line(self, line: Line) -> None:
        await self.faults.at(Point.MARK)
        self._committed["line"][0] = _checked(Line, [line])[0]

    async def begin_attempt(self, attempts: Sequence[Attempt]) -> None:
        await self.faults.at(Point.MARK)
        for attempt, stored in zip(attempts, _checked(Attempt, attempts), strict=True):
            self._committed["attempt"][attempt.lane] = stored

    async def attempts(self, lanes: Sequence[int]) -> list[Attempt]:
        await self.faults.at(Point.MARK)
        stored = sorted(self._committed["attempt"].items())
        return codec(Attempt).decode([columns for lane, columns in stored if lane in lanes])

    async def end_attempt(self, lanes: Sequence[int]) -> None:
        await self.faults.at(Point.MARK)
        for lane in lanes:
            self._committed["attempt"].pop(lane, None)

    async def prune(self, before: datetime, limit: int) -> int:
        await self.faults.at(Point.MARK)
        inbox = self._committed["inbox"]
        old = sorted((at, message_id) for message_id, (_, at) in inbox.items() if at < before)[:limit]
        for _, message_id in old:
            del inbox[message_id]
        return len(old)

    async def speak(self, seq: int, word: Word) -> bool:
        await self.faults.at(Point.MARK)
        letter = self._find_dead_letter(seq)
        if letter is not None:
            self._committed["held"][seq] = _checked(Held, [replace(letter, word=word)])[0]
        return letter is not None

    async def standing(self) -> Standing:
        held = _held(self._committed)
        letters = [one for one in held if one.until is Until.OPERATOR]
        return Standing(
            line=_line(self._committed),
            positions=dict(self._committed["position"]),
            outbox_rows=len(self._committed["outbox"]),
            earliest_due=await self.next_due(),
            waiting=sum(one.until is Until.ROW for one in held),
            dead_letters=len(letters),
            parked_keys=len({one.key for one in letters if one.parks}),
        )

    async def next_due(self) -> datetime | None:
        held = _held(self._committed)
        parked = {one.key for one in held if one.parks}
        due = (one.due_at for one in held if _is_deadline(one) and one.key not in parked)
        return min((instant for instant in due if instant is not None), default=None)

    async def dead_letters(self, limit: int, after: int = 0) -> list[Held]:
        held = _held(self._committed)
        return [one for one in held if one.until is Until.OPERATOR and one.seq > after][:limit]

    async def dead_letter(self, seq: int) -> Held | None:
        return self._find_dead_letter(seq)

    def _find_dead_letter(self, seq: int) -> Held | None:
        return next((one for one in _held(self._committed) if one.seq == seq and one.until is Until.OPERATOR), None)

    def rows(self, cls: type[Row]) -> list[Row]:
        """All committed rows of a class in the order of their keys: what a test looks at afterwards."""
        return codec(cls).decode([stored for _, stored in sorted(self._committed[cls.TABLE].items())])

    def entries(self, cls: type[Entry]) -> list[Entry]:
        """All committed entries of a class in the order they were appended."""
        return codec(cls).decode([stored for _, stored in sorted(self._committed[cls.TABLE].items())])

    def empty_inbox(self) -> None:
        """Forget every id, as pruning does after long enough."""
        self._committed["inbox"].clear()

    def empty_positions(self) -> None:
        """Forget how far every partition was handled, as an operator makes a service read everything again."""
        self._committed["position"].clear()


class MemoryTransaction:
    """One turn's transaction. Implements ``shared.engine.ports.Transaction``."""

    def __init__(self, database: MemoryDatabase, committed: _Tables) -> None:
        self._database = database
        self._tables = _Tables(committed)
        self._fenced: list[asyncio.Lock] = []
        self._admitted: list[str] = []
        self._ended = asyncio.Event()
        self._failed = False

    async def commit(self) -> None:
        await self._database.faults.at(Point.COMMIT)
        if self._failed:
            raise Unavailable("commit: a statement of this transaction had failed, so it was rolled back")
        self._tables.settle()

    def end(self) -> None:
        """Let go of everything, committed or not."""
        for lock in self._fenced:
            lock.release()
        for message_id in self._admitted:
            self._database.admitting.pop(message_id, None)
        self._ended.set()

    @contextmanager
    def _statement(self) -> Iterator[None]:
        """PostgreSQL takes no statement after a failed one, but for going back to a savepoint."""
        if self._failed:
            raise Unavailable("an earlier statement of this transaction failed")
        try:
            yield
        except Exception:
            self._failed = True
            raise

    async def fence(self, lanes: Sequence[int]) -> None:
        with self._statement():
            await self._database.faults.at(Point.FENCE)
            for lane in sorted(set(lanes)):
                lock = self._database.lanes[lane]
                if lock not in self._fenced:
                    await lock.acquire()
                    self._fenced.append(lock)

    async def line(self) -> Line:
        with self._statement():
            return _line(self._tables)

    async def positions(self, lanes: Sequence[int]) -> dict[TopicPartition, Position]:
        with self._statement():
            await self._database.faults.at(Point.READ)
            return {one: position for one, position in self._tables["position"].items() if one.partition in lanes}

    async def outbox(self, lanes: Sequence[int], acknowledged: Sequence[int]) -> list[Packed]:
        with self._statement():
            await self._database.faults.at(Point.READ)
            rows = self._tables["outbox"]
            for seq in acknowledged:
                rows.pop(seq, None)
            return [Packed(seq, lane, body) for seq, (lane, body) in sorted(rows.items()) if lane in lanes]

    async def admit(self, appearances: Sequence[Appearance], at: datetime) -> Admission:
        with self._statement():
            await self._database.faults.at(Point.READ)
            known: dict[str, bytes] = {}
            inbox = self._tables["inbox"]
            for message_id, digest in sorted(appearances):
                _check_uuid(message_id)
                while (other := self._database.admitting.get(message_id, self)) is not self:
                    await other._ended.wait()
                if message_id in inbox:
                    known[message_id] = inbox[message_id][0]
                    continue
                inbox[message_id] = (digest, at)
                if self._database.admitting.setdefault(message_id, self) is self:
                    self._admitted.append(message_id)
            return Admission(known)

    async def held(self, keys: Sequence[str], horizon: datetime) -> list[Held]:
        with self._statement():
            await self._database.faults.at(Point.READ)
            mine = [one for one in _held(self._tables) if one.key in keys]
            return [one for one in mine if one.until in (Until.ROW, Until.OPERATOR) or _is_deadline(one, up_to=horizon)]

    async def behind(self, key: str) -> list[Held]:
        with self._statement():
            await self._database.faults.at(Point.READ)
            return [one for one in _held(self._tables) if one.key == key and one.until is Until.BEHIND]

    async def due(
        self, horizons: Mapping[int, datetime], waiting_since: Mapping[int, datetime], limit: int
    ) -> list[str]:
        with self._statement():
            await self._database.faults.at(Point.READ)
            held = _held(self._tables)
            parked = {one.key for one in held if one.parks}
            since: dict[str, datetime] = {}
            for one in held:
                instant = _comes_up(one, horizons, waiting_since, parked)
                if instant is not None:
                    since[one.key] = min(instant, since.get(one.key, instant))
            return sorted(since, key=lambda key: (since[key], key))[:limit]

    async def failing(self, fingerprint: str, since: datetime | None) -> int:
        with self._statement():
            letters = [one for one in _held(self._tables) if one.parks and one.fingerprint == fingerprint]
            return len({one.key for one in letters if since is None or one.held_at > since})

    async def load(self, wanted: Mapping[type[Row], Wanted]) -> list[Row]:
        with self._statement():
            await self._database.faults.at(Point.LOAD)
            rows: list[Row] = []
            for cls, of in wanted.items():
                ids, owners = of.locked | of.read, of.live_of | of.read_live_of
                stored = sorted((self._tables[cls.TABLE]).items())
                mine = codec(cls).decode([one for key, one in stored if key in ids or key[0] in owners])
                rows += (row for row in mine if row.identity() in ids or (cls.LIVE is not None and cls.LIVE.holds(row)))
            return rows

    async def save(self, changes: Changes) -> dict[int, int]:
        with self._statement():
            await self._database.faults.at(Point.SAVE)
            for row_type, rows in changes.rows.items():
                self._save_rows(row_type, rows)
            for entry_type, entries in changes.entries.items():
                self._append(entry_type, entries)
            self._save_held(changes)
            for partition, position in changes.positions.items():
                self._tables["position"][partition] = position
            saved = {}
            for lane, body in sorted(changes.outbox.items()):
                _check_text("outbox", body)
                saved[lane] = next(self._database.sequences["outbox"])
                self._tables["outbox"][saved[lane]] = (lane, body)
            return saved

    def _save_rows(self, cls: type[Row], rows: Sequence[Row]) -> None:
        table = self._tables[cls.TABLE]
        for row, stored in zip(rows, _checked(cls, rows), strict=True):
            table[row.identity()] = stored

    def _append(self, cls: type[Entry], entries: Sequence[Entry]) -> None:
        table = self._tables[cls.TABLE]
        names = [column.name for column in codec(cls).columns]
        identity = [names.index(name) for name in self._database.unique.get(cls, ())]
        taken = {tuple(stored[place] for place in identity) for stored in table.values()} if identity else set()
        for stored in _checked(cls, entries):
            key = tuple(stored[place] for place in identity)
            if identity and key in taken:
                raise DataRefused(f"{cls.TABLE}: UniqueViolation 23505 {cls.TABLE}")
            taken.add(key)
            table[next(self._database.sequences[cls.TABLE])] = stored

    def _save_held(self, changes: Changes) -> None:
        table = self._tables["held"]
        for seq in changes.released:
            table.pop(seq, None)
        armed = {_slot(one): one.seq for one in _held(self._tables) if one.until is Until.TIME}
        for slot in changes.disarmed:
            table.pop(armed.pop(slot, 0), None)
        for one in changes.armed:
            seq = armed.get(_slot(one)) or next(self._database.sequences["held"])
            self._hold(replace(one, seq=seq), armed)
        for one in changes.held:
            if not one.seq:
                self._hold(replace(one, seq=next(self._database.sequences["held"])), armed)
            elif one.seq in table:
                self._hold(one, armed)

    def _hold(self, held: Held, armed: dict[tuple[str, str, str], int]) -> None:
        _check_held(held)
        if held.until is Until.TIME and armed.setdefault(_slot(held), held.seq) != held.seq:
            raise DataRefused("held: UniqueViolation 23505 held.held_deadline")
        self._tables["held"][held.seq] = _checked(Held, [held])[0]

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        with self._statement():
            outer = self._tables
        self._tables = _Tables(outer)
        try:
            yield
            with self._statement():
                self._tables.settle()
        except BaseException:
            self._failed = False
            raise
        finally:
            self._tables = outer


class _Layer(MutableMapping[K, V]):
    """A table as a transaction sees it: what lies below, under its own changes."""

    def __init__(self, below: MutableMapping[K, V]) -> None:
        self._below = below
        self._own: dict[K, V] = {}

    def __getitem__(self, key: K) -> V:
        value = self._own[key] if key in self._own else self._below[key]
        if value is _GONE:
            raise KeyError(key)
        return value

    def __setitem__(self, key: K, value: V) -> None:
        self._own[key] = value

    def __delitem__(self, key: K) -> None:
        self[key]  # KeyError where there is none
        self._own[key] = _GONE

    def __iter__(self) -> Iterator[K]:
        yield from (key for key in self._below if key not in self._own)
        yield from (key for key, value in self._own.items() if value is not _GONE)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def settle(self) -> None:
        """Put the changes into what lies below."""
        for key, value in self._own.items():
            if value is _GONE:
                self._below.pop(key, None)
            else:
                self._below[key] = value


class _Tables:
    """All tables of a schema, or what a transaction or savepoint has made of them."""

    def __init__(self, below: _Tables | None = None) -> None:
        self._below = below
        self._tables: dict[str, MutableMapping[Any, Any]] = {}

    def __getitem__(self, name: str) -> MutableMapping[Any, Any]:
        if name not in self._tables:
            self._tables[name] = {} if self._below is None else _Layer(self._below[name])
        return self._tables[name]

    def settle(self) -> None:
        for table in self._tables.values():
            if isinstance(table, _Layer):
                table.settle()


def _held(tables: _Tables) -> list[Held]:
    return codec(Held).decode([stored for _, stored in sorted(tables["held"].items())])


def _line(tables: _Tables) -> Line:
    stored = tables["line"].get(0)
    return Line() if stored is None else codec(Line).decode([stored])[0]


def _slot(held: Held) -> tuple[str, str, str]:
    return held.key, held.kind, held.subject


def _is_deadline(held: Held, up_to: datetime | None = None) -> bool:
    return held.until is Until.TIME and held.due_at is not None and (up_to is None or held.due_at <= up_to)


def _comes_up(
    held: Held, horizons: Mapping[int, datetime], waiting_since: Mapping[int, datetime], parked: set[str]
) -> datetime | None:
    """The instant since which a held message gives its key something to do, or None."""
    match held.until:
        case Until.TIME if held.lane in horizons and held.key not in parked:
            return held.due_at if _is_deadline(held, up_to=horizons[held.lane]) else None
        case Until.ROW if held.lane in waiting_since and held.key not in parked:
            return held.held_at if held.held_at < waiting_since[held.lane] else None
        case Until.OPERATOR if held.lane in horizons and held.word is not None:
            return held.held_at
        case _:
            return None


def _check_held(held: Held) -> None:
    """The CHECK constraints of the table."""
    allowed = (
        held.lane >= 0
        and len(held.detail) <= DETAIL_MAX
        and (held.until is not Until.TIME or (held.due_at is not None and held.kind != ""))
        and (held.until is not Until.ROW or held.waits_for != "")
        and (held.until is not Until.OPERATOR or held.reason != "")
        and (held.until is Until.OPERATOR or held.word is None)
    )
    if not allowed:
        raise DataRefused("held: CheckViolation 23514 held")


def _check_uuid(message_id: str) -> None:
    try:
        UUID(message_id)
    except ValueError:
        raise DataRefused("inbox: InvalidTextRepresentation 22P02") from None


def _checked(cls: type[Any], instances: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Instances as stored rows; :class:`DataRefused` where PostgreSQL would refuse a value."""
    made = codec(cls)
    table = getattr(cls, "TABLE", "") or cls.__name__.lower()
    encoded = zip(made.columns, made.encode(instances), strict=True)
    stored = list(zip(*([_stored(table, column, one) for one in values] for column, values in encoded), strict=True))
    try:
        unchanged = made.decode(stored) == list(instances)
    except Unavailable:
        unchanged = False
    if not unchanged:
        raise DataRefused(f"{table}: what was saved would not come back as it was")
    return stored


def _stored(table: str, column: Column, value: Any) -> Any:
    if value is None:
        if not column.nullable:
            raise DataRefused(f"{table}: NotNullViolation 23502 {table}.{column.name}")
        return None
    return _STORED[column.type](f"{table}.{column.name}", value)


def _check_text(where: str, value: Any) -> str:
    plain = value.value if isinstance(value, Enum) else value
    if not isinstance(plain, str):
        raise DataRefused(f"{where}: a value does not fit its column")
    try:
        plain.encode()
    except UnicodeEncodeError:
        raise DataRefused(f"{where}: a value does not fit its column") from None
    if "\0" in plain:
        raise DataRefused(f"{where}: CharacterNotInRepertoire 22021")
    return str(plain)


def _check_bigint(where: str, value: Any) -> int:
    if type(value) is not int or not -BIGINT_LIMIT <= value < BIGINT_LIMIT:
        raise DataRefused(f"{where}: a value does not fit its column")
    return int(value)


def _check_type(kind: type) -> Callable[[str, Any], Any]:
    def check(where: str, value: Any) -> Any:
        if type(value) is not kind or getattr(value, "tzinfo", UTC) is None:
            raise DataRefused(f"{where}: a value does not fit its column")
        return value.astimezone(UTC) if isinstance(value, datetime) else value

    return check


def _check_json(where: str, text: str) -> str:
    """``jsonb`` keeps no order of keys and no NUL."""
    value = json.loads(text)
    if any("\0" in one for one in _strings(value)):
        raise DataRefused(f"{where}: UntranslatableCharacter 22P05")
    return json.dumps(_in_order(value))


def _strings(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            yield from _all_strings((*value.keys(), *value.values()))
        case list():
            yield from _all_strings(value)


def _all_strings(values: Iterable[Any]) -> Iterator[str]:
    for value in values:
        yield from _strings(value)


def _in_order(value: Any) -> Any:
    match value:
        case dict():
            return {key: _in_order(value[key]) for key in sorted(value, key=lambda key: (len(key.encode()), key))}
        case list():
            return [_in_order(one) for one in value]
        case _:
            return value


_STORED: dict[str, Callable[[str, Any], Any]] = {
    "text": _check_text,
    "bigint": _check_bigint,
    "boolean": _check_type(bool),
    "timestamptz": _check_type(datetime),
    "date": _check_type(date),
    "jsonb": _check_json,
}
