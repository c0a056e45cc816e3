"""The supervisor: keeps a whole system running as its children, the two servers and every replica of every program.

    def plan(servers: Servers) -> Sequence[Program]:    # called once the servers answer: the place to migrate
        return [Program("billing", (sys.executable, "-m", "uvicorn", …, "--port", "{port}"), replicas=2,
                        env={…: servers.dsn("billing")}, health="http://127.0.0.1:{port}/ready")]

    System(Servers(data_dir, services=["billing"]), plan).run_forever()

A program that ends unasked is started again, later each time; one that ends with code 78 says that its settings are
wrong, and the whole system stops.
"""

from __future__ import annotations

import http.client
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import NoReturn
from urllib.parse import urlsplit

from shared.local.lock import FileLock
from shared.local.ports import free_port
from shared.local.process import EX_CONFIG, Misconfigured, Process, StartFailed
from shared.local.progress import Progress, Stage, Watch, unwatched
from shared.local.servers import Servers
from shared.local.state import STATE_FILE, SUPERVISOR_LOCK, Phase, Replica, SystemState, write_private

__all__ = ["Program", "System"]

HEALTHY_TIMEOUT_S = 120.0
STOP_GRACE_S = 15.0
TEND_EVERY_S = 0.2
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 15.0
STEADY_AFTER_S = 60.0
EARLY_ENDS_LIMIT = 3


@dataclass(frozen=True, slots=True)
class Program:
    """What to run: ``replicas`` processes of ``argv``.

    ``{port}`` and ``{replica}`` are filled in within ``argv``, the values of ``env`` (laid over our own environment)
    and ``health``, the URL that answers 200 when a replica is ready. Without ``health`` a replica has no port and is
    ready while it runs.
    """

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    health: str | None = None
    replicas: int = 1


class System:
    """The servers and the programs that ``plan`` names for them. Once started it keeps itself running until ``stop``.

    ``clock`` is noted in the state for other processes. ``watch`` is told of every step, from several threads.
    """

    def __init__(
        self,
        servers: Servers,
        plan: Callable[[Servers], Sequence[Program]],
        *,
        clock: str = "real",
        watch: Watch = unwatched,
    ) -> None:
        self.servers = servers
        self.data_dir = servers.data_dir
        self._plan = plan
        self._clock = clock
        self._watch = watch
        self._lock = FileLock(self.data_dir / SUPERVISOR_LOCK)
        self._table = threading.RLock()
        self._replicas: dict[str, list[_Running]] = {}
        self._programs: dict[str, Program] = {}
        self._phase: Phase = "stopped"
        self._ending = threading.Event()
        self._failure: StartFailed | None = None
        self._tender: threading.Thread | None = None

    @property
    def state(self) -> SystemState:
        """The system as it stands."""
        with self._table:
            replicas = tuple(running.seen() for replicas in self._replicas.values() for running in replicas)
            bare = SystemState(phase=self._phase, supervisor_pid=os.getpid(), clock=self._clock, replicas=replicas)
            if not self.servers.running:
                return bare
            dsns = {name: self.servers.dsn(name) for name in self.servers.services} | {"admin": self.servers.admin_dsn}
            pids = {"kafka": self.servers.kafka.pid, "postgres": self.servers.postgres.pid}
            return bare.model_copy(update={"bootstrap": self.servers.bootstrap, "dsns": dsns, "servers": pids})

    def run_forever(self) -> None:
        """Start, keep running until SIGTERM, SIGINT or SIGHUP, stop. Raises StartFailed, Misconfigured, all stopped."""
        with self._obeying_signals():
            try:
                self.start()
                self._ending.wait()
            except _Interrupted:
                pass
            finally:
                self.stop()
        if self._failure:
            raise self._failure

    def start(self) -> None:
        """Start the servers and all programs and wait until all are ready. Raises StartFailed, all stopped again."""
        self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self._lock.take():
            raise StartFailed(f"a system is running in {self.data_dir} already")
        try:
            self._enter("starting")
            self.servers.start()
            for program in self._plan(self.servers):
                self._programs[program.name] = program
                self._replicas[program.name] = []
                self._grow(program, program.replicas)
            self._tender = threading.Thread(target=self._tend_forever, name="supervisor", daemon=True)
            self._tender.start()
            self._await_ready(HEALTHY_TIMEOUT_S)
            self._enter("ready")
        except BaseException:
            self.stop()
            raise

    def scale(self, name: str, replicas: int) -> None:
        """Run ``replicas`` of a program: more are started and awaited, the youngest of too many are stopped."""
        with self._table:
            running = self._replicas[name]
            self._grow(self._programs[name], replicas)
            leaving = running[replicas:]
            del running[replicas:]
        self._end(leaving)
        self._await_ready(HEALTHY_TIMEOUT_S)
        self._write()

    def stop(self) -> None:
        """Stop the programs in reverse order, then the servers. Harmless where nothing runs."""
        self._ending.set()
        if self._tender:
            self._tender.join()
            self._tender = None
        if self._phase == "stopped":
            return
        self._enter("stopping")
        for name in reversed(self._replicas):
            self._end(self._replicas[name])
        self._replicas.clear()
        self.servers.stop()
        self._enter("stopped")
        self._lock.leave()

    def _grow(self, program: Program, replicas: int) -> None:
        running = self._replicas[program.name]
        for number in range(len(running) + 1, replicas + 1):
            log = self.data_dir / "logs" / f"{program.name}-{number}.log"
            running.append(_Running(program, number, log, self.servers.held, self._watch))
            running[-1].launch()
        self._write()

    def _end(self, leaving: Sequence[_Running]) -> None:
        """All of them at once, then one after the other what does not listen."""
        for running in leaving:
            running.ask_to_end()
        for running in leaving:
            running.end()

    def _await_ready(self, timeout_s: float) -> None:
        until = time.monotonic() + timeout_s
        while waiting := self._unready():
            if self._failure:
                raise self._failure
            if time.monotonic() >= until:
                late = waiting[0]
                raise StartFailed(f"{late.title} was not ready within {timeout_s:.0f} s", late.tail())
            time.sleep(TEND_EVERY_S)
        self._write()

    def _unready(self) -> list[_Running]:
        with self._table:
            everything = [running for replicas in self._replicas.values() for running in replicas]
        return [running for running in everything if not running.check_ready()]

    def _tend_forever(self) -> None:
        while not self._ending.wait(TEND_EVERY_S):
            try:
                with suppress(OSError):  # no process or port to be had just now: the next round tries again
                    self._tend()
            except StartFailed as failure:
                self._failure = failure
                self._ending.set()

    def _tend(self) -> None:
        """Start again what has died, the servers first."""
        changed = self._revive_servers()
        with self._table:
            for replicas in self._replicas.values():
                for running in replicas:
                    changed |= running.tend()
        if changed:
            self._write()

    def _revive_servers(self) -> bool:
        for pause_s in (FIRST_PAUSE_S, LONGEST_PAUSE_S):
            try:
                return self.servers.revive()
            except StartFailed:
                self._ending.wait(pause_s)
        return self.servers.revive()

    def _enter(self, phase: Phase) -> None:
        self._phase = phase
        self._write()

    def _write(self) -> None:
        # A state that cannot be written (a full disk) is no reason to end the system, nor to fail to end it.
        with self._table, suppress(OSError):
            write_private(self.data_dir / STATE_FILE, self.state.model_dump_json(indent=2))

    @contextmanager
    def _obeying_signals(self) -> Iterator[None]:
        """While starting, a signal breaks off the start; later it wakes the one who waits for the end."""

        def obey(_number: int, _frame: FrameType | None) -> None:
            first = not self._ending.is_set()
            self._ending.set()
            if first and self._phase in {"starting", "stopped"}:
                raise _Interrupted

        before = {number: signal.signal(number, obey) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class _Interrupted(BaseException):
    """The start was broken off by a signal."""


class _Running:
    """One replica through its restarts: always the same number and log, and the same port while it is free."""

    def __init__(self, program: Program, number: int, log: Path, held: Sequence[int], watch: Watch) -> None:
        self.program = program
        self.title = f"{program.name}-{number}"
        self._number = number
        self._log = log
        self._held = held
        self._watch = watch
        self._port: int | None = None
        self._process: Process | None = None
        self._started = 0.0
        self._again_at: float | None = None
        self._pause_s = FIRST_PAUSE_S
        self._restarts = 0
        self._early_ends = 0
        self._ready = False
        self._was_ready = False

    def seen(self) -> Replica:
        return Replica(
            name=self.program.name,
            number=self._number,
            pid=self._process.pid if self._process and self._process.alive else None,
            port=self._port,
            ready=self._ready,
            restarts=self._restarts,
            log=self._log,
        )

    def launch(self) -> None:
        if self.program.health:
            self._port = free_port(self._port)
        env = {**os.environ, **{name: self._filled(value) for name, value in self.program.env.items()}}
        argv = [self._filled(word) for word in self.program.argv]
        self._watch(Progress(self.title, Stage.STARTING))
        self._process = Process(self.title, argv, log=self._log, env=env, held=self._held)
        self._started = time.monotonic()
        self._again_at = None

    def check_ready(self) -> bool:
        """Whether it is ready, asking it if that was not yet known."""
        if not self._ready and self._process and self._process.alive and self._healthy():
            self._ready = self._was_ready = True
            self._watch(Progress(self.title, Stage.READY, f"port {self._port}" if self._port else ""))
        return self._ready

    def tend(self) -> bool:
        """Start it again if it has ended and its pause is over; True if something changed. Raises StartFailed."""
        if self._again_at is not None:
            if time.monotonic() < self._again_at:
                return False
            self._restarts += 1
            self.launch()
            return True
        if self._process is None or self._process.alive:
            return not self._ready and self._was_ready and self.check_ready()
        self._note_end(self._process)
        return True

    def ask_to_end(self) -> None:
        if self._process:
            self._watch(Progress(self.title, Stage.STOPPING))
            self._process.send(signal.SIGTERM)

    def end(self) -> None:
        if self._process:
            self._process.finish(STOP_GRACE_S)
            self._watch(Progress(self.title, Stage.STOPPED))

    def tail(self) -> str:
        return self._process.tail() if self._process else ""

    def _note_end(self, process: Process) -> None:
        """It ended unasked: for good if its settings are wrong or it never became ready, else until after a pause."""
        process.finish(0)
        self._ready = False
        if process.exit_code == EX_CONFIG:
            raise Misconfigured(f"{self.title} is misconfigured: {process.last_words()}", process.tail())
        self._early_ends += not self._was_ready
        if self._early_ends >= EARLY_ENDS_LIMIT:
            self._give_up(process)
        if time.monotonic() - self._started >= STEADY_AFTER_S:
            self._pause_s = FIRST_PAUSE_S
        self._watch(Progress(self.title, Stage.RESTARTING, f"exit code {process.exit_code}: {process.last_words()}"))
        self._again_at = time.monotonic() + self._pause_s
        self._pause_s = min(self._pause_s * 2, LONGEST_PAUSE_S)

    def _give_up(self, process: Process) -> NoReturn:
        raise StartFailed(
            f"{self.title} ended {self._early_ends} times before it was ready, with exit code {process.exit_code}: "
            f"{process.last_words()}",
            process.tail(),
        )

    def _healthy(self) -> bool:
        if self.program.health is None:
            return True
        url = urlsplit(self._filled(self.program.health))
        connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=2)
        try:
            connection.request("GET", url.path or "/")
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _filled(self, text: str) -> str:
        return text.replace("{port}", str(self._port)).replace("{replica}", str(self._number))
