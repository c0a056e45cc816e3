"""Ready means broker, database and progress: each way of standing still is seen, and idleness is none of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition as KafkaPartition
from faststream.kafka import KafkaBroker
from faststream.kafka.message import KafkaAckableMessage

from shared.drivers import subscription as subscriptions
from shared.drivers.clock import SystemClock
from shared.drivers.faults import Faults, Point
from shared.drivers.kafka import KafkaLog
from shared.drivers.subscription import HEARD_EVERY_S, PROGRESS_S, Subscription
from shared.drivers.watchdog import LATE_S, Watchdog
from shared.engine.ports import Line, TopicPartition, Unavailable
from shared.operations import metrics
from shared.operations.health import Health
from shared.operations.instruments import show_health
from shared.operations.meters import Meters
from shared.operations.metrics import Of
from shared.testing.world import PARTITIONS, World
from tests.engine.till import till
from tests.operations.conftest import Configure

NOON = datetime(2027, 3, 1, 4, tzinfo=UTC)
NOWHERE = "127.0.0.1:1"
STALL_S = 30.0
LOOKED_WITHIN_S = 20
"""Looks are a quarter of a second apart; how long they take is not what is tested."""


class Passing:
    """A monotonic clock that is moved by hand."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


class EmptyTopics(KafkaLog):
    """A broker on whose topics nothing stands."""

    async def reach(
        self, partitions: Iterable[TopicPartition]
    ) -> tuple[dict[TopicPartition, int], dict[TopicPartition, int]]:
        nothing = dict.fromkeys(partitions, 0)
        return nothing, nothing


class SilentConsumer:
    """A consumer that lets itself be sought and delivers nothing, as one that is stuck."""

    def __init__(self) -> None:
        self._fetcher = SimpleNamespace(_fetch_max_wait_ms=0)

    def seek(self, place: KafkaPartition, offset: int) -> None:
        """It does not matter where."""

    async def commit(self, offsets: dict[KafkaPartition, int]) -> None:
        """As the library's: there must be something to commit."""
        if not offsets:
            raise ValueError(offsets)


class HangingFaults(Faults):
    """A database that counts who comes and, once it hangs, answers no more."""

    hangs = False
    begun = 0

    async def at(self, point: Point) -> None:
        self.begun += point is Point.BEGIN
        if self.hangs:
            await asyncio.Event().wait()
        await super().at(point)


class Subscribed:
    """The till of a world in a process of its own, with all lanes and nothing to read."""

    def __init__(self, world: World, passing: Passing) -> None:
        self.passing = passing
        self.database = world.members["till"].database
        self.database.faults = self.faults = HangingFaults()
        self.subscription = Subscription(
            KafkaBroker(NOWHERE),
            world.members["till"].worker,
            EmptyTopics(NOWHERE),
            topics=till.topics,
            group="houfu.till",
            records=500,
            remembered=timedelta(days=31),
            pause=SystemClock().pause,
        )
        self.subscription._subscriber.consumer = SilentConsumer()

    async def assigned(self) -> None:
        places = [KafkaPartition(topic, lane) for topic in till.topics for lane in range(PARTITIONS)]
        await self.subscription.on_partitions_assigned(places)
        self.subscription.start()

    async def eventually(self, holds: Callable[[str | None], Any]) -> None:
        """Wait until its trouble is such."""
        async with asyncio.timeout(LOOKED_WITHIN_S):
            while not holds(self.subscription.trouble):
                await asyncio.sleep(0.01)


@pytest.fixture
async def process(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Subscribed]:
    passing = Passing()
    monkeypatch.setattr(subscriptions, "monotonic", passing)
    found = Subscribed(await World(till, start=NOON).start(), passing)
    yield found
    found.faults.hangs = False
    await found.subscription.stop()


async def test_a_process_whose_broker_has_stopped_looks_on_until_it_is_stopped_itself(process: Subscribed) -> None:
    await process.assigned()
    await process.eventually(lambda trouble: trouble is None)
    process.subscription._subscriber.consumer = None
    seen = process.faults.begun
    async with asyncio.timeout(LOOKED_WITHIN_S):
        while process.faults.begun < seen + 3:
            await asyncio.sleep(0.01)
    await process.subscription.stop()


async def test_a_process_with_more_due_than_it_can_handle_stays_a_member_and_gives_its_lanes_up_when_told(
    process: Subscribed, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def handle_some() -> bool:
        process.passing.now += 1
        await asyncio.sleep(0)
        return True

    await process.assigned()
    monkeypatch.setattr(process.subscription._worker, "idle", handle_some)
    async with asyncio.timeout(LOOKED_WITHIN_S):
        while process.passing.now < 1100:
            await asyncio.sleep(0)
        assert process.subscription.unheard_s < 2 * HEARD_EVERY_S
        await process.subscription.on_partitions_revoked([])
    assert process.subscription.lanes == []


async def test_a_process_without_lanes_is_not_ready_and_one_that_has_them_is(process: Subscribed) -> None:
    assert process.subscription.trouble == "no partition is assigned yet"
    await process.assigned()
    await process.eventually(lambda trouble: trouble is None)
    await process.subscription._settle()
    await process.subscription.on_partitions_revoked([])
    assert process.subscription.trouble == "no partition is assigned"
    fetched_before = KafkaAckableMessage(raw_message=(), body=b"", consumer=SilentConsumer())
    await process.subscription._receive(fetched_before)
    assert process.subscription.trouble == "no partition is assigned"


async def test_a_process_with_nothing_to_do_stays_ready_and_does_not_pretend_to_take_turns(process: Subscribed) -> None:
    await process.assigned()
    await process.eventually(lambda trouble: trouble is None)
    ended_at = process.subscription.ended_at
    for _ in range(3):
        process.passing.now += PROGRESS_S + 1
        await process.eventually(lambda trouble: trouble is None)
    assert process.subscription.ended_at == ended_at


async def test_a_database_that_does_not_answer_is_told_and_so_is_its_return(process: Subscribed) -> None:
    await process.assigned()
    process.faults.fail_next(Point.BEGIN, *[Unavailable("billing: the database is gone")] * 2)
    await process.eventually(lambda trouble: trouble == "billing: the database is gone")
    await process.eventually(lambda trouble: trouble is None)


async def test_a_database_that_hangs_is_told_before_it_times_out(process: Subscribed) -> None:
    await process.assigned()
    await process.eventually(lambda trouble: trouble is None)
    process.faults.hangs = True
    process.passing.now += PROGRESS_S / 2
    assert process.subscription.trouble is None
    process.passing.now += PROGRESS_S
    await process.eventually(lambda trouble: trouble and "has ended for 15 s" in trouble)


async def test_a_defect_is_told_by_kind_and_place_and_never_by_what_it_says(process: Subscribed) -> None:
    await process.assigned()
    process.faults.fail_next(Point.BEGIN, ValueError("Wang Xiaoming"))
    await process.eventually(lambda trouble: trouble and trouble.startswith("ValueError at faults.py:"))
    await process.eventually(lambda trouble: trouble is None)


async def test_a_process_that_finds_the_line_stopped_says_so_once(
    process: Subscribed, logging_as: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscriptions, "STOPPED_PAUSE_S", 0.0)
    lines = logging_as()
    await process.database.stop_line(Line(stopped=True, reason="20 keys failed alike", build="world"))
    await process.assigned()
    await process.eventually(lambda trouble: trouble == "the line is stopped: 20 keys failed alike")
    seen = process.faults.begun
    await process.eventually(lambda _: process.faults.begun > seen + 3)
    assert [(line["level"], line["reason"]) for line in lines.of("line.stands")] == [
        ("warning", "20 keys failed alike")
    ]


class Watched:
    """A watchdog that is told what a look would see."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ended_at = 0.0
        self.exits: list[str] = []
        self.dog = Watchdog(
            NOWHERE,
            ["till.commands"],
            lanes=lambda: [0],
            positions=dict,
            ended_at=lambda: self.ended_at,
            stall_s=STALL_S,
            stop_s=15,
        )
        monkeypatch.setattr(self.dog, "_exit", self.exits.append)


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    return Watched(monkeypatch)


def test_a_record_after_a_long_silence_is_no_stall(watched: Watched) -> None:
    for now in (5.0, 10.0, 7200.0):
        watched.dog._judge(0, now)
    watched.dog._judge(1, 7205.0)
    assert (watched.dog.trouble, watched.dog.silent_s, watched.exits) == (None, 0.0, [])


def test_records_that_stay_unread_make_a_process_unready_and_end_it_when_it_has_stalled(watched: Watched) -> None:
    watched.dog._judge(3, 100.0)
    watched.dog._judge(3, 100.0 + LATE_S + 1)
    assert watched.dog.trouble == "3 records are unread and no turn has ended for 11 s"
    assert watched.exits == []
    watched.dog._judge(4, 100.0 + STALL_S + 1)
    assert watched.exits == ["4 records are unread and no turn has ended for 31 s"]


def test_turns_that_end_are_progress_however_long_the_backlog_is(watched: Watched) -> None:
    for now in range(100, 1000, 5):
        watched.ended_at = now - 1.0
        watched.dog._judge(1_000_000, float(now))
    assert (watched.dog.trouble, watched.exits) == (None, [])


def test_a_scrape_shows_how_a_process_stands_at_that_moment(watched: Watched) -> None:
    meters = Meters(Of.SERVICE, "till")
    health = Health.of("till", None, [0, 1, 2], 0)
    show_health(meters, lambda: health, watched.dog)
    watched.dog.lags = {"till.commands": 5, "depot.events": 0}
    meters.exposition()
    assert (meters.value(metrics.READY), meters.value(metrics.LANES)) == (1, 3)
    assert meters.value(metrics.LAG, "till.commands") == 5
    health = Health.of("till", "the broker does not tell offsets", [0], 5)
    watched.dog.blind, watched.dog.silent_s = True, 12.0
    meters.exposition()
    assert (meters.value(metrics.READY), meters.value(metrics.WATCHDOG_BLIND), meters.value(metrics.STALLED)) == (
        0,
        1,
        12,
    )
