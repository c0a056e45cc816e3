"""Law 3: a bad message never delays a good one of another buyer, and nothing disappears without a word."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from itertools import islice
from uuid import uuid4

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from shared.contracts.billing import RepayBill, RepaymentAllocated
from shared.contracts.checkout import OrderAccepted, PlaceOrder
from shared.contracts.envelope import Envelope
from shared.contracts.message import Event
from shared.contracts.refunds import RefundApproved
from shared.drivers.topics import PARTITIONS
from shared.engine.ports import Held, Word
from shared.kernel.partition import home_partition
from shared.operations import deployment
from tests.engine.till import OpenAccount, ParcelPacked, SendParcel, till
from tests.laws.bench import Bench
from tests.laws.load import Customers, Town
from tests.laws.poison import UNHEARD_OF, Good, Poison, example, poisons
from tests.patience import eventually

Place = tuple[str, int, int]


@pytest.mark.parametrize(
    "good",
    [
        Good(OpenAccount(buyer_id="KEY", currency="CNY", balance=1), ParcelPacked, "balance"),
        Good(ParcelPacked(buyer_id="KEY", parcel_id="p1", box="b"), OpenAccount),
    ],
    ids=lambda good: good.topic,
)
async def test_poison_goes_to_the_dead_letters_and_its_neighbours_are_handled(bench: Bench, good: Good) -> None:
    neighbours = Customers(bench, 40, "healthy")
    await neighbours.open()
    injection = await Injection.beside(neighbours.buyers[0], bench, good)
    async for _ in injection.doses():
        await neighbours.send(1)
    await bench.settled()
    await neighbours.assert_exactly_once()
    await injection.assert_put_aside_and_answered()


@pytest.mark.parametrize(
    "good",
    [
        example(PlaceOrder, RepayBill, "amount"),
        example(OrderAccepted, RefundApproved, "amount"),
        example(RepayBill, PlaceOrder, "amount"),
        example(RepaymentAllocated, OrderAccepted, "amount"),
    ],
    ids=lambda good: good.topic,
)
async def test_purchases_go_through_the_services_beside_poison(bench: Bench, town: Town, good: Good) -> None:
    purchases = await town.purchases(3)
    injection = await Injection.beside(purchases[0].key, bench, good)
    steps, ids = iter(purchases), list[str]()
    async for _ in injection.doses():
        ids += await bench.say(*islice(steps, 1))
    ids += await bench.say(*steps)
    await bench.settled()
    await town.assert_exactly_once(ids, purchases)
    await injection.assert_put_aside_and_answered()


@dataclass
class Injection:
    """All kinds of poison on one topic, on the lane of a healthy buyer; and what there was before."""

    bench: Bench
    good: Good
    lane: int
    standing: dict[str, set[int]]
    """The dead letters of each service before."""
    unheard_of: dict[str, int]
    places: dict[Place, Poison] = field(default_factory=dict)

    @classmethod
    async def beside(cls, buyer: str, bench: Bench, good: Good) -> Injection:
        standing = {name: {one.seq for one in await dead_letters(bench, name)} for name in bench.databases}
        unheard_of = {name: await unheard_of_by(bench, name) for name in readers(bench, good)}
        return cls(bench, good, home_partition(buyer, PARTITIONS), standing, unheard_of)

    async def doses(self) -> AsyncIterator[Poison]:
        """Each kind of poison, once it is written."""
        for one in poisons(self.good, await self.bench.now(), self.lane):
            place = await self.bench.write(
                self.good.topic, one.value, key=one.key, headers=one.headers, partition=self.lane
            )
            self.places[place] = one
            yield one

    async def assert_put_aside_and_answered(self) -> None:
        """Every reader put it aside and told why, and nothing else; an operator who throws it away is done with it."""
        for name in self.bench.databases:
            await self._assert_put_aside(name)
        await self._assert_facts_nobody_knows_are_counted()
        await self._assert_senders_are_answered()
        for name in readers(self.bench, self.good):
            await self._discard(name)

    async def _assert_put_aside(self, service: str) -> None:
        expected = {place: one.reason for place, one in self.places.items() if self._concerns(service, one)}
        assert {coordinates(one): one.reason for one in await self._letters(service)} == expected
        notices = [one.body for one in await self.bench.sightings_of(f"{service}.dlq")]
        mine = {place: one for one in notices if (place := place_of(one)) in self.places}
        assert {place: one["reason"] for place, one in mine.items()} == expected
        assert not any(one["parked"] for one in mine.values())

    def _concerns(self, service: str, one: Poison) -> bool:
        """A reader of commands is concerned by all; a reader of facts not by types it does not react to."""
        if service not in readers(self.bench, self.good):
            return False
        return not isinstance(self.good.message, Event) or one.type is None or one.type in reacts_to(service)

    async def _assert_facts_nobody_knows_are_counted(self) -> None:
        more = len(UNHEARD_OF) if isinstance(self.good.message, Event) else 0
        for name, before in self.unheard_of.items():
            assert await unheard_of_by(self.bench, name) == before + more, name

    async def _assert_senders_are_answered(self) -> None:
        """Senders of commands that can be told are; nobody else is."""
        poison = {one.id: one for one in self.places.values() if one.id}
        for name in readers(self.bench, self.good):
            answers = [one.body for one in await self.bench.told(f"{name}.events") if one.name.endswith("Rejected")]
            told = {one["command_id"]: (one["code"], one["details"].get("reason")) for one in answers}
            commands = {} if isinstance(self.good.message, Event) else poison
            expected = {one.id: ("MALFORMED", one.reason) for one in commands.values() if one.readable}
            assert {name: what for name, what in told.items() if name in poison} == expected

    async def _discard(self, service: str) -> None:
        """An operator throws it away; a command that was answered is not answered again."""
        events = len(await self.bench.told(f"{service}.events"))
        for letter in await self._letters(service):
            assert await self.bench.databases[service].speak(letter.seq, Word.DISCARD)
        await eventually(lambda: self._none_left(service))
        await self.bench.settled()
        assert len(await self.bench.told(f"{service}.events")) == events

    async def _none_left(self, service: str) -> bool:
        return not await self._letters(service)

    async def _letters(self, service: str) -> list[Held]:
        """The dead letters of a service since the injection began."""
        return [one for one in await dead_letters(self.bench, service) if one.seq not in self.standing[service]]


async def dead_letters(bench: Bench, service: str) -> list[Held]:
    return await bench.databases[service].dead_letters(10_000)


def readers(bench: Bench, good: Good) -> list[str]:
    """The services that read the topic of a message."""
    return [name for name, topics in bench.access.readers.items() if good.topic in topics]


def reacts_to(service: str) -> set[str]:
    """The wire types a service has handlers for."""
    handlers = (till if service == till.name else deployment.service_of(service)).handlers
    return {getattr(one.message, "TYPE", "") for one in handlers}


async def unheard_of_by(bench: Bench, service: str) -> int:
    """How many facts of a type that no build knows a service says it has passed over."""
    (replica,) = bench.fleet.of(service)
    exposition = (await asyncio.to_thread(httpx.get, f"http://127.0.0.1:{replica.port}/metrics")).text
    samples = [one for family in text_string_to_metric_families(exposition) for one in family.samples]
    skipped = [one for one in samples if one.name == "houfu_events_skipped_total" and one.labels["known"] == "no"]
    return int(sum(one.value for one in skipped))


def coordinates(letter: Held) -> Place:
    """Where the record of a dead letter stands."""
    record = json.loads(letter.message)
    return record["topic"], record["partition"], record["offset"]


def place_of(notice: dict[str, object]) -> tuple[object, ...]:
    """Where the record stands that a notice speaks of."""
    return notice.get("topic"), notice.get("partition"), notice.get("offset")


async def test_a_name_of_a_header_that_is_no_text_stops_nobody(bench: Bench) -> None:
    """Clients in other languages may write such names."""
    neighbours = Customers(bench, 40, "beside")
    await neighbours.open()
    message_id = str(uuid4())
    for buyer in neighbours.buyers[:1]:
        envelope = Envelope(message_id, SendParcel.TYPE, "/poison", await bench.now(), "p", buyer, message_id)
        await bench.write_garbled(neighbours.parcel(buyer), envelope)
    neighbours.sent.append(message_id)
    await neighbours.send(1)
    await bench.settled()
    await neighbours.assert_exactly_once()
