"""A bad deploy must stop the line instead of draining the topic into the dead letters.

One mistake in code or schema fails for many buyers in the same way. A *fingerprint* says which way: where a handler
raised, or what the database refused. Once enough distinct keys failed alike, the turn that noticed rolls back whole
and the line stops, in all replicas and over restarts, until an operator resumes it or another build starts.
"""

from __future__ import annotations

import traceback
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePath

from shared.engine.ports import DataRefused, Line, Transaction

__all__ = ["Breaker", "LineStopped", "Tripped", "explain", "fingerprint", "kind_and_place"]


class Tripped(Exception):
    """Too many keys failed alike; the turn must not be saved."""

    def __init__(self, fingerprint: str, keys: int) -> None:
        super().__init__(f"{keys} keys failed alike: {fingerprint}")


class LineStopped(Exception):
    """The line stands; nothing is handled until it is resumed."""


@dataclass(frozen=True, slots=True)
class Breaker:
    """Stops the line at ``keys`` distinct keys with one fingerprint since it last ran. ``build`` names this build."""

    keys: int
    build: str

    async def watch(self, failures: Iterable[tuple[str, str]], line: Line, transaction: Transaction) -> None:
        """Look at the (fingerprint, key) pairs of a turn's failures; raises :class:`Tripped`."""
        by_fingerprint: dict[str, set[str]] = defaultdict(set)
        for mark, key in failures:
            by_fingerprint[mark].add(key)
        for mark, keys in by_fingerprint.items():
            failing = len(keys) + await transaction.failing(mark, line.resumed_at)
            if failing >= self.keys:
                raise Tripped(mark, failing)

    def stopped(self, reason: str, at: datetime) -> Line:
        """The line as it stands after a trip."""
        return Line(stopped=True, reason=reason, build=self.build, since=at)

    def stands(self, line: Line) -> bool:
        """Whether this build must not move the line; another build than the one that failed may."""
        return line.stopped and line.build == self.build


def fingerprint(error: BaseException, handler: str) -> str:
    """What failures with one cause have in common: the handler, the kind of error and the place it came from."""
    if isinstance(error, DataRefused):
        return f"{handler}: refused: {error}"[:300]
    return f"{handler}: {kind_and_place(error)}"[:300]


def kind_and_place(error: BaseException) -> str:
    """What raised it and where. What it says is left out: it may quote anything (law 8)."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {PurePath(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{place}"


def explain(error: BaseException) -> str:
    """Why a handler failed, for the operator: error and the innermost frames, without the values it held."""
    frames = traceback.extract_tb(error.__traceback__)[-4:]
    places = [f"{PurePath(frame.filename).name}:{frame.lineno} in {frame.name}" for frame in frames]
    return _storable(f"{type(error).__name__}: {error}\n" + "\n".join(places))


def _storable(text: str) -> str:
    """What an exception says may quote anything; a dead letter must be storable whatever killed it."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()
