"""The rows in their tables: the migration fits the classes, and what is saved is loaded as it was."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from checkout_story import BUYER, plan_opened, plan_reopened, plan_settled, repaid, return_opened
from test_checkout_orders import WAYS, after

import services.checkout.migrations
from services.checkout.service import checkout
from services.checkout.state import AccountStatus, Order, OrderStatus
from shared.contracts.checkout import ChangeAccountStatus
from shared.drivers.migrate import migrate
from shared.drivers.rows import codec
from shared.drivers.schema import check_schema

SCHEMA = "checkout_tables"
REVISIONS = Path(services.checkout.migrations.__file__).parent


@pytest.fixture
async def connection(request: pytest.FixtureRequest) -> AsyncIterator[asyncpg.Connection]:
    """A connection to checkout's schema: in the database named by HOUFU_TEST_POSTGRES, or in the embedded one."""
    dsn = os.environ.get("HOUFU_TEST_POSTGRES") or str(request.getfixturevalue("servers").admin_dsn)
    migrate(dsn, "checkout", [REVISIONS], schema=SCHEMA)
    found = await asyncpg.connect(dsn, server_settings={"search_path": SCHEMA})
    yield found
    await found.execute(f'DROP SCHEMA "{SCHEMA}" CASCADE')
    await found.close()


async def test_the_tables_are_those_the_rows_expect(connection: asyncpg.Connection) -> None:
    assert await check_schema(connection, checkout.row_types) == []


async def test_every_state_of_a_life_can_be_stored(connection: asyncpg.Connection) -> None:
    for way in WAYS.values():
        for row in way().given.rows:
            await store(connection, row)
    stored = await connection.fetch("SELECT DISTINCT status FROM orders")
    assert {record["status"] for record in stored} == {str(OrderStatus.DECLINED)}, "one order id, the last way wins"


async def test_what_a_reversal_leaves_behind_on_a_closed_account_can_be_stored(
    connection: asyncpg.Connection,
) -> None:
    """Section 2, B-C7: the debt outlives the account, and an order at its end may have a plan that is open again."""
    close = ChangeAccountStatus(buyer_id=BUYER, action="CLOSE", by="BUYER", reason="enough")
    settled = after(
        WAYS[OrderStatus.ACCEPTED](), (plan_opened(33_499, 1), "03-02 10:00"), (repaid(0, 2), "03-02 10:00")
    )
    closed = after(settled, (plan_settled(), "03-02 10:00"), (close, "03-02 11:00"))
    for story in (closed, WAYS[OrderStatus.COMPLETED](), WAYS[OrderStatus.REFUNDED]()):
        for row in after(story, (plan_reopened(33_499, 3), "05-10 10:00")).given.rows:
            await store(connection, row)
    assert await connection.fetchval("SELECT plan_settled FROM orders") is False


async def store(connection: asyncpg.Connection, row: object) -> None:
    made = codec(type(row))
    names = ", ".join(column.quoted for column in made.columns)
    places = ", ".join(f"${n}::{column.type}" for n, column in enumerate(made.columns, start=1))
    values = [column[0] for column in made.encode([row])]
    key = row.OWNER if row.ID == row.OWNER else f"{row.OWNER}, {row.ID}"
    table = type(row).TABLE
    update = ", ".join(f"{column.quoted} = EXCLUDED.{column.quoted}" for column in made.columns)
    await connection.execute(
        f"INSERT INTO {table} ({names}) VALUES ({places}) ON CONFLICT ({key}) DO UPDATE SET {update}", *values
    )


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE account SET held = -1",
        "UPDATE account SET used = -1",
        "UPDATE account SET score = 1001",
        "UPDATE account SET status = 'CLOSED'",
        "UPDATE account SET instrument = NULL",
        "UPDATE orders SET held_amount = amount + 1",
        "UPDATE orders SET status = 'CANCELLED'",
        "UPDATE orders SET status = 'SOMETHING'",
        "UPDATE orders SET status = 'ACCEPTED'",
        "UPDATE merchant_pair SET open_orders = -1",
        "UPDATE orders SET status = 'REFUNDED'",
        "UPDATE orders SET refunded_amount = 1",
        "UPDATE orders SET open_cases = -1",
    ],
)
async def test_bad_rows_cannot_be_written(connection: asyncpg.Connection, change: str) -> None:
    for row in WAYS[OrderStatus.AUTHORIZED]().given.rows:
        await store(connection, row)
    with pytest.raises(asyncpg.CheckViolationError):
        await connection.execute(change)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE orders SET status = 'ACCEPTED'",
        "UPDATE orders SET refunded_amount = accepted_amount - 1",
        "UPDATE orders SET refunded_amount = accepted_amount + 1",
        "UPDATE orders SET accepted_at = NULL",
        "UPDATE refund SET amount = -1",
        "UPDATE return_case SET heard = '[]'",
    ],
)
async def test_what_was_given_back_whole_is_refunded_and_nothing_else(
    connection: asyncpg.Connection, change: str
) -> None:
    for row in after(WAYS[OrderStatus.REFUNDED](), (return_opened(), "03-02 10:00")).given.rows:
        await store(connection, row)
    with pytest.raises(asyncpg.CheckViolationError):
        await connection.execute(change)


@pytest.mark.parametrize("status", OrderStatus)
def test_rows_come_back_from_their_columns_as_they_were(status: OrderStatus) -> None:
    for row in WAYS[status]().given.rows:
        made = codec(type(row))
        assert made.decode(list(zip(*made.encode([row]), strict=True))) == [row]


def test_the_tables_know_every_state() -> None:
    revision = "".join(path.read_text() for path in REVISIONS.glob("checkout_*.py"))
    assert all(f"'{status}'" in revision for status in (*OrderStatus, *AccountStatus))
    assert Order.LIVE is not None
