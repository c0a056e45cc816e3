"""One partition's work in flight: per key in order, across keys at once, offsets committed without gaps."""

from __future__ import annotations

import asyncio

__all__ = ["Lane"]


class Lane:
    """Keeps account of one partition's records from the moment they are read until their answers are acknowledged."""

    def __init__(self, first_offset: int) -> None:
        self._next_offset = first_offset
        self._open: dict[int, asyncio.Task[None]] = {}  # offsets ascend: a partition is read in order
        self._last_of_key: dict[bytes, int] = {}
        self._committed = first_offset

    @property
    def in_flight(self) -> int:
        return len(self._open)

    @property
    def tasks(self) -> tuple[asyncio.Task[None], ...]:
        return tuple(self._open.values())

    @property
    def next_offset(self) -> int:
        """Where to go on after a restart: everything below has been answered and acknowledged."""
        return next(iter(self._open), self._next_offset)

    @property
    def uncommitted(self) -> bool:
        return self.next_offset > self._committed

    def committed(self, next_offset: int) -> None:
        self._committed = max(self._committed, next_offset)

    def pass_over(self, offset: int) -> None:
        """A record that asks for nothing."""
        self._next_offset = offset + 1

    def before(self, key: bytes) -> asyncio.Task[None] | None:
        """The work of the same key that must end first, if there is some."""
        return self._open.get(self._last_of_key.get(key, -1))

    def begin(self, offset: int, key: bytes, work: asyncio.Task[None]) -> None:
        """``work`` on the record at ``offset`` has begun."""
        self._next_offset = offset + 1
        self._open[offset] = work
        self._last_of_key[key] = offset

    def end(self, offset: int, key: bytes) -> None:
        """Its answers are acknowledged, or it needs none."""
        del self._open[offset]
        if self._last_of_key.get(key) == offset:
            del self._last_of_key[key]
