"""Lets consumers read records whose headers have names that are no text.

The broker takes such names, as clients in some languages write them, and the client library gives up on the partition
for good: one record would stop every reader of its topic. Here the batch is read again, the garbled bytes replaced;
a header of such a name means nothing to anybody.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import MemoryRecords, _MemoryRecordsPy

__all__ = ["read_garbled_names"]


def read_garbled_names() -> None:
    """From now on every consumer of this process reads them."""
    fetcher.MemoryRecords = _Records


class _Records:
    """The batches of one answer of the broker, as the library's own class hands them out."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._records = MemoryRecords(answer)
        self._handed_out = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._records, name)

    def next_batch(self) -> Any:
        batch = self._records.next_batch()
        self._handed_out += 1
        return None if batch is None else _Batch(batch, self._answer, self._handed_out - 1)


class _Batch:
    """One batch; its records are read by the library's fast reader, and by its slow one where that gives up."""

    def __init__(self, batch: Any, answer: bytes, place: int) -> None:
        self._batch = batch
        self._answer = answer
        self._place = place

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __iter__(self) -> Iterator[Any]:
        try:
            return iter(list(self._batch))
        except UnicodeDecodeError:
            return iter(_LenientBatch(self._slice()))

    def __next__(self) -> Any:
        return next(self._batch)

    def _slice(self) -> memoryview:
        records = _MemoryRecordsPy(self._answer)
        for _ in range(self._place):
            records.next_batch()
        found: memoryview = records._next_slice
        return found


class _LenientBatch(_DefaultRecordBatchPy):  # type: ignore[misc]
    def __iter__(self) -> _LenientBatch:
        self._maybe_uncompress()
        self._buffer = _Lenient(self._buffer)  # type: ignore[has-type]
        return self


class _Lenient(bytearray):
    """Bytes whose parts become text whatever they hold."""

    def __getitem__(self, index: Any) -> Any:
        found = super().__getitem__(index)
        return _Lenient(found) if isinstance(index, slice) else found

    def decode(self, encoding: str = "utf-8", errors: str = "replace") -> str:
        return super().decode(encoding, "replace")
