"""The rows in their tables: the migration fits the classes, what is saved is loaded as it was, bad rows are refused."""

import os
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import get_args

import asyncpg
import pytest
from notify_story import SMS_AND_EMAIL, Story, authorized, due_soon, in_status, local, overdue

import services.notify.migrations
from services.notify.service import notify
from services.notify.state import ContactPolicy, ContactVersion, Notice, NoticeStatus
from shared.contracts.notify import Channel, NoticeClass, SuppressionReason
from shared.contracts.policy import PLATFORM, ContactTerms
from shared.drivers.migrate import migrate
from shared.drivers.rows import codec
from shared.drivers.schema import check_schema
from shared.engine.vocabulary import Row

SCHEMA = "notify_tables"
REVISIONS = Path(services.notify.migrations.__file__).parent
SQL = (REVISIONS / "notify_0001.py").read_text()


@pytest.fixture
async def connection(request: pytest.FixtureRequest) -> AsyncIterator[asyncpg.Connection]:
    """A connection to notify's schema: in the database named by HOUFU_TEST_POSTGRES, or in the embedded one."""
    dsn = os.environ.get("HOUFU_TEST_POSTGRES") or str(request.getfixturevalue("servers").admin_dsn)
    migrate(dsn, "notify", [REVISIONS], schema=SCHEMA)
    found = await asyncpg.connect(dsn, server_settings={"search_path": SCHEMA})
    yield found
    await found.execute(f'DROP SCHEMA "{SCHEMA}" CASCADE')
    await found.close()


def rows_of_every_state() -> Iterator[Row]:
    """Every row of lives in which a notice comes into each of its states, and of one with everything in it."""
    for status in NoticeStatus:
        yield from in_status(status).given.rows
    yield from busy_life().given.rows


def busy_life() -> Story:
    """Debts by day and by night, a bounce after the evidence, a pause between two tries, rules of the platform."""
    rules = ContactPolicy(PLATFORM, (ContactVersion(1, local("03-01 00:00"), ContactTerms(debt_per_day=2)),))
    story = Story.of_a_buyer(
        rules, contacts=SMS_AND_EMAIL, order={"DEBT": ("EMAIL", "IN_APP")}, muted=("ORDER_STATUS",)
    )
    story = (
        story.then(due_soon(), at="03-16 09:00").reported("ACCEPTED", "03-16 09:01").reported("BOUNCED", "03-16 09:02")
    )
    story = story.then(authorized(), at="03-16 09:03").then(overdue(), at="03-16 09:04")
    return story.reported("FAILED_SOFT", "03-16 09:05").then(overdue("b:o-2"), at="03-16 23:00")


async def store(connection: asyncpg.Connection, row: Row) -> None:
    made = codec(type(row))
    names = ", ".join(column.quoted for column in made.columns)
    places = ", ".join(f"${n}::{column.type}" for n, column in enumerate(made.columns, start=1))
    values = [column[0] for column in made.encode([row])]
    key = row.OWNER if row.ID == row.OWNER else f"{row.OWNER}, {row.ID}"
    update = ", ".join(f"{column.quoted} = EXCLUDED.{column.quoted}" for column in made.columns)
    await connection.execute(
        f"INSERT INTO {row.TABLE} ({names}) VALUES ({places}) ON CONFLICT ({key}) DO UPDATE SET {update}", *values
    )


async def test_the_tables_are_those_the_rows_expect(connection: asyncpg.Connection) -> None:
    assert await check_schema(connection, notify.row_types) == []


async def test_a_notice_can_be_stored_in_every_state(connection: asyncpg.Connection) -> None:
    seen = set()
    for row in rows_of_every_state():
        await store(connection, row)
        if isinstance(row, Notice):
            seen.add(row.status)
    assert seen == set(NoticeStatus)


@pytest.mark.parametrize(
    ("status", "change"),
    [
        (NoticeStatus.QUEUED, "UPDATE notice SET folder = 'FILED'"),
        (NoticeStatus.QUEUED, "UPDATE notice SET channel = NULL"),
        (NoticeStatus.QUEUED, "UPDATE notice SET attempt = 0"),
        (NoticeStatus.QUEUED, "UPDATE notice SET attempt = 2"),
        (NoticeStatus.QUEUED, "UPDATE notice SET status = 'SENT'"),
        (NoticeStatus.QUEUED, "UPDATE notice SET status = 'DEFERRED'"),
        (NoticeStatus.QUEUED, "UPDATE notice SET status = 'GONE'"),
        (NoticeStatus.QUEUED, "UPDATE notice SET reason = 'CAP'"),
        (NoticeStatus.QUEUED, "UPDATE notice SET due_version = NULL"),
        (NoticeStatus.QUEUED, "UPDATE notice SET kind = 'ORDER_STATUS'"),
        (NoticeStatus.QUEUED, "UPDATE notice SET sent_at = created_at"),
        (NoticeStatus.QUEUED, "UPDATE notice SET read = true"),
        (NoticeStatus.SENT, "UPDATE notice SET sent_at = NULL, evidence = '[]'"),
        (NoticeStatus.SENT, "UPDATE notice SET until = created_at"),
        (NoticeStatus.SENT, "UPDATE notice SET delivered_at = created_at"),
        (NoticeStatus.DELIVERED, "UPDATE notice SET delivered_at = NULL"),
        (NoticeStatus.DELIVERED, "UPDATE notice SET folder = 'OPEN'"),
        (NoticeStatus.DEFERRED, "UPDATE notice SET until = NULL"),
        (NoticeStatus.CANCELLED, "UPDATE notice SET reason = NULL"),
        (NoticeStatus.QUEUED, "UPDATE subject SET heard = '[]'"),
        (NoticeStatus.QUEUED, "UPDATE mailbox SET locale = 'Chinese'"),
        (NoticeStatus.QUEUED, "UPDATE mailbox SET debt_days = '[1, 2, 3, 4, 5, 6, 7, 8]'"),
        (NoticeStatus.QUEUED, "INSERT INTO contact_policy VALUES ('m-42', '[{}]')"),
    ],
)
async def test_bad_rows_cannot_be_written(connection: asyncpg.Connection, status: NoticeStatus, change: str) -> None:
    for row in in_status(status).given.rows:
        await store(connection, row)
    with pytest.raises(asyncpg.CheckViolationError):
        await connection.execute(change)


def test_rows_come_back_from_their_columns_as_they_were() -> None:
    for row in rows_of_every_state():
        made = codec(type(row))
        assert made.decode(list(zip(*made.encode([row]), strict=True))) == [row]


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("status", list(NoticeStatus)),
        ("class_", list(get_args(NoticeClass))),
        ("channel", list(get_args(Channel))),
        ("reason", list(get_args(SuppressionReason))),
    ],
)
def test_every_value_a_notice_may_have_is_allowed_and_no_other(column: str, values: list[str]) -> None:
    found = re.search(rf"CHECK \({column} IN \((.*?)\)", SQL, re.DOTALL)
    assert found is not None
    assert re.findall(r"'(\w+)'", found[1]) == values


def test_the_partial_index_holds_the_live_notices() -> None:
    index = re.search(r"CREATE INDEX notice_live ON notice \(buyer_id\) WHERE folder IN \((.*?)\)", SQL)
    assert index is not None
    assert set(re.findall(r"'(\w+)'", index[1])) == Notice.LIVE.values


def test_the_inbox_is_paged_by_an_index_of_its_own() -> None:
    assert "ON notice (buyer_id, created_at DESC, notice_id)" in SQL
