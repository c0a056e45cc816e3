"""Turns side by side: many records are handled while the next are read, and what goes wrong is told in time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from shared.drivers.faults import Faults, Point
from shared.engine.ports import Attempt, Record, TopicPartition, Unavailable
from shared.engine.worker import MANY, Worker
from shared.kernel.partition import home_partition
from shared.testing.world import PARTITIONS, World
from tests.engine.till import Account, OpenAccount, ParcelSent, SendParcel, till

NOON = datetime(2027, 3, 1, 4, tzinfo=UTC)

BUYERS = [
    next(f"b{n}" for n in range(100) if home_partition(f"b{n}", PARTITIONS) == lane) for lane in range(PARTITIONS)
]
"""One of each lane."""

WEALTH = 10_000


class Gate(Faults):
    """Commits wait while it is shut."""

    def __init__(self) -> None:
        super().__init__()
        self.open = asyncio.Event()
        self.open.set()

    async def at(self, point: Point) -> None:
        if point is Point.COMMIT:
            await self.open.wait()
        await super().at(point)


@pytest.fixture
async def gate() -> Gate:
    return Gate()


@pytest.fixture
async def world(gate: Gate) -> World:
    world = await World(till, start=NOON, records=10 * MANY).start()
    await world.tell(*(OpenAccount(buyer_id=buyer, currency="CNY", balance=WEALTH) for buyer in BUYERS))
    world.members["till"].database.faults = gate
    return world


@pytest.fixture
def worker(world: World) -> Worker:
    return world.members["till"].worker


async def written(world: World, lane: int, name: str, count: int = MANY) -> list[Record]:
    """So many commands of the buyer of a lane, as they are read."""
    buyer = BUYERS[lane]
    start = len(await world.log.read("till.commands", lane, 0, 10**6))
    for number in range(count):
        await world.publish(SendParcel(buyer_id=buyer, parcel_id=f"{name}-{number}", price=1))
    return await world.log.read("till.commands", lane, start, count)


async def of_two_lanes(world: World) -> list[Record]:
    """Many records, enough for two turns at once."""
    return [*await written(world, 0, "p"), *await written(world, 1, "p")]


def balances(world: World) -> list[int]:
    found = {one.buyer_id: one.balance for one in world.rows(till, Account)}
    return [found[buyer] for buyer in BUYERS]


async def returns(work: asyncio.Task[None]) -> bool:
    """Whether it has come back once everything else has had its turn."""
    done, _ = await asyncio.wait({work}, timeout=0.05)
    return bool(done)


async def sent(world: World, lane: int) -> Sequence[str]:
    told = [one.message for one in await world.told("till.events") if one.record.partition == lane]
    return [one.parcel_id for one in told if isinstance(one, ParcelSent)]


async def test_many_records_are_handled_while_the_next_are_read(world: World, worker: Worker, gate: Gate) -> None:
    """Two turns run, two wait for their place; who brings more waits himself."""
    first, beside, behind = [await written(world, lane, "p") for lane in range(PARTITIONS)]
    more = await written(world, 0, "q")
    gate.open.clear()
    await worker.take_up([*first, *beside])
    await worker.take_up(behind)
    assert worker.busy
    waiting = asyncio.create_task(worker.take_up(more))
    assert not await returns(waiting)
    gate.open.set()
    await waiting
    await worker.settle()
    assert not worker.busy
    assert balances(world) == [WEALTH - 2 * MANY, WEALTH - MANY, WEALTH - MANY]


async def test_turns_with_a_partition_in_common_follow_one_another(world: World, worker: Worker) -> None:
    await worker.handle(await written(world, 0, "p"))
    assert await sent(world, 0) == [f"p-{number}" for number in range(MANY)]


@pytest.mark.parametrize("point", [Point.BEGIN, Point.SAVE, Point.COMMIT])
async def test_nothing_of_a_partition_is_handled_behind_a_turn_that_failed(
    world: World, worker: Worker, gate: Gate, point: Point
) -> None:
    """Else its position would jump over the records of that turn."""
    records = [*await written(world, 0, "p"), *await written(world, 0, "q")]
    gate.fail_next(point, Unavailable("away"))
    with pytest.raises(Unavailable):
        await worker.handle(records)
    assert balances(world)[0] == WEALTH
    await worker.handle(await world.members["till"].read())
    assert await sent(world, 0) == [f"{name}-{number}" for name in ("p", "q") for number in range(MANY)]


async def test_turns_run_side_by_side_again_once_the_records_of_a_turn_that_never_ended_are_handled(
    world: World, worker: Worker, gate: Gate
) -> None:
    member = world.members["till"]
    (position,) = [one for place, one in worker.positions.items() if place == TopicPartition("till.commands", 0)]
    await member.database.begin_attempt([Attempt(0, {"till.commands:0": position.next_offset + 1}, 1)])
    await member.restart()
    await member.worker.handle(await written(world, 0, "suspected", 1))
    records = await of_two_lanes(world)
    gate.open.clear()
    await member.worker.take_up(records)
    assert member.worker.busy
    gate.open.set()
    await member.worker.settle()


async def test_few_records_are_handled_before_anything_else_begins(world: World, worker: Worker, gate: Gate) -> None:
    few = await written(world, 0, "p", MANY - 1)
    gate.open.clear()
    handling = asyncio.create_task(worker.take_up(few))
    assert not await returns(handling)
    gate.open.set()
    await handling
    assert balances(world)[0] == WEALTH - len(few)


async def test_records_of_a_lane_keep_their_order_over_turns(world: World, worker: Worker) -> None:
    for name in ("first", "second", "third"):
        await worker.take_up(await written(world, 0, name))
    await worker.settle()
    expected = [f"{name}-{number}" for name in ("first", "second", "third") for number in range(MANY)]
    assert await sent(world, 0) == expected


@pytest.mark.parametrize("point", [Point.BEGIN, Point.SAVE, Point.COMMITTED])
async def test_a_turn_that_failed_is_told_and_positions_say_how_far_all_have_come(
    world: World, worker: Worker, gate: Gate, point: Point
) -> None:
    failing, beside, behind = [await written(world, lane, "p") for lane in range(PARTITIONS)]
    gate.fail_next(point, Unavailable("away"))
    await worker.take_up([*failing, *beside])
    with pytest.raises(Unavailable):
        await worker.handle(behind)
    while records := await world.members["till"].read():  # again from the positions, as the subscription does
        await worker.handle(records)
    assert balances(world) == [WEALTH - MANY] * 3
    assert [len(await sent(world, lane)) for lane in range(PARTITIONS)] == [MANY] * 3


async def test_a_turn_that_failed_is_told_when_time_is_looked_after(world: World, worker: Worker, gate: Gate) -> None:
    records = await of_two_lanes(world)
    gate.fail_next(Point.SAVE, Unavailable("away"))
    await worker.take_up(records)
    with pytest.raises(Unavailable):
        await worker.idle()
    await worker.handle(records)
    assert balances(world)[:2] == [WEALTH - MANY] * 2


async def test_lanes_are_given_up_when_their_turns_have_ended(world: World, worker: Worker, gate: Gate) -> None:
    records = await of_two_lanes(world)
    gate.open.clear()
    await worker.take_up(records)
    giving_up = asyncio.create_task(worker.revoke(range(PARTITIONS)))
    assert not await returns(giving_up)
    gate.open.set()
    await giving_up
    assert worker.lanes == []
    assert balances(world)[:2] == [WEALTH - MANY] * 2


async def test_a_turn_that_fails_keeps_nobody_from_giving_up_lanes(world: World, worker: Worker, gate: Gate) -> None:
    gate.fail_next(Point.SAVE, Unavailable("away"))
    await worker.take_up(await of_two_lanes(world))
    await worker.revoke(range(PARTITIONS))
    assert worker.lanes == []
    await world.members["till"].join()
    await world.settle()
    assert balances(world)[:2] == [WEALTH - MANY] * 2


async def test_who_is_told_to_stop_waiting_stops_no_turn(world: World, worker: Worker, gate: Gate) -> None:
    gate.open.clear()
    await worker.take_up(await of_two_lanes(world))
    waiting = asyncio.create_task(worker.settle())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    gate.open.set()
    await worker.settle()
    assert balances(world)[:2] == [WEALTH - MANY] * 2
