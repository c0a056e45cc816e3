"""From a record to the messages that answer it: read it, let the adapter do its work, envelope what it yields.

A record that cannot be read is skipped and counted; an answer that raises is counted and left to the asking service,
which asks again; while the world outside does not answer, the same event is tried again, later and later.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any

import structlog
from pydantic import ValidationError

from shared.contracts.envelope import BODY_MAX_BYTES, Envelope, EnvelopeInvalid
from shared.contracts.message import Command, Event, read_message
from shared.engine.ports import Clock, Outgoing, Record, Unavailable
from shared.integration.adapter import Adapter, Reaction
from shared.integration.outbound import answers_to, back_off
from shared.integration.tally import Outcome, Tally

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
        return {"reaction": self.reaction.name, "event_id": self.envelope.id, "type": self.envelope.type}


class Answering:
    """Lets one adapter answer, at most ``at_once`` events at the same time."""

    def __init__(self, adapter: Adapter, *, clock: Clock, partitions: int, at_once: int) -> None:
        adapter.check()
        self.tally = Tally(adapter.name)
        self.ended_at = time.monotonic()
        """When an attempt last ended, well or badly, on the monotonic clock."""
        self._adapter = adapter
        self._clock = clock
        self._partitions = partitions
        self._slots = asyncio.Semaphore(at_once)

    def read(self, record: Record) -> Request | None:
        """What the record asks for; None where it is of no concern or cannot be read."""
        stated = next((value for name, value in record.headers if name == "ce_type"), None) or b""
        if not self._adapter.reads(stated.decode("utf-8", "replace")):
            return None
        try:
            envelope = Envelope.parse(record.headers, record.key)
            event = read_message(envelope.type, record.value or b"")
        except (EnvelopeInvalid, ValidationError) as defect:
            self.tally.count(Outcome.SKIPPED)
            where = f"{record.topic}/{record.partition}@{record.offset}"
            log.warning("adapter.unreadable", adapter=self._adapter.name, where=where, reason=type(defect).__name__)
            return None
        reaction = self._adapter.reaction_to(event) if isinstance(event, Event) else None
        if reaction is None or not isinstance(event, Event):
            return None
        return Request(record.offset, record.key or b"", reaction, event, envelope)

    async def answer(self, request: Request) -> list[Outgoing]:
        """The messages that answer ``request``; does not return before there is an outcome."""
        tries = 0
        while True:
            try:
                async with self._slots:
                    answers = await self._attempt(request)
            except (Unavailable, OSError, TimeoutError) as silence:
                self.tally.count(Outcome.RETRIED)
                log.warning("adapter.retry", **request.named, tries=tries + 1, reason=str(silence))
                await back_off(tries)
                tries += 1
            except Exception:
                self.tally.count(Outcome.FAILED)
                log.exception("adapter.failed", **request.named)
                return []
            else:
                self.tally.count(Outcome.ANSWERED)
                return answers
            finally:
                self.ended_at = time.monotonic()

    async def _attempt(self, request: Request) -> list[Outgoing]:
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
