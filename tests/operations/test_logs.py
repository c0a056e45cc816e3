"""One line an event, for machines and for people; ids in it and never what a message says (law 8)."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
import structlog

from shared.contracts.billing import CollectionRequested
from shared.contracts.message import Command
from shared.engine.breaker import LineStopped
from shared.engine.ports import Unavailable, Word
from shared.integration import answering
from shared.integration.adapter import Adapter
from shared.operations.logs import configure_logs
from shared.testing.world import World
from tests.engine.till import OpenAccount, SendParcel, till
from tests.integration_kit.kit import StandingClock, record_of, requested
from tests.operations.conftest import Configure

NOON = datetime(2027, 3, 1, 4, tzinfo=UTC)
SECRET = "Wang Xiaoming"


async def depot(*, breaker_keys: int = 20, buyers: int = 1) -> World:
    world = await World(till, start=NOON, breaker_keys=breaker_keys).start()
    await world.tell(*(OpenAccount(buyer_id=f"b{n}", currency="CNY", balance=99) for n in range(buyers)))
    return world


def sending(buyer_id: str = "b0", parcel_id: str = "p1", note: str = "") -> SendParcel:
    return SendParcel(buyer_id=buyer_id, parcel_id=parcel_id, price=1, note=note)


def quote(note: str) -> None:
    """A mistake whose text quotes what it stumbled over."""
    if note:
        raise ValueError(f"cannot read {note}")


async def test_a_handlers_exception_is_logged_with_its_correlation_id_and_without_what_the_message_says(
    logging_as: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = logging_as()
    monkeypatch.setattr("tests.engine.till.stumble", quote)
    world = await depot()
    message_id = await world.publish(sending(note=SECRET))
    await world.settle()
    (line,) = lines.of("message.dead_lettered")
    assert (line["level"], line["service"]) == ("warning", "till")
    assert (line["message_id"], line["correlation_id"], line["type"]) == (message_id, message_id, SendParcel.TYPE)
    assert (line["reason"], line["parks"]) == ("HANDLER_FAILED", True)
    assert line["fingerprint"].startswith("tests.engine.till.send_parcel: ValueError at test_logs.py:")
    assert line["where"].startswith("till.commands:")
    assert SECRET not in lines.text
    assert '"b0"' not in lines.text


async def test_a_dead_letter_carries_the_correlation_of_its_cause_also_when_its_body_is_unreadable(
    logging_as: Configure,
) -> None:
    lines = logging_as()
    world = await depot()
    message_id = await world.publish(sending(note="fine"))
    (record,) = [one.record for one in await world.told("till.commands") if one.envelope.id == message_id]
    headers = dict(record.headers) | {"ce_correlationid": b"c-7", "ce_id": b"22222222-2222-4222-8222-222222222222"}
    world.log.append(
        record.topic, record.partition, record.key, b'{"note": "%s"}' % SECRET.encode(), [*headers.items()]
    )  # type: ignore[list-item]
    await world.settle()
    (line,) = lines.of("message.dead_lettered")
    assert (line["correlation_id"], line["reason"]) == ("c-7", "SCHEMA_VIOLATION")
    (notice,) = await world.told("till.dlq")
    assert notice.envelope.correlation_id == "c-7"
    assert SECRET not in lines.text


async def test_a_failing_deadline_is_named_by_its_kind(logging_as: Configure) -> None:
    lines = logging_as()
    world = await depot()
    message_id = await world.publish(sending(note="crash reminding"))
    await world.advance(to=NOON.replace(hour=6))
    (line,) = lines.of("message.dead_lettered")
    assert (line["type"], line["correlation_id"], line["reason"]) == ("REMIND", message_id, "HANDLER_FAILED")


async def test_a_dead_letter_that_fails_again_is_told_again(logging_as: Configure) -> None:
    lines = logging_as()
    world = await depot()
    await world.tell(sending(note="crash"))
    database = world.members["till"].database
    (letter,) = await database.dead_letters(10)
    await database.speak(letter.seq, Word.REDRIVE)
    await world.settle()
    first, second = lines.of("message.dead_lettered")
    assert (first["message_id"], first["fingerprint"]) == (second["message_id"], second["fingerprint"])


async def test_the_line_that_stops_is_an_error_and_its_turn_tells_no_dead_letter(logging_as: Configure) -> None:
    lines = logging_as()
    world = await depot(breaker_keys=3, buyers=3)
    for n in range(3):
        await world.publish(sending(f"b{n}", note="crash"))
    with pytest.raises(LineStopped):
        await world.settle()
    (line,) = lines.of("line.stopped")
    assert line["level"] == "error"
    assert "3 keys failed alike: tests.engine.till.send_parcel: ZeroDivisionError at till.py:" in line["reason"]
    assert lines.of("message.dead_lettered") == []


async def test_a_turn_is_one_line_for_who_wants_to_see_everything(logging_as: Configure) -> None:
    lines = logging_as("debug")
    world = await depot(buyers=2)
    await world.publish(sending("b0"))
    await world.publish(sending("b1", note="crash"))
    await world.publish(sending("nobody"))
    await world.settle()
    turns = [line for line in lines.of("turn.ended") if line["records"] == 3]
    assert [(one["level"], one["driver"], one["handled"], one["rejected"], one["dead"]) for one in turns] == [
        ("debug", "records", 3, 1, 1)
    ]
    assert turns[0]["seconds"] > 0


async def test_turns_are_silent_otherwise(logging_as: Configure) -> None:
    lines = logging_as("info")
    await (await depot()).tell(sending())
    assert lines.text == ""


async def answered(answer_with: BaseException) -> None:
    """An adapter is asked, says something of its own, and stumbles."""
    adapter = Adapter("psp", source="https://psp.example")

    @adapter.on(CollectionRequested)
    async def answer(request: CollectionRequested) -> AsyncIterator[Command]:
        logging.getLogger("psp.client").warning("the card is not known")
        raise answer_with
        yield  # it would be an answer, had it come so far

    given = answering.Answering(adapter, clock=StandingClock(), partitions=12, at_once=1)
    request = given.read(record_of(requested(), "0b6cb2f6-9f0c-4b7e-8f0a-0d3c3f6a1c55"))
    assert request is not None
    assert await given.answer(request) == []


async def test_an_adapters_exception_is_logged_with_its_correlation_id_and_without_what_it_quotes(
    logging_as: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = logging_as(service="psp")
    monkeypatch.setattr(answering, "log", structlog.get_logger("kit"))
    await answered(ValueError(f"no card of {SECRET}"))
    own, line = lines.read
    assert (own["event"], line["event"]) == ("the card is not known", "adapter.failed")
    for one in (own, line):
        assert (one["service"], one["correlation_id"]) == ("psp", "c-1")
        assert (one["message_id"], one["type"]) == ("0b6cb2f6-9f0c-4b7e-8f0a-0d3c3f6a1c55", CollectionRequested.TYPE)
    assert line["level"] == "error"
    assert line["exception"].endswith("ValueError")
    assert "raise answer_with" in line["exception"]
    assert SECRET not in lines.text


def test_an_exception_tells_kind_and_place_and_its_text_only_where_that_quotes_nobody(logging_as: Configure) -> None:
    lines = logging_as()
    log = logging.getLogger("anybody")
    try:
        try:
            raise KeyError(SECRET)
        except KeyError as missing:
            raise Unavailable("billing: the database does not answer") from missing
    except Unavailable:
        log.exception("resting")
    (line,) = lines.read
    said = line["exception"].splitlines()
    assert said.count("KeyError") == 1
    assert said[-1] == "Unavailable: billing: the database does not answer"
    assert "which led to" in said
    assert SECRET not in lines.text


def test_a_group_of_exceptions_tells_each(logging_as: Configure) -> None:
    lines = logging_as()
    try:
        raise ExceptionGroup(SECRET, [ValueError(SECRET), TimeoutError("in 5 s")])
    except ExceptionGroup:
        logging.getLogger("anybody").exception("both failed")
    assert lines.read[0]["exception"].splitlines()[-3:] == ["ExceptionGroup", "ValueError", "TimeoutError: in 5 s"]
    assert SECRET not in lines.text


def test_the_servers_own_lines_take_the_same_chain(logging_as: Configure) -> None:
    server = logging.getLogger("uvicorn.error")
    server.addHandler(logging.StreamHandler(io.StringIO()))
    server.propagate = False
    lines = logging_as()
    try:
        raise ValueError(SECRET)
    except ValueError:
        server.exception("Exception in ASGI application")
    (line,) = lines.read
    assert (line["service"], line["logger"]) == ("till", "uvicorn.error")
    assert SECRET not in lines.text


def test_what_a_library_hangs_on_its_lines_stays_there(logging_as: Configure) -> None:
    lines = logging_as()
    logging.getLogger("library").warning("something", extra={"body": SECRET})
    assert lines.read[0]["event"] == "something"
    assert SECRET not in lines.text


@pytest.mark.parametrize(
    ("form", "terminal", "begins"),
    [
        ("", False, '{"timestamp": "'),
        ("", True, "timestamp='"),
        ("json", True, '{"timestamp": "'),
        ("console", False, "timestamp='"),
    ],
)
def test_a_terminal_gets_lines_for_people_and_everything_else_json_unless_told(
    logging_as: Configure, monkeypatch: pytest.MonkeyPatch, form: str, terminal: bool, begins: str
) -> None:
    logging_as()  # so that the logs are put back
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: terminal)
    monkeypatch.setattr(sys, "stderr", stream)
    configure_logs("info", "billing", form)  # type: ignore[arg-type]
    structlog.get_logger("x").info("service.started", topics=("后付",))
    line = stream.getvalue()
    assert line.startswith(begins)
    assert "后付" in line
    assert line.index("level") < line.index("service") < line.index("event") < line.index("topics")


def test_a_broker_outage_writes_each_text_once_in_a_while(logging_as: Configure) -> None:
    lines = logging_as()
    noisy = logging.getLogger("aiokafka.conn")
    for attempt in range(1000):
        noisy.error("no connection to %s, attempt %d", "broker:9092", attempt)
    assert len(lines.read) == 1
    assert lines.read[0]["event"] == "no connection to broker:9092, attempt 0"
