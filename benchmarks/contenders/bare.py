"""The billing hop as a loop written by hand: no engine, no classes, the same tables.

It reads a batch, computes what Houfu's handler computes with plain values, and saves it in one transaction: inbox,
locked book, plan, bill, journal, deadlines, positions and outbox, by the statements Houfu's drivers send. Then it
publishes. It knows one message and one product; it has no dead letters, no held messages that come up, no fence, no
breaker, no clock and no second thought.
"""

from __future__ import annotations

import asyncio
import os
from collections import defaultdict
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from hashlib import blake2b
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from pydantic_core import from_json, to_json

from services.billing.state import Bill, Book, Plan, Posting
from shared.drivers import statements
from shared.drivers.arrays import array, texts
from shared.engine.ports import Held
from shared.kernel.ids import derived_id

__all__ = ["main"]

BATCH = int(os.environ.get("BENCHMARK_BATCH", "500"))
ZONE = ZoneInfo("Asia/Shanghai")
OUT = "billing.events"

COLUMNS = {cls: tuple(cls.__dataclass_fields__) for cls in (Book, Plan, Bill, Posting, Held)}
JSON = {"autopay", "overdue", "instalments", "payments", "pauses", "lines", "terms", "in_flight", "tried"}
INSTANTS = {"posted_at", "held_at", "due_at"}
DATES = {"accepted_on", "settled_on", "due_on", "paid_on"}
NUMBERS = {
    "version", "outstanding_principal", "principal", "refunded_total", "due_version", "last_step", "max_dpd", "n",
    "debit", "credit", "lane", "seq",
}  # fmt: skip

ALWAYS = [
    ("content-type", b"application/json"),
    ("ce_specversion", b"1.0"),
    ("ce_source", b"/houfu/billing"),
    ("ce_tenant", b"default"),
]

LOCKED_BOOKS = """
SELECT buyer_id, version, outstanding_principal FROM book WHERE buyer_id = ANY($1::text::text[])
ORDER BY buyer_id FOR UPDATE
"""


@lru_cache(maxsize=4096)
def instant(day: date, hour: int) -> datetime:
    return datetime.combine(day, time(hour), ZONE).astimezone(UTC)


class Batch:
    """Everything one transaction saves, by table and column."""

    def __init__(self) -> None:
        self.tables: dict[type, dict[str, list[Any]]] = {
            cls: {name: [] for name in names} for cls, names in COLUMNS.items()
        }
        self.outgoing: defaultdict[int, list[tuple[Any, ...]]] = defaultdict(list)

    def add(self, cls: type, **values: Any) -> None:
        for name, column in self.tables[cls].items():
            column.append(values.get(name))

    def literals(self, cls: type) -> list[str]:
        return [literal(name, column) for name, column in self.tables[cls].items() if cls is not Held or name != "seq"]


def literal(name: str, column: list[Any]) -> str:
    if name in JSON:
        return to_json(column).decode()
    if name in INSTANTS:
        return array("timestamptz", column)
    if name in DATES:
        return array("date", column)
    return array("bigint", column) if name in NUMBERS else texts(column)


def open_plan(batch: Batch, books: dict[str, list[int]], record: Any, ce_id: str, ce_time: str) -> None:
    """The debt of one order, its bill, its postings, its deadlines and its two events."""
    order = from_json(record.value)
    buyer, order_id, merchant, amount = order["buyer_id"], order["order_id"], order["merchant_id"], order["amount"]
    currency, terms, bill_id = order["currency"], order["terms"], f"b:{order['order_id']}"
    now = datetime.fromisoformat(ce_time)
    accepted_on = datetime.fromisoformat(order["accepted_at"]).astimezone(ZONE).date()
    due_on = accepted_on + timedelta(days=terms["window_days"])
    book = books.setdefault(buyer, [0, 0])
    book[0] += 1
    book[1] += amount
    autopay = {"enabled": True, "instrument": order["instrument"], "blocked": False, "told_by": ()}
    batch.add(
        Book, buyer_id=buyer, currency=currency, version=book[0], outstanding_principal=book[1], autopay=autopay,
        overdue=(),
    )  # fmt: skip
    part = {
        "seq": 1, "bill_id": bill_id, "principal": amount, "fee": 0, "paid": 0, "fee_paid": 0, "refunded": 0,
        "charged_off": 0, "paused": 0,
    }  # fmt: skip
    batch.add(
        Plan, buyer_id=buyer, order_id=order_id, merchant_id=merchant, status="OPEN", product=order["product"],
        currency=currency, accepted_on=accepted_on, principal=amount, instalments=(part,),
        refund_policy=terms["refund_policy"], payments=(), refunded_total=0, pauses=(),
    )  # fmt: skip
    line = {
        "order_id": order_id, "merchant_id": merchant, "seq": 1, "due_on": due_on, "due_version": 1, "paused_dpd": None,
    }  # fmt: skip
    kept = {name: terms[name] for name in ("late_fee", "extension", "dunning")}
    batch.add(
        Bill, buyer_id=buyer, bill_id=bill_id, kind=order["product"], status="ISSUED", currency=currency, due_on=due_on,
        due_version=1, lines=(line,), terms=kept, tried=(), last_step=0, max_dpd=0, stage="NONE",
    )  # fmt: skip
    for n, (account, debit, credit) in enumerate((("1100", amount, 0), ("2000", 0, amount))):
        batch.add(
            Posting, buyer_id=buyer, cause_id=ce_id, n=n, posted_at=now, account=account, debit=debit, credit=credit,
            currency=currency, order_id=order_id, merchant_id=merchant,
        )  # fmt: skip
    arm(batch, record.partition, buyer, bill_id, order_id, ce_id, now, due_on, terms["dunning"])
    opened = {
        "buyer_id": buyer, "order_id": order_id, "merchant_id": merchant, "currency": currency,
        "product": order["product"], "principal": amount, "fee": 0,
        "instalments": [{"seq": 1, "bill_id": bill_id, "due_on": due_on, "principal": amount, "fee": 0}],
        "outstanding_principal": book[1], "book_version": book[0],
    }  # fmt: skip
    billed = {
        "buyer_id": buyer, "bill_id": bill_id, "currency": currency, "kind": order["product"], "due_on": due_on,
        "due_version": 1, "amount_due": amount, "paused": 0,
        "lines": [
            {"order_id": order_id, "merchant_id": merchant, "seq": 1, "of": 1, "principal": amount, "fee": 0}
        ],
    }  # fmt: skip
    say(batch, record, 0, "houfu.billing.plan_opened.v1", order_id, opened, ce_id, ce_time)
    say(batch, record, 1, "houfu.billing.bill_issued.v1", bill_id, billed, ce_id, ce_time)


def arm(
    batch: Batch, lane: int, buyer: str, bill_id: str, order_id: str, ce_id: str, now: datetime, due_on: date,
    dunning: dict[str, Any],
) -> None:  # fmt: skip
    """The first reminder, collection and step of the bill."""
    due = {"buyer_id": buyer, "bill_id": bill_id, "order_ids": [order_id]}
    collected, step = dunning["collect_days"][0], dunning["step_days"][0]
    deadlines = (
        ("DUE_SOON", instant(due_on - timedelta(days=3), 9), {**due, "days_left": 3}),
        ("COLLECT", instant(due_on + timedelta(days=collected), 14), {**due, "offset": collected}),
        ("STEP", instant(due_on + timedelta(days=step), 0), {**due, "day": step, "waits": 0, "missed_until": None}),
    )
    for index, (kind, at, message) in enumerate(deadlines):
        batch.add(
            Held, lane=lane, key=buyer, until="TIME", message=to_json(message).decode(), id=f"{ce_id}:{index}",
            held_at=now, kind=kind, subject=bill_id, due_at=at, cause_id=ce_id, correlation_id=ce_id, waits_for="",
            reason="", detail="", fingerprint="",
        )  # fmt: skip


def say(
    batch: Batch, record: Any, index: int, kind: str, subject: str, body: dict[str, Any], ce_id: str, ce_time: str
) -> None:
    headers = [
        *ALWAYS,
        ("ce_id", derived_id("/houfu/billing", ce_id, index).encode()),
        ("ce_type", kind.encode()),
        ("ce_time", ce_time.encode()),
        ("ce_subject", subject.encode()),
        ("ce_partitionkey", record.key),
        ("ce_correlationid", ce_id.encode()),
        ("ce_causationid", ce_id.encode()),
    ]
    batch.outgoing[record.partition].append((record.key, to_json(body), headers))


async def handle(connection: Any, records: list[Any], acknowledged: list[int]) -> tuple[Batch, list[int]]:
    """One transaction; returns what it said and its outbox rows."""
    batch = Batch()
    stated = [dict(record.headers) for record in records]
    digests = {one["ce_id"].decode(): digest(record) for one, record in zip(stated, records, strict=True)}
    ids = sorted(digests)
    positions = {record.partition: (record.offset + 1, record.timestamp) for record in records}
    async with connection.transaction():
        if acknowledged:
            await connection.execute("DELETE FROM outbox WHERE seq = ANY($1::bigint[])", acknowledged)
        arguments = texts(ids), array("bytea", [digests[one] for one in ids]), datetime.now(UTC)
        fresh = {row[0] for row in await connection.fetch(statements.ADMIT, *arguments)}
        buyers = texts(sorted({record.key.decode() for record in records}))
        books = {row[0]: [row[1], row[2]] for row in await connection.fetch(LOCKED_BOOKS, buyers)}
        for one, record in zip(stated, records, strict=True):
            if one["ce_type"] == b"houfu.checkout.order_accepted.v1" and (ce_id := one["ce_id"].decode()) in fresh:
                open_plan(batch, books, record, ce_id, one["ce_time"].decode())
        last = {buyer: place for place, buyer in enumerate(batch.tables[Book]["buyer_id"])}
        batch.tables[Book] = {
            name: [column[place] for place in last.values()] for name, column in batch.tables[Book].items()
        }
        for cls in (Book, Plan, Bill):
            await connection.execute(statements.upsert(cls), *batch.literals(cls))
        await connection.execute(statements.append(Posting), *batch.literals(Posting))
        await connection.execute(statements.ARM, *held_literals(batch))
        bodies = {lane: packed(messages) for lane, messages in batch.outgoing.items()}
        moved = [(place, offset, datetime.fromtimestamp(at / 1000, UTC)) for place, (offset, at) in positions.items()]
        places, offsets, reached = zip(*moved, strict=True)
        topics = ["checkout.events"] * len(moved)
        rows = await connection.fetch(
            statements.MOVE_AND_LEAVE, topics, places, offsets, reached, list(bodies), list(bodies.values())
        )
    return batch, [row["seq"] for row in rows]


def held_literals(batch: Batch) -> list[str]:
    columns = batch.tables[Held]
    columns["seq"] = [0] * len(columns["key"])
    return [literal(name, column) for name, column in columns.items()]


def packed(messages: list[tuple[Any, ...]]) -> str:
    return to_json(
        [(OUT, key, [(name, value.decode()) for name, value in headers], body) for key, body, headers in messages]
    ).decode()


def digest(record: Any) -> bytes:
    return blake2b(record.value, digest_size=16).digest()


async def publish(producer: AIOKafkaProducer, batch: Batch) -> None:
    waiting = []
    for lane, messages in batch.outgoing.items():
        built = producer.create_batch()
        for key, body, headers in messages:
            if built.append(timestamp=None, key=key, value=body, headers=headers) is None:
                waiting.append(await producer.send_batch(built, OUT, partition=lane))
                built = producer.create_batch()
                built.append(timestamp=None, key=key, value=body, headers=headers)
        waiting.append(await producer.send_batch(built, OUT, partition=lane))
    await asyncio.gather(*waiting)


async def run() -> None:
    bootstrap = os.environ["HOUFU_KAFKA_BOOTSTRAP"]
    consumer = AIOKafkaConsumer(
        "checkout.events", bootstrap_servers=bootstrap, group_id=os.environ["BENCHMARK_GROUP"],
        enable_auto_commit=False, auto_offset_reset="earliest", fetch_max_bytes=8 * 1024 * 1024,
        partition_assignment_strategy=(RangePartitionAssignor,),
    )  # fmt: skip
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap, acks="all", enable_idempotence=True, compression_type="zstd", linger_ms=0,
        max_batch_size=512 * 1024,
    )  # fmt: skip
    connection = await asyncpg.connect(os.environ["HOUFU_DSN"])
    await consumer.start()
    await producer.start()
    acknowledged: list[int] = []
    while True:
        found = await consumer.getmany(timeout_ms=50, max_records=BATCH)
        records = [record for records in found.values() for record in records]
        if records:
            batch, acknowledged = await handle(connection, records, acknowledged)
            await publish(producer, batch)
            ends = {TopicPartition(place.topic, place.partition): of[-1].offset + 1 for place, of in found.items()}
            await consumer.commit(ends)


def main() -> None:
    """Run until told to stop."""
    uvloop.run(run())


if __name__ == "__main__":
    main()
