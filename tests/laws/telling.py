"""The demo's stories told on the fleet with its adapters, and what is left of them in the services' tables."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from services.checkout.rules.proof import PaymentProofs
from services.checkout.rules.proof import Purchase as Proven
from shared.contracts.message import Command
from shared.local.servers import Servers
from shared.operations import deployment
from shared.operations.embedded import proof_secret
from shared.operations.remote import Access, RunningSystem
from shared.operations.scene import Prove, Purchase
from shared.operations.sightings import Moment
from shared.operations.stories import STORIES, Check, Teller
from tests.laws.bench import MACHINERY
from tests.laws.replicas import Fleet
from tests.patience import PATIENCE_S

__all__ = ["ADAPTERS", "Telling", "open_telling"]

ADAPTERS = tuple(adapter.name for adapter in deployment.adapters())

BEGINS = (0, 1)
"""Stories begin on a Monday at this hour of UTC, nine o'clock in the tenant's zone: every telling has the same week."""

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
DIGEST = re.compile(r"\b[0-9a-f]{32}\b")
MONTH = re.compile(r'"\d{4}-\d\d"')
VERSIONS = re.compile(r'"policy_versions": \{[^}]*\}')
MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)([T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d(?::\d\d)?))?")


class Telling:
    """A stage for stories on real processes. While some services are off, nobody waits for them."""

    def __init__(self, whole: RunningSystem, fleet: Fleet, prove: Prove) -> None:
        self.whole = whole
        self.fleet = fleet
        self.prove = prove
        self._system = whole
        self.began = datetime.min.replace(tzinfo=UTC)

    def teller(self, mark: str) -> Teller:
        return Teller(self, self.prove, mark)

    async def tell_all(self, mark: str) -> dict[str, list[Check]]:
        """Every story from the next Monday morning on, side by side; what came of each."""
        teller = self.teller(mark)
        await self._begin_on_monday(teller)
        await teller.tell_together(STORIES)
        await self.whole.settled(PATIENCE_S)
        return {story.name: await teller.checks(story) for story in STORIES}

    async def _begin_on_monday(self, teller: Teller) -> None:
        now = await self.now()
        weekday, hour = BEGINS
        monday = (now + timedelta(days=-now.weekday() % 7 + weekday)).replace(hour=hour, minute=0, second=0)
        self.began = monday if monday > now else monday + timedelta(days=7)
        await self.whole.advance(to=self.began - timedelta(hours=1), patience_s=PATIENCE_S)
        await teller.prologue()

    # -------------------------------------------------------------- the stage

    async def now(self) -> datetime:
        return await self._system.now()

    async def tell(self, *commands: Command) -> None:
        for command in commands:
            await self._system.publish(command)
        await self._system.settled(PATIENCE_S)

    async def advance(self, by: timedelta) -> object:
        return await self._system.advance(by, patience_s=PATIENCE_S)

    async def history(self, key: str) -> Sequence[Moment]:
        return await self.whole.history(key)

    @asynccontextmanager
    async def without(self, service: str) -> AsyncIterator[None]:
        """One service is off; the others and their adapters go on, and nobody waits for it."""
        rest = self.whole.access
        rest = replace(
            rest,
            dsns={name: dsn for name, dsn in rest.dsns.items() if name != service},
            readers={name: topics for name, topics in rest.readers.items() if name != service},
        )
        await self.fleet.scale(service, 0)
        async with RunningSystem(rest) as system:
            self._system = system
            yield
        self._system = self.whole
        await self.fleet.scale(service, 1)
        await self.fleet.ready(service)
        await self.whole.settled(PATIENCE_S)

    # -------------------------------------------------------------- what is left

    async def rows_of(self, mark: str) -> dict[str, list[str]]:
        """Every row of the telling's buyers, table by table, told apart from another telling by nothing but its facts.

        Times stand as distances from the beginning; the telling's mark, random ids, and what a date names are blanked.
        """
        found: dict[str, list[str]] = {}
        for service in self.whole.databases:
            for table in await self._tables_of_buyers(service):
                rows = await self._query(
                    service, f"SELECT to_jsonb(t) - 'id' FROM \"{table}\" t WHERE buyer_id LIKE $1", f"demo-%-{mark}"
                )
                found[f"{service}.{table}"] = sorted(self._plain(row, mark) for (row,) in rows)
        return found

    async def _tables_of_buyers(self, service: str) -> list[str]:
        rows = await self._query(
            service,
            "SELECT table_name FROM information_schema.columns JOIN information_schema.tables "
            "USING (table_schema, table_name) WHERE table_schema = current_schema() "
            "AND table_type = 'BASE TABLE' AND column_name = 'buyer_id'",
        )
        return sorted(name for (name,) in rows if name not in MACHINERY)

    async def _query(self, service: str, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        async with self.whole.databases[service].connection("auditing") as connection:
            return [tuple(row) for row in await connection.fetch(statement, *values)]

    def _plain(self, row: str, mark: str) -> str:
        text = row.replace(f"-{mark}", "")
        for random_or_dated in (UUID, DIGEST, MONTH, VERSIONS):
            text = random_or_dated.sub("#", text)
        return MOMENT.sub(self._distance, text)

    def _distance(self, found: re.Match[str]) -> str:
        day, clock = found.groups()
        if clock is None:
            return f"day {(datetime.fromisoformat(day).date() - self.began.date()).days}"
        moment = datetime.fromisoformat(found.group().replace(" ", "T"))
        return f"{(moment - self.began).total_seconds():.0f} s"


@asynccontextmanager
async def open_telling(access: Access, fleet: Fleet, servers: Servers) -> AsyncIterator[Telling]:
    """The house with its adapters running, and without them afterwards."""
    readers = {adapter.name: adapter.topics for adapter in deployment.adapters()}
    house = {service.name for service in deployment.services()}
    whole = replace(
        access,
        dsns={name: dsn for name, dsn in access.dsns.items() if name in house},
        readers={name: topics for name, topics in access.readers.items() if name in house},
        adapters=readers,
    )
    proofs = PaymentProofs(proof_secret(servers.data_dir))

    def prove(purchase: Purchase, now: datetime) -> str:
        proven = Proven(purchase.buyer_id, purchase.order_id, purchase.amount, purchase.currency, purchase.device_ref)
        return proofs.sign(proven, now)

    outsiders = [name for name in fleet.programs if name not in access.dsns]
    async with AsyncExitStack() as stack:
        for name in outsiders:
            stack.push_async_callback(fleet.scale, name, 0)
            await fleet.scale(name, 1)
        await fleet.ready(*outsiders)
        yield Telling(await stack.enter_async_context(RunningSystem(whole)), fleet, prove)
