"""The examples, run as a stranger would run them, against a real broker."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from queue import Queue
from uuid import uuid4

from shared.contracts.billing import BillPaid
from shared.contracts.envelope import Envelope, EnvelopeInvalid
from shared.contracts.message import Event, message_type
from shared.contracts.refunds import RefundCompleted
from shared.drivers.kafka import KafkaLog
from shared.drivers.observer import Observer
from shared.drivers.topics import PARTITIONS, create_topics
from shared.engine.ports import Outgoing
from shared.kernel.partition import home_partition
from shared.local.servers import Servers
from shared.testing.samples import sample_of

ROOT = Path(__file__).parents[1]
DOWNSTREAM = ROOT / "examples" / "downstream.py"
CODE_LINES_MAX = 30
PATIENCE_S = 60


def code_lines(file: Path) -> list[str]:
    """What is left of a program without blank lines, comments and docstrings."""
    source = file.read_text("utf-8")
    told: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            told.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    lines = enumerate(source.splitlines(), start=1)
    return [line for number, line in lines if line.strip() and not line.strip().startswith("#") and number not in told]


def test_a_downstream_team_needs_thirty_lines() -> None:
    assert 10 < len(code_lines(DOWNSTREAM)) <= CODE_LINES_MAX


def outgoing(event: Event, event_id: str) -> Outgoing:
    envelope = Envelope(
        id=event_id,
        type=event.TYPE,
        source=f"/houfu/{event.SERVICE}",
        time=datetime.now(UTC),
        subject=str(getattr(event, event.SUBJECT)),
        key=event.key,
        correlation_id=event_id,
    )
    return Outgoing(
        event.topic(), home_partition(event.key, PARTITIONS), event.key, envelope.headers(), event.to_json()
    )


@contextmanager
def reporting(bootstrap: str) -> Iterator[Queue[dict[str, int]]]:
    """The program at work, and what it prints, line by line."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("HOUFU_")}
    process = subprocess.Popen(
        [sys.executable, str(DOWNSTREAM), "--from", "beginning"],
        env=ours | {"HOUFU_KAFKA_BOOTSTRAP": bootstrap},
        stdout=subprocess.PIPE,
        text=True,
    )
    said: Queue[dict[str, int]] = Queue()

    def listen() -> None:
        for line in process.stdout or ():
            said.put(json.loads(line))

    listening = threading.Thread(target=listen)
    listening.start()
    try:
        yield said
    finally:
        process.terminate()
        assert process.wait(timeout=PATIENCE_S) == 0
        listening.join()


def heard(said: Queue[dict[str, int]], lines: int) -> dict[str, int]:
    """The last of so many lines of the report."""
    return [said.get(timeout=PATIENCE_S) for _ in range(lines)][-1]


async def standing_on(bootstrap: str) -> tuple[int, Counter[str]]:
    """How many events of these kinds are on the log, and what they come to: the report as an auditor would make it."""
    events: dict[str, Event] = {}
    async with Observer(bootstrap) as observer:
        async for record in observer.records([BillPaid.topic(), RefundCompleted.topic()]):
            try:
                envelope = Envelope.parse(record.headers, record.key)
            except EnvelopeInvalid:  # other tests leave poison on the topic: nothing that anybody could count
                continue
            if envelope.type in (BillPaid.TYPE, RefundCompleted.TYPE):
                events[envelope.id] = message_type(envelope.type).from_json(record.value)
    report: Counter[str] = Counter()
    for event in events.values():
        match event:
            case BillPaid():
                report.update(bills_paid=1, paid_late=int(event.max_dpd > 0))
            case RefundCompleted():
                report.update({"refunds": 1, f"refunded_{event.currency}": event.amount})
    return len(events), report


async def test_a_downstream_team_reports_what_was_paid_and_what_went_back(servers: Servers) -> None:
    await create_topics(servers.bootstrap, ["billing", "refunds"])
    _, before = await standing_on(servers.bootstrap)
    events = [
        sample_of(BillPaid, max_dpd=0),
        sample_of(BillPaid, buyer_id="b-8", max_dpd=4),
        sample_of(RefundCompleted, amount=12884),
        sample_of(RefundCompleted, buyer_id="b-8", refund_id="rf-2", amount=2000),
    ]
    messages = [outgoing(event, str(uuid4())) for event in events]
    log = KafkaLog(servers.bootstrap)
    await log.publish([*messages, *messages])  # every event is published at least once
    lines, after = await standing_on(servers.bootstrap)
    assert after - before == Counter(bills_paid=2, paid_late=1, refunds=2, refunded_CNY=14884)
    with reporting(servers.bootstrap) as said:
        assert heard(said, lines) == after
        await log.publish([outgoing(sample_of(BillPaid, buyer_id="b-9", max_dpd=0), str(uuid4()))])
        grown = heard(said, 1)
        assert Counter(grown) - after == Counter(bills_paid=1)
    await log.stop()
    with reporting(servers.bootstrap) as said:  # started anew it comes to the same
        assert heard(said, lines + 1) == grown
