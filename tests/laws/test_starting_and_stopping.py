"""A process that cannot work says why in one line; one that is told to stop does; an outage ends by itself."""

from __future__ import annotations

import asyncio
import re
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from os import environ
from pathlib import Path

import psycopg
import pytest

from shared.local.ports import free_port
from shared.local.process import Process
from shared.local.servers import Servers
from shared.operations.settings import EXIT_MISCONFIGURED, EXIT_UNREACHABLE
from tests.laws.bench import Bench
from tests.laws.conftest import create
from tests.laws.load import Customers, Town
from tests.laws.replicas import uvicorn
from tests.laws.strength import Strength
from tests.patience import PATIENCE_S, eventually

STOPS_WITHIN_S = 15.0


@dataclass(frozen=True)
class Refusal:
    """An environment in which a service must not start, the exit code, and what its one line names, as a pattern."""

    name: str
    code: int
    says: str
    env: Mapping[str, str]
    app: str = "tests.laws.till_app:app"


async def test_a_service_that_cannot_work_names_what_is_wrong_in_one_line(
    bench: Bench, servers: Servers, till_dsn: str, tmp_path: Path
) -> None:
    kiosk = "tests.laws.kiosk_app:app"
    await create(servers.bootstrap, "booth.commands", "booth.events", partitions=3)
    await create(servers.bootstrap, "booth.dlq", partitions=2)
    await create(servers.bootstrap, "stand.commands", "stand.events", "stand.dlq")
    await create(servers.bootstrap, "desk.commands", "desk.events", "desk.dlq")
    with psycopg.connect(servers.admin_dsn) as connection:
        connection.execute("CREATE SCHEMA desk")
        connection.execute("CREATE TABLE desk.alembic_version AS SELECT 'nobody knows' AS version_num")
        connection.execute("GRANT USAGE ON SCHEMA desk TO till")
        connection.execute("GRANT SELECT ON desk.alembic_version TO till")
    nonsense = dict.fromkeys(("HOUFU_CLOCK", "HOUFU_DSN", "HOUFU_KAFKA_BOOTSTRAP"), "nonsense")
    nowhere = f"127.0.0.1:{free_port()}"
    refusals = [
        Refusal("settings", EXIT_MISCONFIGURED, "HOUFU_KAFKA_BOOTSTRAP: .*HOUFU_DSN: .*HOUFU_CLOCK: ", nonsense),
        Refusal("no broker", EXIT_UNREACHABLE, "HOUFU_KAFKA_BOOTSTRAP: ", {"HOUFU_KAFKA_BOOTSTRAP": nowhere}),
        Refusal("no database", EXIT_UNREACHABLE, "HOUFU_DSN: ", {"HOUFU_DSN": f"postgresql://till:till@{nowhere}/x"}),
        Refusal("password", EXIT_UNREACHABLE, "HOUFU_DSN: ", {"HOUFU_DSN": till_dsn.replace(":till@", ":wrong@")}),
        Refusal("another's DSN", EXIT_MISCONFIGURED, "HOUFU_DSN: ", {"HOUFU_DSN": servers.dsn("notify")}),
        Refusal("topics", EXIT_MISCONFIGURED, "missing: kiosk.commands", {"KIOSK": "kiosk"}, kiosk),
        Refusal("partitions", EXIT_MISCONFIGURED, "booth.dlq has 2", {"KIOSK": "booth"}, kiosk),
        Refusal("history", EXIT_MISCONFIGURED, "HOUFU_DSN: .*'nobody knows'", {"KIOSK": "desk"}, kiosk),
        Refusal("schema", EXIT_MISCONFIGURED, "the schema is behind .engine_0001", {"KIOSK": "stand"}, kiosk),
    ]
    endings = await asyncio.gather(*(asyncio.to_thread(ended, one, bench, tmp_path) for one in refusals))
    for one, (code, lines) in zip(refusals, endings, strict=True):
        last = [line for line in lines if line.startswith("houfu: ")]
        assert (one.name, code, len(last), bool(re.search(one.says, last[0]))) == (one.name, one.code, 1, True), lines
        assert not any("Traceback" in line or "wrong@" in line for line in lines), lines


def ended(refusal: Refusal, bench: Bench, logs: Path) -> tuple[int | None, list[str]]:
    """How a process ends that is started in this environment: its exit code and its output."""
    env = {**environ, **bench.fleet.environment("till"), **refusal.env}
    log = logs / f"{refusal.name}.log"
    process = Process(refusal.name, uvicorn(refusal.app, str(free_port())), log=log, env=env)
    process.finish(PATIENCE_S)
    return process.exit_code, log.read_text().splitlines()


async def test_a_service_stops_in_time_under_load_and_leaves_nothing_behind(bench: Bench, town: Town) -> None:
    customers = Customers(bench, 40, "stopping")
    purchases = await town.purchases(20)
    await customers.open()
    flowing = asyncio.gather(customers.send(20, pause_s=0.1), bench.say(*purchases, chunk=10, pause_s=0.1))
    await eventually(lambda: bench.query("till", "SELECT 1 FROM parcel WHERE buyer_id = $1", customers.buyers[0]))
    for name in bench.access.dsns:
        (replica,) = bench.fleet.of(name)
        told_at = time.monotonic()
        assert await bench.fleet.end(replica) in (0, -signal.SIGTERM)
        assert time.monotonic() - told_at < STOPS_WITHIN_S
    assert bench.fleet.left() == []
    left_over = {name: one.outbox_rows for name, one in (await bench.standing()).items()}
    assert left_over == dict.fromkeys(bench.access.dsns, 0)
    for name in bench.access.dsns:
        await bench.fleet.scale(name, 0)
        await bench.fleet.scale(name, 1)
    _, ids = await flowing
    await bench.calm()
    await customers.assert_exactly_once()
    await town.assert_exactly_once(ids, purchases)


@pytest.mark.parametrize("server", ["kafka", "postgres"])
async def test_a_server_is_away_under_load_and_everybody_recovers_alone(
    bench: Bench, town: Town, servers: Servers, strength: Strength, server: str
) -> None:
    """Unready meanwhile, also who has nothing to do and follows the wall clock; whoever is told to stop does so."""
    customers = Customers(bench, 20, server)
    purchases = await town.purchases(15)
    await bench.fleet.restart("till", HOUFU_CLOCK="system")
    await customers.open()
    await bench.settled()
    flowing = asyncio.create_task(bench.say(*purchases, chunk=10, pause_s=0.3))
    await eventually(lambda: bench.query("checkout", "SELECT 1 FROM account WHERE buyer_id = $1", purchases[0].key))
    away = getattr(servers, server)
    gone_at = time.monotonic()
    await asyncio.to_thread(away.stop)
    try:
        for name in bench.access.dsns:
            (replica,) = bench.fleet.of(name)
            await eventually(lambda replica=replica: asyncio.to_thread(lambda: replica.health().get("ready") is False))
        (leaving,) = bench.fleet.of("till")
        told_at = time.monotonic()
        await bench.fleet.end(leaving)
        assert time.monotonic() - told_at < STOPS_WITHIN_S + 3
        if server == "kafka":  # the longer one: the clients of the database keep no state to grow stale
            await asyncio.sleep(strength.outage_s - (time.monotonic() - gone_at))
    finally:
        await asyncio.to_thread(away.start)
    await bench.fleet.scale("till", 0)
    await bench.fleet.scale("till", 1)
    await customers.send(3)
    ids = await flowing
    await bench.calm()
    assert bench.fleet.ends("checkout") + bench.fleet.ends("billing") == []
    await customers.assert_exactly_once()
    await town.assert_exactly_once(ids, purchases)
