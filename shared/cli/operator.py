"""``houfu migrate``, ``dead-letters``, ``line``: what an operator decides."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

import typer
from rich.table import Table

from shared.cli.access import AsJson, DataDir, access_of
from shared.cli.console import Complaint, instant_of, local_time, out, write_json
from shared.drivers.postgres import PostgresDatabase
from shared.drivers.topics import PARTITIONS
from shared.engine.ports import Held, Word
from shared.operations.embedded import bring_up_to_date, set_clock_once
from shared.operations.remote import RunningSystem

__all__ = ["app", "dead_letters", "line"]

T = TypeVar("T")

app = typer.Typer()
dead_letters = typer.Typer(help="Messages a service could not handle.", no_args_is_help=True)
line = typer.Typer(
    help="The line of a service, which the breaker stops when many keys fail alike.", no_args_is_help=True
)
app.add_typer(dead_letters, name="dead-letters")
app.add_typer(line, name="line")

Service = Annotated[str, typer.Argument(help="The service")]
Seq = Annotated[int, typer.Argument(help="Number of the dead letter")]
LISTED_MAX = 1_000


@app.command()
def migrate(
    partitions: Annotated[int, typer.Option(help="Of topics that are created now")] = PARTITIONS,
    start: Annotated[
        str | None, typer.Option(envvar="HOUFU_CLOCK_START", help="Where a movable clock begins that was never set")
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Bring every service's schema up to date, create missing topics, begin a movable clock. Harmless to repeat."""
    access = access_of(data_dir)
    done = bring_up_to_date(access.bootstrap, access.dsns, partitions)
    if access.clock == "movable":
        asyncio.run(set_clock_once(access.bootstrap, instant_of(start) if start else datetime.now(UTC)))
    if as_json:
        write_json(done)
        return
    for name, what in done.items():
        out.print(f"{name:<10} {', '.join(what) or 'up to date'}")


@dead_letters.command("list")
def list_(
    service: Annotated[str | None, typer.Option(help="Only those of this service")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List the dead letters of all services, or of one, in the order they came."""

    async def ask(system: RunningSystem) -> dict[str, list[Held]]:
        names = [service] if service else list(system.databases)
        return {name: await _database(system, name).dead_letters(LISTED_MAX) for name in names}

    found = _within(data_dir, ask)
    if as_json:
        write_json([{"service": name, **asdict(one)} for name, several in found.items() for one in several])
        return
    table = Table(box=None, header_style="bold")
    for title in ("service", "number", "held at", "key", "reason", "what", "parks"):
        table.add_column(title)
    for name, several in found.items():
        for one in several:
            said = f"{one.word.lower()} said" if one.word else ("yes" if one.parks else "no")
            table.add_row(name, str(one.seq), local_time(one.held_at), one.key, one.reason, one.kind, said)
    out.print(table if table.row_count else "no dead letters")


@dead_letters.command()
def show(service: Service, seq: Seq, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show one dead letter: why it is one, and the message itself."""

    async def ask(system: RunningSystem) -> Held | None:
        return await _database(system, service).dead_letter(seq)

    found = _within(data_dir, ask)
    if found is None:
        raise Complaint(f"{service} has no dead letter {seq}")
    if as_json:
        write_json(asdict(found))
        return
    for name, value in asdict(found).items():
        if value not in ("", None):
            out.print(f"{name:<15} {value}", markup=False)


@dead_letters.command()
def redrive(service: Service, seq: Seq, data_dir: DataDir = None) -> None:
    """Handle a dead letter again, then what is parked behind it."""
    _speak(service, seq, Word.REDRIVE, data_dir)
    out.print(f"{service} will handle {seq} again")


@dead_letters.command()
def discard(service: Service, seq: Seq, data_dir: DataDir = None) -> None:
    """Give a dead letter up: a command is answered DISCARDED, what is parked behind it goes on."""
    _speak(service, seq, Word.DISCARD, data_dir)
    out.print(f"{service} will discard {seq}")


@line.command("status")
def line_status(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show which lines run and why others do not."""

    async def ask(system: RunningSystem) -> dict[str, Any]:
        return {name: one.line for name, one in (await system.standing()).items()}

    found = _within(data_dir, ask)
    if as_json:
        write_json({name: asdict(one) for name, one in found.items()})
        return
    for name, one in found.items():
        since = f" since {local_time(one.since)}: {one.reason}" if one.stopped and one.since else ""
        out.print(f"{name:<10} {'stopped' if one.stopped else 'running'}{since}", markup=False)


@line.command("resume")
def line_resume(service: Service, data_dir: DataDir = None) -> None:
    """Let a stopped line run again."""

    async def resume(system: RunningSystem) -> None:
        _database(system, service)
        await system.resume_line(service)

    _within(data_dir, resume)
    out.print(f"the line of {service} runs")


def _within(data_dir: Any, ask: Callable[[RunningSystem], Awaitable[T]]) -> T:
    async def answer() -> T:
        async with RunningSystem(access_of(data_dir)) as system:
            return await ask(system)

    return asyncio.run(answer())


def _speak(service: str, seq: int, word: Word, data_dir: Any) -> None:
    async def say(system: RunningSystem) -> bool:
        return await _database(system, service).speak(seq, word)

    if not _within(data_dir, say):
        raise Complaint(f"{service} has no dead letter {seq}")


def _database(system: RunningSystem, service: str) -> PostgresDatabase:
    if service not in system.databases:
        raise Complaint(f"there is no service {service}; there is {', '.join(system.databases)}")
    return system.databases[service]
