"""What the libraries take for granted unless they are told: each is told."""

from __future__ import annotations

from inspect import Parameter, signature
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from faststream.kafka import KafkaBroker, KafkaResponse

from shared.drivers.kafka import KafkaLog
from shared.engine.ports import Outgoing
from shared.kernel.partition import home_partition
from tests.engine.library_assumptions.probe import LANES, Desk, Probe, subscribed
from tests.patience import eventually

BUYERS = [f"buyer-{number}" for number in range(20)]


def test_by_default_old_records_are_passed_over_batches_unbounded_writes_unsafe_and_topics_made_by_accident() -> None:
    """FastStream 0.7 and aiokafka 0.14."""
    subscriber, broker = signature(KafkaBroker.subscriber).parameters, signature(KafkaBroker.__init__).parameters
    assert subscriber["auto_offset_reset"].default == "latest"
    assert subscriber["max_records"].default is None
    assert subscriber["partition_assignment_strategy"].default == (RoundRobinPartitionAssignor,)
    assert broker["allow_auto_create_topics"].default is True
    assert broker["enable_idempotence"].default is False
    producer = signature(AIOKafkaProducer.__init__).parameters
    assert producer["enable_idempotence"].default is False
    assert broker["acks"].default is producer["acks"].default is not Parameter.empty  # of their own: "not said"


async def test_a_producer_that_is_not_told_otherwise_is_content_with_one_copy(probe: Probe) -> None:
    """aiokafka 0.14: ``acks=1``, in FastStream too."""
    assert AIOKafkaProducer(bootstrap_servers=probe.bootstrap)._sender._acks == 1
    assert AIOKafkaProducer(bootstrap_servers=probe.bootstrap, enable_idempotence=True)._sender._acks == -1


async def test_our_subscription_and_our_producer_leave_none_of_it_to_the_default(
    probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: dict[type, dict[str, Any]] = {}
    for kind in (AIOKafkaConsumer, AIOKafkaProducer):
        overhear(kind, told, monkeypatch)
    async with subscribed(probe, Desk(), records=7):
        consumer = told[AIOKafkaConsumer]
        log = KafkaLog(probe.bootstrap)
        await log.start()
        await log.stop()
    assert consumer["auto_offset_reset"] == "earliest"
    assert consumer["enable_auto_commit"] is False
    assert consumer["partition_assignment_strategy"] == (RangePartitionAssignor,)
    assert told[AIOKafkaProducer].items() >= {"acks": "all", "enable_idempotence": True}.items()


def overhear(kind: type, told: dict[type, dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what the last client of a kind with a group, or the last producer, was told when it was made."""
    original = kind.__init__

    def made(self: Any, *arguments: Any, **options: Any) -> None:
        if options.get("group_id", "no matter") is not None:
            told[kind] = options
        original(self, *arguments, **options)

    monkeypatch.setattr(kind, "__init__", made)


async def test_our_batches_are_bounded_and_begin_with_the_oldest_record(probe: Probe) -> None:
    written = await probe.write_everywhere(10)
    desk = Desk()
    async with subscribed(probe, desk, records=7):
        await eventually(lambda: set(desk.places()) == written)
    assert max(map(len, desk.handed)) == 7


async def test_publish_batch_puts_all_keys_into_one_partition_under_the_headers_of_all(probe: Probe) -> None:
    """FastStream 0.7: the keys are written, and say nothing about the place."""
    bodies = [KafkaResponse("{}", key=buyer.encode(), headers={"ce_id": buyer}) for buyer in BUYERS]
    async with KafkaBroker(probe.bootstrap, logger=None) as broker:
        await broker.publish_batch(*bodies, topic=probe.topic, headers={"ce_id": "everybody's"})
    records = await probe.records()
    assert sorted(one.key for one in records if one.key) == sorted(buyer.encode() for buyer in BUYERS)
    assert {dict(one.headers)["ce_id"] for one in records} == {b"everybody's"}
    assert len({one.partition for one in records}) == 1
    assert len({home_partition(buyer, LANES) for buyer in BUYERS}) == LANES


async def test_our_producer_puts_each_key_into_its_home_under_its_own_headers(probe: Probe) -> None:
    log = KafkaLog(probe.bootstrap)
    await log.start()
    try:
        await log.publish([outgoing(probe, buyer) for buyer in BUYERS])
    finally:
        await log.stop()
    found = {one.key: (one.partition, dict(one.headers)["ce_id"]) for one in await probe.records()}
    assert found == {buyer.encode(): (home_partition(buyer, LANES), buyer.encode()) for buyer in BUYERS}


def outgoing(probe: Probe, buyer: str) -> Outgoing:
    return Outgoing(probe.topic, home_partition(buyer, LANES), buyer, [("ce_id", buyer.encode())], "{}")
