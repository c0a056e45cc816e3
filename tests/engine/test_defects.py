"""Defects the engine once had, each as the smallest test that showed it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime

from shared.contracts.envelope import Envelope
from shared.contracts.fields import ChosenId
from shared.contracts.message import Event
from shared.engine.service import Service, Yielded
from shared.kernel.partition import home_partition
from shared.testing.world import PARTITIONS, World
from tests.engine.till import (
    OpenAccount,
    ParcelDone,
    ParcelSent,
    ParcelWeighed,
    SendParcel,
    SetTariff,
    TillRejected,
    till,
)

NOON = datetime(2027, 3, 1, 4, tzinfo=UTC)
SAME = "11111111-1111-4111-8111-111111111111"
ANN = OpenAccount(buyer_id="ann", currency="CNY", balance=1000)


def sending(parcel_id: str, buyer_id: str = "ann") -> SendParcel:
    return SendParcel(buyer_id=buyer_id, parcel_id=parcel_id, price=100)


async def in_turns_of(records: int, tell: Callable[[World], Awaitable[None]]) -> World:
    world = await World(till, start=NOON, records=records).start()
    await tell(world)
    await world.settle()
    return world


async def types(world: World) -> list[str]:
    return [one.envelope.type.split(".")[2] for one in await world.told("till.events")]


async def test_a_turn_over_several_lanes_sees_another_owners_row_that_was_written_before() -> None:
    """The platform set its fee first; a buyer of a lower lane read in the same turn must be charged it."""
    lane = home_partition("platform", PARTITIONS)
    buyer = next(f"b{n}" for n in range(100) if home_partition(f"b{n}", PARTITIONS) < lane)

    async def tell(world: World) -> None:
        await world.publish(SetTariff(merchant_id="platform", fee=7))
        await world.publish(OpenAccount(buyer_id=buyer, currency="CNY", balance=1000))
        await world.publish(sending("p1", buyer))

    fees = [[one.fee for one in await (await in_turns_of(n, tell)).events(ParcelSent)] for n in (1, 500)]
    assert fees == [[7], [7]]


async def test_law_2_the_answer_to_a_reused_id_leaves_in_its_place() -> None:
    async def tell(world: World) -> None:
        await world.publish(ANN)
        await world.publish(sending("p1"), id=SAME)
        await world.publish(sending("p2"), id=SAME)

    small, large = [await types(await in_turns_of(n, tell)) for n in (1, 500)]
    assert small == ["account_opened", "parcel_sent", "till_rejected"]
    assert large == small


async def test_law_2_the_answer_to_a_malformed_command_leaves_in_its_place() -> None:
    async def tell(world: World) -> None:
        await world.publish(ANN)
        envelope = Envelope(SAME, SendParcel.TYPE, "/shop", NOON, "p1", "ann", SAME)
        world.log.append("till.commands", home_partition("ann", PARTITIONS), b"ann", b"{", envelope.headers())
        await world.publish(sending("p2"))

    small, large = [await types(await in_turns_of(n, tell)) for n in (1, 500)]
    assert small == ["account_opened", "till_rejected", "parcel_sent"]
    assert large == small


class PostageSettled(Event, service="franking", subject="parcel_id"):
    buyer_id: ChosenId
    parcel_id: ChosenId


franking = Service("franking", rejected=TillRejected, emits=(PostageSettled,))


@franking.on(ParcelWeighed)
def settle_postage(weighed: ParcelWeighed) -> Iterator[Yielded]:
    yield PostageSettled(buyer_id=weighed.buyer_id, parcel_id=weighed.parcel_id)


async def test_law_1_two_services_that_answer_one_event_never_share_an_id() -> None:
    """Whoever reads both would take the second for a repetition of the first, and lose it."""
    world = await World(till, franking, start=NOON).start()
    await world.tell(ANN, sending("p1"), ParcelWeighed(buyer_id="ann", parcel_id="p1", weight=3))
    answers = [one for one in await world.told() if isinstance(one.message, ParcelDone | PostageSettled)]
    assert len(answers) == 2
    assert len({one.envelope.id for one in answers}) == 2
    assert len({one.envelope.causation_id for one in answers}) == 1
