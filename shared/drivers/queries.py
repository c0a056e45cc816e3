"""Questions to a service's own schema, asked by those who only look: its views.

A question is one named statement and the frozen dataclass its records are read into, with the engine's own codec: a
question may ask for whole rows, for rows in ``jsonb`` beside others, or for a shape of its own.

A view must never starve a turn. So whoever asks here has connections of its own, two at most: a flood of questions
waits for them, and is refused after two seconds, while the engine's pool hears nothing of it. A question runs in a
read-only transaction, takes no lock a turn could wait for, and is cut off by the database after two seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, Self, TypeVar

from shared.drivers.postgres import PostgresDatabase, SchemaBehind, Session
from shared.drivers.rows import codec

__all__ = ["PostgresQueries", "Query", "column_list"]

T = TypeVar("T")
Answer_co = TypeVar("Answer_co", covariant=True)

AT_ONCE = 2
"""Connections of a process for its views: enough for some hundred questions a second, and a share the turns survive."""

ACQUIRE_TIMEOUT_S = 2.0
"""How long a question waits for a connection; whoever asks is better told to come again than kept longer."""

STATEMENT_TIMEOUT_MS = 2_000
"""A question goes by an index and takes about a millisecond; one that takes this long does harm to others."""

ANSWER_TIMEOUT_S = 4.0
"""When to give up a database that does not even cut a statement off."""

READING = Session(statement_timeout_ms=STATEMENT_TIMEOUT_MS, lock_timeout_ms=STATEMENT_TIMEOUT_MS)


@dataclass(frozen=True, slots=True)
class Query(Generic[Answer_co]):
    """One question: ``sql`` answers with the fields of ``result``, a frozen dataclass with slots, in their order."""

    name: str
    result: type[Answer_co]
    sql: str

    def __post_init__(self) -> None:
        codec(self.result)  # a class that cannot be read is refused when the module is imported


def column_list(row: type) -> str:
    """What to select for a whole row: its fields, quoted, in their order."""
    return ", ".join(column.quoted for column in codec(row).columns)


class PostgresQueries:
    """The questions of one process to its service's schema."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database

    @classmethod
    async def open(
        cls,
        dsn: str,
        service: str,
        *,
        schema: str | None = None,
        at_once: int = AT_ONCE,
        acquire_timeout_s: float = ACQUIRE_TIMEOUT_S,
        session: Session = READING,
    ) -> Self:
        """Connect, with ``at_once`` connections at most; ``Unavailable`` if that fails.

        ``schema`` sets the search path where the role does not.
        """
        database = await PostgresDatabase.open(
            dsn,
            service,
            schema=schema,
            pool_size=at_once,
            acquire_timeout_s=acquire_timeout_s,
            answer_timeout_s=ANSWER_TIMEOUT_S,
            session=session,
        )
        return cls(database)

    async def close(self) -> None:
        """Close all connections."""
        await self._database.close()

    async def all(self, query: Query[T], *arguments: Any) -> list[T]:
        """Every answer, in the order of the statement; ``Unavailable`` if the database gives none in time."""
        async with self._database.connection(query.name) as connection, connection.transaction(readonly=True):
            records = await connection.fetch(query.sql, *arguments)
        expected = codec(query.result)
        if records and list(records[0].keys()) != [column.name for column in expected.columns]:
            raise SchemaBehind(f"{query.name}: the answer does not have the fields of {query.result.__name__}")
        return expected.decode(records)

    async def one(self, query: Query[T], *arguments: Any) -> T | None:
        """The one answer, or None."""
        found = await self.all(query, *arguments)
        return found[0] if found else None
