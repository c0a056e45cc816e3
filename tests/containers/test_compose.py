"""The system in containers: described completely, built, started, used from this machine, scaled, stopped."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, build_opener
from uuid import uuid4

import psycopg
import pytest
import yaml

from shared.drivers.topics import PARTITIONS
from shared.local.jars import KAFKA_VERSION
from shared.local.postgres import ROLE_SETTINGS
from shared.local.postgres import VERSION as POSTGRES_VERSION
from shared.operations.house import service_names

ROOT = Path(__file__).parents[2]
BUILD_TIMEOUT_S = 900
COMMAND_TIMEOUT_S = 240
DEMO_TIMEOUT_S = 600
REBALANCE_TIMEOUT_S = 60
OURS = (*service_names(), "sandbox-provider", "smtp")


def example() -> dict[str, str]:
    """The settings that ``.env.example`` names, as it gives them."""
    lines = (ROOT / ".env.example").read_text("utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if re.match(r"[A-Z]", line))


SECRETS = [name for name in example() if name.endswith(("_PASSWORD", "_SECRET"))]
PORTS = [name for name in example() if name.endswith("_PORT")]


def filled_in() -> dict[str, str]:
    """The same, every secret with a value of its own, every port free, nothing that is made of others."""
    settings = {name: value for name, value in example().items() if "$" not in value}
    return settings | {name: secrets.token_hex(24) for name in SECRETS} | {name: free_port() for name in PORTS}


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


@dataclass(frozen=True)
class System:
    """One compose project of our own, with its name and its settings."""

    name: str
    settings: Mapping[str, str]

    def compose(self, *words: str, timeout_s: float = COMMAND_TIMEOUT_S) -> subprocess.CompletedProcess[str]:
        command = ("docker", "compose", "--project-name", self.name, "--env-file", os.devnull, *words)
        return run(*command, env=self.settings, timeout_s=timeout_s)

    def composed(self, *words: str, timeout_s: float = COMMAND_TIMEOUT_S) -> str:
        """What a command wrote that must succeed."""
        done = self.compose(*words, timeout_s=timeout_s)
        assert done.returncode == 0, done.stderr + self.compose("logs", "--tail", "20").stdout
        return done.stdout

    @property
    def mailpit(self) -> str:
        """Where the sandbox's mail is shown."""
        return f"http://127.0.0.1:{self.settings['HOUFU_MAILPIT_PORT']}"

    def houfu(self, *words: str, given: str | None = None, timeout_s: float = COMMAND_TIMEOUT_S) -> str:
        """What ``houfu`` on this machine wrote; it knows the system by its environment alone."""
        access = {
            "HOUFU_KAFKA_BOOTSTRAP": f"127.0.0.1:{self.settings['HOUFU_KAFKA_PORT']}",
            "HOUFU_MAILPIT_URL": self.mailpit,
            "HOUFU_NOTIFY_URL": self.page("notify"),
        } | {f"HOUFU_{name.upper()}_DSN": self.dsn(name) for name in service_names()}
        command = (sys.executable, "-m", "shared.cli.main", *words)
        done = run(*command, env={**self.settings, **access}, given=given, timeout_s=timeout_s)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def dsn(self, service: str) -> str:
        password = self.settings[f"HOUFU_{service.upper()}_DB_PASSWORD"]
        return f"postgresql://{service}:{password}@127.0.0.1:{self.settings['HOUFU_POSTGRES_PORT']}/houfu"

    def containers(self, service: str) -> list[dict[str, Any]]:
        """The replicas of a service, also those that have ended, as the engine describes them."""
        ids = self.composed("ps", "--all", "--quiet", service).split()
        described: list[dict[str, Any]] = json.loads(run("docker", "inspect", *ids, env={}).stdout)
        return described

    def left(self) -> dict[str, list[str]]:
        """What the engine has of this project, by kind."""
        listing = {"container": ("ls", "--all"), "network": ("ls",), "volume": ("ls",)}
        label = f"label=com.docker.compose.project={self.name}"
        return {
            kind: run("docker", kind, *words, "--quiet", "--filter", label, env={}).stdout.split()
            for kind, words in listing.items()
        }

    def page(self, service: str) -> str:
        """Where the first replica of a service answers."""
        (port,) = self.containers(service)[0]["NetworkSettings"]["Ports"]["8000/tcp"][:1]
        return f"http://127.0.0.1:{port['HostPort']}"

    def lanes(self, service: str) -> list[list[int]]:
        """The lanes that each replica of a service says are its own."""
        ports = [one["NetworkSettings"]["Ports"]["8000/tcp"][0] for one in self.containers(service)]
        pages = [f"http://127.0.0.1:{port['HostPort']}/health/ready" for port in ports]
        return [json.load(build_opener(ProxyHandler({})).open(page, timeout=10))["lanes"] for page in pages]


def run(
    *command: str, env: Mapping[str, str], given: str | None = None, timeout_s: float = COMMAND_TIMEOUT_S
) -> subprocess.CompletedProcess[str]:
    """Run a command from the house's root, without the settings this test happens to have been started with."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("HOUFU_", "COMPOSE_"))}
    return subprocess.run(
        command,
        cwd=ROOT,
        env={**ours, **env},
        input=given,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


@pytest.fixture(scope="module")
def engine() -> None:
    """A container engine and compose; without them there is nothing to try."""
    if shutil.which("docker") is None:
        pytest.skip("docker is not installed")
    for words, lack in ((("compose", "version"), "docker compose is not installed"), (("info",), "no engine answers")):
        try:
            found = run("docker", *words, env={}, timeout_s=30).returncode
        except subprocess.TimeoutExpired:
            found = 1
        if found != 0:
            pytest.skip(f"containers cannot be run: {lack}")


@pytest.fixture(scope="module")
def system(engine: None) -> Iterator[System]:
    """Everything up and healthy, the sandbox's provider included; afterwards no container, volume or image is left."""
    name = f"houfu-test-{uuid4().hex[:8]}"
    clock = {"HOUFU_CLOCK": "movable", "HOUFU_CLOCK_START": "2027-03-01T09:00+08:00"}
    started = System(name, filled_in() | clock | {"HOUFU_IMAGE": name, "COMPOSE_PROFILES": "sandbox"})
    try:
        started.composed("build", timeout_s=BUILD_TIMEOUT_S)
        started.composed("up", "--detach", "--wait")
        yield started
    finally:
        started.compose("down", "--volumes", "--remove-orphans")
        assert not any(started.left().values())
        run("docker", "image", "rm", name, env={})


def test_every_service_is_described_and_runs_on_the_servers_we_embed() -> None:
    described = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))["services"]
    for name in service_names():
        assert described[name]["environment"]["HOUFU_SERVICE"] == name
        assert f"HOUFU_{name.upper()}_DSN" in described["migrate"]["environment"]
        assert f"HOUFU_{name.upper()}_DB_PASSWORD" in described["roles"]["environment"]
        assert {f"HOUFU_{name.upper()}_DSN", f"HOUFU_{name.upper()}_DB_PASSWORD"} <= example().keys()
    assert described["kafka"]["image"] == f"apache/kafka:{KAFKA_VERSION}"
    assert described["postgres"]["image"] == f"postgres:{POSTGRES_VERSION}"


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("missing", SECRETS)
def test_a_missing_secret_is_refused_by_its_name(missing: str) -> None:
    refused = System("houfu-test", filled_in() | {missing: ""}).compose("config", "--quiet")
    assert refused.returncode != 0
    assert missing in refused.stderr


def test_a_command_from_this_machine_is_answered(system: System) -> None:
    body = {"buyer_id": "ann", "currency": "CNY", "platform_account_ref": "acc", "agreement_version": "2027-01"}
    system.houfu("publish", "apply_for_account", "--data", "-", given=json.dumps(body))
    system.houfu("settled")
    seen = system.houfu("tail", "--buyer", "ann", "--from-beginning", "--limit", "2", "--json").splitlines()
    types = [json.loads(line)["type"] for line in seen]
    assert types == ["houfu.checkout.apply_for_account.v1", "houfu.checkout.account_applied.v1"]


def test_a_movable_clock_begins_where_it_was_told(system: System) -> None:
    assert system.houfu("clock", "show").startswith("2027-03-01 09:00:00")


def test_the_demo_is_told_and_its_notices_are_mailed(system: System) -> None:
    """Over four services, both adapters and a mail server of another make."""
    told = system.houfu("demo", timeout_s=DEMO_TIMEOUT_S)
    assert "NOT as expected" not in told
    mails = json.load(build_opener(ProxyHandler({})).open(f"{system.mailpit}/api/v1/messages", timeout=10))
    assert mails["total"] > 0
    assert "What the buyer was told" in told


def test_three_replicas_share_the_lanes(system: System) -> None:
    system.composed("up", "--detach", "--wait", "--no-recreate", "--scale", "billing=3")
    until = time.monotonic() + REBALANCE_TIMEOUT_S
    while sorted(map(len, lanes := system.lanes("billing"))) != [PARTITIONS // 3] * 3 and time.monotonic() < until:
        time.sleep(0.5)
    assert sorted(lane for ones in lanes for lane in ones) == list(range(PARTITIONS))
    assert [len(ones) for ones in lanes] == [PARTITIONS // 3] * 3


@pytest.mark.parametrize("service", service_names())
def test_a_role_owns_its_schema_and_may_do_nothing_in_any_other(system: System, service: str) -> None:
    with psycopg.connect(system.dsn(service), autocommit=True) as connection:
        assert connection.execute("SELECT current_schema").fetchone() == (service,)
        for name, value in ROLE_SETTINGS.items():
            assert connection.execute("SELECT current_setting(%s)", [name]).fetchone() == (value,)
        owned = "SELECT count(*), bool_and(tableowner = %s) FROM pg_tables WHERE schemaname = %s"
        tables, all_its_own = connection.execute(owned, [service, service]).fetchone() or (0, False)
        assert (tables > 0, all_its_own) == (True, True)
        granted = """
            SELECT nspname FROM pg_namespace, unnest(ARRAY['USAGE', 'CREATE']) AS right_to
            WHERE nspname = ANY(%s) AND has_schema_privilege(nspname, right_to)
        """
        others = [*(set(service_names()) - {service}), "public"]
        assert connection.execute(granted, [others]).fetchall() == []
        for other in set(service_names()) - {service}:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"SELECT FROM {other}.position")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"SET ROLE {other}")
        powers = "SELECT rolsuper OR rolcreaterole OR rolcreatedb FROM pg_roles WHERE rolname = user"
        assert connection.execute(powers).fetchone() == (False,)


@pytest.mark.parametrize("service", OURS)
def test_our_processes_are_asked_for_their_health_have_no_privilege_and_a_root_they_cannot_write(
    system: System, service: str
) -> None:
    for container in system.containers(service):
        assert "Health" in container["State"]  # so `up --wait` waited for it
        assert container["Config"]["User"] == "10001"
        assert container["HostConfig"]["ReadonlyRootfs"]
        assert container["HostConfig"]["CapDrop"] == ["ALL"]


def test_nothing_listens_beyond_this_machine(system: System) -> None:
    for service in (*OURS, "kafka", "postgres", "mailpit"):
        for container in system.containers(service):
            published = [place for places in container["NetworkSettings"]["Ports"].values() for place in places or ()]
            assert {place["HostIp"] for place in published} <= {"127.0.0.1"}


def test_the_services_stop_as_told_and_go_on_where_they_were(system: System) -> None:
    system.composed("stop", *OURS)
    ends = {service: [one["State"]["ExitCode"] for one in system.containers(service)] for service in OURS}
    assert {code for codes in ends.values() for code in codes} == {0}, ends
    system.composed("up", "--detach", "--wait")
    system.houfu("settled")


def test_down_with_its_volumes_leaves_nothing(system: System) -> None:
    """The last of all: what the tests before it used is gone."""
    assert all(system.left().values())
    system.composed("down", "--volumes")
    assert system.left() == {"container": [], "network": [], "volume": []}
