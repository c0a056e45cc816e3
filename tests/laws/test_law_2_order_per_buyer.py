"""Law 2 and 5: a buyer's messages keep their order, whoever handles them and in whatever order topics are read."""

from __future__ import annotations

import asyncio
import signal
from datetime import timedelta

import pytest

from shared.contracts.checkout import OrderAccepted
from tests.engine.till import OpenAccount, ParcelPacked, ParcelWeighed, SendParcel
from tests.laws.bench import Bench
from tests.laws.load import Customers, Town
from tests.laws.traffic import purchases_under_way
from tests.patience import eventually


async def test_replicas_come_and_go_while_messages_flow(bench: Bench, town: Town) -> None:
    customers = Customers(bench, 40, "scaled")
    purchases = await town.purchases(25)
    await customers.open()
    flowing = asyncio.gather(customers.send(25, pause_s=0.2), bench.say(*purchases, chunk=10, pause_s=0.2))
    for count in (3, 1):
        await asyncio.gather(*(bench.fleet.scale(name, count) for name in ("till", "billing")))
        await bench.fleet.ready()
        for name in ("till", "billing"):
            await eventually(lambda name=name: asyncio.to_thread(bench.fleet.shared, name))
    _, ids = await flowing
    await bench.calm()
    await customers.assert_exactly_once()
    await town.assert_exactly_once(ids, purchases)


@pytest.mark.usefixtures("two_billings")
async def test_all_services_are_restarted_one_process_after_another(bench: Bench, town: Town) -> None:
    """As a new build is rolled out: each is told to stop, ends well and comes back, while messages flow."""
    customers = Customers(bench, 40, "rolled")
    await customers.open()
    async with purchases_under_way(bench, town, 40):
        flowing = asyncio.create_task(customers.send(25, pause_s=0.3))
        for name in bench.access.dsns:
            for replica in bench.fleet.of(name):
                replica.send(signal.SIGTERM)
                await eventually(lambda replica=replica: replica.ends)
                await eventually(lambda replica=replica: asyncio.to_thread(replica.ready))
        await flowing
    await customers.assert_exactly_once()
    for name in bench.access.dsns:
        assert set(bench.fleet.ends(name)) <= {0, -signal.SIGTERM}


async def test_facts_that_overtake_their_cause_are_applied_right_after_it(bench: Bench) -> None:
    """They wait for the row; what the cause's own row wakes runs before anything newer of the buyer."""
    await bench.say(OpenAccount(buyer_id="early", currency="CNY", balance=100))
    facts = [ParcelPacked(buyer_id="early", parcel_id="p1", box=box) for box in ("a", "b")]
    await bench.say(*facts, ParcelWeighed(buyer_id="early", parcel_id="p1", weight=3))
    await bench.settled()
    assert (await bench.standing())["till"].waiting == 3
    await bench.say(*(SendParcel(buyer_id="early", parcel_id=parcel, price=1) for parcel in ("p1", "p2")))
    await bench.settled()
    assert (await bench.standing())["till"].waiting == 0
    told = [one for one in await bench.told("till.events") if one.key == "early"]
    assert [one.name for one in told] == ["AccountOpened", "ParcelSent", "ParcelDone", "ParcelSent"]
    assert await bench.query("till", "SELECT seen FROM account WHERE buyer_id = 'early'") == [
        ('["p1", "p1:a", "p1:b", "p2"]',)
    ]


async def test_services_that_were_away_catch_up_as_if_they_had_been_there(bench: Bench, town: Town) -> None:
    """Laws 5 and 7: the others go on meanwhile; reminders that were missed carry their own instants, each in its place.

    While billing is off, checkout accepts orders; while the till is off, business time passes.
    """
    customers = Customers(bench, 5, "late")
    await customers.open()
    await customers.send(1)
    await bench.settled()
    sent_at = await bench.now()
    await asyncio.gather(*(bench.fleet.scale(name, 0) for name in ("billing", "till")))
    purchases = await town.purchases(10)
    ids = await bench.say(*purchases)
    buyers = {command.key for command in purchases}
    await eventually(lambda: accepted(bench, buyers))
    await bench.set_time(sent_at + timedelta(hours=2, minutes=30))
    await customers.send(1)
    await asyncio.gather(*(bench.fleet.scale(name, 1) for name in ("billing", "till")))
    await bench.calm()
    await town.assert_exactly_once(ids, purchases)
    for buyer in customers.buyers:
        told = [(one.name, one.envelope.time - sent_at) for one in await customers.events() if one.key == buyer]
        assert told[2:] == [
            ("Reminded", timedelta(hours=1)),
            ("Reminded", timedelta(hours=2)),
            ("ParcelSent", timedelta(hours=2, minutes=30)),
        ]


async def accepted(bench: Bench, buyers: set[str]) -> bool:
    """Whether checkout has accepted an order of each of these buyers."""
    return {one.key for one in await bench.told("checkout.events") if one.name == OrderAccepted.__name__} >= buyers
