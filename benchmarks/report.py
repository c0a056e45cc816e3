"""The figures for people."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

__all__ = ["line", "show"]

RATIOS = (
    ("houfu", "docs_style", 20.0),
    ("houfu", "bare", 0.5),
    ("houfu_1000", "bare_1000", 0.6),
    ("houfu_two_replicas", "spring", 1.0),
)
"""What is compared with what, and the least that is asked for."""


def line(name: str, result: dict[str, Any]) -> str:
    """One round as it ends."""
    return f"  round {result['round'] + 1}  {name:20} {result['orders_per_s']:>8,.0f} orders/s"


def show(console: Console, found: dict[str, Any]) -> None:
    """One table, the ratios, and what speaks against believing them."""
    hop, machine = found["billing_hop"], found["machine"]
    table = Table(title=f"Billing hop, medians ({machine['cores']} cores, {machine['cpu']})")
    for heading in ("contender", "orders/s", "service", "database", "broker", "all"):
        table.add_column(heading, justify="left" if heading == "contender" else "right")
    for name, cpu in hop["cpu_us"].items():
        parts = [cpu["service"], cpu["database"], cpu["broker"]]
        table.add_row(name, f"{hop[name]:,.0f}", *(f"{part:,.0f} µs" for part in (*parts, sum(parts))))
    console.print(table)
    console.print("CPU an order, in microseconds, by component.")
    for ours, theirs, least in RATIOS:
        if ours in hop and theirs in hop:
            console.print(f"{ours} / {theirs}: {hop[ours] / hop[theirs]:.2f} (asked for: {least:g})")
    if flow := found.get("whole_flow"):
        full, half = flow["saturated"], flow["half_load"]
        console.print(f"Whole flow: {full['orders_per_s']:,.0f} orders/s, {full['records_per_s']:,.0f} records/s;")
        console.print(
            f"  at {half['orders_per_s']:,.0f} orders/s p50 {half['p50_ms']:,.0f} ms, p99 {half['p99_ms']:,.0f} ms."
        )
        if "houfu" in hop:
            console.print(f"  whole flow / houfu: {full['orders_per_s'] / hop['houfu']:.2f} (asked for: 0.2)")
    for reason in hop["busy"]:
        console.print(f"[bold red]Do not trust these figures: {reason}.[/]")
