"""Whether a contender did the same work: the rows it left and the events it published, against what Houfu makes of it.

Before anything is measured Houfu's own service handles every order once, and what it did is kept as the reference.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Sequence

import asyncpg

from benchmarks.orders import EVENTS_PER_ORDER
from shared.engine.ports import Record

__all__ = ["UNBALANCED", "Effects", "Unequal"]

MEANING = {
    "book": "*",
    "plan": "*",
    "bill": "*",
    "journal": (
        "buyer_id, cause_id, n, posted_at, fact, account, debit, credit, currency, order_id, bill_id, merchant_id"
    ),
    "deadline": "key, kind, subject, due_at, message::jsonb",
}
"""What an order means, by table: the same for everybody."""

MACHINERY = {
    "deadline": f"{MEANING['deadline']}, lane, id, held_at, cause_id, correlation_id",
    "inbox": "id, digest",
}
"""What the engine keeps beside it: the same for who says that he keeps it too."""

EACH = {"book": 1, "plan": 1, "bill": 1, "journal": 2, "deadline": 3, "inbox": 1} | dict.fromkeys(
    ("repayment", "reversal", "refund", "extension", "evidence"), 0
)
"""Rows an order leaves, and where it leaves none."""

UNBALANCED = """
SELECT cause_id FROM journal GROUP BY buyer_id, cause_id, currency HAVING sum(debit) <> sum(credit) LIMIT 1
"""
"""A message whose postings do not sum to zero."""

_SOURCES = {"deadline": "held WHERE until = 'TIME'"}


class Unequal(Exception):
    """A contender did not do the same work; the text says what differs."""


class Effects:
    """The reference: tables beside those of the service, and the events that went with them."""

    def __init__(self, database: asyncpg.Connection) -> None:
        self._database = database
        self._events: Sequence[Record] = ()

    async def keep(self, events: Iterable[Record]) -> None:
        """What stands in the database now and was published is the reference."""
        for table, wanted in (MEANING | MACHINERY).items():
            await self._database.execute(f"CREATE TABLE reference_{table} AS SELECT {wanted} FROM {_source(table)}")
        self._events = list(events)

    async def compare(self, events: Iterable[Record], orders: int | None, *, machinery: bool) -> None:
        """:class:`Unequal` unless every row and event is one of the reference's and stands there once.

        They are so many as belong to ``orders``, or where that is None to the plans that were made.
        """
        done = orders if orders is not None else await self._database.fetchval("SELECT count(*) FROM plan")
        wrong = [sentence async for sentence in self._strange_rows(done, machinery=machinery)]
        said = [_content(one, machinery=machinery) for one in events]
        if len(said) != EVENTS_PER_ORDER * done or len(set(said)) != len(said):
            wrong.append(f"{len(said)} events ({len(set(said))} different) instead of {EVENTS_PER_ORDER * done}")
        if strange := set(said).difference(_content(one, machinery=machinery) for one in self._events):
            wrong.append(f"{len(strange)} events that Houfu does not publish, such as {min(strange)[:500]}")
        if wrong:
            raise Unequal("; ".join(wrong))

    async def _strange_rows(self, orders: int, *, machinery: bool) -> AsyncIterator[str]:
        for table, each in EACH.items():
            found = await self._database.fetchval(f"SELECT count(*) FROM {_source(table)}")
            if found != each * orders:
                yield f"{found} rows in {table} instead of {each * orders}"
        for table, wanted in (MEANING | MACHINERY if machinery else MEANING).items():
            strange = await self._database.fetchrow(
                f"SELECT {wanted} FROM {_source(table)} EXCEPT SELECT {wanted} FROM reference_{table} LIMIT 1"
            )
            if strange is not None:
                yield f"{table} holds what Houfu does not write: {dict(strange)}"
        if (cause := await self._database.fetchval(UNBALANCED)) is not None:
            yield f"the postings of {cause} do not sum to zero"


def _source(table: str) -> str:
    return _SOURCES.get(table, table)


def _content(record: Record, *, machinery: bool) -> str:
    headers = {name: (value or b"").decode() for name, value in record.headers if machinery or name == "ce_type"}
    body = {name: value for name, value in json.loads(record.value or b"{}").items() if value is not None}
    return json.dumps([record.partition, (record.key or b"").decode(), headers, body], sort_keys=True)
