"""The database under test: first the one in memory, then the real one, which must behave the same."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import asyncpg
import pytest

from shared.drivers.memory import MemoryDatabase
from shared.drivers.migrate import migrate
from shared.drivers.postgres import PostgresDatabase
from shared.engine.ports import Line
from tests.drivers.plans import JOURNAL_IDENTITY, REVISIONS, JournalLine

SCHEMA = "example"

TABLES = "position, inbox, outbox, held, attempt, plan, wallet, journal_line"


@pytest.fixture(scope="session")
def dsn(request: pytest.FixtureRequest) -> str:
    """A database in which schemas may be created: the one named by HOUFU_TEST_POSTGRES, or the embedded one."""
    named = os.environ.get("HOUFU_TEST_POSTGRES")
    return named or str(request.getfixturevalue("servers").admin_dsn)


@pytest.fixture(scope="session")
def migrated(dsn: str) -> str:
    """The DSN of a database that has the example's schema."""
    migrate(dsn, SCHEMA, [REVISIONS])
    return dsn


@pytest.fixture(scope="session")
async def opened(migrated: str) -> AsyncIterator[PostgresDatabase]:
    """The example's schema, as its service opens it."""
    database = await PostgresDatabase.open(migrated, "example", schema=SCHEMA)
    yield database
    await database.close()


@pytest.fixture
async def postgres(opened: PostgresDatabase) -> PostgresDatabase:
    """The example's schema, empty."""
    async with opened.connection("emptying") as connection:
        await connection.execute(f"TRUNCATE {TABLES} RESTART IDENTITY")
    await opened.stop_line(Line())
    return opened


@pytest.fixture(params=["memory", "postgres"])
def database(request: pytest.FixtureRequest) -> MemoryDatabase | PostgresDatabase:
    """Either database, empty."""
    if request.param == "memory":
        return MemoryDatabase(unique={JournalLine: JOURNAL_IDENTITY})
    found: PostgresDatabase = request.getfixturevalue("postgres")
    return found


@pytest.fixture
async def bare(migrated: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection of an operator, outside the drivers."""
    connection = await asyncpg.connect(migrated, server_settings={"search_path": SCHEMA})
    yield connection
    await connection.close()
