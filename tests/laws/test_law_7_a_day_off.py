"""Law 7: a service that is off for a day catches up without help; the others go on without it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AsyncExitStack
from datetime import timedelta

from shared.contracts.billing import SetAutopay
from shared.contracts.checkout import ApplyForAccount
from shared.contracts.message import Command
from shared.contracts.notify import SetPreferences
from shared.contracts.refunds import WithdrawReturn
from shared.local.servers import Servers
from shared.operations import deployment
from tests.laws.bench import Bench
from tests.laws.telling import Telling, open_telling

DAY = timedelta(days=1)
FIRST = timedelta(days=4)
"""From the day of the first return on, one service after the other has its day off."""

SERVICES = tuple(service.name for service in deployment.services())


async def test_each_service_is_off_for_a_day_while_the_stories_go_on(bench: Bench, servers: Servers) -> None:
    async with open_telling(bench.access, bench.fleet, servers) as telling:
        days_off = DaysOff(telling, bench)
        outcomes = await days_off.tell_all("off")
        assert [check for checks in outcomes.values() for check in checks if not check.holds] == []
        assert tuple(days_off.said) == SERVICES
        for off, said in days_off.said.items():
            assert said.pop(off) == 0
            assert min(said.values()) > 0, f"somebody waited for {off}"


class DaysOff(Telling):
    """A stage on which each service in turn is off for a day."""

    def __init__(self, telling: Telling, bench: Bench) -> None:
        super().__init__(telling.whole, telling.fleet, telling.prove)
        self.said: dict[str, dict[str, int]] = {}
        """For each day off, how many events each service published on it."""
        self._bench = bench
        self._turns: Iterator[str] = iter(SERVICES)
        self._changes = 0
        self._absence = AsyncExitStack()

    async def advance(self, by: timedelta) -> object:
        target = await self.now() + by
        while self._changes <= len(SERVICES) and (change := self.began + FIRST + self._changes * DAY) <= target:
            await super().advance(change - await self.now())
            await self._absence.aclose()
            self._changes += 1
            if (service := next(self._turns, None)) is not None:
                await self._send_home(service)
        return await super().advance(target - await self.now())

    async def _send_home(self, service: str) -> None:
        await self._absence.enter_async_context(self.without(service))
        before = await self._published()
        await self.tell(*(one for one in requests_of(f"passer-by-{service}") if service != one.SERVICE))

        async def note() -> None:
            after = await self._published()
            self.said[service] = {name: after[name] - before[name] for name in SERVICES}

        self._absence.push_async_callback(note)  # before the service is back

    async def _published(self) -> dict[str, int]:
        return {name: len(await self._bench.records(f"{name}.events")) for name in SERVICES}


def requests_of(buyer_id: str) -> Iterator[Command]:
    """Something each service has to answer, of a buyer nobody knows."""
    case = {"buyer_id": buyer_id, "order_id": "o-1", "merchant_id": "m-1", "case_id": "c-1"}
    yield ApplyForAccount(buyer_id=buyer_id, currency="CNY", platform_account_ref="acc", agreement_version="2027-01")
    yield SetAutopay(buyer_id=buyer_id, enabled=True)
    yield WithdrawReturn(**case)
    yield SetPreferences(buyer_id=buyer_id, locale="en")
