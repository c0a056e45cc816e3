"""What an adapter has done so far, on the meters of the catalogue."""

from __future__ import annotations

from enum import StrEnum

from shared.operations import metrics
from shared.operations.meters import Meters
from shared.operations.metrics import Of

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
    """Counts for one adapter."""

    def __init__(self, adapter: str) -> None:
        self.meters = Meters(Of.ADAPTER, adapter)

    def count(self, outcome: Outcome) -> None:
        """An event could not be read, or an attempt ended like this."""
        self.meters.count(metrics.ADAPTER_EVENTS, outcome)

    def tried(self, outcome: Outcome, seconds: float) -> None:
        """An attempt to answer ended like this after so long."""
        self.count(outcome)
        self.meters.observe(metrics.ATTEMPT_SECONDS, outcome, value=seconds)

    def unsent(self) -> None:
        """The broker did not acknowledge commands."""
        self.meters.count(metrics.PUBLISH_FAILURES)

    def uncommitted(self) -> None:
        """The broker did not take the offsets."""
        self.meters.count(metrics.COMMIT_FAILURES)

    def of(self, outcome: Outcome) -> int:
        """How many events ended like this."""
        return int(self.meters.value(metrics.ADAPTER_EVENTS, outcome))
