"""What operators and ``settled`` ask of a service's schema: read-only, one cheap look each."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from shared.engine.ports import Held, Line, Position, TopicPartition

__all__ = ["Inspection", "Standing"]


@dataclass(frozen=True, slots=True)
class Standing:
    """How one service stands at one instant, all facts out of one snapshot."""

    line: Line = field(default_factory=Line)
    positions: dict[TopicPartition, Position] = field(default_factory=dict)
    outbox_rows: int = 0
    """Turns whose messages may not have reached the log yet; 0 at rest."""
    earliest_due: datetime | None = None
    """When the next deadline of a key that is not parked comes due."""
    waiting: int = 0
    """Events that overtook the row they need."""
    dead_letters: int = 0
    parked_keys: int = 0


class Inspection(Protocol):
    """Questions about a schema, outside any turn. Every method may raise ``Unavailable``."""

    async def standing(self) -> Standing:
        """Everything ``houfu status`` and ``houfu settled`` need of a service, in one round trip."""

    async def next_due(self) -> datetime | None:
        """When the next deadline of a key that is not parked comes due."""

    async def dead_letters(self, limit: int, after: int = 0) -> list[Held]:
        """Dead letters in the order they came, at most ``limit``, those with a ``seq`` above ``after``."""

    async def dead_letter(self, seq: int) -> Held | None:
        """One dead letter."""
