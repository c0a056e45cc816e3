"""What only the real database can show: errors by kind, plans, a lost connection, the schema's fit."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import asyncpg
import pytest

from shared.drivers import statements
from shared.drivers.postgres import PostgresDatabase, SchemaBehind, Session, fence_class
from shared.drivers.schema import check_schema
from shared.engine.ports import DataRefused, Unavailable, Wanted
from shared.engine.vocabulary import Entry, Live, Row
from tests.drivers.conftest import SCHEMA
from tests.drivers.plans import NOON, JournalLine, Plan, Wallet, changes


async def save(database: PostgresDatabase, *rows: Row) -> None:
    async with database.turn() as turn:
        await turn.save(changes(*rows))


@dataclass(frozen=True, slots=True)
class Elsewhere(Row, table="elsewhere", id="order_id", live=Live.when("status", "OPEN")):
    buyer_id: str
    order_id: str
    status: str


@dataclass(frozen=True, slots=True)
class NewerPlan(Row, table="plan", id="order_id"):
    buyer_id: str
    order_id: str
    added_later: int


async def test_a_value_a_check_forbids_is_refused_by_the_name_of_the_check(postgres: PostgresDatabase) -> None:
    with pytest.raises(DataRefused, match=r"plan: CheckViolation 23514 plan\.plan_principal_check"):
        await save(postgres, Plan("b-1", "o-1", principal=-1))


async def test_a_key_too_large_for_an_index_is_refused(postgres: PostgresDatabase) -> None:
    incompressible = "".join(chr(0x4E00 + number * 7919 % 20000) for number in range(9000))
    with pytest.raises(DataRefused, match="54000"):
        await save(postgres, Plan("b-1", incompressible))


@pytest.mark.parametrize("row", [Elsewhere("b", "o", "OPEN"), NewerPlan("b", "o", 1)])
async def test_a_schema_of_another_build_is_neither_bad_data_nor_a_passing_failure(
    postgres: PostgresDatabase, row: Row
) -> None:
    with pytest.raises(SchemaBehind, match="houfu migrate"):
        await save(postgres, row)
    assert issubclass(SchemaBehind, Unavailable)


async def test_a_database_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(Unavailable, match="connecting billing to its database"):
        await PostgresDatabase.open("postgresql://nobody@127.0.0.1:1/none", "billing")


async def test_a_turn_whose_connection_dies_is_unavailable_and_the_next_one_works(
    postgres: PostgresDatabase, bare: asyncpg.Connection
) -> None:
    async def interrupted() -> None:
        async with postgres.turn() as turn:
            await turn.fence([1])
            await turn.save(changes(Plan("b-1", "o-1")))
            await bare.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'houfu-example' AND state LIKE 'idle in transaction%'"
            )

    with pytest.raises(Unavailable):
        await interrupted()
    async with postgres.turn() as turn:
        await asyncio.wait_for(turn.fence([1]), 10)
        assert await turn.load({Plan: Wanted(locked={("b-1", "o-1")})}) == []


async def test_a_frozen_member_loses_its_fence_and_learns_of_it(migrated: str, postgres: PostgresDatabase) -> None:
    session = Session(idle_in_transaction_session_timeout_ms=100)
    frozen = await PostgresDatabase.open(migrated, "example", schema=SCHEMA, session=session)

    async def freeze() -> None:
        async with frozen.turn() as turn:
            await turn.fence([1])
            async with postgres.turn() as other:
                await asyncio.wait_for(other.fence([1]), 10)
            await turn.save(changes(Plan("b-1", "o-1")))

    with pytest.raises(Unavailable):
        await freeze()
    await frozen.close()


async def test_waiting_too_long_for_a_fence_is_unavailable(migrated: str, postgres: PostgresDatabase) -> None:
    hasty = await PostgresDatabase.open(migrated, "example", schema=SCHEMA, session=Session(lock_timeout_ms=50))

    async def wait() -> None:
        async with hasty.turn() as turn:
            await turn.fence([1])

    async with postgres.turn() as turn:
        await turn.fence([1])
        with pytest.raises(Unavailable, match="fence: LockNotAvailable 55P03"):
            await wait()
    await hasty.close()


async def test_waiting_too_long_for_a_connection_is_unavailable(migrated: str) -> None:
    narrow = await PostgresDatabase.open(migrated, "example", schema=SCHEMA, pool_size=1, acquire_timeout_s=0.05)
    async with narrow.turn():
        with pytest.raises(Unavailable, match="waiting for a connection"):
            await narrow.prune(NOON, 1)
    await narrow.close()


async def test_without_prepared_statements_everything_works_the_same(migrated: str, postgres: PostgresDatabase) -> None:
    nothing = Session(None, None, None, by_keys=False)
    pooled = await PostgresDatabase.open(migrated, "example", schema=SCHEMA, session=nothing, statement_cache_size=0)
    await save(pooled, Plan("b-1", "o-1"))
    async with pooled.turn() as turn:
        assert await turn.load({Plan: Wanted(live_of={"b-1"})}) == [Plan("b-1", "o-1")]
    await pooled.close()


async def test_services_that_share_a_database_do_not_share_fences(migrated: str, postgres: PostgresDatabase) -> None:
    other = await PostgresDatabase.open(migrated, "another", schema=SCHEMA)
    async with postgres.turn() as turn, other.turn() as elsewhere:
        await turn.fence([1])
        await asyncio.wait_for(elsewhere.fence([1]), 10)
    await other.close()
    assert fence_class("billing") != fence_class("checkout")


async def test_closing_does_not_wait_for_ever_for_a_turn_that_hangs(migrated: str) -> None:
    database = await PostgresDatabase.open(migrated, "example", schema=SCHEMA)
    async with database._acquired():
        await database.close(timeout_s=0.05)


async def test_locked_rows_stay_locked_and_rows_merely_read_do_not(postgres: PostgresDatabase) -> None:
    await save(postgres, Plan("b-1", "o-1"), Plan("b-2", "o-2"))

    async def write(plan: Plan) -> None:
        async with postgres.turn() as other:
            await other.save(changes(replace(plan, outstanding=0)))

    async with postgres.turn() as turn:
        await turn.load({Plan: Wanted(locked={("b-1", "o-1")}, read={("b-2", "o-2")})})
        await asyncio.wait_for(write(Plan("b-2", "o-2")), 10)
        writing = asyncio.create_task(write(Plan("b-1", "o-1")))
        done, _ = await asyncio.wait([writing], timeout=0.1)
        assert not done
    await asyncio.wait_for(writing, 10)


KEYED = {
    "held": (statements.HELD_OF, ("held_deadline on", "held_of_key on")),
    "released": (statements.LET_GO, ("held_deadline on", "held_pkey")),
    "due": (statements.DUE, ("held_deadline_by_time", "held_waiting_by_age", "held_spoken", "(key = held")),
    "known ids": (statements.KNOWN, ("inbox_pkey",)),
    "old ids": (statements.PRUNE, ("inbox_by_age",)),
    "rows by id": (statements.load(Plan, by_id=True, live=False, lock=True), ("plan_pkey",)),
    "live rows": (statements.load(Plan, by_id=False, live=True, lock=True), ("plan_live",)),
    "both": (statements.load(Plan, by_id=True, live=True, lock=False), ("plan_pkey", "plan_live")),
}


@pytest.mark.parametrize(("statement", "signs"), KEYED.values(), ids=KEYED.keys())
async def test_a_plan_made_on_empty_tables_goes_by_keys(
    postgres: PostgresDatabase, statement: str, signs: tuple[str, ...]
) -> None:
    """Plans are kept while tables grow: one that scans would be found out by the first busy minute."""
    nulls = ", ".join(["NULL"] * max(int(number) for number in re.findall(r"\$(\d)", statement)))
    async with postgres.connection("planning") as connection, connection.transaction():
        await connection.execute(f"SET LOCAL plan_cache_mode = force_generic_plan; PREPARE it AS {statement}")
        plan = "\n".join(record[0] for record in await connection.fetch(f"EXPLAIN EXECUTE it ({nulls})"))
        await connection.execute("DEALLOCATE it")
    assert "Seq Scan" not in plan
    for sign in signs:
        assert sign in plan


async def test_the_tables_of_a_schema_fit_its_classes(postgres: PostgresDatabase) -> None:
    assert await postgres.check_schema([Plan, Wallet, JournalLine]) == []


@dataclass(frozen=True, slots=True)
class OtherPlan(Row, table="plan", id="merchant_id", live=Live.when("currency", "CNY")):
    buyer_id: str
    merchant_id: str
    currency: str
    principal: str
    disputed: bool | None
    due_on: date
    colour: str


@dataclass(frozen=True, slots=True)
class OtherWallet(Row, table="wallet", live=Live.when("colour", "RED")):
    buyer_id: str
    colour: str


@dataclass(frozen=True, slots=True)
class OtherLine(Entry, table="journal_line"):
    buyer_id: str


async def test_what_does_not_fit_is_said_in_one_sentence_each(bare: asyncpg.Connection) -> None:
    found = await check_schema(bare, [OtherPlan, OtherWallet, OtherLine, Elsewhere])
    assert {
        "elsewhere: there is no such table for Elsewhere",
        "plan.principal: is not of type text",
        "plan.disputed: is NOT NULL, but OtherPlan may leave it empty",
        "plan.due_on: may be NULL, but OtherPlan always has it",
        "plan.colour: there is no such column for OtherPlan",
        "plan.order_id: must be given, but OtherPlan does not know it",
        "plan: has no primary key (buyer_id, merchant_id)",
        "wallet: has no partial index on (buyer_id) for its live rows",
        "journal_line.account: must be given, but OtherLine does not know it",
    } <= set(found)
    assert not any("journal_line.seq" in one or "wallet.instrument" in one for one in found)
    assert await check_schema(bare, []) == []


async def test_the_engines_tables_have_the_columns_of_its_classes(bare: asyncpg.Connection) -> None:
    for table, made in {"held": statements.HELD, "attempt": statements.ATTEMPT}.items():
        names: list[Any] = await bare.fetch(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = $1 AND table_name = $2",
            SCHEMA,
            table,
        )
        assert {record[0] for record in names} == {column.name for column in made.columns}
