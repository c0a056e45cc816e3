"""Reading a record never raises: whatever its bytes, it is a message, a defect with a reason, or of no concern."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.contracts.envelope import BODY_MAX_BYTES, Envelope
from shared.drivers.memory_log import FixedClock
from shared.engine.held import pack_record, unpack_record
from shared.engine.intake import Arrival, Defect, Intake, Skipped, content_of
from shared.engine.ports import Record
from shared.kernel.partition import home_partition
from tests.engine.till import OpenAccount, ParcelPacked, ParcelSent, SendParcel, till

NOON = datetime(2027, 3, 1, 4, tzinfo=UTC)
ID = "11111111-1111-4111-8111-111111111111"
BODY: dict[str, Any] = {"buyer_id": "ann", "currency": "CNY", "balance": 5}

intake = Intake(till, FixedClock(NOON), 12)

HEADERS = dict(Envelope(ID, OpenAccount.TYPE, "/shop", NOON, "ann", "ann", ID).headers())


def record(
    body: Any = BODY, *, topic: str = "till.commands", key: bytes | None = b"ann", **laid_over: bytes | None
) -> Record:
    """A good record with something changed; a header that is None is a null header."""
    value = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    return Record(topic, 3, 7, NOON, key, value, list({**HEADERS, **laid_over}.items()))


def fact(**laid_over: bytes | None) -> Record:
    """What the depot says."""
    body = {"buyer_id": "ann", "parcel_id": "p1", "box": "a"}
    return record(body, topic="depot.events", **{"ce_type": ParcelPacked.TYPE.encode(), **laid_over})


# ------------------------------------------------------------------ it never raises

names = st.one_of(st.sampled_from(sorted(HEADERS)), st.text(max_size=20))
values = st.one_of(st.none(), st.binary(max_size=60), st.sampled_from(sorted(HEADERS.values())))
bodies = st.one_of(
    st.none(),
    st.binary(max_size=200),
    st.recursive(
        st.none() | st.floats() | st.integers() | st.text(), lambda it: st.lists(it) | st.dictionaries(names, it)
    )
    .map(json.dumps)
    .map(str.encode),
    st.fixed_dictionaries({name: st.none() | st.integers() | st.text() for name in BODY})
    .map(json.dumps)
    .map(str.encode),
)
records = st.builds(
    Record,
    topic=st.sampled_from(["till.commands", "depot.events", "elsewhere.events"]),
    partition=st.integers(0, 11),
    offset=st.integers(0, 2**63 - 1),
    broker_time=st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    key=st.one_of(st.none(), st.just(b"ann"), st.binary(max_size=20)),
    value=bodies,
    headers=st.one_of(
        st.lists(st.tuples(names, values), max_size=15),
        st.dictionaries(names, values, max_size=5).map(lambda some: list({**HEADERS, **some}.items())),
    ),
)


@settings(max_examples=2000, deadline=None)
@given(records)
def test_every_record_can_be_read(found: Record) -> None:
    read = intake.read_one(found)
    assert isinstance(read, Arrival | Defect | Skipped)
    if isinstance(read, Defect):
        assert read.reason.isupper()
        assert 0 <= read.lane < 12
    if isinstance(read, Arrival):
        assert read.lane == home_partition(read.message.key, 12)
    again = intake.read_one(unpack_record(pack_record(found)))
    assert again == read, "a record that was held reads as it did before"


class Unpredictable:
    """Headers no client library would hand out."""

    def __iter__(self) -> Any:
        raise RecursionError("nobody expects this")


def test_what_nobody_foresaw_is_a_defect_too() -> None:
    found = Record("till.commands", 0, 0, NOON, b"ann", b"{}", Unpredictable())  # type: ignore[arg-type]
    read = intake.read_one(found)
    assert isinstance(read, Defect)
    assert (read.reason, read.detail) == ("UNREADABLE", "RecursionError")


# ------------------------------------------------------------------ every reason has its code


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (record(ce_specversion=b"0.3"), "SPEC_VERSION"),
        (record(ce_specversion=None), "SPEC_VERSION"),
        (record(ce_id=None), "HEADER_MISSING"),
        (record(ce_type=None), "HEADER_MISSING"),
        (record(ce_source=b""), "HEADER_MISSING"),
        (record(ce_time=None), "HEADER_MISSING"),
        (record(ce_id=b"42"), "ID_INVALID"),
        (record(ce_time=b"noon"), "TIME_INVALID"),
        (record(ce_time=b"2027-03-01T12:00:00"), "TIME_INVALID"),
        (record(ce_subject=b"\xff"), "HEADER_ENCODING"),
        (record(ce_subject=b"a\nb"), "HEADER_INVALID"),
        (record(ce_subject=b"x" * 501), "HEADER_INVALID"),
        (record(key=None), "KEY_MISSING"),
        (record(key=b""), "KEY_MISSING"),
        (record(key=b"\xff"), "KEY_ENCODING"),
        (record(key=b"\x00"), "KEY_INVALID"),
        (record(ce_partitionkey=b"bob"), "KEY_MISMATCH"),
        (record({**BODY, "buyer_id": "bob"}), "KEY_MISMATCH"),
        (record(ce_tenant=b"acme"), "WRONG_TENANT"),
        (record(ce_type=b"houfu.till.unheard_of.v1"), "UNKNOWN_TYPE"),
        (record(ce_type=b"houfu.till.open_account.v2"), "UNKNOWN_TYPE"),
        (record(ce_type=ParcelPacked.TYPE.encode()), "UNKNOWN_TYPE"),
        (record(topic="depot.events", ce_type=OpenAccount.TYPE.encode()), "UNKNOWN_TYPE"),
        (record(None), "BODY_MISSING"),
        (record(b" " * (BODY_MAX_BYTES + 1)), "BODY_TOO_LARGE"),
        (record(b"{"), "SCHEMA_VIOLATION"),
        (record(b"\xff"), "SCHEMA_VIOLATION"),
        (record([1]), "SCHEMA_VIOLATION"),
        (record({**BODY, "balance": "5"}), "SCHEMA_VIOLATION"),
        (record({**BODY, "balance": float("nan")}), "SCHEMA_VIOLATION"),
        (record({**BODY, "currency": "XXXX"}), "SCHEMA_VIOLATION"),
    ],
)
def test_a_defect_has_a_stable_reason(found: Record, reason: str) -> None:
    read = intake.read_one(found)
    assert isinstance(read, Defect)
    assert read.reason == reason


def test_a_fact_nobody_here_reacts_to_is_of_no_concern() -> None:
    for kind in (b"houfu.depot.unheard_of.v1", b"houfu.depot.parcel_packed.v7", ParcelSent.TYPE.encode(), b"\xff"):
        assert isinstance(intake.read_one(fact(ce_type=kind)), Skipped)
    assert isinstance(intake.read_one(fact()), Arrival)
    assert isinstance(intake.read_one(fact(ce_type=None)), Defect)


def test_a_violation_names_the_field_and_never_its_content() -> None:
    read = intake.read_one(record({**BODY, "balance": "secret", "buyer_id": "also secret"}))
    assert isinstance(read, Defect)
    assert "balance: " in read.detail
    assert "secret" not in read.detail


# ------------------------------------------------------------------ time and content


@pytest.mark.parametrize(
    ("stated", "now"),
    [
        (NOON, NOON),
        (NOON - timedelta(minutes=9), NOON - timedelta(minutes=9)),
        (NOON - timedelta(days=9), NOON - timedelta(minutes=10)),
        (NOON + timedelta(days=9), NOON + timedelta(minutes=1)),
    ],
)
def test_t_1_a_commands_time_is_clamped_to_the_brokers(stated: datetime, now: datetime) -> None:
    read = intake.read_one(record(ce_time=stated.isoformat().encode()))
    assert isinstance(read, Arrival)
    assert (read.now, read.horizon) == (now, max(now, NOON))


def test_t_1_a_fact_keeps_the_time_of_the_handler_that_produced_it() -> None:
    early = NOON - timedelta(days=9)
    read = intake.read_one(fact(ce_time=early.isoformat().encode()))
    assert isinstance(read, Arrival)
    assert (read.now, read.horizon) == (early, NOON)


def test_h_3_the_digest_covers_type_key_and_body() -> None:
    digests = [one.digest for one in intake.read([record(), record(), record({**BODY, "balance": 6}), fact()])]  # type: ignore[union-attr]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


def test_h_3_content_is_the_body_as_sent_in_any_order_without_what_may_differ() -> None:
    message = SendParcel(buyer_id="ann", parcel_id="p1", price=1)
    one = content_of(message, b'{"buyer_id": "ann", "price": 1, "extra": [{"b": 1, "a": 2}]}')
    other = content_of(message, b'{"extra": [{"a": 2, "b": 1}], "price": 1, "occurred_at": 3, "buyer_id": "ann"}')
    assert one == other
    assert content_of(message, b'{"buyer_id": "ann", "price": 2}') != one


def test_h_3_what_may_differ_may_lie_deeper() -> None:
    class Deep(SendParcel):
        NOT_CONTENT = frozenset({"confirmed.quoted_at"})

    message = Deep(buyer_id="ann", parcel_id="p1", price=1)
    quoted = [content_of(message, json.dumps({"confirmed": {"quoted_at": at, "amount": 1}}).encode()) for at in (1, 2)]
    assert quoted[0] == quoted[1]
    assert content_of(message, b'{"confirmed": 1}') == content_of(message, b'{"confirmed": 1}')
