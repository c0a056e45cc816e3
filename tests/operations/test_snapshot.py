"""The gauges of a whole service, from its real database: counted, bounded, and never in the way of a turn."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.drivers.memory_log import FixedClock
from shared.drivers.migrate import migrate
from shared.drivers.postgres import PostgresDatabase
from shared.drivers.queries import PostgresQueries
from shared.engine.held import as_dead_letter
from shared.engine.ports import Changes, Held, Line, Unavailable, Until
from shared.local.servers import Servers
from shared.operations import metrics
from shared.operations.meters import Meters
from shared.operations.metrics import Of
from shared.operations.snapshot import Snapshots

NOON = datetime(2027, 3, 1, 4, tzinfo=UTC)
SCHEMA = "watched"


class Watched:
    """A schema, and what is seen of it."""

    def __init__(self, database: PostgresDatabase, questions: PostgresQueries) -> None:
        self.database = database
        self.meters = Meters(Of.SERVICE, "watched")
        self.clock = FixedClock(NOON)
        self.snapshots = Snapshots(questions, self.clock, self.meters)

    async def save(self, changes: Changes) -> None:
        async with self.database.turn() as transaction:
            await transaction.save(changes)


@pytest.fixture(scope="session")
async def opened(servers: Servers) -> AsyncIterator[tuple[PostgresDatabase, PostgresQueries]]:
    dsn = servers.admin_dsn
    migrate(dsn, SCHEMA, [])
    database = await PostgresDatabase.open(dsn, SCHEMA, schema=SCHEMA)
    questions = await PostgresQueries.open(dsn, SCHEMA, schema=SCHEMA, at_once=1, acquire_timeout_s=0.1)
    yield database, questions
    await questions.close()
    await database.close()


@pytest.fixture
async def watched(opened: tuple[PostgresDatabase, PostgresQueries]) -> Watched:
    database, questions = opened
    async with database.connection("emptying") as connection:
        await connection.execute("TRUNCATE held, outbox")
    await database.stop_line(Line())
    return Watched(database, questions)


def deadline(key: str, due_at: datetime, subject: str = "s") -> Held:
    return Held(0, key, Until.TIME, "{}", "", NOON, kind="REMIND", subject=subject, due_at=due_at)


def waiting(key: str) -> Held:
    return Held(0, key, Until.ROW, "{}", "", NOON, waits_for="plan/o-1")


def dead(key: str, fingerprint: str) -> Held:
    return as_dead_letter(replace(waiting(key), until=Until.OPERATOR), "HANDLER_FAILED", "", fingerprint)


def behind(key: str) -> Held:
    return replace(waiting(key), until=Until.BEHIND, waits_for="")


async def test_everything_held_is_counted_by_what_it_waits_for(watched: Watched) -> None:
    later = NOON + timedelta(days=1)
    armed = [deadline("ann", later, "a"), deadline("ann", later, "b"), deadline("bob", later)]
    held = [waiting("cy"), dead("bob", "alike"), dead("bob", "alike"), dead("dee", ""), behind("bob")]
    await watched.save(Changes(armed=armed, held=held, outbox={0: "[]", 3: "[]"}))
    await watched.snapshots.take()
    counted = {until: watched.meters.value(metrics.HELD, until) for until in Until}
    assert counted == {Until.TIME: 3, Until.ROW: 1, Until.OPERATOR: 3, Until.BEHIND: 1}
    assert watched.meters.value(metrics.PARKED) == 1
    assert watched.meters.value(metrics.OUTBOX) == 2
    assert (watched.meters.value(metrics.LINE_STOPPED), watched.meters.value(metrics.DEADLINES_LATE)) == (0, 0)


async def test_a_stopped_line_and_a_late_deadline_are_seen_and_a_parked_one_is_not_late(watched: Watched) -> None:
    await watched.database.stop_line(Line(stopped=True, reason="20 keys failed alike", build="one", since=NOON))
    late = [deadline("ann", NOON - timedelta(seconds=90)), deadline("bob", NOON - timedelta(days=3))]
    await watched.save(Changes(armed=late, held=[dead("bob", "alike")]))
    await watched.snapshots.take()
    assert watched.meters.value(metrics.LINE_STOPPED) == 1
    assert watched.meters.value(metrics.DEADLINES_LATE) == 90


async def test_a_database_that_does_not_answer_leaves_the_last_look_and_its_age(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    await watched.save(Changes(held=[dead("bob", "alike")]))
    await watched.snapshots.take()
    async with watched.snapshots._questions._database.connection("holding the one there is"):
        with pytest.raises(Unavailable):
            await watched.snapshots.take()
    assert watched.meters.value(metrics.PARKED) == 1
    monkeypatch.setattr("shared.operations.snapshot.monotonic", lambda: 1e9)
    watched.meters.exposition()
    assert watched.meters.value(metrics.LOOK_AGE) > 1e6


async def test_before_the_first_look_nothing_is_said_of_the_service(watched: Watched) -> None:
    text = watched.meters.exposition().decode()
    for metric in (metrics.HELD, metrics.PARKED, metrics.OUTBOX, metrics.LINE_STOPPED, metrics.LOOK_AGE):
        assert f"\n{metric.name}{{" not in text
