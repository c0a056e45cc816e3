"""The gauges of a whole service: what its database says, looked at now and then, never because somebody scrapes.

A scrape must not hurt a turn, however many scrapers there are and however slow the database is. So one look is taken
every 15 s, over a connection of its own and cut off after two seconds, and a scrape shows the last one; its age is a
metric too. Counting stops at a million, some hundred milliseconds of the database's time at most.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from datetime import datetime
from time import monotonic

import structlog

from shared.drivers.queries import PostgresQueries, Query
from shared.drivers.statements import NEXT_DUE
from shared.engine.ports import Clock, Unavailable, Until
from shared.operations import metrics
from shared.operations.meters import Meters

__all__ = ["Snapshot", "Snapshots"]

log = structlog.get_logger(__name__)

LOOK_EVERY_S = 15.0
COUNTED_MAX = 1_000_000


@dataclass(frozen=True, slots=True)
class Snapshot:
    """How a service stands at one instant."""

    deadlines: int
    waiting: int
    dead_letters: int
    behind: int
    parked_keys: int
    outbox_rows: int
    line_stopped: bool
    earliest_due: datetime | None
    """When the next deadline of a key that is not parked comes due."""


def _counted(until: Until) -> str:
    return f"(SELECT count(*) FROM (SELECT FROM held WHERE until = '{until}' LIMIT {COUNTED_MAX}) AS bounded)"  # noqa: S608


SNAPSHOT = Query(
    "snapshot",
    Snapshot,
    f"""
SELECT {_counted(Until.TIME)} AS deadlines,
       {_counted(Until.ROW)} AS waiting,
       {_counted(Until.OPERATOR)} AS dead_letters,
       {_counted(Until.BEHIND)} AS behind,
       (SELECT count(DISTINCT key) FROM held WHERE until = 'OPERATOR' AND fingerprint <> '') AS parked_keys,
       (SELECT count(*) FROM outbox) AS outbox_rows,
       (SELECT stopped FROM line) AS line_stopped,
       ({NEXT_DUE}) AS earliest_due
""",  # noqa: S608 - names and a number of ours
)


class Snapshots:
    """Takes the looks of one process and sets its gauges."""

    def __init__(self, questions: PostgresQueries, clock: Clock, meters: Meters) -> None:
        self._questions = questions
        self._clock = clock
        self._meters = meters
        self._taken_at: float | None = None
        meters.before_scrape(self._tell_age)

    async def take_for_ever(self) -> None:
        """Look every quarter of a minute; replicas do not look at the same instant."""
        while True:
            try:
                await self.take()
            except Unavailable as silence:
                log.warning("snapshot.missed", reason=str(silence))
            await asyncio.sleep(LOOK_EVERY_S * random.uniform(0.8, 1.2))  # noqa: S311 - not a secret

    async def take(self) -> None:
        """Take one look; raises :class:`Unavailable` and leaves the last one."""
        now = await self._clock.now()
        found = await self._questions.one(SNAPSHOT)
        if found is None:
            raise Unavailable("snapshot: no answer")
        held = {
            Until.TIME: found.deadlines,
            Until.ROW: found.waiting,
            Until.OPERATOR: found.dead_letters,
            Until.BEHIND: found.behind,
        }
        for until, number in held.items():
            self._meters.set(metrics.HELD, until, to=number)
        self._meters.set(metrics.PARKED, to=found.parked_keys)
        self._meters.set(metrics.OUTBOX, to=found.outbox_rows)
        self._meters.set(metrics.LINE_STOPPED, to=found.line_stopped)
        late = (now - found.earliest_due).total_seconds() if found.earliest_due else 0.0
        self._meters.set(metrics.DEADLINES_LATE, to=max(0.0, late))
        self._taken_at = monotonic()

    def _tell_age(self) -> None:
        if self._taken_at is not None:
            self._meters.set(metrics.LOOK_AGE, to=monotonic() - self._taken_at)
