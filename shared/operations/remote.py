"""A running system seen from outside: commands go in, events come out, time can be moved, calm can be awaited.

The command line, the demo and the tests work through it, with nothing but what any operator has: the broker's address
and one DSN a service.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, Self, TypeVar
from uuid import uuid4

from shared.contracts.clock import CLOCK_TOPIC, BusinessTimeAdvanced
from shared.contracts.envelope import Envelope
from shared.contracts.message import Command, Event
from shared.drivers.clock import FollowedClock, SystemClock, clock_of
from shared.drivers.kafka import KafkaLog
from shared.drivers.observer import Observer
from shared.drivers.postgres import PostgresDatabase
from shared.drivers.topics import topic_plan, verify_topics
from shared.engine.inspection import Standing
from shared.engine.ports import Line, Outgoing, TopicPartition
from shared.kernel.partition import home_partition
from shared.operations.sightings import Moment, Sighting, moments, sighted

__all__ = ["Access", "ClockFixed", "NotSettled", "RunningSystem", "set_time", "unread_of"]

E = TypeVar("E", bound=Event)

LOOK_AGAIN_S = 0.02
LOOK_AGAIN_MAX_S = 0.2
"""Pause between two looks at a system that is not settled yet. A look costs a dozen questions that the system must
answer beside its work, so each pause is half as long again as the one before."""

SETTLE_TIMEOUT_S = 60.0

BROKER_TICK_S = 0.002
"""Broker time counts milliseconds: what is written in the same one as an advance still belongs to the time before."""


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach a system. ``readers`` maps each service, ``adapters`` each adapter to the topics it reads.

    Whoever is named here is all of the system that is looked at.
    """

    bootstrap: str
    clock: Literal["system", "movable"] = "system"
    dsns: Mapping[str, str] = field(default_factory=dict)
    readers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    adapters: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def topics(self) -> tuple[str, ...]:
        """Every topic of these services, and every other one that they or the adapters read; sorted."""
        own = {topic.name for topic in topic_plan(self.readers)}
        return tuple(sorted(own.union(*self.readers.values(), *self.adapters.values())))


class NotSettled(Exception):
    """The system did not come to rest in time; ``reasons`` say what was still open."""

    def __init__(self, reasons: Iterable[str]) -> None:
        self.reasons = tuple(reasons)
        super().__init__("not settled: " + "; ".join(self.reasons or ("messages keep arriving",)))


class ClockFixed(Exception):
    """The system runs on the wall clock: nobody can move it."""


class RunningSystem:
    """Use it as a context manager. Whatever does not answer raises ``Unavailable``."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self.databases: dict[str, PostgresDatabase] = {}
        self._clock: SystemClock | FollowedClock = clock_of(access.clock, access.bootstrap)
        self._log = KafkaLog(access.bootstrap)
        self._observer = Observer(access.bootstrap)
        self._open = AsyncExitStack()
        self._places: list[TopicPartition] = []
        self._partitions = 1

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as opening:
            await opening.enter_async_context(self._observer)
            self._partitions = await verify_topics(self.access.bootstrap, self.access.topics)
            self._places = await self._observer.partitions(self.access.topics)
            opening.push_async_callback(self._log.stop)
            await self._clock.start()
            opening.push_async_callback(self._clock.stop)
            for name, dsn in self.access.dsns.items():
                self.databases[name] = await PostgresDatabase.open(dsn, name, pool_size=2)
                opening.push_async_callback(self.databases[name].close)
            self._open = opening.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._open.aclose()

    # -------------------------------------------------------------- messages

    async def publish(
        self,
        command: Command,
        *,
        at: datetime | None = None,
        message_id: str | None = None,
        source: str = "/houfu/cli",
    ) -> str:
        """Write a command as an integrator would, as of ``at`` or now; returns its id once the broker has it."""
        message_id = message_id or str(uuid4())
        envelope = Envelope(
            id=message_id,
            type=command.TYPE,
            source=source,
            time=at or await self.now(),
            subject=str(getattr(command, command.SUBJECT)),
            key=command.key,
            correlation_id=message_id,
        )
        await self._append(command, envelope, home_partition(command.key, self._partitions))
        return message_id

    async def tell(self, *commands: Command) -> None:
        """Publish commands in this order and let everything come of them that can come now."""
        for command in commands:
            await self.publish(command)
        await self.settled()

    async def sightings(self) -> list[Sighting]:
        """Every command and event there is, in the order of the broker."""
        found = [sighted(record) async for record in self._observer.records_of(self._spoken())]
        return sorted(found, key=lambda one: one.place)

    async def follow(self, *, from_beginning: bool = False) -> AsyncGenerator[Sighting, None]:
        """Every command and event that arrives from now on, or from the beginning on; without an end."""
        since = await self._observer.ends(self._spoken())
        if from_beginning:
            standing = await self.sightings()
            for one in standing:
                place = TopicPartition(one.record.topic, one.record.partition)
                since[place] = max(since[place], one.record.offset + 1)
            for one in standing:
                yield one
        async with aclosing(self._observer.follow(since)) as arriving:
            async for batch in arriving:
                for one in sorted(map(sighted, batch), key=lambda one: one.place):
                    yield one

    async def history(self, key: str) -> list[Moment]:
        """Every valid command and event of one owner so far, in order, each once."""
        home = home_partition(key, self._partitions)
        lane = [one for one in self._spoken() if one.partition == home]
        found = [sighted(record) async for record in self._observer.records_of(lane)]
        return moments(one for one in found if one.key == key)

    async def events(self, kind: type[E], key: str) -> list[E]:
        """Every event of one class of one owner, in order, each once."""
        return [one.message for one in await self.history(key) if isinstance(one.message, kind)]

    def _spoken(self) -> list[TopicPartition]:
        """Where commands and events are: every topic but the notices of dead letters and the clock."""
        return [one for one in self._places if one.topic.endswith((".commands", ".events"))]

    # -------------------------------------------------------------- time

    async def now(self) -> datetime:
        """The business time."""
        return await self._clock.now()

    async def set_time(self, now: datetime) -> None:
        """Record that business time stands at ``now``; what is written after this call belongs to it."""
        await set_time(self._log, now)

    async def advance(
        self,
        by: timedelta | None = None,
        *,
        to: datetime | None = None,
        patience_s: float = SETTLE_TIMEOUT_S,
        watch: Callable[[datetime], None] | None = None,
    ) -> datetime:
        """Move business time from due instant to due instant over all services, settling at each; returns the time.

        Raises :class:`ClockFixed` on the wall clock, :class:`NotSettled` if some instant takes more than
        ``patience_s`` seconds.
        """
        if self.access.clock != "movable":
            raise ClockFixed("this system runs on the wall clock; start it with --clock movable")
        await self.settled(patience_s)
        target = to or await self.now() + (by or timedelta())
        while (now := await self.now()) < target:
            dues = [one.earliest_due for one in (await self.standing()).values()]
            await self.set_time(min([target, *(due for due in dues if due and due > now)]))
            await self.settled(patience_s)
            if watch is not None:
                watch(await self.now())
        return await self.now()

    # -------------------------------------------------------------- operators

    async def resume_line(self, service: str) -> None:
        """Let a line run again that the breaker had stopped."""
        await self.databases[service].stop_line(Line(resumed_at=await self.now()))

    # -------------------------------------------------------------- calm

    async def standing(self) -> dict[str, Standing]:
        """How each service stands."""
        return {name: await database.standing() for name, database in self.databases.items()}

    async def settled(self, timeout_s: float = SETTLE_TIMEOUT_S) -> None:
        """Return when nothing is unread anywhere and nothing is due; :class:`NotSettled` after ``timeout_s``."""
        until, pause_s = time.monotonic() + timeout_s, LOOK_AGAIN_S
        while True:
            before = await self._observer.ends(self._places)
            reasons = await self.unsettled(before)
            if not reasons and await self._observer.ends(self._places) == before:
                return
            if time.monotonic() > until:
                raise NotSettled(reasons)
            await asyncio.sleep(pause_s)
            pause_s = min(LOOK_AGAIN_MAX_S, 1.5 * pause_s)

    async def unsettled(self, ends: Mapping[TopicPartition, int] | None = None) -> list[str]:
        """What is still open, measured against ``ends`` of the topics (by default: as they are now)."""
        ends = ends if ends is not None else await self._observer.ends(self._places)
        now = await self.now()
        reasons = []
        for name, standing in (await self.standing()).items():
            positions = {place: position.next_offset for place, position in standing.positions.items()}
            if unread := await unread_of(self._observer, ends, self.access.readers.get(name, ()), positions):
                reasons.append(f"{name} has {unread} unread")
            if standing.outbox_rows:
                reasons.append(f"{name} is not sure that everything was published")
            if standing.earliest_due and standing.earliest_due <= now:
                reasons.append(f"{name} has deadlines due")
            if standing.line.stopped:
                reasons.append(f"the line of {name} is stopped: {standing.line.reason}")
        for name, topics in self.access.adapters.items():
            committed = await self._observer.committed(name)
            if committed and (unread := await unread_of(self._observer, ends, topics, committed)):
                reasons.append(f"{name} has {unread} unanswered")
        return reasons

    async def lag(self) -> dict[str, int]:
        """Unread records of each service and adapter."""
        ends = await self._observer.ends(self._places)
        standing = await self.standing()
        found = {
            name: await unread_of(
                self._observer,
                ends,
                self.access.readers.get(name, ()),
                {place: one.next_offset for place, one in it.positions.items()},
            )
            for name, it in standing.items()
        }
        for name, topics in self.access.adapters.items():
            if committed := await self._observer.committed(name):
                found[name] = await unread_of(self._observer, ends, topics, committed)
        return found

    async def _append(self, message: Command, envelope: Envelope, partition: int) -> None:
        body = message.to_json()
        await self._log.publish([Outgoing(message.topic(), partition, envelope.key, envelope.headers(), body)])


async def unread_of(
    observer: Observer,
    ends: Mapping[TopicPartition, int],
    topics: Iterable[str],
    read: Mapping[TopicPartition, int],
) -> int:
    """How many records of ``topics`` somebody has not read who has ``read`` so far, measured against ``ends``."""
    wanted = set(topics)
    behind = {one: end for one, end in ends.items() if one.topic in wanted and read.get(one, 0) < end}
    if not behind:
        return 0
    beginnings = await observer.beginnings(behind)  # what retention took away is nobody's to read
    return sum(max(0, end - max(beginnings[one], read.get(one, 0))) for one, end in behind.items())


async def set_time(log: KafkaLog, now: datetime) -> None:
    """Record on the clock's topic that business time stands at ``now``, and let the broker's millisecond pass."""
    advance = BusinessTimeAdvanced(now=now)
    message_id = str(uuid4())
    envelope = Envelope(message_id, advance.TYPE, "/houfu/cli", now, advance.clock, advance.key, message_id)
    await log.publish([Outgoing(CLOCK_TOPIC, 0, advance.key, envelope.headers(), advance.to_json())])
    await asyncio.sleep(BROKER_TICK_S)
