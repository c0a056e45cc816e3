"""``python -m benchmarks.sampled MODULE [argument ...]``: run a module and tell where its CPU time went.

A thousand times a CPU second the stack of the main thread is looked at and counted under the step of a turn it belongs
to. The counts are written as JSON to the file that ``BENCHMARK_SAMPLES`` names when the process ends.
"""

from __future__ import annotations

import json
import os
import runpy
import signal
import sys
from collections import Counter
from pathlib import Path
from types import FrameType

__all__ = ["AROUND", "FILE", "STEPS", "main", "step_of"]

FILE = "BENCHMARK_SAMPLES"
EVERY_S = 0.001

STEPS = {
    "decode": [("shared/engine/intake.py", "")],
    "load": [
        ("shared/engine/run.py", "prepare"),
        ("shared/engine/turn.py", "_open"),
        ("shared/engine/turn.py", "_admit"),
        ("shared/drivers/postgres.py", "turn"),
    ],
    "handlers": [("shared/engine/reaction.py", "react")],
    "save": [("shared/engine/run.py", "changes"), ("shared/drivers/postgres.py", "")],
    "publish": [("shared/drivers/kafka.py", ""), ("aiokafka/producer/", "")],
}
"""By step, where in the code it is: part of a file's name, and a function's (any of the file's if empty)."""

AROUND = {
    "engine": [("shared/engine/", "")],
    "read": [("shared/drivers/subscription.py", ""), ("aiokafka/", ""), ("faststream/", "")],
}
"""What goes on around them."""

_places: dict[tuple[str, str], str | None] = {}


def step_of(frame: FrameType | None) -> str:
    """The step a stack belongs to, by its outermost frame in one, else by its innermost around one.

    ``start`` while modules are imported, ``loop`` where nothing is ours.
    """
    step = around = None
    while frame is not None:
        found = _step_at(frame.f_code.co_filename, frame.f_code.co_name)
        if found == "start":
            return found
        if found in STEPS:
            step = found
        around = around or found
        frame = frame.f_back
    return step or around or "loop"


def _step_at(file: str, function: str) -> str | None:
    place = file, function
    if place not in _places:
        _places[place] = _looked_up(file, function)
    return _places[place]


def _looked_up(file: str, function: str) -> str | None:
    if "importlib" in file:
        return "start"
    for step, places in {**STEPS, **AROUND}.items():
        if any(part in file and named in ("", function) for part, named in places):
            return step
    return None


def main() -> None:
    """Run the module named by the arguments under the sampler."""
    counts: Counter[str] = Counter()

    def look(_: int, frame: FrameType | None) -> None:
        counts[step_of(frame)] += 1

    def tell(*_: object) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        Path(os.environ[FILE]).write_text(json.dumps(counts), "utf-8")
        os._exit(0)

    signal.signal(signal.SIGTERM, tell)  # a server hands the signal on when it has stopped
    signal.signal(signal.SIGPROF, look)
    signal.siginterrupt(signal.SIGPROF, False)
    signal.setitimer(signal.ITIMER_PROF, EVERY_S, EVERY_S)
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
