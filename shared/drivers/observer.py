"""Reads topics from outside any group: nothing is committed, nobody's work is disturbed.

The command line, the sandbox clock and the tests look at the system through an observer, as any auditor could.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any, Self

from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as KafkaPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    KafkaError,
    NotCoordinatorForGroupError,
    for_code,
)

from shared.drivers.lenient import read_garbled_names
from shared.engine.ports import Record, TopicPartition, Unavailable

__all__ = ["Observer", "as_record", "groupless_consumer", "within_patience"]

read_garbled_names()  # every process that reads topics comes by here

ANSWER_TIMEOUT_S = 10.0
"""Longest wait for one answer of the broker."""

STOP_TIMEOUT_S = 3.0
"""Longest wait for a client to say goodbye."""

FETCH_WAIT_MS = 100
RECORDS_MAX = 1_000


def groupless_consumer(bootstrap: str, *, fetch_wait_ms: int = FETCH_WAIT_MS) -> AIOKafkaConsumer:
    """A consumer that belongs to no group and is told by hand what to read."""
    return AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        client_id="houfu-observer",
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=fetch_wait_ms,
        fetch_max_bytes=8 * 1024 * 1024,
        max_poll_records=RECORDS_MAX,
        request_timeout_ms=int(ANSWER_TIMEOUT_S * 1000),
    )


def as_record(found: Any) -> Record:
    """A record of the client library in the words of the engine's ports."""
    return Record(
        topic=found.topic,
        partition=found.partition,
        offset=found.offset,
        broker_time=datetime.fromtimestamp(found.timestamp / 1000, UTC),
        key=found.key,
        value=found.value,
        headers=found.headers,
    )


class Observer:
    """Looks at topics and groups. Every method may raise :class:`Unavailable`; use it as a context manager."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._consumer: AIOKafkaConsumer | None = None
        self._admin: AIOKafkaAdminClient | None = None

    async def __aenter__(self) -> Self:
        self._consumer = groupless_consumer(self._bootstrap)
        self._admin = AIOKafkaAdminClient(
            bootstrap_servers=self._bootstrap,
            client_id="houfu-observer",
            request_timeout_ms=int(ANSWER_TIMEOUT_S * 1000),
        )
        try:
            async with _answered(f"no broker answers at {self._bootstrap}"):
                await self._consumer.start()
                await self._admin.start()
        except Unavailable:
            await self._close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._close()

    async def _close(self) -> None:
        consumer, admin, self._consumer, self._admin = self._consumer, self._admin, None, None
        for closing in (consumer and consumer.stop(), admin and admin.close()):
            if closing is not None:
                await within_patience(closing)

    async def partitions(self, topics: Iterable[str]) -> list[TopicPartition]:
        """Every partition of these topics, sorted; :class:`LookupError` names a topic that does not exist."""
        wanted = sorted(set(topics))
        async with _answered("the broker does not describe its topics"):
            described = {one["topic"]: one["partitions"] for one in await self._asked_admin.describe_topics()}
        missing = [topic for topic in wanted if topic not in described]
        if missing:
            raise LookupError(f"no such topic: {', '.join(missing)}")
        return sorted(TopicPartition(topic, one["partition"]) for topic in wanted for one in described[topic])

    async def ends(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """The next offset of each partition at some instant after the call began."""
        async with _answered("the broker does not tell the ends of its topics"):
            return _named(await self._asked.end_offsets([KafkaPartition(*one) for one in partitions]))

    async def beginnings(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """The first offset still kept of each partition."""
        async with _answered("the broker does not tell the beginnings of its topics"):
            return _named(await self._asked.beginning_offsets([KafkaPartition(*one) for one in partitions]))

    async def committed(self, group: str) -> dict[TopicPartition, int]:
        """What the group has committed, by partition; partitions without a commit are left out."""
        async with _answered(f"the broker does not tell the offsets of the group {group}"):
            found = await self._offsets(group)
        return {TopicPartition(*one): what.offset for one, what in found.items() if what.offset >= 0}

    async def members(self, group: str) -> int:
        """How many processes share the group's work at present."""
        async with _answered(f"the broker does not describe the group {group}"):
            return len(await _once_laid_out(lambda: self._members(group)))

    async def _members(self, group: str) -> Sequence[Any]:
        [answer] = await self._asked_admin.describe_consumer_groups([group])
        [(code, _, _, _, _, members, *_)] = answer.groups
        if code:
            raise for_code(code)()
        described: Sequence[Any] = members
        return described

    async def _offsets(self, group: str) -> Mapping[Any, Any]:
        found: Mapping[Any, Any] = await _once_laid_out(lambda: self._asked_admin.list_consumer_group_offsets(group))
        return found

    async def records(
        self, topics: Iterable[str], since: Mapping[TopicPartition, int] | None = None
    ) -> AsyncIterator[Record]:
        """Everything that stands on ``topics`` now, from their beginnings or from ``since``; in order per partition."""
        async for record in self.records_of(await self.partitions(topics), since):
            yield record

    async def records_of(
        self, partitions: Iterable[TopicPartition], since: Mapping[TopicPartition, int] | None = None
    ) -> AsyncIterator[Record]:
        """The same for some partitions."""
        partitions = tuple(partitions)
        ends = await self.ends(partitions)
        starts = {**await self.beginnings(partitions), **(since or {})}
        unread = {one for one in partitions if starts[one] < ends[one]}
        if not unread:
            return
        async with self._reading({one: starts[one] for one in unread}) as consumer:
            while unread:
                async with _answered("the broker does not hand out the records it has"):
                    batches = await consumer.getmany(timeout_ms=FETCH_WAIT_MS)
                for batch in batches.values():
                    for found in batch:
                        record = as_record(found)
                        if record.offset < ends[TopicPartition(record.topic, record.partition)]:
                            yield record
                for one in tuple(unread):
                    if await consumer.position(KafkaPartition(*one)) >= ends[one]:
                        unread.discard(one)

    async def follow(self, since: Mapping[TopicPartition, int]) -> AsyncGenerator[list[Record], None]:
        """What arrives on some partitions from these offsets on, in batches and without an end.

        A batch is empty when nothing has arrived for a moment.
        """
        async with self._reading(since) as consumer:
            while True:
                batches = await consumer.getmany(timeout_ms=FETCH_WAIT_MS)
                yield [as_record(found) for batch in batches.values() for found in batch]

    @asynccontextmanager
    async def _reading(self, starts: Mapping[TopicPartition, int]) -> AsyncIterator[AIOKafkaConsumer]:
        consumer = groupless_consumer(self._bootstrap)
        try:
            async with _answered(f"no broker answers at {self._bootstrap}"):
                await consumer.start()
            consumer.assign([KafkaPartition(*one) for one in starts])
            for one, offset in starts.items():
                consumer.seek(KafkaPartition(*one), offset)
            yield consumer
        finally:
            await within_patience(consumer.stop())

    @property
    def _asked(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            raise Unavailable("the observer is not connected")
        return self._consumer

    @property
    def _asked_admin(self) -> AIOKafkaAdminClient:
        if self._admin is None:
            raise Unavailable("the observer is not connected")
        return self._admin


async def _once_laid_out(ask: Callable[[], Awaitable[Any]]) -> Any:
    """What a question about a group is answered, once a young broker has laid out its groups."""
    while True:
        try:
            return await ask()
        except (GroupCoordinatorNotAvailableError, GroupLoadInProgressError, NotCoordinatorForGroupError):
            await asyncio.sleep(0.1)


@asynccontextmanager
async def _answered(otherwise: str) -> AsyncIterator[None]:
    """The broker answers in time, or :class:`Unavailable` says what it did not do."""
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            yield
    except (KafkaError, OSError, TimeoutError) as silence:
        raise Unavailable(f"{otherwise} ({type(silence).__name__})") from silence


async def within_patience(closing: Awaitable[Any]) -> None:
    """Let a client that is thrown away either way say goodbye, for a bounded time.

    It does so in a task of its own. A client cancels its tasks and awaits them, and one that has not taken its first
    step yet then cancels whoever awaits it: that must not be us. Nor may we wait longer where a client swallows the
    cancellation that is to end it.
    """
    goodbye = asyncio.ensure_future(closing)
    try:
        await asyncio.wait({goodbye}, timeout=STOP_TIMEOUT_S)
    finally:
        goodbye.cancel()
    if goodbye.done() and not goodbye.cancelled():
        with suppress(KafkaError, OSError, TimeoutError):
            goodbye.result()


def _named(offsets: Mapping[Any, int]) -> dict[TopicPartition, int]:
    return {TopicPartition(one.topic, one.partition): offset for one, offset in offsets.items()}
