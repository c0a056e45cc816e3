"""The tables say what the classes say, hold every state of a life, and refuse what must not be."""

import os
import re
from collections.abc import AsyncIterator
from importlib.resources import files
from pathlib import Path
from typing import Any, get_args

import asyncpg
import pytest
from refunds_stories import (
    EXTERNAL,
    Story,
    completed,
    executing,
    gesture,
    graded,
    leg,
    overpaid,
    received,
    refund_due,
    request,
    review,
    units,
)
from test_refunds_machines import CASES, LEGS

import services.refunds.migrations
from services.refunds.service import refunds
from services.refunds.state import Case, CaseStatus, Order, Refund, RefundStatus
from shared.contracts.billing import RefundCause
from shared.contracts.checkout import OrderKind
from shared.contracts.refunds import CaseKind, CaseOutcome, Destination, Responsibility, ReviewMode
from shared.drivers.migrate import migrate
from shared.drivers.rows import codec, columns
from shared.drivers.schema import check_schema

SQL = (files("services.refunds.migrations") / "refunds_0001.py").read_text()
REVISIONS = Path(services.refunds.migrations.__file__).parent
SCHEMA = "refunds_tables"


# -- what the revision says --------------------------------------------------------------------------------------------


def table(name: str) -> str:
    """The text between the parentheses of a CREATE TABLE."""
    found = re.search(rf"CREATE TABLE {name} \((.*?)\n        \)", SQL, re.DOTALL)
    assert found is not None
    return found[1]


def listed(text: str, column: str) -> list[str]:
    """What a CHECK allows a column to be."""
    found = re.search(rf"\b{column} IN \((.*?)\)", text, re.DOTALL)
    assert found is not None
    return re.findall(r"'(\w+)'", found[1])


@pytest.mark.parametrize("cls", [Order, Case, Refund])
def test_every_field_has_a_column_of_its_type(cls: type) -> None:
    text = table(cls.TABLE)
    for column in columns(cls):
        declared = re.search(rf"^ +{column.name} +{column.type}\b(.*)$", text, re.MULTILINE)
        assert declared is not None, column.name
        assert column.nullable is ("NOT NULL" not in declared[1]), column.name


@pytest.mark.parametrize(
    ("name", "column", "values"),
    [
        ("orders", "kind", get_args(OrderKind)),
        ("return_case", "status", CaseStatus),
        ("return_case", "kind", get_args(CaseKind)),
        ("return_case", "review_mode", get_args(ReviewMode)),
        ("return_case", "destination", get_args(Destination)),
        ("return_case", "responsibility", get_args(Responsibility)),
        ("return_case", "outcome", get_args(CaseOutcome)),
        ("refund", "cause", get_args(RefundCause)),
        ("refund", "status", RefundStatus),
    ],
)
def test_every_state_a_row_may_have_is_allowed_and_no_other(name: str, column: str, values: Any) -> None:
    assert listed(table(name), column) == list(values)


@pytest.mark.parametrize("cls", [Case, Refund])
def test_the_partial_index_holds_the_live_rows(cls: type) -> None:
    index = re.search(rf"CREATE INDEX {cls.TABLE}_live ON {cls.TABLE} \(buyer_id\)\s+WHERE (.*?);", SQL, re.DOTALL)
    assert index is not None
    assert set(listed(index[1], cls.LIVE.column)) == cls.LIVE.values


# -- what the database does --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
async def connection(request: pytest.FixtureRequest) -> AsyncIterator[asyncpg.Connection]:
    """A connection to the schema: in the database named by HOUFU_TEST_POSTGRES, or in the embedded one."""
    dsn = os.environ.get("HOUFU_TEST_POSTGRES") or str(request.getfixturevalue("servers").admin_dsn)
    migrate(dsn, "refunds", [REVISIONS], schema=SCHEMA)
    found = await asyncpg.connect(dsn, server_settings={"search_path": SCHEMA})
    yield found
    await found.execute(f'DROP SCHEMA "{SCHEMA}" CASCADE')
    await found.close()


@pytest.fixture(autouse=True)
async def _undone(request: pytest.FixtureRequest) -> AsyncIterator[None]:
    """Whatever a test writes is gone afterwards."""
    if "connection" not in request.fixturenames:
        yield
        return
    connection = request.getfixturevalue("connection")
    transaction = connection.transaction()
    await transaction.start()
    yield
    await transaction.rollback()


async def store(connection: asyncpg.Connection, row: Any) -> None:
    made = codec(type(row))
    names = ", ".join(column.quoted for column in made.columns)
    places = ", ".join(f"${n}::{column.type}" for n, column in enumerate(made.columns, start=1))
    update = ", ".join(f"{column.quoted} = EXCLUDED.{column.quoted}" for column in made.columns)
    conflict = f"ON CONFLICT ({row.OWNER}, {row.ID}) DO UPDATE SET {update}"
    values = [column[0] for column in made.encode([row])]
    await connection.execute(f"INSERT INTO {row.TABLE} ({names}) VALUES ({places}) {conflict}", *values)


async def test_the_tables_are_those_the_rows_expect(connection: asyncpg.Connection) -> None:
    assert await check_schema(connection, refunds.row_types) == []


EXTERNALLY = (leg("DEBT", 500), leg("WALLET", 4000), leg("EXTERNAL", 8000, EXTERNAL))
WAYS = {
    **{str(status): way for status, way in CASES.items()},
    **{f"a leg {state}": way for state, (_, way) in LEGS.items()},
    "rejected": lambda: CASES[CaseStatus.UNDER_REVIEW]().then(review("REJECT"), at="03-15 20:00"),
    "refunded nothing": lambda: (
        received().then(graded(("A", 1, "D"), by="BUYER"), at="03-18 15:00").until("03-20 00:00")
    ),
    "partly arrived": lambda: received(request(lines=units(A=2)), came=units(A=1)),
    "several legs": lambda: executing(*EXTERNALLY),
    "overpaid": lambda: completed().then(overpaid(), at="03-18 18:00"),
    "a gesture": lambda: Story.of_an_order().then(gesture(), at="03-15 10:00"),
}


@pytest.mark.parametrize("way", WAYS)
async def test_every_state_of_a_life_can_be_stored(connection: asyncpg.Connection, way: str) -> None:
    rows = WAYS[way]().given.rows
    assert rows
    for row in rows:
        await store(connection, row)


@pytest.mark.parametrize("way", WAYS)
def test_rows_come_back_from_their_columns_as_they_were(way: str) -> None:
    for row in WAYS[way]().given.rows:
        made = codec(type(row))
        assert made.decode(list(zip(*made.encode([row]), strict=True))) == [row]


def first_line(**fields: int) -> str:
    return "lines = jsonb_set(lines, '{0}', lines -> 0 || '" + repr(fields).replace("'", '"') + "')"


def first_leg(**fields: Any) -> str:
    return "legs = jsonb_set(legs, '{0}', legs -> 0 || '" + repr(fields).replace("'", '"') + "')"


@pytest.mark.parametrize(
    ("so_far", "change"),
    [
        (refund_due, "UPDATE orders SET refunded = amount + 1"),
        (refund_due, "UPDATE orders SET refunded = -1"),
        (refund_due, "UPDATE orders SET kind = 'SOMETHING'"),
        (refund_due, "UPDATE orders SET lines = '{}'"),
        (refund_due, f"UPDATE orders SET {first_line(open_qty=2)}"),
        (refund_due, f"UPDATE orders SET {first_line(open_qty=-1)}"),
        (refund_due, f"UPDATE orders SET {first_line(refunded_qty=-1)}"),
        (refund_due, f"UPDATE orders SET {first_line(refunded_qty=3)}"),
        (refund_due, f"UPDATE orders SET {first_line(refunded=25770)}"),
        (refund_due, f"UPDATE orders SET {first_line(refunded=-1)}"),
        (refund_due, "UPDATE return_case SET status = 'SOMETHING'"),
        (refund_due, "UPDATE return_case SET status = 'CLOSED'"),
        (refund_due, "UPDATE return_case SET status = 'APPROVED'"),
        (refund_due, "UPDATE return_case SET status = 'DISPUTED', refund_id = NULL"),
        (refund_due, "UPDATE return_case SET status = 'ASSESSED', refund_id = NULL, responsibility = NULL"),
        (refund_due, "UPDATE return_case SET refund_id = NULL"),
        (refund_due, "UPDATE return_case SET outcome = 'REFUNDED'"),
        (refund_due, "UPDATE return_case SET lines = '[]'"),
        (refund_due, "UPDATE return_case SET evidence = '[]'"),
        (refund_due, "UPDATE return_case SET responsibility = 'NOBODY'"),
        (refund_due, f"UPDATE return_case SET {first_line(received=2)}"),
        (refund_due, f"UPDATE return_case SET {first_line(quantity=0, received=0)}"),
        (completed, "UPDATE return_case SET outcome = NULL"),
        (completed, "UPDATE return_case SET outcome = 'WITHDRAWN'"),
        (refund_due, "UPDATE refund SET amount = 0"),
        (refund_due, "UPDATE refund SET status = 'EXECUTING'"),
        (refund_due, "UPDATE refund SET unallocated = amount"),
        (refund_due, "UPDATE refund SET cause = 'SOMETHING'"),
        (refund_due, "UPDATE refund SET cause = 'GOODWILL'"),
        (refund_due, "UPDATE refund SET cause = 'OVERPAYMENT'"),
        (refund_due, "UPDATE refund SET case_id = NULL"),
        (refund_due, "UPDATE refund SET merchant_id = NULL"),
        (executing, "UPDATE refund SET status = 'APPROVED'"),
        (executing, "UPDATE refund SET status = 'COMPLETED'"),
        (executing, "UPDATE refund SET amount = amount + 1"),
        (executing, "UPDATE refund SET legs = '[]'"),
        (executing, f"UPDATE refund SET {first_leg(amount=12499)}"),
        (executing, f"UPDATE refund SET {first_leg(status='SUCCEEDED')}"),
        (executing, f"UPDATE refund SET {first_leg(kind='DEBT')}"),
        (completed, "UPDATE refund SET status = 'EXECUTING'"),
        (completed, f"UPDATE refund SET {first_leg(kind='DEBT')}"),
    ],
)
async def test_bad_rows_cannot_be_written(connection: asyncpg.Connection, so_far: Any, change: str) -> None:
    for row in so_far().given.rows:
        await store(connection, row)
    with pytest.raises(asyncpg.CheckViolationError):
        await connection.execute(change)


async def test_people_see_lines_and_legs_one_a_row(connection: asyncpg.Connection) -> None:
    for row in executing(*EXTERNALLY).given.rows:
        await store(connection, row)
    assert await seen(connection, "line_id, quantity, refunded_qty, open_qty, free_qty, refunded", "order_line") == [
        ("A", 2, 1, 0, 1, 12500)
    ]
    assert await seen(connection, "case_id, line_id, quantity, received", "return_line") == [("case-1", "A", 1, 1)]
    assert await seen(connection, "leg_id, kind, amount, status, payout_id, currency", "refund_leg") == [
        ("case-1:r1:1", "DEBT", 500, "SUCCEEDED", None, "CNY"),
        ("case-1:r1:2", "WALLET", 4000, "REQUESTED", "case-1:r1:2:1", "CNY"),
        ("case-1:r1:3", "EXTERNAL", 8000, "REQUESTED", "case-1:r1:3:1", "CNY"),
    ]


async def seen(connection: asyncpg.Connection, names: str, view: str) -> list[tuple]:
    return [tuple(record) for record in await connection.fetch(f"SELECT {names} FROM {view} ORDER BY 1")]
