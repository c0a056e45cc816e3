"""Records nobody can handle: every kind of poison for a topic, made of one good message of that topic."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from uuid import uuid4

from shared.contracts.envelope import Envelope
from shared.contracts.message import Command, Event
from shared.drivers.topics import PARTITIONS
from shared.kernel.partition import home_partition
from shared.testing.samples import sample_of
from tests.laws.bench import Headers

__all__ = ["UNHEARD_OF", "Good", "Poison", "example", "poisons"]


@dataclass(frozen=True)
class Good:
    """A message as it should be.

    ``elsewhere`` is one of another topic that some reader of this one reacts to, ``number`` the name of a field that is
    a whole number, if there is one.
    """

    message: Command | Event
    elsewhere: type[Command | Event]
    number: str = ""

    @property
    def topic(self) -> str:
        return self.message.topic()

    def body(self, key: str) -> bytes:
        """The message of this owner."""
        return self.with_json(key)

    def with_json(self, key: str, **raw: str) -> bytes:
        """The message of this owner with the JSON of some fields replaced by any text, or added."""
        fields = {name: json.dumps(value) for name, value in json.loads(self.message.to_json()).items()}
        fields |= {self.message.KEY: json.dumps(key)} | raw
        return ("{" + ", ".join(f'"{name}": {value}' for name, value in fields.items()) + "}").encode()

    def with_number(self, key: str, number: str) -> bytes:
        """The message of this owner with any text where a whole number should stand."""
        return self.with_json(key, **{self.number: number})


def example(kind: type[Command | Event], elsewhere: type[Command | Event], number: str) -> Good:
    """The example that a contract gives of a message."""
    return Good(sample_of(kind), elsewhere, number)


Body = Callable[[Good, str], bytes | None]
"""What a record holds that spoils a good message, under this key."""

BODIES: dict[str, tuple[Body, str]] = {
    "no body": (lambda good, key: None, "BODY_MISSING"),
    "an empty body": (lambda good, key: b"", "SCHEMA_VIOLATION"),
    "no JSON": (lambda good, key: good.body(key)[:-1], "SCHEMA_VIOLATION"),
    "no UTF-8": (lambda good, key: good.body(key).replace(key.encode(), b"\xff\xfe"), "SCHEMA_VIOLATION"),
    "no object": (lambda good, key: b"[1, 2, 3]", "SCHEMA_VIOLATION"),
    "a null object": (lambda good, key: b"null", "SCHEMA_VIOLATION"),
    "a number for an id": (lambda good, key: good.with_json(key, **{good.message.KEY: "12"}), "SCHEMA_VIOLATION"),
    "a null key": (lambda good, key: good.with_json(key, **{good.message.KEY: "null"}), "SCHEMA_VIOLATION"),
    "deep nesting": (lambda good, key: b"[" * 100_000 + b"]" * 100_000, "SCHEMA_VIOLATION"),
    "nesting within": (
        lambda good, key: good.with_json(key, x='{"a": ' * 20_000 + "1" + "}" * 20_000),
        "SCHEMA_VIOLATION",
    ),
    "a NUL in an id": (
        lambda good, key: good.with_json(key, **{good.message.KEY: json.dumps(f"{key}\0")}),
        "SCHEMA_VIOLATION",
    ),
    "another key": (lambda good, key: good.body("somebody"), "KEY_MISMATCH"),
    "a megabyte": (lambda good, key: good.with_json(key, x=json.dumps("x" * 1_000_000)), "BODY_TOO_LARGE"),
}
"""What a body may be and why it is refused."""

NUMBERS: dict[str, tuple[Body, str]] = {
    "text for a number": (lambda good, key: good.with_number(key, '"12"'), "SCHEMA_VIOLATION"),
    "a null number": (lambda good, key: good.with_number(key, "null"), "SCHEMA_VIOLATION"),
    "a huge integer": (lambda good, key: good.with_number(key, "1" + "0" * 4000), "SCHEMA_VIOLATION"),
    "more than a row can hold": (lambda good, key: good.with_number(key, str(2**70)), "SCHEMA_VIOLATION"),
    "NaN": (lambda good, key: good.with_number(key, "NaN"), "SCHEMA_VIOLATION"),
    "a float for a number": (lambda good, key: good.with_number(key, "1e2"), "SCHEMA_VIOLATION"),
}
"""The same, where a whole number should stand."""

HEADERS: dict[str, tuple[dict[str, bytes | None], str]] = {
    "no specversion": ({"ce_specversion": None}, "SPEC_VERSION"),
    "another specversion": ({"ce_specversion": b"0.3"}, "SPEC_VERSION"),
    "an id that is none": ({"ce_id": b"42"}, "ID_INVALID"),
    "a null id": ({"ce_id": None}, "HEADER_MISSING"),
    "a null type": ({"ce_type": None}, "HEADER_MISSING"),
    "a header that is no UTF-8": ({"ce_source": b"\xff\xfe"}, "HEADER_ENCODING"),
    "a header with control characters": ({"ce_subject": b"a\x00b"}, "HEADER_INVALID"),
    "a header without an end": ({"ce_subject": b"x" * 100_000}, "HEADER_INVALID"),
    "a time that is none": ({"ce_time": b"yesterday"}, "TIME_INVALID"),
    "a time before all time": ({"ce_time": b"0001-01-01T00:00:00+14:00"}, "TIME_INVALID"),
    "another tenant": ({"ce_tenant": b"acme"}, "WRONG_TENANT"),
    "another partition key": ({"ce_partitionkey": b"somebody"}, "KEY_MISMATCH"),
    "an unknown type": ({"ce_type": b"houfu.till.paint_parcel.v1"}, "UNKNOWN_TYPE"),
    "an unknown version": ({"ce_type": b"houfu.till.open_account.v9"}, "UNKNOWN_TYPE"),
    "a type that is no text": ({"ce_type": b"\xff"}, "HEADER_ENCODING"),
}
"""What headers may be, laid over good ones, and why the record is refused; None is a null header."""

UNHEARD_OF = {"an unknown type", "an unknown version", "a type that is no text"}
"""These types no build knows."""

READABLE = {"SCHEMA_VIOLATION", "BODY_MISSING", "BODY_TOO_LARGE", "UNKNOWN_TYPE", "WRONG_TENANT"}
"""With these a command's envelope is readable, so that its sender is answered MALFORMED."""


@dataclass(frozen=True)
class Poison:
    """A record nobody can handle: ``id`` is its ``ce_id``, ``type`` its ``ce_type``, ``reason`` why it is refused."""

    name: str
    id: str
    key: bytes | None
    value: bytes | None
    headers: Headers
    reason: str

    @property
    def type(self) -> str | None:
        stated = dict(self.headers).get("ce_type")
        return None if stated is None else stated.decode("utf-8", "replace")

    @property
    def readable(self) -> bool:
        """Whether its envelope is; it still is where only the body names another key."""
        return bool(self.id) and (self.reason in READABLE or self.name == "another key")


def poisons(good: Good, moment: datetime, lane: int) -> list[Poison]:
    """The whole corpus for a topic, whose keys are all at home on one lane."""
    keys = _at_home(lane)
    bodies = BODIES | NUMBERS if good.number else BODIES
    laid_over = HEADERS | {"a type of another topic": ({"ce_type": good.elsewhere.TYPE.encode()}, "UNKNOWN_TYPE")}
    found = [
        _poison(good, name, key, body(good, key), {}, reason, moment)
        for (name, (body, reason)), key in zip(bodies.items(), keys, strict=False)
    ]
    found += [
        _poison(good, name, key, good.body(key), headers, reason, moment)
        for (name, (headers, reason)), key in zip(laid_over.items(), keys, strict=False)
    ]
    bare, keyless = next(keys), next(keys)
    found.append(Poison("no headers", "", bare.encode(), good.body(bare), (), "SPEC_VERSION"))
    whole = _poison(good, "", keyless, good.body(keyless), {}, "", moment)
    found.append(Poison("no key", "", None, whole.value, whole.headers, "KEY_MISSING"))
    found.append(Poison("a key that is no UTF-8", "", b"\xff\xfe", whole.value, whole.headers, "KEY_ENCODING"))
    return found


def _poison(
    good: Good,
    name: str,
    key: str,
    value: bytes | None,
    laid_over: Mapping[str, bytes | None],
    reason: str,
    moment: datetime,
) -> Poison:
    message_id = str(uuid4())
    envelope = Envelope(message_id, good.message.TYPE, "/poison", moment, key, key, message_id)
    headers = {**dict(envelope.headers()), **laid_over}
    return Poison(name, message_id, key.encode(), value, list(headers.items()), reason)


def _at_home(lane: int) -> Iterator[str]:
    """Keys of this lane, without an end."""
    return (key for key in (f"poison-{number}" for number in count()) if home_partition(key, PARTITIONS) == lane)
