"""The notice of a dead letter: where it came from and why, never what it says.

The message itself stays in the service's own table, where an operator looks at it, redrives or discards it.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from shared.contracts.envelope import HEADER_MAX
from shared.contracts.fields import Code, Count, example
from shared.contracts.message import Event

__all__ = ["DeadLettered", "dead_letter_topic"]

DETAIL_MAX = 2000
"""Longest detail of a dead letter, in characters."""

Attribute = Annotated[str, Field(min_length=1, max_length=HEADER_MAX)]


class DeadLettered(Event, service="dlq", subject="service", key="service"):
    """A service could not handle a message and has put it aside; its neighbours were handled."""

    model_config = example(
        service="billing",
        topic="billing.commands",
        partition=3,
        offset=1042,
        key="b-7",
        message_id="0b6cb2f6-9f0c-4b7e-8f0a-0d3c3f6a1c55",
        message_type="houfu.billing.repay_bill.v1",
        reason="SCHEMA_VIOLATION",
        detail="amount: Input should be a valid integer",
        digest="5e884898da28047151d0e56f8dc62927",
        parked=False,
    )

    service: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,62}$")] = Field(
        description="The service that could not handle it"
    )
    source_topic: Attribute | None = Field(
        default=None, alias="topic", description="Topic of the record, if it was one"
    )
    partition: Count | None = Field(default=None, description="Partition of the record")
    offset: int | None = Field(default=None, ge=0, description="Offset of the record")
    deadline: Attribute | None = Field(default=None, description="Kind of the deadline, if it was one")
    source_key: Attribute | None = Field(default=None, alias="key", description="Key of the message, if it is readable")
    message_id: Attribute | None = Field(default=None, description="ce_id, if it is readable")
    message_type: Attribute | None = Field(default=None, description="ce_type, if it is readable")
    reason: Code = Field(description="Why, as a stable code")
    detail: Annotated[str, Field(max_length=DETAIL_MAX, description="Why, for operators; no content, no personal data")]
    digest: Annotated[str, Field(max_length=128)] = Field(description="Digest of type, key and body, hexadecimal")
    parked: bool = Field(default=False, description="Whether later messages of this key wait behind it")

    @property
    def key(self) -> str:
        """The key of the message that died, so that one key's dead letters stay together."""
        return self.source_key or self.service

    @classmethod
    def topic(cls) -> str:
        return dead_letter_topic("{service}")


def dead_letter_topic(service: str) -> str:
    """Where the notices of a service's dead letters go."""
    return f"{service}.dlq"
