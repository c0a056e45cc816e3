"""Headers whose names are no text: the library gives up on them, ours (``shared/drivers/lenient.py``) does not.

Ours lies over names that are private to aiokafka 0.14; each of them is used here, for every way a batch may be packed.
"""

from __future__ import annotations

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka import TopicPartition as KafkaPartition
from aiokafka.consumer import fetcher
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy
from aiokafka.record.memory_records import MemoryRecords

from shared.drivers.observer import groupless_consumer
from tests.engine.library_assumptions.probe import Probe

KINDS = {"plain": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}


class Garbled(str):
    """A name as a client in another language may write it."""

    __slots__ = ()

    def encode(self, *_: str) -> bytes:
        return b"gar\xffbled"


def batch(name: str, *values: bytes, kind: int = 0) -> bytes:
    """One batch of the wire whose records have a header of this name."""
    options = {"is_transactional": 0, "producer_id": -1, "producer_epoch": -1, "base_sequence": -1}
    builder = _DefaultRecordBatchBuilderPy(2, kind, batch_size=1024**2, **options)
    for offset, value in enumerate(values):
        builder.append(offset, None, b"key", value, [(name, b"1"), ("ce_id", b"2")])
    return bytes(builder.build())


def read(records: MemoryRecords) -> list[tuple[bytes, list[str]]]:
    """Of every record its value, and the names of its headers."""
    found = []
    while records.has_next():
        found += [(one.value, [name for name, _ in one.headers]) for one in records.next_batch()]
    return found


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_the_reader_gives_up_at_a_name_that_is_no_text_and_ours_reads_every_batch(kind: int) -> None:
    """aiokafka 0.14: it decodes a batch's names while it walks through it."""
    answer = batch("fine", b"1", kind=kind) + batch(Garbled(), b"2", b"3", kind=kind) + batch("fine", b"4", kind=kind)
    with pytest.raises(UnicodeDecodeError):
        read(MemoryRecords(answer))
    assert fetcher.MemoryRecords is not MemoryRecords
    fine, garbled = ["fine", "ce_id"], ["gar�bled", "ce_id"]
    assert read(fetcher.MemoryRecords(answer)) == [(b"1", fine), (b"2", garbled), (b"3", garbled), (b"4", fine)]


async def test_a_consumer_never_comes_past_such_a_name_and_ours_does(
    probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """aiokafka 0.14: every fetch of the partition fails alike, for good."""
    await write(probe, batch(Garbled(), b"garbled"))
    await probe.write(b"behind it")
    with monkeypatch.context() as as_installed:
        as_installed.setattr(fetcher, "MemoryRecords", MemoryRecords)
        for _ in range(3):
            with pytest.raises(UnicodeDecodeError):
                await values(probe)
    assert await values(probe) == [b"garbled", b"behind it"]


async def write(probe: Probe, data: bytes) -> None:
    """Append a batch as it is."""
    producer = AIOKafkaProducer(bootstrap_servers=probe.bootstrap)
    await producer.start()
    try:
        made = producer.create_batch()
        made.append(key=b"key", value=b"", timestamp=None)
        made.close()
        made._buffer = data
        await (await producer.send_batch(made, probe.topic, partition=0))
    finally:
        await producer.stop()


async def values(probe: Probe) -> list[bytes]:
    """The bodies of the first partition, as far as one consumer comes."""
    consumer = groupless_consumer(probe.bootstrap)
    await consumer.start()
    try:
        place = KafkaPartition(probe.topic, 0)
        consumer.assign([place])
        consumer.seek(place, 0)
        end = (await consumer.end_offsets([place]))[place]
        found: list[bytes] = []
        while await consumer.position(place) < end:
            found += [one.value for one in (await consumer.getmany(timeout_ms=100)).get(place, [])]
        return found
    finally:
        await consumer.stop()
