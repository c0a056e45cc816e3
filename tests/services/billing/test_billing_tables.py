"""The rows in their tables: the migrations fit the classes, bad rows are refused, and an older schema is brought on."""

import os
from collections.abc import AsyncIterator, Container
from datetime import date
from pathlib import Path
from shutil import copy

import asyncpg
import pytest
from billing_stories import (
    BUYER,
    accepted,
    after_accepting,
    approved,
    attempt,
    closed,
    extend,
    notice,
    opened,
    payout,
    repay,
    report,
    reversal,
)

import services.billing.migrations
from services.billing.service import billing
from services.billing.state import Bill, Plan, Repayment
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
    """Rows of every kind: an order half paused, partly refunded, paid too much, reminded of; and one charged back."""
    story = after_accepting().then(notice("03-16 09:01"), at="03-16 09:02").then(opened(), at="03-16 10:00")
    story = story.until("03-19 14:00").then(approved(20000, "rf-1"), at="03-19 14:01")
    story = story.then(opened("case-2", 100), at="03-19 14:02").then(closed("case-2"), at="03-19 14:03")
    story = story.then(report(FIRST, "SUCCEEDED", 12885, "03-19 14:04"), at="03-19 14:04")
    paid_out = payout(f"op:{FIRST}:o1:1", "SUCCEEDED", 7116, cause="OVERPAYMENT")
    story = story.then(paid_out, at="03-20 10:00").then(accepted("o-2", 5000), at="03-20 11:00")
    story = story.then(extend(bill_id="b:o-2"), at="03-20 12:00")
    story = story.then(reversal(FIRST, 1000), at="03-21 10:00").until("03-21 10:00")
    return story.given.rows


async def store(connection: asyncpg.Connection, row: Row, later: Container[str] = ()) -> None:
    """Insert a row, without the columns that came ``later``."""
    made = codec(type(row))
    known = [
        (column, values[0])
        for column, values in zip(made.columns, made.encode([row]), strict=True)
        if column.quoted.strip('"') not in later
    ]
    names = ", ".join(column.quoted for column, _ in known)
    places = ", ".join(f"${n}::{column.type}" for n, (column, _) in enumerate(known, start=1))
    values = [value for _, value in known]
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
        "UPDATE bill SET billed = refunded - 1",
        "UPDATE bill SET status = 'SCHEDULED'",
        "UPDATE repayment SET reversed = amount + 1",
        "UPDATE repayment SET reversed = amount, status = 'SUCCEEDED'",
        "UPDATE repayment SET order_ids = '[]'",
        "UPDATE reversal SET undone = '[]'",
        "UPDATE extension SET approver = 'BUYER'",
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
            await store(schema, row, later={"order_ids", "bill_ids", "waive_fee_ids", "reversed"})
    migrate(dsn, "billing", [REVISIONS], schema=SCHEMA)
    (refund,) = await schema.fetch("SELECT * FROM refund")
    assert (refund["buyer_id"], refund["refund_id"], refund["cause"]) == (BUYER, f"op:{FIRST}:o1", "OVERPAYMENT")
    assert (refund["bill_id"], refund["amount"], refund["cash"]) == ("b:o-1", 7116, 7116)
    (repayment,) = await schema.fetch("SELECT * FROM repayment")
    assert (repayment["order_ids"], repayment["bill_ids"]) == ('["o-1"]', '["b:o-1"]')


async def test_what_stood_before_there_were_late_fees_is_brought_on(
    dsn: str, schema: asyncpg.Connection, tmp_path: Path
) -> None:
    """What bills were billed and refunded, and when they were paid on, is reckoned from the plans."""
    for name in ("__init__.py", "billing_0001.py", "billing_0002.py", "billing_0003.py"):
        copy(REVISIONS / name, tmp_path)
    migrate(dsn, "billing", [tmp_path], schema=SCHEMA)
    story = after_accepting().then(approved(5769, "rf-1"), at="03-13 10:00").then(repay(amount=500), at="03-14 10:00")
    story = story.then(report("pay-1", "SUCCEEDED", 500, "03-14 10:01"), at="03-14 10:01")
    later = {"reinstated", "billed", "refunded", "late_fees", "statement_on", "extended", "paid_on"}
    for kind, row_id in ((Plan, "o-1"), (Bill, "b:o-1")):
        await store(schema, story.row(kind, row_id), later)
    migrate(dsn, "billing", [REVISIONS], schema=SCHEMA)
    (bill,) = await schema.fetch("SELECT billed, refunded, paid_on FROM bill")
    assert tuple(bill.values()) == (25769, 5769, date(2027, 3, 14))


# -- the journal -------------------------------------------------------------------------------------------------------

POSTING = """
    INSERT INTO journal (buyer_id, cause_id, n, posted_at, fact, account, debit, credit, currency, order_id)
    SELECT 'b-7', 'message-1', n, now(), 'PLAN_OPENED', account, debit, credit, 'CNY', 'o-1'
    FROM (VALUES (0, '1100', 25769, 0), (1, '2000', 0, $1::bigint)) AS posting (n, account, debit, credit)
"""


async def test_i_1_what_a_message_adds_to_the_journal_sums_to_zero_in_the_database_too(
    dsn: str, schema: asyncpg.Connection
) -> None:
    migrate(dsn, "billing", [REVISIONS], schema=SCHEMA)
    await schema.execute(POSTING, 25769)
    with pytest.raises(asyncpg.CheckViolationError, match="the postings of message-1 do not sum to zero"):
        await schema.execute(POSTING, 25768)
    assert await schema.fetchval("SELECT count(*) FROM journal") == 2


@pytest.mark.parametrize("change", ["UPDATE journal SET debit = 1", "DELETE FROM journal", "TRUNCATE journal"])
async def test_the_service_may_add_to_its_journal_and_read_it_and_nothing_else(
    dsn: str, schema: asyncpg.Connection, change: str
) -> None:
    """BIL-15: by the privileges of the role a service has, which owns its schema."""
    await schema.execute("DROP ROLE IF EXISTS clerk")
    await schema.execute("CREATE ROLE clerk LOGIN PASSWORD 'clerk'")
    await schema.execute(f"CREATE SCHEMA {SCHEMA} AUTHORIZATION clerk")
    clerk = f"postgresql://clerk:clerk@{dsn.rpartition('@')[2]}"
    migrate(clerk, "billing", [REVISIONS], schema=SCHEMA)
    connection = await asyncpg.connect(clerk, server_settings={"search_path": SCHEMA})
    try:
        await connection.execute(POSTING, 25769)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(change)
        assert await connection.fetchval("SELECT count(*) FROM journal") == 2
    finally:
        await connection.close()
        await schema.execute(f"DROP SCHEMA {SCHEMA} CASCADE")
        await schema.execute("DROP ROLE clerk")
