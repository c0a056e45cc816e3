"""A process's share of a service: the lanes it owns, and the turns it takes on them.

The drivers call :meth:`Worker.assign`, :meth:`Worker.take_up`, :meth:`Worker.settle`, :meth:`Worker.idle` and
:meth:`Worker.revoke`, one at a time; everything else (retrying, seeking, committing offsets) follows from what these
return or raise.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import perf_counter

from shared.engine.breaker import Breaker, LineStopped, Tripped
from shared.engine.held import ROW_PATIENCE, named
from shared.engine.intake import Arrival, Intake, Skipped
from shared.engine.monitor import Monitor, Tally, Tracer, TurnReport, Undone
from shared.engine.ports import (
    Attempt,
    Clock,
    Database,
    DataRefused,
    Line,
    Log,
    Position,
    Record,
    TopicPartition,
    Unavailable,
)
from shared.engine.run import ProcessKilled
from shared.engine.sender import Sender
from shared.engine.service import Service
from shared.engine.turn import DUE_KEYS_MAX, Culprit, Outcome, Reading, Turn
from shared.kernel.partition import home_partition

__all__ = ["FORGOTTEN_MAX", "MANY", "TRIES_MAX", "TURNS_AT_ONCE", "Worker"]

log = logging.getLogger(__name__)

TRIES_MAX = 3
"""A record whose turn never ended this many times is a dead letter."""

TURNS_AT_ONCE = 2
"""Turns with no partition in common run side by side: while the database works for one, the other's handlers run."""

TURNS_AHEAD = 2
"""Turns that wait for their place meanwhile, their records read: whoever ends is followed at once."""

MANY = 200
"""Fewer records than this are handled in one turn before anything else begins: nobody waits behind them."""

FORGOTTEN_MAX = 10_000
"""Most inbox rows removed at a time."""

Condemned = Mapping[str, BaseException]
Take = Callable[[Condemned, bool], Awaitable[Outcome]]
"""Takes one turn: (condemned messages, careful)."""


@dataclass(slots=True)
class _Lane:
    """What a process remembers of a lane between two turns."""

    acknowledged: list[int] = field(default_factory=list)
    """Outbox rows the log has acknowledged and the next turn removes."""
    leftover: bool = True
    """There may be outbox rows nobody has published, nor is about to."""
    proven: bool = False
    """A turn of records has ended here since the lane was assigned."""
    timely: bool = False
    """A turn of time has."""
    suspect: Attempt | None = None
    """A turn that began before the lane was assigned and never ended."""


class Worker:
    """Takes turns for one service on the lanes assigned to this process.

    ``monitor`` is told what they did, ``tracer`` follows their messages.
    """

    def __init__(
        self,
        service: Service,
        database: Database,
        stream: Log,
        clock: Clock,
        *,
        partitions: int,
        breaker: Breaker,
        monitor: Monitor | None = None,
        tracer: Tracer | None = None,
    ) -> None:
        self._service = service
        self._database = database
        self._stream = stream
        self._clock = clock
        self._partitions = partitions
        self._breaker = breaker
        self._intake = Intake(service, clock, partitions)
        sender = Sender(service, partitions)
        self._turn = Turn(service, database, clock, self._intake, sender, breaker, partitions, tracer)
        self._monitor = monitor or Tally()
        self._lanes: dict[int, _Lane] = {}
        self._strays: set[int] = set()
        """Lanes of other processes that may hold what a turn of this one left unpublished."""
        self._under_way: dict[asyncio.Task[None], frozenset[int]] = {}
        """Turns that run or wait for their place, with the partitions of their records."""
        self._places = asyncio.Semaphore(TURNS_AT_ONCE)
        self._reached: dict[TopicPartition, datetime] = {}
        """Up to which broker time each partition was taken up."""
        self.positions: dict[TopicPartition, Position] = {}

    # ------------------------------------------------------------------ lanes

    async def assign(self, lanes: Iterable[int]) -> dict[TopicPartition, Position]:
        """Own these lanes from now on; returns where each topic goes on (absent: from the beginning)."""
        mine = sorted(set(lanes))
        await self.settle()
        await self._restart_line()
        async with self._database.turn() as transaction:
            positions = await transaction.positions(mine)
        for lane in mine:
            self._lanes[lane] = _Lane()
        for attempt in await self._database.attempts(mine):
            log.warning("a turn of lane %d never ended (%d times): going one by one", attempt.lane, attempt.tries)
            self._lanes[attempt.lane].suspect = attempt
        self.positions.update(positions)
        self._reached.clear()
        self._strays.clear()  # whoever owns them has been assigned anew, too
        return positions

    async def revoke(self, lanes: Iterable[int]) -> None:
        """Give these lanes up: turns come to their end first, and what is published is removed from the outbox."""
        with suppress(Exception):  # whoever owns the lanes next begins where the positions say
            await self.settle()
        mine = [lane for lane in lanes if lane in self._lanes]
        acknowledged = [seq for lane in mine for seq in self._lanes[lane].acknowledged]
        try:
            if acknowledged:
                async with self._database.turn() as transaction:
                    await transaction.fence(mine)
                    await transaction.outbox(mine, acknowledged)
        finally:
            for lane in mine:
                del self._lanes[lane]
                self.positions = {place: at for place, at in self.positions.items() if place.partition != lane}
            self._reached.clear()

    @property
    def lanes(self) -> list[int]:
        return sorted(self._lanes)

    async def _restart_line(self) -> None:
        """A line stopped under another build runs again under this one."""
        async with self._database.turn() as transaction:
            line = await transaction.line()
        if line.stopped and not self._breaker.stands(line):
            log.warning("the line was stopped under build %s and runs again under %s", line.build, self._breaker.build)
            await self._database.stop_line(Line(resumed_at=await self._clock.now()))

    # ------------------------------------------------------------------ turns

    async def handle(self, records: Sequence[Record]) -> None:
        """Handle records and publish.

        Raises :class:`Unavailable` (nothing is lost, try again from ``positions``) and :class:`LineStopped`.
        """
        await self.take_up(records)
        await self.settle()

    async def take_up(self, records: Sequence[Record]) -> None:
        """Begin to handle records: few are handled at once, many while the next ones are read.

        This returns when no more than so many turns are under way that the next records may be read.
        Raises what :meth:`handle` raises, also for what was taken up before. Then no turn runs any more, and
        ``positions`` say how far everything has come.
        """
        await self._clock.now()  # the clock has read every advance older than these records
        readings = self._intake.read(self._in_order(records))
        try:
            await self._publish_leftovers()
            if len(readings) >= MANY and not any(self._is_suspect(one.record) for one in readings):
                for share in _shares(readings):
                    await self._begin(share)
            else:
                await self.settle()
                await self._at_once(readings)
        except BaseException:
            with suppress(Exception):
                await self.settle()
            self._reached.clear()
            raise

    @property
    def busy(self) -> bool:
        """Something that was taken up is not handled yet."""
        return not all(turn.done() for turn in self._under_way)

    async def settle(self) -> None:
        """Everything that was taken up is handled, or what :meth:`take_up` would raise is raised."""
        try:
            if self._under_way:
                await asyncio.wait(self._under_way)  # who is told to stop waiting stops no turn
            self._collect()
        except BaseException:
            self._reached.clear()
            raise

    async def _begin(self, share: Sequence[Reading]) -> None:
        """Let a turn follow those before it, as soon as fewer than so many wait."""
        while len(self._under_way) >= TURNS_AT_ONCE + TURNS_AHEAD:
            await asyncio.wait(self._under_way, return_when=asyncio.FIRST_COMPLETED)
            self._collect()
        partitions = frozenset(one.record.partition for one in share)
        before = [turn for turn, theirs in self._under_way.items() if theirs & partitions]
        self._under_way[asyncio.create_task(self._follow(before, share), name="a turn")] = partitions

    async def _follow(self, before: Sequence[asyncio.Task[None]], share: Sequence[Reading]) -> None:
        """Take a turn after those with a partition in common, which must have ended well, when there is a place."""
        if before:
            await asyncio.wait(before)
            _raise_first_of(before)
        async with self._places:
            await self._turn_of(share)

    def _collect(self) -> None:
        """Forget the turns that have ended; raise what the first of them that failed raised."""
        ended = [turn for turn in self._under_way if turn.done()]
        for one in ended:
            del self._under_way[one]
        _raise_first_of(ended)

    async def _at_once(self, readings: Sequence[Reading]) -> None:
        """Handle readings while nothing else runs; those of a turn that never ended one by one."""
        suspected = [one for one in readings if self._is_suspect(one.record)]
        rest = [one for one in readings if not self._is_suspect(one.record)] if suspected else readings
        for one in suspected:
            await self._single_file(one)
        if rest:
            await self._turn_of(rest)

    async def _turn_of(self, readings: Sequence[Reading]) -> None:
        """One turn, marked on lanes where none has ended yet."""
        unproven = [lane for lane in sorted({one.record.partition for one in readings}) if not self._proven(lane)]
        async with self._marked(_marks(readings, unproven, tries=1)):
            await self._records(readings, {})
        for lane in unproven:
            self._lanes[lane].proven = True

    async def idle(self) -> bool:
        """Let come up what is due, publish what was left over, tidy the outbox; False if there was nothing to do."""
        await self.settle()
        if not self._lanes:
            return False
        published = await self._publish_leftovers()
        now = await self._clock.now()
        due = await self._due_by_lane(now)
        lanes = sorted(due.keys() | {lane for lane, state in self._lanes.items() if state.acknowledged})
        if not lanes:
            return published
        ends = await self._stream.ends(TopicPartition(topic, lane) for topic in self._service.topics for lane in lanes)
        for lane in due:
            await self._single_keys(lane, due[lane], now, ends)
        outcome = await self._time_of(lanes, due, now, ends)
        return bool(outcome.report.came_up or outcome.outgoing)

    async def _publish_leftovers(self) -> bool:
        """Publish what is left over before anything is added: an outbox that the log does not take must not grow."""
        if not self._lanes_left_behind():
            return False
        await self.settle()
        if not (lanes := self._lanes_left_behind()):
            return False
        outcome = await self._time(lanes, await self._clock.now(), {}, {}, keys=0)
        return bool(outcome.outgoing)

    def _lanes_left_behind(self) -> list[int]:
        return sorted(self._strays | {lane for lane, state in self._lanes.items() if state.leftover})

    async def forget(self, older_than: timedelta) -> int:
        """Remove inbox rows older than that, a bounded number at a time; returns how many went.

        Their age is counted on the log, by broker time: as long as a command can be read again, its id is known. A
        sandbox's business time may run through months in a minute.
        """
        reached = [one.reached for one in self.positions.values() if one.reached is not None]
        return await self._database.prune(max(reached) - older_than, FORGOTTEN_MAX) if reached else 0

    async def _due_by_lane(self, now: datetime) -> dict[int, list[str]]:
        """The keys of which something is due, by lane."""
        async with self._database.turn() as transaction:
            line = await transaction.line()
            if self._breaker.stands(line):
                raise LineStopped(line.reason)
            horizons = dict.fromkeys(self._lanes, now)
            patience = dict.fromkeys(self._lanes, now - ROW_PATIENCE)
            keys = await transaction.due(horizons, patience, DUE_KEYS_MAX)
        due: dict[int, list[str]] = defaultdict(list)
        for key in keys:
            if (lane := home_partition(key, self._partitions)) in self._lanes:
                due[lane].append(key)
        return due

    async def _records(self, readings: Sequence[Reading], condemned: Condemned) -> None:
        lanes = {one.record.partition for one in readings}
        lanes |= {one.lane for one in readings if not isinstance(one, Skipped)}

        async def take(condemned: Condemned, careful: bool) -> Outcome:
            return await self._turn.of_records(readings, self._take_acknowledged(lanes), condemned, careful=careful)

        if len(readings) == 1:
            outcome = await self._find_culprits(take, lanes, condemned)
        else:
            try:
                outcome = await self._guarded(take, lanes, condemned)
            except DataRefused:
                middle = len(readings) // 2
                await self._records(readings[:middle], condemned)
                await self._records(readings[middle:], condemned)
                return
        await self._publish(outcome)

    async def _time_of(
        self, lanes: Sequence[int], due: Mapping[int, Sequence[str]], now: datetime, ends: Mapping[TopicPartition, int]
    ) -> Outcome:
        """One turn of time, marked on lanes where none has ended yet."""
        unproven = [lane for lane in due if not self._lanes[lane].timely]
        async with self._marked([Attempt(lane, {}, 1, tuple(due[lane])) for lane in unproven]):
            outcome = await self._time(lanes, now, ends, {}, DUE_KEYS_MAX)
        for lane in unproven:
            self._lanes[lane].timely = True
        return outcome

    async def _time(
        self,
        lanes: Sequence[int],
        now: datetime,
        ends: Mapping[TopicPartition, int],
        condemned: Condemned,
        keys: int,
        only: str | None = None,
    ) -> Outcome:
        async def take(condemned: Condemned, careful: bool) -> Outcome:
            return await self._turn.of_time(
                lanes,
                now,
                ends,
                self._take_acknowledged(lanes),
                condemned,
                careful=careful,
                keys_max=keys,
                only=only,
            )

        if keys == 1:
            outcome = await self._find_culprits(take, lanes, condemned)
        else:
            try:
                outcome = await self._guarded(take, lanes, condemned)
            except DataRefused:
                return await self._time(lanes, now, ends, condemned, 1)
        await self._publish(outcome)
        return outcome

    async def _guarded(
        self, take: Take, lanes: Iterable[int], condemned: Condemned, *, careful: bool = False
    ) -> Outcome:
        """Take a turn and tell how it ended; if the breaker trips, stop the line instead."""
        began = perf_counter()
        try:
            outcome = await take(condemned, careful)
        except Tripped as tripped:
            self._monitor.turn_undone(Undone.STOPPED)
            log.error("line.stopped", extra={"facts": {"reason": str(tripped)}})
            await self._database.stop_line(self._breaker.stopped(str(tripped), await self._clock.now()))
            raise LineStopped(str(tripped)) from tripped
        except Exception as failure:
            self._leave_behind(lanes)  # it may have been committed, and only the answer been lost
            self._monitor.turn_undone(_why(failure))
            raise
        outcome.report.seconds = perf_counter() - began
        self.positions.update(outcome.positions)
        self._remember(outcome.lanes, {})
        self._tell(outcome.report, outcome.lanes)
        return outcome

    async def _find_culprits(self, take: Take, lanes: Iterable[int], condemned: Condemned) -> Outcome:
        """Take a small turn; each message whose data the database refuses is condemned and the turn taken again."""
        known = dict(condemned)
        while True:
            with suppress(DataRefused):
                return await self._guarded(take, lanes, known)
            try:
                return await self._guarded(take, lanes, known, careful=True)
            except Culprit as culprit:
                if culprit.message_id in known:
                    raise
                known[culprit.message_id] = culprit.error

    async def _publish(self, outcome: Outcome) -> None:
        if outcome.outgoing:
            began = perf_counter()
            try:
                await self._stream.publish(outcome.outgoing)
            except BaseException as failure:
                self._leave_behind(outcome.lanes)
                if isinstance(failure, Unavailable):
                    self._monitor.publishing_failed()
                raise
            self._monitor.published(len(outcome.outgoing), perf_counter() - began)
        self._remember(outcome.lanes, outcome.seqs)
        await self._tidy_up_elsewhere(outcome)

    async def _tidy_up_elsewhere(self, outcome: Outcome) -> None:
        """Remove what was published for lanes of another process: a record stood in another partition than its key's.

        The other process does not know of it and would keep it until its next turn there.
        """
        strays = [seq for lane, seqs in outcome.seqs.items() if lane not in self._lanes for seq in seqs]
        if strays:
            async with self._database.turn() as transaction:
                await transaction.outbox([], strays)

    def _tell(self, report: TurnReport, lanes: Sequence[int]) -> None:
        """A turn is committed: from now on it counts."""
        self._monitor.turn_ended(report)
        for span in report.spans:
            span.tell()
        for dead in report.dead:
            log.warning("message.dead_lettered", extra={"facts": named(dead)})
        if log.isEnabledFor(logging.DEBUG):
            log.debug("turn.ended", extra={"facts": {"lanes": list(lanes), **report.summed()}})

    def _take_acknowledged(self, lanes: Iterable[int]) -> list[int]:
        return [seq for lane in lanes if lane in self._lanes for seq in self._lanes[lane].acknowledged]

    def _leave_behind(self, lanes: Iterable[int]) -> None:
        """Nobody will publish what stands in the outbox of these lanes, unless it is looked after."""
        for lane in lanes:
            if lane in self._lanes:
                self._lanes[lane].leftover = True
            else:
                self._strays.add(lane)

    def _remember(self, lanes: Iterable[int], acknowledged: Mapping[int, list[int]]) -> None:
        """Nothing of these lanes is left over; these outbox rows are to be removed."""
        for lane in lanes:
            self._strays.discard(lane)
            if lane in self._lanes:
                state = self._lanes[lane]
                state.acknowledged, state.leftover = acknowledged.get(lane, []), False

    def _position(self, place: TopicPartition) -> Position:
        return self.positions.get(place) or Position(0, None)

    def _in_order(self, records: Sequence[Record]) -> list[Record]:
        """By broker time across topics and lanes: its running maximum per partition, then topic, partition, offset."""
        running: dict[TopicPartition, datetime] = {}
        keyed = []
        for record in sorted(records, key=lambda one: (one.topic, one.partition, one.offset)):
            place = TopicPartition(record.topic, record.partition)
            before = running.get(place) or self._reached.get(place) or self._position(place).reached
            running[place] = max(before, record.broker_time) if before else record.broker_time
            keyed.append((running[place], *place, record.offset, record))
        self._reached.update(running)
        keyed.sort(key=lambda one: one[:4])
        return [one[4] for one in keyed]

    # ------------------------------------------------------------------ records that end the process

    def _proven(self, lane: int) -> bool:
        return lane not in self._lanes or self._lanes[lane].proven

    def _is_suspect(self, record: Record) -> bool:
        state = self._lanes.get(record.partition)
        if state is None or state.suspect is None:
            return False
        place = TopicPartition(record.topic, record.partition)
        handled = self._position(place).next_offset  # what is read again is beyond suspicion
        return handled <= record.offset < state.suspect.reach.get(f"{place.topic}:{place.partition}", 0)

    async def _single_file(self, reading: Reading) -> None:
        """Handle one record of a turn that never ended in a turn of its own, marked with the tries so far."""
        lane = reading.record.partition
        suspect = self._lanes[lane].suspect
        tries = suspect.tries if suspect is not None else 0
        condemned: dict[str, BaseException] = {}
        if tries >= TRIES_MAX and isinstance(reading, Arrival):
            condemned[reading.envelope.id] = ProcessKilled(f"its turn never ended, {tries} times")
            if tries > TRIES_MAX:  # not even without it: what comes up before it does not end
                condemned[reading.envelope.key] = ProcessKilled(f"a turn never ended, {tries} times")
        async with self._marked(_marks([reading], [lane], tries=tries + 1)):
            await self._records([reading], condemned)
        if suspect is not None and tries > 1:
            self._lanes[lane].suspect = None

    async def _single_keys(
        self, lane: int, due: Sequence[str], now: datetime, ends: Mapping[TopicPartition, int]
    ) -> None:
        """Let come up what each key of a turn that never ended holds, in turns of their own, marked with the tries."""
        suspect = self._lanes[lane].suspect
        if suspect is None or not suspect.keys:
            return
        for key in [key for key in suspect.keys if key in due]:
            killed = ProcessKilled(f"a turn never ended, {suspect.tries} times")
            condemned = {key: killed} if suspect.tries >= TRIES_MAX else {}
            async with self._marked([Attempt(lane, {}, suspect.tries + 1, (key,))]):
                await self._time([lane], now, ends, condemned, 1, only=key)
        self._lanes[lane].suspect = None

    @asynccontextmanager
    async def _marked(self, attempts: Sequence[Attempt]) -> AsyncIterator[None]:
        """The marks stand while the block runs. It may end well or badly; only a process that dies leaves them."""
        lanes = [attempt.lane for attempt in attempts]
        if lanes:
            await self._database.begin_attempt(attempts)
        try:
            yield
        except Exception:
            with suppress(Unavailable):
                await self._unmark(lanes)
            raise
        await self._unmark(lanes)

    async def _unmark(self, lanes: Sequence[int]) -> None:
        if lanes:
            await self._database.end_attempt(lanes)


def _raise_first_of(ended: Iterable[asyncio.Task[None]]) -> None:
    for failure in [one.exception() for one in ended]:
        if failure is not None:
            raise failure


def _shares(readings: Sequence[Reading]) -> list[list[Reading]]:
    """Readings in two shares of about one size, no partition in both unless there is only one; its order is kept."""
    of: dict[int, list[Reading]] = defaultdict(list)
    for one in readings:
        of[one.record.partition].append(one)
    if len(of) == 1:
        middle = len(readings) // 2
        return [list(readings[:middle]), list(readings[middle:])]
    places: list[set[int]] = [set(), set()]
    sizes = [0, 0]
    for partition in sorted(of, key=lambda one: -len(of[one])):
        lighter = sizes.index(min(sizes))
        places[lighter].add(partition)
        sizes[lighter] += len(of[partition])
    return [[one for one in readings if one.record.partition in chosen] for chosen in places]


def _marks(readings: Sequence[Reading], lanes: Sequence[int], tries: int) -> list[Attempt]:
    reach: dict[int, dict[str, int]] = defaultdict(dict)
    for one in readings:
        record = one.record
        if record.partition in lanes:
            place = f"{record.topic}:{record.partition}"
            reach[record.partition][place] = max(reach[record.partition].get(place, 0), record.offset + 1)
    return [Attempt(lane, reach[lane], tries) for lane in lanes]


def _why(failure: Exception) -> Undone:
    match failure:
        case Unavailable():
            return Undone.UNAVAILABLE
        case DataRefused() | Culprit():
            return Undone.REFUSED
        case LineStopped():
            return Undone.STOPPED
        case _:
            return Undone.DEFECT
