"""Law 3: a failing handler stops its own buyer, a bad deploy the line; an operator's word goes on in order."""

from __future__ import annotations

import asyncio
from pathlib import Path

from shared.engine.ports import Word
from tests.laws.bench import Bench
from tests.laws.load import Customers
from tests.patience import eventually


async def test_a_raising_handler_parks_its_buyer_only_and_operators_bring_the_parked_back(
    bench: Bench, mended: Path
) -> None:
    customers = Customers(bench, 20, "parked")
    await customers.open()
    redriven, discarded = customers.buyers[:2]
    await customers.send(1)
    await customers.say(*(customers.parcel(buyer, "crash") for buyer in (redriven, discarded)))
    await customers.send(3)
    await bench.settled()
    order = customers.in_order(await customers.events())
    for buyer in customers.buyers:
        sent = customers.parcels[buyer]
        assert order[buyer] == (sent[:1] if buyer in (redriven, discarded) else sent)
    assert [await bench.reasons(one) for one in (redriven, discarded)] == [["HANDLER_FAILED"]] * 2
    assert (await bench.standing())["till"].parked_keys == 2

    await bench.speak(redriven, Word.REDRIVE)
    assert await bench.reasons(redriven) == ["HANDLER_FAILED"], "the mistake is still there"
    mended.touch()
    await bench.speak(redriven, Word.REDRIVE)
    await bench.speak(discarded, Word.DISCARD)
    answers = [(one.key, one.body["code"]) for one in await customers.events() if "code" in one.body]
    assert answers == [(discarded, "DISCARDED")]
    customers.parcels[discarded].pop(1)
    await customers.assert_exactly_once()


async def test_many_buyers_failing_alike_stop_the_line_until_an_operator_or_another_build_goes_on(
    bench: Bench, mended: Path
) -> None:
    customers = Customers(bench, 12, "stopped", lane=0)
    await customers.open()
    await bench.settled()
    await trip(bench, customers)
    await stays_stopped(bench)
    await bench.fleet.restart("till", await_ready=False)
    await stays_stopped(bench)

    mended.touch()
    await bench.resume_line("till")
    await bench.calm()
    await customers.assert_exactly_once()

    mended.unlink()
    await trip(bench, customers)
    mended.touch()
    await bench.fleet.restart("till", HOUFU_BUILD="the next one")
    await bench.calm()
    await customers.assert_exactly_once()


async def trip(bench: Bench, customers: Customers) -> None:
    """One turn meets a mistake that concerns everybody: it stops the line, dead-letters nothing and handles nothing.

    It is one turn because one batch of one partition is read as a whole.
    """
    handled = await bench.query("till", "SELECT count(*) FROM parcel")
    commands = customers.parcels_of_all("", "crash", "")
    customers.sent += await bench.say(*commands, chunk=len(commands))
    await eventually(lambda: stopped(bench))
    assert await bench.query("till", "SELECT count(*) FROM parcel") == handled
    assert (await bench.standing())["till"].dead_letters == 0


async def stopped(bench: Bench) -> bool:
    line = (await bench.standing())["till"].line
    return line.stopped and "ZeroDivisionError" in line.reason


async def stays_stopped(bench: Bench) -> None:
    """Every replica says so, again and again, and nothing is handled."""
    (replica,) = bench.fleet.of("till")
    await eventually(lambda: asyncio.to_thread(lambda: "line is stopped" in str(replica.health().get("trouble"))))
    handled = await bench.query("till", "SELECT count(*) FROM parcel")
    for _ in range(20):
        health = await asyncio.to_thread(replica.health)
        assert (health["ready"], "line is stopped" in str(health["trouble"])) == (False, True)
        await asyncio.sleep(0.1)
    assert await bench.query("till", "SELECT count(*) FROM parcel") == handled
    assert await stopped(bench)
    assert (await bench.standing())["till"].dead_letters == 0
