"""The movable business clock of a sandbox (T-6). In production nothing is written here."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from shared.contracts.fields import Instant, example
from shared.contracts.message import Event

__all__ = ["CLOCK_KEY", "CLOCK_TOPIC", "BusinessTimeAdvanced"]

CLOCK_TOPIC = "houfu.clock"
CLOCK_KEY = "clock"


class BusinessTimeAdvanced(Event, service="clock", key="clock"):
    """The sandbox's business time stands at ``now`` until the next advance. Written by the test operator only."""

    model_config = example(clock=CLOCK_KEY, now="2027-03-31T16:00:00Z")

    clock: Literal["clock"] = Field(default="clock", description="Always 'clock'")
    now: Instant = Field(description="The business time from here on")

    @classmethod
    def topic(cls) -> str:
        return CLOCK_TOPIC
