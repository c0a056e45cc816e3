"""What the benchmarks claim: contenders do the same work, and who was disturbed is left out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.billing_hop import CONTENDERS, Round, keep_reference, summed_up
from benchmarks.effects import Unequal
from benchmarks.stage import Result, Stage
from shared.engine.ports import Record

ORDERS = 300
BY_NAME = {one.name: one for one in CONTENDERS}


@pytest.fixture(scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """The servers, some orders, and what Houfu makes of them."""
    async with Stage(Path(tmp_path_factory.mktemp("stage")), ORDERS) as stage:
        await keep_reference(stage, ORDERS)
        yield stage


@pytest.mark.parametrize("name", ["houfu", "bare", "docs_style"])
async def test_a_contender_does_the_same_work(stage: Stage, name: str) -> None:
    contender = replace(BY_NAME[name], share=1.0)
    result = await contender.round(stage, 0, ORDERS)
    assert result.per_s > 0
    assert set(result.cpu_us) == {"service", "broker", "database"}


SPOILT = {
    "a posting is missing": "DELETE FROM journal WHERE n = 1 AND id = (SELECT min(id) FROM journal WHERE n = 1)",
    "a deadline is missing": "DELETE FROM held WHERE seq = (SELECT min(seq) FROM held)",
    "a plan is another": "UPDATE plan SET principal = principal + 1 WHERE order_id = 'o-00000007'",
    "a due date is another": "UPDATE bill SET due_on = due_on + 1 WHERE bill_id = 'b:o-00000007'",
    "more is billed": "UPDATE bill SET billed = billed + 1 WHERE bill_id = 'b:o-00000007'",
    "a bill counts as extended": "UPDATE bill SET extended = true WHERE bill_id = 'b:o-00000007'",
    "an overpayment is counted": "UPDATE book SET overpayments = 1 WHERE buyer_id = 'b-0010000007'",
    "an instalment lacks a field": (
        "UPDATE plan SET instalments = instalments #- '{0, fee_charged_off}' WHERE order_id = 'o-00000007'"
    ),
    "a posting tells of another fact": "UPDATE journal SET fact = 'REFUND' WHERE id = (SELECT min(id) FROM journal)",
    "a reminder counts as sent": "INSERT INTO evidence VALUES ('b-0010000007', 'b:o-00000007', '[{}]')",
    "an id is another": "UPDATE inbox SET id = gen_random_uuid() WHERE id = (SELECT id FROM inbox LIMIT 1)",
}


@pytest.fixture(scope="module")
async def events(stage: Stage) -> list[Record]:
    """What the loop written by hand said; its rows stand."""
    await BY_NAME["bare"].round(stage, 0, ORDERS)
    return await stage.said()


@pytest.mark.parametrize("spoiling", SPOILT.values(), ids=SPOILT)
async def test_a_row_that_houfu_does_not_write_is_found(stage: Stage, events: list[Record], spoiling: str) -> None:
    await stage.effects.compare(events, ORDERS, machinery=True)
    spoilt = stage.database.transaction()
    await spoilt.start()
    try:
        await stage.database.execute(f"ALTER TABLE journal DISABLE TRIGGER ALL; {spoiling}")
        with pytest.raises(Unequal):
            await stage.effects.compare(events, ORDERS, machinery=True)
    finally:
        await spoilt.rollback()


async def test_an_event_that_is_missing_double_or_another_is_found(stage: Stage, events: list[Record]) -> None:
    for wrong in (events[1:], [*events, events[0]], [replace(events[0], key=b"somebody"), *events[1:]]):
        with pytest.raises(Unequal):
            await stage.effects.compare(wrong, ORDERS, machinery=True)


async def test_an_order_can_be_measured_beside_the_plans_of_others(stage: Stage) -> None:
    """What the others left behind balances, or the journal would not take it (I-1)."""
    result = await stage.measure(stage.billing.argv, warm=0, orders=ORDERS, beside=1_000)
    assert result.per_s > 0
    assert await stage.database.fetchval("SELECT count(*) FROM plan") == ORDERS + 1_000


CALM = Result(1000.0, {"service": 1.0, "broker": 1.0, "database": 1.0}, 100.0, others=0.0)


def test_disturbed_rounds_are_left_out_of_the_median_and_named() -> None:
    rounds = [Round(number, replace(CALM, per_s=1000.0 + number), 50.0) for number in range(3)]
    disturbed = Round(3, replace(CALM, per_s=10.0, others=0.4), 50.0)
    slow = Round(4, replace(CALM, per_s=10.0), 20.0)
    found = summed_up({"houfu": [*rounds, disturbed, slow]})
    assert found["houfu"] == 1001.0
    assert found["disturbed"] == [
        "round 4 of houfu: others used 40% of the machine",
        "round 5 of houfu: a core ran at 20 million additions a second instead of 50",
    ]


def test_who_was_disturbed_in_all_rounds_has_no_figure() -> None:
    found = summed_up({"houfu": [Round(0, CALM, 50.0)], "bare": [Round(0, replace(CALM, others=0.5), 50.0)]})
    assert "bare" not in found
    assert found["houfu"] == 1000.0
