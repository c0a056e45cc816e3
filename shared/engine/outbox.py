"""What a turn leaves for the log: messages in their final form, packed into one outbox row per lane.

There is no relay. The rows stand until the log has acknowledged them, and whoever owns the lane publishes what was
left over before anything newer, under the same ids.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from hashlib import blake2b

from pydantic_core import from_json, to_json

from shared.contracts.dead_letters import DETAIL_MAX as NOTICE_MAX
from shared.contracts.dead_letters import DeadLettered, dead_letter_topic
from shared.contracts.envelope import Envelope
from shared.contracts.message import HEADER_MAX, Event
from shared.engine.held import unpack_record
from shared.engine.intake import BODY_MAX_BYTES
from shared.engine.ports import Held, Outgoing
from shared.kernel.ids import derived_id
from shared.kernel.partition import home_partition

__all__ = ["Sender", "pack", "unpack"]


class Sender:
    """Puts a service's events into their envelopes and onto their home partitions."""

    def __init__(self, service_name: str, partitions: int) -> None:
        self._name = service_name
        self._source = f"/houfu/{service_name}"
        self._dead_letters = dead_letter_topic(service_name)
        self._partitions = partitions

    def event(
        self,
        event: Event,
        message_id: str,
        now: datetime,
        *,
        correlation_id: str,
        causation_id: str,
        deadline: str | None = None,
        traceparent: str | None = None,
        subject: str | None = None,
    ) -> Outgoing:
        """The message that carries ``event``; ValueError if its body is too large."""
        key = event.key
        envelope = Envelope(
            id=message_id,
            type=event.TYPE,
            source=self._source,
            time=now,
            subject=subject or str(getattr(event, event.SUBJECT) or key),
            key=key,
            correlation_id=correlation_id,
            causation_id=causation_id,
            deadline=deadline,
            traceparent=traceparent,
        )
        body = event.to_json()
        if len(body) > BODY_MAX_BYTES // 4 and len(body.encode()) > BODY_MAX_BYTES:
            raise ValueError(f"{type(event).__name__} has a body above {BODY_MAX_BYTES} bytes")
        return Outgoing(event.topic(), home_partition(key, self._partitions), key, envelope.headers(), body)

    def dead_letter(self, dead: Held, now: datetime) -> Outgoing:
        """The notice of a dead letter: where it came from and why, never what it says."""
        record = None if dead.kind else unpack_record(dead.message)
        stated = {} if record is None else {name: value for name, value in record.headers if value is not None}
        content = dead.message.encode() if record is None else record.value or b""
        notice = DeadLettered(
            service=self._name,
            source_topic=record.topic if record else None,
            partition=record.partition if record else None,
            offset=record.offset if record else None,
            deadline=dead.kind or None,
            source_key=dead.key[:HEADER_MAX] or None,
            message_id=dead.id or None,
            message_type=stated.get("ce_type", b"").decode("utf-8", "replace")[:HEADER_MAX] or None,
            reason=dead.reason,
            detail=dead.fingerprint or dead.detail[:NOTICE_MAX],
            digest=blake2b(content, digest_size=16).hexdigest(),
            parked=dead.parks,
        )
        name = f"{dead.id or notice.digest}:{dead.reason}:{notice.offset}"
        envelope = Envelope(
            id=derived_id(name, 0),
            type=notice.TYPE,
            source=self._source,
            time=now,
            subject=notice.key,
            key=notice.key,
            correlation_id=dead.correlation_id or dead.id or derived_id(name, 1),
            causation_id=dead.id or None,
            traceparent=dead.traceparent,
        )
        return Outgoing(self._dead_letters, dead.lane, notice.key, envelope.headers(), notice.to_json())


def pack(messages: Sequence[Outgoing]) -> str:
    """One outbox body; :func:`unpack` gives the same messages back."""
    return to_json(
        [
            (one.topic, one.partition, one.key, [(name, value.decode()) for name, value in one.headers], one.body)
            for one in messages
        ]
    ).decode()


def unpack(bodies: Iterable[str]) -> list[Outgoing]:
    """The messages of some outbox rows, in order."""
    return [
        Outgoing(topic, partition, key, [(name, value.encode()) for name, value in headers], body)
        for packed in bodies
        for topic, partition, key, headers, body in from_json(packed)
    ]
