"""The watchdog on a real broker: what is unread, what only looks so, and what ends a process."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from time import monotonic
from typing import Any
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from shared.drivers import watchdog as watchdogs
from shared.drivers.kafka import KafkaLog
from shared.drivers.observer import groupless_consumer, within_patience
from shared.drivers.watchdog import Watchdog
from shared.engine.ports import Position, TopicPartition
from shared.local.servers import Servers

PATIENCE_S = 60


class Harmless(Watchdog):
    """Ends nobody, but says that it would."""

    def __init__(self, *given: Any, **settings: Any) -> None:
        super().__init__(*given, **settings)
        self.exited = threading.Event()

    def _exit(self, reason: str) -> None:
        self.exited.set()


class Watched:
    """A topic with one partition, and a process that handles it up to a position and then ends no turn."""

    def __init__(self, bootstrap: str, topic: str, ended_at: Callable[[], float] = lambda: 0.0) -> None:
        self.bootstrap = bootstrap
        self.place = TopicPartition(topic, 0)
        self.handled = 0
        self.unheard_s = 0.0
        self.dog = Harmless(
            bootstrap,
            [topic],
            lanes=lambda: [0],
            positions=lambda: {self.place: Position(self.handled, None)},
            ended_at=ended_at,
            stall_s=1.0,
            stop_s=15,
            unheard_s=lambda: self.unheard_s,
        )

    async def write(self, *, in_transaction: bool) -> None:
        name = f"foreign-{uuid4().hex}" if in_transaction else None
        producer = AIOKafkaProducer(bootstrap_servers=self.bootstrap, transactional_id=name)
        await producer.start()
        if in_transaction:
            async with producer.transaction():
                await producer.send_and_wait(self.place.topic, b"{}", partition=0)
        else:
            await producer.send_and_wait(self.place.topic, b"{}", partition=0)
        await producer.stop()

    async def eventually(self, holds: Callable[[Harmless], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not holds(self.dog):
                await asyncio.sleep(0.05)


@pytest.fixture
async def watched(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Watched]:
    monkeypatch.setattr(watchdogs, "LOOK_EVERY_S", 0.1)
    topic = f"watched-{uuid4().hex}"
    admin = AIOKafkaAdminClient(bootstrap_servers=servers.bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(topic, 1, 1)])
    await admin.close()
    found = Watched(servers.bootstrap, topic)
    yield found
    found.dog.stop()


async def test_a_process_that_lets_records_lie_is_ended(watched: Watched) -> None:
    await watched.write(in_transaction=False)
    watched.dog.start()
    await watched.eventually(lambda dog: dog.exited.is_set())
    assert watched.dog.lags == {watched.place.topic: 1}


async def test_the_mark_at_the_end_of_a_foreign_clients_transaction_is_nothing_unread(watched: Watched) -> None:
    await watched.write(in_transaction=True)
    watched.handled = 1  # the record; the mark behind it can be handled by nobody
    watched.dog.start()
    await watched.eventually(lambda dog: dog.lag == 1)
    await watched.eventually(lambda dog: dog.lag == 0)
    assert not watched.dog.exited.is_set()
    await watched.write(in_transaction=False)
    await watched.eventually(lambda dog: dog.exited.is_set())
    assert watched.dog.lag == 1


async def test_time_goes_on_behind_the_marks_of_foreign_clients_also_in_a_process_that_is_busy_elsewhere(
    watched: Watched,
) -> None:
    """A lane's time stands still at what is unread, and a mark is not; other lanes' turns are no reason not to look."""
    busy = Watched(watched.bootstrap, watched.place.topic, ended_at=monotonic)
    log = KafkaLog(watched.bootstrap)
    log.marks = busy.dog.marks
    busy.dog.start()
    for transactions in (1, 2):
        await busy.write(in_transaction=True)
        busy.handled = 2 * transactions - 1
        end = 2 * transactions
        await busy.eventually(lambda dog, end=end: dog.marks.get(busy.place, range(0)).stop == end)
        assert await log.ends([busy.place]) == {busy.place: busy.handled}
    await busy.write(in_transaction=False)
    assert await log.ends([busy.place]) == {busy.place: 5}
    busy.dog.stop()
    await log.stop()


async def test_a_process_that_was_late_and_caught_up_is_watched_on(watched: Watched) -> None:
    await watched.write(in_transaction=False)
    watched.dog.start()
    await watched.eventually(lambda dog: dog.silent_s >= watchdogs.LOOK_EVERY_S)
    watched.handled = 1
    await watched.eventually(lambda dog: dog.lag == 0 and dog.trouble is None)
    await watched.write(in_transaction=False)
    await watched.eventually(lambda dog: dog.lag == 1)


async def test_a_process_whose_watchdog_fails_is_ended(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object) -> None:
        raise asyncio.CancelledError

    monkeypatch.setattr(watched.dog, "_reach", fail)
    watched.dog.start()
    await watched.eventually(lambda dog: dog.exited.is_set())


async def test_a_client_that_is_thrown_away_before_its_first_step_harms_nobody(servers: Servers) -> None:
    consumer = groupless_consumer(servers.bootstrap)
    await consumer.start()
    await within_patience(consumer.stop())
    assert [task.get_coro().__qualname__ for task in asyncio.all_tasks() if "aiokafka" in repr(task.get_coro())] == []


async def test_a_process_that_its_group_has_not_heard_of_for_long_is_ended(watched: Watched) -> None:
    """Nothing of its partitions is unread: another member has them, and this one does not know."""
    watched.unheard_s = watchdogs.UNHEARD_S + 1
    watched.dog.start()
    await watched.eventually(lambda dog: dog.exited.is_set())
    assert watched.dog.lag == 0


def test_a_group_that_is_late_to_answer_is_waited_for() -> None:
    """The watchdog's own clock: it counts from where it saw first, and anew when the group was heard."""
    watched = Watched("", "watched")
    watched.unheard_s = watchdogs.UNHEARD_S + 1
    for now in (100.0, 101.0):
        watched.dog._judge(0, now)
    watched.unheard_s = 0.0
    watched.dog._judge(0, 102.0)
    watched.unheard_s = watchdogs.UNHEARD_S + 1
    for now in (103.0, 104.0):
        watched.dog._judge(0, now)
    assert not watched.dog.exited.is_set()
    watched.dog._judge(0, 105.0)
    assert watched.dog.exited.is_set()
