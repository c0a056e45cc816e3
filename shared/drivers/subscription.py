"""A process's subscription: FastStream's batch subscriber drives the engine's worker, one turn at a time.

The truth of how far a service has come is in its database. So every partition is sought to its saved position when it
is assigned, records that were fetched before are dropped, and the offsets committed to Kafka are for lag monitors.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic
from typing import Any

from aiokafka import ConsumerRebalanceListener, ConsumerRecord
from aiokafka import TopicPartition as KafkaPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import IllegalStateError, KafkaError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage
from faststream.kafka.message import KafkaAckableMessage

from shared.drivers.kafka import KafkaLog
from shared.drivers.observer import as_record
from shared.engine.breaker import LineStopped, kind_and_place
from shared.engine.monitor import Monitor, Tally
from shared.engine.ports import Position, Record, TopicPartition, Unavailable
from shared.engine.worker import FORGOTTEN_MAX, Worker

__all__ = ["PositionBeyondLog", "Subscription"]

log = logging.getLogger(__name__)

COMMIT_TIMEOUT_S = 30.0
"""Longest wait for one commit of offsets. It is made beside the turns: nobody waits for it."""

COMMIT_PAUSE_S = 1.0
"""Pause after a commit that was refused."""

HEARD_EVERY_S = 10.0
"""Offsets are committed again after so long, even if they are no news: so a member learns that it still is one."""

REST_MIN_S = 0.1
REST_MAX_S = 5.0
STOPPED_PAUSE_S = 1.0
"""Pause between two looks at a line that is stopped."""

FORGET_EVERY_S = 600.0
"""Pause from when the inbox holds nothing it has kept long enough until the next look."""

BUSY_S = 0.03
"""While the last batch is younger than this, more are likely waiting, and what is due may wait a little too."""

OVERDUE_S = 2.0
"""Longest time that what is due waits for a pause between batches."""

IDLE_PAUSE_S = 0.05
CALM_PAUSE_S = 0.25
CALM_AFTER_S = 2.0
"""Pause between two looks at what is due while nothing arrives, and once nothing has happened for a while."""

PROGRESS_S = 10.0
"""A look at what is due asks the database several times a second; a process that has not come to the end of one for
this long is not ready."""


@dataclass(frozen=True, slots=True)
class Waits:
    """How long the client waits for records, in ms."""

    batch: int
    """Between two polls that found nothing, once for the poll and once after it."""
    fetch: int
    """What is appended to a partition whose records were just taken waits behind the fetch in flight for the others."""


BRISK = Waits(batch=10, fetch=50)
CALM = Waits(batch=50, fetch=250)
"""While records come, and once all has been calm for a while: to find nothing costs client and broker most of what a
process at rest costs at all."""

FETCH_MAX_BYTES = 8 * 1024 * 1024

PARTITION_FETCH_MAX_BYTES = 128 * 1024
"""Of one partition at a time, compressed: some hundred records, so that a batch holds several partitions and two
turns can share it."""


class PositionBeyondLog(Exception):
    """A topic ends before the position saved for it: it was lost or made anew. Nothing may go on silently."""


class Subscription(ConsumerRebalanceListener):  # type: ignore[misc]
    """Owns the subscriber of one service process. All turns go through one lock."""

    def __init__(
        self,
        broker: KafkaBroker,
        worker: Worker,
        stream: KafkaLog,
        *,
        topics: Sequence[str],
        group: str,
        records: int,
        remembered: timedelta,
        pause: Callable[[float], Awaitable[None]],
        monitor: Monitor | None = None,
    ) -> None:
        self._worker = worker
        self._stream = stream
        self._topics = tuple(topics)
        self._lock = asyncio.Lock()
        self._generation = 0
        self._starts: dict[TopicPartition, int] = {}
        """Where each partition was taken over."""
        self._expected: dict[TopicPartition, int] = {}
        """The offset each partition goes on with: all before it was taken up by the worker."""
        self._committed: dict[TopicPartition, int] = {}
        self._heard_at = monotonic()
        """When the group last took offsets from this member, or gave it partitions (of the monotonic clock)."""
        self._committing: asyncio.Task[None] | None = None
        self._gaps: dict[TopicPartition, int] = {}
        self._failures = 0
        self._remembered = remembered
        self._pause = pause
        self._monitor = monitor or Tally()
        self._forgot_at = -FORGET_EVERY_S  # begin with it: nobody knows when it was last done
        self._received_at = self._busy_at = 0.0
        self._idling: asyncio.Task[None] | None = None
        self._trouble: str | None = "no partition is assigned yet"
        self._looked_at = monotonic()
        self.ended_at = monotonic()
        """When a turn last ended, well or badly (of the monotonic clock)."""
        self._subscriber: Any = broker.subscriber(
            *self._topics,
            batch=True,
            group_id=group,
            max_records=records,
            batch_timeout_ms=BRISK.batch,
            fetch_max_wait_ms=BRISK.fetch,
            fetch_max_bytes=FETCH_MAX_BYTES,
            max_partition_fetch_bytes=PARTITION_FETCH_MAX_BYTES,
            auto_offset_reset="earliest",
            ack_policy=AckPolicy.MANUAL,
            listener=self,
            partition_assignment_strategy=(RangePartitionAssignor,),
            session_timeout_ms=6_000,
            heartbeat_interval_ms=1_000,
            rebalance_timeout_ms=20_000,
            max_poll_interval_ms=60_000,
            parser=self._parse,
            decoder=_undecoded,
        )
        self._subscriber(self._receive)

    # ------------------------------------------------------------------ life

    def start(self) -> None:
        """Begin to look after what is due; call it when the broker has started."""
        self._idling = asyncio.create_task(self._idle_for_ever(), name="look after what is due")

    async def stop(self) -> None:
        """Finish the turn in flight and give the lanes up; call it when the broker has stopped."""
        if self._idling is not None:
            self._idling.cancel()
            with suppress(asyncio.CancelledError):
                await self._idling
        async with self._lock:
            with suppress(Unavailable):
                await self._worker.revoke(self._worker.lanes)
        self._say_no_more()

    @property
    def lanes(self) -> list[int]:
        return self._worker.lanes

    @property
    def trouble(self) -> str | None:
        """Why this process is not ready, in a sentence; None while it is."""
        silent_s = monotonic() - self._looked_at
        if self._trouble is None and silent_s > PROGRESS_S:
            return f"neither a turn nor a look at what is due has ended for {silent_s:.0f} s"
        return self._trouble

    # ------------------------------------------------------------------ assignment

    async def on_partitions_revoked(self, revoked: Iterable[KafkaPartition]) -> None:
        """Finish the turn in flight; afterwards nothing of these partitions is handled here."""
        self._generation += 1
        async with self._lock:
            self._expected.clear()
            self._starts.clear()
            self._say_no_more()
            with suppress(Unavailable):
                await self._worker.revoke(self._worker.lanes)
            self._trouble = "no partition is assigned"

    async def on_partitions_assigned(self, assigned: Iterable[KafkaPartition]) -> None:
        """Seek every partition to the position saved for it, retrying until that is done or overtaken."""
        self._generation += 1
        generation = self._generation
        places = [TopicPartition(one.topic, one.partition) for one in assigned]
        while generation == self._generation:
            try:
                async with self._lock:
                    await self._take_over(places, generation)
                    return
            except Unavailable as silence:
                self._trouble = str(silence)
                await self._rest(silence)
            except PositionBeyondLog as lost:
                self._trouble = str(lost)
                log.critical("%s", lost)
                return

    async def _take_over(self, places: list[TopicPartition], generation: int) -> None:
        lanes = {one.partition for one in places}
        saved = await self._worker.assign(lanes)
        ends, begins = await self._stream.reach(places)
        starts = {}
        for place in places:
            position = saved.get(place, Position(0, None)).next_offset
            if position > ends[place]:
                raise PositionBeyondLog(
                    f"{place.topic}:{place.partition} ends at {ends[place]} but {position} was handled: "
                    "the topic was lost or made anew"
                )
            if place in saved and position < begins[place]:
                log.critical("%s:%d lost offsets %d to %d unread", *place, position, begins[place])
            starts[place] = max(position, begins[place])
        if generation != self._generation:
            return
        for place, offset in starts.items():  # no await in between: a fetch might slip in
            self._subscriber.consumer.seek(KafkaPartition(*place), offset)
        self._starts, self._expected = starts, dict(starts)
        self._committed.clear()
        self._gaps.clear()
        self._trouble = None
        self.ended_at = self._looked_at = self._heard_at = monotonic()

    # ------------------------------------------------------------------ records

    async def _parse(self, message: tuple[ConsumerRecord, ...], _: Any) -> KafkaMessage:
        """A batch as it is: headers and bodies are read by the engine's intake, which cannot raise."""
        return KafkaAckableMessage(
            body=b"", headers={}, batch_headers=[], raw_message=message, consumer=self._subscriber.consumer
        )

    async def _receive(self, message: KafkaMessage) -> None:
        """Handle one batch. No exception leaves: it ends in a commit, or in a rewind to what is saved."""
        generation = self._generation
        self._wait_for_records(BRISK)
        async with self._lock:
            try:
                records = self._next_in_line(message.raw_message, generation)
                if records:
                    await self._worker.take_up(records)
                    self._expected |= {TopicPartition(one.topic, one.partition): one.offset + 1 for one in records}
                self._failures = 0
                self._trouble = None if self._expected else self._trouble
            except LineStopped as stopped:
                await self._stand_still(stopped)
                await self._rewind()
            except Unavailable as silence:
                self._trouble = str(silence)
                await self._rest(silence)
                await self._rewind()
            except Exception as defect:
                log.exception("a turn failed in a way nobody foresaw")
                await self._rest_from(defect)
                await self._rewind()
            finally:
                self.ended_at = self._looked_at = self._received_at = self._busy_at = monotonic()
        self._commit_soon()

    def _next_in_line(self, batch: Iterable[Any], generation: int) -> list[Record]:
        """The records that continue what was handled; whatever was fetched under an older assignment is dropped."""
        if generation != self._generation:
            return []
        following: list[Record] = []
        refused: set[TopicPartition] = set()
        seen: set[TopicPartition] = set()
        for found in batch:
            place = TopicPartition(found.topic, found.partition)
            if place not in seen:
                seen.add(place)
                if not self._continues(place, found.offset):
                    refused.add(place)
            if place not in refused:
                following.append(as_record(found))
        return following

    def _continues(self, place: TopicPartition, offset: int) -> bool:
        """Whether a batch from ``offset`` has no hole before it. A hole that is there again is the log's own."""
        expected = self._expected.get(place)
        if expected is None:
            return False
        if offset <= expected or self._gaps.get(place) == offset:
            return True
        self._gaps[place] = offset
        self._subscriber.consumer.seek(KafkaPartition(*place), expected)
        return False

    def _handled(self) -> dict[TopicPartition, int]:
        """The offset up to which each partition is handled."""
        positions = self._worker.positions
        return {
            place: max(start, positions[place].next_offset) if place in positions else start
            for place, start in self._starts.items()
        }

    async def _rewind(self) -> None:
        """Read again from what is saved. Some of a batch may have been handled already: positions say so."""
        self._expected = self._handled()
        for place, offset in self._expected.items():
            with suppress(IllegalStateError):
                self._subscriber.consumer.seek(KafkaPartition(*place), offset)
        await asyncio.sleep(REST_MIN_S)

    async def _settle(self) -> None:
        """Everything taken up is handled, and its offsets are on their way."""
        try:
            await self._worker.settle()
        except Exception:
            await self._rewind()
            raise
        self._commit_soon()

    @property
    def unheard_s(self) -> float:
        """For how long the group has not heard of this member; 0 while it has no partitions."""
        return monotonic() - self._heard_at if self._starts else 0.0

    def _commit_soon(self) -> None:
        """Tell the group how far the service has come, where that is news or it was told long ago, beside the turns."""
        told = self._committing is None or self._committing.done()
        known = {} if monotonic() - self._heard_at > HEARD_EVERY_S else self._committed
        if told and self._handled() not in ({}, known):
            self._committing = asyncio.create_task(self._commit(), name="commit offsets")

    def _say_no_more(self) -> None:
        """Whoever owns the partitions next tells how far they have come."""
        if self._committing is not None:
            self._committing.cancel()

    async def _commit(self) -> None:
        """Commit what is handled now; while the group's coordinator is away the library waits for it."""
        handled = self._handled()
        offsets = {KafkaPartition(*place): offset for place, offset in handled.items()}
        try:
            async with asyncio.timeout(COMMIT_TIMEOUT_S):
                await self._subscriber.consumer.commit(offsets)
            self._committed, self._heard_at = handled, monotonic()
        except (KafkaError, OSError, TimeoutError, AttributeError) as refused:
            self._monitor.commit_failed()
            log.info("offsets were not committed (%s); positions are the truth", type(refused).__name__)
            await asyncio.sleep(COMMIT_PAUSE_S)

    # ------------------------------------------------------------------ time

    async def _idle_for_ever(self) -> None:
        looked_at = monotonic()
        while True:
            calm = monotonic() - self._busy_at > CALM_AFTER_S
            self._wait_for_records(CALM if calm else BRISK)
            await self._pause(CALM_PAUSE_S if calm else IDLE_PAUSE_S)
            busy = self._worker.busy or monotonic() - self._received_at < BUSY_S
            if busy and monotonic() - looked_at < OVERDUE_S:
                continue
            looked_at = monotonic()
            try:
                while await self._look():
                    pass  # whoever waits for the lock goes first: records, a revocation
                await self._forget()
            except LineStopped as stopped:
                await self._stand_still(stopped)
            except Unavailable as silence:
                self._trouble = str(silence)
                await self._rest(silence)
            except Exception as defect:
                log.exception("looking after what is due failed in a way nobody foresaw")
                await self._rest_from(defect)

    async def _look(self) -> bool:
        """Let some of what is due come up; False if nothing is left to do."""
        async with self._lock:
            await self._settle()
            if not self._expected:
                return False
            busy = await self._worker.idle()
            self._looked_at = monotonic()
            if busy:  # a look that found nothing is no turn, and no sign that records are handled
                self.ended_at = self._busy_at = self._looked_at
            self._trouble = None
            return busy

    def _wait_for_records(self, waits: Waits) -> None:
        """How the client waits from now on. Both libraries read these numbers anew each time."""
        self._subscriber.batch_timeout_ms = waits.batch
        if (consumer := self._subscriber.consumer) is not None:  # it is, once the broker has stopped
            consumer._fetcher._fetch_max_wait_ms = waits.fetch

    async def _forget(self) -> None:
        """Now and then, remove what the inbox has kept long enough, at every look as much as one statement should."""
        if monotonic() - self._forgot_at > FORGET_EVERY_S:
            removed = await self._worker.forget(self._remembered)
            if removed < FORGOTTEN_MAX:
                self._forgot_at = monotonic()

    async def _stand_still(self, stopped: LineStopped) -> None:
        """The line is stopped: every replica says so once, and leaves the call for help to the one that stopped it."""
        trouble = f"the line is stopped: {stopped}"
        if self._trouble != trouble:
            log.warning("line.stands", extra={"facts": {"reason": str(stopped)}})
        self._trouble = trouble
        await asyncio.sleep(STOPPED_PAUSE_S)

    async def _rest(self, reason: object) -> None:
        """Back off, longer each time, with jitter; well under the poll interval."""
        self._failures += 1
        pause = min(REST_MAX_S, REST_MIN_S * 2**self._failures) * random.uniform(0.5, 1.0)  # noqa: S311 - not a secret
        log.warning("resting %.1f s: %s", pause, reason)
        await asyncio.sleep(pause)

    async def _rest_from(self, defect: Exception) -> None:
        """Back off from what nobody foresaw. What it says is kept from everybody: it may quote anything."""
        self._trouble = kind_and_place(defect)
        await self._rest(self._trouble)


async def _undecoded(message: KafkaMessage) -> Any:
    return message.raw_message
