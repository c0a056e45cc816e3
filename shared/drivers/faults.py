"""Where the in-memory drivers can be made to fail: the points at which the real world does."""

from __future__ import annotations

from collections import defaultdict, deque
from enum import StrEnum

__all__ = ["Faults", "Point"]


class Point(StrEnum):
    """A step of the world's at which it may fail; ``…ED`` is after the step took place: only its answer is lost."""

    BEGIN = "BEGIN"
    FENCE = "FENCE"
    READ = "READ"
    """Positions, outbox, inbox, held messages."""
    LOAD = "LOAD"
    SAVE = "SAVE"
    COMMIT = "COMMIT"
    COMMITTED = "COMMITTED"
    MARK = "MARK"
    """Attempts, the line, operators' words, pruning."""
    PUBLISH = "PUBLISH"
    APPEND = "APPEND"
    PUBLISHED = "PUBLISHED"


class Faults:
    """Failures to come. A simulator overrides :meth:`at` and decides by its seed, or only lets others run there."""

    def __init__(self) -> None:
        self._next: defaultdict[Point, deque[BaseException | None]] = defaultdict(deque)

    def fail_next(self, point: Point, *failures: BaseException | None) -> None:
        """The next passages of ``point`` raise these, one each; None lets one pass."""
        self._next[point].extend(failures)

    async def at(self, point: Point) -> None:
        """The world passes ``point``."""
        failures = self._next[point]
        if failures and (failure := failures.popleft()) is not None:
            raise failure
