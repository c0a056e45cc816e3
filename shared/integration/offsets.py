"""An adapter's memory is its committed offsets. Without them it must be told where to start, and never guesses."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from enum import StrEnum

from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as KafkaPartition
from aiokafka.errors import (
    CommitFailedError,
    IllegalGenerationError,
    KafkaError,
    RebalanceInProgressError,
    UnknownMemberIdError,
)

from shared.drivers.observer import Observer
from shared.engine.ports import TopicPartition, Unavailable

__all__ = ["Start", "StartUnknown", "remember_start"]

TRIES = 5
PAUSE_S = 1.0
COMMIT_TIMEOUT_S = 10.0


class Start(StrEnum):
    """Where an adapter without a memory begins."""

    BEGINNING = "beginning"
    END = "end"


class StartUnknown(Exception):
    """The adapter has no committed offsets and was not told where to start."""


async def remember_start(bootstrap: str, group: str, topics: Iterable[str], start: Start | None) -> None:
    """Commit a first offset for every partition that has none, so that a later start needs no word.

    Raises :class:`StartUnknown` where one is missing and ``start`` is None.
    """
    topics = tuple(topics)
    for _ in range(TRIES):
        async with Observer(bootstrap) as observer:
            partitions = await observer.partitions(topics)
            known = await observer.committed(group)
            new = [one for one in partitions if one not in known]
            if not new:
                return
            if start is None:
                raise StartUnknown(f"{group} has no committed offsets on {', '.join(topics)}: say --from beginning|end")
            first = await (observer.beginnings(new) if start is Start.BEGINNING else observer.ends(new))
        if await _commit(bootstrap, group, first):
            return
        await asyncio.sleep(PAUSE_S)  # another replica has just joined: what it committed counts
    raise Unavailable(f"the first offsets of {group} could not be committed")


async def _commit(bootstrap: str, group: str, offsets: dict[TopicPartition, int]) -> bool:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, client_id=group, group_id=group, enable_auto_commit=False, auto_offset_reset="none"
    )
    try:
        async with asyncio.timeout(COMMIT_TIMEOUT_S):
            await consumer.start()
            consumer.assign([KafkaPartition(*one) for one in offsets])
            await consumer.commit({KafkaPartition(*one): offset for one, offset in offsets.items()})
    except (CommitFailedError, IllegalGenerationError, RebalanceInProgressError, UnknownMemberIdError):
        return False
    except (KafkaError, OSError, TimeoutError) as silence:
        raise Unavailable(f"the first offsets of {group} were not taken ({type(silence).__name__})") from silence
    finally:
        with suppress(KafkaError, OSError, TimeoutError):
            await asyncio.wait_for(consumer.stop(), 3)
    return True
