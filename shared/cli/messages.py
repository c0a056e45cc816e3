"""``houfu publish``, ``tail``, ``trace``: messages in, messages out, and why."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Iterable
from contextlib import aclosing
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer
from pydantic import ValidationError
from rich.text import Text
from rich.tree import Tree

from shared.cli.access import AsJson, DataDir, access_of
from shared.cli.console import Complaint, err, facts, instant_of, local_time, out, write_json
from shared.contracts.message import Command
from shared.operations.remote import RunningSystem
from shared.operations.schemas import published_messages
from shared.operations.sightings import Sighting
from shared.operations.tracing import Chapter, owners_of, story_of, told

__all__ = ["app", "command_type", "line_of"]

app = typer.Typer()

COLOURS = {"checkout": "cyan", "billing": "magenta", "refunds": "green", "notify": "yellow"}


@app.command()
def publish(
    kind: Annotated[
        str, typer.Argument(metavar="TYPE", help="place_order, checkout.place_order or the whole wire type")
    ],
    data: Annotated[str, typer.Option(help="File with the payload as JSON; - for standard input")],
    at: Annotated[str | None, typer.Option(help="Business time of the command, by default now")] = None,
    message_id: Annotated[
        str | None, typer.Option("--id", help="UUID, the idempotency key; by default a new one")
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Write one command, validated by its contract; prints its id."""
    command = _command(command_type(kind), data)
    if message_id is not None:
        try:
            message_id = str(UUID(message_id))
        except ValueError:
            raise Complaint(f"--id {message_id!r} is not a UUID") from None

    async def write() -> str:
        async with RunningSystem(access_of(data_dir)) as system:
            return await system.publish(command, at=instant_of(at) if at else None, message_id=message_id)

    written = asyncio.run(write())
    if as_json:
        write_json({"id": written, "type": command.TYPE, "key": command.key, "topic": command.topic()})
    else:
        out.print(written)


@app.command()
def tail(
    buyer: Annotated[str | None, typer.Option(help="Only messages of this buyer")] = None,
    order: Annotated[str | None, typer.Option(help="Only messages about this order")] = None,
    kind: Annotated[str | None, typer.Option("--type", help="Only messages of this type, as bill_issued")] = None,
    from_beginning: Annotated[bool, typer.Option("--from-beginning", help="Start with what is there")] = False,
    limit: Annotated[int, typer.Option(help="End after so many messages; 0: go on until Ctrl-C")] = 0,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Follow every command and event as it passes, decoded."""
    kind = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", kind).lower() if kind else None

    def wanted(one: Sighting) -> bool:
        return (
            (buyer is None or one.key == buyer)
            and (order is None or order in (one.body.get("order_id"), one.envelope.subject if one.envelope else None))
            and (kind is None or (one.envelope is not None and kind in one.envelope.type.split(".")))
        )

    async def follow() -> None:
        shown = 0
        async with (
            RunningSystem(access_of(data_dir)) as system,
            aclosing(system.follow(from_beginning=from_beginning)) as passing,
        ):
            async for one in passing:
                if wanted(one):
                    write_json(one.as_json(), line=True) if as_json else out.print(line_of(one), soft_wrap=True)
                    shown += 1
                if limit and shown >= limit:
                    return

    asyncio.run(follow())


@app.command()
def trace(
    order_id: Annotated[str, typer.Argument(help="The order")],
    buyer: Annotated[str | None, typer.Option(help="Its buyer, where several have an order of this id")] = None,
    without: Annotated[list[str] | None, typer.Option(help="Leave out what this service hears and says")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Tell the whole story of an order: commands, events, effects across services, with time and cause."""

    async def read() -> list[Sighting]:
        async with RunningSystem(access_of(data_dir)) as system:
            return await system.sightings()

    with err.status("reading the topics"):
        sightings = asyncio.run(read())
    owners = {buyer} if buyer else owners_of(order_id, sightings)
    if len(owners) > 1:
        raise Complaint(f"several buyers have an order {order_id}: say --buyer {'|'.join(sorted(owners))}")
    story = story_of(order_id, owners.pop(), sightings) if owners else []
    story = [one for one in story if one.service not in (without or ())]
    if not story:
        raise Complaint(f"no message speaks of an order {order_id}")
    if as_json:
        write_json([one.as_json() for one in story])
    else:
        tree = Tree(Text(f"order {order_id}", "bold"), guide_style="dim")
        _grow(tree, told(story))
        out.print(tree)


def command_type(said: str) -> type[Command]:
    """The command class meant by ``place_order``, ``PlaceOrder``, ``checkout.place_order`` or the wire type."""
    word = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", said).lower()
    commands = {kind.TYPE: kind for kind in published_messages() if issubclass(kind, Command)}
    found = [
        kind
        for wire_type, kind in commands.items()
        if word in (wire_type, wire_type.split(".")[2], ".".join(wire_type.split(".")[1:3]))
    ]
    if not found:
        alike = [one.split(".")[2] for one in commands if word.rpartition(".")[2] in one] or sorted(
            one.split(".")[2] for one in commands
        )
        raise Complaint(f"there is no command {said!r}; there is {', '.join(alike)}")
    return max(found, key=lambda kind: int(kind.TYPE.rpartition(".v")[2]))


def _command(kind: type[Command], data: str) -> Command:
    try:
        body = sys.stdin.read() if data == "-" else Path(data).read_text()
        return kind.from_json(body)
    except OSError as reason:
        raise Complaint(f"{data} cannot be read: {reason.strerror}") from None
    except ValidationError as defect:
        wrong = (f"{'.'.join(map(str, one['loc'])) or 'body'}: {one['msg']}" for one in defect.errors())
        raise Complaint(f"{kind.TYPE}: {'; '.join(wrong)}") from None


def line_of(one: Sighting, *, owner: bool = True) -> Text:
    """One message on one line: business time, service, name, owner, what it says, which deadline caused it."""
    if one.envelope is None:
        where = f"{one.record.topic}/{one.record.partition}@{one.record.offset}"
        return Text(f"(unreadable)  {where}", "red")
    style = COLOURS.get(one.service, "")
    sign = "→" if one.is_command else "●"
    refused = "red" if one.name == "CommandRejected" else style
    line = Text.assemble(
        (f"{local_time(one.envelope.time)}  ", "dim"),
        (f"{one.service:<9}", style),
        (f"{sign} {one.name}", f"bold {refused}"),
        (f"  {one.key}" if owner else "", ""),
        (f"  {facts(one.body)}", "dim"),
    )
    if one.envelope.deadline:
        line.append(f"  ⏰ {one.envelope.deadline}", "yellow")
    return line


def _grow(tree: Tree, chapters: Iterable[Chapter]) -> None:
    for chapter in chapters:
        _grow(tree.add(line_of(chapter.sighting, owner=False)), chapter.consequences)
