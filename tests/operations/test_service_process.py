"""A real service process, looked at as an operator does: its pages, its numbers, its log."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from shared.drivers.migrate import migrate
from shared.drivers.topics import PARTITIONS, create_topics
from shared.local.ports import free_port
from shared.local.servers import Servers
from shared.operations.deployment import services
from shared.operations.house import revisions_of, service_names
from shared.operations.metrics import CATALOGUE, Of

PATIENCE_S = 60


class Running:
    """A billing service, its pages and the file its log goes to."""

    def __init__(self, port: int, log: Path) -> None:
        self.port = port
        self.asking = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False)
        self.log = log

    async def page(self, path: str) -> httpx.Response:
        return await self.asking.get(path)

    async def ready(self) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                try:
                    if (await self.page("/health/ready")).status_code == 200:
                        return
                except httpx.HTTPError:
                    pass
                await asyncio.sleep(0.1)

    async def samples(self) -> dict[str, float]:
        """Every sample by its name and labels, in the text form but for the service's name."""
        found = {}
        for family in text_string_to_metric_families((await self.page("/metrics")).text):
            for sample in family.samples:
                labels = ",".join(f"{name}={value}" for name, value in sample.labels.items() if name != "service")
                found[f"{sample.name}{{{labels}}}"] = sample.value
        return found


@contextmanager
def billing(bootstrap: str, dsn: str, port: int, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith("HOUFU_")}
    env = {**ours, "HOUFU_KAFKA_BOOTSTRAP": bootstrap, "HOUFU_DSN": dsn, "HOUFU_BUILD": "the one"}
    argv = (sys.executable, "-m", "uvicorn", "services.billing.app:app", "--port", str(port), "--log-level", "warning")
    with log.open("wb") as writing:
        process = subprocess.Popen(argv, env=env, stderr=writing)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=PATIENCE_S)
        finally:
            process.kill()


@pytest.fixture
async def running(servers: Servers, tmp_path: Path) -> AsyncIterator[Running]:
    migrate(servers.dsn("billing"), "billing", [revisions_of("billing")])
    await create_topics(servers.bootstrap, service_names())
    found = Running(free_port(), tmp_path / "billing.log")
    with billing(servers.bootstrap, servers.dsn("billing"), found.port, found.log):
        await found.ready()
        yield found
    await found.asking.aclose()


async def test_a_running_service_shows_health_and_every_metric_of_the_catalogue_and_logs_json(
    running: Running,
) -> None:
    ready = (await running.page("/health/ready")).json()
    assert (ready["service"], ready["ready"], ready["trouble"]) == ("billing", True, None)
    assert ready["lanes"] == list(range(PARTITIONS))
    assert (await running.page("/health/live")).json() == {"service": "billing", "live": True}

    async with asyncio.timeout(PATIENCE_S):  # the watchdog looks every 5 s; each lane takes a turn when it is assigned
        while not (
            "houfu_lag_records{topic=billing.commands}" in (samples := await running.samples())
            and samples["houfu_turn_seconds_count{driver=time}"]
        ):
            await asyncio.sleep(0.2)
    assert samples["houfu_ready{}"] == 1
    assert samples["houfu_lanes{}"] == PARTITIONS
    assert samples["houfu_build_info{build=the one}"] == 1
    assert samples["houfu_line_stopped{}"] == 0
    assert samples["houfu_outbox_rows{}"] == 0
    (service,) = [one for one in services() if one.name == "billing"]
    assert {f"houfu_lag_records{{topic={topic}}}" for topic in service.topics} <= samples.keys()
    for metric in CATALOGUE:  # what depends on what is sent, asked or refused has not happened yet
        if metric.of is not Of.ADAPTER and all(label.values for label in metric.labels):
            assert any(name.startswith(metric.name) for name in samples), metric.name

    lines = [json.loads(line) for line in running.log.read_text().splitlines()]
    (started,) = [line for line in lines if line["event"] == "service.started"]
    assert (started["service"], started["level"], started["topics"]) == ("billing", "info", list(service.topics))
