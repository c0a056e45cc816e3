"""The topics: created as the design says, verified by name and shape."""

from __future__ import annotations

import asyncio

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from shared.drivers.topics import PARTITIONS, TopicsUnfit, create_topics, topic_plan, verify_topics
from shared.engine.ports import Unavailable
from shared.local.servers import Servers
from shared.operations.house import service_names


def test_events_are_kept_for_ever_and_commands_for_thirty_days() -> None:
    kept = {topic.name: topic.configuration()["retention.ms"] for topic in topic_plan(service_names())}
    assert kept["billing.events"] == kept["houfu.clock"] == "-1"
    assert kept["billing.commands"] == str(30 * 24 * 3600 * 1000)


async def test_creating_topics_again_creates_nothing(servers: Servers) -> None:
    await create_topics(servers.bootstrap, service_names())
    assert await create_topics(servers.bootstrap, service_names()) == []
    assert await verify_topics(servers.bootstrap, [topic.name for topic in topic_plan(service_names())]) == PARTITIONS


async def test_a_missing_topic_is_named(servers: Servers) -> None:
    await create_topics(servers.bootstrap, service_names())
    with pytest.raises(TopicsUnfit, match=r"missing: loans\.events; run 'houfu migrate'"):
        await verify_topics(servers.bootstrap, ["billing.events", "loans.events"])


async def test_unequal_partition_counts_and_foreign_time_stamps_are_named(servers: Servers) -> None:
    await create_topics(servers.bootstrap, service_names())
    admin = AIOKafkaAdminClient(bootstrap_servers=servers.bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic("odd.count", 3, 1), NewTopic("odd.time", PARTITIONS, 1)])
    while not {"odd.count", "odd.time"} <= set(await admin.list_topics()):
        await asyncio.sleep(0.05)
    await admin.close()
    with pytest.raises(TopicsUnfit, match=r"billing\.events has 12, odd\.count has 3"):
        await verify_topics(servers.bootstrap, ["billing.events", "odd.count"])
    with pytest.raises(TopicsUnfit, match=r"LogAppendTime, is not on: odd\.time"):
        await verify_topics(servers.bootstrap, ["billing.events", "odd.time"])


async def test_an_unreachable_broker_is_named() -> None:
    with pytest.raises(Unavailable, match=r"no broker answers at 127\.0\.0\.1:1"):
        await verify_topics("127.0.0.1:1", ["billing.events"])
