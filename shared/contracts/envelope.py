"""The CloudEvents 1.0 envelope in Kafka's binary mode: attributes are headers, the body is plain JSON.

Anyone can read a message without this package; the official ``cloudevents`` package is the oracle of the tests.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from uuid import UUID

__all__ = [
    "BODY_MAX_BYTES",
    "DEFAULT_TENANT",
    "HEADER_MAX",
    "Envelope",
    "EnvelopeInvalid",
    "Headers",
    "format_instant",
    "parse_instant",
]

DEFAULT_TENANT = "default"

BODY_MAX_BYTES = 256 * 1024
"""Largest body of a message, in bytes (spec section 3)."""

HEADER_MAX = 500
"""Longest attribute and longest key, in characters."""

Headers = list[tuple[str, bytes]]

_CONTENT_TYPE = ("content-type", b"application/json")
_SPEC_VERSION = ("ce_specversion", b"1.0")
_READ = frozenset(
    {
        "ce_specversion",
        "ce_id",
        "ce_type",
        "ce_source",
        "ce_time",
        "ce_subject",
        "ce_partitionkey",
        "ce_tenant",
        "ce_correlationid",
        "ce_causationid",
        "ce_deadline",
    }
)
"""The headers that mean something here. Whatever else a client adds may hold anything."""

_CANONICAL_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")

_TRACE_HEADERS = ("traceparent", "ce_traceparent")

_TRACE_CONTEXT = re.compile(
    rb"(?!ff|00.{54})[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-[!-~]{0,400})?"
)
"""W3C Trace Context, section 2.2: version, trace, parent, flags; versions above 00 may go on."""


class EnvelopeInvalid(ValueError):
    """The headers are not a readable envelope; ``reason`` is a stable code, the text is for people."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


@dataclass(slots=True)
class Envelope:
    """What surrounds a payload on the wire. ``time`` is the business time, ``key`` the owner (T-1, spec section 3)."""

    id: str
    type: str
    source: str
    time: datetime
    subject: str
    key: str
    correlation_id: str
    causation_id: str | None = None
    deadline: str | None = None
    """Kind of the deadline that produced this message, if time and not another message did."""
    tenant: str = DEFAULT_TENANT
    traceparent: str | None = None
    """W3C trace context. A malformed one is as if there were none, whatever it holds."""

    def headers(self) -> Headers:
        """The Kafka headers of this envelope."""
        headers = [
            _CONTENT_TYPE,
            _SPEC_VERSION,
            ("ce_id", self.id.encode()),
            ("ce_type", self.type.encode()),
            ("ce_source", self.source.encode()),
            ("ce_time", format_instant(self.time).encode()),
            ("ce_subject", self.subject.encode()),
            ("ce_partitionkey", self.key.encode()),
            ("ce_tenant", self.tenant.encode()),
            ("ce_correlationid", self.correlation_id.encode()),
        ]
        if self.causation_id is not None:
            headers.append(("ce_causationid", self.causation_id.encode()))
        if self.deadline is not None:
            headers.append(("ce_deadline", self.deadline.encode()))
        if self.traceparent is not None:
            headers.append(("traceparent", self.traceparent.encode()))
            headers.append(("ce_traceparent", self.traceparent.encode()))
        return headers

    @classmethod
    def parse(cls, headers: Sequence[tuple[str, bytes | None]], key: bytes | None) -> Envelope:
        """Read an envelope; raises :class:`EnvelopeInvalid` with the code of the first defect."""
        found = _texts(headers)
        if found.get("ce_specversion") != "1.0":
            raise EnvelopeInvalid("SPEC_VERSION", "ce_specversion is not 1.0")
        identity = _uuid(found, "ce_id")
        owner = _owner(key)
        if found.get("ce_partitionkey", owner) != owner:
            raise EnvelopeInvalid("KEY_MISMATCH", "ce_partitionkey differs from the record's key")
        causation = found.get("ce_causationid")
        return cls(
            id=identity,
            type=_required(found, "ce_type"),
            source=_required(found, "ce_source"),
            time=_instant(_required(found, "ce_time")),
            subject=found.get("ce_subject", owner),
            key=owner,
            correlation_id=found.get("ce_correlationid") or identity,
            causation_id=causation or None,
            deadline=found.get("ce_deadline"),
            tenant=found.get("ce_tenant", DEFAULT_TENANT),
            traceparent=_trace_context(headers),
        )


@lru_cache(maxsize=256)
def format_instant(instant: datetime) -> str:
    """RFC 3339 in UTC with a ``Z``, microseconds only where there are any."""
    if instant.tzinfo is not UTC:
        instant = instant.astimezone(UTC)
    return instant.isoformat()[: -len("+00:00")] + "Z"


def parse_instant(text: str) -> datetime:
    """An RFC 3339 instant in UTC; ValueError if it is none or has no offset."""
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError(f"{text!r} has no UTC offset")
    return instant if instant.tzinfo is UTC else instant.astimezone(UTC)


def _texts(headers: Iterable[tuple[str, bytes | None]]) -> dict[str, str]:
    try:
        found = {name: value.decode() for name, value in headers if name in _READ and value is not None}
    except (AttributeError, TypeError, ValueError) as defect:
        raise EnvelopeInvalid("HEADER_ENCODING", "a header is not UTF-8 text") from defect
    if not "".join(found.values()).isprintable() or max(map(len, found.values()), default=0) > HEADER_MAX:
        name = next(name for name, value in found.items() if len(value) > HEADER_MAX or not value.isprintable())
        raise EnvelopeInvalid("HEADER_INVALID", f"{name} is longer than {HEADER_MAX} or holds control characters")
    return found


def _trace_context(headers: Iterable[tuple[str, bytes | None]]) -> str | None:
    """The first of the two headers that is well-formed: clients set both, some set only one."""
    given = [(name, value) for name, value in headers if name in _TRACE_HEADERS]
    for wanted in _TRACE_HEADERS if given else ():
        for name, value in given:
            if name == wanted and isinstance(value, bytes) and _TRACE_CONTEXT.fullmatch(value):
                return value.decode()
    return None


def _required(found: dict[str, str], name: str) -> str:
    value = found.get(name)
    if not value:
        raise EnvelopeInvalid("HEADER_MISSING", f"{name} is missing or empty")
    return value


def _uuid(found: dict[str, str], name: str) -> str:
    text = _required(found, name)
    if _CANONICAL_UUID.fullmatch(text):
        return text  # as everybody writes it; four times faster
    try:
        return str(UUID(text))
    except ValueError as defect:
        raise EnvelopeInvalid("ID_INVALID", f"{name} is not a UUID") from defect


def _owner(key: bytes | None) -> str:
    if not key:
        raise EnvelopeInvalid("KEY_MISSING", "the record has no key")
    try:
        owner = key.decode()
    except UnicodeDecodeError as defect:
        raise EnvelopeInvalid("KEY_ENCODING", "the record's key is not UTF-8 text") from defect
    if len(owner) > HEADER_MAX or not owner.isprintable():
        raise EnvelopeInvalid("KEY_INVALID", f"the key is longer than {HEADER_MAX} or holds control characters")
    return owner


def _instant(text: str) -> datetime:
    try:
        return parse_instant(text)
    except (ValueError, OverflowError) as defect:
        raise EnvelopeInvalid("TIME_INVALID", "ce_time is not an RFC 3339 instant with an offset") from defect
