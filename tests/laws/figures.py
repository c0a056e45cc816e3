"""What the laws measured on their way: told at the end of the run, and kept for whoever compares runs.

Where the tests run side by side each process measures its own; whoever started them adds it up.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["KEPT", "Figures"]

KEPT = Path("build/laws.json")
"""Where the figures of the last run stand, under the root of the tests."""


class Figures:
    """Figures by what they are figures of, such as ``{"the broker was killed": {"recovery_s": [2.1, 3.4]}}``."""

    def __init__(self) -> None:
        self.found: dict[str, dict[str, Any]] = {}

    def note(self, what: str, **figures: Any) -> None:
        """Keep figures (JSON; units last in their names) of what was done; a second note adds to the first."""
        self.found.setdefault(what, {}).update(figures)

    def add(self, found: dict[str, dict[str, Any]]) -> None:
        """Add what another process has found."""
        for what, figures in found.items():
            self.note(what, **figures)

    def lines(self) -> list[str]:
        """The figures for people, one line each."""
        return [f"{what}: {_sentence(figures)}" for what, figures in self.found.items()]

    def keep(self, root: Path) -> None:
        """Write them where :data:`KEPT` says; what laws measured that did not run this time stays there."""
        file = root / KEPT
        file.parent.mkdir(exist_ok=True)
        before = json.loads(file.read_text()) if file.exists() else {}
        file.write_text(json.dumps(before | self.found, indent=2) + "\n")


def _sentence(figures: dict[str, Any]) -> str:
    return ", ".join(f"{name} {_short(value)}" for name, value in figures.items())


def _short(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_short, value))}]"
    return f"{value:.2f}" if isinstance(value, float) else str(value)
