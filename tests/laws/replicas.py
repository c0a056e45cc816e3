"""Real service processes in the hands of a test: killed, stopped, scaled, and started again when they end unasked."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from os import environ
from pathlib import Path
from typing import Any

import httpx
import psutil

from shared.drivers.topics import PARTITIONS
from shared.local.ports import free_port
from shared.local.process import EX_CONFIG, Process
from shared.local.supervisor import Program
from tests.patience import eventually

__all__ = ["Fleet", "Replica"]

MARK = "HOUFU_TEST_FLEET"

_asking = httpx.Client(timeout=2)


@dataclass
class Replica:
    """One process of a service through its lives. ``wanted`` ones are started again when they end."""

    program: Program
    log: Path
    env: Mapping[str, str]
    wanted: bool = True
    ends: list[int] = field(default_factory=list)
    """How each life ended: exit codes, negative for signals."""
    process: Process | None = None
    port: int | None = None

    def launch(self) -> None:
        self.port = free_port(self.port)
        argv = [self._filled(word) for word in self.program.argv]
        env = {name: self._filled(value) for name, value in self.env.items()}
        self.process = Process(self.program.name, argv, log=self.log, env={**environ, **env})

    def _filled(self, text: str) -> str:
        return text.replace("{port}", str(self.port))

    def tend(self) -> None:
        """Note the end of a life and begin the next; wrong settings are not tried again."""
        if self.process is None or self.process.alive:
            return
        code = self.process.exit_code
        assert code is not None
        self.process.finish(0)
        self.process = None
        self.ends.append(code)
        if self.wanted and code != EX_CONFIG:
            self.launch()

    def send(self, number: signal.Signals) -> None:
        if self.process is not None:
            self.process.send(number)

    def ready(self) -> bool:
        """Whether it answers as its program says one does that is ready."""
        try:
            return self.program.health is None or _asking.get(self._filled(self.program.health)).is_success
        except httpx.HTTPError:
            return False

    def health(self) -> dict[str, Any]:
        """What it says of itself; ``{}`` while it says nothing."""
        url = f"http://127.0.0.1:{self.port}/health/ready"
        try:
            found: dict[str, Any] = _asking.get(url).json()
        except (httpx.HTTPError, ValueError):
            return {}
        return found


class Fleet:
    """The replicas of some programs. Every change is made by one thread, which also tends them."""

    def __init__(self, programs: Sequence[Program], logs: Path) -> None:
        self.programs = {program.name: program for program in programs}
        self.mark = f"{id(self):x}-{time.monotonic_ns():x}"
        self._logs = logs
        self._replicas: dict[str, list[Replica]] = {name: [] for name in self.programs}
        self._table = threading.RLock()
        self._ending = threading.Event()
        self._tender = threading.Thread(target=self._tend, name="fleet", daemon=True)
        self._tender.start()

    def environment(self, name: str) -> dict[str, str]:
        """What a replica of a service finds in its environment beyond ours."""
        return {**self.programs[name].env, MARK: self.mark}

    def of(self, name: str) -> list[Replica]:
        return list(self._replicas[name])

    def ends(self, name: str) -> list[int]:
        """How the lives of the running replicas of a service ended so far."""
        return [code for replica in self.of(name) for code in replica.ends]

    def kill(self, *names: str) -> None:
        """SIGKILL to every replica; the next life begins at once."""
        for name in names:
            for replica in self.of(name):
                replica.send(signal.SIGKILL)

    async def scale(self, name: str, count: int, **env: str) -> None:
        """Run so many replicas; the youngest of too many are told to stop, and awaited."""
        with self._table:
            replicas = self._replicas[name]
            while len(replicas) < count:
                log = self._logs / f"{name}-{len(replicas) + 1}.log"
                replicas.append(Replica(self.programs[name], log, {**self.environment(name), **env}))
                replicas[-1].launch()
            leaving, self._replicas[name] = replicas[count:], replicas[:count]
        await asyncio.gather(*(self.end(replica) for replica in leaving))

    async def restart(self, name: str, *, await_ready: bool = True, **env: str) -> None:
        """Stop all replicas of a service and run as many anew, in another environment."""
        count = len(self.of(name))
        await self.scale(name, 0)
        await self.scale(name, count, **env)
        if await_ready:
            await self.ready(name)

    async def end(self, replica: Replica, number: signal.Signals = signal.SIGTERM) -> int:
        """Tell one replica to stop for good and return its exit code."""
        replica.wanted = False
        replica.send(number)
        try:
            await eventually(lambda: replica.process is None or not replica.process.alive)
        finally:
            with self._table:
                if replica.process is not None and not replica.process.alive:
                    replica.tend()
        return replica.ends[-1]

    async def ready(self, *names: str) -> None:
        """Wait until every replica of these services says that it is ready."""
        for name in names or self.programs:
            for replica in self.of(name):
                await eventually(lambda replica=replica: asyncio.to_thread(replica.ready))

    def shared(self, name: str) -> bool:
        """Whether every replica of a service has lanes, and every lane one replica."""
        shares = [replica.health().get("lanes") or [] for replica in self.of(name)]
        return all(shares) and sorted(lane for share in shares for lane in share) == list(range(PARTITIONS))

    def left(self) -> list[psutil.Process]:
        """Every process on this machine that this fleet has started and that still runs."""
        return [one for one in psutil.process_iter() if _environment(one).get(MARK) == self.mark]

    def stop(self) -> None:
        """End everything."""
        self._ending.set()
        self._tender.join()
        replicas = [replica for replicas in self._replicas.values() for replica in replicas]
        for replica in replicas:
            replica.send(signal.SIGTERM)
        for replica in replicas:
            if replica.process is not None:
                replica.process.finish(20)

    def _tend(self) -> None:
        while not self._ending.wait(0.02):
            with self._table:
                for replicas in self._replicas.values():
                    for replica in replicas:
                        replica.tend()


def _environment(process: psutil.Process) -> dict[str, str]:
    try:
        return process.environ()
    except psutil.Error:
        return {}


def uvicorn(app: str, port: str = "{port}") -> tuple[str, ...]:
    """The command that serves an application, as the embedded system does it."""
    options = ("--host", "127.0.0.1", "--port", port, "--log-level", "warning", "--no-access-log")
    return (sys.executable, "-m", "uvicorn", app, *options)
