"""The figures for people."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks import spring
from benchmarks.billing_hop import Round
from benchmarks.open_orders import FEW, MANY
from benchmarks.where import EXPLAINED

__all__ = ["line", "show"]

RATIOS = (
    ("houfu", "docs_style", 20.0),
    ("houfu", "bare", 0.5),
    ("houfu_1000", "bare_1000", 0.6),
    ("houfu_two_replicas", "spring", 1.0),
)
"""What is compared with what, and the least it should come to."""

MOST = 2.0
"""How much more a buyer with many open orders may cost than one with a single order."""

PATHS = {"billing_hop": "an order", "repayments": "a repayment"}


def line(name: str, found: Round) -> str:
    """One round as it ends."""
    unit = "repayments/s" if name.startswith("repayments") else "orders/s"
    return f"  round {found.number + 1}  {name:20} {found.result.per_s:>8,.0f} {unit}"


def show(console: Console, found: dict[str, Any]) -> None:
    """The tables, the ratios, and which rounds are left out of them."""
    hop = found["billing_hop"]
    console.print(_contenders(hop, found["machine"]))
    console.print("CPU an order, in microseconds, by component; resident memory of the service at the end.")
    for ours, theirs, least in RATIOS:
        if ours in hop and theirs in hop:
            per_cpu = sum(hop["cpu_us"][theirs].values()) / sum(hop["cpu_us"][ours].values())
            console.print(
                f"{ours} / {theirs}: {hop[ours] / hop[theirs]:.2f} (goal: {least:g}); at equal CPU {per_cpu:.2f}"
            )
    if spring.NAME in hop:
        console.print(f"{spring.NAME} keeps simpler tables of its own and checks them itself: none of it is compared.")
    console.print(_steps(hop["shares"]))
    crowds = found.get("open_orders")
    if crowds is not None:
        console.print(_open_orders(crowds))
        console.print(_steps_of_repayments(crowds["shares"]))
    if "whole_flow" in found:
        _show_flow(console, found["whole_flow"], hop.get("houfu"))
    for reason in found["disturbed"]:
        console.print(f"[bold red]Left out: {reason}.[/]")
    if silent := [name for of in (hop, crowds or {"rounds": ()}) for name in of["rounds"] if name not in of]:
        console.print(f"[bold red]This machine was too busy to say anything of {', '.join(silent)}.[/]")


def _contenders(hop: dict[str, Any], machine: dict[str, Any]) -> Table:
    table = Table(title=f"Billing hop, medians ({machine['cores']} cores, {machine['cpu']})")
    for heading in ("contender", "orders/s", "service", "database", "broker", "all", "memory"):
        table.add_column(heading, justify="left" if heading == "contender" else "right")
    for name, cpu in hop["cpu_us"].items():
        parts = [cpu["service"], cpu["database"], cpu["broker"]]
        spent = (f"{part:,.0f} µs" for part in (*parts, sum(parts)))
        table.add_row(name, f"{hop[name]:,.0f}", *spent, f"{hop['memory_mb'][name]:,.0f} MB")
    return table


def _steps(shares: Mapping[str, float]) -> Table:
    table = Table(title="Where the CPU of houfu's service goes")
    for heading in ("step", "share", "what it is"):
        table.add_column(heading, justify="right" if heading == "share" else "left")
    for step, share in shares.items():
        table.add_row(step, f"{share:.0%}", EXPLAINED[step])
    return table


def _open_orders(crowds: Mapping[str, Any]) -> Table:
    table = Table(title=f"What a buyer with {MANY} open orders costs")
    for heading in ("", "open", "per second", "CPU", "ratio", "of CPU", "at most"):
        table.add_column(heading, justify="right" if heading else "left")
    for path, count in product(PATHS, (FEW, MANY)):
        name, ratio = f"{path}_with_{count}", crowds["ratios"].get(path) if count == MANY else None
        figures = (f"{crowds[name]:,.0f}", f"{_cpu_us(crowds, name):,.0f} µs") if name in crowds else ("", "")
        ratios = (f"{ratio['time']:.2f}", f"{ratio['cpu']:.2f}", f"{MOST:g}") if ratio else ()
        style = "bold red" if ratio and max(ratio.values()) > MOST else None
        table.add_row(PATHS[path], str(count), *figures, *ratios, style=style)
    return table


def _cpu_us(crowds: Mapping[str, Any], name: str) -> float:
    return float(sum(crowds["cpu_us"][name].values()))


def _steps_of_repayments(shares: Mapping[str, Mapping[str, float]]) -> Table:
    table = Table(title="Where the CPU of a repayment goes")
    for heading in ("step", *(f"with {count} open" for count in (FEW, MANY))):
        table.add_column(heading, justify="left" if heading == "step" else "right")
    of_each = [shares[f"repayments_with_{count}"] for count in (FEW, MANY)]
    for step in EXPLAINED:
        table.add_row(step, *(f"{of[step]:.0%}" for of in of_each))
    return table


def _show_flow(console: Console, flow: dict[str, Any], houfu: float | None) -> None:
    full, half = flow["saturated"], flow["half_load"]
    console.print(f"Whole flow: {full['orders_per_s']:,.0f} orders/s, {full['records_per_s']:,.0f} records/s;")
    console.print(
        f"  at {half['orders_per_s']:,.0f} orders/s p50 {half['p50_ms']:,.0f} ms, p99 {half['p99_ms']:,.0f} ms."
    )
    spent = ", ".join(f"{name} {used:,.0f} µs" for name, used in full["cpu_us"].items())
    console.print(f"  CPU an order: {spent}.")
    if houfu:
        console.print(f"  whole flow / houfu: {full['orders_per_s'] / houfu:.2f} (goal: 0.2)")
