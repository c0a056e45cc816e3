"""A lane commits without gaps and keeps each key in order, whatever finishes first."""

from __future__ import annotations

import asyncio
from typing import cast

from hypothesis import given
from hypothesis import strategies as st

from shared.integration.lane import Lane

WORK = cast("asyncio.Task[None]", object())


def test_the_committed_offset_never_passes_an_open_record() -> None:
    lane = Lane(10)
    lane.begin(10, b"a", WORK)
    lane.begin(11, b"b", WORK)
    lane.end(11, b"b")
    assert lane.next_offset == 10
    assert not lane.uncommitted
    lane.end(10, b"a")
    assert lane.next_offset == 12
    assert lane.uncommitted


def test_what_asks_for_nothing_is_passed_over_behind_what_is_open() -> None:
    lane = Lane(0)
    lane.pass_over(0)
    assert lane.next_offset == 1
    lane.begin(1, b"a", WORK)
    lane.pass_over(2)
    assert lane.next_offset == 1
    lane.end(1, b"a")
    assert lane.next_offset == 3


def test_work_on_a_key_waits_for_the_work_before_it_and_for_no_other() -> None:
    lane = Lane(0)
    assert lane.before(b"a") is None
    lane.begin(0, b"a", WORK)
    assert lane.before(b"a") is WORK
    assert lane.before(b"b") is None
    lane.end(0, b"a")
    assert lane.before(b"a") is None


@given(st.lists(st.tuples(st.sampled_from([b"a", b"b", b"c"]), st.booleans()), max_size=20), st.randoms())
def test_for_all_orders_of_ending_everything_is_committed_in_the_end_and_nothing_too_early(
    records: list[tuple[bytes, bool]], random: object
) -> None:
    lane = Lane(0)
    open_ = []
    for offset, (key, asks) in enumerate(records):
        if asks:
            lane.begin(offset, key, WORK)
            open_.append((offset, key))
        else:
            lane.pass_over(offset)
    random.shuffle(open_)  # type: ignore[attr-defined]
    while open_:
        assert lane.next_offset == min(offset for offset, _ in open_)
        lane.end(*open_.pop())
    assert lane.next_offset == len(records)
