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
from pathlib import Path

from benchmarks.billing_hop import Round
from benchmarks.effects import Unequal
from benchmarks.machine import core_speed
from benchmarks.stage import Result
from shared.local.servers import Servers

__all__ = ["NAME", "Spring", "available"]

NAME = "spring"

PEER = "HOUFU_SPRING_PEER"


def available() -> bool:
    """Whether it can be built and run here; says why not."""
    missing = [tool for tool in ("java", "mvn") if shutil.which(tool) is None]
    if not os.environ.get(PEER):
        missing.append(f"a folder named by {PEER}")
    if missing:
        sys.stderr.write(f"spring is left out: there is no {', no '.join(missing)}\n")
    return not missing


class Spring:
    """The peer, copied and built once."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._peer = directory / "peer"
        shutil.copytree(os.environ[PEER], self._peer)

    def round(self, number: int, orders: int) -> Round:
        """One measured round on servers that run for it alone."""
        speed = core_speed()
        with Servers(self._directory / f"servers-{number}") as servers:
            return Round(number, self._run(servers, orders), speed)

    def _run(self, servers: Servers, orders: int) -> Result:
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
        done = subprocess.run(command, check=False, cwd=self._peer, env=env, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"spring ended with {done.returncode}: {done.stdout[-2000:]} {done.stderr[-2000:]}")
        said = done.stdout.rpartition('{"name"')
        found = json.loads((said[1] + said[2]).partition("\n")[0] or '{"check": "it said nothing"}')
        if found["check"] != "ok":
            raise Unequal(f"spring: {found['check']}")
        spent = {"service": found["cpu"]["peer"], "broker": found["cpu"]["broker"], "database": found["cpu"]["pg"]}
        return Result(
            per_s=float(found["per_s"]),
            cpu_us={name: seconds / found["orders"] * 1e6 for name, seconds in spent.items()},
            memory_mb=float(found["VmRSS"]),
            others=max(0.0, found["cpu"]["others"]) / found["seconds"] / (os.cpu_count() or 1),
        )
