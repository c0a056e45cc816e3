"""What the kit's tests share: an event to answer, a record that carries it, a clock that stands, a place to send to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import uuid4

from shared.contracts.billing import CollectionRequested
from shared.contracts.envelope import Envelope
from shared.contracts.message import Message
from shared.engine.ports import Outgoing, Record, Unavailable
from shared.kernel.partition import home_partition

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
NOON = datetime(2027, 3, 19, 6, 0, tzinfo=UTC)
PARTITIONS = 12


def requested(
    buyer_id: str = "b-7", repayment_id: str = "r-1", token: str = "tok_ok", attempt: int = 1
) -> CollectionRequested:
    return CollectionRequested.model_validate(
        {
            "buyer_id": buyer_id,
            "repayment_id": repayment_id,
            "bill_id": "b:o-1",
            "currency": "CNY",
            "amount": 25769,
            "instrument": {"kind": "CARD", "token": token},
            "mode": "AUTO",
            "attempt": attempt,
        }
    )


def enveloped(message: Message, message_id: str | None = None) -> Envelope:
    identity = message_id or str(uuid4())
    return Envelope(
        id=identity,
        type=message.TYPE,
        source="/houfu/billing",
        time=NOON,
        subject=str(getattr(message, message.SUBJECT)),
        key=message.key,
        correlation_id="c-1",
        traceparent=TRACE,
    )


def outgoing(message: CollectionRequested, message_id: str | None = None) -> Outgoing:
    envelope = enveloped(message, message_id)
    home = home_partition(message.key, PARTITIONS)
    return Outgoing(message.topic(), home, message.key, envelope.headers(), message.to_json())


def record_of(message: CollectionRequested, message_id: str | None = None, offset: int = 0) -> Record:
    sent = outgoing(message, message_id)
    return Record(sent.topic, sent.partition, offset, NOON, sent.key.encode(), sent.body.encode(), sent.headers)


class StandingClock:
    """It is noon."""

    async def now(self) -> datetime:
        return NOON

    def business(self, broker_time: datetime) -> datetime:
        return broker_time


class Letterbox:
    """Takes what is sent; the first ``refusals`` times it does not answer."""

    def __init__(self, refusals: int = 0) -> None:
        self.refusals = refusals
        self.calls: list[list[Outgoing]] = []

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        if self.refusals:
            self.refusals -= 1
            raise Unavailable("nobody home")
        self.calls.append(list(messages))

    @property
    def messages(self) -> list[Outgoing]:
        return [one for call in self.calls for one in call]
