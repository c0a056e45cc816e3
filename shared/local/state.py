"""What other processes may know of a running system, kept in its data directory as ``houfu.json``."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.local.lock import holder

__all__ = [
    "STATE_FILE",
    "SUPERVISOR_LOCK",
    "Phase",
    "Replica",
    "SystemState",
    "read_state",
    "stop_system",
    "supervisor_pid",
    "write_private",
]

STATE_FILE = "houfu.json"
SUPERVISOR_LOCK = "supervisor.lock"
SERVERS_LOCK = "servers.lock"
STOP_TIMEOUT_S = 120.0

Phase = Literal["starting", "ready", "stopping", "stopped"]


class Replica(BaseModel):
    """The ``number``-th (from 1) running process of the program ``name``; ``port`` is its HTTP port, if it has one."""

    model_config = ConfigDict(frozen=True)

    name: str
    number: int
    pid: int | None = None
    port: int | None = None
    ready: bool = False
    restarts: int = 0
    log: Path


class SystemState(BaseModel):
    """A running system as its supervisor last wrote it down. ``dsns`` has one entry a service, and ``admin``."""

    model_config = ConfigDict(frozen=True)

    phase: Phase
    supervisor_pid: int
    clock: str
    bootstrap: str = ""
    dsns: dict[str, str] = Field(default_factory=dict)
    servers: dict[str, int | None] = Field(default_factory=dict, description="The pids of kafka and postgres")
    replicas: tuple[Replica, ...] = ()

    def of(self, name: str) -> tuple[Replica, ...]:
        """The replicas of one program."""
        return tuple(replica for replica in self.replicas if replica.name == name)


def read_state(data_dir: Path) -> SystemState | None:
    """The system whose supervisor lives in ``data_dir``; None if none does or it has not written anything yet."""
    pid = supervisor_pid(data_dir)
    try:
        state = SystemState.model_validate_json((data_dir / STATE_FILE).read_text())
    except (FileNotFoundError, ValidationError):
        return None
    return state if state.supervisor_pid == pid else None


def supervisor_pid(data_dir: Path) -> int | None:
    """The pid of the supervisor at work in ``data_dir``, told by its lock and so never that of a stranger."""
    return holder(data_dir / SUPERVISOR_LOCK)


def stop_system(data_dir: Path, timeout_s: float = STOP_TIMEOUT_S) -> bool:
    """Ask the supervisor of ``data_dir`` to stop its system and wait until all of it has ended; False if none runs.

    After ``timeout_s`` seconds the supervisor is killed; its children end with it.
    """
    pid = supervisor_pid(data_dir)
    if pid is None:
        return False
    until = time.monotonic() + timeout_s
    _signal(pid, signal.SIGTERM)
    while holder(data_dir / SUPERVISOR_LOCK) == pid or holder(data_dir / SERVERS_LOCK) == pid:
        if time.monotonic() >= until:
            _signal(pid, signal.SIGKILL)
        time.sleep(0.1)
    return True


def write_private(file: Path, text: str) -> None:
    """Replace ``file`` in one step, readable by its owner alone: it holds passwords."""
    unfinished = file.with_name(file.name + ".unfinished")
    unfinished.unlink(missing_ok=True)
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as writer:
        writer.write(text)
    unfinished.replace(file)


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
