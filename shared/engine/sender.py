"""Puts what a service says into envelopes and onto home partitions: events, refusals, notices of dead letters."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from hashlib import blake2b
from typing import Any

from shared.contracts.dead_letters import DETAIL_MAX, DeadLettered, dead_letter_topic
from shared.contracts.envelope import BODY_MAX_BYTES, HEADER_MAX, Envelope
from shared.contracts.message import Event, Rejection, message_type
from shared.engine.held import Work, unpack_record
from shared.engine.intake import Arrival, Defect
from shared.engine.ports import Held, Outgoing
from shared.engine.reaction import HandlerMistaken
from shared.engine.service import Service
from shared.engine.vocabulary import Rejected
from shared.kernel.ids import derived_id
from shared.kernel.partition import home_partition

__all__ = ["Sender"]


class Sender:
    """Speaks for one service. Ids derive from the cause, so whoever reads a republication knows it."""

    def __init__(self, service: Service, partitions: int) -> None:
        self._service = service
        self._source = f"/houfu/{service.name}"
        self._partitions = partitions

    def event(self, event: Event, work: Work, index: int, subject: str = "") -> Outgoing:
        """The ``index``-th event that ``work`` brought about; :class:`HandlerMistaken` if its body is too large."""
        key = event.key
        envelope = Envelope(
            id=self._id(work.id, index),
            type=event.TYPE,
            source=self._source,
            time=work.now,
            subject=subject or str(getattr(event, event.SUBJECT) or key),
            key=key,
            correlation_id=work.correlation_id,
            causation_id=work.causation_id,
            deadline=work.deadline,
            traceparent=work.trace,
        )
        body = event.to_json()
        if len(body) > BODY_MAX_BYTES // 4 and len(body.encode()) > BODY_MAX_BYTES:
            raise HandlerMistaken(f"yields a {type(event).__name__} with a body above {BODY_MAX_BYTES} bytes")
        return self._addressed(event.topic(), envelope, body)

    def refusal(self, rejected: Rejected, work: Work) -> Outgoing:
        """The answer to a command that was refused (H-2)."""
        command = work.message
        rejection = self._rejection(work.id, command.TYPE, command.KEY, work.key, rejected)  # type: ignore[union-attr]
        return self.event(rejection, work, 0, subject=str(getattr(command, command.SUBJECT) or work.key))

    def malformed(self, defect: Defect, envelope: Envelope) -> Outgoing:
        """The answer to a command whose envelope is readable and whose body is not (H-4)."""
        rejected = Rejected("MALFORMED", defect.detail, reason=defect.reason)
        return self._answer(envelope, rejected, self._id(envelope.id), defect.now)

    def reused(self, second: Arrival | Defect, envelope: Envelope) -> Outgoing:
        """The answer to the second sender of an id that came with other content before (H-3)."""
        rejected = Rejected("ID_REUSED", "this id came with other content before", digest=second.digest.hex())
        return self._answer(envelope, rejected, self._id(f"{envelope.id}:{second.digest.hex()}"), second.now)

    def dead_letter(self, dead: Held) -> Outgoing:
        """The notice of a dead letter: where it came from and why, never what it says."""
        notice = self._notice(dead)
        name = f"{dead.id}:{notice.source_topic}:{notice.partition}:{notice.offset}:{dead.reason}"
        envelope = Envelope(
            id=self._id(name),
            type=notice.TYPE,
            source=self._source,
            time=dead.due_at or dead.held_at,
            subject=notice.key,
            key=notice.key,
            correlation_id=dead.correlation_id or dead.id or self._id(name, 1),
            causation_id=dead.id or None,
            traceparent=dead.traceparent,
        )
        return self._addressed(dead_letter_topic(self._service.name), envelope, notice.to_json())

    def _notice(self, dead: Held) -> DeadLettered:
        record = None if dead.kind else unpack_record(dead.message)
        stated: Mapping[str, bytes | None] = dict(record.headers) if record else {}
        content = (record.value or b"") if record else dead.message.encode()
        return DeadLettered(
            service=self._service.name,
            source_topic=record.topic if record else None,
            partition=record.partition if record else None,
            offset=record.offset if record else None,
            deadline=dead.kind or None,
            source_key=dead.key[:HEADER_MAX] or None,
            message_id=dead.id or None,
            message_type=(stated.get("ce_type") or b"").decode("utf-8", "replace")[:HEADER_MAX] or None,
            reason=dead.reason,
            detail=(dead.fingerprint or dead.detail)[:DETAIL_MAX],
            digest=blake2b(content, digest_size=16).hexdigest(),
            parked=dead.parks,
        )

    def _rejection(self, command_id: str, wire_type: str, field: str, key: str, rejected: Rejected) -> Rejection:
        return self._service.rejected.of(
            command_id=command_id,
            command_type=wire_type,
            owner={field: key},
            code=rejected.code,
            message=rejected.message,
            details=rejected.details,
        )

    def _answer(self, asked: Envelope, rejected: Rejected, message_id: str, now: datetime) -> Outgoing:
        kind: Any = message_type(asked.type)
        rejection = self._rejection(asked.id, asked.type, kind.KEY if kind else "buyer_id", asked.key, rejected)
        envelope = Envelope(
            id=message_id,
            type=rejection.TYPE,
            source=self._source,
            time=now,
            subject=asked.subject,
            key=asked.key,
            correlation_id=asked.correlation_id,
            causation_id=asked.id,
            traceparent=asked.traceparent,
        )
        return self._addressed(rejection.topic(), envelope, rejection.to_json())

    def _id(self, cause_id: str, index: int = 0) -> str:
        return derived_id(self._source, cause_id, index)

    def _addressed(self, topic: str, envelope: Envelope, body: str) -> Outgoing:
        home = home_partition(envelope.key, self._partitions)
        return Outgoing(topic, home, envelope.key, envelope.headers(), body)
