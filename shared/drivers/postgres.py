"""The engine's database on PostgreSQL through asyncpg: few statements, each over a whole set.

An error says one of three things and nothing in between: the data was refused (:class:`DataRefused`), the schema is of
another build (:class:`SchemaBehind`), or the database did not answer (:class:`Unavailable`). Its text holds names of
statements, tables and constraints, never a value: equal failures read equal, and nothing private reaches a log.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Self

import asyncpg

from shared.drivers import statements
from shared.drivers.arrays import array, texts
from shared.drivers.rows import codec
from shared.drivers.schema import check_schema
from shared.engine.inspection import Standing
from shared.engine.ports import (
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
    Wanted,
    Word,
)
from shared.engine.vocabulary import Entry, Row

__all__ = ["PostgresDatabase", "PostgresTransaction", "SchemaBehind", "Session"]

REFUSING_CLASSES = frozenset({"21", "22", "23", "44", "54", "P0"})
"""SQLSTATE classes that blame the data: cardinality, data exception, integrity, check option, too large, raised."""

SCHEMA_CLASSES = frozenset({"3F", "42"})
"""SQLSTATE classes that blame the schema: what a statement names is not there, or not as this build expects it."""


class SchemaBehind(Unavailable):
    """The schema does not fit this build: not bad data, and not cured by waiting, only by ``houfu migrate``."""


@dataclass(frozen=True, slots=True)
class Session:
    """How every connection is set up. None (or False) leaves a setting to the role, as behind pgbouncer."""

    statement_timeout_ms: int | None = 20_000
    lock_timeout_ms: int | None = 10_000
    """Above the idle limit: who waits for a frozen member's fence outlives it."""
    idle_in_transaction_session_timeout_ms: int | None = 5_000
    by_keys: bool = True
    """Every statement goes by keys, whatever the statistics said of a table that was empty when its plan was made."""

    def settings(self) -> dict[str, str]:
        timeouts = {one.name: getattr(self, one.name) for one in fields(self) if one.name.endswith("_ms")}
        settings = {name.removesuffix("_ms"): str(ms) for name, ms in timeouts.items() if ms is not None}
        return settings | ({"enable_seqscan": "off", "jit": "off"} if self.by_keys else {})


class PostgresDatabase:
    """One service's schema. Implements ``shared.engine.ports.Database`` and ``shared.engine.inspection.Inspection``."""

    def __init__(self, pool: Any, service: str, acquire_timeout_s: float) -> None:
        self._pool = pool
        self._service = service
        self._acquire_timeout_s = acquire_timeout_s
        self._fence_class = fence_class(service)

    @classmethod
    async def open(
        cls,
        dsn: str,
        service: str,
        *,
        schema: str | None = None,
        pool_size: int = 4,
        acquire_timeout_s: float = 5.0,
        answer_timeout_s: float = 30.0,
        session: Session | None = None,
        statement_cache_size: int = 256,
    ) -> Self:
        """Connect; :class:`Unavailable` if that fails.

        ``schema`` sets the search path where the role does not. pgbouncer needs ``Session(None, None, None, False)``
        and, below 1.21, ``statement_cache_size=0``.
        """
        settings = {"application_name": f"houfu-{service}", **(session or Session()).settings()}
        if schema is not None:
            settings["search_path"] = f'"{schema}"'
        with _answering(f"connecting {service} to its database"):
            pool = await asyncpg.create_pool(
                dsn,
                min_size=1,
                max_size=pool_size,
                timeout=acquire_timeout_s,
                command_timeout=answer_timeout_s,
                statement_cache_size=statement_cache_size,
                server_settings=settings,
                reset=_nothing_to_reset,
            )
        return cls(pool, service, acquire_timeout_s)

    async def close(self, timeout_s: float = 5.0) -> None:
        """Close all connections, waiting at most ``timeout_s`` for those in use."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()

    @asynccontextmanager
    async def connection(self, doing: str) -> AsyncIterator[Any]:
        """A connection for the statements of one block, ``doing`` naming them; errors come out as the ports'."""
        async with self._acquired() as connection:
            with _answering(doing):
                yield connection

    @asynccontextmanager
    async def _acquired(self) -> AsyncIterator[Any]:
        with _answering("waiting for a connection"):
            connection = await self._pool.acquire(timeout=self._acquire_timeout_s)
        try:
            yield connection
        finally:
            await self._pool.release(connection)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[PostgresTransaction]:
        """A transaction that commits when the block ends and rolls back when it raises."""
        async with self._acquired() as connection:
            with _answering("begin"):
                await connection.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
            try:
                yield PostgresTransaction(connection, self._fence_class)
            except BaseException:
                with suppress(Exception):
                    await _end(connection, "ROLLBACK")
                raise
            with _answering("commit"):
                await _end(connection, "COMMIT")

    async def check_schema(self, classes: Iterable[type[Row] | type[Entry]]) -> list[str]:
        """What stands in the way of keeping these classes here, one sentence each; [] if nothing."""
        async with self.connection("checking the schema") as connection:
            return await check_schema(connection, classes)

    async def stop_line(self, line: Line) -> None:
        values = (line.stopped, line.reason, line.build, line.since, line.resumed_at)
        async with self.connection("line") as connection:
            await connection.execute(statements.STOP_LINE, *values)

    async def begin_attempt(self, attempts: Sequence[Attempt]) -> None:
        async with self.connection("attempt") as connection:
            await connection.execute(statements.BEGIN_ATTEMPTS, *statements.ATTEMPT.arrays(attempts))

    async def attempts(self, lanes: Sequence[int]) -> list[Attempt]:
        async with self.connection("attempt") as connection:
            return statements.ATTEMPT.decode(await connection.fetch(statements.ATTEMPTS, lanes))

    async def end_attempt(self, lanes: Sequence[int]) -> None:
        async with self.connection("attempt") as connection:
            await connection.execute(statements.END_ATTEMPTS, lanes)

    async def prune(self, before: datetime, limit: int) -> int:
        async with self.connection("inbox") as connection:
            return _count(await connection.execute(statements.PRUNE, before, limit))

    async def speak(self, seq: int, word: Word) -> bool:
        async with self.connection("held") as connection:
            return _count(await connection.execute(statements.SPEAK, seq, word)) == 1

    async def standing(self) -> Standing:
        async with self.connection("standing") as connection:
            records = await connection.fetch(statements.STANDING)
        line, positions = _line_and_positions([record[5:] for record in records])
        rows, due, waiting, letters, parked = tuple(records[0])[:5]
        return Standing(line, positions, rows, due, waiting, letters, parked)

    async def next_due(self) -> datetime | None:
        async with self.connection("held") as connection:
            due: datetime | None = await connection.fetchval(statements.NEXT_DUE)
            return due

    async def dead_letters(self, limit: int, after: int = 0) -> list[Held]:
        async with self.connection("held") as connection:
            return statements.HELD.decode(await connection.fetch(statements.DEAD_LETTERS, limit, after))

    async def dead_letter(self, seq: int) -> Held | None:
        async with self.connection("held") as connection:
            found = statements.HELD.decode(await connection.fetch(statements.DEAD_LETTER, seq))
            return found[0] if found else None


class PostgresTransaction:
    """One turn's transaction. Implements ``shared.engine.ports.Transaction``."""

    def __init__(self, connection: Any, fence_class: int) -> None:
        self._connection = connection
        self._fence_class = fence_class
        self._line: Line | None = None

    async def fence(self, lanes: Sequence[int]) -> None:
        with _answering("fence"):
            await self._connection.execute(statements.FENCE, self._fence_class, lanes)

    async def line(self) -> Line:
        """Known without another round trip once the positions were read."""
        if self._line is None:
            with _answering("line"):
                self._line = Line(*await self._connection.fetchrow(statements.LINE))
        return self._line

    async def positions(self, lanes: Sequence[int]) -> dict[TopicPartition, Position]:
        with _answering("position"):
            records = await self._connection.fetch(statements.POSITIONS, lanes)
        self._line, positions = _line_and_positions(records)
        return positions

    async def outbox(self, lanes: Sequence[int], acknowledged: Sequence[int]) -> list[Packed]:
        with _answering("outbox"):
            records = await self._connection.fetch(statements.OUTBOX, lanes, acknowledged)
        return [Packed(*record) for record in records]

    async def admit(self, appearances: Sequence[Appearance], at: datetime) -> Admission:
        if not appearances:
            return Admission({})
        ids, digests = zip(*sorted(appearances), strict=True)
        with _answering("inbox"):
            fresh = await self._connection.fetch(statements.ADMIT, texts(ids), array("bytea", digests), at)
            if len(fresh) == len(ids):
                return Admission({})
            old = set(ids).difference(record[0] for record in fresh)
            return Admission(dict(await self._connection.fetch(statements.KNOWN, texts(sorted(old)))))

    async def held(self, keys: Sequence[str], horizon: datetime) -> list[Held]:
        return await self._held(statements.HELD_OF, texts(keys), horizon)

    async def behind(self, key: str) -> list[Held]:
        return await self._held(statements.BEHIND, key)

    async def _held(self, statement: str, *arguments: Any) -> list[Held]:
        with _answering("held"):
            return statements.HELD.decode(await self._connection.fetch(statement, *arguments))

    async def due(
        self, horizons: Mapping[int, datetime], waiting_since: Mapping[int, datetime], limit: int
    ) -> list[str]:
        arguments = (*_columns(horizons.items(), 2), *_columns(waiting_since.items(), 2), limit)
        with _answering("held"):
            return [record[0] for record in await self._connection.fetch(statements.DUE, *arguments)]

    async def failing(self, fingerprint: str, since: datetime | None) -> int:
        with _answering("held"):
            count: int = await self._connection.fetchval(statements.FAILING, fingerprint, since)
            return count

    async def load(self, wanted: Mapping[type[Row], Wanted]) -> list[Row]:
        rows: list[Row] = []
        for cls, of in wanted.items():
            locked = await self._load(cls, of.locked, of.live_of, lock=True)
            merely_read = await self._load(cls, of.read - of.locked, of.read_live_of - of.live_of, lock=False)
            if locked and merely_read:
                rows += {row.identity(): row for row in (*merely_read, *locked)}.values()
            else:
                rows += locked or merely_read
        return rows

    async def _load(self, cls: type[Row], ids: set[tuple[str, str]], owners: set[str], *, lock: bool) -> list[Row]:
        if not (ids or owners):
            return []
        arguments = [
            *(map(texts, _columns(sorted(ids), 2)) if ids else ()),
            *([texts(sorted(owners))] if owners else ()),
        ]
        with _answering(cls.TABLE):
            statement = statements.load(cls, by_id=bool(ids), live=bool(owners), lock=lock)
            return codec(cls).decode(await self._connection.fetch(statement, *arguments))

    async def save(self, changes: Changes) -> dict[int, int]:
        for row_type, rows in changes.rows.items():
            await self._write(row_type, statements.upsert(row_type), rows)
        for entry_type, entries in changes.entries.items():
            await self._write(entry_type, statements.append(entry_type), entries)
        await self._save_held(changes)
        if not (changes.positions or changes.outbox):
            return {}
        positions = ((*partition, *position) for partition, position in changes.positions.items())
        with _answering("position and outbox"):
            return dict(
                await self._connection.fetch(
                    statements.MOVE_AND_LEAVE, *_columns(positions, 4), *_columns(changes.outbox.items(), 2)
                )
            )

    async def _write(self, cls: type[Row] | type[Entry], statement: str, instances: Sequence[Any]) -> None:
        if instances:
            with _answering(cls.TABLE):
                await self._connection.execute(statement, *codec(cls).arrays(instances))

    async def _save_held(self, changes: Changes) -> None:
        """What goes makes room first: a deadline may be armed again by the message it was released for."""
        new = [one for one in changes.held if not one.seq]
        known = [one for one in changes.held if one.seq]
        with _answering("held"):
            if changes.released or changes.disarmed:
                gone = map(texts, _columns(changes.disarmed, 3))
                await self._connection.execute(statements.LET_GO, changes.released, *gone)
            for statement, messages in (
                (statements.ARM, changes.armed),
                (statements.HOLD, new),
                (statements.REHOLD, known),
            ):
                if messages:
                    await self._connection.execute(statement, *statements.HELD.arrays(messages))

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        with _answering("savepoint"):
            await self._connection.execute("SAVEPOINT step")
        try:
            yield
        except BaseException:
            with _answering("savepoint"):
                await self._connection.execute("ROLLBACK TO SAVEPOINT step; RELEASE SAVEPOINT step")
            raise
        with _answering("savepoint"):
            await self._connection.execute("RELEASE SAVEPOINT step")


def fence_class(service: str) -> int:
    """The advisory lock class of a service's lanes: services may share one database."""
    return int.from_bytes(zlib.crc32(f"houfu.{service}".encode()).to_bytes(4), signed=True)


@contextmanager
def _answering(doing: str) -> Iterator[None]:
    """Turn whatever asyncpg and the network raise into what the ports promise; other exceptions pass."""
    try:
        yield
    except asyncpg.PostgresError as error:
        raise _translated(doing, error) from None
    except asyncpg.InterfaceError as error:
        if isinstance(error, ValueError) and not isinstance(error, asyncpg.ClientConfigurationError):
            raise DataRefused(f"{doing}: a value does not fit its column ({type(error.__cause__).__name__})") from None
        raise Unavailable(f"{doing}: {error}") from error
    except (asyncpg.InternalClientError, OSError, TimeoutError) as error:
        raise Unavailable(f"{doing}: {error or type(error).__name__}") from error


def _translated(doing: str, error: asyncpg.PostgresError) -> DataRefused | Unavailable:
    state = error.sqlstate or ""
    names = (error.table_name, error.column_name, error.constraint_name)
    where = ".".join(name for name in names if name)
    what = f"{doing}: {type(error).__name__.removesuffix('Error')} {state} {where}".rstrip()
    if state[:2] in REFUSING_CLASSES:
        return DataRefused(what)
    if state[:2] in SCHEMA_CLASSES:
        return SchemaBehind(f"{what}: {error.args[0]}; the schema does not fit this build, run houfu migrate")
    return Unavailable(f"{what}: {error.args[0]}")


async def _end(connection: Any, command: str) -> None:
    """End a transaction. A connection on which that fails is not used again: it may still hold the fence.

    PostgreSQL answers the COMMIT of a failed transaction with ROLLBACK, and no error.
    """
    try:
        done = await connection.execute(command)
    except BaseException:
        connection.terminate()
        raise
    if done != command:
        raise Unavailable("commit: a statement of this transaction had failed, so it was rolled back")


async def _nothing_to_reset(connection: Any) -> None:
    """Spares a round trip: what the engine sets ends with its transaction, and every transaction is ended."""


def _line_and_positions(records: Sequence[Any]) -> tuple[Line, dict[TopicPartition, Position]]:
    """Out of records of the line's five columns and a position's four, which are NULL where there is none."""
    if not records:
        raise SchemaBehind("line: the row is missing; run houfu migrate")
    positions = {TopicPartition(*record[5:7]): Position(*record[7:9]) for record in records if record[5] is not None}
    return Line(*records[0][:5]), positions


def _columns(rows: Iterable[Sequence[Any]], width: int) -> list[Sequence[Any]]:
    """Rows as ``width`` columns, also where there are none."""
    return list(zip(*rows, strict=True)) or [()] * width


def _count(status: str) -> int:
    """How many rows a command tag speaks of."""
    return int(status.rpartition(" ")[2])
