"""Purchases on their way while something happens, and what must be true of them when it is over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from shared.contracts.message import Command
from tests.laws.bench import Bench
from tests.laws.load import Town
from tests.patience import eventually

__all__ = ["dead_letters", "purchases_under_way"]

CHUNK = 10
"""Commands written at a time."""


@asynccontextmanager
async def purchases_under_way(
    bench: Bench, town: Town, size: int, *, pause_s: float = 0.2
) -> AsyncIterator[Sequence[Command]]:
    """So many new buyers buy while the block runs, which begins when the first are known.

    Afterwards everything has come to rest without help: every order is a debt once, told once, in order.
    """
    dead = await dead_letters(bench)
    purchases = await town.purchases(size)
    flowing = asyncio.create_task(bench.say(*purchases, chunk=CHUNK, pause_s=pause_s))
    try:
        first = purchases[0].key
        await eventually(lambda: bench.query("checkout", "SELECT 1 FROM account WHERE buyer_id = $1", first))
        yield purchases
        ids = await flowing
    finally:
        flowing.cancel()
    await bench.calm()
    await town.assert_exactly_once(ids, purchases)
    assert await dead_letters(bench) == dead


async def dead_letters(bench: Bench) -> dict[str, int]:
    """How many each service has; those of other laws' poison stay."""
    return {name: one.dead_letters for name, one in (await bench.standing()).items()}
