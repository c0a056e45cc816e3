"""A steady load for as long as one cares to watch: memory stays flat, and nothing heaps up in the engine's tables."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from statistics import median

import psutil
import pytest

from tests.laws.bench import Bench
from tests.laws.figures import Figures
from tests.laws.load import Customers, Town
from tests.laws.strength import Strength
from tests.laws.traffic import purchases_under_way
from tests.patience import eventually

ROUND_S = 5.0
"""Between two looks; in each a dozen buyers buy and forty parcels are sent."""

LOADED_MAX_MB = 200
"""What a service may weigh under load."""

GROWTH_MAX_MB_PER_MIN = 6.0
"""Of the second half of the run. A young process still fills its caches (statements, keys' lanes, Python's own pools)
by some megabytes a minute; if it kept every message it reads here, it would be tens of them, and go on."""

SETTLED_MAX_MB_PER_MIN = 1.0
SETTLED_AFTER_S = 300.0
"""From when on a process has filled its caches."""

OUTBOX_MAX_ROWS = 500
"""Rows stand until the lane's next turn: a few for each of twelve lanes and five services."""


@pytest.mark.usefixtures("two_billings")
async def test_memory_stays_flat_and_tables_stay_small(
    bench: Bench, town: Town, strength: Strength, figures: Figures
) -> None:
    resting = weights(bench)
    customers = Customers(bench, 40, "steady")
    await customers.open()
    sampled: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
    outboxes, began = [], time.monotonic()
    while (elapsed_s := time.monotonic() - began) < strength.steady_s:
        async with purchases_under_way(bench, town, 12, pause_s=0.1):
            await asyncio.gather(customers.send(1), asyncio.sleep(ROUND_S))
            outboxes.append(sum(one.outbox_rows for one in (await bench.standing()).values()))
            for name, megabytes in weights(bench).items():
                sampled[name].append((elapsed_s, megabytes))
    await customers.assert_exactly_once()
    later = {name: [one for one in samples if one[0] >= strength.steady_s / 2] for name, samples in sampled.items()}
    slopes = {name: 60 * slope(samples) for name, samples in later.items()}
    heaviest = {name: max(megabytes for _, megabytes in samples) for name, samples in sampled.items()}
    figures.note(
        "steady load",
        seconds=strength.steady_s,
        resting_mb=resting,
        heaviest_mb=heaviest,
        growth_mb_per_min=slopes,
        outbox_rows_max=max(outboxes),
    )
    assert max(heaviest.values()) < LOADED_MAX_MB
    most = SETTLED_MAX_MB_PER_MIN if strength.steady_s / 2 >= SETTLED_AFTER_S else GROWTH_MAX_MB_PER_MIN
    assert {name: found for name, found in slopes.items() if found > most} == {}
    assert max(outboxes) < OUTBOX_MAX_ROWS


async def test_what_the_inbox_has_kept_long_enough_goes(bench: Bench) -> None:
    """The retention is a day here, and what stands in the inbox came three days before the youngest."""
    customers = Customers(bench, 20, "forgotten")
    await customers.open()
    await customers.send(2)
    await bench.settled()
    await bench.query("till", "CREATE TABLE kept AS TABLE inbox")
    await bench.query("till", "UPDATE inbox SET at = at - interval '3 days'")
    await customers.send(1)
    await bench.settled()
    assert await inbox_rows(bench) >= len(customers.sent)
    await bench.fleet.restart("till", HOUFU_INBOX_DAYS="1")
    await eventually(lambda: only_the_youngest(bench, len(customers.buyers)))
    await customers.assert_exactly_once()
    await bench.fleet.scale("till", 0)  # other laws may send again what was sent here
    await bench.query("till", "INSERT INTO inbox SELECT * FROM kept ON CONFLICT DO NOTHING")
    await bench.query("till", "DROP TABLE kept")


async def inbox_rows(bench: Bench) -> int:
    ((rows,),) = await bench.query("till", "SELECT count(*) FROM inbox")
    return int(rows)


async def only_the_youngest(bench: Bench, count: int) -> bool:
    return await inbox_rows(bench) == count


def weights(bench: Bench) -> dict[str, float]:
    """Resident memory of the processes of each service, the heaviest replica's, in megabytes."""
    return {
        name: max(
            psutil.Process(one.process.pid).memory_info().rss / 1e6 for one in bench.fleet.of(name) if one.process
        )
        for name in bench.access.dsns
    }


def slope(samples: list[tuple[float, float]]) -> float:
    """By how much the second grows with the first: the median of all pairs' slopes (Theil, Sen), deaf to outliers."""
    pairs = [(a, b) for n, a in enumerate(samples) for b in samples[n + 1 :]]
    return median((b[1] - a[1]) / (b[0] - a[0]) for a, b in pairs)
