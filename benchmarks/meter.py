"""How much CPU some sets of processes used between two instants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import psutil

__all__ = ["Meter"]


class Meter:
    """Reads the CPU seconds of named sets of processes, their children included, also those that have ended."""

    def __init__(self, pids: Mapping[str, Sequence[int]]) -> None:
        self._roots = {name: [psutil.Process(pid) for pid in of] for name, of in pids.items()}
        self._began = self._read()

    def used(self) -> dict[str, float]:
        """CPU seconds since the meter was made, by name."""
        now = self._read()
        return {name: now[name] - before for name, before in self._began.items()}

    def _read(self) -> dict[str, float]:
        return {name: sum(_spent(root) for root in roots) for name, roots in self._roots.items()}


def _spent(process: psutil.Process) -> float:
    """Of a process, of its children that it has seen end, and of those that run: a database has one a session."""
    times = process.cpu_times()
    total = times.user + times.system + times.children_user + times.children_system
    for child in process.children(recursive=True):
        try:
            mine = child.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += mine.user + mine.system
    return float(total)
