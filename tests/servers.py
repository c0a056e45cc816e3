"""What the tests need of a Kafka and a PostgreSQL, and the choice where the two run: embedded, or in containers."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, Protocol, Self

__all__ = ["CHOICES", "Choice", "Pair", "Server", "choose", "ended_and_started", "frozen", "whereabouts"]

Choice = Literal["auto", "embedded", "containers"]

CHOICES: tuple[Choice, ...] = ("auto", "embedded", "containers")


class Server(Protocol):
    """One of the two. It keeps its data and its port while it is stopped or killed, until it is started again."""

    @property
    def pid(self) -> int | None:
        """The process, for who signals it; a test that asks is skipped where it is not this machine's to signal."""

    @property
    def alive(self) -> bool: ...

    def start(self) -> None:
        """Start it and wait until it serves."""

    def stop(self) -> None: ...


class Pair(Protocol):
    """Both. Each of ``services`` has a role and a schema of its own; ``data_dir`` takes what a test wants to put there.

    As a context manager it starts both, and leaves nothing running.
    """

    data_dir: Path
    services: tuple[str, ...]

    @property
    def kafka(self) -> Server: ...

    @property
    def postgres(self) -> Server: ...

    @property
    def bootstrap(self) -> str:
        """Where Kafka clients connect: host:port."""

    @property
    def admin_dsn(self) -> str:
        """How the database's superuser connects."""

    def dsn(self, service: str) -> str:
        """How ``service`` connects to the database, as its own role in its own schema."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


@contextmanager
def frozen(server: Server) -> Iterator[None]:
    """A server hears nothing and says nothing while the block runs."""
    pid = _process(server)
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def ended_and_started(server: Server, number: signal.Signals = signal.SIGKILL) -> None:
    """A server dies of a signal, without a word, and comes back on its port with its data."""
    os.kill(_process(server), number)
    while server.alive:
        time.sleep(0.05)
    server.start()


def _process(server: Server) -> int:
    pid = server.pid
    assert pid is not None
    return pid


def choose(choice: Choice, data_dir: Path, services: Iterable[str]) -> Pair:
    """A pair that is not started yet. Raises LookupError, saying why, if that is not to be had."""
    lacking = None if choice == "embedded" else _lack()
    if choice == "containers" and lacking is not None:
        raise LookupError(lacking)
    if choice == "embedded" or lacking is not None:
        from shared.local.servers import Servers

        return Servers(data_dir, services=services, durable=False)
    from tests.containers.servers import ContainerServers

    return ContainerServers(data_dir, services=services)


def whereabouts(choice: Choice) -> str:
    """Where a pair would run, and why, in a few words."""
    if choice == "embedded":
        return "embedded"
    lacking = _lack()
    return "in containers" if lacking is None else f"embedded, for {lacking}"


def _lack() -> str | None:
    """What keeps them from running in containers; None where they can."""
    try:
        from tests.containers.servers import lack
    except ModuleNotFoundError as module:
        return str(module)
    return lack()
