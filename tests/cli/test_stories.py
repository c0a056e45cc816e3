"""The demo's stories, told in memory: the same steps and the same expectations as on a running system."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.checkout.rules.proof import Purchase as Proven
from services.notify.adapters.smtp import Mail, SmtpSettings, send_mail
from shared.contracts.billing import BillPaid
from shared.contracts.message import Command
from shared.contracts.notify import DeliveryRequested
from shared.integration.adapter import Adapter
from shared.integration.resolver import SandboxResolver
from shared.local.mail import mails, serve_mail
from shared.operations.scene import Purchase
from shared.operations.sightings import Moment
from shared.operations.stories import STATEMENT_STORIES, STORIES, Check, Expect, Story, Teller
from shared.testing.world import World
from tests.journeys.town import PROOFS, SERVICES, furnished, provider_of

MORNING = datetime(2027, 3, 1, 1, 0, tzinfo=UTC)
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
    with furnished():
        yield


def prove(purchase: Purchase, now: datetime) -> str:
    proven = Proven(purchase.buyer_id, purchase.order_id, purchase.amount, purchase.currency, purchase.device_ref)
    return PROOFS.sign(proven, now)


@pytest.fixture
async def postman(tmp_path: Path) -> AsyncIterator[Adapter]:
    """The mail adapter as it ships, sending to a real server that keeps what it gets in ``tmp_path``."""
    async with serve_mail(tmp_path) as port:
        settings = SmtpSettings(
            host="127.0.0.1", port=port, security="none", sender="notices@houfu.invalid", contacts="sandbox:"
        )
        adapter = Adapter("smtp", source="/smtp")
        adapter.on(DeliveryRequested, channel="EMAIL")(send_mail)
        yield adapter.provide(Mail(settings, SandboxResolver(), "Asia/Shanghai"))


async def a_stage(postman: Adapter) -> WorldStage:
    world = World(*SERVICES, start=MORNING)
    return WorldStage(await world.admit(provider_of(world.log)).admit(postman).start())


@pytest.mark.parametrize("story", [*STORIES, *STATEMENT_STORIES], ids=lambda story: story.name)
async def test_the_story_ends_as_expected_and_its_buyer_has_mail(
    story: Story, postman: Adapter, tmp_path: Path
) -> None:
    teller = Teller(await a_stage(postman), prove, mark="t")
    await teller.prologue()
    failed = [check for check in await teller.tell(story) if not check.holds]
    assert failed == [], [moment.message for moment in await teller.history(story)]
    assert {mail.recipient for mail in mails(tmp_path)} == {f"{teller.buyer_of(story.name)}@sandbox.invalid"}


async def test_stories_told_side_by_side_end_as_they_do_one_by_one(postman: Adapter) -> None:
    teller = Teller(await a_stage(postman), prove, mark="t")
    await teller.prologue()
    await teller.tell_together(STORIES)
    assert [check for story in STORIES for check in await teller.checks(story) if not check.holds] == []


def test_an_expectation_counts_the_events_whose_fields_have_its_values() -> None:
    history = [Moment(MORNING, PAID), Moment(MORNING, PAID)]
    assert Expect("paid", BillPaid, {"max_dpd": 0}, times=2).check(history).holds
    assert Expect("paid late", BillPaid, {"max_dpd": 1}).check(history) == Check("paid late", 1, 0)
    assert not Expect("never paid", BillPaid, times=0).check(history).holds
