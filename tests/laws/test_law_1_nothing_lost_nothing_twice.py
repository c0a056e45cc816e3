"""Law 1: whoever dies wherever, every message takes effect exactly once and every event is published under one id."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections import Counter
from contextlib import ExitStack

import pytest

from shared.engine.ports import Word
from shared.local.servers import Servers
from tests.laws.bench import Bench
from tests.laws.figures import Figures
from tests.laws.load import Customers, Town
from tests.laws.locks import locked
from tests.laws.names import EXIT_BY_RECORD
from tests.laws.strength import Strength
from tests.laws.traffic import purchases_under_way
from tests.patience import PATIENCE_S, eventually
from tests.servers import frozen

VICTIMS = ("checkout", "billing", "billing", "till")
"""Services of which a replica is killed; billing has two."""

KILLS_A_ROUND = 5


@pytest.mark.usefixtures("two_billings")
async def test_services_are_killed_at_random_moments_under_load(
    bench: Bench, town: Town, strength: Strength, figures: Figures
) -> None:
    dice = random.Random(7)
    killed: Counter[str] = Counter()
    calm_after_s = []
    while killed.total() < strength.kills:
        customers = Customers(bench, 20, "killed")
        await customers.open()
        async with purchases_under_way(bench, town, 25):
            flowing = asyncio.create_task(customers.send(20, pause_s=0.2))
            for _ in range(KILLS_A_ROUND):
                await asyncio.sleep(dice.uniform(0.2, 2.0))  # whatever it hits is what is tried
                killed[await kill_one(bench, dice)] += 1
            await flowing
            last = time.monotonic()
        calm_after_s.append(time.monotonic() - last)
        await customers.assert_exactly_once()
        figures.note("services killed at random moments", kills=dict(killed), calm_after_s=calm_after_s)
    for name in set(VICTIMS):
        assert bench.fleet.ends(name).count(-signal.SIGKILL) == killed[name]


async def kill_one(bench: Bench, dice: random.Random) -> str:
    """Kill one replica that runs, and say of which service it was."""
    name = dice.choice(VICTIMS)
    replica = dice.choice(bench.fleet.of(name))
    await eventually(lambda: replica.process is not None and replica.process.alive)
    replica.send(signal.SIGKILL)
    return name


async def test_a_record_that_ends_its_process_three_times_is_set_aside_and_its_neighbours_go_on(bench: Bench) -> None:
    customers = Customers(bench, 40, "deadly")
    await customers.open()
    deadly = customers.buyers[0]
    await customers.send(1)
    await customers.say(customers.parcel(deadly, "exit"))
    await customers.send(5, pause_s=0.2)
    await eventually(lambda: bench.reasons(deadly), 3 * PATIENCE_S)
    await bench.calm()
    assert await bench.reasons(deadly) == ["PROCESS_KILLED"]
    assert bench.fleet.ends("till").count(EXIT_BY_RECORD) in (3, 4)  # the first time nobody may have suspected it
    await bench.speak(deadly, Word.DISCARD)
    customers.parcels[deadly].pop(1)
    await customers.assert_exactly_once()


async def test_a_service_is_killed_in_the_middle_of_its_transaction(bench: Bench, servers: Servers) -> None:
    customers = Customers(bench, 20, "midway")
    await customers.open()
    await bench.settled()
    async with locked(servers, "till.booking"):  # a turn has saved its rows and stands before its entries
        await customers.send(5)
        await bench.blocked("till", "booking")
        bench.fleet.kill("till")
    await bench.calm()
    await customers.assert_exactly_once()


async def test_a_service_is_killed_between_its_commit_and_the_brokers_answer(bench: Bench, servers: Servers) -> None:
    """What it left over goes out first, under the same ids, before anything newer of the same buyers."""
    customers = Customers(bench, 20, "after")
    await customers.open()
    await bench.settled()
    with ExitStack() as winter:
        async with locked(servers, "till.booking"):
            await customers.send(3)
            await bench.blocked("till", "booking")
            await customers.send(3)
            winter.enter_context(frozen(servers.kafka))
        await eventually(lambda: bench.query("till", "SELECT 1 FROM outbox"), 8)
        bench.fleet.kill("till")
        assert len(await bench.query("till", "SELECT seq FROM outbox")) > 0
    await bench.calm()
    await customers.assert_exactly_once()
