"""The billing hop as FastStream's documentation teaches it: a typed handler, a transaction and a publish per message.

The business rules are Houfu's own pure functions, so that what differs is the machinery alone: this one opens a plan,
issues its bill, posts its journal and arms its deadlines, once for each event it hears.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import astuple
from datetime import datetime
from typing import Any

import asyncpg
from faststream import AckPolicy, FastStream
from faststream.kafka import KafkaBroker, KafkaMessage
from pydantic import TypeAdapter

from services.billing.rules import facts, ledger, schedule, timetable
from services.billing.state import Autopay, Bill, Book, Plan, Posting
from shared.contracts.checkout import OrderAccepted
from shared.contracts.message import Event
from shared.engine.vocabulary import Cause, Deadline
from shared.kernel.calendar import Calendar
from shared.kernel.ids import derived_id

__all__ = ["main"]

broker = KafkaBroker(os.environ["HOUFU_KAFKA_BOOTSTRAP"], acks="all", enable_idempotence=True)
app = FastStream(broker)
calendar = Calendar()
pool: Any = None


@app.on_startup
async def connect() -> None:
    global pool  # noqa: PLW0603 - as the documentation does it
    pool = await asyncpg.create_pool(os.environ["HOUFU_DSN"], min_size=1, max_size=4)


async def decoded(message: KafkaMessage) -> OrderAccepted:
    """The contract is strict, and reads JSON by itself."""
    return OrderAccepted.model_validate_json(message.body)


@broker.subscriber(
    "checkout.events",
    decoder=decoded,
    group_id=os.environ["BENCHMARK_GROUP"],
    auto_offset_reset="earliest",
    ack_policy=AckPolicy.NACK_ON_ERROR,
)
async def on_order_accepted(accepted: OrderAccepted, message: KafkaMessage) -> None:
    """The goods are accepted: the debt begins."""
    ce_id = message.headers["ce_id"]
    now = datetime.fromisoformat(message.headers["ce_time"])
    async with pool.acquire() as connection, connection.transaction():
        fresh = await connection.fetchval(
            "INSERT INTO inbox (id, digest, at) VALUES ($1::text::uuid, '', $2) ON CONFLICT DO NOTHING RETURNING 1",
            ce_id,
            now,
        )
        events = await open_plan(connection, accepted, ce_id, now) if fresh else []
    for index, event in enumerate(events):
        headers = {"ce_id": derived_id("/benchmark", ce_id, index), "ce_type": event.TYPE, "ce_time": now.isoformat()}
        await broker.publish(event, "billing.events", key=event.key.encode(), headers=headers)


async def open_plan(connection: Any, accepted: OrderAccepted, ce_id: str, now: datetime) -> list[Event]:
    """Rows, postings and deadlines of a plan; returns the events that tell of it."""
    accepted_on = calendar.date(accepted.accepted_at)
    plan = schedule.opened_plan(accepted, accepted_on, {})
    [bill] = schedule.bills_holding(plan, accepted, {})
    autopay = Autopay(instrument=accepted.instrument)
    await connection.execute(NEW_BOOK, accepted.buyer_id, accepted.currency, json_of(autopay))
    version, owed = await connection.fetchrow(LOCKED_BOOK, accepted.buyer_id)
    book = Book(accepted.buyer_id, accepted.currency, version, owed).owing(plan.principal)
    await connection.execute(OWING, book.buyer_id, book.version, book.outstanding_principal)
    await connection.execute(NEW_PLAN, *plan_values(plan))
    await connection.execute(NEW_BILL, *bill_values(bill))
    postings = ledger.post(plan.buyer_id, plan.currency, ledger.plan_opened(plan), Cause(ce_id), now)
    await connection.execute(NEW_POSTINGS, *posting_values(postings))
    for deadline in timetable.arm_set(bill, now, calendar):
        await connection.execute(NEW_DEADLINE, *deadline_values(deadline, ce_id, now))
    return [facts.plan_opened(plan, {bill.bill_id: bill}, book), facts.bill_issued(bill, {plan.order_id: plan})]


def plan_values(plan: Plan) -> tuple[Any, ...]:
    named = (plan.buyer_id, plan.order_id, plan.merchant_id, plan.status, plan.product, plan.currency)
    return (*named, plan.accepted_on, plan.principal, json_of(plan.instalments), plan.refund_policy)


def bill_values(bill: Bill) -> tuple[Any, ...]:
    named = (bill.buyer_id, bill.bill_id, bill.kind, bill.status, bill.currency, bill.due_on, bill.due_version)
    return (*named, json_of(bill.lines), json_of(bill.terms), bill.billed)


def posting_values(postings: Sequence[Posting]) -> list[tuple[Any, ...]]:
    """By column: one statement for all of them, since the journal takes only what sums to zero."""
    return list(zip(*map(astuple, postings), strict=True))


def deadline_values(deadline: Deadline, ce_id: str, now: datetime) -> tuple[Any, ...]:
    due = deadline.message
    return (due.key, json_of(due), f"{ce_id}:{due.KIND}", now, due.KIND, due.subject, deadline.at, ce_id)


def json_of(value: Any) -> str:
    return anything.dump_json(value).decode()


anything: TypeAdapter[Any] = TypeAdapter(Any)

NEW_BOOK = """
INSERT INTO book (buyer_id, currency, version, outstanding_principal, autopay, overdue)
VALUES ($1, $2, 0, 0, $3, '[]') ON CONFLICT DO NOTHING
"""

LOCKED_BOOK = "SELECT version, outstanding_principal FROM book WHERE buyer_id = $1 FOR UPDATE"

OWING = "UPDATE book SET version = $2, outstanding_principal = $3 WHERE buyer_id = $1"

NEW_PLAN = """
INSERT INTO plan (buyer_id, order_id, merchant_id, status, product, currency, accepted_on, principal, instalments,
                  refund_policy, payments)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, '[]')
"""

NEW_BILL = """
INSERT INTO bill (buyer_id, bill_id, kind, status, currency, due_on, due_version, lines, terms, billed, tried,
                  last_step, max_dpd, stage)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, '[]', 0, 0, 'NONE')
"""

NEW_POSTINGS = """
INSERT INTO journal (buyer_id, cause_id, n, posted_at, fact, account, debit, credit, currency, order_id, bill_id,
                     merchant_id)
SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::timestamptz[], $5::text[], $6::text[], $7::bigint[],
                     $8::bigint[], $9::text[], $10::text[], $11::text[], $12::text[])
"""

NEW_DEADLINE = """
INSERT INTO held (lane, key, until, message, id, held_at, kind, subject, due_at, cause_id, correlation_id, waits_for,
                  reason, detail, fingerprint)
VALUES (0, $1, 'TIME', $2, $3, $4, $5, $6, $7, $8, $8, '', '', '', '')
"""


def main() -> None:
    """Run until told to stop."""
    asyncio.run(app.run())


if __name__ == "__main__":
    main()
