"""The whole flow over all four services: place, authorise, ship, deliver, accept, plan, bill, limit moved.

Buyers with an account place one order each. Everything about the orders is written at once and handled as fast as four
processes, the broker and the database on this machine can (``saturated``); then again at half that pace, to see how
long one order takes from the command that places it until its debt is on the buyer's credit line (``half_load``).
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import quantiles
from typing import Any

from benchmarks.commands import addressed
from benchmarks.meter import Meter
from benchmarks.processes import running
from services.checkout.rules.proof import PaymentProofs
from services.checkout.rules.proof import Purchase as Proven
from shared.contracts.clock import CLOCK_TOPIC
from shared.contracts.message import Command
from shared.drivers.kafka import KafkaLog
from shared.drivers.topics import PARTITIONS
from shared.engine.ports import TopicPartition
from shared.local.servers import Servers
from shared.operations import deployment
from shared.operations.embedded import Setup, plan_of, proof_secret
from shared.operations.house import service_names
from shared.operations.remote import Access, RunningSystem
from shared.operations.scene import Purchase, Scene

__all__ = ["measured"]

START = datetime(2027, 3, 1, 1, tzinfo=UTC)
SHOP = "shop"
AT_ONCE = 1_000
PACE_S = 0.1
"""How often a paced writer writes."""

WRITERS = ("checkout", "billing", "refunds", "notify")


class Flow:
    """A running system and the words of its buyers."""

    def __init__(self, servers: Servers, system: RunningSystem, log: KafkaLog) -> None:
        self.servers = servers
        self.system = system
        self._log = log
        self._proofs = PaymentProofs(proof_secret(servers.data_dir))

    def scenes(self, name: str, count: int, now: datetime) -> list[Scene]:
        return [Scene(f"{name}-{number:06}", SHOP, self._prove, now) for number in range(count)]

    def _prove(self, it: Purchase, now: datetime) -> str:
        return self._proofs.sign(Proven(it.buyer_id, it.order_id, it.amount, it.currency, it.device_ref), now)

    async def write(self, commands: Sequence[Command], now: datetime) -> None:
        """Append commands as their senders would, in this order."""
        for start in range(0, len(commands), AT_ONCE):
            await self._log.publish([addressed(one, now) for one in commands[start : start + AT_ONCE]])

    async def records(self) -> int:
        """How many records stand on all topics."""
        places = [TopicPartition(topic, lane) for topic in self.system.access.topics for lane in range(PARTITIONS)]
        return sum((await self._log.ends(place for place in places if place.topic != CLOCK_TOPIC)).values())

    async def opened(self, scenes: Iterable[Scene]) -> None:
        """Every buyer has an account and the shop's consent."""
        now = await self.system.now()
        await self.write([command for scene in scenes for command in scene.enrolment("tok_good")], now)
        await self.system.settled(600)


async def measured(directory: Path, orders: int) -> dict[str, Any]:
    """Orders and records a second and their CPU, then the latency at half that pace."""
    async with _running(directory) as (flow, pids):
        now = await flow.system.now()
        await flow.system.tell(*flow.scenes("nobody", 1, now)[0].policies())
        await flow.system.advance(timedelta(hours=1))
        now = await flow.system.now()
        crowd, warm, later = (flow.scenes(name, count, now) for name, count in _crowds(orders))
        await flow.opened([*crowd, *warm, *later])
        await flow.write(_orders(warm), now)
        await flow.system.settled(600)
        meter, began = Meter(pids), time.perf_counter()
        before = await flow.records()
        await flow.write(_orders(crowd), now)
        await flow.system.settled(600)
        seconds = time.perf_counter() - began
        cpu_us = {name: round(used / orders * 1e6, 1) for name, used in meter.used().items()}
        per_s = orders / seconds
        saturated = {
            "orders_per_s": round(per_s, 1),
            "records_per_s": round((await flow.records() - before) / seconds, 1),
            "cpu_us": cpu_us,
        }
        await _paced(flow, later, per_s / 2, now)
        return {"orders": orders, "saturated": saturated, "half_load": await _latencies(flow, later, per_s / 2)}


def _crowds(orders: int) -> list[tuple[str, int]]:
    return [("crowd", orders), ("warm", max(50, orders // 10)), ("later", max(50, orders // 4))]


def _orders(scenes: Sequence[Scene]) -> list[Command]:
    """Everything about every order, all buyers side by side step by step."""
    lives = [
        [*scene.order("phone case", "ACCESSORY", 12_900), *scene.shipment(), *scene.delivery(), *scene.receipt()]
        for scene in scenes
    ]
    return [command for step in zip(*lives, strict=True) for command in step]


async def _paced(flow: Flow, scenes: Sequence[Scene], per_s: float, now: datetime) -> None:
    """Write so many orders a second, whatever becomes of them meanwhile."""
    began, written = time.monotonic(), 0
    while written < len(scenes):
        due = min(len(scenes), int((time.monotonic() - began) * per_s) + 1)
        await flow.write(_orders(scenes[written:due]), now)
        written = due
        await asyncio.sleep(PACE_S)
    await flow.system.settled(600)


async def _latencies(flow: Flow, scenes: Sequence[Scene], per_s: float) -> dict[str, Any]:
    """By the broker's clock: from PlaceOrder until the credit line moved for the plan."""
    buyers = {scene.buyer_id for scene in scenes}
    placed: dict[str, datetime] = {}
    moved: dict[str, datetime] = {}
    for one in await flow.system.sightings():
        if one.key in buyers and one.name == "PlaceOrder":
            placed[one.key] = one.record.broker_time
        elif one.key in buyers and one.name == "CreditLineChanged":
            moved[one.key] = max(one.record.broker_time, moved.get(one.key, one.record.broker_time))
    took_ms = [(moved[buyer] - placed[buyer]) / timedelta(milliseconds=1) for buyer in buyers]
    cuts = quantiles(took_ms, n=100)
    return {"orders_per_s": round(per_s, 1), "p50_ms": round(cuts[49], 1), "p99_ms": round(cuts[98], 1)}


@asynccontextmanager
async def _running(directory: Path) -> AsyncIterator[tuple[Flow, dict[str, list[int]]]]:
    """Four services on the embedded servers, on a clock that stands still unless it is moved."""
    with Servers(directory, services=service_names()) as servers:
        plan = plan_of(Setup(clock="movable", start=START))
        programs = await asyncio.to_thread(plan, servers)  # it runs loops of its own
        chosen = [program for program in programs if program.name in WRITERS]
        services = deployment.services()
        dsns = {service.name: servers.dsn(service.name) for service in services}
        access = Access(servers.bootstrap, "movable", dsns, {service.name: service.topics for service in services})
        log = KafkaLog(servers.bootstrap)
        with running([(one.argv, one.env) for one in chosen], directory / "services.log") as processes:
            pids = {one.name: [process.pid] for one, process in zip(chosen, processes, strict=True)}
            pids |= {"broker": [servers.kafka.pid or 0], "database": [servers.postgres.pid or 0]}
            try:
                async with RunningSystem(access) as system:
                    yield Flow(servers, system, log), pids | {"driver": [os.getpid()]}
            finally:
                await log.stop()
