"""Law 4: whatever is read again, from anywhere, under whatever memory, changes no row and says nothing new."""

from __future__ import annotations

import asyncio
from collections import defaultdict

from aiokafka import AIOKafkaConsumer, TopicPartition

from shared.operations import deployment
from shared.operations.sightings import sighted
from tests.engine.till import ParcelPacked, ParcelWeighed
from tests.laws.bench import Bench
from tests.laws.load import Customers, Town

SERVICES = [service.name for service in deployment.services()]
WRITTEN = [f"{name}.events" for name in (*SERVICES, "till")]
READ = [*(f"{name}.commands" for name in (*SERVICES, "till")), *(f"{name}.events" for name in SERVICES), "depot.events"]


async def test_every_record_comes_twice(bench: Bench, town: Town) -> None:
    """Copies under the same ids, commands and facts alike: no row changes, no new id is published."""
    await live(bench, town)
    before = await said(bench)
    rows = await bench.everything()
    await bench.repeat(one for one in await bench.records(*READ) if sighted(one).envelope is not None)
    await bench.settled()
    assert await bench.everything() == rows
    assert await said(bench) == before


async def test_every_topic_is_read_from_zero(bench: Bench, town: Town) -> None:
    """First without positions where the inboxes stand, then with emptied inboxes where the positions stand.

    Billing has two replicas, as it may have whenever somebody replays.
    """
    counts = dict.fromkeys(bench.databases, 1) | {"billing": 2}
    await bench.fleet.scale("billing", 2)
    await live(bench, town)
    before = await said(bench)
    rows = await bench.everything()
    for forgotten in ("position", "inbox"):
        for name in bench.databases:
            await bench.fleet.scale(name, 0)
            await bench.query(name, f"TRUNCATE {forgotten}")
            await rewind(bench, name)
            await bench.fleet.scale(name, counts[name])
        await bench.calm()
        assert await bench.everything() == rows
        assert await said(bench) == before


async def live(bench: Bench, town: Town) -> None:
    """Something of everything happens."""
    customers = Customers(bench, 10, "again")
    await customers.open()
    await customers.send(3)
    facts = [
        fact
        for buyer, (first, second, _) in customers.parcels.items()
        for fact in (
            ParcelPacked(buyer_id=buyer, parcel_id=first, box="box"),
            ParcelWeighed(buyer_id=buyer, parcel_id=second, weight=3),
        )
    ]
    await asyncio.gather(bench.say(*facts), bench.say(*await town.purchases(5)))
    await bench.settled()


async def said(bench: Bench) -> dict[str, set[tuple[str, bytes | None]]]:
    """The ids of everything that was said, with what was said under them; what has none stands for itself."""
    found = {}
    for topic in WRITTEN:
        bodies: defaultdict[str, set[bytes | None]] = defaultdict(set)
        for one in await bench.records(topic):
            bodies[sighted(one).id or f"{one.partition}:{one.offset}"].add(one.value)
        assert {name: said for name, said in bodies.items() if len(said) > 1} == {}, "an id stands for one thing"
        found[topic] = {(name, body) for name, (body,) in bodies.items()}
    return found


async def rewind(bench: Bench, service: str) -> None:
    """Reset the offsets of a service's group to the beginning, as an operator would while nobody is in it."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bench.access.bootstrap, group_id=f"houfu.{service}", enable_auto_commit=False
    )
    await consumer.start()
    try:
        places = [TopicPartition(*one) for one in await bench._observer.partitions(bench.access.readers[service])]
        consumer.assign(places)
        await consumer.commit(dict.fromkeys(places, 0))
    finally:
        await consumer.stop()
