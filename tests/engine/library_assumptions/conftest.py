"""A probe on the broker of the session, and a broker of this room's own that may be frozen and killed."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Iterator

import pytest

from shared.local.kafka import Kafka
from shared.local.ports import free_port
from tests.engine.library_assumptions.probe import Probe
from tests.servers import Pair


@pytest.fixture
async def probe(servers: Pair) -> Probe:
    return await Probe(servers.bootstrap).open()


@pytest.fixture(scope="package")
def own_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """Nobody else hears of its troubles."""
    data_dir = tmp_path_factory.mktemp("broker")
    cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    ports = {"port": free_port(), "controller_port": free_port()}
    broker = Kafka(data_dir / "kafka", **ports, cluster_id=cluster_id, log=data_dir / "kafka.log")
    broker.start()
    yield broker
    broker.stop()
