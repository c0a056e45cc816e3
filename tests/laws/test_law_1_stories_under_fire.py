"""Law 1 over four services and their adapters: whoever is killed while a story is told, its rows are the same."""

from __future__ import annotations

import asyncio
import random
import signal

from shared.local.servers import Servers
from shared.operations import deployment
from tests.laws.bench import Bench
from tests.laws.telling import ADAPTERS, open_telling

SERVICES = tuple(service.name for service in deployment.services())
ROUNDS = 2

UNTOLD = {"billing.extension", "billing.reversal"}
"""Tables of which no story told here says anything."""


async def test_every_service_and_adapter_is_killed_during_the_stories_and_the_rows_are_the_same(
    bench: Bench, servers: Servers
) -> None:
    async with open_telling(bench.access, bench.fleet, servers) as telling:
        await telling.tell_all("calm")
        expected = await telling.rows_of("calm")
        fire = asyncio.create_task(_kill_everybody(bench))
        outcomes = await telling.tell_all("fire")
        await fire  # every victim was hit while the stories were told, or the calm after them was
        for name in (*SERVICES, *ADAPTERS):
            assert bench.fleet.ends(name).count(-signal.SIGKILL) >= ROUNDS, name
        assert [check for checks in outcomes.values() for check in checks if not check.holds] == []
        assert {table for table, rows in expected.items() if not rows} == UNTOLD
        assert await telling.rows_of("fire") == expected


async def _kill_everybody(bench: Bench) -> None:
    dice = random.Random(11)
    victims = [*SERVICES, *ADAPTERS] * ROUNDS
    dice.shuffle(victims)
    for name in victims:
        await asyncio.sleep(dice.uniform(0.5, 2.0))
        await bench.fleet.ready(name)
        bench.fleet.kill(name)
