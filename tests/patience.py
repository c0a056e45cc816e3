"""Waiting for what must happen, without sleeping for a guessed time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

__all__ = ["PATIENCE_S", "eventually"]

PATIENCE_S = 60.0
"""Longest wait for anything that must happen; how long it takes is not what is tested."""


async def eventually(condition: Callable[[], Any], within_s: float = PATIENCE_S) -> Any:
    """What ``condition`` (awaited where it must be) says as soon as it says anything true."""
    until = time.monotonic() + within_s
    while True:
        said = condition()
        said = await said if asyncio.iscoroutine(said) else said
        if said:
            return said
        assert time.monotonic() < until, "it did not happen in time"
        await asyncio.sleep(0.05)
