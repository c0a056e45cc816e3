"""Whoever watches a process: told what its turns did, and asked to follow each message through it.

The engine knows no library of a monitoring system. A :class:`Monitor` is told in numbers, once a turn and never once a
message; a :class:`Tracer`, where there is one, is asked once a message. ``shared.operations`` has the real ones, a
world in memory counts with :class:`Tally` and traces nothing.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from shared.engine.ports import Held

__all__ = ["Driver", "Monitor", "Span", "Tally", "Tracer", "TurnReport", "Undone"]


class Driver(StrEnum):
    """What drives a turn."""

    RECORDS = "records"
    TIME = "time"


class Undone(StrEnum):
    """Why a turn was rolled back: nothing of it has happened."""

    UNAVAILABLE = "unavailable"
    """The broker or the database did not answer; the same records come again."""
    REFUSED = "refused"
    """The database refused data; the turn is taken again in parts, down to the message to blame."""
    STOPPED = "stopped"
    """Too many keys failed alike, or the line stood still already."""
    DEFECT = "defect"
    """Something raised what nobody foresaw."""


class Span(Protocol):
    """The handling of one message, as a trace shows it."""

    @property
    def traceparent(self) -> str | None:
        """The trace context of everything this message brings about."""

    def stop(self, outcome: str, *, failed: bool = False) -> None:
        """The handling has ended like this. Nobody is told before it counts."""

    def tell(self) -> None:
        """It counts: the turn is committed. A span that is never told is as if it had not been."""


class Tracer(Protocol):
    """Follows messages through a process. No method may raise or wait, of spans neither."""

    def begin(self, message_type: str, message_id: str, correlation_id: str, traceparent: str | None) -> Span:
        """The handling of a message begins; ``traceparent`` is the context it came with, if it has one."""


@dataclass(slots=True)
class TurnReport:
    """What one turn does, in numbers. It counts when the turn is committed, and not before."""

    driver: Driver
    records: int = 0
    """Records that had not been handled before."""
    oldest: datetime | None = None
    """Broker time of the first of them."""
    handled: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """Messages whose handler ran, however it ended, by wire type; deadlines by kind."""
    rejected: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """Commands answered with a rejection, by code."""
    dead: list[Held] = field(default_factory=list)
    """Messages put aside as dead letters."""
    waiting: int = 0
    """Events that must wait for the row they need."""
    repeated: int = 0
    """Messages whose id the inbox knew."""
    skipped: int = 0
    """Facts this service does not react to; those of a type this build does not know are ``unknown`` instead."""
    unknown: int = 0
    spans: list[Span] = field(default_factory=list)
    seconds: float = 0.0
    """How long it took until it was committed."""

    @property
    def came_up(self) -> int:
        """How many messages and deadlines came up."""
        return sum(self.handled.values()) + self.waiting

    def summed(self) -> dict[str, Any]:
        """The turn as one line of the log."""
        return {
            "driver": self.driver.value,
            "records": self.records,
            "handled": sum(self.handled.values()),
            "rejected": sum(self.rejected.values()),
            "dead": len(self.dead),
            "waiting": self.waiting,
            "repeated": self.repeated,
            "skipped": self.skipped + self.unknown,
            "seconds": round(self.seconds, 4),
        }


class Monitor(Protocol):
    """Counts what a process does. No method may raise or wait."""

    def turn_ended(self, report: TurnReport) -> None:
        """A turn is committed."""

    def turn_undone(self, why: Undone) -> None:
        """A turn is rolled back."""

    def published(self, messages: int, seconds: float) -> None:
        """The broker has acknowledged everything a turn had to publish."""

    def publishing_failed(self) -> None:
        """The broker did not acknowledge in time. The outbox keeps the messages, the producer is replaced."""

    def commit_failed(self) -> None:
        """The broker did not take the offsets."""


@dataclass(slots=True)
class Tally:
    """Counts in memory what a process has done since it started."""

    turns: int = 0
    handled: int = 0
    rejected: int = 0
    dead_letters: int = 0
    skipped: int = 0
    sent: int = 0
    unsent: int = 0
    uncommitted: int = 0
    undone: dict[Undone, int] = field(default_factory=lambda: defaultdict(int))

    def turn_ended(self, report: TurnReport) -> None:
        self.turns += 1
        self.handled += sum(report.handled.values())
        self.rejected += sum(report.rejected.values())
        self.dead_letters += len(report.dead)
        self.skipped += report.skipped + report.unknown

    def turn_undone(self, why: Undone) -> None:
        self.undone[why] += 1

    def published(self, messages: int, seconds: float) -> None:
        self.sent += messages

    def publishing_failed(self) -> None:
        self.unsent += 1

    def commit_failed(self) -> None:
        self.uncommitted += 1
