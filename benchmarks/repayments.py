"""Repayments: a provider reports success, and money becomes allocations, a paid bill and a settled plan.

Every buyer asks to pay one bill under PAY_AFTER_USE; what is measured is the handling of the reports. Each is told in
three events: RepaymentAllocated, BillPaid and PlanSettled.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime

import asyncpg

from benchmarks.commands import addressed
from benchmarks.effects import UNBALANCED, Unequal
from shared.contracts.billing import BillPaid, PlanSettled, RepayBill, RepaymentAllocated, ReportCollection
from shared.contracts.fields import Instrument
from shared.engine.ports import Outgoing, Record

__all__ = ["EVENTS_PER_REPAYMENT", "check", "reports", "requests"]

SAID = (RepaymentAllocated, BillPaid, PlanSettled)

EVENTS_PER_REPAYMENT = len(SAID)

CARD = Instrument(kind="CARD", token="tok_good")

OLDEST_BILLS = """
SELECT DISTINCT ON (buyer_id) buyer_id, bill_id, currency, billed AS amount FROM bill ORDER BY buyer_id, bill_id
"""

REQUESTED = "SELECT buyer_id, repayment_id, currency, amount FROM repayment ORDER BY buyer_id"

WRONG = {
    "repayments that did not succeed, or not on one bill in full": """
        SELECT count(*) FROM repayment
        WHERE status <> 'SUCCEEDED' OR overpaid <> 0 OR jsonb_path_query_array(allocations, '$[*].amount') <> to_jsonb(
            ARRAY[amount]) OR jsonb_path_query_array(allocations, '$[*].bill_id') <> to_jsonb(ARRAY[bill_id])""",
    "bills that are not PAID although they were paid": """
        SELECT count(*) FROM repayment LEFT JOIN bill USING (buyer_id, bill_id)
        WHERE bill.status IS DISTINCT FROM 'PAID' OR in_flight IS NOT NULL OR paid_on IS NULL""",
    "bills that are not ISSUED although they were not paid": """
        SELECT count(*) FROM bill LEFT JOIN repayment USING (buyer_id, bill_id)
        WHERE repayment_id IS NULL AND (bill.status <> 'ISSUED' OR in_flight IS NOT NULL)""",
    "plans that are not SETTLED although their bill is paid, or are although it is not": """
        SELECT count(*) FROM plan JOIN bill ON bill.buyer_id = plan.buyer_id AND bill_id = 'b:' || order_id
        WHERE (plan.status = 'SETTLED') <> (bill.status = 'PAID')""",
    "books that do not say what their plans still cost": """
        SELECT count(*) FROM book WHERE outstanding_principal <> (
            SELECT sum(outstanding) FROM plan JOIN instalment USING (buyer_id, order_id)
            WHERE plan.buyer_id = book.buyer_id)""",
    "deadlines of what is over": """
        SELECT count(*) FROM held WHERE until = 'TIME' AND (kind = 'ASK' OR EXISTS (
            SELECT FROM bill WHERE buyer_id = key AND bill_id = subject AND status = 'PAID'))""",
    "bills without their three deadlines": """
        SELECT count(*) FROM bill WHERE status = 'ISSUED' AND 3 <> (
            SELECT count(*) FROM held WHERE until = 'TIME' AND key = buyer_id AND subject = bill_id)""",
    "dead letters and messages that wait": "SELECT count(*) FROM held WHERE until <> 'TIME'",
    "repayments whose money is not in the journal": """
        SELECT count(*) FROM repayment WHERE amount IS DISTINCT FROM (
            SELECT sum(debit) FROM journal WHERE fact = 'REPAYMENT' AND account = '1000'
            AND journal.buyer_id = repayment.buyer_id AND journal.bill_id = repayment.bill_id)""",
    "receivables that are not what the books say": """
        SELECT (SELECT sum(debit - credit) FROM journal WHERE account = '1100')
             - (SELECT sum(outstanding_principal) FROM book)""",
}
"""What must not be there after every report, and how much of it is."""


async def requests(database: asyncpg.Connection) -> list[Outgoing]:
    """Each buyer asks to pay the oldest of his bills."""
    now = datetime.now(UTC)
    return [
        addressed(RepayBill(**one, repayment_id=one["bill_id"].replace("b:", "pay-"), instrument=CARD), now)
        for one in await database.fetch(OLDEST_BILLS)
    ]


async def reports(database: asyncpg.Connection) -> list[Outgoing]:
    """The provider has the money of each repayment that was asked for."""
    now = datetime.now(UTC)
    return [
        addressed(ReportCollection(**one, outcome="SUCCEEDED", provider_ref="psp-1", occurred_at=now), now)
        for one in await database.fetch(REQUESTED)
    ]


async def check(database: asyncpg.Connection, events: Iterable[Record], repayments: int) -> None:
    """:class:`Unequal` unless so many repayments succeeded, each on its own bill, once, and were told so."""
    wrong = [f"{found} {what}" for what, sql in WRONG.items() if (found := await database.fetchval(sql))]
    if (cause := await database.fetchval(UNBALANCED)) is not None:
        wrong.append(f"the postings of {cause} do not sum to zero")
    if (found := await database.fetchval("SELECT count(*) FROM repayment")) != repayments:
        wrong.append(f"{found} repayments instead of {repayments}")
    wrong += _told(events, repayments)
    if wrong:
        raise Unequal("; ".join(wrong))


def _told(events: Iterable[Record], repayments: int) -> list[str]:
    """What is wrong with the events: each repayment has one of each kind, under ids of their own."""
    said = [dict(one.headers) for one in events]
    wrong = []
    if (ids := len({one["ce_id"] for one in said})) != len(said):
        wrong.append(f"{len(said)} events under {ids} ids")
    kinds = Counter((one["ce_type"] or b"").decode() for one in said)
    if kinds != {kind.TYPE: repayments for kind in SAID}:
        wrong.append(f"the events {dict(kinds)}")
    return wrong
