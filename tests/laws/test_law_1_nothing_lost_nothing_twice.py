"""Law 1: whoever dies wherever, every message takes effect exactly once and every event is published under one id."""

from __future__ import annotations

import asyncio
import os
import random
import signal

from shared.engine.ports import Word
from shared.local.servers import Servers
from tests.laws.bench import Bench
from tests.laws.load import Customers, Town
from tests.laws.locks import locked
from tests.laws.names import EXIT_BY_RECORD
from tests.laws.replicas import PATIENCE_S, eventually


async def test_services_are_killed_at_random_moments_under_load_and_one_record_kills_its_process(
    bench: Bench, town: Town
) -> None:
    """The record is a dead letter when it has ended its process three times; its neighbours go on."""
    customers = Customers(bench, 40, "killed")
    purchases = await town.purchases(40)
    await customers.open()
    deadly = customers.buyers[0]
    await customers.send(1)
    await customers.say(customers.parcel(deadly, "exit"))
    flowing = asyncio.gather(bench.say(*purchases, chunk=10, pause_s=0.1), customers.send(20, pause_s=0.2))
    dice = random.Random(7)
    for _ in range(2):
        for name in ("checkout", "billing"):
            await asyncio.sleep(dice.uniform(0.2, 1.5))
            bench.fleet.kill(name)
        await bench.fleet.ready("checkout", "billing")
    ids, _ = await flowing
    await eventually(lambda: bench.reasons(deadly), 3 * PATIENCE_S)
    await bench.calm()
    assert await bench.reasons(deadly) == ["PROCESS_KILLED"]
    assert bench.fleet.ends("till").count(EXIT_BY_RECORD) in (3, 4)  # the first time nobody may have suspected it
    for name in ("checkout", "billing"):
        assert bench.fleet.ends(name).count(-signal.SIGKILL) == 2
    await bench.speak(deadly, Word.DISCARD)
    customers.parcels[deadly].pop(1)
    await customers.assert_exactly_once()
    await town.assert_exactly_once(ids, purchases)


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
    broker = servers.kafka.pid
    assert broker is not None
    async with locked(servers, "till.booking"):
        await customers.send(3)
        await bench.blocked("till", "booking")
        await customers.send(3)
        os.kill(broker, signal.SIGSTOP)
    try:
        await eventually(lambda: bench.query("till", "SELECT 1 FROM outbox"), 8)
        bench.fleet.kill("till")
        assert len(await bench.query("till", "SELECT seq FROM outbox")) > 0
    finally:
        os.kill(broker, signal.SIGCONT)
    await bench.calm()
    await customers.assert_exactly_once()
