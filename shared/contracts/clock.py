"""The movable business clock of a sandbox (T-6). In production nothing is written here."""

from __future__ import annotations

from pydantic import Field

from shared.contracts.fields import Instant
from shared.contracts.message import Event

__all__ = ["CLOCK_KEY", "CLOCK_TOPIC", "BusinessTimeAdvanced"]

CLOCK_TOPIC = "houfu.clock"
CLOCK_KEY = "clock"


class BusinessTimeAdvanced(Event, service="houfu", subject="clock", key="clock"):
    """The sandbox's business time stands at ``now`` until the next advance. Written by the test operator only."""

    clock: str = Field(default=CLOCK_KEY, description="Always 'clock'")
    now: Instant = Field(description="The business time from here on")

    @classmethod
    def topic(cls) -> str:
        return CLOCK_TOPIC
