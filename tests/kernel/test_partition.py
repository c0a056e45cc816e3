"""Home partitions: the same as any standard Kafka client computes, here aiokafka's as the oracle."""

import pytest
from aiokafka.partitioner import DefaultPartitioner
from aiokafka.partitioner import murmur2 as oracle
from hypothesis import given
from hypothesis import strategies as st

from shared.kernel.partition import home_partition, murmur2


@given(st.binary(max_size=70))
def test_the_hash_is_kafkas(data: bytes) -> None:
    assert murmur2(data) == oracle(data) & 0xFFFFFFFF


@pytest.mark.parametrize("length", range(9))
def test_every_tail_length_hashes_alike(length: int) -> None:
    assert murmur2(b"\xff\x80\x00buyer-1"[:length]) == oracle(b"\xff\x80\x00buyer-1"[:length]) & 0xFFFFFFFF


@given(st.text(min_size=1), st.integers(1, 64))
def test_a_key_lands_where_a_standard_client_sends_it(key: str, partitions: int) -> None:
    everywhere = list(range(partitions))
    assert home_partition(key, partitions) == DefaultPartitioner()(key.encode(), everywhere, everywhere)
