"""The demo's stories, told in memory: the same steps and the same expectations as on a running system."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import pytest

import services.billing.handlers
import services.checkout.handlers  # noqa: F401 - importing them registers them
from services.billing.service import billing
from services.checkout.rules.proof import PaymentProofs
from services.checkout.rules.proof import Purchase as Proven
from services.checkout.service import checkout
from shared.contracts.billing import BillPaid, CollectionRequested
from shared.contracts.message import Command
from shared.integration.adapter import Adapter
from shared.integration.sandbox import collect
from shared.kernel.calendar import Calendar
from shared.operations.sightings import Moment
from shared.operations.stories import STORIES, Check, Expect, Purchase, Story, Teller
from shared.testing.world import World

MORNING = datetime(2027, 3, 1, 1, 0, tzinfo=UTC)
CALENDAR = Calendar("Asia/Shanghai", "CN-WEEKENDS")
PROOFS = PaymentProofs("a secret of the tests, long enough to sign")
PAID = BillPaid.model_validate(
    {"buyer_id": "b", "bill_id": "b:o", "paid_on": MORNING.date(), "due_on": MORNING.date(), "max_dpd": 0}
)


class WorldStage:
    """A world in memory as a stage."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def now(self) -> datetime:
        return await self._world.clock.now()

    async def tell(self, *commands: Command) -> None:
        await self._world.tell(*commands)

    async def advance(self, by: timedelta) -> None:
        await self._world.advance(by)

    async def history(self, key: str) -> Sequence[Moment]:
        told = await self._world.told()
        return [Moment(one.envelope.time, one.message) for one in told if one.envelope.key == key]


@pytest.fixture(autouse=True)
def constants() -> Iterator[None]:
    before = {service: dict(service.resources) for service in (checkout, billing)}
    checkout.provide(PROOFS, CALENDAR)
    billing.provide(CALENDAR)
    yield
    for service, resources in before.items():
        service.resources.clear()
        service.resources.update(resources)


def prove(purchase: Purchase, now: datetime) -> str:
    proven = Proven(purchase.buyer_id, purchase.order_id, purchase.amount, purchase.currency, purchase.device_ref)
    return PROOFS.sign(proven, now)


async def a_stage() -> WorldStage:
    provider = Adapter("sandbox-provider", source="/provider")
    provider.on(CollectionRequested)(collect)
    return WorldStage(await World(checkout, billing, start=MORNING, adapters=[provider]).start())


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
async def test_the_story_ends_as_expected(story: Story) -> None:
    teller = Teller(await a_stage(), prove, mark="t")
    await teller.prologue()
    failed = [check for check in await teller.tell(story) if not check.holds]
    assert failed == [], [moment.message for moment in await teller.history(story)]


def test_an_expectation_counts_the_events_whose_fields_have_its_values() -> None:
    history = [Moment(MORNING, PAID), Moment(MORNING, PAID)]
    assert Expect("paid", BillPaid, {"max_dpd": 0}, times=2).check(history).holds
    assert Expect("paid late", BillPaid, {"max_dpd": 1}).check(history) == Check("paid late", 1, 0)
    assert not Expect("never paid", BillPaid, times=0).check(history).holds
