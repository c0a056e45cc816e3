"""Where the CPU time of Houfu's own service goes, step by step of a turn."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from benchmarks import sampled

__all__ = ["EXPLAINED", "shares"]

EXPLAINED = {
    "read": "fetching, FastStream, which records follow",
    "decode": "envelopes, bodies, digests",
    "load": "fence, positions, inbox, what the keys hold, rows",
    "handlers": "rules, new rows, events as pydantic models",
    "engine": "arguments, judging, ids, envelopes of what goes out, deadlines, working set",
    "save": "columns as literals, statements, outbox",
    "publish": "batches, compression, acknowledgements",
    "loop": "the event loop and the clients' own code without Python frames",
}
"""The steps in the order of a turn, and what is in each."""


Run = Callable[[Sequence[str], Mapping[str, str]], Awaitable[object]]
"""Lets a command, with something more in its environment, do what is looked at."""


async def shares(argv: Sequence[str], samples: Path, run: Run) -> dict[str, float]:
    """The share of the service's CPU, 0 to 1, by step, over a run of ``argv`` under the sampler."""
    python, _, *module = argv
    await run((python, "-m", sampled.__name__, *module), {sampled.FILE: str(samples)})
    counts = json.loads(await asyncio.to_thread(samples.read_text, "utf-8"))
    total = sum(count for step, count in counts.items() if step in EXPLAINED)
    return {step: round(counts.get(step, 0) / total, 3) for step in EXPLAINED}
