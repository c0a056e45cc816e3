"""Accepted orders as checkout publishes them: real contract, real envelope, ids and amounts that differ."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

from shared.contracts.checkout import AcceptedLine, OrderAccepted
from shared.contracts.envelope import Envelope
from shared.drivers.topics import PARTITIONS
from shared.engine.ports import Outgoing
from shared.kernel.partition import home_partition
from shared.testing.samples import sample_of

__all__ = ["EVENTS_PER_ORDER", "TOPIC", "accepted_orders"]

TOPIC = OrderAccepted.topic()

EVENTS_PER_ORDER = 2
"""What billing says of an order under PAY_AFTER_USE: PlanOpened and BillIssued."""

MERCHANTS = 200

LINES = (1, 1, 2, 3)
"""Of how many lines orders consist; each is as likely as the others."""

CATEGORIES = ("ACCESSORY", "APPAREL", "BOOKS", "HOME")

GOODS = range(900, 60_000)
FREIGHTS = (0, 0, 600, 1200)
"""What a line costs, in minor units: without freight, and for freight."""

EVERY = timedelta(milliseconds=1)
"""How long after one another orders are accepted."""


def accepted_orders(
    count: int, *, seed: int, until: datetime, per_buyer: int = 1, partitions: int = PARTITIONS
) -> Iterator[Outgoing]:
    """``count`` orders under PAY_AFTER_USE, the last accepted at ``until``; the same arguments give the same orders.

    Each buyer has ``per_buyer`` of them, as far apart as they can be.
    """
    random = Random(seed)
    like = sample_of(OrderAccepted)
    buyers = max(1, count // per_buyer)
    for number in range(count):
        at = until - (count - 1 - number) * EVERY
        order = like.model_copy(update=_particulars(random, f"b-{seed:03}{number % buyers:07}", number, at))
        envelope = Envelope(
            id=_uuid(random),
            type=order.TYPE,
            source="/houfu/checkout",
            time=at,
            subject=order.order_id,
            key=order.key,
            correlation_id=_uuid(random),
            causation_id=_uuid(random),
        )
        home = home_partition.__wrapped__(order.key, partitions)  # each key is asked for once
        yield Outgoing(TOPIC, home, order.key, envelope.headers(), order.to_json())


def _particulars(random: Random, buyer_id: str, number: int, at: datetime) -> dict[str, Any]:
    """What differs from one order to the next."""
    lines = tuple(_line(random, place) for place in range(random.choice(LINES)))
    return {
        "buyer_id": buyer_id,
        "order_id": f"o-{number:08}",
        "merchant_id": f"m-{random.randrange(MERCHANTS)}",
        "amount": sum(line.goods + line.freight for line in lines),
        "lines": lines,
        "accepted_at": at,
    }


def _line(random: Random, place: int) -> AcceptedLine:
    return AcceptedLine.model_construct(
        line_id=str(place + 1),
        sku=f"sku-{random.getrandbits(32):08x}",
        category=random.choice(CATEGORIES),
        quantity=random.randint(1, 3),
        goods=random.choice(GOODS),
        freight=random.choice(FREIGHTS),
        returnable=True,
    )


def _uuid(random: Random) -> str:
    return str(UUID(int=random.getrandbits(128), version=4))
