"""Named points of a turn at which a test may end or freeze the process that passes.

The drivers of a process that runs under the laws are made to look for a file at each point (``breakable_app``). A test
writes the file; the first process that comes by a point it names takes it away and does to itself what it says.

Only a turn with something in hand passes. A service also looks several times a second for what may be due, each time in
a transaction: to be struck in one of those would prove nothing.
"""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from weakref import WeakSet

from shared.drivers.kafka import KafkaLog
from shared.drivers.postgres import PostgresDatabase, PostgresTransaction
from shared.drivers.subscription import Subscription
from shared.engine.ports import Changes, Held, Outgoing, Wanted
from shared.engine.vocabulary import Row

__all__ = ["VARIABLE", "Failpoint", "Point", "Unknown", "install"]

VARIABLE = "HOUFU_FAILPOINT"
"""The environment variable that names the file."""


class Point(StrEnum):
    """Where a turn may be struck."""

    AFTER_BEGIN = "after-begin"
    """The lanes are fenced, and it is known whom the turn is about; nothing of theirs is loaded."""
    AFTER_LOAD = "after-load"
    BEFORE_COMMIT = "before-commit"
    """Everything is saved, something to publish among it."""
    AFTER_COMMIT = "after-commit"
    """Nothing is published yet."""
    BETWEEN_PUBLISHES = "between-publishes"
    """Some messages of the turn are acknowledged, the others not sent."""
    BEFORE_OFFSETS = "before-offsets"
    """Everything is published, the offsets are not committed."""


class Unknown(ValueError):
    """What the file asks for is no point or no signal."""


class Failpoint:
    """The file through which a test and the processes under it speak."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def arm(self, point: Point, number: signal.Signals = signal.SIGKILL) -> None:
        """The next process that passes ``point`` sends itself this signal: one process, once."""
        unfinished = self.file.with_suffix(".unfinished")
        unfinished.write_text(f"{point} {number.name}")
        unfinished.rename(self.file)

    @property
    def armed(self) -> bool:
        return self.file.exists()

    def passed(self, point: Point) -> None:
        """This process is at ``point``."""
        try:
            asked, number = _understood(self.file.read_text())
            if asked is point:
                self.file.unlink()
                os.kill(os.getpid(), number)
        except FileNotFoundError:
            pass  # nothing is asked, or another process was faster


def _understood(text: str) -> tuple[Point, signal.Signals]:
    point, _, number = text.partition(" ")
    try:
        return Point(point), signal.Signals[number]
    except (ValueError, KeyError):
        raise Unknown(f"{text!r} is none of {', '.join(Point)} with a signal") from None


def install(failpoint: Failpoint) -> None:
    """From now on the drivers of this process pass the points. Turns of time pass them too."""
    _within_turns(failpoint)
    _around_turns(failpoint)
    _between_publishes(failpoint)
    _before_offsets(failpoint)


_telling: WeakSet[PostgresTransaction] = WeakSet()
"""Transactions of turns that have saved something to publish."""


def _within_turns(failpoint: Failpoint) -> None:
    held, load, save = PostgresTransaction.held, PostgresTransaction.load, PostgresTransaction.save

    async def passing_held(self: PostgresTransaction, keys: Sequence[str], horizon: datetime) -> list[Held]:
        if keys:
            failpoint.passed(Point.AFTER_BEGIN)
        return await held(self, keys, horizon)

    async def passing_load(self: PostgresTransaction, wanted: Mapping[type[Row], Wanted]) -> list[Row]:
        rows = await load(self, wanted)
        failpoint.passed(Point.AFTER_LOAD)
        return rows

    async def noting_save(self: PostgresTransaction, changes: Changes) -> dict[int, int]:
        if changes.outbox:
            _telling.add(self)
        return await save(self, changes)

    PostgresTransaction.held = passing_held  # type: ignore[method-assign]
    PostgresTransaction.load = passing_load  # type: ignore[method-assign]
    PostgresTransaction.save = noting_save  # type: ignore[method-assign]


def _around_turns(failpoint: Failpoint) -> None:
    turn = PostgresDatabase.turn

    @asynccontextmanager
    async def passing(self: PostgresDatabase) -> AsyncIterator[PostgresTransaction]:
        async with turn(self) as transaction:
            yield transaction
            if transaction in _telling:
                failpoint.passed(Point.BEFORE_COMMIT)
        if transaction in _telling:
            failpoint.passed(Point.AFTER_COMMIT)

    PostgresDatabase.turn = passing  # type: ignore[method-assign]


def _between_publishes(failpoint: Failpoint) -> None:
    publish = KafkaLog.publish

    async def passing(self: KafkaLog, messages: Sequence[Outgoing]) -> None:
        middle = len(messages) // 2
        if middle and failpoint.armed:
            await publish(self, messages[:middle])
            failpoint.passed(Point.BETWEEN_PUBLISHES)
            messages = messages[middle:]
        await publish(self, messages)

    KafkaLog.publish = passing  # type: ignore[method-assign]


def _before_offsets(failpoint: Failpoint) -> None:
    commit = Subscription._commit

    async def passing(self: Subscription) -> None:
        failpoint.passed(Point.BEFORE_OFFSETS)
        await commit(self)

    Subscription._commit = passing  # type: ignore[method-assign]
