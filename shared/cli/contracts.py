"""``houfu contracts``: the published reference of all messages."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shared.cli.console import Complaint, out
from shared.operations import deployment
from shared.operations.reference import IncompatibleChange, stale
from shared.operations.reference import export as write_reference

__all__ = ["app"]

app = typer.Typer(help="The published reference of all messages.", no_args_is_help=True)


@app.callback()
def contracts() -> None:
    """The published reference of all messages."""


@app.command()
def export(
    directory: Annotated[Path, typer.Option("--to", help="Where the documentation lives")] = Path("docs"),
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; fail if what stands there is out of date")
    ] = False,
) -> None:
    """Write AsyncAPI, JSON Schemas and the page of all messages from the contracts and handlers."""
    services, adapters = deployment.services(), deployment.applications()
    if check:
        if found := stale(services, adapters, directory):
            raise Complaint(f"run 'houfu contracts export': {'; '.join(found)}")
        out.print(f"{directory} is fresh")
        return
    try:
        written = write_reference(services, adapters, directory)
    except IncompatibleChange as change:
        raise Complaint(f"a published message would break, declare a new version: {change}") from None
    out.print(f"{len(written)} files below {directory}")
