"""Where the CPU time of Houfu's own service goes, step by step of a turn."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from benchmarks import sampled
from benchmarks.stage import Stage

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


async def shares(stage: Stage, samples: Path, *, warm: int, orders: int) -> dict[str, float]:
    """The share of the service's CPU, 0 to 1, by step, over a run under the sampler."""
    python, _, *argv = stage.billing.argv
    command = (python, "-m", sampled.__name__, *argv)
    await stage.measure(command, warm=warm, orders=orders, env={sampled.FILE: str(samples)})
    counts = json.loads(await asyncio.to_thread(samples.read_text, "utf-8"))
    total = sum(count for step, count in counts.items() if step in EXPLAINED)
    return {step: round(counts.get(step, 0) / total, 3) for step in EXPLAINED}
