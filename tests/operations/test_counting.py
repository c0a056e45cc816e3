"""What a service's turns report, on the meters of its process: every number once, when it counts, and no name in it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest

from shared.contracts.message import Event
from shared.drivers.faults import Point
from shared.engine.breaker import LineStopped
from shared.engine.ports import DataRefused, Unavailable
from shared.kernel.partition import home_partition
from shared.operations import metrics
from shared.operations.instruments import Instruments
from shared.operations.meters import Meters
from shared.operations.metrics import Of
from shared.testing.world import PARTITIONS, World
from tests.engine.till import OpenAccount, ParcelPacked, ParcelSent, SendParcel, SetTariff, till

NOON = datetime(2027, 3, 1, 4, tzinfo=UTC)
SAME = "11111111-1111-4111-8111-111111111111"


class Depot:
    """The till in a world, its numbers on meters."""

    def __init__(self, *, breaker_keys: int = 20) -> None:
        self.meters = Meters(Of.SERVICE, "till")
        self.world = World(till, start=NOON, breaker_keys=breaker_keys, monitor=self._instruments)
        self.database = self.world.members["till"].database

    def _instruments(self, _: str) -> Instruments:
        return Instruments(self.meters, till)

    async def started(self, *buyers: str) -> Depot:
        await self.world.start()
        for buyer in buyers:
            await self.world.publish(OpenAccount(buyer_id=buyer, currency="CNY", balance=100))
        await self.world.settle()
        return self

    def value(self, metric: metrics.Metric, *labels: str) -> float:
        return self.meters.value(metric, *labels)

    def turns(self) -> float:
        return self.value(metrics.TURN_SECONDS, "records") + self.value(metrics.TURN_SECONDS, "time")


def sending(buyer_id: str, parcel_id: str = "p1", price: int = 1, note: str = "") -> SendParcel:
    return SendParcel(buyer_id=buyer_id, parcel_id=parcel_id, price=price, note=note)


@pytest.fixture
async def depot() -> Depot:
    return await Depot().started("ann", "bob")


async def test_messages_are_counted_by_type_and_deadlines_by_kind(depot: Depot) -> None:
    await depot.world.tell(sending("ann"), sending("bob"))
    await depot.world.advance(timedelta(hours=1))
    assert depot.value(metrics.HANDLED, OpenAccount.TYPE) == 2
    assert depot.value(metrics.HANDLED, SendParcel.TYPE) == 2
    assert depot.value(metrics.HANDLED, "REMIND") == 2
    assert depot.value(metrics.PUBLISHED) == len(await depot.world.told("till.events")) == 6


def test_every_type_a_service_reacts_to_begins_at_nought() -> None:
    text = Depot().meters.exposition().decode()
    for kind in (SendParcel.TYPE, ParcelPacked.TYPE, "REMIND"):
        assert f'houfu_messages_handled_total{{service="till",type="{kind}"}} 0.0' in text


async def test_a_turn_is_measured_once_with_the_records_it_handled(depot: Depot) -> None:
    turns, sized = depot.value(metrics.TURN_SECONDS, "records"), depot.value(metrics.TURN_RECORDS)
    for number in range(7):
        await depot.world.publish(sending("ann", f"p{number}"))
    await depot.world.settle()
    assert depot.value(metrics.TURN_SECONDS, "records") == turns + 1
    assert depot.value(metrics.TURN_RECORDS) == sized + 1
    assert depot.value(metrics.RECORD_AGE) == sized + 1
    text = depot.meters.exposition().decode()
    assert 'houfu_turn_records_bucket{le="5.0",service="till"} 1.0' in text  # the two accounts
    assert 'houfu_turn_records_bucket{le="25.0",service="till"} 2.0' in text


async def test_refusals_are_counted_by_code(depot: Depot) -> None:
    await depot.world.tell(sending("ann", price=1000), sending("nobody"))
    await depot.world.publish(sending("ann"), id=SAME)
    await depot.world.publish(sending("ann", "p2"), id=SAME)
    await depot.world.settle()
    append(depot.world, SendParcel.TYPE, b"{")
    await depot.world.settle()
    for code in ("BALANCE_TOO_LOW", "UNKNOWN_ACCOUNT", "ID_REUSED", "MALFORMED"):
        assert depot.value(metrics.REJECTED, code) == 1, code


def append(world: World, wire_type: str, body: bytes, topic: str = "till.commands") -> None:
    """A record as a careless client writes it."""
    headers = [
        ("ce_specversion", b"1.0"),
        ("ce_id", b"33333333-3333-4333-8333-333333333333"),
        ("ce_type", wire_type.encode()),
        ("ce_source", b"/careless"),
        ("ce_time", b"2027-03-01T04:00:00Z"),
    ]
    world.log.append(topic, home_partition("ann", PARTITIONS), b"ann", body, headers)


async def test_dead_letters_are_counted_by_reason_when_the_turn_is_committed(depot: Depot) -> None:
    await depot.world.tell(sending("ann", note="crash"), sending("bob", note="overflow"))
    append(depot.world, "houfu.till.no_such_thing.v1", b"{}")
    await depot.world.settle()
    for reason in ("HANDLER_FAILED", "DATA_REFUSED", "UNKNOWN_TYPE"):
        assert depot.value(metrics.DEAD_LETTERS, reason) == 1, reason


async def test_events_that_wait_repeated_ones_and_those_of_no_concern_are_counted_apart(depot: Depot) -> None:
    packed = ParcelPacked(buyer_id="ann", parcel_id="p1", box="a")
    await told(depot.world, [packed], SAME)
    assert (depot.value(metrics.WAITED), depot.value(metrics.HANDLED, ParcelPacked.TYPE)) == (1, 0)
    await depot.world.tell(sending("ann"))
    assert depot.value(metrics.HANDLED, ParcelPacked.TYPE) == 1
    await told(depot.world, [packed], SAME)
    assert depot.value(metrics.REPEATED) == 1
    append(depot.world, ParcelSent.TYPE, b"{}", topic="depot.events")
    append(depot.world, "houfu.depot.parcel_x_rayed.v1", b"{}", topic="depot.events")
    await depot.world.settle()
    assert (depot.value(metrics.SKIPPED, "yes"), depot.value(metrics.SKIPPED, "no")) == (1, 1)


async def told(world: World, facts: Iterable[Event], message_id: str) -> None:
    for fact in facts:
        await world.publish(fact, id=message_id)
    await world.settle()


async def test_a_turn_that_is_rolled_back_counts_as_undone_and_what_it_had_done_counts_once(depot: Depot) -> None:
    turns = depot.turns()
    depot.database.faults.fail_next(Point.COMMIT, Unavailable("just now"), Unavailable("still"))
    await depot.world.tell(sending("ann"))
    assert depot.value(metrics.TURNS_UNDONE, "unavailable") == 2
    assert depot.value(metrics.HANDLED, SendParcel.TYPE) == 1
    assert depot.turns() == turns + 3  # one looked after what might be left over, one was taken, one tidied the outbox


async def test_a_turn_the_database_refuses_counts_as_refused_each_time_it_is_taken(depot: Depot) -> None:
    await depot.world.publish(sending("ann"))
    await depot.world.publish(sending("bob"))
    depot.database.faults.fail_next(Point.SAVE, DataRefused("parcel: CheckViolation 23514"))
    await depot.world.settle()
    assert depot.value(metrics.TURNS_UNDONE, "refused") == 1
    assert depot.value(metrics.HANDLED, SendParcel.TYPE) == 2


async def test_what_nobody_foresaw_counts_as_a_defect(depot: Depot) -> None:
    depot.database.faults.fail_next(Point.LOAD, ZeroDivisionError("in a driver"))
    await depot.world.publish(sending("ann"))
    with pytest.raises(ZeroDivisionError):
        await depot.world.settle()
    assert depot.value(metrics.TURNS_UNDONE, "defect") == 1


async def test_the_turn_that_stops_the_line_counts_as_stopped_and_buries_nobody() -> None:
    depot = await Depot(breaker_keys=2).started("ann", "bob")
    await depot.world.publish(sending("ann", note="crash"))
    await depot.world.publish(sending("bob", note="crash"))
    with pytest.raises(LineStopped):
        await depot.world.settle()
    assert depot.value(metrics.TURNS_UNDONE, "stopped") == 1
    assert depot.value(metrics.DEAD_LETTERS, "HANDLER_FAILED") == 0


async def test_a_broker_that_does_not_acknowledge_is_counted_and_the_turn_is_not_undone(depot: Depot) -> None:
    published = depot.value(metrics.PUBLISHED)
    await depot.world.publish(sending("ann"))
    depot.world.log.faults.fail_next(Point.PUBLISH, Unavailable("not acknowledged"))
    await depot.world.settle()
    assert depot.value(metrics.PUBLISH_FAILURES) == 1
    assert depot.value(metrics.TURNS_UNDONE, "unavailable") == 0
    assert depot.value(metrics.PUBLISHED) == published + 1


async def test_law_8_nobody_is_named_by_a_number() -> None:
    """Whatever buyers, merchants and parcels a service has met: none of them is in its exposition."""
    depot = await Depot().started("buyer-4711", "buyer-4712")
    await depot.world.tell(
        SetTariff(merchant_id="merchant-0815", fee=1),
        sending("buyer-4711", "parcel-1234", note="wang@example.com"),
        sending("buyer-4712", "parcel-5678", note="crash"),
        sending("buyer-4713", "parcel-9012"),
    )
    await depot.world.advance(timedelta(hours=3))
    text = depot.meters.exposition().decode()
    assert "REMIND" in text
    for name in ("buyer-47", "merchant-08", "parcel-", "wang", *(one.envelope.id for one in await depot.world.told())):
        assert name not in text
