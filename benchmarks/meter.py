"""How much CPU some sets of processes used between two instants."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence

import psutil

__all__ = ["Meter"]


class Meter:
    """Reads the CPU seconds of named sets of processes, their children included, also those that have ended.

    The process itself may be among them; of it no children are counted.
    """

    def __init__(self, pids: Mapping[str, Sequence[int]]) -> None:
        self._roots = {name: [psutil.Process(pid) for pid in of] for name, of in pids.items()}
        self._began, self._machine_began, self._began_at = self._read(), _machine_s(), time.perf_counter()
        self.others = 0.0
        """The share of the machine, 0 to 1, that nobody named here used, from the start to the last reading."""

    def used(self) -> dict[str, float]:
        """CPU seconds since the meter was made, by name."""
        now, machine_s = self._read(), _machine_s() - self._machine_began
        used = {name: now[name] - before for name, before in self._began.items()}
        capacity_s = (time.perf_counter() - self._began_at) * (psutil.cpu_count() or 1)
        self.others = max(0.0, machine_s - sum(used.values())) / capacity_s
        return used

    def _read(self) -> dict[str, float]:
        return {name: sum(_spent(root) for root in roots) for name, roots in self._roots.items()}


def _machine_s() -> float:
    """CPU seconds of the whole machine so far, those taken by its host included."""
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - times.iowait - times.guest - times.guest_nice)


def _spent(process: psutil.Process) -> float:
    """Of a process, of its children that it has seen end, and of those that run: a database has one a session."""
    times = process.cpu_times()
    total = times.user + times.system
    if process.pid == os.getpid():
        return float(total)
    total += times.children_user + times.children_system
    for child in process.children(recursive=True):
        try:
            mine = child.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += mine.user + mine.system
    return float(total)
