"""The topics of the system: created by ``houfu migrate``, verified by services at start, never made by accident."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from shared.contracts.clock import CLOCK_TOPIC
from shared.engine.ports import Unavailable

__all__ = [
    "PARTITIONS",
    "Topic",
    "TopicSeen",
    "TopicsUnfit",
    "create_topics",
    "look_at_topics",
    "topic_plan",
    "verify_topics",
]

PARTITIONS = 12
"""Partitions of every topic (the clock has one): the most processes that can share one service's work."""

REPLICAS_MAX = 3
ANSWER_TIMEOUT_S = 10.0
CREATE_TIMEOUT_S = 60.0
MESSAGE_MAX_BYTES = 1024 * 1024
"""Largest batch the broker takes; a body is at most 256 KiB."""

APPEND_TIME = "message.timestamp.type"

_DAY_MS = 24 * 3600 * 1000
_FOR_EVER = -1


class TopicsUnfit(Exception):
    """The broker's topics cannot carry the system; the text names each that is missing or of another shape."""


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic as it must be. ``retention_ms`` is -1 where nothing is ever deleted."""

    name: str
    partitions: int
    retention_ms: int

    def configuration(self) -> dict[str, str]:
        """The broker's append time is the order of the world, and compression is left to the writers (zstd)."""
        return {
            APPEND_TIME: "LogAppendTime",
            "cleanup.policy": "delete",
            "compression.type": "producer",
            "max.message.bytes": str(MESSAGE_MAX_BYTES),
            "retention.ms": str(self.retention_ms),
            "retention.bytes": "-1",
        }


@dataclass(frozen=True, slots=True)
class TopicSeen:
    """One topic as the broker has it."""

    partitions: int
    configuration: Mapping[str, str]


def topic_plan(services: Iterable[str], partitions: int = PARTITIONS) -> list[Topic]:
    """Every topic of a system of these services.

    Events are kept for ever (replay is a way to join), commands and notices 30 days.
    """
    plan = [Topic(CLOCK_TOPIC, 1, _FOR_EVER)]
    for service in services:
        plan.append(Topic(f"{service}.commands", partitions, 30 * _DAY_MS))
        plan.append(Topic(f"{service}.events", partitions, _FOR_EVER))
        plan.append(Topic(f"{service}.dlq", partitions, 30 * _DAY_MS))
    return plan


async def create_topics(bootstrap: str, services: Iterable[str], partitions: int = PARTITIONS) -> list[str]:
    """Create what these services miss and return its names; what exists is verified and left as it is.

    Raises :class:`Unavailable` without a broker, :class:`TopicsUnfit` where an existing topic has another shape.
    """
    plan = topic_plan(services, partitions)
    async with _admin(bootstrap) as admin:
        existing = set(await admin.list_topics())
        replicas = min(REPLICAS_MAX, len((await admin.describe_cluster())["brokers"]))
        missing = [topic for topic in plan if topic.name not in existing]
        if missing:
            wanted = [NewTopic(it.name, it.partitions, replicas, topic_configs=it.configuration()) for it in missing]
            async with asyncio.timeout(CREATE_TIMEOUT_S):
                answer = await admin.create_topics(wanted, timeout_ms=int(CREATE_TIMEOUT_S * 1000))
            _require_created(answer)
            await _become_visible(admin, plan)
        await _verify(admin, [topic.name for topic in plan])
    return [topic.name for topic in missing]


async def verify_topics(bootstrap: str, names: Iterable[str]) -> int:
    """The common partition count of ``names``; raises :class:`TopicsUnfit` or :class:`Unavailable`."""
    async with _admin(bootstrap) as admin:
        return await _verify(admin, names)


async def look_at_topics(bootstrap: str, names: Iterable[str]) -> dict[str, TopicSeen]:
    """Those of ``names`` that exist, in the order of their names, as they are; raises :class:`Unavailable`."""
    async with _admin(bootstrap) as admin:
        return await _look(admin, names)


async def _look(admin: AIOKafkaAdminClient, names: Iterable[str]) -> dict[str, TopicSeen]:
    counts = {one["topic"]: len(one["partitions"]) for one in await admin.describe_topics()}
    there = sorted(counts.keys() & set(names))
    if not there:
        return {}
    keys = Topic("", 1, _FOR_EVER).configuration()
    asked = [ConfigResource(ConfigResourceType.TOPIC, name, keys) for name in there]
    found = {
        resource[3]: {entry[0]: entry[1] for entry in resource[4]}
        for answer in await admin.describe_configs(asked)
        for resource in answer.resources
    }
    return {name: TopicSeen(counts[name], found.get(name, {})) for name in there}


async def _verify(admin: AIOKafkaAdminClient, names: Iterable[str]) -> int:
    wanted = sorted(set(names))
    seen = await _look(admin, wanted)
    missing = [name for name in wanted if name not in seen]
    if missing:
        raise TopicsUnfit(f"missing: {', '.join(missing)}; run 'houfu migrate'")
    shapes = {name: one.partitions for name, one in seen.items() if name != CLOCK_TOPIC}
    if len(set(shapes.values())) > 1:
        listed = ", ".join(f"{name} has {count}" for name, count in shapes.items())
        raise TopicsUnfit(f"every topic must have the same number of partitions, but {listed}")
    unfit = [name for name, one in seen.items() if one.configuration.get(APPEND_TIME) != "LogAppendTime"]
    if unfit:
        raise TopicsUnfit(f"{APPEND_TIME} must be LogAppendTime, is not on: {', '.join(unfit)}")
    return next(iter(shapes.values()), 1)


async def _become_visible(admin: AIOKafkaAdminClient, plan: list[Topic]) -> None:
    """A new topic is known to its creator before every broker tells of it."""
    names = {topic.name for topic in plan}
    async with asyncio.timeout(CREATE_TIMEOUT_S):
        while not names <= set(await admin.list_topics()):
            await asyncio.sleep(0.05)


def _require_created(answer: Any) -> None:
    for topic, code, *text in answer.topic_errors:
        kind = for_code(code)
        if code and kind is not TopicAlreadyExistsError:  # another migration may have been faster
            raise TopicsUnfit(f"{topic} could not be created: {kind.__name__} {' '.join(map(str, text))}".strip())


@asynccontextmanager
async def _admin(bootstrap: str) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(
        bootstrap_servers=bootstrap, client_id="houfu-topics", request_timeout_ms=int(ANSWER_TIMEOUT_S * 1000)
    )
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            await admin.start()
        yield admin
    except (KafkaError, OSError, TimeoutError) as silence:
        raise Unavailable(f"no broker answers at {bootstrap} ({type(silence).__name__})") from silence
    finally:
        with suppress(KafkaError, OSError, TimeoutError):
            await asyncio.wait_for(admin.close(), 3)
