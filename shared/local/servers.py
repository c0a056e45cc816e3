"""The embedded Kafka and PostgreSQL as one thing: started and stopped together, their data in one directory."""

from __future__ import annotations

import base64
import secrets
import uuid
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from pydantic import BaseModel, Field

from shared.local.kafka import Kafka
from shared.local.lock import FileLock
from shared.local.ports import free_port
from shared.local.postgres import SUPERUSER, Postgres
from shared.local.process import StartFailed
from shared.local.progress import Watch, unwatched
from shared.local.state import write_private

__all__ = ["Servers"]

S = TypeVar("S")

# The children of a killed predecessor need a moment to leave the directory.
PATIENCE_S = 20.0


class _Facts(BaseModel):
    """What the next start of a data directory must know again, kept in its ``servers.json``."""

    kafka_port: int | None = None
    controller_port: int | None = None
    postgres_port: int | None = None
    cluster_id: str = Field(default_factory=lambda: base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("="))
    passwords: dict[str, str] = Field(default_factory=dict)


class Servers:
    """Both servers with their data in ``data_dir``; a later start finds the data, and the same ports if they are free.

    Each of ``services`` has a role and a schema of its own; one that is new since the last start gets them now.
    ``durable`` off trades PostgreSQL's safety against a crash of the machine for speed, for tests. ``watch`` is told
    of every step; ``patience_s`` is how long a start waits for a predecessor to leave the directory. Usable as a
    context manager. None of the two outlives this process, however it ends.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        services: Iterable[str] = (),
        durable: bool = True,
        watch: Watch = unwatched,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self.data_dir = data_dir.expanduser().absolute()
        self.services = tuple(services)
        self.durable = durable
        self._watch = watch
        self._patience_s = patience_s
        self._lock = FileLock(self.data_dir / "servers.lock")
        self._kafka: Kafka | None = None
        self._postgres: Postgres | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def kafka(self) -> Kafka:
        """The broker of a started pair."""
        return _started(self._kafka)

    @property
    def postgres(self) -> Postgres:
        """The database of a started pair."""
        return _started(self._postgres)

    @property
    def running(self) -> bool:
        """Whether both were started, and not stopped since."""
        return self._kafka is not None and self._postgres is not None

    @property
    def held(self) -> tuple[int, ...]:
        """The lock on the data directory, for children to hold too: the directory is in use while one of them lives."""
        return (self._lock.fileno,)

    @property
    def bootstrap(self) -> str:
        """Where Kafka clients connect: host:port."""
        return self.kafka.bootstrap

    @property
    def admin_dsn(self) -> str:
        """How the database's superuser connects."""
        return self.postgres.dsn()

    def dsn(self, service: str) -> str:
        """How ``service`` connects to the database, as its own role in its own schema."""
        return self.postgres.dsn(service)

    def start(self) -> None:
        """Start both and wait until they serve. Raises StartFailed, with nothing left running."""
        self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self._lock.take(self._patience_s):
            raise StartFailed(
                f"{self.data_dir} is in use by another running system: stop it or choose another directory"
            )
        try:
            self._build()
            self.kafka.launch()
            self.postgres.start()  # while the Java machine comes up
            self.kafka.await_ready()
        except BaseException:
            self.stop()
            raise

    def revive(self) -> bool:
        """Start again whichever of the two has died, on the same port; True if one had. Raises StartFailed."""
        dead = [server for server in (self.postgres, self.kafka) if not server.alive]
        for server in dead:
            server.start()
        return bool(dead)

    def stop(self) -> None:
        """Stop both; their data stays."""
        for server in (self._kafka, self._postgres):
            if server:
                server.stop()
        self._kafka = self._postgres = None
        self._lock.leave()

    def _build(self) -> None:
        file = self.data_dir / "servers.json"
        facts = _Facts.model_validate_json(file.read_text()) if file.exists() else _Facts()
        facts.passwords = {name: _password() for name in (SUPERUSER, *self.services)} | facts.passwords
        facts.kafka_port = free_port(facts.kafka_port)
        facts.controller_port = free_port(facts.controller_port)
        facts.postgres_port = free_port(facts.postgres_port)
        write_private(file, facts.model_dump_json(indent=2))
        logs = self.data_dir / "logs"
        self._kafka = Kafka(
            self.data_dir / "kafka",
            port=facts.kafka_port,
            controller_port=facts.controller_port,
            cluster_id=facts.cluster_id,
            log=logs / "kafka.log",
            held=self.held,
            watch=self._watch,
        )
        self._postgres = Postgres(
            self.data_dir / "postgres",
            port=facts.postgres_port,
            passwords=facts.passwords,
            log=logs / "postgres.log",
            durable=self.durable,
            held=self.held,
            watch=self._watch,
        )


def _password() -> str:
    return secrets.token_urlsafe(18)


def _started(server: S | None) -> S:
    if server is None:
        raise StartFailed("the embedded servers are not started")
    return server
