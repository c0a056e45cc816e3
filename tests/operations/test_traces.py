"""One trace over every hop: W3C contexts on the wire, one span a message where an SDK is configured."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased

from shared.contracts.envelope import Envelope
from shared.contracts.message import Message
from shared.drivers.faults import Point
from shared.engine.monitor import Tally, Undone
from shared.engine.ports import DataRefused, Outgoing, Unavailable, Word
from shared.integration import outbound
from shared.kernel.partition import home_partition
from shared.operations.traces import Traces
from shared.testing.world import PARTITIONS, Told, World
from tests.engine.till import OpenAccount, ParcelPacked, ParcelSent, Reminded, SendParcel, till
from tests.operations.porch import DoorOpened, KnockOnDoor, Weather, porch, postman

NOON = datetime(2027, 3, 1, 4, tzinfo=UTC)
ANN = OpenAccount(buyer_id="ann", currency="CNY", balance=100)
TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
SHOP = f"00-{TRACE_ID}-b7ad6b7169203331-01"


class Scene:
    """A till, a postman and a porch, followed by whatever SDK the deployment has configured."""

    def __init__(self, provider: TracerProvider | None, weather: Weather | None = None) -> None:
        def traces(name: str) -> Traces | None:
            return Traces(name, provider) if provider else None

        self.exporter = InMemorySpanExporter()
        if provider is not None:
            provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.world = World(till, porch, start=NOON, adapters=[postman(weather)], traces=traces)

    async def started(self) -> Scene:
        await self.world.start()
        await self.world.tell(ANN)
        self.exporter.clear()
        return self

    async def say(self, message: Message, number: int, *, header: str = "traceparent", context: bytes | None) -> None:
        """Write a message as an integrator does who traces, or believes so."""
        identity = f"{number:08d}-1111-4111-8111-111111111111"
        subject = str(getattr(message, message.SUBJECT))
        envelope = Envelope(identity, message.TYPE, "/shop", NOON, subject, message.key, identity)
        headers = [*envelope.headers(), *([(header, context)] if context is not None else [])]
        lane = home_partition(message.key, PARTITIONS)
        await self.world.log.publish([Outgoing(message.topic(), lane, message.key, headers, message.to_json())])  # type: ignore[attr-defined]
        await self.world.settle()

    @property
    def spans(self) -> Sequence[ReadableSpan]:
        return self.exporter.get_finished_spans()

    async def told(self, kind: type[Message]) -> Told:
        """The one message of a class."""
        (found,) = [one for one in await self.world.told() if isinstance(one.message, kind)]
        return found


def sending(parcel_id: str = "p1", note: str = "", buyer_id: str = "ann", price: int = 1) -> SendParcel:
    return SendParcel(buyer_id=buyer_id, parcel_id=parcel_id, price=price, note=note)


def context_of(span: ReadableSpan) -> str:
    assert span.context is not None
    return f"00-{span.context.trace_id:032x}-{span.context.span_id:016x}-{span.context.trace_flags:02x}"


def parent_of(span: ReadableSpan) -> str:
    return f"{span.parent.span_id:016x}" if span.parent else ""


@pytest.fixture
async def scene() -> Scene:
    return await Scene(TracerProvider()).started()


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbound, "PAUSE_MAX_S", 0.0)


async def test_one_trace_leads_from_a_command_over_a_deadline_and_an_adapter_into_the_next_service(
    scene: Scene,
) -> None:
    await scene.say(sending(), 1, context=SHOP.encode())
    await scene.world.advance(timedelta(hours=1))
    sent, reminded, knocked, opened = [
        await scene.told(kind) for kind in (ParcelSent, Reminded, KnockOnDoor, DoorOpened)
    ]
    command, deadline, answer, next_door = scene.spans
    assert [span.name for span in scene.spans] == [
        f"till {SendParcel.TYPE}",
        "till REMIND",
        f"postman {Reminded.TYPE}",
        f"porch {KnockOnDoor.TYPE}",
    ]
    assert {span.context.trace_id for span in scene.spans if span.context} == {int(TRACE_ID, 16)}
    assert parent_of(command) == "b7ad6b7169203331"
    for before, after in ((command, deadline), (deadline, answer), (answer, next_door)):
        assert parent_of(after) == context_of(before).split("-")[2]
    for span, message in ((command, sent), (deadline, reminded), (answer, knocked), (next_door, opened)):
        assert message.envelope.traceparent == context_of(span)
    assert not any(span.links for span in scene.spans)


async def test_a_span_names_its_message_by_id_and_correlation_and_says_how_it_ended(scene: Scene) -> None:
    await scene.say(sending(), 1, context=SHOP.encode())
    await scene.say(sending("p2", price=9999), 2, context=SHOP.encode())
    done, refused = scene.spans
    assert dict(done.attributes or {}) == {
        "messaging.system": "kafka",
        "messaging.operation.type": "process",
        "messaging.message.id": "00000001-1111-4111-8111-111111111111",
        "messaging.message.conversation_id": "00000001-1111-4111-8111-111111111111",
        "houfu.outcome": "DONE",
    }
    assert done.kind is trace.SpanKind.CONSUMER
    assert (refused.attributes or {})["houfu.outcome"] == "BALANCE_TOO_LOW"
    assert refused.status.status_code is trace.StatusCode.UNSET
    assert done.start_time is not None
    assert done.end_time is not None
    assert done.start_time <= done.end_time


async def test_a_handler_that_fails_is_an_error_and_the_notice_of_its_dead_letter_belongs_to_it(scene: Scene) -> None:
    await scene.say(sending(note="crash"), 1, context=SHOP.encode())
    (failed,) = scene.spans
    assert failed.status.status_code is trace.StatusCode.ERROR
    assert failed.status.description == "HANDLER_FAILED"
    assert not failed.events  # an exception's text may quote the message
    (notice,) = await scene.world.told("till.dlq")
    assert notice.envelope.traceparent == context_of(failed)


async def test_a_turn_taken_again_shows_each_message_once(scene: Scene) -> None:
    database = scene.world.members["till"].database
    database.faults.fail_next(Point.COMMIT, Unavailable("once"), Unavailable("twice"))
    database.faults.fail_next(Point.SAVE, None, None, DataRefused("parcel: CheckViolation 23514"))
    await scene.say(sending(), 1, context=SHOP.encode())
    (span,) = scene.spans
    assert (await scene.told(ParcelSent)).envelope.traceparent == context_of(span)
    tally = scene.world.members["till"].monitor
    assert isinstance(tally, Tally)
    assert tally.undone == {Undone.UNAVAILABLE: 2, Undone.REFUSED: 1}


async def test_an_event_that_waits_for_its_row_is_one_span_when_it_is_handled_in_its_own_trace(scene: Scene) -> None:
    elsewhere = "00-11111111111111111111111111111111-2222222222222222-01"
    await scene.say(ParcelPacked(buyer_id="ann", parcel_id="p1", box="a"), 1, context=elsewhere.encode())
    assert scene.spans == ()
    await scene.say(sending(), 2, context=SHOP.encode())
    packed = next(span for span in scene.spans if span.name.endswith(ParcelPacked.TYPE))
    assert (parent_of(packed), len(scene.spans)) == ("2222222222222222", 2)
    assert context_of(packed).split("-")[1] == "1" * 32


async def test_a_redriven_dead_letter_is_another_span_of_the_same_trace(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    await scene.say(sending(note="crash"), 1, context=SHOP.encode())
    monkeypatch.setattr("tests.engine.till.stumble", lambda note: None)
    database = scene.world.members["till"].database
    (letter,) = await database.dead_letters(10)
    await database.speak(letter.seq, Word.REDRIVE)
    await scene.world.settle()
    failed, done = scene.spans
    assert parent_of(failed) == parent_of(done) == "b7ad6b7169203331"
    assert (done.attributes or {})["houfu.outcome"] == "DONE"


@pytest.mark.parametrize("weather", [Weather(storms=3), Weather(broken=True)])
async def test_an_adapters_answer_is_one_span_however_often_it_was_tried(weather: Weather) -> None:
    scene = await Scene(TracerProvider(), weather).started()
    await scene.say(sending(), 1, context=SHOP.encode())
    await scene.world.advance(timedelta(hours=1))
    (answer,) = [span for span in scene.spans if span.name.startswith("postman")]
    failed = answer.status.status_code is trace.StatusCode.ERROR
    assert ((answer.attributes or {})["houfu.outcome"], failed) == (
        ("FAILED", True) if weather.broken else ("ANSWERED", False)
    )


async def test_a_message_without_a_context_begins_a_trace_where_an_sdk_is_configured(scene: Scene) -> None:
    await scene.say(sending(), 1, context=None)
    (span,) = scene.spans
    assert span.parent is None
    assert (await scene.told(ParcelSent)).envelope.traceparent == context_of(span)


@pytest.mark.parametrize("header", ["traceparent", "ce_traceparent"])
async def test_without_an_sdk_the_context_passes_through_every_hop_as_it_came(header: str) -> None:
    scene = await Scene(None).started()
    await scene.say(sending(), 1, header=header, context=SHOP.encode())
    await scene.world.advance(timedelta(hours=1))
    for kind in (ParcelSent, Reminded, KnockOnDoor, DoorOpened):
        assert (await scene.told(kind)).envelope.traceparent == SHOP
        assert {"traceparent", "ce_traceparent"} <= dict((await scene.told(kind)).record.headers).keys()


async def test_without_an_sdk_nobody_begins_a_trace() -> None:
    scene = await Scene(None).started()
    await scene.say(sending(), 1, context=None)
    assert (await scene.told(ParcelSent)).envelope.traceparent is None


@pytest.mark.parametrize(
    "malformed", [b"nonsense", b"\xff\xfe\x00", b"x" * 5000, b"00-" + b"0" * 32 + b"-" + b"0" * 16]
)
@pytest.mark.parametrize("followed", [True, False])
async def test_a_malformed_context_is_as_if_there_were_none_and_never_a_dead_letter(
    malformed: bytes, *, followed: bool
) -> None:
    scene = await Scene(TracerProvider() if followed else None).started()
    await scene.say(sending(), 1, context=malformed)
    sent = await scene.told(ParcelSent)
    assert await scene.world.told("till.dlq") == []
    assert (sent.envelope.traceparent is not None) is followed
    assert all(span.parent is None for span in scene.spans)


async def test_a_trace_that_is_not_sampled_stays_so_over_every_hop() -> None:
    scene = await Scene(TracerProvider(sampler=ParentBased(ALWAYS_OFF))).started()
    await scene.say(sending(), 1, context=f"00-{TRACE_ID}-b7ad6b7169203331-00".encode())
    await scene.world.advance(timedelta(hours=1))
    assert scene.spans == ()
    opened = (await scene.told(DoorOpened)).envelope.traceparent or ""
    assert (opened.split("-")[1], int(opened.split("-")[3], 16) & 1) == (TRACE_ID, 0)


async def test_an_sdk_that_is_switched_off_passes_contexts_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    scene = await Scene(TracerProvider()).started()
    await scene.say(sending(), 1, context=SHOP.encode())
    assert (await scene.told(ParcelSent)).envelope.traceparent == SHOP
    assert [one.envelope.traceparent for one in await scene.world.told() if one.message == ANN] == [None]


def test_a_deployment_without_an_sdk_has_no_tracer() -> None:
    assert Traces.configured("till") is None
