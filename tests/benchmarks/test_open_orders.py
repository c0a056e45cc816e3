"""What the figures of repayments and of buyers with many open orders rest on: everything was done, and done right."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from benchmarks import open_orders, report
from benchmarks.billing_hop import Round, summed_up
from benchmarks.effects import Unequal
from benchmarks.open_orders import FEW, MANY, Crowd, Size, allocated, compared
from benchmarks.repayments import check
from benchmarks.stage import Result
from benchmarks.where import EXPLAINED
from shared.engine.ports import Record

SIZE = Size.of(16)


@pytest.fixture(scope="module")
async def crowd(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Crowd]:
    """Some buyers with two open orders each, of which each has paid one."""
    async with Crowd(Path(tmp_path_factory.mktemp("crowd")), 2, SIZE) as crowd:
        await crowd.billing_hop()
        await crowd.ask_for_repayments()
        await crowd.repayments()
        yield crowd


@pytest.fixture(scope="module")
async def events(crowd: Crowd) -> list[Record]:
    """What billing said of the repayments."""
    return await crowd.stage.said()


async def test_every_repayment_is_allocated_once_more_from_the_moment_that_was_kept(crowd: Crowd) -> None:
    """Each round every repayment SUCCEEDED, every bill of it is PAID, and the journal balances (B-A, I-1)."""
    again = await crowd.repayments()
    assert again.per_s > 0
    assert set(again.cpu_us) == {"service", "broker", "database"}


ONE = "(buyer_id, repayment_id) = (SELECT buyer_id, repayment_id FROM repayment ORDER BY buyer_id LIMIT 1)"
PAID_BILL = "(buyer_id, bill_id) = (SELECT buyer_id, bill_id FROM bill WHERE status = 'PAID' ORDER BY buyer_id LIMIT 1)"
SETTLED = "(buyer_id, order_id) = (SELECT buyer_id, order_id FROM plan WHERE status = 'SETTLED' ORDER BY 1 LIMIT 1)"
CAUSE = "cause_id = (SELECT cause_id FROM journal WHERE fact = 'REPAYMENT' ORDER BY id LIMIT 1)"

SPOILT = {
    "a repayment is in doubt": f"UPDATE repayment SET status = 'UNKNOWN', allocations = '[]' WHERE {ONE}",
    "a repayment is missing": f"DELETE FROM repayment WHERE {ONE}",
    "a bill is not paid": f"UPDATE bill SET status = 'ISSUED' WHERE {PAID_BILL}",
    "a bill of others is paid": "UPDATE bill SET status = 'PAID', paid_on = due_on WHERE status = 'ISSUED'",
    "a plan is not settled": f"UPDATE plan SET status = 'OPEN', settled_on = NULL WHERE {SETTLED}",
    "an instalment is not paid": (
        f"UPDATE plan SET instalments = jsonb_set(instalments, '{{0, paid}}', '0') WHERE {SETTLED}"
    ),
    "a book says too much": "UPDATE book SET outstanding_principal = outstanding_principal + 1",
    "a posting is missing": "DELETE FROM journal WHERE id = (SELECT max(id) FROM journal)",
    "a repayment is not posted": f"DELETE FROM journal WHERE {CAUSE}",
    "a provider is still asked": "UPDATE held SET kind = 'ASK' WHERE seq = (SELECT min(seq) FROM held)",
    "an unpaid bill does not come up": "DELETE FROM held WHERE seq = (SELECT min(seq) FROM held)",
}


@pytest.mark.parametrize("spoiling", SPOILT.values(), ids=SPOILT)
async def test_a_repayment_that_is_not_what_it_should_be_is_found(
    crowd: Crowd, events: list[Record], spoiling: str
) -> None:
    database = crowd.stage.database
    await check(database, events, SIZE.buyers)
    spoilt = database.transaction()
    await spoilt.start()
    try:
        await database.execute(f"ALTER TABLE journal DISABLE TRIGGER ALL; {spoiling}")
        with pytest.raises(Unequal):
            await check(database, events, SIZE.buyers)
    finally:
        await spoilt.rollback()


async def test_an_event_that_is_missing_or_said_twice_is_found(crowd: Crowd, events: list[Record]) -> None:
    for wrong in (events[1:], [*events, events[0]], [events[1], *events[1:]]):
        with pytest.raises(Unequal):
            await check(crowd.stage.database, wrong, SIZE.buyers)


async def test_buyers_with_one_and_with_thirty_open_orders_take_turns(tmp_path: Path) -> None:
    """A buyer may have thirty open orders (C-R8); both paths are measured for them and for buyers with one."""
    told: list[str] = []
    sizes = {FEW: SIZE, MANY: Size.of(8)}
    found = await open_orders.measured(tmp_path, sizes, 1, lambda name, _: told.append(name))
    paths = ["billing_hop_with_1", "billing_hop_with_30", "repayments_with_1", "repayments_with_30"]
    assert told == paths
    assert set(found["rounds"]) == set(paths)
    assert set(found["shares"]) == {"repayments_with_1", "repayments_with_30"}
    assert all(set(of) == set(EXPLAINED) for of in found["shares"].values())


# -- what is made of them ----------------------------------------------------------------------------------------------


def _round(per_s: float, cpu_us: float, others: float = 0.0) -> Round:
    cpu = {"service": cpu_us / 2, "database": cpu_us / 4, "broker": cpu_us / 4}
    return Round(0, Result(per_s, cpu, 100.0, others), 50.0)


CALM = {
    "billing_hop_with_1": [_round(2000.0, 400.0)],
    "billing_hop_with_30": [_round(1600.0, 440.0)],
    "repayments_with_1": [_round(1200.0, 800.0)],
    "repayments_with_30": [_round(400.0, 2400.0)],
}


def test_a_ratio_says_how_much_more_a_buyer_with_many_open_orders_costs() -> None:
    found = compared(CALM)
    assert found["ratios"] == {
        "billing_hop": {"time": 1.25, "cpu": 1.1},
        "repayments": {"time": 3.0, "cpu": 3.0},
    }
    assert allocated(found) == {
        "houfu": 1200.0,
        "cpu_us": {"houfu": {"service": 400.0, "database": 200.0, "broker": 200.0}},
        "memory_mb": {"houfu": 100.0},
    }


def test_there_is_no_ratio_to_who_was_disturbed_in_all_rounds() -> None:
    found = compared({**CALM, "repayments_with_1": [_round(1200.0, 800.0, others=0.5)]})
    assert set(found["ratios"]) == {"billing_hop"}
    assert allocated(found) == {}


def _shown(crowds: dict[str, Any]) -> str:
    shares = dict.fromkeys(EXPLAINED, 0.125)
    hop = summed_up({"houfu": [_round(2000.0, 400.0)]}) | {"shares": shares}
    crowds = crowds | {"shares": {"repayments_with_1": shares, "repayments_with_30": shares}}
    machine = {"cores": 2, "cpu": "some"}
    found = {"billing_hop": hop, "open_orders": crowds, "machine": machine, "disturbed": crowds["disturbed"]}
    console = Console(file=io.StringIO(), width=80)
    report.show(console, found)
    said = console.file
    assert isinstance(said, io.StringIO)
    return said.getvalue()


def test_the_ratio_stands_in_the_table() -> None:
    rows = [line for line in _shown(compared(CALM)).splitlines() if "a repayment " in line and "│" in line]
    assert [[cell.strip() for cell in row.split("│")[2:-1]] for row in rows] == [
        ["1", "1,200", "800 µs", "", "", ""],
        ["30", "400", "2,400 µs", "3.00", "3.00", "2"],
    ]


def test_who_has_no_figure_is_named() -> None:
    disturbed = {**CALM, "repayments_with_30": [replace(_round(1.0, 1.0), core_speed=20.0)]}
    said = _shown(compared(disturbed))
    assert "too busy to say anything of repayments_with_30" in said
    assert "Left out: round 1 of repayments_with_30" in said
