"""The messages a turn leaves for the log, packed into one outbox row per lane.

There is no relay. The rows stand until the log has acknowledged them, and whoever owns the lane publishes what was
left over before anything newer, under the same ids.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pydantic_core import from_json, to_json

from shared.engine.ports import Outgoing

__all__ = ["pack", "unpack"]


def pack(messages: Sequence[Outgoing]) -> str:
    """One outbox body; :func:`unpack` gives the same messages back."""
    return to_json([(one.topic, one.partition, one.key, one.headers, one.body) for one in messages]).decode()


def unpack(bodies: Iterable[str]) -> list[Outgoing]:
    """The messages of some outbox rows, in order."""
    return [
        Outgoing(topic, partition, key, [(name, value.encode()) for name, value in headers], body)
        for packed in bodies
        for topic, partition, key, headers, body in from_json(packed)
    ]
