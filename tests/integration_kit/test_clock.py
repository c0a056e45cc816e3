"""Business time in a sandbox: the last advance strictly before, read to its end before it is told (T-6)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.drivers.clock import Advances, FollowedClock, SystemClock, clock_of
from shared.drivers.kafka import KafkaLog
from shared.drivers.topics import create_topics
from shared.engine.ports import Unavailable
from shared.local.servers import Servers
from shared.operations.house import service_names
from shared.operations.remote import set_time

BROKER = datetime(2026, 11, 1, tzinfo=UTC)
MARCH = datetime(2027, 3, 1, 1, 0, tzinfo=UTC)
DAY, MS = timedelta(days=1), timedelta(milliseconds=1)


def test_a_record_belongs_to_the_last_advance_strictly_before_it() -> None:
    advances = Advances()
    advances.add(BROKER, MARCH)
    advances.add(BROKER + 5 * MS, MARCH + DAY)
    assert advances.business(BROKER + 4 * MS) == MARCH
    assert advances.business(BROKER + 5 * MS) == MARCH
    assert advances.business(BROKER + 6 * MS) == MARCH + DAY


def test_what_is_older_than_every_advance_belongs_to_the_first() -> None:
    advances = Advances()
    advances.add(BROKER, MARCH)
    advances.add(BROKER + MS, MARCH + DAY)
    assert advances.business(BROKER - DAY) == MARCH


def test_an_advance_into_the_past_changes_nothing() -> None:
    advances = Advances()
    advances.add(BROKER, MARCH + DAY)
    advances.add(BROKER + MS, MARCH)
    assert advances.latest == MARCH + DAY


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9)), min_size=1, max_size=20), st.integers(0, 100))
def test_for_all_advances_business_time_never_runs_back(steps: list[tuple[int, int]], at: int) -> None:
    advances, appended = Advances(), BROKER
    for pause, days in steps:
        appended += pause * MS
        advances.add(appended, MARCH + days * DAY)
    assert advances.business(BROKER + at * MS) <= advances.business(BROKER + (at + 1) * MS) <= advances.latest


async def test_the_system_clock_is_broker_time() -> None:
    assert SystemClock().business(BROKER) is BROKER
    assert abs(await SystemClock().now() - datetime.now(UTC)) < timedelta(minutes=1)


def test_there_are_two_clocks() -> None:
    assert isinstance(clock_of("movable", "nowhere:1"), FollowedClock)
    with pytest.raises(ValueError, match="'system' or 'movable'"):
        clock_of("sundial", "nowhere:1")


async def test_without_a_broker_the_clock_does_not_start() -> None:
    clock = FollowedClock("127.0.0.1:1", patience_s=0.5)
    with pytest.raises(Unavailable, match=r"houfu\.clock"):
        await clock.start()


@pytest.fixture
async def advanced(servers: Servers) -> AsyncIterator[tuple[KafkaLog, datetime]]:
    """A log and a business time that the topic of these servers has just reached."""
    await create_topics(servers.bootstrap, service_names())
    log = KafkaLog(servers.bootstrap)
    await set_time(log, MARCH)
    clock = FollowedClock(servers.bootstrap)
    await clock.start()
    now = await clock.now()
    await clock.stop()
    yield log, now
    await log.stop()


async def test_now_includes_every_advance_appended_before_the_call(
    servers: Servers, advanced: tuple[KafkaLog, datetime]
) -> None:
    log, now = advanced
    clock = FollowedClock(servers.bootstrap)
    await clock.start()
    for _ in range(10):
        now += timedelta(minutes=1)
        await set_time(log, now)
        assert await asyncio.gather(*(clock.now() for _ in range(3))) == [now] * 3
    await clock.stop()


async def test_a_pause_ends_when_business_time_is_moved(servers: Servers, advanced: tuple[KafkaLog, datetime]) -> None:
    log, now = advanced
    clock = FollowedClock(servers.bootstrap)
    await clock.start()
    pausing = asyncio.create_task(clock.pause(600))
    await asyncio.sleep(0)
    await set_time(log, now + timedelta(minutes=1))
    await asyncio.wait_for(pausing, 60)
    await clock.pause(0.01)  # nobody moves it now
    await clock.stop()
