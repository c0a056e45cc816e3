"""Puts a service into operation: its handlers and views become one ASGI application that runs turns.

``uvicorn services.billing.app:app`` starts it. Everything it needs is checked first, and what is missing is named in
one line; from then on nothing but a stop or the watchdog ends it.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import structlog
from fastapi import APIRouter, FastAPI
from faststream.kafka import KafkaBroker

from shared.contracts.clock import CLOCK_TOPIC
from shared.drivers.clock import FollowedClock, SystemClock, clock_of
from shared.drivers.kafka import KafkaLog
from shared.drivers.postgres import PostgresDatabase, SchemaBehind
from shared.drivers.queries import PostgresQueries
from shared.drivers.revisions import MigrationRefused, applied_heads, folders, missing
from shared.drivers.schema import check_schema
from shared.drivers.subscription import Subscription
from shared.drivers.topics import TopicsUnfit, verify_topics
from shared.drivers.watchdog import Watchdog
from shared.engine.breaker import Breaker
from shared.engine.ports import Unavailable
from shared.engine.service import Service
from shared.engine.worker import TURNS_AT_ONCE, Worker
from shared.kernel.calendar import Calendar
from shared.operations import metrics
from shared.operations.builds import digest_of_code
from shared.operations.health import Health
from shared.operations.house import folder_of, revisions_of
from shared.operations.instruments import Instruments, show_health
from shared.operations.logs import configure_logs
from shared.operations.meters import Meters
from shared.operations.metrics import Of
from shared.operations.pages import CountedRequests, watching_pages
from shared.operations.settings import (
    EXIT_MISCONFIGURED,
    EXIT_UNREACHABLE,
    Misconfigured,
    ServiceSettings,
    read_settings,
)
from shared.operations.snapshot import Snapshots
from shared.operations.tokens import TokenSettings, TokenVerifier
from shared.operations.traces import Traces
from shared.operations.views import Asking, serve_views

__all__ = ["application"]

log: Any = structlog.get_logger(__name__)

JOIN_TIMEOUT_S = 60.0
"""Longest time until the group has given a new process its partitions: a rebalance takes 20 s at most."""

Resources = Callable[[], Iterable[object]]


def application(
    service: Service,
    *,
    resources: Resources = tuple,
    views: Sequence[APIRouter] = (),
    revisions: Path | None = None,
) -> FastAPI:
    """The ASGI application of a service.

    ``resources`` makes the constants its handlers ask for, at start; ``views`` are served behind the token check;
    ``revisions`` is the folder of its schema's history where that is not ``services/<name>/migrations``.
    """

    meters = Meters(Of.SERVICE, service.name)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            try:
                tokens = TokenVerifier.of(read_settings(TokenSettings))
                history = revisions or revisions_of(service.name)
                app.state.process = await _started(service, resources, history, meters, stack)
                if views:
                    app.state.asking = await _asking(service.name, tokens, stack)
            except Misconfigured as reason:
                _leave(reason, EXIT_MISCONFIGURED)
            except Unavailable as reason:
                _leave(reason, EXIT_UNREACHABLE)
            yield

    def health() -> Health:
        found: Health = app.state.process.health()
        return found

    app = FastAPI(title=f"Houfu {service.name}", lifespan=lifespan)
    app.include_router(watching_pages(service.name, health, meters))
    app.add_middleware(CountedRequests, meters=meters)
    serve_views(app, views)
    return app


class Process:
    """The running parts of a service process."""

    def __init__(self, name: str, subscription: Subscription, watchdog: Watchdog) -> None:
        self.name = name
        self.subscription = subscription
        self.watchdog = watchdog

    def health(self) -> Health:
        """Database, line and progress as the subscription meets them, the broker as the watchdog does."""
        trouble = self.subscription.trouble or self.watchdog.trouble
        return Health.of(self.name, trouble, self.subscription.lanes, self.watchdog.lag)


async def _started(
    service: Service, resources: Resources, revisions: Path, meters: Meters, stack: AsyncExitStack
) -> Process:
    settings = read_settings(ServiceSettings)
    configure_logs(settings.log_level, service.name, settings.log_format)
    service.provide(Calendar(settings.zone, settings.calendar), *resources())
    missing = sorted(service.missing_resources())
    if missing:
        raise Misconfigured(f"nobody provides what a handler asks for: {'; '.join(missing)}")
    partitions = await _checked_topics(service, settings)
    database = await _checked_database(service, settings, revisions, stack)
    clock = clock_of(settings.clock, settings.kafka_bootstrap)
    await clock.start()
    stack.push_async_callback(clock.stop)
    stream = KafkaLog(settings.kafka_bootstrap)
    await stream.start()
    stack.push_async_callback(stream.stop)
    build = settings.build or digest_of_code(folder_of(service.name).rglob("*.py"))
    meters.set(metrics.BUILD, build, to=1)
    instruments = Instruments(meters, service)
    worker = Worker(
        service,
        database,
        stream,
        clock,
        partitions=partitions,
        breaker=Breaker(settings.breaker_keys, build),
        monitor=instruments,
        tracer=Traces.configured(service.name),
    )
    process = await _subscribed(service, settings, worker, stream, clock, instruments, stack)
    show_health(meters, process.health, process.watchdog)
    await _look_on(settings.dsn, service.name, clock, meters, stack)
    return process


async def _subscribed(
    service: Service,
    settings: ServiceSettings,
    worker: Worker,
    stream: KafkaLog,
    clock: SystemClock | FollowedClock,
    instruments: Instruments,
    stack: AsyncExitStack,
) -> Process:
    broker = KafkaBroker(
        settings.kafka_bootstrap,
        client_id=f"houfu-{service.name}",
        allow_auto_create_topics=False,
        logger=logging.getLogger("houfu.broker"),  # below "faststream" it would print in its own way
        log_level=logging.DEBUG,
    )
    subscription = Subscription(
        broker,
        worker,
        stream,
        topics=service.topics,
        group=f"houfu.{service.name}",
        records=settings.turn_records * TURNS_AT_ONCE,
        remembered=timedelta(days=settings.inbox_days),
        pause=clock.pause,
        monitor=instruments,
    )
    watchdog = Watchdog(
        settings.kafka_bootstrap,
        service.topics,
        lanes=lambda: subscription.lanes,
        positions=lambda: worker.positions,
        ended_at=lambda: subscription.ended_at,
        unheard_s=lambda: subscription.unheard_s,
        stall_s=settings.stall_s,
        stop_s=settings.stop_s,
    )
    stream.marks = watchdog.marks
    stack.callback(watchdog.stop)
    stack.push_async_callback(subscription.stop)
    stack.push_async_callback(broker.stop)
    await _join(broker)
    subscription.start()
    watchdog.start()
    _stop_in_time(watchdog)
    _spare_the_collector()
    log.info("service.started", topics=service.topics)
    return Process(service.name, subscription, watchdog)


async def _join(broker: KafkaBroker) -> None:
    """Join the group; the library would wait without end for a coordinator that does not answer, deaf to a stop."""
    try:
        async with asyncio.timeout(JOIN_TIMEOUT_S):
            await broker.start()
    except TimeoutError:
        reason = f"the group took no new member in {JOIN_TIMEOUT_S:.0f} s"
        raise Unavailable(f"HOUFU_KAFKA_BOOTSTRAP: {reason}") from None


async def _checked_topics(service: Service, settings: ServiceSettings) -> int:
    names = {*service.topics, f"{service.name}.events", f"{service.name}.dlq"}
    if settings.clock == "movable":
        names.add(CLOCK_TOPIC)
    try:
        return await verify_topics(settings.kafka_bootstrap, names)
    except TopicsUnfit as unfit:
        raise Misconfigured(str(unfit)) from unfit
    except Unavailable as silence:
        raise Unavailable(f"HOUFU_KAFKA_BOOTSTRAP: {silence}") from silence


async def _checked_database(
    service: Service, settings: ServiceSettings, revisions: Path, stack: AsyncExitStack
) -> PostgresDatabase:
    try:
        database = await PostgresDatabase.open(settings.dsn, service.name, pool_size=settings.pool_size)
        stack.push_async_callback(database.close)
        behind = missing(await applied_heads(database, service.name), folders([revisions]))
    except (SchemaBehind, MigrationRefused) as refusal:
        raise Misconfigured(f"HOUFU_DSN: the schema cannot be read: {refusal}") from refusal
    except Unavailable as silence:
        raise Unavailable(f"HOUFU_DSN: {silence}") from silence
    if behind:
        lacking = ", ".join(f"{revision}: {brings}" for revision, brings in behind)
        raise Misconfigured(f"the schema is behind ({lacking}): run 'houfu migrate'")
    async with database.connection("checking the schema") as connection:
        defects = await check_schema(connection, service.row_types)
    if defects:
        raise Misconfigured(f"the schema does not fit this build: {'; '.join(defects)}")
    return database


async def _asking(service_name: str, tokens: TokenVerifier, stack: AsyncExitStack) -> Asking:
    """What the views answer with: connections of their own, and the check of tokens."""
    settings = read_settings(ServiceSettings)
    questions = await PostgresQueries.open(settings.dsn, service_name)
    stack.push_async_callback(questions.close)
    if tokens.closed:
        log.warning("views.closed", reason="HOUFU_TOKEN_KEYS is not set: every view answers 401")
    return Asking(questions, tokens, settings.zone)


async def _look_on(
    dsn: str, service_name: str, clock: SystemClock | FollowedClock, meters: Meters, stack: AsyncExitStack
) -> None:
    """Look at the database for the gauges of the whole service, on a connection of their own."""
    questions = await PostgresQueries.open(dsn, service_name, at_once=1)
    stack.push_async_callback(questions.close)
    looking = asyncio.create_task(Snapshots(questions, clock, meters).take_for_ever(), name="look at the database")
    stack.callback(looking.cancel)


def _spare_the_collector() -> None:
    """A turn makes some hundred thousand objects and drops them together: looking for cycles meanwhile is in vain.

    Everything loaded so far stays for ever and is not looked at again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(200_000, 20, 50)


def _stop_in_time(watchdog: Watchdog) -> None:
    """When the process is told to stop, its stop time begins at once, before the server even looks."""
    for number in (signal.SIGTERM, signal.SIGINT):
        before = signal.getsignal(number)

        def tell(given: int, frame: FrameType | None, before: Any = before) -> None:
            watchdog.must_stop_soon()
            if callable(before):
                before(given, frame)

        signal.signal(number, tell)


def _leave(reason: Exception, code: int) -> NoReturn:
    """End the process with one line: there is nothing to run."""
    sys.stderr.write(f"houfu: {reason}\n")
    sys.stderr.flush()
    os._exit(code)
