"""One running system for all laws: two servers, checkout, billing and the toy till, on a clock that can be moved."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from shared.drivers.migrate import migrate
from shared.drivers.topics import PARTITIONS, Topic
from shared.local.servers import Servers
from shared.local.supervisor import Program
from shared.operations import deployment
from shared.operations.embedded import Setup, plan_of, proof_secret
from shared.operations.remote import Access
from tests.conftest import FIGURES
from tests.engine.till import till
from tests.laws.bench import Bench
from tests.laws.failpoints import VARIABLE, Failpoint
from tests.laws.figures import Figures
from tests.laws.load import Town
from tests.laws.names import REVISIONS, TILL_TOPICS
from tests.laws.replicas import Fleet, uvicorn
from tests.laws.strength import LONG, SHORT, Strength

OPENING = datetime(2027, 3, 1, 1, tzinfo=UTC)

SETUP = Setup(clock="movable", start=OPENING)


@pytest.fixture(scope="session")
def strength(pytestconfig: pytest.Config) -> Strength:
    """How hard the laws are tried in this run."""
    return LONG if pytestconfig.getoption("chaos") else SHORT


@pytest.fixture(scope="session")
def figures(pytestconfig: pytest.Config) -> Figures:
    """Where a law leaves what it measured; kept when the tests are done."""
    return pytestconfig.stash[FIGURES]


@pytest.fixture(scope="package")
def till_dsn(servers: Servers) -> str:
    """The toy's own role and schema, as every service has them."""
    with psycopg.connect(servers.admin_dsn) as connection:
        connection.execute("CREATE ROLE till LOGIN PASSWORD 'till'")
        connection.execute("CREATE SCHEMA till AUTHORIZATION till")
        connection.execute("ALTER ROLE till SET search_path = till")
    dsn = f"postgresql://till:till@{servers.admin_dsn.rpartition('@')[2]}"
    migrate(dsn, "till", [REVISIONS])
    return dsn


@pytest.fixture(scope="package")
def mended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """While this file exists the till's mistakes are mended."""
    return tmp_path_factory.mktemp("till") / "mended"


@pytest.fixture(scope="package")
def failpoint(tmp_path_factory: pytest.TempPathFactory) -> Failpoint:
    """Strikes a process of billing in the middle of a turn."""
    return Failpoint(tmp_path_factory.mktemp("failpoint") / "armed")


@pytest.fixture(scope="package")
def programs(servers: Servers, till_dsn: str, mended: Path, failpoint: Failpoint) -> list[Program]:
    """What the embedded system would run, and the till beside it; an adapter is deaf to what was said before it ran."""
    with ThreadPoolExecutor(1) as aside:  # the plan runs loops of its own
        planned = aside.submit(plan_of(SETUP), servers).result()
    house = [replace(one, argv=tuple("end" if word == "beginning" else word for word in one.argv)) for one in planned]
    house = [_breakable(one, failpoint) if one.name == "billing" else one for one in house]
    pattern = next(program for program in house if program.name == "billing")
    env = {"HOUFU_DSN": till_dsn, "HOUFU_BREAKER_KEYS": "6", "HOUFU_BUILD": "the first one", "TILL_MENDED": str(mended)}
    return [*house, replace(pattern, name="till", argv=uvicorn("tests.laws.till_app:app"), env={**pattern.env, **env})]


def _breakable(program: Program, failpoint: Failpoint) -> Program:
    env = {**program.env, "HOUFU_SERVICE": program.name, VARIABLE: str(failpoint.file)}
    return replace(program, argv=uvicorn("tests.laws.breakable_app:app"), env=env)


@pytest.fixture(scope="package")
def fleet(programs: list[Program], servers: Servers) -> Iterator[Fleet]:
    """The processes; none is left when the laws are proven."""
    fleet = Fleet(programs, servers.data_dir / "logs")
    yield fleet
    fleet.stop()
    assert fleet.left() == []


@pytest.fixture(scope="package")
async def bench(fleet: Fleet, servers: Servers, till_dsn: str) -> AsyncIterator[Bench]:
    """The system, running."""
    await create(servers.bootstrap, *TILL_TOPICS)
    services = [*deployment.services(), till]
    dsns = {service.name: servers.dsn(service.name) for service in services[:-1]} | {"till": till_dsn}
    access = Access(servers.bootstrap, "movable", dsns, {service.name: service.topics for service in services})
    for name in dsns:
        await fleet.scale(name, 1)
    async with Bench(access, fleet) as bench:
        await bench.calm()
        yield bench


@pytest.fixture(scope="package")
async def town(bench: Bench, servers: Servers) -> Town:
    """Shops and buyers of the real services."""
    return await Town(bench, proof_secret(servers.data_dir)).opened()


@pytest.fixture
async def two_billings(bench: Bench) -> None:
    """Two replicas share billing's lanes."""
    await bench.fleet.scale("billing", 2)
    await bench.fleet.ready("billing")


@pytest.fixture(autouse=True)
async def whole(bench: Bench, mended: Path) -> AsyncIterator[None]:
    """Every law starts from a system at rest in which each service runs once, no adapter does, and nobody is parked."""
    mended.unlink(missing_ok=True)
    yield
    if (await bench.standing())["till"].line.stopped:  # one broken law is enough
        mended.touch()
        await bench.resume_line("till")
    for name in bench.access.dsns:
        await bench.fleet.scale(name, 1)
        for replica in bench.fleet.of(name):
            replica.ends.clear()
    await bench.calm()
    assert {name: one.parked_keys for name, one in (await bench.standing()).items() if one.parked_keys} == {}


async def create(bootstrap: str, *names: str, partitions: int = PARTITIONS) -> None:
    """Create topics as ``houfu migrate`` would."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        configuration = Topic("", partitions, -1).configuration()
        await admin.create_topics([NewTopic(name, partitions, 1, topic_configs=configuration) for name in names])
        while not set(names) <= set(await admin.list_topics()):
            await asyncio.sleep(0.05)
    finally:
        await admin.close()
