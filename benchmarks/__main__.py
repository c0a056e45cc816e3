"""``python -m benchmarks``: measures, prints what it found and writes ``build/bench.json``."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from benchmarks import billing_hop, curves, report, spring, whole_flow
from benchmarks.machine import described
from benchmarks.stage import Stage

RESULTS = Path("build/bench.json")

ORDERS = 24_000
WARM = 4_000
FLOW_ORDERS = 4_000
CURVE_ORDERS = 8_000

QUICK = 20
"""How many times fewer orders a quick look takes."""

console = Console()


def measure(
    rounds: Annotated[int, typer.Option(min=1, help="How often each contender runs; at least 3 for a median.")] = 3,
    only: Annotated[str, typer.Option(help="Contenders, separated by commas; all of them if empty.")] = "",
    quick: Annotated[bool, typer.Option(help="Few orders: to see that it works, not how fast.")] = False,
    flow: Annotated[bool, typer.Option(help="Also the whole flow over four services.")] = True,
    draw: Annotated[bool, typer.Option("--curves", help="Also the cost curves, as pictures in docs/.")] = False,
) -> None:
    """Measure the billing hop against others who do the same work, and the whole flow."""
    less = QUICK if quick else 1
    found: dict[str, Any] = {"machine": described(), "orders": ORDERS // less}
    found["billing_hop"] = asyncio.run(_hop(set(filter(None, only.split(","))), rounds, less))
    if flow:
        console.print("The whole flow ...")
        with tempfile.TemporaryDirectory(prefix="houfu-flow-") as directory:
            found["whole_flow"] = asyncio.run(whole_flow.measured(Path(directory), FLOW_ORDERS // less))
    if draw:
        console.print("The curves ...")
        found["curves"] = asyncio.run(curves.measured(CURVE_ORDERS // less, WARM // 4 // less))
        for picture in curves.drawn(found["curves"]):
            console.print(f"  {picture}")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(found, indent=2) + "\n")
    report.show(console, found)
    console.print(f"Written to {RESULTS}.")


async def _hop(named: set[str], rounds: int, less: int) -> dict[str, Any]:
    chosen = [one for one in billing_hop.CONTENDERS if not named or one.name in named]
    orders, warm = ORDERS // less, WARM // less
    results: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="houfu-bench-") as directory:
        console.print(f"Starting the servers and appending {warm + orders:,} orders ...")
        async with Stage(Path(directory) / "stage", warm + orders) as stage:
            async for contender, result in billing_hop.rounds(stage, chosen, count=rounds, warm=warm, orders=orders):
                results[contender.name].append(result)
                console.print(report.line(contender.name, result))
        if not named or spring.NAME in named:
            for result in spring.rounds(Path(directory) / "spring", rounds, orders):
                results[spring.NAME].append(result)
                console.print(report.line(spring.NAME, result))
    return billing_hop.summed_up(dict(results))


if __name__ == "__main__":
    typer.run(measure)
