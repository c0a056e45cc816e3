"""The live display of a start: one line a part, with its stage and, where the work is countable, how far it is."""

from __future__ import annotations

import json
import sys
import threading
from dataclasses import asdict
from types import TracebackType
from typing import Self

from rich.live import Live
from rich.table import Table
from rich.text import Text

from shared.cli.console import err
from shared.local.progress import Progress, Stage

__all__ = ["Display", "progress_line", "progress_of"]

_LOOKS = {
    Stage.FETCHING: ("↓", "yellow"),
    Stage.PREPARING: ("…", "yellow"),
    Stage.STARTING: ("…", "yellow"),
    Stage.READY: ("✓", "green"),
    Stage.RESTARTING: ("↻", "red"),
    Stage.STOPPING: ("…", "dim"),
    Stage.STOPPED: ("·", "dim"),
}


class Display:
    """Follows progress on the terminal; where there is none, it writes a line whenever a stage changes."""

    def __init__(self) -> None:
        self._steps: dict[str, Progress] = {}
        self._lock = threading.Lock()
        self._live: Live | None = None

    def __enter__(self) -> Self:
        if err.is_terminal:
            self._live = Live(console=err, refresh_per_second=8, get_renderable=self._table)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.finish()

    def finish(self) -> None:
        """Leave the last picture standing; what comes later is told in lines."""
        live, self._live = self._live, None
        if live is not None:
            live.stop()

    def watch(self, step: Progress) -> None:
        """Take note of one step; may be called from any thread."""
        with self._lock:
            before = self._steps.get(step.part)
            self._steps[step.part] = step
        if self._live is None and (before is None or before.stage is not step.stage):
            err.print(_line(step))

    def _table(self) -> Table:
        table = Table.grid(padding=(0, 2))
        with self._lock:
            for step in self._steps.values():
                table.add_row(_line(step))
        return table


def _line(step: Progress) -> Text:
    sign, colour = _LOOKS[step.stage]
    text = Text.assemble((f"{sign} ", colour), (f"{step.part:<20}", "bold"), (f"{step.stage:<11}", colour))
    if step.total:
        filled = round(20 * step.done / step.total)
        text.append("━" * filled, "green").append("━" * (20 - filled), "dim").append(f" {step.done}/{step.total}  ")
    return text.append(step.detail, "dim")


def progress_line(step: Progress) -> None:
    """Tell a watching process of one step: a JSON line on standard output."""
    sys.stdout.write(json.dumps(asdict(step)) + "\n")
    sys.stdout.flush()


def progress_of(line: str) -> Progress | None:
    """The step a JSON line tells of; None for any other line."""
    try:
        told = json.loads(line)
        return Progress(**{**told, "stage": Stage(told["stage"])})
    except (ValueError, TypeError, KeyError):
        return None
