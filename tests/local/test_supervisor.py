"""The supervisor: a system keeps itself running, stops as a whole, and tells others how it stands."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.request import urlopen

import psutil
import psycopg
import pytest

from shared.local.process import Misconfigured, StartFailed
from shared.local.progress import Progress, Stage
from shared.local.servers import Servers
from shared.local.state import SystemState, read_state, stop_system
from shared.local.supervisor import Program, System

LONG_S = 120

WEB = """
import http.server, os, sys
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(os.environ["ANSWER"].encode())
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Answer).serve_forever()
"""
WAIT = "import time; time.sleep(600)"
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"

web = Program(
    "web", (sys.executable, "-c", WEB, "{port}"), {"ANSWER": "{replica} at {port}"}, "http://127.0.0.1:{port}/"
)
worker = Program("worker", (sys.executable, "-c", WAIT))


class NoServers(Servers):
    """A pair of servers that starts nothing: for what concerns the programs alone."""

    def start(self) -> None:
        self.data_dir.mkdir(parents=True, exist_ok=True)
        assert self._lock.take()

    def revive(self) -> bool:
        return False

    def stop(self) -> None:
        self._lock.leave()


@pytest.fixture
def steps() -> list[Progress]:
    return []


@pytest.fixture
def system(tmp_path: Path, steps: list[Progress]) -> Iterator[System]:
    """A running system of one web program and one worker, without servers."""
    system = System(NoServers(tmp_path), lambda _: [web, worker], clock="movable", watch=steps.append)
    system.start()
    yield system
    system.stop()


def test_a_started_system_says_in_its_state_file_what_runs_where(system: System) -> None:
    state = read_state(system.data_dir)
    assert state == system.state
    assert state is not None
    assert (state.phase, state.clock, state.supervisor_pid) == ("ready", "movable", os.getpid())
    assert [(replica.name, replica.number, replica.ready) for replica in state.replicas] == [
        ("web", 1, True),
        ("worker", 1, True),
    ]
    assert answer_of(state) == [f"1 at {state.of('web')[0].port}"]
    assert all(replica.log.exists() for replica in state.replicas)


def test_a_replica_that_dies_is_started_again_on_its_port(system: System, steps: list[Progress]) -> None:
    before = system.state.of("web")[0]
    assert before.pid is not None
    os.kill(before.pid, signal.SIGKILL)
    wait_until(lambda: system.state.of("web")[0].restarts == 1 and system.state.of("web")[0].ready)

    after = system.state.of("web")[0]
    assert after.pid != before.pid
    assert after.port == before.port
    assert Stage.RESTARTING in [step.stage for step in steps if step.part == "web-1"]
    wait_until(lambda: read_state(system.data_dir) == system.state)


def test_scaling_adds_and_removes_the_youngest_replicas(system: System) -> None:
    oldest = system.state.of("web")[0]
    system.scale("web", 3)
    state = system.state
    assert answer_of(state) == [f"{replica.number} at {replica.port}" for replica in state.of("web")]
    assert len({replica.port for replica in state.of("web")}) == 3
    system.scale("web", 1)
    assert system.state.of("web") == (oldest,)
    assert not any(psutil.pid_exists(replica.pid or 0) for replica in state.of("web")[1:])


def test_a_second_system_in_the_same_directory_is_refused_and_harms_nothing(system: System) -> None:
    with pytest.raises(StartFailed, match="is running in"):
        System(NoServers(system.data_dir), lambda _: [web]).start()
    assert answer_of(system.state)


def test_a_stopped_system_leaves_no_process_and_no_living_state(tmp_path: Path, steps: list[Progress]) -> None:
    system = System(NoServers(tmp_path), lambda _: [web, worker], watch=steps.append)
    system.start()
    replicas = system.state.replicas
    system.stop()
    system.stop()
    assert not any(psutil.pid_exists(replica.pid or 0) for replica in replicas)
    assert read_state(tmp_path) is None
    assert not stop_system(tmp_path)
    assert [step.part for step in steps if step.stage is Stage.STOPPED] == ["worker-1", "web-1"]


def test_a_program_that_does_not_listen_is_killed_in_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.local.supervisor.STOP_GRACE_S", 0.5)
    system = System(NoServers(tmp_path), lambda _: [Program("deaf", (sys.executable, "-c", DEAF))])
    system.start()
    (deaf,) = system.state.replicas
    wait_until(lambda: deaf.log.read_text() == "deaf\n")
    system.stop()
    assert not psutil.pid_exists(deaf.pid or 0)


def test_a_misconfigured_program_stops_everything_and_its_last_line_is_shown(tmp_path: Path) -> None:
    wrong = Program("wrong", (sys.executable, "-c", "print('HOUFU_ZONE: no such zone'); raise SystemExit(78)"))
    system = System(NoServers(tmp_path), lambda _: [web, wrong])
    with pytest.raises(Misconfigured, match="wrong-1 is misconfigured: HOUFU_ZONE: no such zone"):
        system.run_forever()
    assert system.state.phase == "stopped"
    assert system.state.replicas == ()


def test_a_program_that_never_becomes_ready_ends_the_start_with_its_last_line(tmp_path: Path) -> None:
    broken = Program("broken", (sys.executable, "-c", "raise ImportError('nothing here')"), health=web.health)
    system = System(NoServers(tmp_path), lambda _: [web, broken])
    with pytest.raises(
        StartFailed, match=r"broken-1 ended 3 times before it was ready.*ImportError: nothing here"
    ) as caught:
        system.start()
    assert "Traceback" in caught.value.tail
    assert system.state.phase == "stopped"


def test_a_program_that_cannot_be_executed_is_named(tmp_path: Path) -> None:
    system = System(NoServers(tmp_path), lambda _: [Program("ghost", ("/no/such/program",), health=web.health)])
    with pytest.raises(StartFailed, match="cannot run /no/such/program: No such file or directory"):
        system.start()


RUN = """
import sys
from pathlib import Path
from shared.local.servers import Servers
from shared.local.supervisor import Program, System

def plan(servers):
    env = {"ANSWER": servers.dsn("billing")}
    return [Program("web", (sys.executable, "-c", sys.argv[2], "{port}"), env, "http://127.0.0.1:{port}/", replicas=2)]

System(Servers(Path(sys.argv[1]), services=["billing"], durable=False), plan).run_forever()
"""


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A whole system with both servers, supervised by a process of its own."""
    process = subprocess.Popen([sys.executable, "-c", RUN, str(tmp_path), WEB])
    wait_until(lambda: process.poll() is not None or phase(tmp_path) == "ready")
    yield process
    process.kill()
    process.wait()


def test_a_whole_system_survives_its_servers_and_stops_when_told_to(
    tmp_path: Path, supervisor: subprocess.Popen[bytes]
) -> None:
    state = read_state(tmp_path)
    assert state is not None
    assert answer_of(state) == [state.dsns["billing"]] * 2
    family = psutil.Process(supervisor.pid).children(recursive=True)
    for pid in state.servers.values():
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: (now := read_state(tmp_path)) is not None and both_are_new(now.servers, state.servers))

    assert stop_system(tmp_path)
    assert supervisor.wait(LONG_S) == 0
    assert psutil.wait_procs(family, timeout=LONG_S)[1] == []
    assert read_state(tmp_path) is None


def test_a_killed_supervisor_takes_the_whole_system_with_it_and_the_next_start_finds_the_data(
    tmp_path: Path, supervisor: subprocess.Popen[bytes]
) -> None:
    state = read_state(tmp_path)
    assert state is not None
    with psycopg.connect(state.dsns["billing"]) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    family = psutil.Process(supervisor.pid).children(recursive=True)
    assert len(family) > 4

    supervisor.kill()
    supervisor.wait()
    assert psutil.wait_procs(family, timeout=LONG_S)[1] == []
    assert read_state(tmp_path) is None
    with (
        Servers(tmp_path, services=["billing"], durable=False) as successor,
        psycopg.connect(successor.dsn("billing")) as connection,
    ):
        assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)


def test_a_signal_during_the_start_breaks_it_off_without_a_complaint(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", RUN, str(tmp_path), WEB], stderr=subprocess.PIPE)
    wait_until(lambda: phase(tmp_path) == "starting")
    family = psutil.Process(process.pid).children(recursive=True)
    assert stop_system(tmp_path)
    assert process.communicate(timeout=LONG_S)[1] == b""
    assert process.returncode == 0
    assert psutil.wait_procs(family, timeout=LONG_S)[1] == []


def answer_of(state: SystemState) -> list[str]:
    ports = [replica.port for replica in state.of("web")]
    return [urlopen(f"http://127.0.0.1:{port}/").read().decode() for port in ports]


def both_are_new(now: Mapping[str, int | None], before: Mapping[str, int | None]) -> bool:
    return all(now[name] not in {before[name], None} for name in before)


def phase(data_dir: Path) -> str | None:
    state = read_state(data_dir)
    return state.phase if state else None


def wait_until(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + LONG_S
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)
