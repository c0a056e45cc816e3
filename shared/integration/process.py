"""The process an adapter runs in: ``main(adapter)`` is all that its module calls.

``provide`` makes what the answers ask for once the settings are known. Where that is an asynchronous context manager,
it is entered before the first answer and left after the last::

    sys.exit(main(smtp, provide=lambda settings: Mail(read_settings(SmtpSettings))))

Settings come from the environment, the command line says where to start without a memory: ``--from beginning|end``.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path
from typing import Any, Literal

import structlog
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.drivers.clock import clock_of
from shared.drivers.kafka import KafkaLog
from shared.drivers.topics import TopicsUnfit, verify_topics
from shared.drivers.watchdog import Watchdog
from shared.engine.ports import Unavailable
from shared.integration.adapter import Adapter, AdapterInvalid
from shared.integration.answering import Answering
from shared.integration.health import serve_health
from shared.integration.offsets import Start, StartUnknown, remember_start
from shared.integration.runner import AdapterLost, Runner
from shared.operations import metrics
from shared.operations.builds import digest_of_code
from shared.operations.health import Health
from shared.operations.instruments import show_health
from shared.operations.logs import LogFormat, configure_logs
from shared.operations.settings import EXIT_MISCONFIGURED, EXIT_UNREACHABLE, Misconfigured, read_settings
from shared.operations.traces import Traces

__all__ = ["AdapterSettings", "main", "run_adapter"]

log: Any = structlog.get_logger(__name__)


class AdapterSettings(BaseSettings):
    """What an adapter's process is told by its environment."""

    model_config = SettingsConfigDict(env_prefix="HOUFU_", frozen=True, extra="ignore")

    kafka_bootstrap: str = Field(min_length=1, description="Kafka bootstrap servers, host:port[,host:port]")
    clock: Literal["system", "movable"] = Field(default="system", description="Where business time comes from (T-6)")
    zone: str = Field(default="Asia/Shanghai", description="The tenant's time zone (T-2)")
    host: str = Field(default="127.0.0.1", description="HTTP address for health and metrics; 0.0.0.0: every one")
    port: int = Field(default=0, ge=0, le=65535, description="HTTP port for health and metrics; 0: a free one")
    at_once: int = Field(default=32, ge=1, le=10_000, description="Answers at work at the same time")
    stall_s: float = Field(
        default=30, ge=5, le=600, description="With lag and no attempt ended for this long the process exits"
    )
    stop_s: float = Field(default=15, ge=10, le=120, description="Longest time a stop may take")
    build: str = Field(default="", description="Names this build. Default: a digest of the code")
    log_level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="Least level logged")
    log_format: LogFormat = Field(
        default="", description="How a line of the log looks. Default: console on a terminal, json elsewhere"
    )


async def run_adapter(adapter: Adapter, settings: AdapterSettings, start: Start | None, stop: asyncio.Event) -> None:
    """Run one process of ``adapter`` until ``stop`` is set.

    Raises what makes a start impossible: :class:`Unavailable`, :class:`TopicsUnfit`, :class:`StartUnknown`,
    :class:`AdapterInvalid`; and :class:`AdapterLost` where it cannot go on by itself.
    """
    adapter.check()
    bootstrap = settings.kafka_bootstrap
    partitions = await verify_topics(bootstrap, adapter.topics)
    await remember_start(bootstrap, adapter.name, adapter.topics, start)
    clock = clock_of(settings.clock, bootstrap)
    await clock.start()
    target = KafkaLog(bootstrap)
    try:
        answering = Answering(
            adapter,
            clock=clock,
            partitions=partitions,
            at_once=settings.at_once,
            traces=Traces.configured(adapter.name),
        )
        runner = Runner(adapter.name, adapter.topics, bootstrap, answering, target)
        await _watched(adapter, runner, answering, settings, stop)
    finally:
        await target.stop()
        await clock.stop()
    log.info("adapter.stopped")


async def _watched(
    adapter: Adapter, runner: Runner, answering: Answering, settings: AdapterSettings, stop: asyncio.Event
) -> None:
    """Run under a watchdog that ends a process which has silently stopped working, or does not stop in time."""
    watchdog = Watchdog(
        settings.kafka_bootstrap,
        adapter.topics,
        runner.owned_lanes,
        runner.positions,
        lambda: answering.ended_at,
        stall_s=settings.stall_s,
        stop_s=settings.stop_s - 1,
    )

    def health() -> Health:
        return Health.of(adapter.name, runner.trouble or watchdog.trouble, runner.lanes, watchdog.lag)

    meters = answering.tally.meters
    meters.set(metrics.BUILD, settings.build or _build_of(adapter), to=1)
    meters.before_scrape(lambda: meters.set(metrics.IN_FLIGHT, to=runner.in_flight))
    show_health(meters, health, watchdog)
    watchdog.start()
    limited = asyncio.create_task(_limit(stop, watchdog))
    try:
        async with serve_health(settings.host, settings.port, health, meters) as port:
            log.info("adapter.started", port=port, topics=adapter.topics)
            await runner.run(stop)
    finally:
        limited.cancel()
        watchdog.stop()


def _build_of(adapter: Adapter) -> str:
    """Of the kit and of what lies beside the adapter's answers."""
    return digest_of_code(Path(sys.modules[adapter.module].__file__ or "").parent.glob("*.py"))


async def _limit(stop: asyncio.Event, watchdog: Watchdog) -> None:
    await stop.wait()
    watchdog.must_stop_soon()


def main(
    adapter: Adapter,
    argv: Sequence[str] | None = None,
    *,
    provide: Callable[[AdapterSettings], object] | None = None,
) -> int:
    """Run ``adapter`` as a process of its own; returns the exit code."""
    parser = argparse.ArgumentParser(prog=adapter.name, description=f"The adapter {adapter.name}.")
    parser.add_argument(
        "--from", dest="start", type=Start, choices=list(Start), help="where to begin where no offsets were committed"
    )
    start = parser.parse_args(argv).start
    try:
        settings = read_settings(AdapterSettings)
        configure_logs(settings.log_level, adapter.name, settings.log_format)
        resource = provide(settings) if provide is not None else None
        asyncio.run(_until_told(adapter, settings, start, resource))
    except (AdapterInvalid, LookupError, Misconfigured, StartUnknown, TopicsUnfit) as reason:
        return _ended(adapter, reason, EXIT_MISCONFIGURED)
    except (AdapterLost, Unavailable, OSError) as reason:
        return _ended(adapter, reason, EXIT_UNREACHABLE)
    return 0


async def _until_told(
    adapter: Adapter, settings: AdapterSettings, start: Start | None, resource: object | None
) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with AsyncExitStack() as opened:
        if isinstance(resource, AbstractAsyncContextManager):
            resource = await opened.enter_async_context(resource)
        if resource is not None:
            adapter.provide(resource)
        await run_adapter(adapter, settings, start, stop)


def _ended(adapter: Adapter, reason: Exception, code: int) -> int:
    sys.stderr.write(f"{adapter.name}: {reason}\n")
    return code
