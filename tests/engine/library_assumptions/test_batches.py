"""FastStream's batches: what one bad record, or one refusal, does to all the others."""

from __future__ import annotations

from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer import fetcher
from faststream import AckPolicy
from faststream.kafka import KafkaMessage

from shared.drivers.subscription import BRISK, CALM
from tests.engine.library_assumptions.probe import LANES, Desk, Probe, bare, subscribed
from tests.patience import eventually

GARBLED_VALUES = {"null": None, "no UTF-8": b"\xff\xfe"}
NO_JSON = [("content-type", b"application/json")]


async def test_nack_of_a_batch_that_spans_partitions_rewinds_every_partition(probe: Probe) -> None:
    """FastStream >= 0.7.8. Before, only the first record's partition was rewound, and the others' records were lost."""
    written = await probe.write_everywhere(10)
    refused: set[tuple[int, int]] = set()
    seen: set[tuple[int, int]] = set()

    async def refuse_once(message: KafkaMessage) -> None:
        places = {(one.partition, one.offset) for one in message.raw_message}
        if refused:
            seen.update(places)
            await message.ack()
        else:
            if len({partition for partition, _ in places}) > 1:
                refused.update(places)
            await message.nack()

    async with bare(probe, refuse_once, ack_policy=AckPolicy.MANUAL):
        await eventually(lambda: seen >= written)
        await eventually(lambda: probe.has_committed(dict.fromkeys(range(LANES), 10)))
    assert len({partition for partition, _ in refused}) > 1


@pytest.mark.parametrize("value", GARBLED_VALUES.values(), ids=GARBLED_VALUES)
async def test_the_batch_parser_raises_at_a_headers_value_that_is_no_text_and_the_next_commit_buries_the_batch(
    probe: Probe, value: bytes | None
) -> None:
    """FastStream 0.7: the handler is not called, nothing is acknowledged, nothing comes again."""
    seen: list[bytes] = []

    async def acknowledge(message: KafkaMessage) -> None:
        seen.extend(one.value for one in message.raw_message)
        await message.ack()

    async with bare(probe, acknowledge, ack_policy=AckPolicy.MANUAL) as subscriber:
        await probe.write(b"bad", headers=[("ce_id", value)])
        await eventually(lambda: _position(subscriber, probe, 1))
        await probe.write(b"good")
        await eventually(lambda: probe.has_committed({0: 2}))
    assert seen == [b"good"]


async def _position(subscriber: Any, probe: Probe, offset: int) -> bool:
    return TopicPartition(probe.topic, 0) in subscriber.consumer.assignment() and (
        await subscriber.consumer.position(TopicPartition(probe.topic, 0)) == offset
    )


@pytest.mark.parametrize("value", GARBLED_VALUES.values(), ids=GARBLED_VALUES)
async def test_our_parser_hands_on_headers_of_any_value(probe: Probe, value: bytes | None) -> None:
    desk = Desk()
    await probe.write(b"bad", headers=[("ce_id", value)])
    await probe.write(b"good")
    async with subscribed(probe, desk):
        await eventually(lambda: len(desk.handled) == 2)
    assert [(one.value, list(one.headers)) for one in desk.handled] == [(b"bad", [("ce_id", value)]), (b"good", [])]


async def test_a_body_that_is_no_json_brings_its_whole_batch_again_for_ever(probe: Probe) -> None:
    """FastStream 0.7 under NACK_ON_ERROR: at once, and the handler never hears of it."""
    deliveries: list[list[bytes]] = []
    called: list[Any] = []

    async def counted(batch: tuple[Any, ...], original: Any) -> Any:
        deliveries.append([one.value for one in batch])
        return await original(batch)

    async def handle(body: list[Any]) -> None:
        called.append(body)

    await probe.write(b"{}", b'{"a": ', headers=NO_JSON)
    async with bare(probe, handle, ack_policy=AckPolicy.NACK_ON_ERROR, parser=counted):
        await eventually(lambda: len(deliveries) > 10)
    assert called == []
    assert deliveries[0] == deliveries[-1] == [b"{}", b'{"a": ']
    assert await probe.committed() == {}


async def test_our_decoder_hands_on_bodies_of_any_kind(probe: Probe) -> None:
    desk = Desk()
    await probe.write(b"{}", b'{"a": ', b"\xff", headers=NO_JSON)
    async with subscribed(probe, desk):
        await eventually(lambda: len(desk.handled) == 3)
    assert [one.value for one in desk.handled] == [b"{}", b'{"a": ', b"\xff"]
    assert len(desk.handed[0]) == 3


async def test_how_long_the_client_waits_is_read_anew_each_time(probe: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    """aiokafka 0.14 knows one time for all fetches of a consumer; at rest ours are few, and brisk once records come."""
    asked: list[int] = []
    request = fetcher.FetchRequest

    def overhear(wait_ms: int, *others: Any, **more: Any) -> Any:
        asked.append(wait_ms)
        return request(wait_ms, *others, **more)

    monkeypatch.setattr(fetcher, "FetchRequest", overhear)
    async with subscribed(probe, Desk()) as (subscription, _):
        await eventually(lambda: asked and asked[-1] == CALM.fetch)
        assert subscription._subscriber.batch_timeout_ms == CALM.batch
        await probe.write(b"{}")
        await eventually(lambda: asked[-1] == BRISK.fetch)
