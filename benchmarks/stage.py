"""Where the contenders meet: one broker and one database, and the same orders for each to read from the start."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Self

import asyncpg

from benchmarks.effects import Effects
from benchmarks.meter import Meter
from benchmarks.orders import EVENTS_PER_ORDER, accepted_orders
from benchmarks.processes import running
from shared.contracts.billing import PlanOpened
from shared.drivers.kafka import KafkaLog
from shared.drivers.observer import Observer
from shared.drivers.topics import PARTITIONS
from shared.engine.ports import Outgoing, Record, TopicPartition
from shared.local.postgres import DATABASE
from shared.local.servers import Servers
from shared.operations.embedded import Setup, plan_of
from shared.operations.house import service_names

__all__ = ["Result", "Stage", "Stuck"]

AT_ONCE = 1_000
"""Messages appended in one go."""

LOOK_EVERY_S = 0.02
PATIENCE_S = 60.0
"""Longest time without a single event."""

EMPTIED = """
TRUNCATE book, plan, bill, repayment, reversal, refund, extension, evidence, journal, held, inbox, outbox, position,
         attempt
"""
"""What only the database's superuser may do: the service's own role can add to its journal and read it, no more."""

KEPT = f"{DATABASE}_kept"
COPY = "CREATE DATABASE {to} TEMPLATE {of} STRATEGY file_copy"
"""Everything as it stands, the order of rows within their tables included."""

STRANGERS = """
INSERT INTO book (buyer_id, currency, version, outstanding_principal, autopay, overdue)
SELECT 'stranger-' || n, 'CNY', 1, 12900, '{"enabled": true}', '[]' FROM generate_series(1, $1) AS n;
INSERT INTO plan (buyer_id, order_id, merchant_id, status, product, currency, accepted_on, principal, instalments,
                  refund_policy, payments)
SELECT 'stranger-' || n, 'o-' || n, 'm-' || n % 200, 'OPEN', 'PAY_AFTER_USE', 'CNY', '2027-01-01', 12900,
       '[{"seq": 1, "bill_id": "b", "principal": 12900, "fee": 0, "paid": 0, "fee_paid": 0, "refunded": 0,
          "charged_off": 0, "fee_charged_off": 0, "paused": 0}]', 'REVERSE_DUE', '[]' FROM generate_series(1, $1) AS n;
INSERT INTO bill (buyer_id, bill_id, kind, status, currency, due_on, due_version, lines, terms, billed, tried,
                  last_step, max_dpd, stage)
SELECT 'stranger-' || n, 'b:o-' || n, 'PAY_AFTER_USE', 'ISSUED', 'CNY', '2027-01-08', 1, '[{"seq": 1}]', '{}', 12900,
       '[]', 0, 0, 'NONE' FROM generate_series(1, $1) AS n;
INSERT INTO inbox (id, digest, at) SELECT gen_random_uuid(), '', now() FROM generate_series(1, $1) AS n;
INSERT INTO journal (buyer_id, cause_id, n, posted_at, fact, account, debit, credit, currency, order_id)
SELECT 'stranger-' || n, 'c-' || n, side, now(), 'PLAN_OPENED', CASE side WHEN 0 THEN '1100' ELSE '2000' END,
       12900 * (1 - side), 12900 * side, 'CNY', 'o-' || n
FROM generate_series(1, $1) AS n, generate_series(0, 1) AS side;
ANALYZE;
"""
"""What buyers left behind whom nobody here speaks of."""


class Stuck(Exception):
    """A contender did not get on; its last words are in the text."""


@dataclass(frozen=True, slots=True)
class Result:
    """One round of one contender."""

    per_s: float
    """Orders a second, or repayments."""
    cpu_us: dict[str, float]
    """CPU each of them cost, in microseconds, by component: service, broker, database."""
    memory_mb: float
    """Resident memory of the service's processes at the end."""
    others: float = 0.0
    """The share of the machine, 0 to 1, that somebody else used meanwhile."""


class Stage:
    """The embedded servers as the product starts them, and ``orders`` accepted orders on their topic.

    ``database`` is a session of the superuser in the schema of billing.
    """

    def __init__(self, directory: Path, orders: int = 0, *, per_buyer: int = 1) -> None:
        self._servers = Servers(directory, services=service_names())
        self._orders = orders
        self._per_buyer = per_buyer
        self._log_file = directory / "contender.log"
        self._before: dict[TopicPartition, int] = {}

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self._servers.start)
        plan = plan_of(Setup(clock="system"))
        programs = await asyncio.to_thread(plan, self._servers)  # it runs loops of its own
        self.billing = next(program for program in programs if program.name == "billing")
        self._log = KafkaLog(self._servers.bootstrap)
        await self._log.start()
        await self._connect()
        await self.append(accepted_orders(self._orders, seed=1, until=datetime.now(UTC), per_buyer=self._per_buyer))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.database.close()
        await self._log.stop()
        await asyncio.to_thread(self._servers.stop)

    async def _connect(self) -> None:
        settings = {"search_path": "billing"}
        self.database = await asyncpg.connect(self._servers.admin_dsn, server_settings=settings)
        self.effects = Effects(self.database)

    async def append(self, messages: Iterable[Outgoing]) -> None:
        """Append messages as their senders would, in this order."""
        coming = iter(messages)
        while some := list(islice(coming, AT_ONCE)):
            await self._log.publish(some)

    async def keep(self) -> None:
        """Keep the database as it is now, to :meth:`go_back` to it any number of times."""
        await self._copied(DATABASE, KEPT)

    async def go_back(self) -> None:
        """The database is again as it was kept, so that what came after it is read and handled once more."""
        await self._copied(KEPT, DATABASE)

    async def _copied(self, of: str, to: str) -> None:
        await self.database.close()  # nobody may be in a database that is copied
        elsewhere = await asyncpg.connect(self._servers.postgres.dsn(database="postgres"))
        try:
            await elsewhere.execute(f"DROP DATABASE IF EXISTS {to}")
            await elsewhere.execute(COPY.format(of=of, to=to))
        finally:
            await elsewhere.close()
        await self._connect()

    async def measure(
        self,
        argv: Sequence[str],
        *,
        warm: int,
        orders: int,
        replicas: int = 1,
        env: Mapping[str, str] | None = None,
        beside: int = 0,
    ) -> Result:
        """Let a contender, in a schema with ``beside`` plans of others, read ``warm`` orders and then ``orders`` more.

        The latter are measured; their end is seen on the topic of billing's events. Raises :class:`Stuck`.
        """
        await self.database.execute(EMPTIED)
        if beside:
            await self.database.execute(STRANGERS.replace("$1", str(beside)))
        return await self.timed(argv, warm=warm, count=orders, each=EVENTS_PER_ORDER, replicas=replicas, env=env)

    async def timed(
        self,
        argv: Sequence[str],
        *,
        warm: int,
        count: int,
        each: int,
        rest: int = 0,
        replicas: int = 1,
        env: Mapping[str, str] | None = None,
    ) -> Result:
        """Let a contender read on: ``warm`` messages, then ``count`` that are measured, then the ``rest``.

        Each is known to be handled by ``each`` events. With a rest as large as a turn the last turns are cut through
        as the first ones are, so that few messages tell as much as many. Raises :class:`Stuck`.
        """
        self._before = await self._ends()
        before = sum(self._before.values())
        with self._reading(argv, replicas, env) as processes:
            pids = [process.pid for process in processes]
            began = await self._until(before + warm * each, processes)
            meter = Meter(
                {
                    "service": pids,
                    "broker": [self._servers.kafka.pid or 0],
                    "database": [self._servers.postgres.pid or 0],
                    "driver": [os.getpid()],
                }
            )
            started = time.perf_counter()
            ended = await self._until(before + (warm + count) * each, processes)
            seconds = time.perf_counter() - started
            used = meter.used()
            memory_mb = sum(_resident_mb(pid) for pid in pids)
            await self._until(before + (warm + count + rest) * each, processes)
        done = max(1, ended - began) / each  # all of a very short run may have come at once
        cpu_us = {name: used[name] / done * 1e6 for name in ("service", "broker", "database")}
        return Result(done / seconds, cpu_us, memory_mb, meter.others)

    async def handled(self, events: int) -> None:
        """Let billing read on, unmeasured, until it has said so many ``events``. Raises :class:`Stuck`."""
        self._before = await self._ends()
        with self._reading(self.billing.argv, 1, None) as processes:
            await self._until(sum(self._before.values()) + events, processes)

    @contextmanager
    def _reading(
        self, argv: Sequence[str], replicas: int, env: Mapping[str, str] | None
    ) -> Iterator[Sequence[subprocess.Popen[bytes]]]:
        command = (argv, {**self.billing.env, **(env or {})})
        with running([command] * replicas, self._log_file) as processes:
            yield processes

    async def _until(self, events: int, processes: Sequence[subprocess.Popen[bytes]]) -> int:
        found, moved_at = 0, time.monotonic()
        while found < events:
            before, found = found, await self._events()
            moved_at = time.monotonic() if found > before else moved_at
            if time.monotonic() - moved_at > PATIENCE_S or any(process.poll() is not None for process in processes):
                raise Stuck(self._log_file.read_text(errors="replace")[-2000:])
            await asyncio.sleep(LOOK_EVERY_S)
        return found

    async def said(self) -> list[Record]:
        """The events of the contender that read last."""
        async with Observer(self._servers.bootstrap) as observer:
            return [record async for record in observer.records_of(self._before, self._before)]

    async def _events(self) -> int:
        return sum((await self._ends()).values())

    async def _ends(self) -> dict[TopicPartition, int]:
        return await self._log.ends(TopicPartition(PlanOpened.topic(), number) for number in range(PARTITIONS))


def _resident_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text("utf-8").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
