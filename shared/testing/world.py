"""A whole system in one process: the real engine and handlers over memory ports, with a clock that is moved by hand.

::

    world = World(checkout, billing, adapters=[sandbox_provider], start=local("2027-03-01 09:00"))
    await world.publish(PlaceOrder(...))
    await world.advance(days=7)
    assert world.events(BillPaid)

It is deterministic: the same commands at the same times give the same world, to the last id.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar
from uuid import UUID

from shared.contracts.envelope import Envelope
from shared.contracts.message import Command, Message, read_message
from shared.drivers.memory import MemoryDatabase
from shared.drivers.memory_log import INSTANT, MemoryClock, MemoryLog
from shared.engine.breaker import Breaker
from shared.engine.ports import Outgoing, Position, Record, TopicPartition, Unavailable
from shared.engine.service import Service
from shared.engine.vocabulary import Row
from shared.engine.worker import Worker
from shared.integration.adapter import Adapter
from shared.integration.answering import Answering
from shared.kernel.partition import home_partition

__all__ = ["Told", "World"]

M = TypeVar("M", bound=Message)
R = TypeVar("R", bound=Row)

PARTITIONS = 3
ROUNDS_MAX = 10_000
"""A world that has not settled after so many rounds never will."""


@dataclass(frozen=True, slots=True)
class Told:
    """One message as it stands on the log."""

    envelope: Envelope
    message: Message
    record: Record


class _Member:
    """One service of the world, in one process that owns every lane."""

    def __init__(self, service: Service, log: MemoryLog, clock: MemoryClock, records: int, breaker_keys: int) -> None:
        self.service = service
        self.database = MemoryDatabase()
        self._log = log
        self._clock = clock
        self._records = records
        self._breaker = Breaker(breaker_keys, build="world")
        self.worker = self._new_worker()

    def _new_worker(self) -> Worker:
        return Worker(
            self.service, self.database, self._log, self._clock, partitions=PARTITIONS, breaker=self._breaker
        )

    async def join(self) -> None:
        await self.worker.assign(range(PARTITIONS))

    async def read(self) -> list[Record]:
        """The records this service has not handled, at most as many as one turn takes."""
        unread: list[Record] = []
        for topic in self.service.topics:
            for lane in range(PARTITIONS):
                place = TopicPartition(topic, lane)
                position = self.worker.positions.get(place, Position(0, None))
                unread += await self._log.read(topic, lane, position.next_offset, self._records)
        unread.sort(key=lambda record: (record.broker_time, record.topic, record.partition, record.offset))
        return unread[: self._records]

    async def step(self) -> bool:
        """One turn, if there is anything to do; where the world does not answer, it is tried again at the next."""
        try:
            if records := await self.read():
                await self.worker.handle(records)
                return True
            return await self.worker.idle()
        except Unavailable:
            return True

    async def restart(self) -> None:
        """The process dies without a word and another takes its place: only what was committed is left."""
        self.worker = self._new_worker()
        await self.join()


class _Outsider:
    """One adapter of the world: answers what it has not answered, as the real one would on redelivery."""

    def __init__(self, adapter: Adapter, log: MemoryLog, clock: MemoryClock) -> None:
        self._adapter = adapter
        self._answering = Answering(adapter, clock=clock, partitions=PARTITIONS, at_once=1)
        self._log = log
        self._offsets: dict[TopicPartition, int] = {}

    async def step(self) -> bool:
        busy = False
        for topic in self._adapter.topics:
            for lane in range(PARTITIONS):
                place = TopicPartition(topic, lane)
                for record in await self._log.read(topic, lane, self._offsets.get(place, 0), 100):
                    self._offsets[place] = record.offset + 1
                    request = self._answering.read(record)
                    if request is not None:
                        await self._log.publish(await self._answering.answer(request))
                    busy = True
        return busy


class World:
    """Services and adapters over one log and one clock. ``records`` is the most one turn handles."""

    def __init__(
        self,
        *services: Service,
        start: datetime,
        adapters: Iterable[Adapter] = (),
        records: int = 500,
        breaker_keys: int = 20,
    ) -> None:
        self.clock = MemoryClock(start)
        self.log = MemoryLog(self.clock)
        self._topics = {f"{service.name}.{kind}" for service in services for kind in ("commands", "events", "dlq")}
        self._topics |= {topic for service in services for topic in service.topics}
        for topic in sorted(self._topics):
            self.log.create(topic, PARTITIONS)
        self.members = {one.name: _Member(one, self.log, self.clock, records, breaker_keys) for one in services}
        self._outsiders = [_Outsider(one, self.log, self.clock) for one in adapters]
        self._published = 0

    async def start(self) -> World:
        for member in self.members.values():
            await member.join()
        return self

    async def publish(self, command: Command, *, id: str | None = None, at: datetime | None = None) -> str:  # noqa: A002
        """Write a command as an integrator would, now or as of ``at``; returns its id. Nothing has happened yet."""
        self._published += 1
        message_id = id or str(UUID(int=self._published, version=4))
        envelope = Envelope(
            id=message_id,
            type=command.TYPE,
            source="/world",
            time=at or await self.clock.now(),
            subject=str(getattr(command, command.SUBJECT)),
            key=command.key,
            correlation_id=message_id,
        )
        lane = home_partition(command.key, PARTITIONS)
        self.clock.elapse(INSTANT)
        await self.log.publish([Outgoing(command.topic(), lane, command.key, envelope.headers(), command.to_json())])
        return message_id

    async def settle(self) -> None:
        """Let everything happen that can happen at this business time."""
        for _ in range(ROUNDS_MAX):
            self.clock.elapse(INSTANT)
            busy = [await member.step() for member in self.members.values()]
            busy += [await outsider.step() for outsider in self._outsiders]
            if not any(busy):
                return
        raise RuntimeError(f"not settled after {ROUNDS_MAX} rounds")

    async def tell(self, *commands: Command) -> None:
        """Publish commands one after another, each settled before the next."""
        for command in commands:
            await self.publish(command)
            await self.settle()

    async def advance(self, by: timedelta | None = None, *, to: datetime | None = None) -> None:
        """Move business time from due instant to due instant over all services, settling in between."""
        await self.settle()
        target = to or await self.clock.now() + (by or timedelta())
        while (now := await self.clock.now()) < target:
            upcoming = [due for one in self.members.values() if (due := await one.database.next_due())]
            ahead = min((due for due in upcoming if due > now), default=target)
            self.clock.advance(min(ahead, target))
            await self.settle()

    async def told(self, *topics: str) -> list[Told]:
        """Every readable message on these topics (none named: all), in the order of broker time."""
        found: list[Told] = []
        for topic in topics or sorted(self._topics):
            for lane in range(PARTITIONS):
                for record in await self.log.read(topic, lane, 0, 1_000_000):
                    envelope = Envelope.parse(record.headers, record.key)
                    found.append(Told(envelope, read_message(envelope.type, record.value or b""), record))
        return sorted(found, key=lambda one: (one.record.broker_time, one.record.topic, one.record.offset))

    async def events(self, kind: type[M]) -> list[M]:
        """Every event of one class, in order."""
        return [one.message for one in await self.told(kind.topic()) if isinstance(one.message, kind)]  # type: ignore[attr-defined]

    def rows(self, service: Service, kind: type[R]) -> Sequence[R]:
        """All rows of a class as they stand."""
        return self.members[service.name].database.rows(kind)  # type: ignore[return-value]
