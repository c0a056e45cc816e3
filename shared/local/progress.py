"""What a start or stop tells whoever watches it, such as the live display of ``houfu up``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

__all__ = ["Progress", "Stage", "Watch", "unwatched"]


class Stage(StrEnum):
    """Where one part of the system stands."""

    FETCHING = "fetching"
    PREPARING = "preparing"
    STARTING = "starting"
    READY = "ready"
    RESTARTING = "restarting"
    STOPPING = "stopping"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Progress:
    """One step of one part (``kafka``, ``postgres``, ``billing-1``); ``done`` of ``total`` where work is countable."""

    part: str
    stage: Stage
    detail: str = ""
    done: int = 0
    total: int = 0


Watch: TypeAlias = Callable[[Progress], None]


def unwatched(_: Progress) -> None:
    """The watcher that looks away."""
