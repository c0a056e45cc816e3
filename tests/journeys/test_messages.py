"""What can go wrong with a message on its way: foreign, repeated, malformed, doubled, overtaken, read anew."""

from __future__ import annotations

from typing import Any

import pytest

from services.billing.service import billing
from services.billing.state import Plan
from services.checkout.service import checkout
from services.checkout.state import Account, Order, OrderStatus
from shared.contracts.billing import CommandRejected as RefusedByBilling
from shared.contracts.billing import PlanOpened
from shared.contracts.checkout import CommandRejected, OrderAuthorized
from shared.contracts.dead_letters import DeadLettered
from shared.contracts.envelope import Envelope
from shared.contracts.message import Command
from shared.kernel.partition import home_partition
from shared.testing.samples import sample_of
from shared.testing.world import PARTITIONS, World
from tests.journeys.invariants import assert_invariants
from tests.journeys.state import ids, rows, write_again
from tests.journeys.timeline import timeline
from tests.journeys.town import TEN, Buyer, local, open_shops

ANN, BOB = Buyer("ann"), Buyer("bob")
SAME = "11111111-1111-4111-8111-111111111111"


# -- foreign and repeated ----------------------------------------------------------------------------------------------


async def test_another_buyers_order_and_bill_are_unknown() -> None:
    world = await open_shops(ANN, BOB)
    await world.tell(*ANN.purchase("o-1", 12000, TEN))
    await world.tell(BOB.cancellation("o-1"), BOB.confirmation("o-1"), BOB.repayment("pay-1", "o-1", 12000))
    assert await timeline(world, "bob", since="03-01 10:00") == [
        "03-01 10:00 Rejected UNKNOWN_ORDER",
        "03-01 10:00 Rejected UNKNOWN_ORDER",
        "03-01 10:00 Rejected UNKNOWN_BILL",
    ]
    await assert_invariants(world)


async def test_two_buyers_may_use_one_order_id() -> None:
    world = await open_shops(ANN, BOB)
    await world.tell(*ANN.purchase("o-1", 12000, TEN), *BOB.purchase("o-1", 500, TEN))
    await world.advance(to=local("03-09 00:00"))
    assert [(plan.buyer_id, plan.principal, plan.paid) for plan in world.rows(billing, Plan)] == [
        ("ann", 12000, 12000),
        ("bob", 500, 500),
    ]
    await assert_invariants(world)


async def test_a_command_sent_twice_under_one_id_has_one_outcome() -> None:
    world = await open_shops(ANN)
    for _ in range(2):
        await world.publish(ANN.order("o-1", 12000, TEN), id=SAME)
    await world.settle()
    await world.publish(ANN.order("o-1", 12000, TEN), id=SAME)
    await world.settle()
    assert [one.order_id for one in await world.events(OrderAuthorized)] == ["o-1"]
    assert await world.events(CommandRejected) == []
    await assert_invariants(world)


async def test_an_id_used_again_for_other_content_is_answered_and_changes_nothing() -> None:
    world = await open_shops(ANN)
    await world.publish(ANN.order("o-1", 12000, TEN), id=SAME)
    await world.publish(ANN.order("o-2", 12000, TEN), id=SAME)
    await world.settle()
    (rejected,) = await world.events(CommandRejected)
    assert (rejected.code, rejected.command_id) == ("ID_REUSED", SAME)
    assert [order.order_id for order in world.rows(checkout, Order)] == ["o-1"]
    await assert_invariants(world)


async def test_one_request_under_two_ids_is_done_already_and_another_under_its_order_id_exists() -> None:
    world = await open_shops(ANN)
    later = local("03-01 10:20")
    await world.tell(ANN.order("o-1", 12000, TEN))
    await world.advance(to=later)
    await world.tell(ANN.order("o-1", 12000, later), ANN.order("o-1", 13000, later))
    await world.tell(*ANN.purchase("o-2", 5000, later), ANN.repayment("pay-1", "o-2", 5000))
    await world.tell(ANN.repayment("pay-1", "o-2", 5000), ANN.repayment("pay-1", "o-2", 4000))
    assert [one.code for one in await world.events(CommandRejected)] == ["ALREADY_DONE", "ALREADY_EXISTS"]
    assert [one.code for one in await world.events(RefusedByBilling)] == ["ALREADY_DONE", "ALREADY_EXISTS"]
    await assert_invariants(world)


# -- malformed ---------------------------------------------------------------------------------------------------------


def headers(command: Command, **other: Any) -> Envelope:
    fields: dict[str, Any] = {
        "id": SAME,
        "type": command.TYPE,
        "source": "/shop",
        "time": TEN,
        "subject": "o-1",
        "key": command.key,
        "correlation_id": SAME,
    }
    return Envelope(**{**fields, **other})


def send_raw(world: World, envelope: Envelope, body: bytes) -> None:
    lane = home_partition(envelope.key, PARTITIONS)
    world.log.append("checkout.commands", lane, envelope.key.encode(), body, envelope.headers())


GOOD = ANN.order("o-1", 12000, TEN)
BAD_BODIES = {
    "a field is missing": (headers(GOOD), b'{"buyer_id": "ann"}', "SCHEMA_VIOLATION"),
    "not JSON": (headers(GOOD), b"{", "SCHEMA_VIOLATION"),
    "no body": (headers(GOOD), b"", "SCHEMA_VIOLATION"),
    "an amount as a float": (
        headers(GOOD),
        GOOD.to_json().replace('"amount":12000', '"amount":12000.5').encode(),
        "SCHEMA_VIOLATION",
    ),
    "an unknown type": (
        headers(GOOD, type="houfu.checkout.withdraw.v1"),
        GOOD.to_json().encode(),
        "UNKNOWN_TYPE",
    ),
    "billing's command": (
        headers(GOOD, type="houfu.billing.repay_bill.v1"),
        ANN.repayment("pay-1", "o-1", 1).to_json().encode(),
        "UNKNOWN_TYPE",
    ),
    "another buyer's payload": (headers(GOOD, key="bob"), GOOD.to_json().encode(), "KEY_MISMATCH"),
    "too large": (headers(GOOD), b" " * (256 * 1024) + GOOD.to_json().encode(), "BODY_TOO_LARGE"),
}


@pytest.mark.parametrize("case", BAD_BODIES)
async def test_a_malformed_command_is_a_dead_letter_and_answered_while_its_neighbours_go_on(case: str) -> None:
    envelope, body, reason = BAD_BODIES[case]
    world = await open_shops(ANN, BOB)
    await world.publish(ANN.order("o-before", 100, TEN))
    send_raw(world, envelope, body)
    await world.publish(ANN.order("o-after", 200, TEN))
    await world.publish(BOB.order("o-1", 300, TEN))
    await world.settle()
    authorised = {(one.buyer_id, one.order_id) for one in await world.events(OrderAuthorized)}
    assert authorised == {("ann", "o-before"), ("ann", "o-after"), ("bob", "o-1")}
    (rejected,) = await world.events(CommandRejected)
    assert (rejected.code, rejected.command_id, rejected.buyer_id) == ("MALFORMED", SAME, envelope.key)
    (notice,) = [told.message for told in await world.told("checkout.dlq")]
    assert isinstance(notice, DeadLettered)
    assert (notice.reason, notice.message_id, notice.parked) == (reason, SAME, False)
    await assert_invariants(world)


async def test_bytes_nobody_can_read_are_dead_letters_without_an_answer() -> None:
    world = await open_shops(ANN)
    lane = home_partition("ann", PARTITIONS)
    world.log.append("checkout.commands", lane, b"ann", b"\xff", None)
    world.log.append("checkout.commands", lane, None, None, [("ce_type", None)])
    world.log.append("billing.events", lane, b"\xff\xfe", b"{}", [("ce_type", PlanOpened.TYPE.encode())])
    await world.tell(ANN.order("o-1", 100, TEN))
    assert len(await world.told("checkout.dlq")) == 3
    assert await world.events(CommandRejected) == []
    assert len(await world.events(OrderAuthorized)) == 1
    await assert_invariants(world)


# -- doubled, overtaken, read anew -------------------------------------------------------------------------------------


async def a_full_life(buyer: Buyer, *, records: int = 500) -> World:
    """One bill paid in time, one overdue after a hard decline and paid by hand with its fee, one order cancelled."""
    world = await open_shops(buyer, records=records)
    await world.tell(*buyer.purchase("o-1", 12000, TEN))
    await world.advance(to=local("03-09 10:00"))
    at = local("03-09 10:00")
    await world.tell(buyer.card("tok_hard"), *buyer.purchase("o-2", 5000, at))
    await world.tell(buyer.order("o-3", 7000, at), buyer.cancellation("o-3"), buyer.order("o-4", 8000, at))
    await world.advance(to=local("03-22 10:00"))
    await world.tell(buyer.repayment("pay-1", "o-2", 3000), buyer.repayment("pay-2", "o-2", 2200))
    return world


async def test_every_record_of_every_topic_once_more_changes_nothing() -> None:
    world = await a_full_life(ANN)
    before = rows(world), await ids(world)
    await write_again(world, "checkout.commands", "billing.commands", "checkout.events", "billing.events")
    await world.settle()
    assert (rows(world), await ids(world)) == before
    await assert_invariants(world)


@pytest.mark.parametrize("records", [1, 500])
async def test_events_replayed_into_services_that_have_forgotten_their_ids_change_nothing(records: int) -> None:
    world = await a_full_life(ANN, records=records)
    before = rows(world)
    for member in world.members.values():
        member.database.empty_inbox()
    await write_again(world, "checkout.events", "billing.events")
    await world.settle()
    assert rows(world) == before
    await assert_invariants(world)


@pytest.mark.parametrize("records", [1, 3, 500])
async def test_a_service_that_was_away_all_the_time_comes_to_the_same_rows(records: int) -> None:
    world = await a_full_life(ANN)
    before = rows(world), await ids(world)
    for service in (checkout, billing):
        await world.lose(service, records=records)
    await world.settle()
    assert (rows(world), await ids(world)) == before


async def test_checkout_reading_what_billing_said_before_its_own_commands_comes_to_the_same_debt() -> None:
    world = await a_full_life(ANN)
    await world.lose(checkout)
    lane = home_partition("ann", PARTITIONS)
    ahead = await world.log.read("billing.events", lane, 0, 1_000_000)
    await world.members["checkout"].worker.handle(ahead)
    assert world.rows(checkout, Account) == []
    await world.settle()
    (account,) = world.rows(checkout, Account)
    assert (account.held, account.used, account.open_orders) == (8000, 0, 1)
    assert [(one.order_id, one.status) for one in world.rows(checkout, Order)] == [
        ("o-1", OrderStatus.COMPLETED),
        ("o-2", OrderStatus.ACCEPTED),
        ("o-3", OrderStatus.CANCELLED),
        ("o-4", OrderStatus.AUTHORIZED),
    ]
    standing = await world.members["checkout"].database.standing()
    assert (standing.waiting, standing.parked_keys) == (0, 0)


async def test_a_fact_of_an_order_nobody_placed_waits_a_week_and_then_is_a_dead_letter() -> None:
    world = await open_shops(ANN)
    await world.tell(sample_of(PlanOpened, buyer_id="ann", order_id="o-9"))
    standing = await world.members["checkout"].database.standing()
    assert standing.waiting == 1
    await world.tell(ANN.order("o-1", 100, TEN))
    await world.advance(to=local("03-08 10:01"))
    (notice,) = [told.message for told in await world.told("checkout.dlq")]
    assert isinstance(notice, DeadLettered)
    assert notice.reason == "ROW_NEVER_CAME"
    assert world.rows(checkout, Account)[0].held == 100
