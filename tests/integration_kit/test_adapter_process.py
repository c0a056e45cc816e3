"""An adapter as a process: says in one line why it cannot start, tells its health, stops when told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.error import URLError
from urllib.request import urlopen

from shared.drivers.topics import PARTITIONS, create_topics
from shared.local.ports import free_port
from shared.local.servers import Servers
from shared.operations.house import service_names
from shared.operations.settings import EXIT_MISCONFIGURED, EXIT_UNREACHABLE

COMMAND = (sys.executable, "-m", "shared.integration.sandbox")
PATIENCE_S = 60


def environment(**settings: str) -> dict[str, str]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith("HOUFU_")}
    return {**ours, **settings}


def run(*arguments: str, **settings: str) -> tuple[int, list[str]]:
    done = subprocess.run(
        [*COMMAND, *arguments],
        env=environment(**settings),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    return done.returncode, done.stderr.strip().splitlines()


@contextmanager
def running(bootstrap: str, port: int) -> Iterator[subprocess.Popen[bytes]]:
    settings = environment(HOUFU_KAFKA_BOOTSTRAP=bootstrap, HOUFU_PORT=str(port))
    process = subprocess.Popen([*COMMAND, "--from", "beginning"], env=settings)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def page(port: int, path: str) -> tuple[int, str]:
    try:
        with urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except URLError as error:
        return getattr(error, "code", 0), ""


def test_a_missing_setting_is_named() -> None:
    code, said = run()
    assert code == EXIT_MISCONFIGURED
    assert len(said) == 1
    assert "HOUFU_KAFKA_BOOTSTRAP" in said[0]


def test_a_wrong_setting_is_named() -> None:
    code, said = run(HOUFU_KAFKA_BOOTSTRAP="127.0.0.1:1", HOUFU_CLOCK="sundial")
    assert code == EXIT_MISCONFIGURED
    assert "HOUFU_CLOCK" in said[-1]


def test_an_unreachable_broker_is_named() -> None:
    code, said = run("--from", "beginning", HOUFU_KAFKA_BOOTSTRAP="127.0.0.1:1")
    assert code == EXIT_UNREACHABLE
    assert "no broker answers at 127.0.0.1:1" in said[-1]


async def test_it_tells_its_health_and_stops_in_time_when_told(servers: Servers) -> None:
    await create_topics(servers.bootstrap, service_names())
    port = free_port()
    with running(servers.bootstrap, port) as process:
        until = time.monotonic() + PATIENCE_S
        while page(port, "/health/ready")[0] != 200 and time.monotonic() < until:
            time.sleep(0.1)  # noqa: ASYNC251 - nothing else runs here
        assert page(port, "/health/live") == (200, '{"service": "sandbox-provider", "live": true}')
        status, said = page(port, "/health/ready")
        assert (status, json.loads(said)["service"], json.loads(said)["trouble"]) == (200, "sandbox-provider", None)
        assert json.loads(said)["lanes"] == list(range(PARTITIONS))
        counted = page(port, "/metrics")[1]
        assert 'houfu_ready{service="sandbox-provider"} 1.0' in counted
        assert 'houfu_adapter_events_total{outcome="failed",service="sandbox-provider"} 0.0' in counted
        assert 'houfu_adapter_in_flight{service="sandbox-provider"}' in counted
        assert 'houfu_build_info{build="' in counted
        assert page(port, "/nothing")[0] == 404
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=15) == 0
