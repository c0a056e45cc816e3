"""What a buyer may spend: declined beyond the limit, held while an order is open, free again when it is off."""

from __future__ import annotations

import pytest

from tests.journeys.invariants import assert_invariants
from tests.journeys.timeline import timeline
from tests.journeys.town import LIMIT, TEN, Buyer, local, open_shops

ANN, BOB = Buyer("ann"), Buyer("bob")


async def test_an_order_beyond_the_limit_is_declined_with_what_would_have_been_possible() -> None:
    world = await open_shops(ANN)
    await world.tell(ANN.order("o-1", 50_000, TEN), ANN.order("o-2", 160_000, TEN), ANN.order("o-3", 150_000, TEN))
    assert await timeline(world, "ann", since="03-01 10:00") == [
        "03-01 10:00 OrderAuthorized o-1 50000 until 03-29 10:00",
        "03-01 10:00 CreditLineChanged ORDER_AUTHORIZED o-1: score 640, 200000 - 50000 held - 0 used = 150000",
        "03-01 10:00 OrderDeclined o-2 INSUFFICIENT_LIMIT at most 150000",
        "03-01 10:00 OrderAuthorized o-3 150000 until 03-29 10:00",
        "03-01 10:00 CreditLineChanged ORDER_AUTHORIZED o-3: score 640, 200000 - 200000 held - 0 used = 0",
    ]
    await assert_invariants(world)


async def test_an_order_cancelled_before_shipment_gives_its_limit_back_and_becomes_no_debt() -> None:
    world = await open_shops(ANN)
    await world.tell(ANN.order("o-1", 25769, TEN))
    await world.advance(to=local("03-02 10:00"))
    await world.tell(ANN.cancellation("o-1"), ANN.shipment("o-1", TEN))
    await world.advance(to=local("04-30 00:00"))
    assert await timeline(world, "ann", since="03-01 10:00") == [
        "03-01 10:00 OrderAuthorized o-1 25769 until 03-29 10:00",
        "03-01 10:00 CreditLineChanged ORDER_AUTHORIZED o-1: score 640, 200000 - 25769 held - 0 used = 174231",
        "03-02 10:00 OrderCancelled o-1 25769 by BUYER",
        "03-02 10:00 CreditLineChanged ORDER_CANCELLED o-1: score 640, 200000 - 0 held - 0 used = 200000",
        "03-02 10:00 Rejected ILLEGAL_TRANSITION",
    ]
    await assert_invariants(world)


async def test_an_order_nobody_ships_lapses_and_a_refused_parcel_is_never_owed() -> None:
    world = await open_shops(ANN)
    await world.tell(ANN.order("o-1", 10_000, TEN), ANN.order("o-2", 20_000, TEN), ANN.shipment("o-2", TEN))
    await world.advance(to=local("03-03 10:00"))
    await world.tell(ANN.delivery("o-2", local("03-03 10:00"), "REFUSED"))
    await world.advance(to=local("04-30 00:00"))
    assert await timeline(world, "ann", since="03-03") == [
        "03-03 10:00 DeliveryReported o-2 REFUSED, auto-accepted",
        "03-03 10:00 CreditLineChanged DELIVERY_REPORTED o-2: score 640, 200000 - 10000 held - 0 used = 190000",
        "03-03 10:00 OrderCancelled o-2 0 by COURIER",
        "03-29 10:00 OrderExpired o-1 10000",
        "03-29 10:00 CreditLineChanged ORDER_EXPIRED o-1: score 640, 200000 - 0 held - 0 used = 200000",
    ]
    await assert_invariants(world)


@pytest.mark.parametrize("records", [1, 500])
async def test_of_two_orders_racing_for_one_limit_the_second_sees_the_hold_of_the_first(records: int) -> None:
    world = await open_shops(ANN, BOB, records=records)
    for command in (ANN.order("o-1", 120_000, TEN), BOB.order("o-1", LIMIT, TEN), ANN.order("o-2", 90_000, TEN)):
        await world.publish(command)
    await world.settle()
    assert await timeline(world, "ann", since="03-01 10:00") == [
        "03-01 10:00 OrderAuthorized o-1 120000 until 03-29 10:00",
        "03-01 10:00 CreditLineChanged ORDER_AUTHORIZED o-1: score 640, 200000 - 120000 held - 0 used = 80000",
        "03-01 10:00 OrderDeclined o-2 INSUFFICIENT_LIMIT at most 80000",
    ]
    assert await timeline(world, "bob", since="03-01 10:00") == [
        "03-01 10:00 OrderAuthorized o-1 200000 until 03-29 10:00",
        "03-01 10:00 CreditLineChanged ORDER_AUTHORIZED o-1: score 640, 200000 - 200000 held - 0 used = 0",
    ]
    await assert_invariants(world)


async def test_a_hold_becomes_used_without_ever_freeing_the_limit_in_between() -> None:
    world = await open_shops(ANN)
    await world.tell(ANN.order("o-1", 150_000, TEN), ANN.shipment("o-1", TEN), ANN.delivery("o-1", TEN))
    await world.publish(ANN.confirmation("o-1"))
    await world.publish(ANN.order("o-2", 60_000, TEN))
    await world.settle()
    assert (await timeline(world, "ann", since="03-01 10:00"))[4:] == [
        "03-01 10:00 OrderAccepted o-1 150000 by BUYER",
        "03-01 10:00 OrderDeclined o-2 INSUFFICIENT_LIMIT at most 50000",
        "03-01 10:00 PlanOpened o-1 150000, owing 150000 (version 1)",
        "03-01 10:00 BillIssued b:o-1 150000 due 03-08",
        "03-01 10:00 CreditLineChanged PLAN_OPENED o-1: score 640, 200000 - 0 held - 150000 used = 50000",
    ]
    await assert_invariants(world)
