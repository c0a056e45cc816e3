"""A bad deploy stops the line: what counts as failing alike, and what does not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from shared.drivers.memory import MemoryDatabase
from shared.engine.breaker import Breaker, Tripped, explain, fingerprint
from shared.engine.held import as_dead_letter
from shared.engine.ports import Changes, DataRefused, Held, Line, Until

NOON = datetime(2027, 3, 1, 4, tzinfo=UTC)
breaker = Breaker(3, build="one")


def raised(divisor: int) -> BaseException:
    try:
        1 / divisor
    except ZeroDivisionError as error:
        return error
    raise AssertionError


async def with_letters(*keys: str) -> MemoryDatabase:
    database = MemoryDatabase()
    held = [Held(0, key, Until.OPERATOR, "{}", "", NOON, kind="REMIND") for key in keys]
    async with database.turn() as transaction:
        await transaction.save(Changes(held=[as_dead_letter(one, "HANDLER_FAILED", "", "alike") for one in held]))
    return database


async def watch(database: MemoryDatabase, failures: list[tuple[str, str]], line: Line) -> None:
    async with database.turn() as transaction:
        await breaker.watch(failures, line, transaction)


async def test_distinct_keys_failing_alike_trip_it_with_those_of_earlier_turns() -> None:
    database = await with_letters("ann", "bob")
    await watch(database, [("otherwise", "cy"), ("otherwise", "cy")], Line())
    with pytest.raises(Tripped, match="3 keys failed alike: alike"):
        await watch(database, [("alike", "cy"), ("alike", "cy")], Line())


async def test_only_failures_since_the_line_was_resumed_count() -> None:
    await watch(await with_letters("ann", "bob"), [("alike", "cy")], Line(resumed_at=NOON))


def test_the_line_stands_for_the_build_that_failed_only() -> None:
    line = breaker.stopped("why", NOON)
    assert line == Line(stopped=True, reason="why", build="one", since=NOON)
    assert breaker.stands(line)
    assert not replace(breaker, build="two").stands(line)
    assert not breaker.stands(Line(build="one"))


def test_a_fingerprint_says_where_a_handler_failed_and_never_on_what() -> None:
    assert fingerprint(raised(0), "till.send").startswith("till.send: ZeroDivisionError at test_breaker.py:")
    assert fingerprint(ValueError("secret"), "till.send") == "till.send: ValueError"
    assert (
        fingerprint(DataRefused("booking: CheckViolation"), "till.send")
        == "till.send: refused: booking: CheckViolation"
    )
    assert explain(raised(0)).splitlines()[0] == "ZeroDivisionError: division by zero"
