"""A topic and a group to try the libraries on, bare and under our subscription."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType
from typing import Any
from uuid import uuid4

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from faststream.kafka import KafkaBroker, KafkaMessage

from shared.drivers.kafka import KafkaLog
from shared.drivers.observer import Observer
from shared.drivers.subscription import Subscription
from shared.engine.monitor import Tally
from shared.engine.ports import Position, Record, TopicPartition

__all__ = ["LANES", "Desk", "Probe", "bare", "subscribed"]

LANES = 4

quiet = logging.getLogger("houfu.library-assumptions")
quiet.setLevel(logging.CRITICAL)

Handler = Callable[[KafkaMessage], Awaitable[None]]


@dataclass(frozen=True)
class Probe:
    """A topic of :data:`LANES` partitions, and a group that has not read it yet."""

    bootstrap: str
    topic: str = field(default_factory=lambda: f"probe-{uuid4().hex}")
    group: str = field(default_factory=lambda: f"probe-{uuid4().hex}")

    async def open(self) -> Probe:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await admin.start()
        try:
            await admin.create_topics([NewTopic(self.topic, LANES, 1)])
            while self.topic not in await admin.list_topics():
                await asyncio.sleep(0.02)
        finally:
            await admin.close()
        return self

    async def write(self, *values: bytes, partition: int = 0, headers: Sequence[tuple[str, bytes | None]] = ()) -> None:
        """Append to one partition."""
        producer = AIOKafkaProducer(bootstrap_servers=self.bootstrap)
        await producer.start()
        try:
            for value in values:
                await producer.send_and_wait(self.topic, value, partition=partition, headers=list(headers))
        finally:
            await producer.stop()

    async def write_everywhere(self, count: int) -> set[tuple[int, int]]:
        """Append ``count`` records to each partition; returns where they stand."""
        for lane in range(LANES):
            await self.write(*[b"{}"] * count, partition=lane)
        return {(lane, offset) for lane in range(LANES) for offset in range(count)}

    async def committed(self) -> dict[int, int]:
        """What the group has committed, by partition."""
        async with Observer(self.bootstrap) as observer:
            return {place.partition: offset for place, offset in (await observer.committed(self.group)).items()}

    async def has_committed(self, expected: Mapping[int, int]) -> bool:
        """Whether the group has committed just these offsets of these partitions."""
        found = await self.committed()
        return {lane: found.get(lane) for lane in expected} == expected

    async def records(self) -> list[Record]:
        """Everything that stands on the topic."""
        async with Observer(self.bootstrap) as observer:
            return [record async for record in observer.records([self.topic])]


@asynccontextmanager
async def bare(
    probe: Probe, handler: Handler, *, connection: Mapping[str, Any] = MappingProxyType({}), **options: Any
) -> AsyncIterator[Any]:
    """FastStream's batch subscriber with a handler, and no option that is not named."""
    broker = KafkaBroker(probe.bootstrap, logger=quiet, **connection)
    settings = {"group_id": probe.group, "auto_offset_reset": "earliest", "batch_timeout_ms": 10, **options}
    subscriber = broker.subscriber(probe.topic, batch=True, **settings)
    subscriber(handler)
    await broker.start()
    try:
        yield subscriber
    finally:
        await broker.stop()


class Desk:
    """Sits where the engine's worker sits, and writes down what it is handed.

    ``failures`` are raised first, one each; while ``assigning`` or ``handling`` is cleared it waits in the midst of it.
    """

    def __init__(self, *failures: BaseException) -> None:
        self.failures = deque(failures)
        self.handed: list[list[Record]] = []
        self.handled: list[Record] = []
        self.positions: dict[TopicPartition, Position] = {}
        self.lanes: list[int] = []
        self.assigning, self.handling = asyncio.Event(), asyncio.Event()
        self.assigning.set()
        self.handling.set()

    async def assign(self, lanes: Iterable[int]) -> dict[TopicPartition, Position]:
        await self.assigning.wait()
        self.lanes = sorted(set(lanes))
        return dict(self.positions)

    async def revoke(self, _: Iterable[int]) -> None:
        self.lanes = []

    async def take_up(self, records: list[Record]) -> None:
        self.handed.append(records)
        await self.handling.wait()
        if self.failures:
            raise self.failures.popleft()
        for one in records:
            place = TopicPartition(one.topic, one.partition)
            if one.offset >= self.positions.get(place, Position(0, None)).next_offset:  # else it was handled before
                self.positions[place] = Position(one.offset + 1, None)
                self.handled.append(one)

    busy = False

    async def settle(self) -> None:
        """Nothing is left to wait for."""

    async def idle(self) -> bool:
        return False

    async def forget(self, _: timedelta) -> int:
        return 0

    def places(self) -> list[tuple[int, int]]:
        """Where the records stand that were handled."""
        return [(one.partition, one.offset) for one in self.handled]


class PatientDesk(Desk):
    """Handles what it took up when it is asked to settle, and fails only then."""

    def __init__(self, *failures: BaseException) -> None:
        super().__init__(*failures)
        self.waiting: list[Record] = []

    async def take_up(self, records: list[Record]) -> None:
        self.waiting += records

    async def settle(self) -> None:
        taken_up, self.waiting = self.waiting, []
        if taken_up:
            await super().take_up(taken_up)


@asynccontextmanager
async def subscribed(probe: Probe, desk: Desk, *, records: int = 500) -> AsyncIterator[tuple[Subscription, Tally]]:
    """Our subscription, as a service's process has it, and what it tells its monitor."""
    stream, monitor = KafkaLog(probe.bootstrap), Tally()
    broker = KafkaBroker(probe.bootstrap, allow_auto_create_topics=False, logger=quiet)
    group = {"topics": [probe.topic], "group": probe.group, "records": records, "remembered": timedelta(days=1)}
    subscription = Subscription(broker, desk, stream, **group, pause=asyncio.sleep, monitor=monitor)
    await stream.start()
    await broker.start()
    subscription.start()
    try:
        yield subscription, monitor
    finally:
        await broker.stop()
        await subscription.stop()
        await stream.stop()
