"""The narrow port: a monitor is told of turns that count, a tracer follows messages, and the engine knows neither."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from shared.contracts.envelope import Envelope
from shared.drivers.faults import Point
from shared.drivers.memory import MemoryDatabase
from shared.drivers.memory_log import FixedClock, MemoryLog
from shared.engine.breaker import Breaker
from shared.engine.monitor import Tally, Undone
from shared.engine.ports import Outgoing, Record, Unavailable
from shared.engine.worker import Worker
from shared.kernel.partition import home_partition
from tests.engine.till import Account, OpenAccount, ParcelPacked, SendParcel, till

NOON = datetime(2027, 3, 1, 4, tzinfo=UTC)
PARTITIONS = 3
CAME_WITH = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@dataclass
class Step:
    """One span, and how it went on."""

    type: str
    message_id: str
    correlation_id: str
    parent: str | None
    traceparent: str
    outcome: str = ""
    failed: bool = False
    told: bool = False

    def stop(self, outcome: str, *, failed: bool = False) -> None:
        self.outcome, self.failed = outcome, failed

    def tell(self) -> None:
        self.told = True


@dataclass
class Follower:
    """A tracer that remembers every span it began."""

    steps: list[Step] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def begin(self, message_type: str, message_id: str, correlation_id: str, traceparent: str | None) -> Step:
        number = next(self.numbers)
        own = f"00-{number:032x}-{number:016x}-01"
        step = Step(message_type, message_id, correlation_id, traceparent, own)
        self.steps.append(step)
        return step

    @property
    def told(self) -> list[tuple[str, str, bool]]:
        return [(step.type.split(".")[2], step.outcome, step.failed) for step in self.steps if step.told]


class Depot:
    """The till's worker with a follower and a tally, its database and its log."""

    def __init__(self) -> None:
        self.clock = FixedClock(NOON)
        self.log = MemoryLog(self.clock)
        for topic in (*till.topics, "till.events", "till.dlq"):
            self.log.create(topic, PARTITIONS)
        self.database = MemoryDatabase()
        self.follower, self.tally = Follower(), Tally()
        self.worker = Worker(
            till,
            self.database,
            self.log,
            self.clock,
            partitions=PARTITIONS,
            breaker=Breaker(20, build="depot"),
            monitor=self.tally,
            tracer=self.follower,
        )
        self._written = 0

    async def opened(self) -> Depot:
        await self.worker.assign(range(PARTITIONS))
        await self.worker.handle([await self.write(OpenAccount(buyer_id="ann", currency="CNY", balance=100))])
        self.follower.steps.clear()
        return self

    async def write(self, message: OpenAccount | SendParcel | ParcelPacked) -> Record:
        self._written += 1
        identity = f"{self._written:08d}-1111-4111-8111-111111111111"
        envelope = Envelope(
            identity, message.TYPE, "/shop", NOON, message.key, message.key, "c-1", traceparent=CAME_WITH
        )
        lane = home_partition(message.key, PARTITIONS)
        await self.log.publish([Outgoing(message.topic(), lane, message.key, envelope.headers(), message.to_json())])
        return (await self.log.read(message.topic(), lane, 0, 1000))[-1]

    async def published(self, topic: str) -> list[Envelope]:
        lane = home_partition("ann", PARTITIONS)
        return [Envelope.parse(one.headers, one.key) for one in await self.log.read(topic, lane, 0, 1000)]


def sending(note: str = "", price: int = 1, parcel_id: str = "p1") -> SendParcel:
    return SendParcel(buyer_id="ann", parcel_id=parcel_id, price=price, note=note)


@pytest.fixture
async def depot() -> Depot:
    return await Depot().opened()


async def test_a_message_is_followed_from_the_context_it_came_with_and_all_it_brings_about_carries_its_own(
    depot: Depot,
) -> None:
    await depot.worker.handle([await depot.write(sending())])
    (step,) = depot.follower.steps
    assert (step.type, step.correlation_id, step.parent) == (SendParcel.TYPE, "c-1", CAME_WITH)
    assert (step.outcome, step.failed, step.told) == ("DONE", False, True)
    opened, sent = await depot.published("till.events")
    assert (sent.traceparent, opened.traceparent == sent.traceparent) == (step.traceparent, False)
    async with depot.database.turn() as transaction:
        (armed,) = await transaction.held(["ann"], NOON + timedelta(days=1))
    assert armed.traceparent == step.traceparent


async def test_a_turn_that_is_rolled_back_tells_nobody_and_is_counted_as_undone(depot: Depot) -> None:
    record = await depot.write(sending())
    before = depot.tally.turns
    depot.database.faults.fail_next(Point.COMMIT, Unavailable("just now"))
    with pytest.raises(Unavailable):
        await depot.worker.handle([record])
    assert depot.follower.told == []
    assert (depot.tally.turns, depot.tally.undone) == (before, {Undone.UNAVAILABLE: 1})
    await depot.worker.handle([record])
    assert depot.follower.told == [("send_parcel", "DONE", False)]
    assert depot.tally.turns == before + 2  # the first looked whether the one nobody heard of had left something over


async def test_every_ending_of_a_message_is_told_and_a_message_that_waits_has_not_ended(depot: Depot) -> None:
    waiting = ParcelPacked(buyer_id="ann", parcel_id="p9", box="a")
    messages = [waiting, sending(), sending(price=9999, parcel_id="p2"), sending("crash", parcel_id="p3")]
    await depot.worker.handle([await depot.write(message) for message in messages])
    assert sorted(depot.follower.told) == [
        ("send_parcel", "BALANCE_TOO_LOW", False),
        ("send_parcel", "DONE", False),
        ("send_parcel", "HANDLER_FAILED", True),
    ]
    assert (depot.tally.handled, depot.tally.rejected, depot.tally.dead_letters) == (4, 1, 1)


async def test_a_deadline_is_followed_from_the_message_that_armed_it(depot: Depot) -> None:
    await depot.worker.handle([await depot.write(sending())])
    depot.clock.set(NOON + timedelta(hours=1))
    await depot.worker.idle()
    command, deadline = depot.follower.steps
    assert (deadline.type, deadline.parent, deadline.correlation_id) == ("REMIND", command.traceparent, "c-1")


async def test_an_engine_that_nobody_watches_does_the_same() -> None:
    depot = Depot()
    depot.worker = Worker(
        till, depot.database, depot.log, depot.clock, partitions=PARTITIONS, breaker=Breaker(20, build="depot")
    )
    await depot.opened()
    await depot.worker.handle([await depot.write(sending())])
    assert [one.balance for one in depot.database.rows(Account)] == [99]
    assert depot.follower.steps == []
