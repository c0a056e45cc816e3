"""How a batch may end in FastStream, and what becomes of its offsets; how it ends in our subscription."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiokafka.errors import CommitFailedError
from faststream import AckPolicy
from faststream.kafka import KafkaMessage

from shared.drivers import subscription as subscriptions
from shared.engine.breaker import LineStopped
from shared.engine.ports import Unavailable
from shared.local.kafka import Kafka
from tests.engine.library_assumptions.probe import LANES, Desk, PatientDesk, Probe, bare, subscribed
from tests.patience import eventually
from tests.servers import frozen

SILENCE_S = 3.0
"""Six times as long as a client is told to wait for an answer."""


class Mistake(Exception):
    """What a handler did not foresee."""


@pytest.mark.filterwarnings("ignore:AckPolicy.REJECT_ON_ERROR")  # which says the same as the test
@pytest.mark.parametrize(
    "policy",
    [{}, {"ack_policy": AckPolicy.ACK}, {"ack_policy": AckPolicy.REJECT_ON_ERROR}],
    ids=["by default", "ACK", "REJECT_ON_ERROR"],
)
async def test_a_batch_whose_handler_raises_is_committed_all_the_same(probe: Probe, policy: dict[str, Any]) -> None:
    """FastStream 0.7: ACK_FIRST, the default, is at most once, and these two commit on error."""
    tried: list[bytes] = []

    async def fail(message: KafkaMessage) -> None:
        tried.extend(one.value for one in message.raw_message)
        raise Mistake

    await probe.write(b"lost")
    async with bare(probe, fail, auto_commit_interval_ms=50, **policy):
        await eventually(lambda: probe.has_committed({0: 1}))
    assert tried == [b"lost"]


async def test_under_manual_a_batch_whose_handler_raises_is_skipped_and_committed_by_the_next(probe: Probe) -> None:
    """FastStream 0.7: nobody acknowledged it and nobody refused it, but the consumer has moved on."""
    tried: list[bytes] = []

    async def fail_once(message: KafkaMessage) -> None:
        tried.extend(one.value for one in message.raw_message)
        if tried == [b"lost"]:
            raise Mistake
        await message.ack()

    await probe.write(b"lost")
    async with bare(probe, fail_once, ack_policy=AckPolicy.MANUAL):
        await eventually(lambda: tried)
        await probe.write(b"next")
        await eventually(lambda: probe.has_committed({0: 2}))
    assert tried == [b"lost", b"next"]


async def test_a_refused_commit_is_swallowed(probe: Probe) -> None:
    """FastStream 0.7 under NACK_ON_ERROR: the next batch comes as if nothing had happened, this one not again."""
    refused: list[CommitFailedError] = []
    tried: list[bytes] = []

    async def refuse() -> None:
        refused.append(CommitFailedError())
        raise refused[-1]

    async def handle(message: KafkaMessage) -> None:
        tried.extend(one.value for one in message.raw_message)

    async with bare(probe, handle, ack_policy=AckPolicy.NACK_ON_ERROR) as subscriber:
        subscriber.consumer.commit = refuse
        await probe.write(b"first")
        await eventually(lambda: refused)
        await probe.write(b"second")
        await eventually(lambda: len(refused) == 2)
    assert tried == [b"first", b"second"]


async def test_a_commit_waits_as_long_as_the_broker_is_silent(own_broker: Kafka) -> None:
    """FastStream 0.7 and aiokafka 0.14: far beyond ``request_timeout_ms``, and the handler stands still meanwhile."""
    probe = await Probe(own_broker.bootstrap).open()
    received, silent, answered = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def acknowledge(message: KafkaMessage) -> None:
        received.set()
        await silent.wait()
        await message.ack()
        answered.set()

    await probe.write(b"{}")
    options = {"ack_policy": AckPolicy.MANUAL, "connection": {"request_timeout_ms": 500}}
    async with bare(probe, acknowledge, **options):
        await eventually(received.is_set)
        with frozen(own_broker):
            silent.set()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(answered.wait(), SILENCE_S)
        await eventually(answered.is_set)


async def test_our_commit_is_given_up_in_time_and_made_good_by_the_next(
    own_broker: Kafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscriptions, "COMMIT_TIMEOUT_S", 1.0)
    probe = await Probe(own_broker.bootstrap).open()
    desk = Desk()
    desk.handling.clear()
    await probe.write(b"first")
    async with subscribed(probe, desk) as (_, monitor):
        await eventually(lambda: desk.handed)
        with frozen(own_broker):
            desk.handling.set()
            await eventually(lambda: monitor.uncommitted)
        await probe.write(b"second")
        await eventually(lambda: probe.has_committed({0: 2}))
    assert [one.value for one in desk.handled] == [b"first", b"second"]


async def test_no_turn_of_ours_waits_for_a_commit(probe: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a group's coordinator is away the library waits for it, and records are read all the same."""
    monkeypatch.setattr(subscriptions, "COMMIT_TIMEOUT_S", 3600.0)
    desk = Desk()

    async def wait_for_ever(_: Any) -> None:
        await asyncio.Event().wait()

    async with subscribed(probe, desk) as (subscription, _):
        await eventually(lambda: desk.lanes)
        subscription._subscriber.consumer.commit = wait_for_ever
        for count, value in enumerate((b"first", b"second", b"third"), start=1):
            await probe.write(value)
            await eventually(lambda count=count: len(desk.handled) == count)
    assert [one.value for one in desk.handled] == [b"first", b"second", b"third"]


ENDINGS = {
    "nothing raised": (),
    "a server away": (Unavailable("the database is away"),),
    "something nobody foresaw": (Mistake(),),
    "the line stopped": (LineStopped("KeyError at till.py:7"),),
}


@pytest.mark.parametrize("failures", ENDINGS.values(), ids=ENDINGS)
@pytest.mark.parametrize("kind", [Desk, PatientDesk], ids=["at once", "later"])
async def test_our_batch_ends_in_a_commit_or_comes_again_from_every_partition(
    probe: Probe, kind: type[Desk], failures: tuple[BaseException, ...]
) -> None:
    written = await probe.write_everywhere(3)
    desk = kind(*failures)
    async with subscribed(probe, desk):
        await eventually(lambda: set(desk.places()) == written)
        await eventually(lambda: probe.has_committed(dict.fromkeys(range(LANES), 3)))
    assert len(desk.places()) == len(written)
    assert not desk.failures
