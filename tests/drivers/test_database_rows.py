"""Rows and entries: what is saved is loaded, by owner; what is refused leaves nothing; both databases agree."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest

from shared.contracts.fields import Instrument
from shared.engine.ports import DataRefused, Unavailable, Wanted
from tests.drivers.plans import HOUR, NOON, JournalLine, Plan, Status, Wallet, changes

PLAN = Plan("b-1", "o-1")


async def save(database: Any, *rows: Any, **other: Any) -> None:
    async with database.turn() as turn:
        await turn.save(changes(*rows, **other))


async def load(database: Any, cls: type, **wanted: Any) -> list[Any]:
    async with database.turn() as turn:
        found = await turn.load({cls: Wanted(**wanted)})
    return sorted(found, key=lambda row: row.identity())


async def test_a_saved_row_is_loaded_as_it_was(database: Any) -> None:
    full = replace(PLAN, due_on=date(2027, 4, 1), disputed=True, status=Status.CHARGED_OFF, refunded=2**63 - 1)
    await save(database, full, Plan("b-1", "o-2"), Wallet("b-1", Instrument(kind="CARD", token='tök\'en \\ "x"')))
    assert await load(database, Plan, locked={("b-1", "o-1")}) == [full]
    assert await load(database, Wallet, locked={("b-1", "b-1")}) == [
        Wallet("b-1", Instrument(kind="CARD", token='tök\'en \\ "x"'))
    ]


async def test_what_was_loaded_has_the_types_of_the_class(database: Any) -> None:
    await save(database, PLAN)
    [loaded] = await load(database, Plan, read={("b-1", "o-1")})
    assert type(loaded.status) is Status
    assert type(loaded.instalments) is tuple
    assert loaded.opened_at.tzinfo is UTC


async def test_the_latest_version_replaces_the_one_before(database: Any) -> None:
    await save(database, PLAN)
    await save(database, replace(PLAN, outstanding=0, status=Status.SETTLED))
    assert await load(database, Plan, locked={("b-1", "o-1")}) == [replace(PLAN, outstanding=0, status=Status.SETTLED)]


async def test_another_buyers_order_is_unknown(database: Any) -> None:
    await save(database, PLAN)
    assert await load(database, Plan, locked={("b-2", "o-1")}, read={("b-1", "o-9")}) == []


async def test_two_buyers_may_choose_the_same_id(database: Any) -> None:
    await save(database, PLAN, Plan("b-2", "o-1", principal=5))
    assert await load(database, Plan, locked={("b-2", "o-1")}) == [Plan("b-2", "o-1", principal=5)]


@pytest.mark.parametrize("kind", ["live_of", "read_live_of"])
async def test_all_live_rows_of_an_owner_are_loaded(database: Any, kind: str) -> None:
    charged_off = Plan("b-1", "o-2", status=Status.CHARGED_OFF)
    await save(database, PLAN, charged_off, Plan("b-1", "o-3", status=Status.SETTLED), Plan("b-2", "o-1"))
    assert await load(database, Plan, **{kind: {"b-1", "b-3"}}) == [PLAN, charged_off]


@pytest.mark.parametrize(("by_id", "live"), [("locked", "live_of"), ("read", "read_live_of"), ("read", "live_of")])
async def test_rows_wanted_by_id_and_as_live_ones_come_once(database: Any, by_id: str, live: str) -> None:
    settled = Plan("b-1", "o-2", status=Status.SETTLED)
    await save(database, PLAN, settled, Plan("b-1", "o-3"))
    found = await load(database, Plan, **{by_id: {("b-1", "o-1"), ("b-1", "o-2")}, live: {"b-1"}})
    assert found == [PLAN, settled, Plan("b-1", "o-3")]


async def test_a_row_wanted_with_and_without_a_lock_comes_once(database: Any) -> None:
    await save(database, PLAN)
    assert await load(database, Plan, locked={("b-1", "o-1")}, read={("b-1", "o-1")}) == [PLAN]


async def test_rows_of_several_tables_are_loaded_at_once(database: Any) -> None:
    await save(database, PLAN, Wallet("b-1"))
    async with database.turn() as turn:
        wanted = {Plan: Wanted(locked={("b-1", "o-1")}), Wallet: Wanted(read={("b-1", "b-1")})}
        assert set(await turn.load(wanted)) == {PLAN, Wallet("b-1")}
        assert await turn.load({}) == []
        assert await turn.load({Plan: Wanted()}) == []


async def test_a_turn_sees_what_it_saved_and_others_only_what_was_committed(database: Any) -> None:
    wanted = {Plan: Wanted(read={("b-1", "o-1")})}
    async with database.turn() as turn, database.turn() as other:
        await turn.save(changes(PLAN))
        assert await turn.load(wanted) == [PLAN]
        assert await other.load(wanted) == []
    assert await load(database, Plan, read={("b-1", "o-1")}) == [PLAN]


async def test_a_turn_that_raises_has_done_nothing(database: Any) -> None:
    async def turn_that_raises() -> None:
        async with database.turn() as turn:
            await turn.save(changes(PLAN, entries=[JournalLine("b-1", "e-1", "cash", 1)]))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await turn_that_raises()
    assert await load(database, Plan, locked={("b-1", "o-1")}) == []
    await save(database, entries=[JournalLine("b-1", "e-1", "cash", 1)])


async def test_a_savepoint_undoes_what_was_saved_inside_it(database: Any) -> None:
    async def step_that_raises(turn: Any) -> None:
        async with turn.savepoint():
            await turn.save(changes(replace(PLAN, outstanding=1), Plan("b-1", "o-2")))
            raise ZeroDivisionError

    async with database.turn() as turn:
        await turn.save(changes(PLAN))
        with pytest.raises(ZeroDivisionError):
            await step_that_raises(turn)
        async with turn.savepoint():
            await turn.save(changes(Plan("b-1", "o-3")))
    assert await load(database, Plan, live_of={"b-1"}) == [PLAN, Plan("b-1", "o-3")]


async def test_savepoints_nest(database: Any) -> None:
    async with database.turn() as turn, turn.savepoint():
        with pytest.raises(DataRefused):
            async with turn.savepoint():
                await turn.save(changes(replace(PLAN, merchant_id="\0")))
        await turn.save(changes(PLAN))
    assert await load(database, Plan, live_of={"b-1"}) == [PLAN]


REFUSED = {
    "a NUL in a text": replace(PLAN, merchant_id="m\0"),
    "a NUL inside a structure": Wallet("b-1", Instrument.model_construct(kind="CARD", token="\0")),
    "half a surrogate pair": replace(PLAN, merchant_id="\ud800"),
    "a number above 64 bits": replace(PLAN, principal=2**63),
    "a number below 64 bits": replace(PLAN, outstanding=-(2**63) - 1),
    "nothing where something must be": replace(PLAN, currency=None),
    "no structure where one must be": replace(PLAN, instalments=None),
    "a text for a number": replace(PLAN, principal="10"),
    "a number for a text": replace(PLAN, currency=7),
    "a structure of another shape": replace(PLAN, instalments=("x",)),
    "an instant without an offset": replace(PLAN, opened_at=datetime(2027, 1, 1)),  # noqa: DTZ001
}


@pytest.mark.parametrize("row", REFUSED.values(), ids=REFUSED.keys())
async def test_data_that_cannot_be_kept_is_refused_and_its_neighbours_are_not(database: Any, row: Any) -> None:
    async with database.turn() as turn:
        with pytest.raises(DataRefused):
            async with turn.savepoint():
                await turn.save(changes(Plan("b-9", "o-9"), row))
        await turn.save(changes(Plan("b-2", "o-1")))
    assert await load(database, Plan, live_of={"b-1", "b-2", "b-9"}) == [Plan("b-2", "o-1")]


async def test_a_refusal_names_the_table_and_never_the_value(database: Any) -> None:
    with pytest.raises(DataRefused) as refused:
        await save(database, replace(PLAN, merchant_id="secret\0"))
    assert "plan" in str(refused.value)
    assert "secret" not in str(refused.value)


async def test_an_entry_cannot_be_appended_twice(database: Any) -> None:
    line = JournalLine("b-1", "e-1", "cash", 100)
    await save(database, entries=[line, replace(line, account="debt", amount=-100)])
    with pytest.raises(DataRefused):
        await save(database, entries=[line])
    with pytest.raises(DataRefused):
        await save(database, entries=[replace(line, entry_id="e-2"), replace(line, entry_id="e-2")])


async def test_a_turn_that_went_on_after_a_refusal_does_not_pretend_to_have_committed(database: Any) -> None:
    async def turn_that_goes_on() -> None:
        async with database.turn() as turn:
            await turn.save(changes(Plan("b-1", "o-2")))
            with suppress(DataRefused):
                await turn.save(changes(replace(PLAN, merchant_id="\0")))

    with pytest.raises(Unavailable):
        await turn_that_goes_on()
    assert await load(database, Plan, live_of={"b-1"}) == []


async def test_instants_are_kept_to_the_microsecond_in_any_offset(database: Any) -> None:
    there = NOON.replace(microsecond=1).astimezone(timezone(timedelta(hours=8)))
    await save(database, replace(PLAN, opened_at=there))
    [loaded] = await load(database, Plan, live_of={"b-1"})
    assert loaded.opened_at == there
    assert loaded.opened_at - NOON < HOUR
