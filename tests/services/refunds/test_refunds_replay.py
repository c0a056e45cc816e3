"""Refunds in the real engine, on memory ports: what is read again changes nothing, wherever turns begin and end."""

from datetime import timedelta

import pytest
from refunds_stories import (
    BUYER,
    CASE,
    FIRST,
    LEG,
    accepted,
    allocated,
    arrived,
    gesture,
    graded,
    leg,
    local,
    overpaid,
    paid,
    repair,
    request,
    review,
    shipped,
)

from services.refunds.service import refunds
from services.refunds.state import Case, Order, Refund, RefundStatus
from shared.contracts.refunds import CommandRejected, RefundApproved
from shared.kernel.partition import home_partition
from shared.testing.samples import sample_of
from shared.testing.world import PARTITIONS, World

START = local("03-12 10:00")
OVERPAYMENT = "op:pay-1:o1:1:1"


async def a_full_life(*, records: int = 500) -> World:
    """A return that is refunded after a bounce, a gesture on the debt, an overpayment given back, a request lapsed."""
    world = await World(refunds, start=START, records=records).start()
    await world.tell(accepted(), request(), review())
    await world.tell(shipped(START), arrived(START), graded())
    await world.advance(timedelta(hours=25))
    (approved,) = await world.events(RefundApproved)
    await world.tell(allocated(approved, leg("ORIGINAL_ROUTE", approved.amount)))
    await world.tell(paid(FIRST, "PENDING", START))
    await world.advance(timedelta(hours=2))
    await world.tell(paid(FIRST, "SUCCEEDED", START), paid(FIRST, "RETURNED", START), repair(LEG))
    await world.tell(paid(f"{LEG}:2", "SUCCEEDED", START))
    await world.tell(gesture())
    await world.tell(allocated((await world.events(RefundApproved))[1], leg("DEBT", 2000)))
    await world.tell(overpaid(), paid(OVERPAYMENT, "SUCCEEDED", START))
    await world.tell(request(case_id="case-2"), request(case_id="case-3"))
    await world.advance(timedelta(days=9))
    return world


def rows(world: World) -> list[object]:
    return [row for kind in (Order, Case, Refund) for row in world.rows(refunds, kind)]


async def ids(world: World) -> set[str]:
    """Of everything told; what is told again comes under the same ids."""
    return {one.envelope.id for one in await world.told("refunds.events")}


async def write_again(world: World, *topics: str) -> None:
    """Every record of these topics once more, as it stands."""
    for topic in topics:
        lane = home_partition(BUYER, PARTITIONS)
        for record in await world.log.read(topic, lane, 0, 1_000_000):
            world.log.append(topic, lane, record.key, record.value, record.headers)
    await world.settle()


async def test_the_life_that_is_replayed_is_a_full_one() -> None:
    world = await a_full_life()
    assert [one.status for one in world.rows(refunds, Refund)] == [RefundStatus.COMPLETED] * 3
    assert [(one.case_id, one.outcome) for one in world.rows(refunds, Case)] == [
        (CASE, "REFUNDED"),
        ("case-2", "LAPSED"),
    ]
    assert [one.code for one in await world.events(CommandRejected)] == ["QUANTITY_EXCEEDED"]
    standing = await world.members["refunds"].database.standing()
    assert (standing.outbox_rows, standing.waiting, standing.dead_letters) == (0, 0, 0)


async def test_every_record_once_more_changes_nothing() -> None:
    world = await a_full_life()
    before = rows(world), await ids(world)
    await write_again(world, "refunds.commands", "checkout.events", "billing.events")
    assert (rows(world), await ids(world)) == before


@pytest.mark.parametrize("records", [1, 500])
async def test_law_4_events_whose_ids_are_forgotten_are_known_by_the_rows(records: int) -> None:
    world = await a_full_life(records=records)
    before = rows(world), await ids(world)
    world.members["refunds"].database.empty_inbox()
    await write_again(world, "checkout.events", "billing.events")
    assert (rows(world), await ids(world)) == before


@pytest.mark.parametrize("records", [1, 3, 500])
async def test_law_5_whoever_was_away_all_the_time_comes_to_the_same_rows(records: int) -> None:
    world = await a_full_life()
    before = rows(world), await ids(world)
    await world.lose(refunds, records=records)
    await world.settle()
    assert (rows(world), await ids(world)) == before


async def test_an_allocation_that_overtook_its_refund_waits_for_it() -> None:
    world = await World(refunds, start=START).start()
    told = sample_of(RefundApproved, buyer_id=BUYER, refund_id="rf-1")
    await world.tell(allocated(told.model_copy(update={"case_id": None, "amount": 2000}), leg("DEBT", 2000)))
    assert (await world.members["refunds"].database.standing()).waiting == 1
    await world.tell(accepted(), gesture())
    (refund,) = world.rows(refunds, Refund)
    assert (refund.status, refund.cash_amount) == (RefundStatus.COMPLETED, 0)
    assert (await world.members["refunds"].database.standing()).waiting == 0


async def test_reading_what_billing_said_before_the_commands_comes_to_the_same_rows() -> None:
    world = await a_full_life()
    before = rows(world)
    await world.lose(refunds)
    ahead = await world.log.read("billing.events", home_partition(BUYER, PARTITIONS), 0, 1_000_000)
    await world.members["refunds"].worker.handle(ahead)
    assert [one.refund_id for one in world.rows(refunds, Refund)] == [OVERPAYMENT.removesuffix(":1:1")]
    await world.settle()
    assert rows(world) == before
