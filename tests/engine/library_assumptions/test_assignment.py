"""Between the assignment of a partition and the seek to where it goes on, the consumer hands out records."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener

from shared.engine.ports import Position, TopicPartition
from tests.engine.library_assumptions.probe import LANES, Desk, Probe, subscribed
from tests.patience import eventually

Assigned = Callable[[], Awaitable[None]]


class Listener(ConsumerRebalanceListener):
    """Lets a test do something when partitions are assigned."""

    def __init__(self, assigned: Assigned) -> None:
        self._assigned = assigned

    async def on_partitions_revoked(self, revoked: Any) -> None:
        return None

    async def on_partitions_assigned(self, assigned: Any) -> None:
        await self._assigned()


@asynccontextmanager
async def consuming(probe: Probe, assigned: Assigned) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=probe.bootstrap, group_id=probe.group, auto_offset_reset="earliest", enable_auto_commit=False
    )
    consumer.subscribe([probe.topic], listener=Listener(assigned))
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()


async def test_records_are_handed_out_while_the_listener_has_not_ended(probe: Probe) -> None:
    """aiokafka 0.14: ``on_partitions_assigned`` holds up the coordinator, and not who reads."""
    await probe.write(b"too early", partition=2)
    may_end, has_ended = asyncio.Event(), asyncio.Event()

    async def dawdle() -> None:
        await may_end.wait()
        has_ended.set()

    async with consuming(probe, dawdle) as consumer:
        try:
            assert await eventually(lambda: _places(consumer)) == [(2, 0)]
            assert not has_ended.is_set()
        finally:
            may_end.set()


async def _places(consumer: AIOKafkaConsumer) -> list[tuple[int, int]]:
    return [(one.partition, one.offset) for batch in (await consumer.getmany(timeout_ms=100)).values() for one in batch]


async def test_a_listener_that_raises_stops_nothing(probe: Probe) -> None:
    """aiokafka 0.14: it is logged, and the partitions are read from wherever they stand."""
    await probe.write(b"unsought", partition=2)
    raised: list[LookupError] = []

    async def fail() -> None:
        raised.append(LookupError("the database is away"))
        raise raised[-1]

    async with consuming(probe, fail) as consumer:
        assert await eventually(lambda: _places(consumer)) == [(2, 0)]
    assert len(raised) == 1


@pytest.mark.parametrize("handled", [0, 3], ids=["from the beginning", "from a position beyond the first records"])
async def test_our_subscription_handles_nothing_before_the_seek_and_misses_nothing_after_it(
    probe: Probe, handled: int
) -> None:
    written = await probe.write_everywhere(5)
    desk = Desk()
    desk.positions = {TopicPartition(probe.topic, lane): Position(handled, None) for lane in range(LANES)}
    desk.assigning.clear()
    async with subscribed(probe, desk) as (subscription, _):
        await eventually(lambda: _has_read(subscription))
        assert desk.handed == []
        desk.assigning.set()
        expected = {(lane, offset) for lane, offset in written if offset >= handled}
        await eventually(lambda: set(desk.places()) == expected)
    firsts = {one.partition: one.offset for one in reversed(desk.handled)}
    assert firsts == dict.fromkeys(range(LANES), handled)


def _has_read(subscription: Any) -> bool:
    """Whether the client has fetched records of every partition, and so has handed some to whoever asks."""
    consumer = subscription._subscriber.consumer
    assigned = consumer.assignment()
    return bool(assigned) and all(consumer.highwater(one) for one in assigned)
