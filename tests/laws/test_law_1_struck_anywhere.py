"""Law 1: a process is killed or frozen at any point of a turn, and nothing is lost and nothing comes twice."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest

from shared.contracts.message import Command
from shared.drivers.topics import PARTITIONS
from tests.laws.bench import Bench
from tests.laws.failpoints import Failpoint, Point, Unknown
from tests.laws.load import Town
from tests.laws.replicas import Replica
from tests.laws.traffic import purchases_under_way
from tests.patience import eventually


@pytest.mark.usefixtures("two_billings")
async def test_billing_is_killed_at_every_point_of_a_turn(
    bench: Bench, town: Town, failpoint: Failpoint, subtests: pytest.Subtests
) -> None:
    """By two replicas, of which whichever passes first ends; the other and its successor go on."""
    for count, point in enumerate(Point, start=1):
        with subtests.test(point=point):
            async with purchases_under_way(bench, town, 12):
                failpoint.arm(point)
                await eventually(lambda: not failpoint.armed)
            assert bench.fleet.ends("billing") == [-signal.SIGKILL] * count


@pytest.mark.usefixtures("two_billings")
@pytest.mark.parametrize("point", [Point.BEFORE_COMMIT, Point.AFTER_COMMIT, Point.BETWEEN_PUBLISHES])
async def test_a_frozen_process_changes_nothing_when_it_wakes(
    bench: Bench, town: Town, failpoint: Failpoint, point: Point
) -> None:
    """It is stopped in the middle of a turn until the other replica has its lanes, and wakes into a world gone on.

    Before its commit it has lost its transaction. After it, it says what the other has said for it in the meantime.
    """
    async with purchases_under_way(bench, town, 40) as purchases:
        failpoint.arm(point, signal.SIGSTOP)
        frozen = await eventually(lambda: next(filter(is_frozen, bench.fleet.of("billing")), None))
        (awake,) = (one for one in bench.fleet.of("billing") if one is not frozen)
        await eventually(lambda: len(awake.health().get("lanes") or []) == PARTITIONS)
        await eventually(lambda: nothing_left_over(bench))
        frozen.send(signal.SIGCONT)
    if point is not Point.BEFORE_COMMIT:
        await eventually(lambda: said_again(bench, purchases))
    await eventually(lambda: asyncio.to_thread(bench.fleet.shared, "billing"))
    async with purchases_under_way(bench, town, 5):  # and it works again
        pass


async def nothing_left_over(bench: Bench) -> bool:
    return (await bench.standing())["billing"].outbox_rows == 0


async def said_again(bench: Bench, purchases: Sequence[Command]) -> set[str]:
    """Ids under which billing has told something of these buyers more than once, always the same."""
    buyers = {one.key for one in purchases}
    told = [one for one in await bench.sightings_of("billing.events") if one.key in buyers]
    contents = {(one.id, one.record.value) for one in told}
    times = Counter(one.id for one in told)
    assert len(contents) == len(times)
    return {message_id for message_id, count in times.items() if count > 1}


def is_frozen(replica: Replica) -> bool:
    return replica.process is not None and psutil.Process(replica.process.pid).status() == psutil.STATUS_STOPPED


def test_a_point_nobody_knows_is_refused(tmp_path: Path) -> None:
    failpoint = Failpoint(tmp_path / "armed")
    failpoint.file.write_text("after-lunch SIGKILL")
    with pytest.raises(Unknown, match="after-lunch"):
        failpoint.passed(Point.AFTER_LOAD)
