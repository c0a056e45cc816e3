"""From a record to the messages that answer it: read it, let the adapter do its work, envelope what it yields.

A record that cannot be read is skipped and counted; an answer that raises is counted and left to the asking service,
which asks again; while the world outside does not answer, the same event is tried again, later and later. Whoever
traces sees one span for all the attempts, current while they run, so that an instrumented client's calls belong to it.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace
from typing import Any

import structlog
from pydantic import ValidationError
from structlog.contextvars import bound_contextvars

from shared.contracts.envelope import BODY_MAX_BYTES, Envelope, EnvelopeInvalid
from shared.contracts.message import Command, Event, read_message
from shared.engine.breaker import kind_and_place
from shared.engine.ports import Clock, Outgoing, Record, Unavailable
from shared.integration.adapter import Adapter, Reaction
from shared.integration.outbound import answers_to, back_off
from shared.integration.tally import Outcome, Tally
from shared.operations.traces import Traces

__all__ = ["Answering", "Request"]

log: Any = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Request:
    """An event that asks this adapter for an answer."""

    offset: int
    key: bytes
    reaction: Reaction
    event: Event
    envelope: Envelope

    @property
    def named(self) -> dict[str, str]:
        """How the log names it: ids only."""
        return {
            "message_id": self.envelope.id,
            "correlation_id": self.envelope.correlation_id,
            "type": self.envelope.type,
            "reaction": self.reaction.name,
        }


class Answering:
    """Lets one adapter answer, at most ``at_once`` events at the same time."""

    def __init__(
        self, adapter: Adapter, *, clock: Clock, partitions: int, at_once: int, traces: Traces | None = None
    ) -> None:
        adapter.check()
        self.tally = Tally(adapter.name)
        self.ended_at = time.monotonic()
        """When an attempt or a pause between two last ended, on the monotonic clock."""
        self._adapter = adapter
        self._clock = clock
        self._partitions = partitions
        self._slots = asyncio.Semaphore(at_once)
        self._traces = traces

    def read(self, record: Record) -> Request | None:
        """What the record asks for; None where it is of no concern or cannot be read."""
        stated = next((value for name, value in record.headers if name == "ce_type"), None) or b""
        if not self._adapter.reads(stated.decode("utf-8", "replace")):
            return None
        envelope = None
        try:
            envelope = Envelope.parse(record.headers, record.key)
            event = read_message(envelope.type, record.value or b"")
        except (EnvelopeInvalid, ValidationError) as defect:
            self.tally.count(Outcome.SKIPPED)
            log.warning("adapter.unreadable", **_named(record, envelope), reason=type(defect).__name__)
            return None
        reaction = self._adapter.reaction_to(event) if isinstance(event, Event) else None
        if reaction is None or not isinstance(event, Event):
            return None
        return Request(record.offset, record.key or b"", reaction, event, envelope)

    async def answer(self, request: Request) -> list[Outgoing]:
        """The messages that answer ``request``; does not return before there is an outcome.

        Every line logged meanwhile names the event.
        """
        with bound_contextvars(**request.named):
            if self._traces is None:
                return await self._answered(request) or []
            return await self._followed(request, self._traces)

    async def _followed(self, request: Request, traces: Traces) -> list[Outgoing]:
        asked = request.envelope
        span = traces.begin(asked.type, asked.id, asked.correlation_id, asked.traceparent)
        with span.current():
            answers = await self._answered(replace(request, envelope=replace(asked, traceparent=span.traceparent)))
        span.stop("FAILED" if answers is None else "ANSWERED", failed=answers is None)
        span.tell()
        return answers or []

    async def _answered(self, request: Request) -> list[Outgoing] | None:
        """Try until the world outside answers; None if the answer raised."""
        tries = 0
        while True:
            try:
                async with self._slots:
                    return await self._attempt(request)
            except (Unavailable, OSError, TimeoutError) as silence:
                reason = str(silence) if isinstance(silence, Unavailable) else kind_and_place(silence)
                log.warning("adapter.retry", tries=tries + 1, reason=reason)
            except Exception:
                log.exception("adapter.failed")
                return None
            await back_off(tries)
            self.ended_at = time.monotonic()  # to wait for the world outside is not to stand still
            tries += 1

    async def _attempt(self, request: Request) -> list[Outgoing]:
        began = time.monotonic()
        try:
            answers = await self._answers(request)
        except (Unavailable, OSError, TimeoutError):
            self._tried(Outcome.RETRIED, began)
            raise
        except Exception:
            self._tried(Outcome.FAILED, began)
            raise
        self._tried(Outcome.ANSWERED, began)
        return answers

    def _tried(self, outcome: Outcome, began: float) -> None:
        self.ended_at = time.monotonic()
        self.tally.tried(outcome, self.ended_at - began)

    async def _answers(self, request: Request) -> list[Outgoing]:
        now = await self._clock.now()
        answering = self._adapter.answer(request.reaction, request.event, request.envelope, now)
        commands = [command async for command in answering]
        for command in commands:
            if not isinstance(command, Command):
                raise TypeError(f"{request.reaction.name} yielded a {type(command).__name__}, not a command")
        source, partitions = self._adapter.source, self._partitions
        answers = answers_to(request.envelope, commands, source=source, now=now, partitions=partitions)
        if any(len(one.body.encode()) > BODY_MAX_BYTES for one in answers):
            raise ValueError(f"{request.reaction.name} yielded a command above {BODY_MAX_BYTES} bytes")
        return answers


def _named(record: Record, envelope: Envelope | None) -> dict[str, str]:
    """How the log names a record that cannot be read."""
    named = {"where": f"{record.topic}:{record.partition}@{record.offset}"}
    if envelope is not None:
        named |= {"message_id": envelope.id, "correlation_id": envelope.correlation_id, "type": envelope.type}
    return named
