"""The billing hop: an accepted order becomes inbox, locked book, plan, bill, journal, deadlines and two events.

Every contender reads the same orders from the same broker, in rounds that take turns, and saves into the same schema.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any
from uuid import uuid4

from benchmarks.machine import BUSY_SHARE, SPEED_SPREAD, busyness, core_speed
from benchmarks.stage import Result, Stage

__all__ = ["CONTENDERS", "Contender", "Unequal", "rounds", "summed_up"]


class Unequal(Exception):
    """A contender did not do the same work; the text says what differs."""


@dataclass(frozen=True, slots=True)
class Contender:
    """Who does the work, in turns of ``batch`` records, by ``replicas`` processes, over ``share`` of the orders."""

    name: str
    module: str | None
    batch: int = 500
    replicas: int = 1
    share: float = 1.0
    """Slow ones read fewer, so that a round of each takes about as long."""

    async def round(self, stage: Stage, warm: int, orders: int) -> Result:
        """One measured round, its effects checked."""
        orders = max(100, int(orders * self.share))
        warm = min(warm, orders)
        env = {"HOUFU_TURN_RECORDS": str(self.batch), "BENCHMARK_BATCH": str(self.batch)}
        env["BENCHMARK_GROUP"] = f"benchmark-{uuid4()}"
        argv = stage.billing.argv if self.module is None else (sys.executable, "-m", self.module)
        result = await stage.measure(argv, warm=warm, orders=orders, replicas=self.replicas, env=env)
        await _check(stage, self.name, warm + orders)
        return result


CONTENDERS = (
    Contender("houfu", None),
    Contender("houfu_1000", None, batch=1_000),
    Contender("houfu_two_replicas", None, replicas=2),
    Contender("bare", "benchmarks.contenders.bare"),
    Contender("bare_1000", "benchmarks.contenders.bare", batch=1_000),
    Contender("docs_style", "benchmarks.contenders.docs_style", share=0.05),
)
"""Houfu's own process and those it is measured against."""


async def rounds(
    stage: Stage, contenders: Sequence[Contender], *, count: int, warm: int, orders: int
) -> AsyncIterator[tuple[Contender, dict[str, Any]]]:
    """Every contender once a round, as plain figures, with how busy others kept the machine just before."""
    for number in range(count):
        for contender in contenders:
            busy, speed = busyness(), core_speed()
            result = await contender.round(stage, warm, orders)
            yield (
                contender,
                {
                    "round": number,
                    "orders_per_s": round(result.orders_per_s, 1),
                    "cpu_us": {name: round(used, 1) for name, used in result.cpu_us.items()},
                    "memory_mb": round(result.memory_mb, 1),
                    "busy_before": round(busy, 3),
                    "core_speed": round(speed, 2),
                },
            )


def summed_up(found: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """The medians of the rounds, and why they may mislead (``busy``, [] if nothing speaks against them)."""
    every = [one for results in found.values() for one in results]
    speeds = [one["core_speed"] for one in every]
    busy = []
    if (most := max(one["busy_before"] for one in every)) > BUSY_SHARE:
        busy.append(f"others used {most:.0%} of the machine before a round")
    if max(speeds) > SPEED_SPREAD * min(speeds):
        busy.append(f"one core ran at {min(speeds):.1f} to {max(speeds):.1f} million additions a second")
    medians = {name: median(one["orders_per_s"] for one in results) for name, results in found.items()}
    cpu_us = {
        name: {part: round(median(one["cpu_us"][part] for one in results), 1) for part in results[0]["cpu_us"]}
        for name, results in found.items()
    }
    return {**medians, "cpu_us": cpu_us, "busy": busy, "rounds": found}


async def _check(stage: Stage, name: str, orders: int) -> None:
    """Each order is a debt once, the journal sums to zero, and the same rows stand as for everybody."""
    found = dict(await stage.database.fetchrow(EFFECTS))
    expected = {
        "books": orders, "owed_by_books": found["owed_by_plans"], "plans": orders, "bills": orders,
        "postings": 2 * orders, "balance": 0, "deadlines": 3 * orders, "ids": orders,
    }  # fmt: skip
    wrong = {key: (found[key], wanted) for key, wanted in expected.items() if found[key] < wanted}
    if wrong or found["balance"] != 0:
        raise Unequal(f"{name}: (found, expected) of {wrong or found['balance']}")


EFFECTS = """
SELECT (SELECT count(*) FROM book) AS books, (SELECT sum(outstanding_principal) FROM book)::bigint AS owed_by_books,
       (SELECT count(*) FROM plan) AS plans, (SELECT sum(principal) FROM plan)::bigint AS owed_by_plans,
       (SELECT count(*) FROM bill) AS bills, (SELECT count(*) FROM journal) AS postings,
       (SELECT sum(debit - credit) FROM journal)::bigint AS balance,
       (SELECT count(*) FROM held WHERE until = 'TIME') AS deadlines, (SELECT count(*) FROM inbox) AS ids
"""
