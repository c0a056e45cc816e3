"""The billing hop: an accepted order becomes inbox, locked book, plan, bill, journal, deadlines and two events.

Every contender reads the same orders from the same broker, in rounds that take turns, and saves into the same schema.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any
from uuid import uuid4

from benchmarks.machine import BUSY_SHARE, SPEED_SPREAD, core_speed
from benchmarks.stage import Result, Stage

__all__ = ["CONTENDERS", "Contender", "Round", "keep_reference", "rounds", "summed_up"]


@dataclass(frozen=True, slots=True)
class Contender:
    """Who does the work, in turns of ``batch`` records, by ``replicas`` processes, over ``share`` of the orders."""

    name: str
    module: str | None
    batch: int = 500
    replicas: int = 1
    share: float = 1.0
    """Slow ones read fewer, so that a round of each takes about as long."""
    machinery: bool = True
    """It keeps what Houfu's engine keeps beside the business: digests, positions, outbox, ids alike."""

    async def round(self, stage: Stage, warm: int, orders: int) -> Result:
        """One measured round, its effects compared with the reference."""
        every = warm + orders if self.share == 1 else None
        result = await self.unchecked(stage, int(warm * self.share), int(orders * self.share))
        await stage.effects.compare(await stage.said(), every, machinery=self.machinery)
        return result

    async def unchecked(self, stage: Stage, warm: int, orders: int) -> Result:
        """The same, whatever the effects."""
        env = {"HOUFU_TURN_RECORDS": str(self.batch), "BENCHMARK_BATCH": str(self.batch)}
        env["BENCHMARK_GROUP"] = f"benchmark-{uuid4()}"
        argv = stage.billing.argv if self.module is None else (sys.executable, "-m", self.module)
        return await stage.measure(argv, warm=warm, orders=orders, replicas=self.replicas, env=env)


@dataclass(frozen=True, slots=True)
class Round:
    """One contender's turn, and how fast a core was just before it (million additions a second)."""

    number: int
    result: Result
    core_speed: float

    def disturbance(self, fastest: float) -> str | None:
        """Why the figure would mislead: others were at work, or the machine was slower than at its ``fastest``."""
        if self.result.others > BUSY_SHARE:
            return f"others used {self.result.others:.0%} of the machine"
        if self.core_speed * SPEED_SPREAD < fastest:
            return f"a core ran at {self.core_speed:.0f} million additions a second instead of {fastest:.0f}"
        return None

    def facts(self) -> dict[str, Any]:
        """As plain figures."""
        facts = {**asdict(self.result), "round": self.number, "core_speed": self.core_speed}
        return {name: round(value, 3) if isinstance(value, float) else value for name, value in facts.items()}


CONTENDERS = (
    Contender("houfu", None),
    Contender("houfu_1000", None, batch=1_000),
    Contender("houfu_two_replicas", None, replicas=2),
    Contender("bare", "benchmarks.contenders.bare"),
    Contender("bare_1000", "benchmarks.contenders.bare", batch=1_000),
    Contender("docs_style", "benchmarks.contenders.docs_style", share=0.05, machinery=False),
)
"""Houfu's own process and those it is measured against."""


async def keep_reference(stage: Stage, orders: int) -> None:
    """Houfu's own service handles every order, unmeasured; what it leaves and says is what everybody is held to."""
    await Contender("reference", None).unchecked(stage, 0, orders)
    await stage.effects.keep(await stage.said())


async def rounds(
    stage: Stage, contenders: Sequence[Contender], *, count: int, warm: int, orders: int
) -> AsyncIterator[tuple[str, Round]]:
    """Every contender once a round; first of all, unmeasured, Houfu makes the reference of everybody's effects."""
    await keep_reference(stage, warm + orders)
    for number in range(count):
        for contender in contenders:
            speed = core_speed()
            result = await contender.round(stage, warm, orders)
            yield contender.name, Round(number, result, speed)


def summed_up(found: Mapping[str, Sequence[Round]]) -> dict[str, Any]:
    """The medians of the undisturbed rounds, in orders a second by contender; then everything they are made of.

    ``disturbed`` says in a sentence each which rounds are left out, and why. Who was disturbed in all of his has no
    figure: better none than one that misleads.
    """
    fastest = max(one.core_speed for rounds in found.values() for one in rounds)
    disturbed = [
        f"round {one.number + 1} of {name}: {reason}"
        for name, rounds in found.items()
        for one in rounds
        if (reason := one.disturbance(fastest))
    ]
    calm = {name: [one.result for one in rounds if not one.disturbance(fastest)] for name, rounds in found.items()}
    return {
        **{name: round(median(one.per_s for one in of), 1) for name, of in calm.items() if of},
        "cpu_us": {
            name: {part: round(median(one.cpu_us[part] for one in of), 1) for part in of[0].cpu_us}
            for name, of in calm.items()
            if of
        },
        "memory_mb": {name: round(max(one.memory_mb for one in of), 1) for name, of in calm.items() if of},
        "disturbed": disturbed,
        "rounds": {name: [one.facts() for one in rounds] for name, rounds in found.items()},
    }
