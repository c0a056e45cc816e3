"""The codec: any instance comes back as it was, through array literals and a real table; misfits are named early."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, NewType

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import Field

from shared.contracts.fields import ChosenId, Instant, Instrument
from shared.drivers.arrays import array, element, elements
from shared.drivers.memory import MemoryDatabase
from shared.drivers.rows import Codec, Column, NotStorable, RowUnreadable, codec, columns
from shared.engine.ports import Wanted
from shared.engine.vocabulary import Entry, Live, Recurring, Row
from tests.drivers.plans import Instalment, Plan, Status, Wallet, changes

TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)
BIGINTS = st.integers(-(2**63), 2**63 - 1)
INSTANTS = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
DATES = st.dates()

INSTALMENTS = st.builds(Instalment, BIGINTS, DATES, BIGINTS, st.none() | INSTANTS)

PLANS = st.builds(
    Plan,
    buyer_id=TEXTS,
    order_id=TEXTS,
    merchant_id=TEXTS,
    currency=TEXTS,
    status=st.sampled_from(Status),
    principal=BIGINTS,
    outstanding=BIGINTS,
    refunded=BIGINTS,
    disputed=st.booleans(),
    opened_at=INSTANTS,
    due_on=st.none() | DATES,
    instalments=st.lists(INSTALMENTS, max_size=3).map(tuple),
)


@given(st.lists(PLANS, max_size=5, unique_by=lambda plan: plan.identity()))
def test_any_row_comes_back_as_it_was(plans: list[Plan]) -> None:
    async def saved_and_loaded() -> list[Any]:
        database = MemoryDatabase()
        async with database.turn() as turn:
            await turn.save(changes(*plans))
            return await turn.load({Plan: Wanted(locked={plan.identity() for plan in plans})})

    assert sorted(asyncio.run(saved_and_loaded()), key=Plan.identity) == sorted(plans, key=Plan.identity)


@given(
    plans=st.lists(PLANS.filter(lambda plan: plan.principal >= 0), max_size=5, unique_by=lambda plan: plan.identity())
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None)
def test_any_row_comes_back_as_it_was_from_a_real_table(plans: list[Plan], round_trip: Any) -> None:
    assert sorted(round_trip(plans), key=Plan.identity) == sorted(plans, key=Plan.identity)


@pytest.fixture
def round_trip(migrated: str) -> Iterator[Any]:
    """Saves plans and loads them again, on a loop of its own."""
    from shared.drivers.postgres import PostgresDatabase

    with asyncio.Runner() as runner:
        database = runner.run(PostgresDatabase.open(migrated, "example", schema="example"))

        async def there_and_back(plans: list[Plan]) -> list[Any]:
            async with database.connection("emptying") as connection:
                await connection.execute("TRUNCATE plan")
            async with database.turn() as turn:
                await turn.save(changes(*plans))
                return await turn.load({Plan: Wanted(read={plan.identity() for plan in plans})})

        yield lambda plans: runner.run(there_and_back(plans))
        runner.run(database.close())


COLUMNS_OF_VALUES = {
    "text": ["", "a", 'q"uote', "back\\slash", "NULL", "{}", "a,b", "\n\t ", "后付", None, '\\"'],
    "bigint": [0, -(2**63), 2**63 - 1, None],
    "boolean": [True, None, False],
    "date": [date(2027, 2, 28), None, date.min, date.max],
    "timestamptz": [datetime(2027, 1, 1, 0, 0, 0, 1, tzinfo=UTC), None, datetime(1969, 12, 31, tzinfo=UTC)],
    "bytea": [b"", b"\0\xff", b"\\x"],
}


@pytest.mark.parametrize("column_type", COLUMNS_OF_VALUES)
async def test_postgresql_reads_a_literal_as_the_values_it_was_made_of(
    bare: asyncpg.Connection, column_type: str
) -> None:
    statement = f"SELECT {element(column_type, 'given')} FROM {elements(column_type, 1)} AS given"
    values = COLUMNS_OF_VALUES[column_type]
    for some in ([], [one for one in values if one is not None], values):
        records = await bare.fetch(statement, array(column_type, some))
        assert [record[0] for record in records] == some


class Colour(StrEnum):
    RED = "RED"


OrderId = NewType("OrderId", str)


@dataclass(frozen=True, slots=True)
class Everything(Row, table="everything", id="order_id", live=Live.when("colour", "RED")):
    buyer_id: ChosenId
    order_id: OrderId
    colour: Colour
    kind: Literal["A", "B"] | None
    amount: Annotated[int, Field(ge=0)]
    count: int | None
    booked_at: Instant | None
    instrument: Instrument | None
    numbers: tuple[int, ...]
    names: dict[str, str]


def test_columns_follow_from_the_annotations() -> None:
    assert columns(Everything) == (
        Column("buyer_id", "text", False),
        Column("order_id", "text", False),
        Column("colour", "text", False),
        Column("kind", "text", True),
        Column("amount", "bigint", False),
        Column("count", "bigint", True),
        Column("booked_at", "timestamptz", True),
        Column("instrument", "jsonb", True),
        Column("numbers", "jsonb", False),
        Column("names", "jsonb", False),
    )


def stored(cls: type, *values: Any) -> list[Any]:
    return codec(cls).decode([values])


def test_a_stored_value_this_build_does_not_know_is_named() -> None:
    with pytest.raises(RowUnreadable, match=r"Everything\.colour: KeyError"):
        stored(Everything, "b", "o", "GREEN", None, 1, None, None, None, "[]", "{}")
    with pytest.raises(RowUnreadable, match=r"Everything\.numbers: int_type"):
        stored(Everything, "b", "o", "RED", None, 1, None, None, None, '["1"]', "{}")


@dataclass(frozen=True, slots=True)
class WithoutTable(Row):
    buyer_id: str


@dataclass(frozen=True, slots=True)
class InAnEngineTable(Row, table="held"):
    buyer_id: str


@dataclass(frozen=True, slots=True)
class WithoutOwner(Row, table="thing", id="thing_id"):
    thing_id: str


@dataclass(frozen=True, slots=True)
class WithNumberedKey(Row, table="thing", id="thing_id"):
    buyer_id: str
    thing_id: int


@dataclass(frozen=True, slots=True)
class LiveByNumber(Row, table="thing", live=Live.when("open", "1")):
    buyer_id: str
    open: int


@dataclass(frozen=True, slots=True)
class WithAnUnknownType(Row, table="thing"):
    buyer_id: str
    what: tuple[asyncio.Lock, ...]


@dataclass(frozen=True)
class WithoutSlots(Entry, table="thing"):
    buyer_id: str


@dataclass(frozen=True, slots=True)
class WithACheck(Entry, table="thing"):
    buyer_id: str

    def __post_init__(self) -> None:
        raise ValueError


@pytest.mark.parametrize(
    ("cls", "text"),
    [
        (WithoutTable, "WithoutTable: '' cannot be the name of its table"),
        (InAnEngineTable, "InAnEngineTable: 'held' cannot be the name of its table"),
        (WithoutOwner, "WithoutOwner.buyer_id: a key is a field of type str"),
        (WithNumberedKey, "WithNumberedKey.thing_id: a key is a field of type str"),
        (LiveByNumber, "LiveByNumber.open: what says whether a row is live is a text field"),
        (WithAnUnknownType, "WithAnUnknownType.what: PydanticSchemaGenerationError"),
        (WithoutSlots, "WithoutSlots is not a dataclass with slots"),
        (WithACheck, "WithACheck has __post_init__, which reading it back would not run"),
    ],
)
def test_a_class_that_cannot_be_kept_is_refused_with_its_name_and_field(cls: type, text: str) -> None:
    with pytest.raises(NotStorable) as refused:
        codec(cls)
    assert str(refused.value) == text


def test_the_codec_of_a_class_is_made_once() -> None:
    assert codec(Wallet) is codec(Wallet)
    assert isinstance(codec(Wallet), Codec)
    assert codec(Wallet).decode([]) == []


@dataclass(frozen=True, slots=True)
class Agreement(Row, table="agreement", id="agreement_id"):
    buyer_id: str
    agreement_id: str
    terms: Annotated[tuple[Instalment, ...], Recurring]
    notes: tuple[str, ...]


def test_what_recurs_from_row_to_row_is_read_once_and_shared() -> None:
    part = '[{"number": 1, "due_on": "2027-03-19", "amount": 5, "paid_at": null}]'
    first, second = codec(Agreement).decode([("ann", "a-1", part, '["x"]'), ("bob", "a-2", part, '["x"]')])
    assert first.terms is second.terms
    assert first.notes is not second.notes
    (changed,) = codec(Agreement).decode([("cy", "a-3", part.replace(": 5,", ": 6,"), "[]")])
    assert changed.terms != first.terms
