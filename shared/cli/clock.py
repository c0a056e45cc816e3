"""``houfu clock``: business time, and moving it in a sandbox."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Annotated

import typer

from shared.cli.access import AsJson, DataDir, access_of
from shared.cli.console import Complaint, duration_of, err, instant_of, local_time, out, write_json
from shared.operations.remote import RunningSystem

__all__ = ["app"]

app = typer.Typer(help="Business time, and moving it in a sandbox.", no_args_is_help=True)


@app.command()
def show(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Print the business time."""
    access = access_of(data_dir)

    async def ask() -> datetime:
        async with RunningSystem(access) as system:
            return await system.now()

    _tell(asyncio.run(ask()), access.clock, as_json)


@app.command()
def advance(
    by: Annotated[str | None, typer.Argument(metavar="[30d|2h]", help="How far")] = None,
    to: Annotated[str | None, typer.Option(help="To this instant instead")] = None,
    timeout: Annotated[float, typer.Option(help="Seconds each due instant may take")] = 60,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Move business time from due instant to due instant over all services, letting everything settle in between."""
    if (by is None) == (to is None):
        raise Complaint("say how far (30d, 2h) or --to which instant")
    distance, target = duration_of(by) if by else None, instant_of(to) if to else None
    access = access_of(data_dir)

    async def move() -> datetime:
        async with RunningSystem(access) as system:
            if target and target < await system.now():
                raise Complaint("business time does not go back")
            with err.status("moving time") as moving:
                return await system.advance(
                    distance,
                    to=target,
                    patience_s=timeout,
                    watch=lambda now: moving.update(f"business time {local_time(now)}"),
                )

    _tell(asyncio.run(move()), access.clock, as_json)


def _tell(now: datetime, kind: str, as_json: bool) -> None:
    if as_json:
        write_json({"now": now, "kind": kind})
    else:
        out.print(f"{local_time(now)}  ({kind} clock)")
