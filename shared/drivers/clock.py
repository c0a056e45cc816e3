"""Business time: the wall clock in production, the topic ``houfu.clock`` in a sandbox (T-6)."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as KafkaPartition
from aiokafka.errors import KafkaError
from pydantic import ValidationError

from shared.contracts.clock import CLOCK_TOPIC, BusinessTimeAdvanced
from shared.drivers.observer import as_record, groupless_consumer, within_patience
from shared.engine.ports import Record, Unavailable

__all__ = ["Advances", "FollowedClock", "SystemClock", "clock_of"]

log: Any = structlog.get_logger(__name__)

READ_TIMEOUT_S = 10.0
"""Longest wait until every advance that stands on the topic has been read."""

FOLLOW_WAIT_MS = 1_000
"""Longest time a fetch waits for an advance. Of one partition it is answered as soon as there is one."""

REST_S = 1.0
"""Pause before a follower that failed starts again."""

_PARTITION = KafkaPartition(CLOCK_TOPIC, 0)


class SystemClock:
    """The wall clock: business time is broker time."""

    async def start(self) -> None:
        """Nothing is to be started."""

    async def stop(self) -> None:
        """Nothing is to be stopped."""

    async def now(self) -> datetime:
        return datetime.now(UTC)

    def business(self, broker_time: datetime) -> datetime:
        return broker_time

    async def pause(self, longest_s: float) -> None:
        """Let time pass."""
        await asyncio.sleep(longest_s)


class Advances:
    """The advances recorded so far: which business time held when the broker appended something. Never runs back."""

    def __init__(self) -> None:
        self._appended: list[datetime] = []
        self._business: list[datetime] = []

    def __len__(self) -> int:
        return len(self._appended)

    @property
    def latest(self) -> datetime:
        return self._business[-1]

    def add(self, appended: datetime, now: datetime) -> None:
        """The broker appended the advance to ``now`` at ``appended``; an advance into the past changes nothing."""
        self._appended.append(appended)
        self._business.append(max(now, self._business[-1]) if self._business else now)

    def business(self, broker_time: datetime) -> datetime:
        """``now`` of the last advance strictly before ``broker_time``; before all of them, of the first."""
        return self._business[max(0, bisect_left(self._appended, broker_time) - 1)]


class FollowedClock:
    """Follows ``houfu.clock`` from its beginning. Call :meth:`now` before :meth:`business` of what was read since."""

    def __init__(self, bootstrap: str, *, patience_s: float = READ_TIMEOUT_S) -> None:
        self._bootstrap = bootstrap
        self._patience_s = patience_s
        self._advances = Advances()
        self._next_offset = 0
        self._asked = 0
        self._answered = 0
        self._looking = asyncio.Lock()
        self._read = asyncio.Condition()
        self._asking: AIOKafkaConsumer | None = None
        self._following: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Read what stands on the topic; :class:`Unavailable` if there is no broker or no advance yet."""
        self._following = asyncio.create_task(self._follow(), name="follow houfu.clock")
        try:
            await self.now()
        except Unavailable:
            await self.stop()
            raise

    async def stop(self) -> None:
        if self._following is not None:
            self._following.cancel()
            with suppress(asyncio.CancelledError):
                await self._following
            self._following = None

    async def now(self) -> datetime:
        """The business time, all advances appended before the call included. Calls at once share one look."""
        self._asked += 1
        asked = self._asked
        try:
            async with asyncio.timeout(self._patience_s), self._looking:
                if self._answered < asked:
                    asked = self._asked
                    await self._read_through()
                    self._answered = asked
        except (KafkaError, OSError, TimeoutError) as silence:
            self._start_again()
            raise Unavailable(f"{CLOCK_TOPIC} cannot be read to its end ({type(silence).__name__})") from silence
        if not self._advances:
            raise Unavailable(f"{CLOCK_TOPIC} is empty: the sandbox's business time was never set")
        return self._advances.latest

    def business(self, broker_time: datetime) -> datetime:
        """The business time at which the broker appended something."""
        return self._advances.business(broker_time)

    async def pause(self, longest_s: float) -> None:
        """Let time pass, at most until business time is moved."""
        known = len(self._advances)
        with suppress(TimeoutError):
            async with asyncio.timeout(longest_s), self._read:
                await self._read.wait_for(lambda: len(self._advances) > known)

    async def _read_through(self) -> None:
        async with self._read:
            await self._read.wait_for(lambda: self._asking is not None)
        if self._asking is None:
            raise TimeoutError
        end = (await self._asking.end_offsets([_PARTITION]))[_PARTITION]
        async with self._read:
            await self._read.wait_for(lambda: self._next_offset >= end)

    async def _follow(self) -> None:
        while True:
            consumer = groupless_consumer(self._bootstrap, fetch_wait_ms=FOLLOW_WAIT_MS)
            asking = groupless_consumer(self._bootstrap)
            try:
                await asking.start()  # a connection of its own: a question would wait behind the fetch in flight
                await consumer.start()
                consumer.assign([_PARTITION])
                consumer.seek(_PARTITION, self._next_offset)
                await self._tell(asking)
                while True:
                    for batch in (await consumer.getmany(timeout_ms=FOLLOW_WAIT_MS)).values():
                        await self._take([as_record(found) for found in batch])
            except (KafkaError, OSError) as trouble:
                log.warning("clock.unreadable", reason=type(trouble).__name__)
            finally:
                self._asking = None
                for client in (consumer, asking):
                    await within_patience(client.stop())
            await asyncio.sleep(REST_S)

    async def _tell(self, asking: AIOKafkaConsumer) -> None:
        async with self._read:
            self._asking = asking
            self._read.notify_all()

    async def _take(self, records: list[Record]) -> None:
        async with self._read:
            for record in records:
                self._next_offset = record.offset + 1
                try:
                    advanced = BusinessTimeAdvanced.model_validate_json(record.value or b"")
                except ValidationError:
                    log.warning("clock.unreadable_advance", offset=record.offset)
                    continue
                self._advances.add(record.broker_time, advanced.now)
            self._read.notify_all()

    def _start_again(self) -> None:
        """A follower that fell silent is replaced; what it has read stands."""
        if self._following is not None:
            self._following.cancel()
            self._following = asyncio.create_task(self._follow(), name="follow houfu.clock")


def clock_of(kind: str, bootstrap: str) -> SystemClock | FollowedClock:
    """The clock a process is told to use: ``system`` or ``movable``."""
    match kind:
        case "system":
            return SystemClock()
        case "movable":
            return FollowedClock(bootstrap)
        case _:
            raise ValueError(f"a clock is 'system' or 'movable', not {kind!r}")
