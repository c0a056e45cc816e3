"""Whether a buyer with many open orders costs more than one with a single order: the billing hop, and repayments.

Two crowds of buyers have servers of their own and take turns. Billing itself handles what leads up to a measurement;
then the database is kept, and before each round taken back to that moment: the last order of each buyer, or the report
of each buyer's repayment, is read and handled once more.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice, product
from pathlib import Path
from typing import Any, Self

from benchmarks import where
from benchmarks.billing_hop import Round, summed_up
from benchmarks.effects import UNBALANCED, Unequal
from benchmarks.machine import core_speed
from benchmarks.orders import EVENTS_PER_ORDER, accepted_orders
from benchmarks.repayments import EVENTS_PER_REPAYMENT, check, reports, requests
from benchmarks.stage import Result, Stage
from shared.engine.ports import Outgoing

__all__ = ["FEW", "MANY", "Crowd", "Size", "allocated", "compared", "measured"]

FEW, MANY = 1, 30
"""Open orders of a buyer: the fewest, and the most that checkout lets one have (C-R8)."""

Note = Callable[[str, Round], None]


@dataclass(frozen=True, slots=True)
class Size:
    """How many buyers are read to warm up, how many are measured, how many come after them; records in a turn."""

    warm: int
    count: int
    rest: int
    turn: int

    @classmethod
    def of(cls, count: int, turn: int = 500) -> Self:
        """Measure ``count``, of which a turn takes an eighth at most, with some before and a turn after them."""
        turn = min(turn, count // 8)
        return cls(max(turn, count // 8), count, turn, turn)

    @property
    def buyers(self) -> int:
        return self.warm + self.count + self.rest


class Crowd:
    """Buyers with so many open orders each, on a stage of their own."""

    def __init__(self, directory: Path, open_orders: int, size: Size) -> None:
        self.open_orders = open_orders
        self.stage = Stage(directory)
        self._directory = directory
        self._size = size
        self._events_each = EVENTS_PER_ORDER
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Every buyer has all open orders but the last, which stands on the topic."""
        buyers, count = self._size.buyers, self.open_orders * self._size.buyers
        orders = accepted_orders(count, seed=self.open_orders, until=datetime.now(UTC), per_buyer=self.open_orders)
        async with AsyncExitStack() as opening:
            await opening.enter_async_context(self.stage)
            await self._lead_up(islice(orders, count - buyers), EVENTS_PER_ORDER * (count - buyers))
            await self.stage.append(orders)
            self._open = opening.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._open.aclose()

    async def billing_hop(self) -> Result:
        """The last order of each buyer is accepted."""
        result = await self._read()
        await self._check_orders()
        return result

    async def ask_for_repayments(self) -> None:
        """All orders are accepted, and every buyer has asked to pay one; the reports stand on the topic."""
        asked = await requests(self.stage.database)
        await self._lead_up(asked, len(asked))
        await self.stage.append(await reports(self.stage.database))
        self._events_each = EVENTS_PER_REPAYMENT

    async def repayments(self) -> Result:
        """The repayment of each buyer succeeds."""
        result = await self._read()
        await check(self.stage.database, await self.stage.said(), self._size.buyers)
        return result

    async def shares(self) -> dict[str, float]:
        """Where the CPU of the service goes while it reads what was measured last."""

        async def read(argv: Sequence[str], env: Mapping[str, str]) -> None:
            await self._read(argv, env)

        return await where.shares(self.stage.billing.argv, self._directory / "samples.json", read)

    async def _lead_up(self, messages: Iterable[Outgoing], events: int) -> None:
        """Billing handles the messages, saying so many events; the database is kept as it is then."""
        await self.stage.append(messages)
        if events:
            await self.stage.handled(events)
        await self.stage.keep()

    async def _read(self, argv: Sequence[str] | None = None, env: Mapping[str, str] | None = None) -> Result:
        """From the moment that was kept."""
        size = self._size
        await self.stage.go_back()
        return await self.stage.timed(
            argv or self.stage.billing.argv,
            warm=size.warm,
            count=size.count,
            rest=size.rest,
            each=self._events_each,
            env={"HOUFU_TURN_RECORDS": str(size.turn), **(env or {})},
        )

    async def _check_orders(self) -> None:
        """:class:`Unequal` unless every order has a plan, a bill that is issued, and its events."""
        orders, database = self.open_orders * self._size.buyers, self.stage.database
        found = {
            "plans": await database.fetchval("SELECT count(*) FROM plan WHERE status = 'OPEN'"),
            "bills": await database.fetchval("SELECT count(*) FROM bill WHERE status = 'ISSUED'"),
            "events": len(await self.stage.said()),
        }
        wanted = {"plans": orders, "bills": orders, "events": EVENTS_PER_ORDER * self._size.buyers}
        unbalanced = await database.fetchval(UNBALANCED)
        if found != wanted or unbalanced:
            raise Unequal(f"{found} instead of {wanted}, out of balance: {unbalanced}")


PATHS: Mapping[str, Callable[[Crowd], Awaitable[Result]]] = {
    "billing_hop": Crowd.billing_hop,
    "repayments": Crowd.repayments,
}


async def measured(directory: Path, sizes: Mapping[int, Size], rounds: int, note: Note) -> dict[str, Any]:
    """Both paths for every number of open orders, in rounds that take turns; what was found, summed up.

    ``note`` is told of each round as it ends, under ``<path>_with_<open orders>``.
    """
    found: defaultdict[str, list[Round]] = defaultdict(list)

    async def take_turns(path: str) -> None:
        for number, crowd in product(range(rounds), crowds):
            name, speed = f"{path}_with_{crowd.open_orders}", core_speed()
            found[name].append(Round(number, await PATHS[path](crowd), speed))
            note(name, found[name][-1])

    async with AsyncExitStack() as present:
        crowds = [
            await present.enter_async_context(Crowd(directory / f"open-{count}", count, size))
            for count, size in sizes.items()
        ]
        await take_turns("billing_hop")
        for crowd in crowds:
            await crowd.ask_for_repayments()
        await take_turns("repayments")
        shares = {f"repayments_with_{crowd.open_orders}": await crowd.shares() for crowd in crowds}
    return compared(found) | {"shares": shares, "buyers": {count: size.count for count, size in sizes.items()}}


def compared(found: Mapping[str, Sequence[Round]]) -> dict[str, Any]:
    """The medians, and as ``ratios`` what a buyer with many open orders costs more: in time, and in CPU.

    Where one of the two was disturbed in all rounds there is no ratio.
    """
    summed = summed_up(found)
    ratios = {}
    for path in PATHS:
        few, many = f"{path}_with_{FEW}", f"{path}_with_{MANY}"
        if few in summed and many in summed:
            cpu = [sum(summed["cpu_us"][one].values()) for one in (few, many)]
            ratios[path] = {"time": round(summed[few] / summed[many], 2), "cpu": round(cpu[1] / cpu[0], 2)}
    return summed | {"ratios": ratios}


def allocated(summed: Mapping[str, Any]) -> dict[str, Any]:
    """Out of what was summed up, in the shape of the billing hop: the repayments of buyers with a single open order.

    Empty where they were disturbed in all rounds.
    """
    name = f"repayments_with_{FEW}"
    if name not in summed:
        return {}
    return {"houfu": summed[name], **{part: {"houfu": summed[part][name]} for part in ("cpu_us", "memory_mb")}}
