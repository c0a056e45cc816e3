"""What the embedded system consists of: schemas and topics brought up to date, then services and adapters.

``houfu up`` hands the plan to the supervisor; on your own cluster the same parts are started by whatever runs it.
"""

from __future__ import annotations

import asyncio
import secrets
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from shared.contracts.clock import CLOCK_TOPIC
from shared.drivers.kafka import KafkaLog
from shared.drivers.observer import Observer
from shared.drivers.topics import PARTITIONS, TopicsUnfit, create_topics
from shared.engine.ports import Unavailable
from shared.integration.adapter import Adapter
from shared.local.ports import free_port
from shared.local.process import StartFailed
from shared.local.progress import Progress, Stage, Watch, unwatched
from shared.local.servers import Servers
from shared.local.state import write_private
from shared.local.supervisor import Program
from shared.operations import deployment
from shared.operations.house import revisions_of, service_names
from shared.operations.remote import set_time
from shared.operations.tokens import key_set_of

__all__ = [
    "TOKEN_AUDIENCE",
    "TOKEN_ISSUER",
    "ClockKind",
    "NotMigrated",
    "Setup",
    "bring_up_to_date",
    "mail_directory",
    "plan_of",
    "proof_secret",
    "set_clock_once",
    "token_secret",
]

ClockKind = Literal["system", "movable"]

PROOF_SECRET_FILE = "payment-proof.secret"  # noqa: S105 - the name of the file that holds it
TOKEN_SECRET_FILE = "view-token.secret"  # noqa: S105 - the name of the file that holds it

TOKEN_ISSUER = "https://houfu.invalid"  # noqa: S105 - no secret
TOKEN_AUDIENCE = "houfu"  # noqa: S105 - no secret
"""Whose tokens a sandbox's views believe, and for whom they are meant."""


class NotMigrated(Exception):
    """A service's schema could not be brought up to date; the text says which and why."""


@dataclass(frozen=True, slots=True)
class Setup:
    """How the embedded system is to run. ``scale`` names the replicas of each service or adapter, 1 unless said."""

    scale: Mapping[str, int] = field(default_factory=dict)
    clock: ClockKind = "system"
    start: datetime | None = None
    """Where a movable clock begins that was never set; by default at the present."""
    adapters: bool = True
    calendar: Literal["CN", "CN-WEEKENDS"] = "CN"
    partitions: int = PARTITIONS
    """Of new topics; those that exist keep theirs."""


def plan_of(setup: Setup, watch: Watch = unwatched) -> Callable[[Servers], Sequence[Program]]:
    """The plan the supervisor follows once both servers answer; both raise StartFailed where they cannot."""
    unknown = set(setup.scale) - {*service_names(), *(one.name for one in deployment.adapters())}
    if unknown:
        raise StartFailed(f"there is no {', '.join(sorted(unknown))} to scale")

    def plan(servers: Servers) -> Sequence[Program]:
        dsns = {name: servers.dsn(name) for name in servers.services}
        try:
            bring_up_to_date(servers.bootstrap, dsns, setup.partitions, watch)
            if setup.clock == "movable":
                asyncio.run(set_clock_once(servers.bootstrap, setup.start or datetime.now(UTC)))
        except (LookupError, NotMigrated, TopicsUnfit, Unavailable) as reason:
            raise StartFailed(str(reason)) from reason
        programs = [_service(name, setup, servers) for name in servers.services]
        if setup.adapters:
            mail, smtp = _mail_server(servers)
            programs.append(mail)
            programs += [_adapter(adapter, setup, servers, smtp) for adapter in deployment.adapters()]
        return programs

    return plan


def bring_up_to_date(
    bootstrap: str, dsns: Mapping[str, str], partitions: int = PARTITIONS, watch: Watch = unwatched
) -> dict[str, list[str]]:
    """Migrate each service's schema and create missing topics; what was done, by service and under ``topics``.

    Raises ``Unavailable``, :class:`NotMigrated` or ``TopicsUnfit``. Harmless to repeat.
    """
    done: dict[str, list[str]] = {}
    for name, dsn in dsns.items():
        watch(Progress("schemas", Stage.PREPARING, name, len(done), len(dsns)))
        done[name] = _migrate(name, dsn)
    watch(Progress("schemas", Stage.READY, f"{sum(map(len, done.values()))} revisions applied"))
    watch(Progress("topics", Stage.PREPARING))
    done["topics"] = asyncio.run(create_topics(bootstrap, dsns, partitions))
    watch(Progress("topics", Stage.READY, f"{len(done['topics'])} created"))
    return done


def _migrate(name: str, dsn: str) -> list[str]:
    from shared.drivers.migrate import MigrationRefused, migrate  # noqa: PLC0415 - slow, and few commands migrate

    try:
        return migrate(dsn, name, [revisions_of(name)])
    except MigrationRefused as reason:
        raise NotMigrated(f"{name}: {reason}") from reason


def proof_secret(data_dir: Path) -> str:
    """The key that signs payment proofs in this data directory, made when it is first asked for."""
    return _secret(data_dir / PROOF_SECRET_FILE)


def token_secret(data_dir: Path) -> str:
    """The key that signs tokens for the views of this data directory, made when it is first asked for."""
    return _secret(data_dir / TOKEN_SECRET_FILE)


def mail_directory(data_dir: Path) -> Path:
    """Where the sandbox's mail arrives."""
    return data_dir / "mail"


def _secret(file: Path) -> str:
    if not file.exists():
        write_private(file, secrets.token_urlsafe(32))
    return file.read_text()


async def set_clock_once(bootstrap: str, start: datetime) -> None:
    """A movable clock that was set before goes on from where it stood."""
    async with Observer(bootstrap) as observer:
        ends = await observer.ends(await observer.partitions([CLOCK_TOPIC]))
    if not any(ends.values()):
        log = KafkaLog(bootstrap)
        try:
            await set_time(log, start)
        finally:
            await log.stop()


def _service(name: str, setup: Setup, servers: Servers) -> Program:
    options = ("--host", "127.0.0.1", "--port", "{port}", "--log-level", "warning", "--no-access-log")
    env = {
        "HOUFU_KAFKA_BOOTSTRAP": servers.bootstrap,
        "HOUFU_DSN": servers.dsn(name),
        "HOUFU_CLOCK": setup.clock,
        "HOUFU_CALENDAR": setup.calendar,
        "HOUFU_TOKEN_ISSUER": TOKEN_ISSUER,
        "HOUFU_TOKEN_AUDIENCE": TOKEN_AUDIENCE,
        "HOUFU_TOKEN_KEYS": key_set_of(token_secret(servers.data_dir)),
    }
    if name == "checkout":
        env["HOUFU_CHECKOUT_PAYMENT_PROOF_SECRET"] = proof_secret(servers.data_dir)
    return Program(
        name,
        (sys.executable, "-m", "uvicorn", f"services.{name}.app:app", *options),
        env=env,
        health="http://127.0.0.1:{port}/health/ready",
        replicas=setup.scale.get(name, 1),
    )


def _adapter(adapter: Adapter, setup: Setup, servers: Servers, env: Mapping[str, str]) -> Program:
    return Program(
        adapter.name,
        (sys.executable, "-m", adapter.module, "--from", "beginning"),
        env={"HOUFU_KAFKA_BOOTSTRAP": servers.bootstrap, "HOUFU_CLOCK": setup.clock, "HOUFU_PORT": "{port}", **env},
        health="http://127.0.0.1:{port}/health/ready",
        replicas=setup.scale.get(adapter.name, 1),
    )


def _mail_server(servers: Servers) -> tuple[Program, dict[str, str]]:
    """The sandbox's mail server, and what an adapter must be told to send through it."""
    port = free_port()
    directory = str(mail_directory(servers.data_dir))
    options = ("--port", str(port), "--directory", directory, "--health-port", "{port}")
    program = Program(
        "mail",
        (sys.executable, "-m", "shared.local.mail", *options),
        health="http://127.0.0.1:{port}/health/live",
    )
    return program, {
        "HOUFU_SMTP_HOST": "127.0.0.1",
        "HOUFU_SMTP_PORT": str(port),
        "HOUFU_SMTP_SECURITY": "none",
        "HOUFU_SMTP_SENDER": "notices@houfu.invalid",
        "HOUFU_SMTP_CONTACTS": "sandbox:",
    }
