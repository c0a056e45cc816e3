"""The engine's log on a real broker: turns that publish side by side share one producer, and one alone is replaced."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from shared.drivers import kafka as drivers
from shared.drivers.kafka import KafkaLog
from shared.drivers.topics import PARTITIONS, create_topics
from shared.engine.ports import Outgoing, TopicPartition, Unavailable
from shared.local.servers import Servers

TOPIC = "billing.dlq"


@pytest.fixture
async def log(servers: Servers) -> AsyncIterator[KafkaLog]:
    await create_topics(servers.bootstrap, ["billing"])
    found = KafkaLog(servers.bootstrap)
    yield found
    await found.stop()


def one(lane: int) -> list[Outgoing]:
    return [Outgoing(TOPIC, lane, "b-1", [("ce_id", uuid4().bytes)], "{}")]


async def test_turns_that_publish_side_by_side_begin_with_one_producer(
    log: KafkaLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an outage there is none, and a backlog: a second one would stay behind, unknown to everybody."""
    made = []

    def made_anew(**settings: Any) -> AIOKafkaProducer:
        made.append(AIOKafkaProducer(**settings))
        return made[-1]

    monkeypatch.setattr(drivers, "AIOKafkaProducer", made_anew)
    before = await log.ends([TopicPartition(TOPIC, lane) for lane in range(PARTITIONS)])
    await asyncio.gather(*(log.publish(one(lane)) for lane in range(PARTITIONS)))
    after = await log.ends(before)
    assert {place: end - before[place] for place, end in after.items()} == dict.fromkeys(before, 1)
    assert len(made) == 1


async def test_who_fails_replaces_the_producer_it_used_and_no_other(
    log: KafkaLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two turns publish through one that fails; who notices second leaves its successor alone."""
    notices = [asyncio.Event(), asyncio.Event()]

    async def fail(_: AIOKafkaProducer, place: TopicPartition, __: Any) -> None:
        await notices[place.partition].wait()
        raise KafkaError

    await log.start()
    with monkeypatch.context() as patched:
        patched.setattr(drivers, "_append", fail)
        first, second = (asyncio.create_task(log.publish(one(lane))) for lane in (0, 1))
        await asyncio.sleep(0)
        notices[0].set()
        with pytest.raises(Unavailable):
            await first
    await log.publish(one(0))
    successor = log._producer
    notices[1].set()
    with pytest.raises(Unavailable):
        await second
    assert successor is not None
    assert log._producer is successor
