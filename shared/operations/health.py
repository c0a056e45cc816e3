"""What a process says of its health: the same few fields of every service and every adapter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Health", "Liveness"]


@dataclass(frozen=True, slots=True)
class Liveness:
    """The process runs and its event loop turns; otherwise nobody would say so."""

    service: str
    live: bool = True


@dataclass(frozen=True, slots=True)
class Health:
    """Whether a process does its share of the work. A service is ready while broker and database answer and it gets on.

    ``trouble`` says in a sentence why it does not; ``lag`` counts records unread on its ``lanes``, None before the
    first look.
    """

    service: str
    ready: bool
    trouble: str | None
    lanes: Sequence[int]
    lag: int | None

    @classmethod
    def of(cls, service: str, trouble: str | None, lanes: Sequence[int], lag: int | None) -> Health:
        return cls(service, trouble is None, trouble, lanes, lag)
