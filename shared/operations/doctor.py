"""Examines a system that runs, or should: finds the facts, every check for itself and in bounded time.

What the facts mean is in ``shared.operations.diagnosis``. Whatever a check meets, a broken build, a broker that is
away, a schema of another build, becomes a finding, and the others go on.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Self

import httpx
from pydantic import ValidationError
from pydantic_settings import BaseSettings

from shared.contracts.clock import CLOCK_TOPIC
from shared.drivers.clock import clock_of
from shared.drivers.observer import Observer
from shared.drivers.postgres import PostgresDatabase
from shared.drivers.topics import Topic, TopicSeen, look_at_topics, topic_plan
from shared.engine.inspection import Standing
from shared.engine.ports import TopicPartition, Unavailable
from shared.engine.service import Service
from shared.integration.adapter import Adapter
from shared.integration.process import AdapterSettings
from shared.local.jars import read_lock
from shared.local.kafka import jar_directory, java_program
from shared.local.lock import holder
from shared.local.postgres import postgres_programs
from shared.local.process import StartFailed
from shared.local.state import SERVERS_LOCK, Replica, SystemState, read_state, supervisor_pid
from shared.operations import deployment
from shared.operations.diagnosis import (
    CommandLine,
    Finding,
    Look,
    ill,
    judge_adapter_group,
    judge_clock,
    judge_dead_letters,
    judge_dsns,
    judge_group,
    judge_line,
    judge_names,
    judge_progress,
    judge_replica,
    judge_schema,
    judge_topics,
    judge_waiting,
    note,
    stands_still,
    well,
)
from shared.operations.house import revisions_of, service_names
from shared.operations.remote import unread_of
from shared.operations.settings import ServiceSettings
from shared.operations.tokens import TokenSettings

__all__ = ["Doctor", "Patient"]

CHECK_TIMEOUT_S = 15.0
"""Longest a check may take: above the answer time of every client, so that their words are heard."""

PATIENCE_S = 10.0
"""How long a reader with something to do may show no progress before it is called stuck; a turn takes less."""

LOOK_EVERY_S = 0.5
HEALTH_TIMEOUT_S = 3.0
LETTERS_MAX = 1_000
"""Most dead letters looked at; more of them have the same cure."""

Findings = AsyncIterator[Finding]
Check = tuple[str, Callable[[], Findings]]
"""What is looked at, for the case that looking fails, and the look."""

OURS = frozenset({"HOUFU_DATA_DIR", "HOUFU_CLOCK_START", "HOUFU_DETACHED"})
"""Names that mean something to the command line alone."""


@dataclass(frozen=True, slots=True)
class Patient:
    """The system in question and how to reach it, as far as that is known. ``directory`` is an embedded system's."""

    houfu: CommandLine
    directory: Path | None = None
    state: SystemState | None = None
    bootstrap: str = ""
    clock: str = "system"
    dsns: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def embedded(cls, directory: Path, houfu: CommandLine) -> Self:
        """The embedded system of a data directory, running or not."""
        state = read_state(directory)
        if state is None:
            return cls(houfu, directory)
        dsns = {name: dsn for name, dsn in state.dsns.items() if name != "admin"}
        return cls(houfu, directory, state, state.bootstrap, state.clock, dsns)

    @classmethod
    def cluster(cls, houfu: CommandLine) -> Self:
        """The cluster the environment names."""
        dsns = {name: os.environ.get(_dsn_name(name), "") for name in service_names()}
        clock = os.environ.get("HOUFU_CLOCK", "system")
        return cls(houfu, bootstrap=os.environ["HOUFU_KAFKA_BOOTSTRAP"], clock=clock, dsns=dsns)


class Doctor:
    """Examines one patient once."""

    def __init__(self, patient: Patient) -> None:
        self._patient = patient
        self._houfu = patient.houfu
        self._open = AsyncExitStack()
        self._services: list[Service] = []
        self._adapters = deployment.adapters()
        self._observer: Observer | None = None
        self._databases: dict[str, PostgresDatabase] = {}
        self._standing: dict[str, Standing] = {}
        self._seen: dict[str, TopicSeen] = {}
        self._now: datetime | None = None

    async def examine(self) -> Findings:
        """Every finding as soon as it is made."""
        async with self._open:
            for together in self._checks():
                for found in await asyncio.gather(*(_within_bounds(title, check) for title, check in together)):
                    for finding in found:
                        yield finding

    def _checks(self) -> Iterator[Sequence[Check]]:
        """In the order of an examination: what some have opened the next ones use, or skip where it is not there."""
        yield [(f"build of {name}", partial(self._build, name)) for name in service_names()]
        yield [("settings", self._settings), ("system", self._system)]
        if not self._patient.bootstrap:
            return
        yield [("broker", self._broker)]
        yield [("topics", self._topics)]
        yield [(f"schema of {one.name}", partial(self._schema, one)) for one in self._services]
        yield [(f"state of {one.name}", partial(self._state, one.name)) for one in self._services]
        yield [("clock", self._clock)]
        readers: tuple[Service | Adapter, ...] = (*self._services, *self._adapters)
        yield [(f"processes of {one.name}", partial(self._processes, one)) for one in readers]
        yield [(f"progress of {one.name}", partial(self._progress, one)) for one in readers]
        if self._patient.state is not None:
            yield [(f"replica {one.name}", partial(self._replica, one)) for one in self._patient.state.replicas]

    # -------------------------------------------------------------- before anything is asked

    async def _build(self, name: str) -> Findings:
        self._services.append(deployment.service_of(name))
        yield well(f"build of {name}", f"{len(self._services[-1].handlers)} handlers")

    async def _settings(self) -> Findings:
        found = [*_refused_values(), *judge_names(os.environ, service_names(), set(_meaningful_names()))]
        if self._patient.directory is None:
            found += judge_dsns(self._patient.dsns)
        for finding in found or [well("settings", "nothing that is set is wrong")]:
            yield finding

    async def _system(self) -> Findings:
        directory, state = self._patient.directory, self._patient.state
        if directory is None:
            yield well("system", "the cluster that the environment names")
        elif state is not None and state.phase == "ready":
            yield well("system", f"the embedded one in {directory}, pid {state.supervisor_pid}")
        elif state is not None:
            yield note("system", f"the embedded one in {directory} is {state.phase}", "wait, then ask again")
        elif pid := supervisor_pid(directory):
            yield note("system", f"the embedded one in {directory} begins to start, pid {pid}", "wait, then ask again")
        else:
            yield ill("system", f"none runs in {directory}", self._houfu("up --detach"))
            async for finding in self._prerequisites(directory):
                yield finding

    async def _prerequisites(self, directory: Path) -> Findings:
        """Whether the embedded servers could start here."""
        if pid := holder(directory / SERVERS_LOCK):
            yield ill("data", f"{directory} is still in use by process {pid}", "wait until it has ended, or end it")
        programs: Mapping[str, Callable[[], Path]] = {
            "java": java_program,
            "postgres": lambda: postgres_programs() / "postgres",
        }
        for name, program in programs.items():
            try:
                yield well("platform", f"{name} runs: {await _version_of(program())}")
            except (StartFailed, OSError) as reason:
                yield ill("platform", str(reason), "install the requirements again, or use 'docker compose up'")
        needed, there = read_lock(), jar_directory()
        if missing := [jar for jar in needed if not (there / jar.path.name).exists()]:
            yield note("jars", f"{len(missing)} of {len(needed)} are not fetched yet", "the first start fetches them")
        else:
            yield well("jars", f"all {len(needed)} are in {there}")

    # -------------------------------------------------------------- the broker

    async def _broker(self) -> Findings:
        try:
            self._observer = await self._open.enter_async_context(Observer(self._patient.bootstrap))
        except Unavailable as silence:
            yield ill("broker", str(silence), self._look_at("kafka", "check HOUFU_KAFKA_BOOTSTRAP and the broker"))
        else:
            yield well("broker", f"{self._patient.bootstrap} answers")

    async def _topics(self) -> Findings:
        if self._observer is None:
            return
        plan = topic_plan(one.name for one in self._services)
        read = {topic for service in self._services for topic in service.topics}
        read |= {topic for adapter in self._adapters for topic in adapter.topics}
        plan += [Topic(name, plan[-1].partitions, -1) for name in sorted(read - {topic.name for topic in plan})]
        self._seen = await look_at_topics(self._patient.bootstrap, [topic.name for topic in plan])
        for finding in judge_topics(plan, self._seen, self._houfu):
            yield finding

    @property
    def _partitions(self) -> int:
        return max((one.partitions for name, one in self._seen.items() if name != CLOCK_TOPIC), default=1)

    # -------------------------------------------------------------- one service

    async def _schema(self, service: Service) -> Findings:
        dsn = self._patient.dsns.get(service.name)
        if not dsn:
            if self._patient.directory is not None:
                yield ill(
                    f"schema of {service.name}",
                    "the service is new since this system was started",
                    f"{self._houfu('down')}, then {self._houfu('up --detach')}",
                )
            return
        try:
            database = await PostgresDatabase.open(dsn, service.name, pool_size=1)
        except Unavailable as silence:
            remedy = self._look_at("postgres", f"check {_dsn_name(service.name)} and the database")
            yield ill(f"schema of {service.name}", str(silence), remedy)
            return
        self._open.push_async_callback(database.close)
        behind = await _pending(dsn, service.name)
        defects = [] if behind else await database.check_schema(service.row_types)
        yield judge_schema(service.name, behind, defects, self._houfu)
        if not behind:
            self._databases[service.name] = database

    async def _state(self, name: str) -> Findings:
        if (database := self._databases.get(name)) is None:
            return
        standing = self._standing[name] = await database.standing()
        yield judge_line(name, standing.line, self._houfu)
        yield judge_dead_letters(name, await database.dead_letters(LETTERS_MAX), self._houfu)
        for finding in judge_waiting(name, standing):
            yield finding

    # -------------------------------------------------------------- the whole

    async def _clock(self) -> Findings:
        if self._observer is None or CLOCK_TOPIC not in self._seen:
            return
        clock = clock_of(self._patient.clock, self._patient.bootstrap)
        await clock.start()
        try:
            now = await clock.now()
        except Unavailable as unset:
            yield ill("clock", str(unset), self._houfu("migrate"))
            return
        finally:
            await clock.stop()
        self._now = now
        reached = [one.reached for it in self._standing.values() for one in it.positions.values() if one.reached]
        advances = sum((await self._observer.ends([TopicPartition(CLOCK_TOPIC, 0)])).values())
        yield judge_clock(
            self._patient.clock, now, datetime.now(UTC), advances=advances, reached=max(reached, default=None)
        )

    async def _processes(self, reader: Service | Adapter) -> Findings:
        if (observer := self._observer) is None:
            return
        if isinstance(reader, Service):
            start = self._look_at(f"{reader.name}-1", f"uvicorn services.{reader.name}.app:app")
            members = await observer.members(f"houfu.{reader.name}")
            yield judge_group(reader.name, members, self._partitions, start)
        else:
            members, committed = await observer.members(reader.name), bool(await observer.committed(reader.name))
            start = f"python -m {reader.module} --from beginning"
            yield judge_adapter_group(reader.name, members, self._partitions, start, committed=committed)

    async def _progress(self, reader: Service | Adapter) -> Findings:
        """Two looks: the second as soon as something has moved, or when patience ends."""
        began = time.monotonic()
        if (before := await self._look(reader)) is None:
            return
        after: Look | None = before
        while after and stands_still(before, after, self._now) and time.monotonic() - began < PATIENCE_S:
            await asyncio.sleep(LOOK_EVERY_S)
            after = await self._look(reader)
        if after is not None:
            waited_s = time.monotonic() - began
            remedy = self._look_at(f"{reader.name}-1", "ask /health/ready of its processes")
            yield judge_progress(reader.name, before, after, self._now, waited_s=waited_s, remedy=remedy)

    async def _look(self, reader: Service | Adapter) -> Look | None:
        """How far it is; None where that cannot be known."""
        if (observer := self._observer) is None or not (topics := self._seen.keys() & set(reader.topics)):
            return None
        ends = await observer.ends(await observer.partitions(topics))
        if isinstance(reader, Adapter):
            read = await observer.committed(reader.name)
            return Look(await unread_of(observer, ends, reader.topics, read), sum(read.values())) if read else None
        if reader.name not in self._databases:
            return None
        standing = await self._databases[reader.name].standing()
        read = {place: position.next_offset for place, position in standing.positions.items()}
        return Look(await unread_of(observer, ends, reader.topics, read), sum(read.values()), standing)

    async def _replica(self, replica: Replica) -> Findings:
        yield judge_replica(replica, await _trouble_of(replica) if replica.pid else None)

    def _look_at(self, log: str, otherwise: str) -> str:
        """Where to look next: in a log of an embedded system, else as said."""
        return f"read {self._patient.directory / 'logs' / log}.log" if self._patient.directory else otherwise


async def _within_bounds(title: str, check: Callable[[], Findings]) -> list[Finding]:
    """What a check finds; that it fails or takes too long is a finding as well."""
    found: list[Finding] = []
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S + PATIENCE_S):
            async for finding in check():
                found.append(finding)  # noqa: PERF401 - what was found before a failure counts
    except Unavailable as silence:
        found.append(ill(title, str(silence), "bring it back, then ask again"))
    except TimeoutError:
        found.append(ill(title, "no answer in time", "see what keeps it, then ask again"))
    except Exception as defect:  # noqa: BLE001 - whatever is broken here is what was looked for
        text = str(defect).partition("\n")[0]
        found.append(ill(title, f"cannot be checked: {type(defect).__name__}: {text}", "mend that, then ask again"))
    return found


def _refused_values() -> Iterator[Finding]:
    """Values no process would start with. What is missing here may be set where the processes run."""
    told: set[str] = set()
    for kind in _settings_classes():
        try:
            kind()
        except ValidationError as defect:
            for one in defect.errors(include_input=False):
                name = _variable(kind, "_".join(map(str, one["loc"])))
                if one["type"] != "missing" and name not in told:
                    told.add(name)
                    yield ill("settings", f"{name}: {one['msg']}", "docs/operations.md says what it may be")


def _meaningful_names() -> Iterator[str]:
    yield from OURS
    yield from (_dsn_name(name) for name in service_names())
    yield from (_variable(kind, name) for kind in _settings_classes() for name in kind.model_fields)


def _variable(kind: type[BaseSettings], field_name: str) -> str:
    return f"{kind.model_config.get('env_prefix', '')}{field_name}".upper()


def _dsn_name(service_name: str) -> str:
    return f"HOUFU_{service_name.upper()}_DSN"


def _settings_classes() -> Iterator[type[BaseSettings]]:
    """What a process of this build is told by its environment."""
    yield from (ServiceSettings, AdapterSettings, TokenSettings)
    for name in service_names():
        if find_spec(f"services.{name}.settings"):
            for kind in vars(import_module(f"services.{name}.settings")).values():
                if isinstance(kind, type) and issubclass(kind, BaseSettings) and kind is not BaseSettings:
                    yield kind


async def _pending(dsn: str, service_name: str) -> list[str]:
    from shared.drivers.migrate import pending  # noqa: PLC0415 - slow, and only here

    return await asyncio.to_thread(pending, dsn, service_name, [revisions_of(service_name)])


async def _version_of(program: Path) -> str:
    """The first line a program says of its version."""
    asked = await asyncio.create_subprocess_exec(
        str(program), "--version", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await asked.communicate()
    if asked.returncode:
        raise OSError(f"{program} does not run: {said.decode(errors='replace').strip()}")
    return said.decode(errors="replace").partition("\n")[0].strip()


async def _trouble_of(replica: Replica) -> str | None:
    """What a replica says is wrong with it; of one without a page for that, what its supervisor knows."""
    otherwise = None if replica.ready else "it has not become ready yet"
    if replica.port is None:
        return otherwise
    async with httpx.AsyncClient(timeout=HEALTH_TIMEOUT_S, trust_env=False) as client:
        try:
            answer = await client.get(f"http://127.0.0.1:{replica.port}/health/ready")
        except httpx.HTTPError as silence:
            return f"it does not answer ({type(silence).__name__})"
    if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
        return otherwise
    return str(answer.json().get("trouble") or "it does not say why")
