"""Finds the system a command is about: the one in a data directory, or the cluster the environment names."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from shared.cli.console import Complaint
from shared.local.state import SystemState, read_state
from shared.operations import deployment
from shared.operations.house import service_names
from shared.operations.remote import Access

__all__ = ["DATA_DIR", "AsJson", "DataDir", "access_of", "state_of"]

DATA_DIR = Path(".houfu")
"""Where an embedded system keeps its data unless told otherwise."""

DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", envvar="HOUFU_DATA_DIR", help="Directory of the embedded system; default: .houfu"),
]
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON for programs")]


def state_of(data_dir: Path | None) -> SystemState:
    """The embedded system at work in ``data_dir``; raises :class:`Complaint`."""
    directory = data_dir or DATA_DIR
    state = read_state(directory)
    if state is None:
        raise Complaint(f"no system runs in {directory}: start one with 'houfu up'")
    return state


def access_of(data_dir: Path | None) -> Access:
    """How to reach the system: the environment's cluster unless a data directory is named, or a :class:`Complaint`."""
    readers = {service.name: service.topics for service in deployment.services()}
    adapters = {adapter.name: adapter.topics for adapter in deployment.adapters()}
    bootstrap = os.environ.get("HOUFU_KAFKA_BOOTSTRAP")
    if bootstrap and data_dir is None:
        clock = os.environ.get("HOUFU_CLOCK", "system")
        if clock not in ("system", "movable"):
            raise Complaint(f"HOUFU_CLOCK: {clock!r} is neither system nor movable")
        return Access(bootstrap, "movable" if clock == "movable" else "system", _dsns(), readers, adapters)
    state = state_of(data_dir)
    if state.phase != "ready":
        raise Complaint(f"the system in {data_dir or DATA_DIR} is {state.phase}")
    if new := [name for name in readers if name not in state.dsns]:
        raise Complaint(f"{', '.join(new)} is new since this system was started: 'houfu down', then 'houfu up'")
    dsns = {name: state.dsns[name] for name in readers}
    return Access(state.bootstrap, "movable" if state.clock == "movable" else "system", dsns, readers, adapters)


def _dsns() -> dict[str, str]:
    found = {name: os.environ.get(f"HOUFU_{name.upper()}_DSN", "") for name in service_names()}
    missing = [f"HOUFU_{name.upper()}_DSN" for name, dsn in found.items() if not dsn]
    if missing:
        raise Complaint(f"HOUFU_KAFKA_BOOTSTRAP is set but not {', '.join(missing)}")
    return found
