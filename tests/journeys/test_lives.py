"""Random lives of two buyers: whatever they do and the provider says, the books agree; turn borders do not matter."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.contracts.message import Command
from shared.testing.world import World
from tests.journeys.invariants import assert_invariants
from tests.journeys.state import ids, rows, write_again
from tests.journeys.town import EVENTS, SERVICES, Buyer, open_shops

BUYERS = (Buyer("ann"), Buyer("bob", "tok_soft_once"))
TOKENS = ("tok_good", "tok_soft", "tok_soft_once", "tok_hard", "tok_pending", "tok_silent")


@dataclass(frozen=True)
class Deed:
    """Something one buyer, the shop or the carrier does about one order; or, without a ``verb``, time that passes."""

    verb: str = ""
    buyer: Buyer = BUYERS[0]
    order_id: str = "o-1"
    amount: int = 0
    token: str = TOKENS[0]
    hours: int = 0
    settled: bool = True
    """Whether everything comes to rest before the next deed."""

    def commands(self, now: datetime) -> Sequence[Command]:
        return DEEDS[self.verb](self, now) if self.verb else ()


DEEDS: Mapping[str, Callable[[Deed, datetime], Sequence[Command]]] = {
    "buy": lambda deed, now: deed.buyer.purchase(deed.order_id, deed.amount, now),
    "order": lambda deed, now: (deed.buyer.order(deed.order_id, deed.amount, now),),
    "ship": lambda deed, now: (deed.buyer.shipment(deed.order_id, now),),
    "deliver": lambda deed, now: (deed.buyer.delivery(deed.order_id, now),),
    "refuse": lambda deed, now: (deed.buyer.delivery(deed.order_id, now, "REFUSED"),),
    "lose": lambda deed, now: (deed.buyer.delivery(deed.order_id, now, "LOST"),),
    "confirm": lambda deed, _: (deed.buyer.confirmation(deed.order_id),),
    "cancel": lambda deed, _: (deed.buyer.cancellation(deed.order_id),),
    "repay": lambda deed, _: (deed.buyer.repayment(f"pay-{deed.amount}", deed.order_id, deed.amount, deed.token),),
    "bind": lambda deed, _: (deed.buyer.card(deed.token),),
    "return": lambda deed, _: (deed.buyer.return_request(deed.order_id),),
    "agree": lambda deed, _: (deed.buyer.return_review(deed.order_id, "APPROVE"),),
    "reject": lambda deed, _: (deed.buyer.return_review(deed.order_id, "REJECT"),),
    "post": lambda deed, now: (deed.buyer.return_shipment(deed.order_id, now),),
    "receive": lambda deed, now: (deed.buyer.return_receipt(deed.order_id, now),),
    "assess": lambda deed, _: (deed.buyer.assessment(deed.order_id, "B"),),
    "dispute": lambda deed, _: (deed.buyer.refund_review(deed.order_id, "DISPUTE"),),
    "withdraw": lambda deed, _: (deed.buyer.withdrawal(deed.order_id),),
    "give back": lambda deed, now: deed.buyer.given_back(deed.order_id, now),
    "give": lambda deed, _: (deed.buyer.goodwill(deed.order_id, deed.amount),),
}

amounts = st.sampled_from((1, 4_000, 12_000, 25_769, 90_000, 150_000, 250_000))
verbs = st.sampled_from((*DEEDS, "buy", "buy", "order", "repay", "repay", "return", "give back"))
deeds = st.builds(
    Deed,
    verb=verbs,
    buyer=st.sampled_from(BUYERS),
    order_id=st.sampled_from(("o-1", "o-2", "o-3", "o-4")),
    amount=amounts,
    token=st.sampled_from(TOKENS),
    settled=st.booleans(),
)
pauses = st.sampled_from((1, 23, 24, 100, 170, 400)).map(lambda hours: Deed(hours=hours))
lives = st.lists(st.one_of(deeds, deeds, deeds, pauses), min_size=4, max_size=25)

affordable = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


async def live(life: Sequence[Deed], *, records: int) -> World:
    """Let everything happen, and everything that follows from it within two months."""
    world = await open_shops(*BUYERS, records=records)
    for deed in life:
        if deed.hours:
            await world.advance(timedelta(hours=deed.hours))
        for command in deed.commands(await world.clock.now()):
            await world.publish(command)
        if deed.settled:
            await world.settle()
    await world.advance(timedelta(days=60))
    return world


@affordable
@given(lives, st.sampled_from((1, 2, 3, 7, 500)))
def test_the_books_agree_after_every_life(life: list[Deed], records: int) -> None:
    """I-1, I-2, I-3, I-4, I-5, I-7, I-9, I-11: over the rows and topics of all services, when all is read."""

    async def check() -> None:
        await assert_invariants(await live(life, records=records))

    asyncio.run(check())


@affordable
@given(lives)
def test_law_5_small_turns_and_large_ones_come_to_the_same_rows_and_events(life: list[Deed]) -> None:
    step_by_step = [replace(deed, settled=True) for deed in life]

    async def compare() -> None:
        small, large = await live(step_by_step, records=1), await live(step_by_step, records=500)
        assert rows(small) == rows(large)
        assert await ids(small) == await ids(large)

    asyncio.run(compare())


@affordable
@given(lives, st.sampled_from((1, 3, 500)))
def test_law_5_who_reads_everything_late_comes_to_the_same_rows_and_events(life: list[Deed], records: int) -> None:
    async def compare() -> None:
        world = await live(life, records=7)
        before = rows(world), await ids(world)
        for service in SERVICES:
            await world.lose(service, records=records)
        await world.settle()
        assert (rows(world), await ids(world)) == before

    asyncio.run(compare())


@affordable
@given(lives, st.sampled_from((1, 500)))
def test_law_4_events_replayed_into_services_that_forgot_them_change_nothing(life: list[Deed], records: int) -> None:
    async def compare() -> None:
        world = await live(life, records=records)
        before = rows(world)
        for member in world.members.values():
            member.database.empty_inbox()
        await write_again(world, *EVENTS)
        await world.settle()
        assert rows(world) == before

    asyncio.run(compare())
