"""The engine's log on Kafka: an idempotent producer of our own, thrown away whenever it is in doubt."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka import TopicPartition as KafkaPartition
from aiokafka.errors import KafkaError

from shared.drivers.observer import groupless_consumer, within_patience
from shared.engine.ports import Outgoing, TopicPartition, Unavailable

__all__ = ["KafkaLog", "Marks"]

log = logging.getLogger(__name__)

PUBLISH_TIMEOUT_S = 10.0
"""Longest wait for the acknowledgements of one turn; the idempotent producer itself never gives up."""

ANSWER_TIMEOUT_S = 5.0

BATCH_MAX_BYTES = 512 * 1024
"""Largest batch handed to the broker, in bytes before compression; two messages of the largest size fit."""


Marks = Mapping[TopicPartition, range]
"""The last offsets of partitions that hold no record: the ends of foreign clients' transactions."""


class KafkaLog:
    """Appends to topics and asks for their ends. Every method may raise :class:`Unavailable`."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self.marks: Marks = {}
        """Whoever finds them out (the watchdog does) puts them here."""
        self._producer: AIOKafkaProducer | None = None
        self._consumer: AIOKafkaConsumer | None = None
        self._starting = asyncio.Lock()
        """Turns publish side by side: they share one producer, also when it is a new one."""

    async def start(self) -> None:
        await self._started_producer()
        await self._started_consumer()

    async def stop(self) -> None:
        producer, consumer, self._producer, self._consumer = self._producer, self._consumer, None, None
        for client in (producer, consumer):
            if client is not None:
                await within_patience(client.stop())

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        """Append the messages, in order per partition, and wait for every acknowledgement."""
        by_place: dict[TopicPartition, list[Outgoing]] = defaultdict(list)
        for message in messages:
            by_place[TopicPartition(message.topic, message.partition)].append(message)
        producer = None
        try:
            async with asyncio.timeout(PUBLISH_TIMEOUT_S):
                producer = await self._started_producer()
                sending = (_append(producer, place, queue) for place, queue in by_place.items())
                await asyncio.gather(*sending)
        except (KafkaError, OSError, TimeoutError) as silence:
            await self._forget(producer)
            raise Unavailable(f"the broker did not acknowledge ({type(silence).__name__})") from silence
        except BaseException:
            await self._forget(producer)
            raise

    async def ends(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """The offset after the last record of each partition, 0 where it holds none."""
        ends, begins = await self.reach(partitions)
        return {place: 0 if begins[place] == end else self._without_marks(place, end) for place, end in ends.items()}

    def _without_marks(self, place: TopicPartition, end: int) -> int:
        marks = self.marks.get(place)
        return marks.start if marks is not None and marks.stop == end else end

    async def reach(
        self, partitions: Iterable[TopicPartition]
    ) -> tuple[dict[TopicPartition, int], dict[TopicPartition, int]]:
        """The next offset and the first kept offset of each partition."""
        asked = [KafkaPartition(*one) for one in partitions]
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                consumer = await self._started_consumer()
                ends, begins = await asyncio.gather(consumer.end_offsets(asked), consumer.beginning_offsets(asked))
        except (KafkaError, OSError, TimeoutError) as silence:
            consumer, self._consumer = self._consumer, None
            if consumer is not None:
                await within_patience(consumer.stop())
            raise Unavailable(f"the broker does not tell offsets ({type(silence).__name__})") from silence
        return (
            {TopicPartition(one.topic, one.partition): offset for one, offset in ends.items()},
            {TopicPartition(one.topic, one.partition): offset for one, offset in begins.items()},
        )

    async def _started_producer(self) -> AIOKafkaProducer:
        async with self._starting:
            if self._producer is None:
                producer = AIOKafkaProducer(
                    bootstrap_servers=self._bootstrap,
                    client_id="houfu-engine",
                    acks="all",
                    enable_idempotence=True,
                    compression_type="zstd",
                    max_batch_size=BATCH_MAX_BYTES,
                    linger_ms=0,
                    request_timeout_ms=int(PUBLISH_TIMEOUT_S * 1000),
                )
                await _start(producer)
                self._producer = producer
            return self._producer

    async def _started_consumer(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            consumer = groupless_consumer(self._bootstrap)
            await _start(consumer)
            self._consumer = consumer
        return self._consumer

    async def _forget(self, producer: AIOKafkaProducer | None) -> None:
        """This one is in doubt; whoever publishes next begins with a new one, unless somebody has already."""
        if producer is not None and producer is self._producer:
            self._producer = None
            log.warning("the producer is in doubt and is replaced")
            await within_patience(_dismiss(producer))


async def _append(producer: AIOKafkaProducer, place: TopicPartition, messages: Sequence[Outgoing]) -> None:
    """Append to one partition, as many messages a batch as fit; a batch is handed over when the last one is drained."""
    acknowledgements = []
    batch = producer.create_batch()
    for message in messages:
        content = {"timestamp": None, "key": message.key.encode(), "value": message.body.encode()}
        if batch.append(**content, headers=message.headers) is None:
            acknowledgements.append(await producer.send_batch(batch, place.topic, partition=place.partition))
            batch = producer.create_batch()
            if batch.append(**content, headers=message.headers) is None:
                raise ValueError(f"a message to {place.topic} does not fit into a batch of {BATCH_MAX_BYTES} bytes")
    acknowledgements.append(await producer.send_batch(batch, place.topic, partition=place.partition))
    await asyncio.gather(*acknowledgements)


async def _dismiss(producer: AIOKafkaProducer) -> None:
    """Close a producer in doubt so that it never appends anything more.

    The library's ``stop()`` would first append what is pending. While no broker answers it does not return, and given
    up on it goes on by itself: each time a broker was away one more producer would wait in the background, to append
    once more what has long been published by its successor.
    """
    sender = producer._sender.sender_task
    while not sender.done():
        sender.cancel()  # the first ends its loop, the next one the request it still awaits
        await asyncio.wait({sender}, timeout=0)
    producer._closed = True
    await producer.client.close()


async def _start(client: AIOKafkaProducer | AIOKafkaConsumer) -> None:
    """Start a client within a bounded time; one that failed to start would leak unless it is stopped."""
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            await client.start()
    except BaseException as failure:
        await within_patience(client.stop())
        if isinstance(failure, KafkaError | OSError | TimeoutError):
            raise Unavailable(f"no broker answers ({type(failure).__name__})") from failure
        raise
