"""Processes that run for as long as they are measured."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from shared.local.ports import free_port

__all__ = ["Command", "running"]

STOP_TIMEOUT_S = 30.0

Command = tuple[Sequence[str], Mapping[str, str]]
"""Its words, and what it finds in its environment beyond ours; ``{port}`` is filled in within both."""


@contextmanager
def running(commands: Iterable[Command], log: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Start them, all with their output in ``log``; told to stop when the block ends, and awaited."""
    processes: list[subprocess.Popen[bytes]] = []
    with log.open("wb") as output:
        try:
            for words, env in commands:
                port = str(free_port())
                argv = [word.replace("{port}", port) for word in words]
                filled = {name: value.replace("{port}", port) for name, value in env.items()}
                processes.append(
                    subprocess.Popen(argv, env={**os.environ, **filled}, stdout=output, stderr=subprocess.STDOUT)
                )
            yield processes
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                process.wait(STOP_TIMEOUT_S)
