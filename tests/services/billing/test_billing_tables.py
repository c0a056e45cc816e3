"""The rows in their tables: the migrations fit the classes, bad rows are refused, and an older schema is brought on."""

import os
from collections.abc import AsyncIterator
from pathlib import Path
from shutil import copy

import asyncpg
import pytest
from billing_stories import BUYER, after_accepting, approved, attempt, closed, notice, opened, payout, report

import services.billing.migrations
from services.billing.service import billing
from services.billing.state import Repayment
from shared.drivers.migrate import migrate
from shared.drivers.rows import codec
from shared.drivers.schema import check_schema
from shared.engine.vocabulary import Row

SCHEMA = "billing_tables"
REVISIONS = Path(services.billing.migrations.__file__).parent
FIRST = attempt("o-1", 0)


@pytest.fixture
def dsn(request: pytest.FixtureRequest) -> str:
    """The database named by HOUFU_TEST_POSTGRES, or the embedded one."""
    return os.environ.get("HOUFU_TEST_POSTGRES") or str(request.getfixturevalue("servers").admin_dsn)


@pytest.fixture
async def schema(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to a schema in which nothing stands yet."""
    found = await asyncpg.connect(dsn, server_settings={"search_path": SCHEMA})
    yield found
    await found.execute(f'DROP SCHEMA IF EXISTS "{SCHEMA}" CASCADE')
    await found.close()


def a_life() -> list[Row]:
    """Rows of every kind: an order half paused, partly refunded, paid too much, and reminded of."""
    story = after_accepting().then(notice("03-16 09:01"), at="03-16 09:02").then(opened(), at="03-16 10:00")
    story = story.until("03-19 14:00").then(approved(20000, "rf-1"), at="03-19 14:01")
    story = story.then(opened("case-2", 100), at="03-19 14:02").then(closed("case-2"), at="03-19 14:03")
    story = story.then(report(FIRST, "SUCCEEDED", 12885, "03-19 14:04"), at="03-19 14:04")
    paid_out = payout(f"op:{FIRST}:o1:1", "SUCCEEDED", 7116, cause="OVERPAYMENT")
    return story.then(paid_out, at="03-20 10:00").given.rows


async def store(connection: asyncpg.Connection, row: Row) -> None:
    made = codec(type(row))
    names = ", ".join(column.quoted for column in made.columns)
    places = ", ".join(f"${n}::{column.type}" for n, column in enumerate(made.columns, start=1))
    values = [column[0] for column in made.encode([row])]
    await connection.execute(f"INSERT INTO {type(row).TABLE} ({names}) VALUES ({places})", *values)


async def test_the_tables_are_those_the_rows_expect_and_take_them(dsn: str, schema: asyncpg.Connection) -> None:
    migrate(dsn, "billing", [REVISIONS], schema=SCHEMA)
    assert await check_schema(schema, billing.row_types) == []
    rows = a_life()
    assert {type(row) for row in rows} == set(billing.row_types)
    for row in rows:
        await store(schema, row)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE plan SET refunded_total = principal + 1",
        "UPDATE plan SET instalments = jsonb_set(instalments, '{0,paused}', '25769')",
        "UPDATE refund SET unallocated = unallocated + 1",
        "UPDATE refund SET bill_id = NULL, order_id = NULL",
        "UPDATE refund SET cause = 'OTHERWISE'",
        "UPDATE evidence SET reminders = '[]'",
    ],
)
async def test_bad_rows_cannot_be_written(dsn: str, schema: asyncpg.Connection, change: str) -> None:
    migrate(dsn, "billing", [REVISIONS], schema=SCHEMA)
    for row in a_life():
        await store(schema, row)
    with pytest.raises(asyncpg.CheckViolationError):
        await schema.execute(change)


async def test_what_was_overpaid_before_there_were_refunds_is_one_afterwards(
    dsn: str, schema: asyncpg.Connection, tmp_path: Path
) -> None:
    for name in ("__init__.py", "billing_0001.py"):
        copy(REVISIONS / name, tmp_path)
    migrate(dsn, "billing", [tmp_path], schema=SCHEMA)
    for row in a_life():
        if isinstance(row, Repayment):
            await store(schema, row)
    migrate(dsn, "billing", [REVISIONS], schema=SCHEMA)
    (refund,) = await schema.fetch("SELECT * FROM refund")
    assert (refund["buyer_id"], refund["refund_id"], refund["cause"]) == (BUYER, f"op:{FIRST}:o1", "OVERPAYMENT")
    assert (refund["bill_id"], refund["amount"], refund["cash"]) == ("b:o-1", 7116, 7116)
