"""``houfu doctor``: what is wrong with the system, and what to do about it."""

from __future__ import annotations

import asyncio
import os
from dataclasses import asdict
from pathlib import Path

import typer
from rich.text import Text

from shared.cli.access import DATA_DIR, AsJson, DataDir
from shared.cli.console import err, out, write_json
from shared.operations.diagnosis import CommandLine, Finding, Grade
from shared.operations.doctor import Doctor, Patient

__all__ = ["app"]

app = typer.Typer()

LOOKS = {Grade.WELL: ("✓", "green"), Grade.NOTE: ("!", "yellow"), Grade.ILL: ("✗", "bold red")}
CHECK_WIDTH = 30


@app.command()
def doctor(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Examine the system, running or not, and say what to do. Ends with 1 where something needs a person."""
    found = asyncio.run(_examine(_patient(data_dir), told=not as_json))
    healthy = all(finding.grade is not Grade.ILL for finding in found)
    if as_json:
        write_json({"healthy": healthy, "findings": [asdict(finding) for finding in found]})
    raise typer.Exit(0 if healthy else 1)


def _patient(data_dir: Path | None) -> Patient:
    """The system every other command would speak to, however it is."""
    if data_dir is None and os.environ.get("HOUFU_KAFKA_BOOTSTRAP"):
        return Patient.cluster(CommandLine())
    return Patient.embedded(data_dir or DATA_DIR, CommandLine(data_dir))


async def _examine(patient: Patient, *, told: bool) -> list[Finding]:
    found = []
    with err.status("examining the system"):
        async for finding in Doctor(patient).examine():
            found.append(finding)
            if told:
                out.print(_line(finding), soft_wrap=True)
    return found


def _line(finding: Finding) -> Text:
    mark, style = LOOKS[finding.grade]
    line = Text.assemble((f"{mark} ", style), f"{finding.check:<{CHECK_WIDTH}} {finding.cause}")
    if finding.remedy:
        line.append(f"  → {finding.remedy}", style="bold" if finding.grade is Grade.ILL else "")
    return line
