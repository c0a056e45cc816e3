"""The headers are CloudEvents: the official package reads what we write and writes what we read."""

from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary_event, to_binary_event
from cloudevents.core.v1.event import CloudEvent
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.envelope import HEADER_MAX, Envelope, EnvelopeInvalid, Headers, format_instant, parse_instant

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

PLAIN = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=40)
INSTANTS = st.datetimes(datetime(1970, 1, 1), datetime(9000, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
ENVELOPES = st.builds(
    Envelope,
    id=st.uuids().map(str),
    type=PLAIN,
    source=PLAIN,
    time=INSTANTS,
    subject=PLAIN,
    key=PLAIN,
    correlation_id=PLAIN,
    causation_id=st.none() | PLAIN,
    deadline=st.none() | PLAIN,
    tenant=PLAIN,
    traceparent=st.none() | st.from_regex(r"00-[1-9a-f][0-9a-f]{31}-[1-9a-f][0-9a-f]{15}-[0-9a-f]{2}", fullmatch=True),
)

OUTCOMES = {
    "READ",
    "SPEC_VERSION",
    "ID_INVALID",
    "TIME_INVALID",
    "HEADER_MISSING",
    "HEADER_INVALID",
    "HEADER_ENCODING",
    "KEY_MISSING",
    "KEY_ENCODING",
    "KEY_INVALID",
    "KEY_MISMATCH",
}


def some_headers(**changed: bytes | None) -> Headers:
    headers = {
        "ce_specversion": b"1.0",
        "ce_id": b"0b6cb2f6-9f0c-4b7e-8f0a-0d3c3f6a1c55",
        "ce_type": b"houfu.checkout.confirm_receipt.v1",
        "ce_source": b"/shop",
        "ce_time": b"2027-03-01T01:00:00Z",
        **changed,
    }
    return [(name, value) for name, value in headers.items() if value is not None]


@given(ENVELOPES)
def test_an_envelope_is_read_as_it_was_written(envelope: Envelope) -> None:
    assert Envelope.parse(envelope.headers(), envelope.key.encode()) == envelope


@given(ENVELOPES)
def test_the_official_package_reads_our_headers(envelope: Envelope) -> None:
    read = from_binary_event(KafkaMessage(dict(envelope.headers()), envelope.key.encode(), b'{"buyer_id": "b-1"}'))
    assert read.get_id() == envelope.id
    assert read.get_type() == envelope.type
    assert read.get_source() == envelope.source
    assert read.get_subject() == envelope.subject
    assert read.get_time() == envelope.time
    assert read.get_datacontenttype() == "application/json"
    assert read.get_data() == {"buyer_id": "b-1"}
    assert read.get_extension("partitionkey") == envelope.key
    assert read.get_extension("correlationid") == envelope.correlation_id
    assert read.get_extension("causationid") == envelope.causation_id
    assert read.get_extension("traceparent") == envelope.traceparent


@given(ENVELOPES)
def test_we_read_the_headers_of_the_official_package(envelope: Envelope) -> None:
    attributes = {
        "id": envelope.id,
        "type": envelope.type,
        "source": envelope.source,
        "specversion": "1.0",
        "time": envelope.time,
        "subject": envelope.subject,
        "datacontenttype": "application/json",
        "partitionkey": envelope.key,
        "tenant": envelope.tenant,
        "correlationid": envelope.correlation_id,
        "causationid": envelope.causation_id,
        "deadline": envelope.deadline,
        "traceparent": envelope.traceparent,
    }
    written = to_binary_event(CloudEvent({name: it for name, it in attributes.items() if it is not None}, {}))
    assert isinstance(written.key, str)
    assert Envelope.parse(list(written.headers.items()), written.key.encode()) == envelope


@given(
    st.lists(
        st.tuples(
            st.sampled_from([name for name, _ in some_headers()] + ["ce_partitionkey", "traceparent", "ce_traceparent"])
            | st.text(),
            st.none() | st.binary() | st.text().map(str.encode),
        )
    ),
    st.none() | st.binary(),
)
def test_whatever_the_headers_hold_reading_them_ends_in_an_envelope_or_a_named_defect(
    headers: list[tuple[str, bytes | None]], key: bytes | None
) -> None:
    for candidate in (headers, [*some_headers(), *headers]):
        assert outcome_of(candidate, key) in OUTCOMES


def outcome_of(headers: list[tuple[str, bytes | None]], key: bytes | None) -> str:
    try:
        return "READ" if Envelope.parse(headers, key).key.encode() == key else "ANOTHER KEY"
    except EnvelopeInvalid as defect:
        return defect.reason


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"ce_specversion": None}, "SPEC_VERSION"),
        ({"ce_specversion": b"0.3"}, "SPEC_VERSION"),
        ({"ce_id": None}, "HEADER_MISSING"),
        ({"ce_id": b"42"}, "ID_INVALID"),
        ({"ce_type": b""}, "HEADER_MISSING"),
        ({"ce_source": None}, "HEADER_MISSING"),
        ({"ce_time": b"yesterday"}, "TIME_INVALID"),
        ({"ce_time": b"2027-03-01T01:00:00"}, "TIME_INVALID"),
        ({"ce_time": b"0001-01-01T00:00:00+14:00"}, "TIME_INVALID"),
        ({"ce_partitionkey": b"b-2"}, "KEY_MISMATCH"),
        ({"ce_subject": b"\xff\xfe"}, "HEADER_ENCODING"),
        ({"ce_subject": b"o\x00"}, "HEADER_INVALID"),
        ({"ce_correlationid": b"c" * (HEADER_MAX + 1)}, "HEADER_INVALID"),
    ],
)
def test_a_defect_has_a_stable_reason(changed: dict[str, bytes | None], reason: str) -> None:
    with pytest.raises(EnvelopeInvalid) as defect:
        Envelope.parse(some_headers(**changed), b"b-1")
    assert defect.value.reason == reason


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        (None, "KEY_MISSING"),
        (b"", "KEY_MISSING"),
        (b"\xff", "KEY_ENCODING"),
        (b"b\n", "KEY_INVALID"),
        (b"b" * (HEADER_MAX + 1), "KEY_INVALID"),
    ],
)
def test_a_record_needs_a_readable_key(key: bytes | None, reason: str) -> None:
    with pytest.raises(EnvelopeInvalid) as defect:
        Envelope.parse(some_headers(), key)
    assert defect.value.reason == reason


def test_a_header_that_is_not_ours_may_hold_anything() -> None:
    assert Envelope.parse([*some_headers(), ("x-vendor", b"\xff\x00"), ("x-null", None)], b"b-1").key == "b-1"


def test_what_an_integrator_may_leave_out_has_a_meaning() -> None:
    read = Envelope.parse(some_headers(), b"b-1")
    assert read.correlation_id == read.id
    assert (read.subject, read.tenant, read.causation_id, read.traceparent) == ("b-1", "default", None, None)


def test_the_trace_context_is_taken_from_either_header() -> None:
    for name in ("traceparent", "ce_traceparent"):
        assert Envelope.parse(some_headers(**{name: TRACE.encode()}), b"b-1").traceparent == TRACE
    both = some_headers(traceparent=TRACE.encode(), ce_traceparent=TRACE.replace("b7ad", "b7ae").encode())
    assert Envelope.parse(both, b"b-1").traceparent == TRACE
    repaired = some_headers(traceparent=b"nonsense", ce_traceparent=TRACE.encode())
    assert Envelope.parse(repaired, b"b-1").traceparent == TRACE


@pytest.mark.parametrize(
    "malformed",
    [
        b"",
        b"\xff\x00",
        b"00-trace",
        TRACE.upper().encode(),
        TRACE.encode() + b"-more",
        TRACE.encode() + b"\n",
        b"ff" + TRACE[2:].encode(),
        b"00-" + b"0" * 32 + TRACE[35:].encode(),
        TRACE[:36].encode() + b"0" * 16 + b"-01",
        b"01" + TRACE[2:].encode() + b"-" + b"x" * 5000,
    ],
)
def test_a_malformed_trace_context_is_as_if_there_were_none(malformed: bytes) -> None:
    for name in ("traceparent", "ce_traceparent"):
        assert Envelope.parse(some_headers(**{name: malformed}), b"b-1").traceparent is None


def test_a_trace_context_of_a_later_version_is_handed_on_as_it_is() -> None:
    later = "01" + TRACE[2:] + "-what.comes.later"
    assert Envelope.parse(some_headers(traceparent=later.encode()), b"b-1").traceparent == later


def test_one_id_has_one_form() -> None:
    shouted = UUID("0b6cb2f6-9f0c-4b7e-8f0a-0d3c3f6a1c55")
    read = Envelope.parse(some_headers(ce_id=str(shouted).upper().encode()), b"b-1")
    assert read.id == str(shouted)


def test_an_instant_is_written_in_utc_and_read_with_any_offset() -> None:
    noon = datetime(2027, 3, 1, 12, tzinfo=timezone(timedelta(hours=8)))
    assert format_instant(noon) == "2027-03-01T04:00:00Z"
    assert parse_instant("2027-03-01T12:00:00+08:00") == noon
