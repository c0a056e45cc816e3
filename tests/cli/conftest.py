"""A sandbox started by the command line itself, once for all tests of the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

START_TIMEOUT_S = 180


@dataclass(frozen=True)
class Houfu:
    """The ``houfu`` command for one data directory."""

    data_dir: Path

    def __call__(
        self, *words: str, given: str | None = None, timeout_s: float = 120
    ) -> subprocess.CompletedProcess[str]:
        ours = {name: value for name, value in os.environ.items() if not name.startswith("HOUFU_")}
        return subprocess.run(
            [sys.executable, "-m", "shared.cli.main", *words],
            env={**ours, "HOUFU_DATA_DIR": str(self.data_dir)},
            input=given,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def json(self, *words: str, given: str | None = None) -> Any:
        """What a successful command wrote for programs."""
        done = self(*words, "--json", given=given)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture(scope="package")
def houfu(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Houfu]:
    """A running sandbox, Monday 1 March 2027 in the morning, two replicas of billing."""
    command = Houfu(tmp_path_factory.mktemp("sandbox"))
    moment = ("--clock", "movable", "--start", "2027-03-01T09:00+08:00", "--calendar", "CN-WEEKENDS")
    started = command("up", "--detach", *moment, "--scale", "billing=2", timeout_s=START_TIMEOUT_S)
    assert started.returncode == 0, started.stderr
    try:
        yield command
    finally:
        stopped = command("down")
        assert stopped.stdout.strip() == "stopped"
