"""Runs an adapter: reads its events, lets the answers do their work side by side, sends what they yield, commits.

Per partition the committed offset never passes an event whose commands the broker has not acknowledged; a redelivery
after a crash therefore repeats an answer under the same command ids, and the asking service takes it once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener
from aiokafka import TopicPartition as KafkaPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError

from shared.drivers.observer import as_record
from shared.engine.ports import Position, Record, TopicPartition, Unavailable
from shared.integration.answering import Answering, Request
from shared.integration.lane import Lane
from shared.integration.outbound import Outbound, Target

__all__ = ["AdapterLost", "Runner"]

log: Any = structlog.get_logger(__name__)

LANE_MAX = 128
"""Records of one partition in flight; above it the partition is not read."""

POLL_MS = 100
STALL_S = 10.0
"""Without a poll for this long an adapter is not ready."""

COMMIT_TIMEOUT_S = 5.0
JOIN_TIMEOUT_S = 15.0
LEAVE_TIMEOUT_S = 3.0
GRACE_S = 8.0
"""How long answers at work may take to end when the adapter stops or loses partitions."""


class AdapterLost(Exception):
    """The adapter cannot go on by itself; the text says why."""


class Runner:
    """One process of an adapter named ``name``, which is its consumer group."""

    def __init__(self, name: str, topics: Iterable[str], bootstrap: str, answering: Answering, target: Target) -> None:
        self._name = name
        self._topics = tuple(topics)
        self._answering = answering
        self._outbound = Outbound(target, answering.tally.unsent)
        self._lanes: dict[KafkaPartition, Lane] = {}
        self._progressed = asyncio.Event()
        self._polled_at = time.monotonic()
        self._consumer = _group_consumer(bootstrap, name)

    @property
    def trouble(self) -> str | None:
        """Why no work is done at this moment, in a sentence; None while it is."""
        if not self.lanes:
            return "no partition is assigned"
        silent_s = time.monotonic() - self._polled_at
        return f"nothing has been asked of the broker for {silent_s:.0f} s" if silent_s > STALL_S else None

    @property
    def lanes(self) -> list[int]:
        """The partition numbers assigned to this process."""
        return sorted({one.partition for one in self._consumer.assignment()})

    @property
    def in_flight(self) -> int:
        """Events read and not yet answered and acknowledged."""
        return sum(lane.in_flight for lane in self._lanes.values())

    def owned_lanes(self) -> tuple[int, ...]:
        """The partitions this process works on."""
        return tuple({one.partition for one in tuple(self._lanes)})

    def positions(self) -> dict[TopicPartition, Position]:
        """How far each owned partition is answered."""
        return {TopicPartition(*one): Position(lane.next_offset, None) for one, lane in tuple(self._lanes.items())}

    async def run(self, stop: asyncio.Event) -> None:
        """Work until ``stop`` is set, then end what is in flight; raises :class:`AdapterLost`, :class:`Unavailable`."""
        self._consumer.subscribe(list(self._topics), listener=_Handover(self))
        try:
            async with asyncio.timeout(JOIN_TIMEOUT_S):
                await self._consumer.start()
            await self._work(stop)
        except (KafkaError, OSError, TimeoutError) as silence:
            raise Unavailable(f"the broker gives {self._name} no work ({type(silence).__name__})") from silence
        finally:
            with suppress(KafkaError, OSError, TimeoutError):
                await asyncio.wait_for(self._consumer.stop(), LEAVE_TIMEOUT_S)

    async def _work(self, stop: asyncio.Event) -> None:
        duties = [asyncio.create_task(duty) for duty in (self._read_on(), self._commit_on(), self._outbound.run())]
        told = asyncio.create_task(stop.wait())
        await asyncio.wait([told, *duties], return_when=asyncio.FIRST_COMPLETED)
        duties[0].cancel()
        if stop.is_set():
            await self.hand_over(tuple(self._lanes))
        for task in (told, *duties):
            task.cancel()
        for outcome in await asyncio.gather(told, *duties, return_exceptions=True):
            if isinstance(outcome, Exception):
                raise outcome

    async def take_over(self, partitions: Iterable[KafkaPartition]) -> None:
        """A new assignment: what is still at work of an earlier one is no longer accounted for."""
        self._lanes.clear()
        for one in partitions:
            committed = await self._consumer.committed(one)
            self._lanes.setdefault(one, Lane(committed or 0))  # the first records may have been faster

    async def hand_over(self, partitions: Iterable[KafkaPartition]) -> None:
        """These partitions go to another process: end what is in flight, commit, forget."""
        leaving = [one for one in partitions if one in self._lanes]
        tasks = [task for one in leaving for task in self._lanes[one].tasks]
        if tasks:
            _, unfinished = await asyncio.wait(tasks, timeout=GRACE_S)
            for task in unfinished:  # whoever owns the partition next does it again, under the same ids
                task.cancel()
        with suppress(KafkaError, OSError, TimeoutError):
            await self._commit()
        for one in leaving:
            self._lanes.pop(one, None)

    async def _read_on(self) -> None:
        while True:
            try:
                batches = await self._consumer.getmany(timeout_ms=POLL_MS)
            except (NoOffsetForPartitionError, OffsetOutOfRangeError) as lost:
                raise AdapterLost("an offset lies outside its log: a topic was lost or made anew") from lost
            self._polled_at = time.monotonic()
            for partition, found in batches.items():
                lane = self._lanes.setdefault(partition, Lane(found[0].offset))
                for record in map(as_record, found):
                    self._take(lane, record)
                self._progressed.set()
            self._hold_back()

    def _take(self, lane: Lane, record: Record) -> None:
        request = self._answering.read(record)
        if request is None:
            lane.pass_over(record.offset)
            return
        work = asyncio.create_task(self._answer_in_turn(lane, request, lane.before(request.key)))
        lane.begin(record.offset, request.key, work)

    async def _answer_in_turn(self, lane: Lane, request: Request, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait([before])
        await self._outbound.send(await self._answering.answer(request))
        lane.end(request.offset, request.key)
        self._progressed.set()

    def _hold_back(self) -> None:
        paused = self._consumer.paused()
        for partition in self._consumer.assignment():
            full = partition in self._lanes and self._lanes[partition].in_flight >= LANE_MAX
            if full and partition not in paused:
                self._consumer.pause(partition)
            elif not full and partition in paused:
                self._consumer.resume(partition)

    async def _commit_on(self) -> None:
        while True:
            await self._progressed.wait()
            self._progressed.clear()
            try:
                await self._commit()
            except (KafkaError, OSError, TimeoutError) as refused:
                self._answering.tally.uncommitted()
                log.warning("adapter.uncommitted", reason=type(refused).__name__)
                await asyncio.sleep(1)
                self._progressed.set()

    async def _commit(self) -> None:
        owned = self._consumer.assignment()
        due = {one: lane.next_offset for one, lane in self._lanes.items() if lane.uncommitted and one in owned}
        if not due:
            return
        async with asyncio.timeout(COMMIT_TIMEOUT_S):
            await self._consumer.commit(due)
        for one, next_offset in due.items():
            if one in self._lanes:
                self._lanes[one].committed(next_offset)


class _Handover(ConsumerRebalanceListener):  # type: ignore[misc]
    """Partitions come and go with the replicas of the adapter."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    async def on_partitions_revoked(self, revoked: set[KafkaPartition]) -> None:
        await self._runner.hand_over(revoked)

    async def on_partitions_assigned(self, assigned: set[KafkaPartition]) -> None:
        await self._runner.take_over(assigned)
        log.info("adapter.assigned", partitions=len(assigned))


def _group_consumer(bootstrap: str, group: str) -> AIOKafkaConsumer:
    return AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        client_id=group,
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="none",
        partition_assignment_strategy=(RangePartitionAssignor,),
        session_timeout_ms=6_000,
        heartbeat_interval_ms=1_000,
        rebalance_timeout_ms=20_000,
        max_poll_interval_ms=60_000,
        max_poll_records=200,
        fetch_max_wait_ms=POLL_MS,
        fetch_max_bytes=8 * 1024 * 1024,
        request_timeout_ms=15_000,
    )
