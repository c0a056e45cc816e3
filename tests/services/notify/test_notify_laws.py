"""The laws of the engine with notify's handlers in it: read twice, read late, read in any portions (laws 1, 4, 5)."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from zlib import crc32

from hypothesis import given, settings
from hypothesis import strategies as st
from notify_story import BUYER, authorized, cured, due_soon, example, extended, fee, local, overdue

from services.notify.service import notify
from services.notify.state import ContactPolicy, Mailbox, Notice, NoticeStatus, Subject
from shared.contracts.billing import BillChargedOff, BillPaid, BillPaused, BillResumed
from shared.contracts.checkout import MerchantPolicyPublished
from shared.contracts.envelope import Envelope
from shared.contracts.message import Command
from shared.contracts.notify import DeliveryRequested, NoticeSent, ReportNoticeDelivery, SetPreferences
from shared.contracts.policy import PLATFORM
from shared.integration.adapter import Adapter
from shared.testing.world import World

ROWS = (Mailbox, Subject, Notice, ContactPolicy)
WORDS: tuple[tuple[str, ...], ...] = (
    (),
    ("ACCEPTED",),
    ("ACCEPTED", "DELIVERED"),
    ("FAILED_SOFT",),
    ("FAILED_SOFT", "ACCEPTED"),
    ("BOUNCED",),
    ("ACCEPTED", "BOUNCED"),
    ("DELIVERED", "READ"),
)

bills = st.sampled_from(["b:o-1", "b:o-2", "b:o-3", "b:o-4", "b:o-5"])
versions = st.integers(1, 2)
steps = st.one_of(
    st.builds(authorized, st.sampled_from(["o-1", "o-2"])),
    st.builds(lambda bill, version: due_soon(bill, due_version=version), bills, versions),
    st.builds(lambda bill, version, dpd: overdue(bill, dpd, due_version=version), bills, versions, st.integers(1, 3)),
    st.builds(cured, bills),
    st.builds(lambda bill: example(BillPaid, bill_id=bill), bills),
    st.builds(lambda bill: example(BillPaused, bill_id=bill, amount_due=0), bills),
    st.builds(lambda bill: example(BillResumed, bill_id=bill), bills),
    st.builds(fee, bills),
    st.builds(extended, bills),
    st.builds(lambda bill: example(BillChargedOff, bill_id=bill), bills),
    st.builds(
        lambda contacts: SetPreferences(buyer_id=BUYER, contacts=contacts),
        st.sampled_from([{}, {"SMS": "contact-sms"}, {"SMS": "contact-sms", "EMAIL": "contact-email"}]),
    ),
    st.integers(1, 16 * 60).map(lambda minutes: timedelta(minutes=minutes)),
    st.integers(1, 16 * 60).map(lambda minutes: timedelta(minutes=minutes)),
)
lives = st.lists(steps, max_size=20)
affordable = settings(max_examples=40, deadline=None)


def gateway() -> Adapter:
    """A channel adapter whose words depend on the delivery alone."""
    adapter = Adapter("gateway", source="/world/gateway")

    @adapter.on(DeliveryRequested)
    async def answer(request: DeliveryRequested, envelope: Envelope) -> AsyncIterator[Command]:
        for outcome in WORDS[crc32(request.delivery_id.encode()) % len(WORDS)]:
            yield ReportNoticeDelivery(
                buyer_id=request.buyer_id,
                notice_id=request.notice_id,
                delivery_id=request.delivery_id,
                outcome=outcome,
                occurred_at=envelope.time,
            )

    return adapter


async def live(life: list[Any], *, records: int = 500) -> World:
    """A world in which the platform has published stricter hours for later, and all this has happened."""
    world = World(notify, start=local("03-16 07:00"), adapters=[gateway()], records=records)
    await world.start()
    rules = {"opens_at": "09:00", "closes_at": "21:00", "debt_per_day": 2}
    await world.publish(
        MerchantPolicyPublished.model_validate(
            {"merchant_id": PLATFORM, "version": 1, "effective_from": local("03-18 00:00"), "contact": rules}
        )
    )
    await world.publish(SetPreferences(buyer_id=BUYER, contacts={"SMS": "contact-sms", "EMAIL": "contact-email"}))
    await world.settle()
    for step in life:
        if isinstance(step, timedelta):
            await world.advance(step)
        else:
            await world.tell(step)
    return world


def rows(world: World) -> dict[str, list[Any]]:
    return {kind.__name__: list(world.rows(notify, kind)) for kind in ROWS}


async def told(world: World) -> list[tuple[str, str]]:
    """Every event of notify by its id, in the order in which they were first told."""
    firsts: dict[str, str] = {}
    for one in await world.told("notify.events"):
        firsts.setdefault(one.envelope.id, one.envelope.type)
    return list(firsts.items())


async def nothing_failed(world: World) -> None:
    assert await world.members["notify"].database.dead_letters(10) == []


@affordable
@given(lives)
def test_law_4_everything_read_again_by_a_service_that_forgot_its_inbox_changes_nothing(life: list[Any]) -> None:
    async def compare() -> None:
        world = await live(life)
        before = rows(world), await told(world)
        member = world.members["notify"]
        member.database.empty_inbox()
        member.database.empty_positions()
        await member.restart()
        await world.settle()
        assert (rows(world), await told(world)) == before
        await nothing_failed(world)

    asyncio.run(compare())


@affordable
@given(lives, st.sampled_from((1, 3, 500)))
def test_law_5_who_reads_everything_late_comes_to_the_same_rows_and_events(life: list[Any], records: int) -> None:
    async def compare() -> None:
        world = await live(life)
        before = rows(world), await told(world)
        await world.lose(notify, records=records)
        await world.settle()
        assert (rows(world), await told(world)) == before
        await nothing_failed(world)

    asyncio.run(compare())


async def test_a_week_in_a_world_with_channels_that_answer() -> None:
    life = [due_soon(), timedelta(hours=30), overdue(), timedelta(hours=1), authorized(), timedelta(days=8)]
    world = await live(life)
    await nothing_failed(world)
    notices = world.rows(notify, Notice)
    assert sorted(one.kind for one in notices) == ["BILL_DUE_SOON", "ORDER_STATUS", "OVERDUE"]
    assert {one.status for one in notices} <= {NoticeStatus.SENT, NoticeStatus.DELIVERED}
    assert {one.folder for one in notices} == {"FILED"}
    (evidence, *_) = [one for one in await world.events(NoticeSent) if one.kind == "BILL_DUE_SOON"]
    assert (evidence.bill_id, evidence.due_version) == ("b:o-1001", 1)
