"""Commands as integrators write them."""

from __future__ import annotations

from datetime import datetime
from uuid import uuid4

from shared.contracts.envelope import Envelope
from shared.contracts.message import Command
from shared.drivers.topics import PARTITIONS
from shared.engine.ports import Outgoing
from shared.kernel.partition import home_partition

__all__ = ["addressed"]


def addressed(command: Command, now: datetime) -> Outgoing:
    """The command as it goes onto its topic, sent at the business time ``now``."""
    message_id, subject = str(uuid4()), str(getattr(command, command.SUBJECT))
    envelope = Envelope(message_id, command.TYPE, "/benchmark", now, subject, command.key, message_id)
    lane = home_partition(command.key, PARTITIONS)
    return Outgoing(command.topic(), lane, command.key, envelope.headers(), command.to_json())
