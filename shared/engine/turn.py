"""One turn, one transaction: steps 2 to 5. What it publishes afterwards is in its :class:`Outcome`.

A turn is driven by records, or by nothing but the passing of time. Either way it fences its lanes first, so that one
process at a time is in a turn of a lane, and saves rows, positions, inbox and outbox together or not at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from shared.engine.breaker import Breaker, LineStopped
from shared.engine.held import ROW_PATIENCE, Work
from shared.engine.intake import Arrival, Defect, Intake, Skipped
from shared.engine.monitor import Driver, Tracer, TurnReport
from shared.engine.outbox import unpack
from shared.engine.ports import (
    Appearance,
    Clock,
    Database,
    DataRefused,
    Line,
    Outgoing,
    Packed,
    Position,
    TopicPartition,
    Transaction,
)
from shared.engine.run import Run
from shared.engine.sender import Sender
from shared.engine.service import Service
from shared.kernel.partition import home_partition

__all__ = ["DUE_KEYS_MAX", "Culprit", "Outcome", "Reading", "Turn"]

Reading = Arrival | Defect | Skipped

DUE_KEYS_MAX = 500
"""Most keys one turn of time looks after."""

_NEVER = datetime.min.replace(tzinfo=UTC)


class Culprit(Exception):
    """The database refuses what this message yields."""

    def __init__(self, message_id: str, error: DataRefused) -> None:
        super().__init__(message_id)
        self.message_id = message_id
        self.error = error


@dataclass(slots=True)
class Outcome:
    """What a committed turn leaves to do, to remember and to tell."""

    report: TurnReport
    lanes: Sequence[int] = ()
    positions: dict[TopicPartition, Position] = field(default_factory=dict)
    outgoing: list[Outgoing] = field(default_factory=list)
    """To publish: what was left over first, then the new."""
    seqs: dict[int, list[int]] = field(default_factory=dict)
    """The outbox rows of each lane that ``outgoing`` acknowledges."""
    keys: int = 0
    """How many keys had something due; at :data:`DUE_KEYS_MAX` there may be more."""


@dataclass(slots=True)
class _Opening:
    lanes: Sequence[int]
    positions: dict[TopicPartition, Position]
    leftover: list[Packed]
    line: Line


class Turn:
    """Handles records or time for one service, one transaction at a time."""

    def __init__(
        self,
        service: Service,
        database: Database,
        clock: Clock,
        intake: Intake,
        sender: Sender,
        breaker: Breaker,
        partitions: int,
        tracer: Tracer | None = None,
    ) -> None:
        self._service = service
        self._database = database
        self._clock = clock
        self._intake = intake
        self._sender = sender
        self._breaker = breaker
        self._partitions = partitions
        self._tracer = tracer

    async def of_records(
        self,
        readings: Sequence[Reading],
        acknowledged: Sequence[int] = (),
        condemned: Mapping[str, BaseException] | None = None,
        *,
        careful: bool = False,
    ) -> Outcome:
        """Handle what was read. ``condemned`` messages fail without running; ``careful`` raises :class:`Culprit`."""
        lanes = sorted({one.record.partition for one in readings} | {_lane(one) for one in readings})
        async with self._database.turn() as transaction:
            opening = await self._open(transaction, lanes, acknowledged)
            unread = [one for one in readings if one.record.offset >= _next_offset(opening, one)]
            run = self._run(transaction, condemned, Driver.RECORDS, careful=careful)
            admitted = await self._admit(transaction, unread)
            _count(run.report, unread, len(admitted))
            works = {id(one): Work.of_arrival(one) for one, fresh in admitted if fresh and isinstance(one, Arrival)}
            keys = (work.key for work in works.values())
            await run.prepare(works.values(), keys, _latest(work.horizon for work in works.values()))
            for one, fresh in admitted:
                if not fresh:
                    run.reused(one)
                elif isinstance(one, Defect):
                    run.defective(one)
                else:
                    await run.take(works[id(one)])
            return await self._close(transaction, run, opening, _advanced(opening, readings))

    async def of_time(
        self,
        lanes: Sequence[int],
        now: datetime,
        ends: Mapping[TopicPartition, int],
        acknowledged: Sequence[int] = (),
        condemned: Mapping[str, BaseException] | None = None,
        *,
        careful: bool = False,
        keys_max: int = DUE_KEYS_MAX,
        only: str | None = None,
    ) -> Outcome:
        """Let come up what is due on these lanes, of so many keys at most, or ``only`` of this one.

        ``now`` was read from the clock before ``ends`` from the log: a record not yet handled there was appended later
        than ``now``. A lane with something unread goes only up to what it has read.
        """
        async with self._database.turn() as transaction:
            opening = await self._open(transaction, lanes, acknowledged)
            horizons = {lane: self._horizon(lane, opening, ends, now) for lane in lanes}
            settled = {lane: now for lane, horizon in horizons.items() if horizon == now}
            patience = dict.fromkeys(settled, now - ROW_PATIENCE)
            keys = [only] if only is not None else await transaction.due(horizons, patience, keys_max)
            run = self._run(transaction, condemned, Driver.TIME, careful=careful)
            await run.prepare((), keys, _latest(horizons.values()))
            for key in keys:
                lane = home_partition(key, self._partitions)
                await run.idle(key, horizons.get(lane, _NEVER), settled.get(lane))
            outcome = await self._close(transaction, run, opening, {})
            outcome.keys = len(keys)
        return outcome

    def _run(
        self,
        transaction: Transaction,
        condemned: Mapping[str, BaseException] | None,
        driver: Driver,
        *,
        careful: bool,
    ) -> Run:
        async def probe(run: Run, work: Work) -> None:
            try:
                async with transaction.savepoint():
                    await transaction.save(run.changes())
                    raise _Undo
            except _Undo:
                pass
            except DataRefused as refused:
                raise Culprit(work.id, refused) from refused

        return Run(
            self._service,
            self._intake,
            self._sender,
            transaction,
            condemned or {},
            driver,
            probe=probe if careful else None,
            tracer=self._tracer,
        )

    async def _open(self, transaction: Transaction, lanes: Sequence[int], acknowledged: Sequence[int]) -> _Opening:
        await transaction.fence(lanes)
        positions = await transaction.positions(lanes)
        line = await transaction.line()
        if self._breaker.stands(line):
            raise LineStopped(line.reason)
        leftover = await transaction.outbox(lanes, acknowledged)
        return _Opening(lanes, positions, leftover, line)

    async def _admit(self, transaction: Transaction, unread: Sequence[Reading]) -> list[tuple[Arrival | Defect, bool]]:
        """What the inbox has not seen (True), and what comes under a known id with other content (False), in order."""
        readable = [one for one in unread if not isinstance(one, Skipped)]
        first = {one.id: one.digest for one in reversed(readable)}
        seen: dict[str, bytes] = {}
        if first:
            at = max(one.record.broker_time for one in unread)
            seen |= (await transaction.admit([Appearance(*one) for one in sorted(first.items())], at)).known
        admitted: list[tuple[Arrival | Defect, bool]] = []
        for one in readable:
            if one.id not in seen:
                admitted.append((one, True))
            elif seen[one.id] != one.digest:
                admitted.append((one, False))
            seen.setdefault(one.id, one.digest)
        return admitted

    async def _close(
        self, transaction: Transaction, run: Run, opening: _Opening, positions: dict[TopicPartition, Position]
    ) -> Outcome:
        if run.failures:
            await self._breaker.watch(run.failures, opening.line, transaction)
        changes = run.changes()
        changes.positions = positions
        seqs = {lane: [seq] for lane, seq in (await transaction.save(changes)).items()}
        for packed in reversed(opening.leftover):
            seqs.setdefault(packed.lane, []).insert(0, packed.seq)
        outgoing = unpack(packed.body for packed in opening.leftover)
        for messages in run.outgoing.values():
            outgoing.extend(messages)
        return Outcome(run.report, opening.lanes, positions, outgoing, seqs)

    def _horizon(self, lane: int, opening: _Opening, ends: Mapping[TopicPartition, int], now: datetime) -> datetime:
        """How far time has come on a lane: to ``now``, or to what has been read where something is unread."""
        horizon = now
        for topic in self._service.topics:
            place = TopicPartition(topic, lane)
            position = opening.positions.get(place, Position(0, None))
            if position.next_offset >= ends.get(place, 2**63):
                continue
            horizon = min(horizon, self._clock.business(position.reached) if position.reached else _NEVER)
        return horizon


class _Undo(Exception):
    pass


def _lane(reading: Reading) -> int:
    return reading.record.partition if isinstance(reading, Skipped) else reading.lane


def _count(report: TurnReport, unread: Sequence[Reading], admitted: int) -> None:
    skipped = [one for one in unread if isinstance(one, Skipped)]
    report.records = len(unread)
    report.oldest = unread[0].record.broker_time if unread else None
    report.unknown = sum(not one.known for one in skipped)
    report.skipped = len(skipped) - report.unknown
    report.repeated = len(unread) - len(skipped) - admitted


def _latest(instants: Iterable[datetime]) -> datetime:
    return max(instants, default=_NEVER)


def _next_offset(opening: _Opening, reading: Reading) -> int:
    record = reading.record
    position = opening.positions.get(TopicPartition(record.topic, record.partition))
    return position.next_offset if position is not None else 0


def _advanced(opening: _Opening, readings: Sequence[Reading]) -> dict[TopicPartition, Position]:
    """The positions after these records; where they were handled before, the positions as saved."""
    advanced: dict[TopicPartition, Position] = {}
    for one in readings:
        record = one.record
        place = TopicPartition(record.topic, record.partition)
        before = advanced.get(place) or opening.positions.get(place) or Position(0, None)
        reached = max(before.reached, record.broker_time) if before.reached else record.broker_time
        advanced[place] = Position(max(before.next_offset, record.offset + 1), reached)
    return advanced
