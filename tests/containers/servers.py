"""Kafka and PostgreSQL in containers for the tests, as ``docker-compose.yml`` describes them.

They take the place of the embedded pair: the same roles and schemas, made by the same script as in production, and
the same patience. Their data goes with them.
"""

from __future__ import annotations

import secrets
import signal
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Self

import yaml
from docker import DockerClient
from docker.errors import APIError, DockerException, ImageNotFound
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer, ExecConfig
from testcontainers.core.docker_client import get_docker_host
from testcontainers.core.wait_strategies import HealthcheckWaitStrategy

from shared.local.ports import HOST, free_port
from shared.local.postgres import DATABASE, SUPERUSER, THROW_AWAY

__all__ = ["ContainerServer", "ContainerServers", "lack", "lacking_images"]

ROOT = Path(__file__).parents[2]
ROLES = ROOT / "deploy" / "postgres" / "roles.sh"

START_TIMEOUT_S = 120
STOP_GRACE_S = 30
ANSWER_TIMEOUT_S = 30

KAFKA_PORT = 9094
POSTGRES_PORT = 5432
"""Where they listen inside their containers for clients outside."""

# Beyond what is described: a killed broker keeps its successor from registering for a short time only, and a young one
# has few partitions of its own to lay out. The embedded broker has the same.
QUICK = {
    "KAFKA_BROKER_SESSION_TIMEOUT_MS": "3000",
    "KAFKA_BROKER_HEARTBEAT_INTERVAL_MS": "500",
    "KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS": "4",
    "KAFKA_TRANSACTION_STATE_LOG_NUM_PARTITIONS": "4",
}

OF_THIS_MACHINE = ("unix://", "http+unix://", "npipe://")
"""How the address of an engine begins that puts servers on loopback."""

SECOND_NS = 1_000_000_000
LOOK_EVERY_NS = SECOND_NS // 2


def lack() -> str | None:
    """What keeps servers from running in containers here, in a few words; None where an engine answers."""
    host = get_docker_host()
    if host is not None and not host.startswith(OF_THIS_MACHINE):
        return "the container engine is on another machine"
    try:
        with closing(_engine()) as engine:
            engine.ping()
    except (DockerException, OSError) as refusal:
        return f"no container engine answers ({_innermost(refusal)})"
    return None


def lacking_images() -> str | None:
    """Get what the engine does not have yet; what keeps it from that, or None."""
    with closing(_engine()) as engine:
        for image in (described(service)["image"] for service in ("kafka", "postgres")):
            try:
                _have(engine, image)
            except (DockerException, OSError) as refusal:
                return f"the container engine cannot get {image} ({_innermost(refusal)})"
        try:
            _have(engine, testcontainers_config.ryuk_image)
        except (DockerException, OSError):
            testcontainers_config.ryuk_disabled = True  # it would clean up if this process were killed; we do otherwise
    return None


def _engine() -> DockerClient:
    """The engine that will run the containers."""
    host = get_docker_host()
    if host is None:
        return DockerClient.from_env(timeout=ANSWER_TIMEOUT_S)
    return DockerClient(base_url=host, timeout=ANSWER_TIMEOUT_S)


def _have(engine: DockerClient, image: str) -> None:
    try:
        engine.images.get(image)
    except ImageNotFound:
        engine.images.pull(image)


def _innermost(error: BaseException) -> str:
    """What there is to say of an error: the engine's own words, or those of the system below all layers of clients."""
    if isinstance(error, APIError) and error.explanation:
        return str(error.explanation)
    while nested := error.__cause__ or next((one for one in error.args if isinstance(one, BaseException)), None):
        error = nested
    return getattr(error, "strerror", None) or str(error)


def described(service: str) -> dict[str, Any]:
    """A service of ``docker-compose.yml``."""
    found: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))["services"][service]
    return found


class ContainerServer:
    """One server of ``docker-compose.yml`` on ``port`` of this machine; ``inner_port`` is its own name for it."""

    def __init__(
        self, service: str, port: int, inner_port: int, environment: Mapping[str, str], arguments: Iterable[str] = ()
    ) -> None:
        of = described(service)
        settings = {name: str(value) for name, value in (of["environment"] | environment).items()}
        unfilled = [name for name, value in settings.items() if "${" in value]
        assert not unfilled, unfilled
        self.port = port
        self.container = DockerContainer(of["image"], env=settings)
        self.container.ports = {f"{inner_port}/tcp": (HOST, port)}  # of loopback only
        if command := [*of.get("command", "").split(), *arguments]:
            self.container.with_command(command)
        health = {
            "test": of["healthcheck"]["test"],
            "interval": LOOK_EVERY_NS,
            "start_period": START_TIMEOUT_S * SECOND_NS,
        }
        self.container.with_kwargs(healthcheck=health)
        self._created = False

    def send(self, number: signal.Signals) -> None:
        """Signal the process that serves, wherever the engine keeps it."""
        self.container.get_wrapped_container().kill(int(number))

    @property
    def alive(self) -> bool:
        self.container.reload()
        return self.container.status == "running"

    def launch(self) -> None:
        """Create or start it without waiting."""
        if self._created:
            self.container.get_wrapped_container().start()
        else:
            self.container.start()
            self._created = True

    def await_ready(self) -> None:
        """Wait until the engine calls it healthy."""
        HealthcheckWaitStrategy().with_startup_timeout(START_TIMEOUT_S).wait_until_ready(self.container)

    def start(self) -> None:
        """Start it and wait until it serves."""
        self.launch()
        self.await_ready()

    def stop(self) -> None:
        """Stop it; what it has acknowledged is kept."""
        self.container.get_wrapped_container().stop(timeout=STOP_GRACE_S)

    def remove(self, log: Path) -> None:
        """Stop it for good, its data too, and keep what it said."""
        if self._created:
            self.stop()
            log.write_bytes(self.container.get_wrapped_container().logs())
        self.container.stop()


class ContainerServers:
    """Both servers; used as a context manager. ``data_dir`` takes their logs and whatever a test puts there."""

    def __init__(self, data_dir: Path, *, services: Iterable[str]) -> None:
        self.data_dir = data_dir
        self.services = tuple(services)
        self._passwords = {name: secrets.token_hex(18) for name in (SUPERUSER, *self.services)}
        port = free_port()
        listeners = f"INNER://localhost:9092,OUTER://{HOST}:{port}"
        self.kafka = ContainerServer("kafka", port, KAFKA_PORT, QUICK | {"KAFKA_ADVERTISED_LISTENERS": listeners})
        careless = (word for name, value in THROW_AWAY.items() for word in ("-c", f"{name}={value}"))
        password = {"POSTGRES_PASSWORD": self._passwords[SUPERUSER]}
        self.postgres = ContainerServer("postgres", free_port(), POSTGRES_PORT, password, careless)

    def __enter__(self) -> Self:
        try:
            for server in (self.kafka, self.postgres):
                server.launch()
            for server in (self.postgres, self.kafka):
                server.await_ready()
            self._furnish()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._remove()

    @property
    def bootstrap(self) -> str:
        """Where Kafka clients connect: host:port."""
        return f"{HOST}:{self.kafka.port}"

    @property
    def admin_dsn(self) -> str:
        """How the database's superuser connects."""
        return self.dsn(SUPERUSER)

    def dsn(self, service: str) -> str:
        """How ``service`` connects to the database, as its own role in its own schema."""
        return f"postgresql://{service}:{self._passwords[service]}@{HOST}:{self.postgres.port}/{DATABASE}"

    def _furnish(self) -> None:
        """A role and a schema for each service, by the script that makes them in production."""
        access = {
            "PGHOST": "127.0.0.1",
            "PGUSER": SUPERUSER,
            "PGPASSWORD": self._passwords[SUPERUSER],
            "PGDATABASE": DATABASE,
        }
        own = {f"HOUFU_{name.upper()}_DB_PASSWORD": self._passwords[name] for name in self.services}
        done = self.postgres.container.exec(
            ExecConfig(["sh", "-c", ROLES.read_text("utf-8")], environment=access | own)
        )
        assert done.exit_code == 0, done.output.decode()

    def _remove(self) -> None:
        logs = self.data_dir / "logs"
        logs.mkdir(exist_ok=True)
        for name, server in (("kafka", self.kafka), ("postgres", self.postgres)):
            server.remove(logs / f"{name}.log")
