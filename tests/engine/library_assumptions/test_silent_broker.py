"""A producer whose broker is gone: the library's waits for ever, ours gives up in time and begins anew."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from shared.drivers import kafka as logs
from shared.drivers.kafka import KafkaLog
from shared.engine.ports import Outgoing, Unavailable
from shared.local.kafka import Kafka
from tests.engine.library_assumptions.probe import Probe
from tests.patience import PATIENCE_S

REQUEST_TIMEOUT_MS = 1_000


@contextmanager
def killed(broker: Kafka) -> Iterator[None]:
    """The broker is dead while the block runs."""
    assert broker.pid is not None
    os.kill(broker.pid, signal.SIGKILL)
    try:
        yield
    finally:
        broker.stop()
        broker.start()


async def test_an_idempotent_producer_never_gives_up_a_batch_nor_can_it_be_stopped(own_broker: Kafka) -> None:
    """aiokafka 0.14: one that is not idempotent expires its batch after ``request_timeout_ms``; this one never does."""
    probe = await Probe(own_broker.bootstrap).open()
    settings = {"bootstrap_servers": probe.bootstrap, "acks": "all", "request_timeout_ms": REQUEST_TIMEOUT_MS}
    idempotent = AIOKafkaProducer(**settings, enable_idempotence=True)
    mortal = AIOKafkaProducer(**settings)
    for producer in (idempotent, mortal):
        await producer.start()
        await producer.send_and_wait(probe.topic, b"before", partition=0)
    with killed(own_broker):
        waiting = await idempotent.send(probe.topic, b"for ever", partition=0)
        expiring = await mortal.send(probe.topic, b"a while", partition=0)
        with pytest.raises(KafkaError):
            await asyncio.wait_for(expiring, PATIENCE_S)
        stopping = asyncio.create_task(idempotent.stop())
        await asyncio.wait({waiting, stopping}, timeout=3 * REQUEST_TIMEOUT_MS / 1000)
        assert not waiting.done()
        assert not stopping.done()
    await asyncio.wait_for(asyncio.gather(waiting, stopping), PATIENCE_S)
    await mortal.stop()
    assert b"for ever" in [one.value for one in await probe.records()]


async def test_our_log_gives_up_in_time_and_writes_again_once_the_broker_is_back(
    own_broker: Kafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "PUBLISH_TIMEOUT_S", 1.0)
    probe = await Probe(own_broker.bootstrap).open()
    log = KafkaLog(probe.bootstrap)
    await log.publish([outgoing(probe, "before")])
    with killed(own_broker):
        for _ in range(2):  # with the producer it had, and with none
            with pytest.raises(Unavailable):
                await asyncio.wait_for(log.publish([outgoing(probe, "lost")]), PATIENCE_S)
    monkeypatch.undo()
    await asyncio.wait_for(log.publish([outgoing(probe, "after")]), PATIENCE_S)
    await log.stop()
    assert [one.value for one in await probe.records()] == [b"before", b"after"]


async def test_a_producer_we_gave_up_leaves_nothing_at_work(own_broker: Kafka, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library's own would wait in the background for the broker, one more for each time it was away."""
    monkeypatch.setattr(logs, "PUBLISH_TIMEOUT_S", 1.0)
    probe = await Probe(own_broker.bootstrap).open()
    before = asyncio.all_tasks()
    log = KafkaLog(probe.bootstrap)
    await log.publish([outgoing(probe, "before")])
    with killed(own_broker), pytest.raises(Unavailable):
        await log.publish([outgoing(probe, "lost")])
    assert asyncio.all_tasks() == before


def outgoing(probe: Probe, body: str) -> Outgoing:
    return Outgoing(probe.topic, 0, "buyer", [], body)
