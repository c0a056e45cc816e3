"""Law 3: a bad message never delays a good one of another buyer, and nothing disappears without a word."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest

from shared.contracts.envelope import Envelope
from shared.engine.ports import Word
from tests.engine.till import SendParcel
from tests.laws.bench import Bench, Headers
from tests.laws.load import Customers
from tests.patience import eventually

GOOD = b'{"buyer_id": "KEY", "currency": "CNY", "balance": 1, "parcel_id": "p1", "box": "b"}'
"""Fit for an account to open and for a parcel that was packed; KEY stands for the record's key."""

BODIES: dict[str, tuple[bytes | None, str]] = {
    "no body": (None, "BODY_MISSING"),
    "an empty body": (b"", "SCHEMA_VIOLATION"),
    "no JSON": (b'{"buyer_id": ', "SCHEMA_VIOLATION"),
    "no UTF-8": (b'{"buyer_id": "\xff\xfe"}', "SCHEMA_VIOLATION"),
    "no object": (b"[1, 2, 3]", "SCHEMA_VIOLATION"),
    "wrong types": (b'{"buyer_id": "KEY", "currency": "CNY", "balance": "12"}', "SCHEMA_VIOLATION"),
    "a huge integer": (b'{"buyer_id": "KEY", "currency": "CNY", "balance": 1' + b"0" * 4000 + b"}", "SCHEMA_VIOLATION"),
    "NaN": (b'{"buyer_id": "KEY", "currency": "CNY", "balance": NaN}', "SCHEMA_VIOLATION"),
    "a float for money": (b'{"buyer_id": "KEY", "currency": "CNY", "balance": 1e2}', "SCHEMA_VIOLATION"),
    "deep nesting": (b"[" * 100_000 + b"]" * 100_000, "SCHEMA_VIOLATION"),
    "nesting within": (
        b'{"buyer_id": "KEY", "x": ' + b'{"a":' * 20_000 + b"1" + b"}" * 20_000 + b"}",
        "SCHEMA_VIOLATION",
    ),
    "a NUL in an id": (b'{"buyer_id": "KEY\\u0000", "currency": "CNY", "balance": 1}', "SCHEMA_VIOLATION"),
    "another key": (GOOD.replace(b"KEY", b"somebody"), "KEY_MISMATCH"),
    "a megabyte": (b'{"buyer_id": "KEY", "x": "' + b"x" * 1_000_000 + b'"}', "BODY_TOO_LARGE"),
}
"""What a body may be and why it is refused."""

HEADERS: dict[str, tuple[dict[str, bytes | None], str]] = {
    "no specversion": ({"ce_specversion": None}, "SPEC_VERSION"),
    "another specversion": ({"ce_specversion": b"0.3"}, "SPEC_VERSION"),
    "an id that is none": ({"ce_id": b"42"}, "ID_INVALID"),
    "a null id": ({"ce_id": None}, "HEADER_MISSING"),
    "a header that is no UTF-8": ({"ce_source": b"\xff\xfe"}, "HEADER_ENCODING"),
    "a header with control characters": ({"ce_subject": b"a\x00b"}, "HEADER_INVALID"),
    "a header without an end": ({"ce_subject": b"x" * 100_000}, "HEADER_INVALID"),
    "a time that is none": ({"ce_time": b"yesterday"}, "TIME_INVALID"),
    "a time before all time": ({"ce_time": b"0001-01-01T00:00:00+14:00"}, "TIME_INVALID"),
    "another tenant": ({"ce_tenant": b"acme"}, "WRONG_TENANT"),
    "another partition key": ({"ce_partitionkey": b"somebody"}, "KEY_MISMATCH"),
    "an unknown type": ({"ce_type": b"houfu.till.paint_parcel.v1"}, "UNKNOWN_TYPE"),
    "an unknown version": ({"ce_type": b"houfu.till.open_account.v9"}, "UNKNOWN_TYPE"),
    "a type of another topic": ({"ce_type": b"houfu.checkout.place_order.v1"}, "UNKNOWN_TYPE"),
    "a type that is no text": ({"ce_type": b"\xff"}, "HEADER_ENCODING"),
}
"""What headers may be, laid over good ones, and why the record is refused; None is a null header."""

READABLE = {"SCHEMA_VIOLATION", "BODY_MISSING", "BODY_TOO_LARGE", "UNKNOWN_TYPE", "WRONG_TENANT"}
"""With these a command's envelope is readable, so that its sender is answered MALFORMED."""

SKIPPED = {"an unknown type", "an unknown version", "a type of another topic", "a type that is no text"}
"""On a topic of facts these concern nobody."""


@dataclass(frozen=True)
class Poison:
    """A record nobody can handle; ``id`` is its ``ce_id``, ``reason`` why."""

    name: str
    id: str
    key: bytes | None
    value: bytes | None
    headers: Headers
    reason: str


def poisons(kind: str, moment: Any) -> list[Poison]:
    """The whole corpus for messages of one type."""
    found = []
    for name, (body, reason) in BODIES.items():
        key = f"poison-{len(found)}"
        filled = body if body is None else body.replace(b"KEY", key.encode())
        found.append(poison(name, kind, moment, key, filled, {}, reason))
    for name, (headers, reason) in HEADERS.items():
        key = f"poison-{len(found)}"
        found.append(poison(name, kind, moment, key, good(key), headers, reason))
    bare = {"key": b"poison-bare", "value": good("poison-bare"), "id": ""}
    found.append(Poison("no headers", headers=(), reason="SPEC_VERSION", **bare))
    keyless = poison("no key", kind, moment, "poison-keyless", good("poison-keyless"), {}, "KEY_MISSING")
    found.append(Poison("no key", "", None, keyless.value, keyless.headers, keyless.reason))
    garbled = poison("a key that is no UTF-8", kind, moment, "x", b"{}", {}, "KEY_ENCODING")
    found.append(Poison(garbled.name, "", b"\xff\xfe", garbled.value, garbled.headers, garbled.reason))
    return found


def poison(
    name: str, kind: str, moment: Any, key: str, value: bytes | None, laid_over: dict[str, bytes | None], reason: str
) -> Poison:
    message_id = str(uuid4())
    envelope = Envelope(message_id, kind, "/poison", moment, key, key, message_id)
    headers = {**dict(envelope.headers()), **laid_over}
    return Poison(name, message_id, key.encode(), value, list(headers.items()), reason)


def good(key: str) -> bytes:
    return GOOD.replace(b"KEY", key.encode())


@pytest.mark.parametrize(
    ("topic", "kind"),
    [("till.commands", "houfu.till.open_account.v1"), ("depot.events", "houfu.depot.parcel_packed.v1")],
)
async def test_poison_goes_to_the_dead_letters_and_its_neighbours_are_handled(
    bench: Bench, topic: str, kind: str
) -> None:
    commands = topic.endswith(".commands")
    neighbours = Customers(bench, 40, "healthy")
    await neighbours.open()
    places = {}
    for one in poisons(kind, await bench.now()):
        places[await bench.write(topic, one.value, key=one.key, headers=one.headers)] = one
        await neighbours.send(1)
    await bench.settled()
    await neighbours.assert_exactly_once()

    expected = {place: one.reason for place, one in places.items() if commands or one.name not in SKIPPED}
    assert await dead_letters(bench, topic) == expected
    notices = [one.body for one in await bench.sightings_of("till.dlq")]
    found = {place: one for one in notices if (place := (one.get("topic"), one["partition"], one["offset"])) in places}
    assert {place: one["reason"] for place, one in found.items()} == expected
    assert not any(one["parked"] for one in found.values())

    answers = [one for one in await bench.told("till.events") if one.body.get("code") == "MALFORMED"]
    answered = {one.body["command_id"]: one.body["details"]["reason"] for one in answers}
    mine = {one.id: one.reason for one in places.values() if commands and readable(one)}
    assert {name: reason for name, reason in answered.items() if name in mine} == mine
    await discard_all(bench)


def readable(one: Poison) -> bool:
    """Whether the envelope of a record is readable; it still is where only the body names another key."""
    return bool(one.id) and (one.reason in READABLE or one.name == "another key")


async def dead_letters(bench: Bench, topic: str) -> dict[tuple[str, int, int], str]:
    letters = await bench.databases["till"].dead_letters(10_000)
    packed = [(json.loads(one.message), one.reason) for one in letters]
    return {(it["topic"], it["partition"], it["offset"]): why for it, why in packed if it["topic"] == topic}


async def discard_all(bench: Bench) -> None:
    """An operator throws every dead letter away; a command that was answered is not answered again."""
    events = len(await bench.told("till.events"))
    database = bench.databases["till"]
    for letter in await database.dead_letters(10_000):
        await database.speak(letter.seq, Word.DISCARD)
    await eventually(lambda: _none_left(bench))
    await bench.settled()
    assert len(await bench.told("till.events")) == events


async def _none_left(bench: Bench) -> bool:
    return (await bench.standing())["till"].dead_letters == 0


async def test_a_name_of_a_header_that_is_no_text_stops_nobody(bench: Bench) -> None:
    """Clients in other languages may write such names."""
    neighbours = Customers(bench, 40, "beside")
    await neighbours.open()
    message_id = str(uuid4())
    for buyer in neighbours.buyers[:1]:
        envelope = Envelope(message_id, SendParcel.TYPE, "/poison", await bench.now(), "p", buyer, message_id)
        await bench.write_garbled(neighbours.parcel(buyer), envelope)
    neighbours.sent.append(message_id)
    await neighbours.send(1)
    await bench.settled()
    await neighbours.assert_exactly_once()
