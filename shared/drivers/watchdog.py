"""Ends a process that has silently stopped working, so that whoever runs it starts it again.

A consumer can stay stuck after a broker outage without any public sign. The watchdog is a thread with a client of its
own: if the log holds something unread and no turn has ended, well or badly, for a while, it dumps what every task is
doing and exits. Restarting is always safe: that is the first law. The same thread bounds how long a stop may take.
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

from shared.drivers.kafka import KafkaLog
from shared.engine.ports import Position, TopicPartition, Unavailable

__all__ = ["EXIT_STALLED", "Watchdog"]

log = logging.getLogger(__name__)

EXIT_STALLED = 70
"""Exit code of a process that stalled or could not stop in time (EX_SOFTWARE)."""

LOOK_EVERY_S = 5.0


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
    ) -> None:
        self._bootstrap = bootstrap
        self._topics = topics
        self._lanes = lanes
        self._positions = positions
        self._ended_at = ended_at
        self._stall_s = stall_s
        self._stop_s = stop_s
        self._loop: asyncio.AbstractEventLoop | None = None
        self._gone = threading.Event()
        self.lag: int | None = None
        """Records unread on this process's lanes at the last look; None before the first."""
        self.trouble: str | None = None
        """Why the last look saw nothing: the broker does not answer."""

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
        asyncio.run(self._watch_for_ever())

    async def _watch_for_ever(self) -> None:
        stream = KafkaLog(self._bootstrap)
        try:
            while not self._gone.is_set():
                await asyncio.sleep(LOOK_EVERY_S)
                try:
                    self.lag = await self._unread(stream)
                    self.trouble = None
                except Unavailable as silence:
                    self.trouble = str(silence)
                    continue  # while the broker is away there is nothing to be late with
                silent_s = monotonic() - self._ended_at()
                if self.lag and silent_s > self._stall_s:
                    self._exit(f"{self.lag} records are unread and no turn has ended for {silent_s:.0f} s")
        finally:
            await stream.stop()

    async def _unread(self, stream: KafkaLog) -> int:
        places = [TopicPartition(topic, lane) for topic in self._topics for lane in self._lanes()]
        if not places:
            return 0
        ends, begins = await stream.reach(places)
        positions = self._positions()
        return sum(
            max(0, ends[one] - max(begins[one], positions.get(one, Position(0, None)).next_offset)) for one in places
        )

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
