"""``python -m benchmarks``: measures, prints what it found and writes ``build/bench.json``."""

from __future__ import annotations

import asyncio
import json
import logging
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from benchmarks import billing_hop, curves, open_orders, report, spring, where, whole_flow
from benchmarks.billing_hop import Round
from benchmarks.machine import described
from benchmarks.open_orders import FEW, MANY, Size
from benchmarks.spring import Spring
from benchmarks.stage import Stage

RESULTS = Path("build/bench.json")

ORDERS = 40_000
WARM = 4_000
REPAYMENTS = 20_000
CROWDED_REPAYMENTS = 4_000
"""Of buyers with many open orders, each of which has to be handled before."""
FLOW_ORDERS = 4_000
CURVE_ORDERS = 20_000

QUICK = 20
"""How many times fewer orders a quick look takes."""

console = Console()


def measure(
    rounds: Annotated[int, typer.Option(min=1, help="How often each contender runs; at least 3 for a median.")] = 3,
    only: Annotated[str, typer.Option(help="Contenders, separated by commas; all of them if empty.")] = "",
    quick: Annotated[bool, typer.Option(help="Few orders: to see that it works, not how fast.")] = False,
    flow: Annotated[bool, typer.Option(help="Also the whole flow over four services.")] = True,
    repayments: Annotated[bool, typer.Option(help="Also repayments, and buyers with many open orders.")] = True,
    draw: Annotated[bool, typer.Option("--curves", help="Also the cost curves, as pictures in docs/.")] = False,
) -> None:
    """Measure the billing hop against others who do the same work, repayments, and the whole flow."""
    less = QUICK if quick else 1
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # a topic that was just made has no leader for a moment
    found: dict[str, Any] = {"machine": described(), "orders": ORDERS // less}
    found["billing_hop"] = asyncio.run(_hop(set(filter(None, only.split(","))), rounds, less))
    found["disturbed"] = found["billing_hop"].pop("disturbed")
    if repayments:
        console.print("Repayments, and buyers with many open orders ...")
        found["open_orders"] = asyncio.run(_crowds(rounds, less))
        found["repayments"] = open_orders.allocated(found["open_orders"])
        found["disturbed"] += found["open_orders"].pop("disturbed")
    if flow:
        console.print("The whole flow ...")
        with tempfile.TemporaryDirectory(prefix="houfu-flow-") as directory:
            found["whole_flow"] = asyncio.run(whole_flow.measured(Path(directory), FLOW_ORDERS // less))
    if draw:
        console.print("The curves ...")
        found["curves"] = asyncio.run(curves.measured(CURVE_ORDERS // less, WARM // less))
        for picture in curves.drawn(found["curves"]):
            console.print(f"  {picture}")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(found, indent=2) + "\n")
    report.show(console, found)
    console.print(f"Written to {RESULTS}.")


async def _hop(named: set[str], rounds: int, less: int) -> dict[str, Any]:
    chosen = [one for one in billing_hop.CONTENDERS if not named or one.name in named]
    orders, warm = ORDERS // less, WARM // less
    found: defaultdict[str, list[Round]] = defaultdict(list)

    def note(name: str, one: Round) -> None:
        found[name].append(one)
        console.print(report.line(name, one))

    with tempfile.TemporaryDirectory(prefix="houfu-bench-") as directory:
        beside = Spring(Path(directory)) if (not named or spring.NAME in named) and spring.available() else None
        console.print(f"Starting the servers and appending {warm + orders:,} orders ...")
        async with Stage(Path(directory) / "stage", warm + orders) as stage:
            async for name, one in billing_hop.rounds(stage, chosen, count=rounds, warm=warm, orders=orders):
                note(name, one)
                if beside is not None and name == chosen[-1].name:
                    note(spring.NAME, await asyncio.to_thread(beside.round, one.number, orders))
            console.print("Where the time goes ...")

            async def read(argv: Sequence[str], env: Mapping[str, str]) -> None:
                await stage.measure(argv, warm=warm, orders=orders, env=env)

            shares = await where.shares(stage.billing.argv, Path(directory) / "samples.json", read)
    return billing_hop.summed_up(found) | {"shares": shares}


async def _crowds(rounds: int, less: int) -> dict[str, Any]:
    sizes = {FEW: Size.of(REPAYMENTS // less), MANY: Size.of(CROWDED_REPAYMENTS // less)}
    with tempfile.TemporaryDirectory(prefix="houfu-crowds-") as directory:
        return await open_orders.measured(
            Path(directory), sizes, rounds, lambda name, one: console.print(report.line(name, one))
        )


if __name__ == "__main__":
    typer.run(measure)
