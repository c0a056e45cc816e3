"""Questions to a schema: read-only, quick or not at all, by an index, and never on the engine's connections."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType
from typing import Any

import pytest

from services.checkout.state import Account
from services.checkout.views import ACCOUNT
from shared.drivers.postgres import SchemaBehind, Session
from shared.drivers.queries import AT_ONCE, PostgresQueries, Query
from shared.drivers.rows import NotStorable
from shared.engine.ports import Unavailable, Wanted
from tests.views.bench import Bench
from tests.views.rows import KINDS, account


@dataclass(frozen=True, slots=True)
class Number:
    number: int


ONE = Query("one", Number, "SELECT 1::bigint AS number")


@pytest.fixture
def questions(checkout: Bench) -> PostgresQueries:
    found: PostgresQueries = checkout.app.state.asking.questions
    return found


async def test_an_answer_is_the_row_as_the_engine_knows_it(checkout: Bench, questions: PostgresQueries) -> None:
    await checkout.save(account())
    assert await questions.one(ACCOUNT, "ann") == account()
    assert await questions.one(ACCOUNT, "bob") is None


@pytest.mark.parametrize("statement", ["INSERT INTO account DEFAULT VALUES", "DELETE FROM account", "TRUNCATE account"])
async def test_a_question_changes_nothing(questions: PostgresQueries, statement: str) -> None:
    writing = Query("writing", Number, statement)
    with pytest.raises(Unavailable, match="writing: ReadOnlySQLTransaction 25006"):
        await questions.all(writing)
    assert await questions.one(ONE) == Number(1), "the connection is as good as before"


async def test_a_question_that_takes_too_long_is_cut_off(dsn: str) -> None:
    hasty = await PostgresQueries.open(dsn, "checkout", session=Session(statement_timeout_ms=250))
    endless = Query("endless", Number, "SELECT 1::bigint AS number FROM pg_sleep(600)")
    with pytest.raises(Unavailable, match="endless: QueryCanceled 57014"):
        await asyncio.wait_for(hasty.all(endless), 30)
    assert await hasty.one(ONE) == Number(1)
    await hasty.close()


async def test_a_flood_of_questions_takes_no_connection_from_a_turn(checkout: Bench, dsn: str) -> None:
    """All connections for questions are taken and more are waiting: a turn begins, loads and commits all the same."""
    await checkout.save(account())
    patient = await PostgresQueries.open(dsn, "checkout", schema="checkout_views", acquire_timeout_s=60)
    async with AsyncExitStack() as taken:
        for _ in range(AT_ONCE):
            await taken.enter_async_context(patient._database.connection("keeping one"))
        waiting = [asyncio.create_task(patient.one(ACCOUNT, "ann")) for _ in range(20)]
        async with checkout.database.turn() as turn:
            await turn.fence([1])
            assert await turn.load({Account: Wanted(locked={("ann", "ann")})}) == [account()]
        assert not any(one.done() for one in waiting)
    assert await asyncio.gather(*waiting) == [account()] * 20
    await patient.close()


async def test_a_question_waits_for_no_lock_of_a_turn(checkout: Bench, questions: PostgresQueries) -> None:
    """It reads what was committed last; the turn that holds the row does not notice."""
    await checkout.save(account())
    async with checkout.database.turn() as turn:
        await turn.load({Account: Wanted(locked={("ann", "ann")})})
        assert await asyncio.wait_for(questions.one(ACCOUNT, "ann"), 10) == account()


async def test_an_answer_of_another_shape_is_refused_by_name(questions: PostgresQueries) -> None:
    with pytest.raises(SchemaBehind, match="shaped: the answer does not have the fields of Number"):
        await questions.all(Query("shaped", Number, "SELECT 1::bigint AS count"))


def test_a_class_that_cannot_be_read_is_refused_at_once() -> None:
    class NoDataclass:
        pass

    with pytest.raises(NotStorable, match="NoDataclass is not a dataclass"):
        Query("unreadable", NoDataclass, "SELECT 1")


def rooms(service: str) -> Iterator[ModuleType]:
    """The module of a service's views, or the modules where they fill several."""
    room = import_module(f"services.{service}.views")
    yield room
    for part in iter_modules(getattr(room, "__path__", ())):
        yield import_module(f"{room.__name__}.{part.name}")


def queries() -> dict[str, tuple[str, Query[Any]]]:
    """Every question of every service's views."""
    return {
        f"{service}.{one.name}": (service, one)
        for service in KINDS
        for room in rooms(service)
        for one in vars(room).values()
        if isinstance(one, Query)
    }


@pytest.mark.parametrize(("service", "query"), queries().values(), ids=queries().keys())
async def test_every_question_goes_by_an_index(benches: dict[str, Bench], service: str, query: Query[Any]) -> None:
    """Also in a plan made while the tables were empty, which is kept; and no list is sorted, however long."""
    nulls = ", ".join(["NULL"] * max(int(number) for number in re.findall(r"\$(\d)", query.sql)))
    questions = benches[service].app.state.asking.questions
    async with questions._database.connection("planning") as connection, connection.transaction():
        await connection.execute(f"SET LOCAL plan_cache_mode = force_generic_plan; PREPARE it AS {query.sql}")
        plan = "\n".join(record[0] for record in await connection.fetch(f"EXPLAIN EXECUTE it ({nulls})"))
        await connection.execute("DEALLOCATE it")
    assert "Seq Scan" not in plan
    if "LIMIT" in query.sql:
        outermost = plan.partition("SubPlan")[0]
        assert "Sort" not in outermost, plan
        assert "Index Cond: ((buyer_id = $1) AND (" in outermost, plan
