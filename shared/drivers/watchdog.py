"""Ends a process that has silently stopped working, so that whoever runs it starts it again.

A consumer can stay stuck after a broker outage without any public sign. The watchdog is a thread with a client of its
own: if the log holds something unread and no turn has ended, well or badly, for a while, it dumps what every task is
doing and exits. Restarting is always safe: that is the first law. The same thread bounds how long a stop may take.

A member of a group may also fall out of it without a sign: its coordinator is dead to it, it looks for none, and goes
on with partitions that others have, or that nobody has. So a process that its group has not heard of for long, although
the broker answers, ends likewise.

A transaction of a foreign client ends in a mark on the log that no client is ever given. It looks unread for ever; so
where a process does not get any further the watchdog tries itself whether there is anything to read. Who asks how far
time has come on a lane must know it, too: :attr:`Watchdog.marks`.
"""

from __future__ import annotations

import asyncio
import faulthandler
import io
import logging
import os
import sys
import threading
from collections.abc import Callable, Sequence
from time import monotonic

from aiokafka import TopicPartition as KafkaPartition
from aiokafka.errors import KafkaError

from shared.drivers.kafka import KafkaLog
from shared.drivers.observer import FETCH_WAIT_MS, groupless_consumer, within_patience
from shared.engine.breaker import kind_and_place
from shared.engine.ports import Position, TopicPartition, Unavailable

__all__ = ["EXIT_STALLED", "Watchdog"]

log = logging.getLogger(__name__)

EXIT_STALLED = 70
"""Exit code of a process that stalled or could not stop in time (EX_SOFTWARE)."""

LOOK_EVERY_S = 5.0

LATE_S = 10.0
"""With something unread and no turn ended for two looks a process is not ready; it ends only when it has stalled."""


UNHEARD_S = 30.0
"""A member whose offsets were not taken for so long is suspected; it ends if that goes on until it has stalled."""

TRY_TIMEOUT_S = 5.0

Reach = dict[TopicPartition, tuple[int, int]]
"""Of each partition, how far it has been handled and where it ends."""


class Watchdog:
    """Watches one service process from a thread of its own."""

    def __init__(
        self,
        bootstrap: str,
        topics: Sequence[str],
        lanes: Callable[[], Sequence[int]],
        positions: Callable[[], dict[TopicPartition, Position]],
        ended_at: Callable[[], float],
        *,
        stall_s: float,
        stop_s: float,
        unheard_s: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._bootstrap = bootstrap
        self._topics = topics
        self._lanes = lanes
        self._positions = positions
        self._ended_at = ended_at
        self._stall_s = stall_s
        self._stop_s = stop_s
        self._unheard_s = unheard_s
        self._unheard_since: float | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._gone = threading.Event()
        self._behind_since: float | None = None
        self._reached: Reach = {}
        """What the last look found."""
        self.marks: dict[TopicPartition, range] = {}
        """Offsets at the end of partitions that were found to hold nothing to read."""
        self.lags: dict[str, int] | None = None
        """Records unread on this process's lanes by topic, at the last look; None before the first."""
        self.blind = False
        """The last look saw nothing."""
        self.silent_s = 0.0
        """For how long something had been unread without a turn having ended, at the last look."""
        self.trouble: str | None = None
        """What was wrong at the last look: the broker did not answer, or records were unread and no turn ended."""

    @property
    def lag(self) -> int | None:
        """Records unread on this process's lanes at the last look; None before the first."""
        return None if self.lags is None else sum(self.lags.values())

    def start(self) -> None:
        """Begin to watch the running event loop."""
        self._loop = asyncio.get_running_loop()
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def stop(self) -> None:
        self._gone.set()

    def must_stop_soon(self) -> None:
        """From now on the process has its stop time left, whatever hangs."""
        threading.Thread(target=self._end_in_time, name="stop in time", daemon=True).start()

    def _end_in_time(self) -> None:
        if not self._gone.wait(self._stop_s):
            self._exit(f"the process did not stop within {self._stop_s:.0f} s")

    def _watch(self) -> None:
        try:
            asyncio.run(self._watch_for_ever())
        except BaseException as defect:  # noqa: BLE001 - a cancellation from below is one of them
            if not self._gone.is_set():  # nobody would notice when the process falls silent
                self._exit(f"its watchdog failed: {kind_and_place(defect)}")

    async def _watch_for_ever(self) -> None:
        stream = KafkaLog(self._bootstrap)
        try:
            while True:
                await asyncio.sleep(LOOK_EVERY_S)
                if self._gone.is_set():
                    return
                try:
                    reach = await self._reach(stream)
                    if standing := self._standing(reach):
                        await self._pass_over_marks(standing)
                        reach = await self._reach(stream)
                    self._reached = reach
                except Unavailable as silence:
                    self.blind, self.trouble = True, str(silence)
                    self._unheard_since = None
                    continue  # while the broker is away there is nothing to be late with
                self.lags = self._unread(reach)
                self._judge(sum(self.lags.values()), monotonic())
        finally:
            await stream.stop()

    def _judge(self, lag: int, now: float) -> None:
        """Silence counts from where something has been unread ever since: before that there was nothing to do."""
        self._behind_since = (self._behind_since or now) if lag else None
        self.silent_s = 0.0 if self._behind_since is None else max(0.0, now - max(self._behind_since, self._ended_at()))
        late = f"{lag} records are unread and no turn has ended for {self.silent_s:.0f} s"
        self.blind, self.trouble = False, late if self.silent_s > LATE_S else None
        unheard_s = self._unheard_s()
        self._unheard_since = (self._unheard_since or now) if unheard_s > UNHEARD_S else None
        if self._gone.is_set():
            return
        if self.silent_s > self._stall_s:
            self._exit(late)
        elif self._unheard_since is not None and now - self._unheard_since > self._stall_s:
            self._exit(f"its group has not heard of this process for {unheard_s:.0f} s")

    async def _reach(self, stream: KafkaLog) -> Reach:
        places = [TopicPartition(topic, lane) for topic in self._topics for lane in self._lanes()]
        if not places:
            return {}
        ends, begins = await stream.reach(places)
        positions = self._positions()
        handled = {one: positions.get(one, Position(0, None)).next_offset for one in places}
        marked = {one: marks.stop for one, marks in self.marks.items()}
        return {one: (max(begins[one], handled[one], marked.get(one, 0)), ends[one]) for one in places}

    def _standing(self, reach: Reach) -> Reach:
        """The partitions with something unread that have not come any further since the last look."""
        unread = {one: span for one, span in reach.items() if span[0] < span[1]}
        return {one: span for one, span in unread.items() if one in self._reached and self._reached[one][0] == span[0]}

    def _unread(self, reach: Reach) -> dict[str, int]:
        unread = dict.fromkeys(self._topics, 0)
        for place, (handled, end) in reach.items():
            unread[place.topic] += max(0, end - handled)
        return unread

    async def _pass_over_marks(self, standing: Reach) -> None:
        """Try to read what looks unread. Where nothing comes up to the end, nothing was unread."""
        suspected = {KafkaPartition(*one): span for one, span in standing.items()}
        consumer = groupless_consumer(self._bootstrap)
        try:
            async with asyncio.timeout(TRY_TIMEOUT_S):
                await consumer.start()
                consumer.assign(list(suspected))
                for place, (handled, _) in suspected.items():
                    consumer.seek(place, handled)
                while suspected and not await consumer.getmany(timeout_ms=FETCH_WAIT_MS):
                    for place, (handled, end) in tuple(suspected.items()):
                        if await consumer.position(place) >= end:
                            self._note_marks(TopicPartition(place.topic, place.partition), range(handled, end))
                            del suspected[place]
        except (KafkaError, OSError, TimeoutError):
            return  # nobody knows, so it stays unread
        finally:
            await within_patience(consumer.stop())

    def _note_marks(self, place: TopicPartition, marks: range) -> None:
        """Marks behind marks: what is unread of them begins where the process has come to."""
        before = self.marks.get(place)
        begin = before.start if before is not None and before.stop == marks.start else marks.start
        self.marks[place] = range(begin, marks.stop)

    def _exit(self, reason: str) -> None:
        log.critical("%s; the process ends to be started again", reason)
        dump = io.StringIO()
        if self._loop is not None:
            for task in asyncio.all_tasks(self._loop):
                task.print_stack(limit=8, file=dump)
        sys.stderr.write(dump.getvalue())
        faulthandler.dump_traceback(all_threads=True)
        sys.stderr.flush()
        os._exit(EXIT_STALLED)
