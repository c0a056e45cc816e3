"""What an order costs as things grow: orders a second of the billing hop against one quantity at a time, drawn."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.stage import Stage

__all__ = ["PICTURES", "drawn", "measured"]

PICTURES = Path("docs/performance")

Curve = dict[int, float]
"""Orders a second by the quantity."""

BATCHES = (1, 10, 50, 100, 250, 500, 1_000)
OPEN_ORDERS = (1, 5, 10, 20, 30)
REPLICAS = (1, 2)
TABLES = (10_000, 100_000, 1_000_000)

SLOW_BELOW = 50
"""Smaller batches get fewer orders, so that no point takes much longer than another."""

QUESTIONS = {
    "batch": ("How many records should a turn take?", "records a turn"),
    "open_orders": ("What does a buyer with many open orders cost?", "orders of one buyer, all open"),
    "replicas": ("What does a second replica bring on two cores?", "replicas of billing"),
    "table": ("What do a million plans of others cost?", "plans in the table"),
}


async def measured(orders: int, warm: int) -> dict[str, Curve]:
    """The four curves, each point one run of ``orders``."""
    found: dict[str, Curve] = {}
    with tempfile.TemporaryDirectory(prefix="houfu-curves-") as directory:
        async with Stage(Path(directory) / "one", warm + orders) as stage:
            found["batch"] = {size: await _point(stage, warm, _fewer(size, orders), batch=size) for size in BATCHES}
            found["replicas"] = {count: await _point(stage, warm, orders, replicas=count) for count in REPLICAS}
            found["table"] = {size: await _point(stage, warm, orders, beside=size) for size in TABLES}
        found["open_orders"] = {}
        for count in OPEN_ORDERS:
            async with Stage(Path(directory) / f"open-{count}", warm + orders, per_buyer=count) as stage:
                found["open_orders"][count] = await _point(stage, warm, orders)
    return found


def _fewer(batch: int, orders: int) -> int:
    return orders if batch >= SLOW_BELOW else max(200, orders // 10)


async def _point(stage: Stage, warm: int, orders: int, batch: int = 500, replicas: int = 1, beside: int = 0) -> float:
    env = {"HOUFU_TURN_RECORDS": str(batch)}
    warm = min(warm, orders)
    result = await stage.measure(
        stage.billing.argv, warm=warm, orders=orders, replicas=replicas, env=env, beside=beside
    )
    return round(result.per_s, 1)


def drawn(curves: Mapping[str, Mapping[Any, float]], folder: Path = PICTURES) -> list[Path]:
    """One picture a curve."""
    import matplotlib as mpl  # noqa: PLC0415 - heavy, and only for pictures

    mpl.use("agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for name, curve in curves.items():
        question, quantity = QUESTIONS[name]
        places = [int(one) for one in curve]
        figure, axes = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
        axes.plot(places, list(curve.values()), marker="o", color="#0072b2", linewidth=2)
        if max(places) > 50 * min(places):
            axes.set_xscale("log")
        axes.set_xticks(places, [f"{one:,}" for one in places])
        axes.minorticks_off()
        axes.set_ylim(0, 1.1 * max(curve.values()))
        axes.yaxis.set_major_formatter("{x:,.0f}")
        axes.set_title(question, loc="left", fontweight="bold")
        axes.set_xlabel(quantity)
        axes.set_ylabel("orders a second")
        axes.grid(axis="y", color="#dddddd")
        axes.spines[["top", "right"]].set_visible(False)
        files.append(folder / f"{name}.png")
        figure.savefig(files[-1], dpi=110, metadata={"Software": None})
        plt.close(figure)
    return files
