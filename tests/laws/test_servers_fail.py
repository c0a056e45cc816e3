"""A server dies, freezes, hangs up or lets nobody in, under load: everybody recovers alone and nothing is lost."""

from __future__ import annotations

import asyncio
import signal
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from shared.local.servers import Servers
from tests.laws.bench import Bench
from tests.laws.figures import Figures
from tests.laws.load import Customers, Town
from tests.laws.proxy import Cut, DatabaseProxy
from tests.laws.replicas import Replica
from tests.laws.strength import Strength
from tests.laws.traffic import dead_letters, purchases_under_way
from tests.patience import eventually
from tests.servers import ended_and_started, frozen

FROZEN_S = 10.0
"""Longer than the brokers' patience with a member (6 s), shorter than a client's with an answer."""

MEDIAN_MAX_S = 10.0
RECOVERY_MAX_S = 60.0
"""What recovering may take at most: the watchdog's 30 s and a start."""

ENOUGH_FOR_A_MEDIAN = 10


# ------------------------------------------------------------------ the broker


@pytest.mark.usefixtures("two_billings")
async def test_the_broker_is_killed_again_and_again(
    bench: Bench, town: Town, servers: Servers, strength: Strength, figures: Figures
) -> None:
    """From the moment it is back until a purchase begun then is a debt: without help, and never long."""
    customers = Customers(bench, 10, "broker")
    await customers.open()
    recoveries_s: list[float] = []
    ends = sum(len(bench.fleet.ends(name)) for name in bench.access.dsns)
    for _ in range(strength.broker_kills):
        async with purchases_under_way(bench, town, 10):
            await asyncio.to_thread(ended_and_started, servers.kafka)
            back = time.monotonic()
        async with purchases_under_way(bench, town, 1):
            await customers.send(1)
        recoveries_s.append(time.monotonic() - back)
        figures.note("the broker was killed", recovery_s=recoveries_s)
    await customers.assert_exactly_once()
    restarts = sum(len(bench.fleet.ends(name)) for name in bench.access.dsns) - ends
    median_s = statistics.median(recoveries_s)
    figures.note("the broker was killed", median_s=median_s, max_s=max(recoveries_s), services_restarted=restarts)
    assert max(recoveries_s) < RECOVERY_MAX_S
    assert len(recoveries_s) < ENOUGH_FOR_A_MEDIAN or median_s < MEDIAN_MAX_S


@pytest.mark.usefixtures("two_billings")
async def test_the_broker_freezes_and_thaws(bench: Bench, town: Town, servers: Servers) -> None:
    async with purchases_under_way(bench, town, 30):
        with frozen(servers.kafka):
            await asyncio.sleep(FROZEN_S)


# ------------------------------------------------------------------ the database


@pytest.mark.usefixtures("two_billings")
async def test_the_database_crashes_and_restarts(bench: Bench, town: Town, servers: Servers) -> None:
    """Every session ends without a word, what was not committed is gone."""
    async with purchases_under_way(bench, town, 30):
        await asyncio.to_thread(ended_and_started, servers.postgres, signal.SIGQUIT)


@pytest.mark.usefixtures("two_billings")
async def test_every_session_is_terminated_again_and_again(bench: Bench, town: Town, servers: Servers) -> None:
    terminated = 0
    async with purchases_under_way(bench, town, 30), administrator(servers) as admin:
        for _ in range(10):
            terminated += await admin.fetchval(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name LIKE 'houfu-%'"
            )
            await asyncio.sleep(0.3)  # they come back, and are hit at whatever they do then
    assert terminated > 10


async def test_nobody_gets_a_connection_for_a_while(bench: Bench, servers: Servers) -> None:
    """The service rests and says so; when it is let in again it goes on."""
    dead = await dead_letters(bench)
    customers = Customers(bench, 20, "shut-out")
    await customers.open()
    await bench.settled()
    (replica,) = bench.fleet.of("till")
    async with administrator(servers) as admin:
        await admin.execute("ALTER ROLE till CONNECTION LIMIT 0")
        try:
            await admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'till'")
            await customers.send(3)
            complaint = await eventually(lambda: asyncio.to_thread(trouble, replica))
        finally:
            await admin.execute("ALTER ROLE till CONNECTION LIMIT -1")
    assert "connection" in complaint
    await bench.calm()
    await customers.assert_exactly_once()
    assert await dead_letters(bench) == dead


def trouble(replica: Replica) -> str:
    """What a service that is not ready complains of; empty while it is ready or silent."""
    return str(replica.health().get("trouble") or "")


@pytest.mark.parametrize("cut", Cut)
async def test_the_connection_is_cut_in_the_middle_of_a_commit(bench: Bench, servers: Servers, cut: Cut) -> None:
    """Before the database hears of it nothing has happened; afterwards all of it has: the service cannot know."""
    dead = await dead_letters(bench)
    customers = Customers(bench, 20, "cut")
    await customers.open()
    await bench.settled()
    async with DatabaseProxy(servers.admin_dsn) as proxy:
        dsn = bench.fleet.programs["till"].env["HOUFU_DSN"]
        await bench.fleet.restart("till", HOUFU_DSN=proxy.instead_of(dsn))
        await customers.send(1)
        await bench.settled()
        proxy.cut_next_commit(cut)
        await customers.send(5)
        await eventually(lambda: proxy.cuts == 1)
        await bench.calm()
        await customers.assert_exactly_once()
        await bench.fleet.scale("till", 0)
    await bench.fleet.scale("till", 1)
    assert await dead_letters(bench) == dead


@asynccontextmanager
async def administrator(servers: Servers) -> AsyncIterator[asyncpg.Connection]:
    """The database's superuser."""
    connection = await asyncpg.connect(servers.admin_dsn)
    try:
        yield connection
    finally:
        await connection.close()
