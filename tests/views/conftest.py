"""The schemas of the services, each with its views on top."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import pytest

from shared.drivers.migrate import migrate
from shared.operations.house import revisions_of
from tests.views.bench import Bench
from tests.views.rows import BESIDES, KINDS


@pytest.fixture(scope="session")
def dsn(request: pytest.FixtureRequest) -> str:
    """A database in which schemas may be created: the one named by HOUFU_TEST_POSTGRES, or the embedded one."""
    return os.environ.get("HOUFU_TEST_POSTGRES") or str(request.getfixturevalue("servers").admin_dsn)


@pytest.fixture(scope="session")
async def benches(dsn: str) -> AsyncIterator[dict[str, Bench]]:
    """Every service's views, opened once."""
    opened: dict[str, Bench] = {}
    for service in KINDS:
        schema = f"{service}_views"
        migrate(dsn, service, [revisions_of(service)], schema=schema)
        opened[service] = await Bench.open(service, dsn, schema)
    yield opened
    for bench in opened.values():
        await bench.close()


@pytest.fixture
async def empty(benches: dict[str, Bench]) -> dict[str, Bench]:
    """Every service's views over empty tables."""
    for service, bench in benches.items():
        await bench.empty((*KINDS[service], *BESIDES.get(service, ())))
    return benches


@pytest.fixture
def checkout(empty: dict[str, Bench]) -> Bench:
    return empty["checkout"]


@pytest.fixture
def billing(empty: dict[str, Bench]) -> Bench:
    return empty["billing"]


@pytest.fixture
def refunds(empty: dict[str, Bench]) -> Bench:
    return empty["refunds"]


@pytest.fixture
def notify(empty: dict[str, Bench]) -> Bench:
    return empty["notify"]
