"""A Spring Boot batch listener beside us, where somebody has its folder: ``HOUFU_SPRING_PEER`` names it.

It is a program of its own with a driver of its own (``run.sh batch <orders>``) and its own, simpler tables: inbox,
locked account, plan, four instalments, three ledger entries and an outbox, checked after each run. It has servers of
its own too, since it makes and drops topics and databases.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.machine import busyness, core_speed
from shared.local.servers import Servers

__all__ = ["NAME", "rounds"]

NAME = "spring"

PEER = "HOUFU_SPRING_PEER"


def rounds(directory: Path, count: int, orders: int) -> Iterator[dict[str, Any]]:
    """Its rounds, in the figures of everybody; none where it is not there or cannot be built."""
    peer = os.environ.get(PEER)
    if not peer or shutil.which("java") is None or shutil.which("mvn") is None:
        sys.stderr.write(f"spring is left out: {PEER} names no folder, or there is no Java or Maven\n")
        return
    copy = directory / "peer"
    shutil.copytree(peer, copy)
    with Servers(directory / "servers") as servers:
        for number in range(count):
            busy, speed = busyness(), core_speed()
            yield {"round": number, "busy_before": round(busy, 3), "core_speed": round(speed, 2)} | _run(
                copy, servers, orders
            )


def _run(peer: Path, servers: Servers, orders: int) -> dict[str, Any]:
    password = servers.admin_dsn.partition("://")[2].partition("@")[0].partition(":")[2]
    env = {
        **os.environ,
        "KAFKA_PORT": servers.bootstrap.rpartition(":")[2],
        "PG_PORT": str(servers.postgres.port),
        "BROKER_PID": str(servers.kafka.pid),
        "PG_PID": str(servers.postgres.pid),
        "PGPASSWORD": password,
        "SPRING_DATASOURCE_PASSWORD": password,
        "PYTHON": sys.executable,
    }
    command = ["sh", "run.sh", "batch", str(orders)]
    done = subprocess.run(command, check=False, cwd=peer, env=env, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"spring ended with {done.returncode}: {done.stderr[-2000:]}")
    found = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("{")))
    if found["check"] != "ok":
        raise RuntimeError(f"spring did not do its work: {found['check']}")
    cpu = {"service": found["cpu"]["peer"], "broker": found["cpu"]["broker"], "database": found["cpu"]["pg"]}
    return {
        "orders_per_s": float(found["per_s"]),
        "cpu_us": {name: round(seconds / found["orders"] * 1e6, 1) for name, seconds in cpu.items()},
        "memory_mb": float(found["VmRSS"]),
    }
