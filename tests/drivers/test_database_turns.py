"""Fences, positions, inbox, outbox, attempts and the line: what makes a turn safe to repeat, on both databases."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from shared.engine.ports import (
    Appearance,
    Attempt,
    DataRefused,
    Line,
    Packed,
    Position,
    TopicPartition,
)
from tests.drivers.plans import HOUR, NOON, Plan, changes

ORDERS = TopicPartition("checkout.events", 3)
COMMANDS = TopicPartition("billing.commands", 3)


def identity(number: int) -> str:
    return str(UUID(int=number))


async def settle() -> None:
    """Let whatever can run, run."""
    for _ in range(20):
        await asyncio.sleep(0.005)


async def test_one_lane_is_in_one_turn_at_a_time(database: Any) -> None:
    told: list[str] = []

    async def second() -> None:
        async with database.turn() as turn:
            await turn.fence([2, 3])
            told.append("second in")

    async with database.turn() as turn:
        await turn.fence([1, 2])
        waiting = asyncio.create_task(second())
        await settle()
        assert told == []
        told.append("first out")
    await asyncio.wait_for(waiting, 10)
    assert told == ["first out", "second in"]


async def test_other_lanes_are_not_held_up(database: Any) -> None:
    async with database.turn() as turn, database.turn() as other:
        await turn.fence([1, 2])
        await asyncio.wait_for(other.fence([0, 3]), 10)


async def test_a_turn_may_fence_more_lanes_and_the_same_again(database: Any) -> None:
    async with database.turn() as turn:
        await turn.fence([1])
        await turn.fence([1, 4])
        await turn.fence([])


async def test_a_turn_that_raises_lets_its_lanes_go(database: Any) -> None:
    async def turn_that_raises() -> None:
        async with database.turn() as turn:
            await turn.fence([1])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await turn_that_raises()
    async with database.turn() as turn:
        await asyncio.wait_for(turn.fence([1]), 10)


async def test_a_cancelled_wait_for_a_fence_leaves_nothing_behind(database: Any) -> None:
    async def wait() -> None:
        async with database.turn() as turn:
            await turn.fence([0, 1])

    async with database.turn() as turn:
        await turn.fence([1])
        waiting = asyncio.create_task(wait())
        await settle()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    async with database.turn() as turn:
        await asyncio.wait_for(turn.fence([0, 1]), 10)


async def test_what_another_turn_committed_is_seen_after_the_wait_for_its_fence(database: Any) -> None:
    async def second() -> dict[TopicPartition, Position]:
        async with database.turn() as turn:
            await turn.fence([3])
            found: dict[TopicPartition, Position] = await turn.positions([3])
            return found

    async with database.turn() as turn:
        await turn.fence([3])
        waiting = asyncio.create_task(second())
        await settle()
        await turn.save(changes(positions={ORDERS: Position(7, NOON)}))
    assert await asyncio.wait_for(waiting, 10) == {ORDERS: Position(7, NOON)}


async def test_positions_are_those_of_all_topics_on_the_lanes(database: Any) -> None:
    elsewhere = TopicPartition("checkout.events", 4)
    async with database.turn() as turn:
        assert await turn.positions([3, 4]) == {}
        await turn.save(
            changes(positions={ORDERS: Position(10, NOON), COMMANDS: Position(2, None), elsewhere: Position(1, NOON)})
        )
    async with database.turn() as turn:
        await turn.save(changes(positions={ORDERS: Position(12, NOON + HOUR)}))
        assert await turn.positions([3]) == {ORDERS: Position(12, NOON + HOUR), COMMANDS: Position(2, None)}
        assert await turn.positions([]) == {}
        assert await turn.positions([5]) == {}


@pytest.mark.parametrize("positions_first", [True, False])
async def test_the_line_runs_until_it_is_stopped_and_again_when_it_is_resumed(
    database: Any, positions_first: bool
) -> None:
    async def line() -> Line:
        async with database.turn() as turn:
            if positions_first:
                await turn.positions([0])
            found: Line = await turn.line()
            return found

    assert await line() == Line()
    stopped = Line(stopped=True, reason="plan: CheckViolation", build="b7", since=NOON)
    await database.stop_line(stopped)
    assert await line() == stopped
    await database.stop_line(Line(resumed_at=NOON + HOUR))
    assert await line() == Line(resumed_at=NOON + HOUR)


async def test_the_outbox_gives_what_is_left_in_order_and_forgets_what_is_acknowledged(database: Any) -> None:
    async with database.turn() as turn:
        first = await turn.save(changes(outbox={4: "four", 3: "three"}))
    async with database.turn() as turn:
        second = await turn.save(changes(outbox={3: "three again"}))
    assert set(first) == {3, 4}
    async with database.turn() as turn:
        assert await turn.outbox([3], []) == [Packed(first[3], 3, "three"), Packed(second[3], 3, "three again")]
        assert await turn.outbox([3, 4], [first[3]]) == [
            Packed(first[4], 4, "four"),
            Packed(second[3], 3, "three again"),
        ]
    async with database.turn() as turn:
        assert await turn.outbox([3], [first[4], 999]) == [Packed(second[3], 3, "three again")]
        assert await turn.outbox([4], []) == []


async def test_a_save_of_nothing_returns_nothing(database: Any) -> None:
    async with database.turn() as turn:
        assert await turn.save(changes()) == {}
        assert await turn.save(changes(positions={ORDERS: Position(1, NOON)})) == {}


async def test_seq_never_runs_back_after_a_rollback(database: Any) -> None:
    lost: dict[int, int] = {}

    async def turn_that_raises() -> None:
        async with database.turn() as turn:
            lost.update(await turn.save(changes(outbox={1: "lost"})))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await turn_that_raises()
    async with database.turn() as turn:
        assert (await turn.save(changes(outbox={1: "kept"})))[1] > lost[1]


async def test_an_outbox_body_with_a_nul_is_refused(database: Any) -> None:
    with pytest.raises(DataRefused):
        async with database.turn() as turn:
            await turn.save(changes(outbox={1: "\0"}))


async def test_the_inbox_knows_what_it_has_seen_with_its_digest(database: Any) -> None:
    async with database.turn() as turn:
        assert (await turn.admit([Appearance(identity(2), b"two"), Appearance(identity(1), b"one")], NOON)).known == {}
        assert (await turn.admit([], NOON)).known == {}
    async with database.turn() as turn:
        again = [Appearance(identity(3), b"three"), Appearance(identity(1), b"other content")]
        assert (await turn.admit(again, NOON)).known == {identity(1): b"one"}


async def test_the_inbox_forgets_what_a_turn_that_raised_put_there(database: Any) -> None:
    async def turn_that_raises() -> None:
        async with database.turn() as turn:
            await turn.admit([Appearance(identity(1), b"")], NOON)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await turn_that_raises()
    async with database.turn() as turn:
        assert (await turn.admit([Appearance(identity(1), b"")], NOON)).known == {}


async def test_an_id_that_is_no_uuid_is_refused(database: Any) -> None:
    with pytest.raises(DataRefused):
        async with database.turn() as turn:
            await turn.admit([Appearance("not-a-uuid", b"")], NOON)


@pytest.mark.parametrize("commits", [True, False])
async def test_an_id_that_comes_up_in_two_lanes_at_once_is_admitted_once(database: Any, commits: bool) -> None:
    async def second() -> dict[str, bytes]:
        async with database.turn() as turn:
            admission = await turn.admit([Appearance(identity(n), b"second") for n in (3, 1, 2)], NOON)
            return dict(admission.known)

    with suppress(ZeroDivisionError):
        async with database.turn() as turn:
            await turn.admit([Appearance(identity(n), b"first") for n in (2, 5)], NOON)
            waiting = asyncio.create_task(second())
            await settle()
            assert not waiting.done()
            if not commits:
                raise ZeroDivisionError
    assert await asyncio.wait_for(waiting, 10) == ({identity(2): b"first"} if commits else {})


async def test_pruning_removes_the_oldest_ids_only_and_not_too_many(database: Any) -> None:
    for number in range(5):
        async with database.turn() as turn:
            await turn.admit([Appearance(identity(number), b"")], NOON + number * HOUR)
    assert await database.prune(NOON + 3 * HOUR, 2) == 2
    assert await database.prune(NOON + 3 * HOUR, 2) == 1
    assert await database.prune(NOON + 3 * HOUR, 2) == 0
    async with database.turn() as turn:
        known = (await turn.admit([Appearance(identity(n), b"") for n in range(5)], NOON)).known
    assert sorted(known) == [identity(3), identity(4)]


async def test_the_mark_of_a_turn_stands_until_the_turn_has_ended(database: Any) -> None:
    first = Attempt(1, {}, 1, ("b-1", "b-2"))
    await database.begin_attempt([first, Attempt(2, {}, 1)])
    await database.begin_attempt([Attempt(2, {"checkout.events:2": 7}, 2)])
    assert await database.attempts([1, 2, 3]) == [first, Attempt(2, {"checkout.events:2": 7}, 2)]
    assert await database.attempts([2]) == [Attempt(2, {"checkout.events:2": 7}, 2)]
    await database.end_attempt([2, 3])
    assert await database.attempts([1, 2]) == [first]


async def test_a_mark_survives_the_rollback_of_its_turn(database: Any) -> None:
    async def turn_that_raises() -> None:
        async with database.turn() as turn:
            await turn.fence([1])
            await database.begin_attempt([Attempt(1, {}, 1)])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await turn_that_raises()
    assert await database.attempts([1]) == [Attempt(1, {}, 1)]


async def test_everything_of_one_save_takes_place_together(database: Any) -> None:
    """The culprit shows before COMMIT, and nothing of its save stays."""
    with pytest.raises(DataRefused):
        async with database.turn() as turn:
            await turn.save(
                changes(
                    Plan("b-1", "o-1", merchant_id="\0"),
                    positions={ORDERS: Position(1, NOON)},
                    outbox={1: "body"},
                )
            )
    async with database.turn() as turn:
        assert await turn.positions([3]) == {}
        assert await turn.outbox([1], []) == []


async def test_a_standing_is_one_look_at_everything(database: Any) -> None:
    empty = await database.standing()
    assert (empty.line, empty.positions, empty.outbox_rows, empty.earliest_due) == (Line(), {}, 0, None)
    async with database.turn() as turn:
        await turn.save(
            changes(positions={ORDERS: Position(1, NOON), COMMANDS: Position(2, None)}, outbox={1: "a", 2: "b"})
        )
    standing = await database.standing()
    assert standing.positions == {ORDERS: Position(1, NOON), COMMANDS: Position(2, None)}
    assert standing.outbox_rows == 2
    await database.stop_line(Line(stopped=True, since=NOON + timedelta(seconds=1)))
    assert (await database.standing()).line.stopped
