"""``houfu up``, ``down``, ``status``, ``settled``: the system as a whole."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.table import Table

from shared.cli.access import DATA_DIR, AsJson, DataDir, access_of, state_of
from shared.cli.console import Complaint, err, instant_of, local_time, out, write_json
from shared.cli.display import Display, progress_line, progress_of
from shared.local.process import StartFailed
from shared.local.servers import Servers
from shared.local.state import SystemState, read_state, stop_system, supervisor_pid
from shared.local.supervisor import System
from shared.operations.embedded import Setup, plan_of
from shared.operations.house import service_names
from shared.operations.remote import RunningSystem

__all__ = ["app"]

app = typer.Typer()

DETACHED = "HOUFU_DETACHED"
"""Set for the supervisor that ``up --detach`` leaves behind: it tells its progress in JSON lines."""

LOOK_EVERY_S = 0.1


@app.command()
def up(
    detach: Annotated[
        bool, typer.Option("--detach", help="Return once everything is ready and leave it running")
    ] = False,
    data_dir: DataDir = None,
    scale: Annotated[list[str] | None, typer.Option(help="Replicas of a service or adapter, as billing=2")] = None,
    clock: Annotated[Literal["system", "movable"], typer.Option(help="Whose time it is")] = "system",
    start: Annotated[str | None, typer.Option(help="Where a movable clock begins: 2027-03-01T09:00+08:00")] = None,
    without_adapters: Annotated[
        bool, typer.Option("--without-adapters", help="Leave out the sandbox provider")
    ] = False,
    calendar: Annotated[Literal["CN", "CN-WEEKENDS"], typer.Option(help="The tenant's working days")] = "CN",
) -> None:
    """Start the embedded system: Kafka, PostgreSQL, every service and the sandbox's payment provider."""
    if start and clock != "movable":
        raise Complaint("--start needs --clock movable")
    directory = data_dir or DATA_DIR
    setup = Setup(
        scale=_scale_of(scale or []),
        clock=clock,
        start=instant_of(start) if start else None,
        adapters=not without_adapters,
        calendar=calendar,
    )
    if detach:
        _leave_running(directory, [word for word in sys.argv[1:] if word != "--detach"])
    elif DETACHED in os.environ:
        System(
            Servers(directory, services=service_names(), watch=progress_line),
            plan_of(setup, progress_line),
            clock=clock,
            watch=progress_line,
        ).run_forever()
    else:
        _run_here(directory, setup)


@app.command()
def down(data_dir: DataDir = None) -> None:
    """Stop the embedded system; its data stays."""
    directory = data_dir or DATA_DIR
    with err.status(f"stopping the system in {directory}"):
        stopped = stop_system(directory)
    out.print("stopped" if stopped else f"no system runs in {directory}")


@app.command()
def status(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show where everything is: addresses, replicas, business time, lag."""
    state = state_of(data_dir) if data_dir or not os.environ.get("HOUFU_KAFKA_BOOTSTRAP") else None
    shown = asyncio.run(_look(data_dir, state))
    if as_json:
        write_json(shown)
    else:
        _print_status(shown)


@app.command()
def settled(
    timeout: Annotated[float, typer.Option(help="Seconds to wait at most")] = 60,
    data_dir: DataDir = None,
) -> None:
    """Return when nothing is unread anywhere and nothing is due."""

    async def wait() -> None:
        async with RunningSystem(access_of(data_dir)) as system:
            await system.settled(timeout)

    asyncio.run(wait())


def _scale_of(wishes: Sequence[str]) -> dict[str, int]:
    scale = {}
    for wish in wishes:
        name, _, number = wish.partition("=")
        if not number.isdecimal() or int(number) < 1:
            raise Complaint(f"--scale {wish}: say it as billing=2")
        scale[name] = int(number)
    return scale


def _run_here(directory: Path, setup: Setup) -> None:
    with Display() as display:
        system = System(
            Servers(directory, services=service_names(), watch=display.watch),
            plan_of(setup, display.watch),
            clock=setup.clock,
            watch=display.watch,
        )
        threading.Thread(target=_announce, args=(system, display), daemon=True).start()
        system.run_forever()


def _announce(system: System, display: Display) -> None:
    while system.state.phase in ("starting", "stopped"):
        time.sleep(LOOK_EVERY_S)
    if system.state.phase == "ready":
        display.finish()
        err.print(f"ready · Kafka at {system.state.bootstrap} · Ctrl-C stops everything")


def _leave_running(directory: Path, arguments: Sequence[str]) -> None:
    """Start a supervisor of its own, follow it until everything is ready, and let it be."""
    if supervisor_pid(directory):
        raise Complaint(f"a system is running in {directory} already")
    log = directory / "logs" / "supervisor.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as writing, Display() as display, log.open() as reading:
        supervisor = subprocess.Popen(  # noqa: S603 - our own command line
            [sys.executable, "-m", "shared.cli.main", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=writing,
            stderr=subprocess.STDOUT,
            env={**os.environ, DETACHED: "1"},
            start_new_session=True,
        )
        try:
            state = _await_ready(directory, supervisor, reading, display)
        except BaseException:
            supervisor.terminate()
            supervisor.wait()
            raise
    err.print(f"ready · Kafka at {state.bootstrap} · 'houfu down' stops everything")


def _await_ready(directory: Path, supervisor: subprocess.Popen[bytes], log: Any, display: Display) -> SystemState:
    words = ""
    while True:
        ended = supervisor.poll() is not None
        for line in log:
            if step := progress_of(line):
                display.watch(step)
            elif line.strip():
                words = line.strip()
        if ended:
            raise StartFailed(words.removeprefix("houfu: ") or "the supervisor ended without a word")
        state = read_state(directory)
        if state and state.supervisor_pid == supervisor.pid and state.phase == "ready":
            return state
        time.sleep(LOOK_EVERY_S)


async def _look(data_dir: Path | None, state: SystemState | None) -> dict[str, Any]:
    """What ``status`` shows; of a system that is not ready only what its supervisor wrote down."""
    shown: dict[str, Any] = state.model_dump(mode="json") if state else {"phase": "ready"}
    if shown["phase"] != "ready":
        return shown
    access = access_of(data_dir)
    async with RunningSystem(access) as system:
        standing = await system.standing()
        shown |= {
            "bootstrap": access.bootstrap,
            "dsns": dict(access.dsns),
            "clock": {"kind": access.clock, "now": await system.now()},
            "lag": await system.lag(),
            "services": {
                name: {
                    "line": "stopped" if one.line.stopped else "running",
                    "dead_letters": one.dead_letters,
                    "parked_keys": one.parked_keys,
                    "waiting": one.waiting,
                    "earliest_due": one.earliest_due,
                }
                for name, one in standing.items()
            },
        }
    return shown


def _print_status(shown: dict[str, Any]) -> None:
    if shown["phase"] != "ready":
        out.print(f"the system is {shown['phase']}")
        return
    out.print(f"Kafka          {shown['bootstrap']}")
    out.print(f"business time  {local_time(shown['clock']['now'])}  ({shown['clock']['kind']} clock)")
    table = Table(box=None, header_style="bold")
    for title in ("service", "line", "lag", "dead letters", "parked", "waiting", "next due"):
        table.add_column(title)
    for name, one in shown["services"].items():
        due = local_time(one["earliest_due"]) if one["earliest_due"] else "-"
        counts = (str(one[it]) for it in ("dead_letters", "parked_keys", "waiting"))
        table.add_row(name, one["line"], str(shown["lag"].get(name, "-")), *counts, due)
    out.print(table)
    replicas = Table(box=None, header_style="bold")
    for title in ("replica", "pid", "http", "ready", "restarts"):
        replicas.add_column(title)
    for one in shown.get("replicas", ()):
        ready = "yes" if one["ready"] else "no"
        replicas.add_row(
            f"{one['name']}-{one['number']}", str(one["pid"]), str(one["port"]), ready, str(one["restarts"])
        )
    if replicas.row_count:
        out.print(replicas)
