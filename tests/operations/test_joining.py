"""A process that its group does not take ends with a reason instead of waiting, deaf to a stop."""

from __future__ import annotations

import asyncio

import pytest
from faststream.kafka import KafkaBroker

from shared.engine.ports import Unavailable
from shared.operations import process


class NobodyCoordinates(KafkaBroker):
    """A broker that answers everything but who coordinates the group."""

    async def start(self) -> None:
        await asyncio.Event().wait()


async def test_a_process_that_no_group_takes_names_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "JOIN_TIMEOUT_S", 0.1)
    with pytest.raises(Unavailable, match="HOUFU_KAFKA_BOOTSTRAP: the group took no new member"):
        await process._join(NobodyCoordinates("127.0.0.1:1"))
