"""The kit on a real broker: once per event, in order per key, remembered by offsets, safe to kill."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from uuid import uuid4

import pytest

from shared.contracts.billing import CollectionRequested
from shared.contracts.envelope import Envelope
from shared.contracts.message import Command
from shared.drivers.kafka import KafkaLog
from shared.drivers.observer import Observer
from shared.drivers.topics import create_topics
from shared.integration.adapter import Adapter
from shared.integration.offsets import Start, StartUnknown
from shared.integration.process import AdapterSettings, run_adapter
from shared.integration.runner import Runner
from shared.integration.sandbox import collect
from shared.kernel.ids import derived_id
from shared.local.servers import Servers
from shared.operations.house import service_names
from tests.integration_kit.kit import outgoing, requested

LOOK_EVERY_S = 0.05
PATIENCE_S = 60


@dataclass
class Town:
    """A broker, one adapter of its own name, and what its answers have seen."""

    bootstrap: str
    log: KafkaLog
    adapter: Adapter
    mark: str
    seen: list[tuple[str, str]] = field(default_factory=list)

    async def ask(self, buyers: int, each: int, first: int = 0) -> list[str]:
        """Publish requests of several buyers; returns the ids of the events."""
        ids = [str(uuid4()) for _ in range(buyers * each)]
        requests = [
            requested(f"{self.mark}-{number % buyers}", f"r-{first + number // buyers}")
            for number in range(buyers * each)
        ]
        await self.log.publish([outgoing(one, event_id) for one, event_id in zip(requests, ids, strict=True)])
        return ids

    def run(self, start: Start | None = None, stop: asyncio.Event | None = None) -> asyncio.Task[None]:
        settings = AdapterSettings(kafka_bootstrap=self.bootstrap)
        return asyncio.create_task(run_adapter(self.adapter, settings, start, stop or asyncio.Event()))

    async def answered(self) -> None:
        """Wait until everything that stands on the topic is answered and remembered."""
        async with Observer(self.bootstrap) as observer:
            partitions = await observer.partitions(self.adapter.topics)
            ends = await observer.ends(partitions)

            async def all_committed() -> bool:
                committed = await observer.committed(self.adapter.name)
                return all(committed.get(one, -1) >= end for one, end in ends.items())

            await until(all_committed)

    async def sent(self) -> list[str]:
        """The ids of the commands on the topic that are answers to this town's buyers, as often as they are there."""
        async with Observer(self.bootstrap) as observer:
            found = [one async for one in observer.records(["billing.commands"])]
        envelopes = [Envelope.parse(one.headers, one.key) for one in found if (one.key or b"").startswith(self.key)]
        return [one.id for one in envelopes]

    @property
    def key(self) -> bytes:
        return self.mark.encode()


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not await holds():
            await asyncio.sleep(LOOK_EVERY_S)


async def ended(running: asyncio.Task[None]) -> None:
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


@pytest.fixture
async def town(servers: Servers) -> AsyncIterator[Town]:
    await create_topics(servers.bootstrap, service_names())
    mark = f"t{uuid4().hex[:8]}"
    log = KafkaLog(servers.bootstrap)
    found = Town(servers.bootstrap, log, Adapter(f"psp-{mark}", source="/psp"), mark)

    @found.adapter.on(CollectionRequested)
    async def answer(request: CollectionRequested, envelope: Envelope) -> AsyncIterator[Command]:
        if request.buyer_id.startswith(mark):
            await asyncio.sleep(0)
            found.seen.append((request.buyer_id, request.repayment_id))
            async for command in collect(request, envelope):
                yield command

    yield found
    await log.stop()


async def test_without_a_memory_it_must_be_told_where_to_start(town: Town) -> None:
    with pytest.raises(StartUnknown, match=r"say --from beginning\|end"):
        await town.run()


async def test_told_to_start_at_the_end_it_leaves_the_past_alone_and_remembers(town: Town) -> None:
    past, stop = await town.ask(buyers=3, each=2), asyncio.Event()
    running = town.run(Start.END, stop)
    await town.answered()
    stop.set()
    await running
    later = await town.ask(buyers=3, each=2, first=10)
    running = town.run()  # without a word: its offsets are its memory
    await town.answered()
    await ended(running)
    sent = await town.sent()
    assert sorted(sent) == sorted(derived_id("/psp", one, 0) for one in later)
    assert not {derived_id("/psp", one, 0) for one in past} & set(sent)


async def test_each_event_is_answered_once_and_each_buyer_in_order(town: Town) -> None:
    ids = await town.ask(buyers=20, each=10)
    running = town.run(Start.BEGINNING)
    await town.answered()
    await ended(running)
    assert sorted(await town.sent()) == sorted(derived_id("/psp", one, 0) for one in ids)
    for number in range(20):
        mine = [repayment for buyer, repayment in town.seen if buyer == f"{town.mark}-{number}"]
        assert mine == [f"r-{turn}" for turn in range(10)]


async def test_killed_before_it_committed_it_says_the_same_again_under_the_same_ids(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def forget(_: Runner) -> None:
        """The offsets are never committed."""

    ids = await town.ask(buyers=5, each=4)

    async def all_sent() -> bool:
        return len(await town.sent()) >= len(ids)

    with monkeypatch.context() as patched:
        patched.setattr(Runner, "_commit", forget)
        running = town.run(Start.BEGINNING)
        await until(all_sent)
        await ended(running)
    running = town.run()
    await town.answered()
    await ended(running)
    sent = await town.sent()
    assert len(sent) == 2 * len(ids)
    assert set(sent) == {derived_id("/psp", one, 0) for one in ids}


async def test_replicas_come_and_go_while_events_flow_and_nothing_is_lost(town: Town) -> None:
    ids, stop = await town.ask(buyers=12, each=5), asyncio.Event()
    first = town.run(Start.BEGINNING)
    await town.answered()
    second = town.run(stop=stop)
    ids += await town.ask(buyers=12, each=5, first=5)
    await town.answered()
    stop.set()
    await second
    ids += await town.ask(buyers=12, each=5, first=10)
    await town.answered()
    await ended(first)
    assert set(await town.sent()) == {derived_id("/psp", one, 0) for one in ids}
