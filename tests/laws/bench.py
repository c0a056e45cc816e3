"""The system under test: checkout, billing and the toy till as processes, and all an observer can know of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Self
from uuid import uuid4

from aiokafka import AIOKafkaProducer
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.util import calc_crc32c

from shared.contracts.envelope import Envelope
from shared.contracts.message import Command, Event
from shared.engine.ports import Outgoing, Record, Unavailable, Word
from shared.kernel.partition import home_partition
from shared.operations.remote import Access, RunningSystem
from shared.operations.sightings import Sighting, sighted
from tests.laws.replicas import Fleet
from tests.patience import PATIENCE_S, eventually

__all__ = ["Bench"]

MACHINERY = ("position", "inbox", "outbox", "attempt", "line", "alembic_version")
"""Tables of the engine that may differ where nothing has happened."""

Headers = Sequence[tuple[str, bytes | None]]


class Bench(RunningSystem):
    """A running system, and the processes behind it."""

    def __init__(self, access: Access, fleet: Fleet) -> None:
        super().__init__(access)
        self.fleet = fleet

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        self._raw = AIOKafkaProducer(
            bootstrap_servers=self.access.bootstrap, acks="all", compression_type="gzip", max_request_size=8 * 1024**2
        )
        await self._raw.start()
        return self

    async def __aexit__(self, *anything: object) -> None:
        await self._raw.stop()
        await super().__aexit__(*anything)

    # -------------------------------------------------------------- writing

    async def say(
        self,
        *messages: Command | Event,
        ids: Sequence[str] = (),
        at: datetime | None = None,
        pause_s: float = 0,
        chunk: int = 40,
    ) -> list[str]:
        """Write messages as their senders would, some at a time; returns their ids."""
        now = at or await self.now()
        ids = ids or [str(uuid4()) for _ in messages]
        outgoing = []
        for message_id, message in zip(ids, messages, strict=True):
            subject = str(getattr(message, message.SUBJECT))
            envelope = Envelope(message_id, message.TYPE, "/laws", now, subject, message.key, message_id)
            lane = home_partition(message.key, self._partitions)
            outgoing.append(Outgoing(message.topic(), lane, message.key, envelope.headers(), message.to_json()))
        for start in range(0, len(outgoing), chunk):
            await self._insist(outgoing[start : start + chunk])
            await asyncio.sleep(pause_s)
        return list(ids)

    async def _insist(self, outgoing: Sequence[Outgoing]) -> None:
        """A sender that was not answered sends the same again."""
        until = time.monotonic() + 3 * PATIENCE_S  # a broker may be away for longer than anything else takes
        while True:
            try:
                return await self._log.publish(outgoing)
            except Unavailable:
                assert time.monotonic() < until
                await asyncio.sleep(0.2)

    async def write(
        self, topic: str, value: bytes | None, *, key: bytes | None, headers: Headers, partition: int | None = None
    ) -> tuple[str, int, int]:
        """Write any record whatsoever; returns where it stands."""
        at = await self._raw.send_and_wait(topic, value, key=key, partition=partition, headers=list(headers))
        return at.topic, at.partition, at.offset

    async def write_garbled(self, message: Command, envelope: Envelope) -> None:
        """Write a command with one more header, whose name is no UTF-8 text."""
        batch = BatchBuilder(1024**2, 0)
        headers = [*envelope.headers(), ("gar~bled", b"")]
        batch.append(key=envelope.key.encode(), value=message.to_json().encode(), timestamp=None, headers=headers)
        data = bytearray(batch._build().replace(b"gar~bled", b"gar\xffbled"))
        data[17:21] = calc_crc32c(bytes(data[21:])).to_bytes(4, "big")  # the checksum covers all that follows it
        batch._buffer = bytes(data)
        lane = home_partition(envelope.key, self._partitions)
        await (await self._raw.send_batch(batch, message.topic(), partition=lane))

    async def repeat(self, records: Iterable[Record]) -> None:
        """Write copies of records, byte for byte, where they stood, in their order."""
        sent = []
        for one in records:
            headers = list(one.headers)
            sent.append(
                await self._raw.send(one.topic, one.value, key=one.key, partition=one.partition, headers=headers)
            )
        await asyncio.gather(*sent)

    # -------------------------------------------------------------- reading

    async def records(self, *topics: str) -> list[Record]:
        """Everything on these topics, in the order of the broker."""
        found = [record async for record in self._observer.records(topics)]
        return sorted(found, key=lambda one: (one.broker_time, one.topic, one.partition, one.offset))

    async def sightings_of(self, topic: str) -> list[Sighting]:
        """Every record of a topic, readable or not."""
        return [sighted(record) for record in await self.records(topic)]

    async def told(self, topic: str) -> list[Sighting]:
        """The first occurrence of every readable message of a topic, in the order of each partition."""
        firsts: dict[str, Sighting] = {}
        for one in await self.sightings():
            if one.record.topic == topic and one.envelope is not None:
                firsts.setdefault(one.id, one)
        return list(firsts.values())

    async def query(self, service: str, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Rows of a service's schema, as an auditor would ask for them."""
        async with self.databases[service].connection("auditing") as connection:
            return [tuple(row) for row in await connection.fetch(statement, *values)]

    async def everything(self) -> dict[str, tuple[int, str]]:
        """How many rows every table holds, and a digest of them.

        The engine's own records of what it has read may differ where nothing has happened, and a record without a
        readable id cannot be known again: it is put aside each time.
        """
        found = {}
        for service in self.databases:
            tables = await self.query(service, "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
            for (table,) in sorted(tables):
                if table not in MACHINERY:
                    digest = f"md5(coalesce(string_agg(t::text, ' ' ORDER BY t::text), '')) FROM \"{table}\" t"
                    known = "WHERE id <> ''" if table == "held" else ""
                    found[f"{service}.{table}"] = (await self.query(service, f"SELECT count(*), {digest} {known}"))[0]
        return found

    async def forget_ids(self) -> None:
        """Empty every inbox, as pruning does after long enough."""
        for service in self.databases:
            await self.query(service, "TRUNCATE inbox")

    async def speak(self, key: str, word: Word) -> None:
        """An operator's word about the dead letter that parks a key of the till, heard."""
        database = self.databases["till"]
        (letter,) = [one for one in await database.dead_letters(10_000) if one.key == key and one.parks]
        assert await database.speak(letter.seq, word)
        await eventually(
            lambda: self.query("till", "SELECT 1 WHERE NOT EXISTS (SELECT FROM held WHERE word IS NOT NULL)")
        )
        await self.settled()

    async def reasons(self, key: str) -> list[str]:
        """Why the till's dead letters of one key died, in their order."""
        return [one.reason for one in await self.databases["till"].dead_letters(10_000) if one.key == key]

    async def blocked(self, service: str, on: str) -> None:
        """Wait until a turn of the service stands in front of a lock of a table."""
        statement = """
            SELECT 1 FROM pg_locks JOIN pg_class ON pg_class.oid = relation JOIN pg_stat_activity USING (pid)
            WHERE NOT granted AND relname = $1 AND application_name = $2
        """
        await eventually(lambda: self.query(service, statement, on, f"houfu-{service}"))

    async def calm(self) -> None:
        """Every process is ready and nothing is unread, unpublished or due."""
        await self.fleet.ready()
        await self.settled(PATIENCE_S)
