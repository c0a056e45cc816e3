"""The billing hop as a loop written by hand: no engine, no classes, the same tables.

It reads a batch, computes what Houfu's handler computes with plain values, and saves it in one transaction: inbox,
locked book, plan, bill, journal, deadlines, positions and outbox, by the statements Houfu's drivers send. Then it
publishes. It knows one message and one product; it has no dead letters, no held messages that come up, no fence, no
breaker, no clock and no second thought.

Rows are tuples in the order of their table's columns and become one literal a column. As Houfu does, it keeps the
garbage collector from looking at what is dropped a moment later.
"""

from __future__ import annotations

import asyncio
import gc
import os
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from hashlib import blake2b
from itertools import starmap
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
from shared.drivers.postgres import Session
from shared.drivers.rows import columns
from shared.engine.ports import Held
from shared.kernel.ids import derived_id

__all__ = ["main"]

BATCH = int(os.environ.get("BENCHMARK_BATCH", "500"))
ZONE = ZoneInfo("Asia/Shanghai")
OUT = "billing.events"

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
    """Everything one transaction saves: rows by table, and what is to be said, by partition."""

    def __init__(self) -> None:
        self.books: dict[str, tuple[Any, ...]] = {}
        self.plans: list[tuple[Any, ...]] = []
        self.bills: list[tuple[Any, ...]] = []
        self.postings: list[tuple[Any, ...]] = []
        self.held: list[tuple[Any, ...]] = []
        self.outgoing: defaultdict[int, list[tuple[Any, ...]]] = defaultdict(list)


def literals(cls: type, rows: Sequence[tuple[Any, ...]]) -> list[str]:
    """One a column; JSON is one array of its own."""
    return list(starmap(literal, zip((one.type for one in columns(cls)), zip(*rows, strict=True), strict=True)))


def literal(kind: str, values: tuple[Any, ...]) -> str:
    return to_json(values).decode() if kind == "jsonb" else array(kind, values)


def open_plan(batch: Batch, owed: dict[str, tuple[int, int]], record: Any, headers: dict[str, bytes]) -> None:
    """The debt of one order, its bill, its postings, its deadlines and its two events."""
    order = from_json(record.value)
    buyer, order_id, merchant, amount = order["buyer_id"], order["order_id"], order["merchant_id"], order["amount"]
    product, currency, terms, bill_id = order["product"], order["currency"], order["terms"], f"b:{order['order_id']}"
    ce_id, ce_time, lane = headers["ce_id"].decode(), headers["ce_time"], record.partition
    now = datetime.fromisoformat(ce_time.decode())
    accepted_on = datetime.fromisoformat(order["accepted_at"]).astimezone(ZONE).date()
    due_on = accepted_on + timedelta(days=terms["window_days"])
    version, principal = owed.get(buyer, (0, 0))
    version, principal = owed[buyer] = version + 1, principal + amount
    autopay = {"enabled": True, "instrument": order["instrument"], "blocked": False, "told_by": ()}
    batch.books[buyer] = (buyer, currency, version, principal, autopay, (), 0)
    part = {
        "seq": 1, "bill_id": bill_id, "principal": amount, "fee": 0, "paid": 0, "fee_paid": 0, "refunded": 0,
        "charged_off": 0, "fee_charged_off": 0, "paused": 0,
    }  # fmt: skip
    batch.plans.append(
        (buyer, order_id, merchant, "OPEN", product, currency, accepted_on, amount, (part,), terms["refund_policy"], (),
         None, 0, 0, ())
    )  # fmt: skip
    line = {
        "order_id": order_id, "merchant_id": merchant, "seq": 1, "due_on": due_on, "due_version": 1, "paused_dpd": None,
        "last_step": 0,
    }  # fmt: skip
    late_fee = terms["late_fee"]
    tiers = [{"below": None, **tier} for tier in late_fee["tiers"]]
    kept = {"late_fee": {**late_fee, "tiers": tiers}, "extension": terms["extension"], "dunning": terms["dunning"]}
    batch.bills.append(
        (buyer, bill_id, product, "ISSUED", currency, due_on, 1, (line,), kept, amount, 0, (), None, False, None, (), 0,
         0, "NONE", None)
    )  # fmt: skip
    for n, account, debit, credit in ((0, "1100", amount, 0), (1, "2000", 0, amount)):
        batch.postings.append(
            (buyer, ce_id, n, now, "PLAN_OPENED", account, debit, credit, currency, order_id, None, merchant)
        )
    due = {"buyer_id": buyer, "bill_id": bill_id, "order_ids": (order_id,)}
    collected, step = terms["dunning"]["collect_days"][0], terms["dunning"]["step_days"][0]
    correlation = headers["ce_correlationid"]
    for index, (kind, at, message) in enumerate(
        (
            ("DUE_SOON", instant(due_on - timedelta(days=3), 9), {**due, "days_left": 3}),
            ("COLLECT", instant(due_on + timedelta(days=collected), 14), {**due, "offset": collected}),
            ("STEP", instant(due_on + timedelta(days=step), 0), {**due, "day": step, "waits": 0, "missed_until": None}),
        )
    ):
        batch.held.append(
            (lane, buyer, "TIME", to_json(message).decode(), f"{ce_id}:{index}", now, 0, kind, bill_id, at, ce_id,
             correlation.decode(), None, "", "", "", "", None)
        )  # fmt: skip
    opened = {
        "buyer_id": buyer, "order_id": order_id, "merchant_id": merchant, "currency": currency, "product": product,
        "principal": amount, "fee": 0,
        "instalments": ({"seq": 1, "bill_id": bill_id, "due_on": due_on, "principal": amount, "fee": 0},),
        "outstanding_principal": principal, "book_version": version,
    }  # fmt: skip
    billed = {
        "buyer_id": buyer, "bill_id": bill_id, "currency": currency, "kind": product, "due_on": due_on,
        "due_version": 1,
        "lines": ({"order_id": order_id, "merchant_id": merchant, "seq": 1, "of": 1, "principal": amount, "fee": 0},),
        "amount_due": amount, "paused": 0,
    }  # fmt: skip
    outgoing = batch.outgoing[lane]
    for index, wire_type, subject, body in (
        (0, b"houfu.billing.plan_opened.v1", order_id, opened),
        (1, b"houfu.billing.bill_issued.v1", bill_id, billed),
    ):
        said = [
            *ALWAYS,
            ("ce_id", derived_id("/houfu/billing", ce_id, index).encode()),
            ("ce_type", wire_type),
            ("ce_time", ce_time),
            ("ce_subject", subject.encode()),
            ("ce_partitionkey", record.key),
            ("ce_correlationid", correlation),
            ("ce_causationid", headers["ce_id"]),
        ]
        outgoing.append((OUT, lane, record.key, said, to_json(body)))


async def handle(connection: Any, records: list[Any], acknowledged: list[int]) -> tuple[Batch, list[int]]:
    """One transaction; returns what it said and its outbox rows."""
    batch = Batch()
    stated = [dict(record.headers) for record in records]
    digests = {one["ce_id"].decode(): digest(one, record) for one, record in zip(stated, records, strict=True)}
    ids = sorted(digests)
    positions = {record.partition: (record.offset + 1, record.timestamp) for record in records}
    async with connection.transaction():
        if acknowledged:
            await connection.execute("DELETE FROM outbox WHERE seq = ANY($1::bigint[])", acknowledged)
        arguments = texts(ids), array("bytea", [digests[one] for one in ids]), datetime.now(UTC)
        fresh = {row[0] for row in await connection.fetch(statements.ADMIT, *arguments)}
        buyers = texts(sorted({record.key.decode() for record in records}))
        owed = {row[0]: (row[1], row[2]) for row in await connection.fetch(LOCKED_BOOKS, buyers)}
        for one, record in zip(stated, records, strict=True):
            if one["ce_type"] == b"houfu.checkout.order_accepted.v1" and one["ce_id"].decode() in fresh:
                open_plan(batch, owed, record, one)
        if batch.plans:
            await save(connection, batch)
        moved = [(place, offset, datetime.fromtimestamp(at / 1000, UTC)) for place, (offset, at) in positions.items()]
        places, offsets, reached = zip(*moved, strict=True)
        lanes = list(batch.outgoing)
        rows = await connection.fetch(
            statements.MOVE_AND_LEAVE, ["checkout.events"] * len(moved), places, offsets, reached, lanes,
            [to_json(batch.outgoing[lane]).decode() for lane in lanes],
        )  # fmt: skip
    return batch, [row["seq"] for row in rows]


async def save(connection: Any, batch: Batch) -> None:
    books = list(batch.books.values())
    for cls, rows in ((Book, books), (Plan, batch.plans), (Bill, batch.bills)):
        await connection.execute(statements.upsert(cls), *literals(cls, rows))
    await connection.execute(statements.append(Posting), *literals(Posting, batch.postings))
    await connection.execute(statements.ARM, *literals(Held, batch.held))


def digest(headers: dict[str, bytes], record: Any) -> bytes:
    seal = blake2b(record.value, digest_size=16)
    seal.update(b"\0" + headers["ce_type"] + b"\0" + record.key)
    return seal.digest()


async def publish(producer: AIOKafkaProducer, batch: Batch) -> None:
    waiting = []
    for lane, messages in batch.outgoing.items():
        built = producer.create_batch()
        for _, _, key, headers, body in messages:
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
    connection = await asyncpg.connect(os.environ["HOUFU_DSN"], server_settings=Session().settings())
    await consumer.start()
    await producer.start()
    gc.collect()
    gc.freeze()
    gc.set_threshold(200_000, 20, 50)
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
