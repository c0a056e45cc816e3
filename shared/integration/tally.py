"""What an adapter has done so far, as counters a monitor can read."""

from __future__ import annotations

from enum import StrEnum

from prometheus_client import CollectorRegistry, Counter, generate_latest

__all__ = ["Outcome", "Tally"]


class Outcome(StrEnum):
    """How the handling of one event ended."""

    ANSWERED = "answered"
    """Its commands are on their way (there may be none)."""
    SKIPPED = "skipped"
    """It could not be read."""
    FAILED = "failed"
    """The answer raised: nothing was sent, the asking service will ask again."""
    RETRIED = "retried"
    """The world outside did not answer: the same is tried again."""


class Tally:
    """Counts outcomes of one adapter."""

    def __init__(self, adapter: str) -> None:
        self._registry = CollectorRegistry()
        self._events = Counter(
            "houfu_adapter_events",
            "Events an adapter has dealt with, by outcome",
            ("adapter", "outcome"),
            registry=self._registry,
        )
        self._adapter = adapter
        for outcome in Outcome:
            self._events.labels(adapter, outcome.value)

    def count(self, outcome: Outcome) -> None:
        self._events.labels(self._adapter, outcome.value).inc()

    def of(self, outcome: Outcome) -> int:
        """How many events ended like this."""
        found = self._registry.get_sample_value(
            "houfu_adapter_events_total", {"adapter": self._adapter, "outcome": outcome.value}
        )
        return int(found or 0)

    def exposition(self) -> bytes:
        """The counters in the text format of Prometheus."""
        return generate_latest(self._registry)
