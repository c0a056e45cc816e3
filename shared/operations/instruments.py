"""The meters of a running process: what a service's turns report, added when they have ended, and how it stands."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from shared.drivers.watchdog import Watchdog
from shared.engine.monitor import Driver, TurnReport, Undone
from shared.engine.service import Service
from shared.engine.vocabulary import Due
from shared.operations import metrics
from shared.operations.health import Health
from shared.operations.meters import Meters

__all__ = ["Instruments", "show_health"]


class Instruments:
    """Counts what a service does. Implements ``shared.engine.monitor.Monitor``."""

    def __init__(self, meters: Meters, service: Service) -> None:
        self._meters = meters
        for handler in service.handlers:  # every type it reacts to begins at 0
            kind = handler.message
            meters.count(metrics.HANDLED, kind.KIND if issubclass(kind, Due) else kind.TYPE, by=0)

    def turn_ended(self, report: TurnReport) -> None:
        meters = self._meters
        meters.observe(metrics.TURN_SECONDS, report.driver, value=report.seconds)
        if report.driver is Driver.RECORDS:
            meters.observe(metrics.TURN_RECORDS, value=report.records)
        if report.oldest is not None:
            age_s = (datetime.now(UTC) - report.oldest).total_seconds()
            meters.observe(metrics.RECORD_AGE, value=max(0.0, age_s))
        for kind, number in report.handled.items():
            meters.count(metrics.HANDLED, kind, by=number)
        for code, number in report.rejected.items():
            meters.count(metrics.REJECTED, code, by=number)
        for dead in report.dead:
            meters.count(metrics.DEAD_LETTERS, dead.reason)
        if report.waiting:
            meters.count(metrics.WAITED, by=report.waiting)
        if report.repeated:
            meters.count(metrics.REPEATED, by=report.repeated)
        if report.skipped:
            meters.count(metrics.SKIPPED, "yes", by=report.skipped)
        if report.unknown:
            meters.count(metrics.SKIPPED, "no", by=report.unknown)

    def turn_undone(self, why: Undone) -> None:
        self._meters.count(metrics.TURNS_UNDONE, why)

    def published(self, messages: int, seconds: float) -> None:
        self._meters.count(metrics.PUBLISHED, by=messages)
        self._meters.observe(metrics.PUBLISH_SECONDS, value=seconds)

    def publishing_failed(self) -> None:
        self._meters.count(metrics.PUBLISH_FAILURES)

    def commit_failed(self) -> None:
        self._meters.count(metrics.COMMIT_FAILURES)


def show_health(meters: Meters, health: Callable[[], Health], watchdog: Watchdog) -> None:
    """From now on every scrape shows how a process, service or adapter, stands at that moment."""

    def look() -> None:
        found = health()
        meters.set(metrics.READY, to=found.ready)
        meters.set(metrics.LANES, to=len(found.lanes))
        meters.set(metrics.WATCHDOG_BLIND, to=watchdog.blind)
        meters.set(metrics.STALLED, to=watchdog.silent_s)
        for topic, unread in (watchdog.lags or {}).items():
            meters.set(metrics.LAG, topic, to=unread)

    meters.before_scrape(look)
