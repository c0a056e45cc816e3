"""A whole system in one process: the real engine and handlers over memory ports, with a clock that is moved by hand.

::

    world = await World(checkout, billing, adapters=[sandbox_provider], start=local("2027-03-01 09:00")).start()
    await world.tell(PlaceOrder(...))
    await world.advance(timedelta(days=7))
    assert await world.events(BillPaid)

It is deterministic: the same commands at the same times give the same world, to the last id.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar, cast
from uuid import UUID

from pydantic import ValidationError

from shared.contracts.envelope import Envelope, EnvelopeInvalid
from shared.contracts.message import Command, Event, Message, UnknownType, read_message
from shared.drivers.memory import MemoryDatabase
from shared.drivers.memory_log import INSTANT, MemoryClock, MemoryLog
from shared.engine.breaker import Breaker
from shared.engine.monitor import Monitor, Tally
from shared.engine.ports import Outgoing, Position, Record, TopicPartition, Unavailable
from shared.engine.service import Service
from shared.engine.vocabulary import Entry, Row
from shared.engine.worker import Worker
from shared.integration.adapter import Adapter
from shared.integration.answering import Answering
from shared.kernel.partition import home_partition
from shared.operations.traces import Traces

__all__ = ["Told", "World"]

E = TypeVar("E", bound=Event)
R = TypeVar("R", bound=Row)
N = TypeVar("N", bound=Entry)

PARTITIONS = 3
ROUNDS_MAX = 10_000
"""A world that has not settled after so many rounds never will."""


@dataclass(frozen=True, slots=True)
class Told:
    """One message as it stands on the log."""

    envelope: Envelope
    message: Message
    record: Record

    @classmethod
    def of(cls, record: Record) -> Told | None:
        """The message a record carries; None where nobody could read it."""
        try:
            envelope = Envelope.parse(record.headers, record.key)
            return cls(envelope, read_message(envelope.type, record.value or b""), record)
        except (EnvelopeInvalid, UnknownType, ValidationError):
            return None


class _Member:
    """One service of the world, in one process that owns every lane."""

    def __init__(
        self,
        service: Service,
        log: MemoryLog,
        clock: MemoryClock,
        records: int,
        breaker_keys: int,
        monitor: Monitor,
        traces: Traces | None,
    ) -> None:
        self.service = service
        self.monitor = monitor
        self.database = MemoryDatabase()
        self._log = log
        self._clock = clock
        self._records = records
        self._breaker = Breaker(breaker_keys, build="world")
        self._traces = traces
        self.worker = self._new_worker()

    def _new_worker(self) -> Worker:
        return Worker(
            self.service,
            self.database,
            self._log,
            self._clock,
            partitions=PARTITIONS,
            breaker=self._breaker,
            monitor=self.monitor,
            tracer=self._traces,
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

    def __init__(self, adapter: Adapter, log: MemoryLog, clock: MemoryClock, traces: Traces | None) -> None:
        self._adapter = adapter
        self._answering = Answering(adapter, clock=clock, partitions=PARTITIONS, at_once=1, traces=traces)
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
    """Services and adapters over one log and one clock. ``records`` is the most one turn handles.

    ``monitor`` gives each service, by its name, whom it tells what it does; ``traces`` each service and adapter its
    tracer, if it has one.
    """

    def __init__(
        self,
        *services: Service,
        start: datetime,
        adapters: Iterable[Adapter] = (),
        records: int = 500,
        breaker_keys: int = 20,
        monitor: Callable[[str], Monitor] = lambda _: Tally(),
        traces: Callable[[str], Traces | None] = lambda _: None,
    ) -> None:
        self.clock = MemoryClock(start)
        self.log = MemoryLog(self.clock)
        self._records = records
        self._breaker_keys = breaker_keys
        self._monitor = monitor
        self._traces = traces
        self._topics = {f"{service.name}.{kind}" for service in services for kind in ("commands", "events", "dlq")}
        self._topics |= {topic for service in services for topic in service.topics}
        for topic in sorted(self._topics):
            self.log.create(topic, PARTITIONS)
        self.members = {service.name: self._member(service, records) for service in services}
        self._outsiders: list[_Outsider] = []
        for adapter in adapters:
            self.admit(adapter)
        self._published = 0

    def admit(self, adapter: Adapter) -> World:
        """Let an adapter take part; it answers whatever is on the log."""
        self._outsiders.append(_Outsider(adapter, self.log, self.clock, self._traces(adapter.name)))
        return self

    async def start(self) -> World:
        for member in self.members.values():
            await member.join()
        return self

    async def lose(self, service: Service, *, records: int | None = None) -> None:
        """The service's database is gone for good: a new one reads its topics from zero, ``records`` in a turn."""
        self.members[service.name] = self._member(service, records or self._records)
        await self.members[service.name].join()

    def _member(self, service: Service, records: int) -> _Member:
        monitor, traces = self._monitor(service.name), self._traces(service.name)
        return _Member(service, self.log, self.clock, records, self._breaker_keys, monitor, traces)

    # ------------------------------------------------------------------ what happens

    async def publish(
        self,
        message: Command | Event,
        *,
        id: str | None = None,  # noqa: A002
        at: datetime | None = None,
    ) -> str:
        """Write a message as its sender would, now or as of ``at``; returns its id. Nothing has happened yet."""
        self._published += 1
        message_id = id or str(UUID(int=self._published, version=4))
        envelope = Envelope(
            id=message_id,
            type=message.TYPE,
            source="/world",
            time=at or await self.clock.now(),
            subject=str(getattr(message, message.SUBJECT)),
            key=message.key,
            correlation_id=message_id,
        )
        lane = home_partition(message.key, PARTITIONS)
        self.clock.elapse(INSTANT)
        await self.log.publish([Outgoing(message.topic(), lane, message.key, envelope.headers(), message.to_json())])
        return message_id

    async def settle(self) -> None:
        """Let everything happen that can happen at this business time; a cause always stands before its effects."""
        for _ in range(ROUNDS_MAX):
            busy = False
            everyone: list[_Member | _Outsider] = [*self.members.values(), *self._outsiders]
            for one in everyone:
                self.clock.elapse(INSTANT)
                busy |= await one.step()
            if not busy:
                return
        raise RuntimeError(f"not settled after {ROUNDS_MAX} rounds")

    async def tell(self, *messages: Command | Event) -> None:
        """Publish messages one after another, each settled before the next."""
        for message in messages:
            await self.publish(message)
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

    # ------------------------------------------------------------------ what is seen

    async def told(self, *topics: str) -> list[Told]:
        """Every readable message on these topics (none named: all), in the order of broker time."""
        found: list[Told] = []
        for topic in topics or sorted(self._topics):
            for lane in range(PARTITIONS):
                records = await self.log.read(topic, lane, 0, 1_000_000)
                found += [told for record in records if (told := Told.of(record)) is not None]
        return sorted(found, key=lambda one: (one.record.broker_time, one.record.topic, one.record.offset))

    async def events(self, kind: type[E]) -> list[E]:
        """Every event of one class, in order."""
        return [one.message for one in await self.told(kind.topic()) if isinstance(one.message, kind)]

    def rows(self, service: Service, kind: type[R]) -> Sequence[R]:
        """All rows of a class as they stand, in the order of their keys."""
        return cast("Sequence[R]", self.members[service.name].database.rows(kind))

    def entries(self, service: Service, kind: type[N]) -> Sequence[N]:
        """All entries of a class, in the order they were appended."""
        return cast("Sequence[N]", self.members[service.name].database.entries(kind))
