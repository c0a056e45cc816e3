"""What the tests need of a Kafka and a PostgreSQL, and the choice where the two run: embedded, or in containers."""

from __future__ import annotations

import os
import signal
import time
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, Protocol, Self, runtime_checkable

__all__ = ["CHOICES", "Choice", "Pair", "Server", "choose", "ended_and_started", "frozen", "whereabouts"]

Choice = Literal["auto", "embedded", "containers"]

CHOICES: tuple[Choice, ...] = ("auto", "embedded", "containers")


class Server(Protocol):
    """One of the two. It keeps its data and its port while it is stopped or killed, until it is started again."""

    @property
    def alive(self) -> bool: ...

    def start(self) -> None:
        """Start it and wait until it serves."""

    def stop(self) -> None: ...


@runtime_checkable
class _Own(Protocol):
    """A server that is a process of ours."""

    @property
    def pid(self) -> int | None: ...


@runtime_checkable
class _Contained(Protocol):
    """A server that is the process of an engine."""

    def send(self, number: signal.Signals) -> None: ...


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
    _send(server, signal.SIGSTOP)
    try:
        yield
    finally:
        _send(server, signal.SIGCONT)


def ended_and_started(server: Server, number: signal.Signals = signal.SIGKILL) -> None:
    """A server dies of a signal, without a word, and comes back on its port with its data."""
    _send(server, number)
    while server.alive:
        time.sleep(0.05)
    server.start()


def _send(server: Server, number: signal.Signals) -> None:
    match server:
        case _Contained():
            server.send(number)
        case _Own(pid=int(pid)):
            os.kill(pid, number)
        case _:
            raise AssertionError(f"{server} does not run")


def choose(choice: Choice, data_dir: Path, services: Iterable[str]) -> Pair:
    """A pair that is not started yet. Containers that are asked for and not to be had raise LookupError, saying why."""
    lacking = None if choice == "embedded" else _lack()
    if choice == "containers" and lacking is not None:
        raise LookupError(lacking)
    if choice == "embedded" or lacking is not None:
        return _embedded(data_dir, services)
    from tests.containers.servers import ContainerServers, lacking_images

    if (lacking := lacking_images()) is None:
        return ContainerServers(data_dir, services=services)
    if choice == "containers":
        raise LookupError(lacking)
    warnings.warn(f"Kafka and PostgreSQL run embedded after all, for {lacking}", stacklevel=2)
    return _embedded(data_dir, services)


def _embedded(data_dir: Path, services: Iterable[str]) -> Pair:
    from shared.local.servers import Servers

    return Servers(data_dir, services=services, durable=False)


def whereabouts(choice: Choice) -> str:
    """Where a pair would run, and why, in a few words."""
    if choice != "auto":
        return f"{'embedded' if choice == 'embedded' else 'in containers'}, as asked"
    lacking = _lack()
    return "in containers, for a container engine answers" if lacking is None else f"embedded, for {lacking}"


def _lack() -> str | None:
    """What keeps them from running in containers; None where an engine answers."""
    try:
        from tests.containers.servers import lack
    except ModuleNotFoundError as module:
        return str(module)
    return lack()
