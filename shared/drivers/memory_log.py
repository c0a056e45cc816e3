"""A log and its clocks inside one process, for simulation and fast tests: no wall clock, no randomness, no threads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol

from shared.contracts.envelope import Headers
from shared.drivers.clock import Advances
from shared.drivers.faults import Faults, Point
from shared.engine.ports import Clock, Outgoing, Record, TopicPartition, Unavailable

__all__ = ["FixedClock", "MemoryClock", "MemoryLog", "StampingClock"]

INSTANT = timedelta(milliseconds=1)
"""The broker's stamps are whole milliseconds."""


class StampingClock(Clock, Protocol):
    """A clock that also knows the broker's time."""

    def stamp(self) -> datetime:
        """The broker time at which something is appended now."""


class FixedClock:
    """Production's clock, held still: business time is broker time and stands where it was set."""

    def __init__(self, now: datetime) -> None:
        self._now = now.astimezone(UTC)

    def set(self, now: datetime) -> None:
        self._now = now.astimezone(UTC)

    async def now(self) -> datetime:
        return self._now

    def business(self, broker_time: datetime) -> datetime:
        return broker_time

    def stamp(self) -> datetime:
        return self._now


class MemoryClock:
    """A sandbox's clock (T-6): business time stands still between advances, whatever broker time passes."""

    def __init__(self, start: datetime, broker_time: datetime = datetime(2020, 1, 1, tzinfo=UTC)) -> None:
        self._broker_time = broker_time
        self._advances = Advances()
        self.advance(start)

    def advance(self, to: datetime) -> None:
        """Business time stands at ``to`` for what is appended from the next instant on; never runs back."""
        self._advances.add(self._broker_time, to.astimezone(UTC))
        self.elapse(INSTANT)

    def elapse(self, broker_time: timedelta) -> None:
        """Let broker time pass."""
        self._broker_time += broker_time

    async def now(self) -> datetime:
        return self._advances.latest

    def business(self, broker_time: datetime) -> datetime:
        return self._advances.business(broker_time)

    def stamp(self) -> datetime:
        return self._broker_time


class MemoryLog:
    """Topics of partitions, appended to with the broker's time stamps (``LogAppendTime``) and read by offset."""

    def __init__(self, clock: StampingClock, faults: Faults | None = None) -> None:
        self.faults = faults or Faults()
        self._clock = clock
        self._partitions: dict[TopicPartition, list[Record]] = {}

    def create(self, topic: str, partitions: int = 12) -> None:
        """Create an empty topic, or what was there once more without its records."""
        self._partitions.update({TopicPartition(topic, number): [] for number in range(partitions)})

    def append(
        self, topic: str, partition: int, key: bytes | None, value: bytes | None, headers: Headers | None = None
    ) -> Record:
        """Write anything, as any client of the broker can; returns the record as it will be read."""
        records = self._records(topic, partition)
        record = Record(topic, partition, len(records), self._clock.stamp(), key, value, headers or [])
        records.append(record)
        return record

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        """A fault may strike before, between and after the messages; after means that the acknowledgement is lost."""
        await self.faults.at(Point.PUBLISH)
        for one in messages:
            await self.faults.at(Point.APPEND)
            self.append(one.topic, one.partition, one.key.encode(), one.body.encode(), list(one.headers))
        await self.faults.at(Point.PUBLISHED)

    async def ends(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        return {one: len(self._records(*one)) for one in partitions}

    async def read(self, topic: str, partition: int, offset: int, limit: int) -> list[Record]:
        """At most ``limit`` records from ``offset`` on; [] at the end."""
        return self._records(topic, partition)[offset : offset + limit]

    def _records(self, topic: str, partition: int) -> list[Record]:
        try:
            return self._partitions[TopicPartition(topic, partition)]
        except KeyError:
            raise Unavailable(f"there is no partition {partition} of {topic}") from None
