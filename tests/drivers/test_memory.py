"""What only the in-memory world can do: fail where it is told to, and tell any time."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from shared.drivers.faults import Point
from shared.drivers.memory import MemoryDatabase
from shared.drivers.memory_log import INSTANT, FixedClock, MemoryClock, MemoryLog
from shared.engine.ports import DataRefused, Outgoing, TopicPartition, Unavailable, Wanted
from tests.drivers.plans import HOUR, NOON, Instalment, JournalLine, Plan, changes

LOST = Unavailable("lost")


async def save(database: MemoryDatabase) -> None:
    async with database.turn() as turn:
        await turn.fence([1])
        await turn.load({Plan: Wanted()})
        await turn.save(changes(Plan("b-1", "o-1"), entries=[JournalLine("b-1", "e-1", "cash", 1)]))


@pytest.mark.parametrize("point", [Point.BEGIN, Point.FENCE, Point.LOAD, Point.SAVE, Point.COMMIT])
async def test_a_turn_that_fails_before_its_commit_has_done_nothing(point: Point) -> None:
    database = MemoryDatabase()
    database.faults.fail_next(point, LOST)
    with pytest.raises(Unavailable, match="lost"):
        await save(database)
    assert database.rows(Plan) == []
    await asyncio.wait_for(save(database), 1)
    assert database.rows(Plan) == [Plan("b-1", "o-1")]


async def test_a_turn_whose_answer_is_lost_has_happened() -> None:
    database = MemoryDatabase()
    database.faults.fail_next(Point.COMMITTED, LOST)
    with pytest.raises(Unavailable):
        await save(database)
    assert database.entries(JournalLine) == [JournalLine("b-1", "e-1", "cash", 1)]


async def test_a_failure_can_be_set_for_a_later_passage() -> None:
    database = MemoryDatabase()
    database.faults.fail_next(Point.SAVE, None, LOST)
    await save(database)
    with pytest.raises(Unavailable):
        await save(database)


async def test_a_row_that_would_not_come_back_as_it_was_is_found_out() -> None:
    nothing_where_a_date_must_be = Instalment(1, None, 100)  # type: ignore[arg-type]
    database = MemoryDatabase()
    with pytest.raises(DataRefused, match="would not come back"):
        async with database.turn() as turn:
            await turn.save(changes(Plan("b-1", "o-1", instalments=(nothing_where_a_date_must_be,))))


def outgoing(number: int, partition: int = 0) -> Outgoing:
    return Outgoing("billing.events", partition, "b-1", [("ce_id", b"1")], f"{number}")


@pytest.fixture
def log() -> MemoryLog:
    """A log with one topic of two partitions."""
    made = MemoryLog(FixedClock(NOON))
    made.create("billing.events", 2)
    return made


async def test_the_log_keeps_the_order_of_each_partition(log: MemoryLog) -> None:
    await log.publish([outgoing(1), outgoing(2, partition=1), outgoing(3)])
    first, second = await log.read("billing.events", 0, 0, 10)
    assert (first.offset, first.value, second.offset, second.value) == (0, b"1", 1, b"3")
    assert (first.key, first.headers, first.broker_time) == (b"b-1", [("ce_id", b"1")], NOON)
    assert await log.read("billing.events", 0, 1, 1) == [second]
    assert await log.read("billing.events", 0, 2, 10) == []
    ends = [TopicPartition("billing.events", 0), TopicPartition("billing.events", 1)]
    assert list((await log.ends(ends)).values()) == [2, 1]


async def test_a_publication_may_fail_before_between_and_after(log: MemoryLog) -> None:
    end = [TopicPartition("billing.events", 0)]
    for point, failures, expected in (
        (Point.PUBLISH, [LOST], 0),
        (Point.APPEND, [None, LOST], 1),
        (Point.PUBLISHED, [LOST], 3),
    ):
        log.faults.fail_next(point, *failures)
        with pytest.raises(Unavailable):
            await log.publish([outgoing(1), outgoing(2)])
        assert list((await log.ends(end)).values()) == [expected]


async def test_an_unknown_topic_is_unavailable(log: MemoryLog) -> None:
    with pytest.raises(Unavailable):
        await log.read("nowhere", 0, 0, 1)


async def test_a_fixed_clock_takes_broker_time_for_business_time() -> None:
    clock = FixedClock(NOON)
    clock.set(NOON + HOUR)
    assert (await clock.now(), clock.stamp(), clock.business(NOON)) == (NOON + HOUR, NOON + HOUR, NOON)


async def test_business_time_stands_still_between_advances() -> None:
    clock = MemoryClock(NOON)
    before = clock.stamp()
    clock.elapse(timedelta(days=400))
    assert await clock.now() == NOON
    same_instant = clock.stamp()
    clock.advance(NOON + 30 * HOUR)
    after = clock.stamp()
    assert after - same_instant == INSTANT
    assert [clock.business(one) for one in (before, same_instant, after)] == [NOON, NOON, NOON + 30 * HOUR]
    assert await clock.now() == NOON + 30 * HOUR


async def test_business_time_never_runs_back() -> None:
    clock = MemoryClock(NOON)
    clock.advance(NOON - HOUR)
    assert await clock.now() == NOON
