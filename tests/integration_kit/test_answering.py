"""From a record to its answers: ids that repeat, failures that stay alone, silence that is waited out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from shared.contracts.billing import CollectionRequested, ReportCollection
from shared.contracts.envelope import Envelope
from shared.contracts.message import Command
from shared.engine.ports import Outgoing, Unavailable
from shared.integration import outbound
from shared.integration.adapter import Adapter, Answer
from shared.integration.answering import Answering
from shared.integration.outbound import Outbound
from shared.integration.sandbox import collect
from shared.integration.tally import Outcome
from shared.kernel.ids import derived_id
from tests.integration_kit.kit import NOON, TRACE, Letterbox, StandingClock, outgoing, record_of, requested

EVENT_ID = "0b6cb2f6-9f0c-4b7e-8f0a-0d3c3f6a1c55"


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbound, "PAUSE_MAX_S", 0.0)


def answering(answer: Answer) -> Answering:
    adapter = Adapter("psp", source="https://psp.example")
    adapter.on(CollectionRequested)(answer)
    return Answering(adapter, clock=StandingClock(), partitions=12, at_once=2)


async def answered(given: Answering) -> list[Outgoing]:
    request = given.read(record_of(requested(), EVENT_ID))
    assert request is not None
    return await given.answer(request)


async def test_an_answer_names_its_cause_and_carries_its_correlation_and_trace() -> None:
    [sent] = await answered(answering(collect))
    envelope = Envelope.parse(sent.headers, sent.key.encode())
    assert envelope.id == derived_id("https://psp.example", EVENT_ID, 0)
    assert (envelope.causation_id, envelope.correlation_id) == (EVENT_ID, "c-1")
    assert envelope.traceparent == TRACE
    assert (envelope.type, envelope.source) == (ReportCollection.TYPE, "https://psp.example")
    assert envelope.time == NOON
    assert sent.topic == "billing.commands"
    assert sent.partition == outgoing(requested()).partition


async def test_a_redelivery_says_the_same_under_the_same_id() -> None:
    first, again = await answered(answering(collect)), await answered(answering(collect))
    assert first == again


async def test_the_world_out_of_reach_is_tried_again_until_it_answers() -> None:
    tries = []

    async def flaky(request: CollectionRequested, envelope: Envelope) -> AsyncIterator[Command]:
        tries.append(1)
        if len(tries) < 4:
            raise (Unavailable, TimeoutError, ConnectionError)[len(tries) - 1]("out of reach")
        async for command in collect(request, envelope):
            yield command

    given = answering(flaky)
    assert len(await answered(given)) == 1
    assert (given.tally.of(Outcome.RETRIED), given.tally.of(Outcome.ANSWERED)) == (3, 1)


async def test_an_answer_that_raises_sends_nothing_of_what_it_yielded_and_is_counted() -> None:
    async def broken(request: CollectionRequested, envelope: Envelope) -> AsyncIterator[Command]:
        async for command in collect(request, envelope):
            yield command
        raise ZeroDivisionError

    given = answering(broken)
    assert await answered(given) == []
    assert given.tally.of(Outcome.FAILED) == 1
    assert b'houfu_adapter_events_total{outcome="failed",service="psp"} 1.0' in given.tally.meters.exposition()


async def test_an_answer_that_yields_anything_but_a_command_has_failed() -> None:
    async def odd(request: CollectionRequested) -> AsyncIterator[Command]:
        yield request  # type: ignore[misc]

    given = answering(odd)
    assert await answered(given) == []
    assert given.tally.of(Outcome.FAILED) == 1


def test_a_record_that_cannot_be_read_is_skipped_and_counted() -> None:
    given = answering(collect)
    bad_body = record_of(requested())
    bad_body.value = b"{}"
    no_key = record_of(requested())
    no_key.key = None
    assert [given.read(bad_body), given.read(no_key)] == [None, None]
    assert given.tally.of(Outcome.SKIPPED) == 2


def test_a_record_of_another_type_is_of_no_concern_however_it_looks() -> None:
    given = answering(collect)
    other = record_of(requested())
    for headers in ([], [("ce_type", None)], [("ce_type", b"\xff")], [("ce_type", b"houfu.billing.bill_paid.v1")]):
        other.headers = headers
        assert given.read(other) is None
    assert given.tally.of(Outcome.SKIPPED) == 0


async def test_what_concurrent_answers_send_is_gathered_and_sent_until_acknowledged() -> None:
    box = Letterbox(refusals=2)
    sending = Outbound(box)
    running = asyncio.create_task(sending.run())
    messages = [outgoing(requested(f"b-{number}")) for number in range(5)]
    await asyncio.gather(*(sending.send([one]) for one in messages))
    running.cancel()
    assert box.messages == messages
    assert len(box.calls) < len(messages)
