"""The laws a single process can show, by Hypothesis over the in-memory ports."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.contracts.message import Message
from shared.drivers.faults import Point
from shared.engine.ports import Record, Unavailable
from shared.testing.world import World
from tests.engine.till import (
    Account,
    OpenAccount,
    Parcel,
    ParcelPacked,
    ParcelWeighed,
    SendParcel,
    till,
)

NOON = datetime(2027, 3, 1, 4, tzinfo=UTC)

buyers = st.sampled_from(["ann", "bob", "cy"])
parcels = st.sampled_from(["p1", "p2", "p3"])
notes = st.sampled_from(["", "", "late", "crash", "crash reminding", "overflow", "say nothing"])

openings = st.builds(OpenAccount, buyer_id=buyers, currency=st.just("CNY"), balance=st.integers(0, 500))
sendings = st.builds(SendParcel, buyer_id=buyers, parcel_id=parcels, price=st.integers(0, 200), note=notes)
packings = st.builds(ParcelPacked, buyer_id=buyers, parcel_id=parcels, box=st.just("box"))
weighings = st.builds(ParcelWeighed, buyer_id=buyers, parcel_id=parcels, weight=st.just(1))
pauses = st.integers(1, 90).map(lambda minutes: timedelta(minutes=minutes))
lives = st.lists(st.one_of(openings, openings, sendings, sendings, sendings, packings, weighings, pauses), max_size=25)


@dataclass
class Outcome:
    """What is left of a life: every row, every message by place, every dead letter."""

    rows: list[Any]
    told: list[tuple[str, str, str, datetime]]
    dead: list[tuple[str, str, str]]


async def live(life: list[Message | timedelta], *, records: int, disturb: Callable[[World], Any] | None) -> Outcome:
    """Publish everything with time passing in between, then let a world that was away read it."""
    world = await World(till, start=NOON, records=records, breaker_keys=1000).start()
    for step in life:
        if isinstance(step, timedelta):
            world.clock.advance(await world.clock.now() + step)
        else:
            await world.publish(step)  # type: ignore[arg-type]
    if disturb is not None:
        await disturb(world)
    await world.settle()
    return await outcome(world)


async def outcome(world: World) -> Outcome:
    database = world.members["till"].database
    standing = await database.standing()
    assert standing.outbox_rows == 0
    told = await world.told("till.events")
    firsts = {one.envelope.id: one for one in reversed(told)}
    return Outcome(
        rows=[*world.rows(till, Account), *world.rows(till, Parcel)],
        told=sorted(
            (one.envelope.id, one.envelope.key, one.envelope.type, one.envelope.time) for one in firsts.values()
        ),
        dead=sorted((one.key, one.id, one.reason) for one in await database.dead_letters(1000)),
    )


def same(left: Outcome, right: Outcome) -> None:
    assert left.rows == right.rows
    assert left.told == right.told
    assert left.dead == right.dead


@settings(max_examples=150, deadline=None)
@given(lives, st.integers(1, 7))
def test_law_5_turn_borders_do_not_matter(life: list[Any], records: int) -> None:
    async def compare() -> None:
        same(await live(life, records=500, disturb=None), await live(life, records=records, disturb=None))

    asyncio.run(compare())


@settings(max_examples=100, deadline=None)
@given(lives, st.integers(1, 7))
def test_law_1_every_record_twice_has_no_second_effect(life: list[Any], records: int) -> None:
    async def twice(world: World) -> None:
        for topic in ("till.commands", "depot.events"):
            for lane in range(3):
                for record in await world.log.read(topic, lane, 0, 1000):
                    again(world, record)

    async def compare() -> None:
        same(await live(life, records=500, disturb=None), await live(life, records=records, disturb=twice))

    asyncio.run(compare())


def again(world: World, record: Record) -> None:
    world.log.append(record.topic, record.partition, record.key, record.value, list(record.headers))  # type: ignore[arg-type]


@settings(max_examples=150, deadline=None)
@given(lives, st.integers(1, 5), st.lists(st.tuples(st.sampled_from(Point), st.integers(0, 6)), max_size=12))
def test_law_1_a_world_that_fails_anywhere_loses_nothing(
    life: list[Any], records: int, failures: list[tuple[Point, int]]
) -> None:
    async def fail(world: World) -> None:
        for point, passages in failures:
            faults = (
                world.log.faults if point.startswith(("PUBLISH", "APPEND")) else world.members["till"].database.faults
            )
            faults.fail_next(point, *[None] * passages, Unavailable(f"at {point}"))

    async def compare() -> None:
        same(await live(life, records=500, disturb=None), await live(life, records=records, disturb=fail))

    asyncio.run(compare())


@settings(max_examples=100, deadline=None)
@given(lives, st.integers(1, 5), st.lists(st.integers(0, 4), max_size=8))
def test_law_1_a_process_that_dies_between_turns_loses_nothing(
    life: list[Any], records: int, deaths: list[int]
) -> None:
    async def die(world: World) -> None:
        for turns in deaths:
            for _ in range(turns):
                await world.members["till"].step()
            await world.members["till"].restart()

    async def compare() -> None:
        same(await live(life, records=500, disturb=None), await live(life, records=records, disturb=die))

    asyncio.run(compare())


@settings(max_examples=60, deadline=None)
@given(lives)
def test_law_4_replaying_from_zero_with_an_emptied_inbox_changes_nothing(life: list[Any]) -> None:
    async def compare() -> None:
        world = await World(till, start=NOON, breaker_keys=1000).start()
        for step in life:
            if isinstance(step, timedelta):
                world.clock.advance(await world.clock.now() + step)
            else:
                await world.publish(step)
        await world.settle()
        before = await outcome(world)
        member = world.members["till"]
        member.database.empty_inbox()
        member.worker.positions.clear()
        await world.settle()
        same(before, await outcome(world))

    asyncio.run(compare())


@settings(max_examples=60, deadline=None)
@given(lives, st.integers(1, 5))
def test_law_2_a_buyers_events_leave_in_the_order_of_their_causes(life: list[Any], records: int) -> None:
    async def check() -> None:
        world = await World(till, start=NOON, records=records, breaker_keys=1000).start()
        for step in life:
            if not isinstance(step, timedelta):
                await world.publish(step)
        await world.settle()
        commands = {one.envelope.id: place for place, one in enumerate(await world.told("till.commands"))}
        for buyer in ("ann", "bob", "cy"):
            events = [one for one in await world.told("till.events") if one.envelope.key == buyer]
            causes = [commands[one.envelope.causation_id] for one in events if one.envelope.causation_id in commands]
            assert causes == sorted(causes)

    asyncio.run(check())
