"""Commands on their way to Houfu: enveloped, gathered from concurrent answers, and sent until acknowledged."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, Protocol

import structlog

from shared.contracts.envelope import Envelope
from shared.contracts.message import Command
from shared.engine.ports import Outgoing, Unavailable
from shared.kernel.ids import derived_id
from shared.kernel.partition import home_partition

__all__ = ["Outbound", "Target", "addressed", "answers_to", "back_off"]

log: Any = structlog.get_logger(__name__)

PAUSE_MIN_S = 0.2
PAUSE_MAX_S = 30.0


class Target(Protocol):
    """Where commands go: the broker, or a list in a test."""

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        """Append in this order per partition and wait for all acknowledgements; :class:`Unavailable` otherwise."""


def addressed(command: Command, envelope: Envelope, partitions: int) -> Outgoing:
    """The message that carries ``command`` to its home partition."""
    home = home_partition(envelope.key, partitions)
    return Outgoing(command.topic(), home, envelope.key, envelope.headers(), command.to_json())


def answers_to(
    cause: Envelope, commands: Iterable[Command], *, source: str, now: datetime, partitions: int
) -> list[Outgoing]:
    """Put an event's answers into envelopes; their ids derive from source, event and place: a repetition is known."""
    return [
        addressed(
            command,
            Envelope(
                id=derived_id(source, cause.id, index),
                type=command.TYPE,
                source=source,
                time=now,
                subject=str(getattr(command, command.SUBJECT)),
                key=command.key,
                correlation_id=cause.correlation_id,
                causation_id=cause.id,
                traceparent=cause.traceparent,
            ),
            partitions,
        )
        for index, command in enumerate(commands)
    ]


async def back_off(tries: int) -> None:
    """Wait before try number ``tries`` + 1: twice as long each time, with jitter, at most half a minute."""
    await asyncio.sleep(min(PAUSE_MAX_S, PAUSE_MIN_S * 2.0 ** min(tries, 16)) * random.uniform(0.5, 1.0))  # noqa: S311


class Outbound:
    """Sends what concurrent answers want sent, in the order it was given, many at a time; never gives up.

    ``unsent`` is called each time the broker does not acknowledge.
    """

    def __init__(self, target: Target, unsent: Callable[[], None] = lambda: None) -> None:
        self._target = target
        self._unsent = unsent
        self._waiting: list[tuple[Sequence[Outgoing], asyncio.Future[None]]] = []
        self._given = asyncio.Event()

    async def send(self, messages: Sequence[Outgoing]) -> None:
        """Return when the broker has acknowledged all ``messages``."""
        if not messages:
            return
        acknowledged: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((messages, acknowledged))
        self._given.set()
        await acknowledged

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            await self._given.wait()
            self._given.clear()
            batch, self._waiting = self._waiting, []
            await self._insist([one for messages, _ in batch for one in messages])
            for _, acknowledged in batch:
                if not acknowledged.done():
                    acknowledged.set_result(None)

    async def _insist(self, messages: Sequence[Outgoing]) -> None:
        tries = 0
        while True:
            try:
                return await self._target.publish(messages)
            except Unavailable as silence:
                self._unsent()
                log.warning("adapter.unsent", messages=len(messages), tries=tries + 1, reason=str(silence))
                await back_off(tries)
                tries += 1
