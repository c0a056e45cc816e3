"""``houfu demo``: stories of buyers, told on a running system and checked event by event."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import typer
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from shared.cli.access import DATA_DIR, DataDir, access_of
from shared.cli.console import Complaint, decimal, err, facts, instant_of, local_time, out
from shared.cli.display import Display
from shared.cli.inbox import inbox_of, notify_url
from shared.cli.messages import COLOURS
from shared.cli.post import letters
from shared.cli.sandbox import prover, shown_letter
from shared.contracts.billing import RefundAllocated, RefundSimulated
from shared.contracts.message import Command
from shared.contracts.notify import DeliveryRequested, NoticeSent, ReportNoticeDelivery
from shared.local.servers import Servers
from shared.local.state import read_state
from shared.local.supervisor import System
from shared.operations.embedded import Setup, plan_of
from shared.operations.house import service_names
from shared.operations.remote import RunningSystem
from shared.operations.sightings import Moment
from shared.operations.stories import STATEMENT_STORIES, STORIES, Check, Story, Teller

__all__ = ["app"]

app = typer.Typer()

TOLD = "d2"
"""The story whose buyer's inbox closes the demo."""

NOTICES_SHOWN = 12

CARRIED = (DeliveryRequested, ReportNoticeDelivery)
"""How a notice gets to its channel; a timeline shows that it was sent."""

START = "2027-03-01T09:00+08:00"
"""Where the business time of a throw-away system begins: a Monday morning."""


@app.command()
def demo(data_dir: DataDir = None) -> None:
    """Tell stories of buyers on a running sandbox (or a throw-away one), and check what came of them."""
    began = time.monotonic()
    if data_dir or os.environ.get("HOUFU_KAFKA_BOOTSTRAP") or read_state(DATA_DIR):
        holds = asyncio.run(_tell_all(data_dir))
    else:
        with _throw_away_system() as directory:
            holds = asyncio.run(_tell_all(directory))
    out.print(f"{time.monotonic() - began:.0f} s", style="dim")
    if not holds:
        raise typer.Exit(1)


@contextmanager
def _throw_away_system() -> Iterator[Path]:
    """A system with a movable clock that is gone afterwards, however this ends."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(prefix="houfu-demo-", ignore_cleanup_errors=True) as name:
        directory = Path(name)
        setup = Setup(clock="movable", start=instant_of(START), calendar="CN-WEEKENDS")
        with Display() as display:
            system = System(
                Servers(directory, services=service_names(), durable=False, watch=display.watch),
                plan_of(setup, display.watch),
                clock="movable",
                watch=display.watch,
            )
            system.start()
        try:
            yield directory
        finally:
            with err.status("stopping"):
                system.stop()


async def _tell_all(data_dir: Path | None) -> bool:
    access = access_of(data_dir)
    if access.clock != "movable":
        raise Complaint("the demo moves time: start the system with --clock movable")
    notify_url(data_dir)  # a missing address is better told now than at the end
    async with RunningSystem(access) as system:
        teller = Teller(system, prover(data_dir), mark=f"{int(time.time()):x}")
        with err.status("publishing the policies"):
            await teller.prologue()
        outcomes = [(story, await _tell(teller, story)) for story in (*STORIES, *STATEMENT_STORIES)]
        told = teller.buyer_of(TOLD)
    out.print(_closing_table(outcomes))
    _show_what_was_told(told, data_dir)
    return all(check.holds for _, checks in outcomes for check in checks)


async def _tell(teller: Teller, story: Story) -> list[Check]:
    """One story as a timeline: each step, and below it everything that came of it."""
    out.print(Rule(f"{story.name} · {story.title}", style="bold"))
    out.print(f"buyer {teller.buyer_of(story.name)}", style="dim")
    with err.status("enrolling the buyer"):
        await teller.enrol(story)
    shown = 0
    for text, step in [("The buyer enrols and is approved", None), *((one.text, one) for one in story.steps)]:
        if step is not None:
            with err.status(text):
                await teller.take(story, step)
        out.print(f"▸ {text}", style="bold")
        history = await teller.history(story)
        for moment in history[shown:]:
            if not isinstance(moment.message, CARRIED) and (step or not isinstance(moment.message, Command)):
                out.print(_line(moment), soft_wrap=True)
                if isinstance(moment.message, RefundAllocated | RefundSimulated) and len(moment.message.before) > 1:
                    out.print(_explained(moment.message))
        shown = len(history)
    checks = await teller.checks(story)
    for check in checks:
        out.print(_verdict(check))
    out.print()
    return checks


def _line(moment: Moment) -> Text:
    kind = type(moment.message)
    body: dict[str, Any] = moment.message.model_dump(mode="json", by_alias=True, exclude_none=True)
    style = COLOURS.get(kind.SERVICE, "")
    sign = "→" if isinstance(moment.message, Command) else "✉" if isinstance(moment.message, NoticeSent) else "●"
    line = Text.assemble(
        (f"  {local_time(moment.at)}  ", "dim"),
        (f"{kind.SERVICE:<9}", style),
        (f"{sign} {kind.__name__}", f"bold {style}"),
        (f"  {facts(body)}", "dim"),
    )
    return line.append(f"  ⏰ {moment.deadline}", "yellow") if moment.deadline else line


def _explained(refund: RefundAllocated | RefundSimulated) -> Table:
    """Where every cent of a refund went, step by step, and the plan before and after it."""
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2))
    for title in ("                   ", "it", "amount"):
        table.add_column(title, justify="right" if title == "amount" else "left")
    for step in refund.trace or ():
        about = f"instalment {step.seq}" if step.seq else step.fee_id or step.repayment_id or ""
        table.add_row("", f"{step.does.lower().replace('_', ' ')}  {about}", decimal(step.amount))
    for title, balances in (("unpaid before", refund.before), ("unpaid after", refund.after)):
        unpaid = " / ".join(decimal(one.outstanding) for one in balances)
        table.add_row("", title, unpaid, style="dim")
    return table


def _verdict(check: Check) -> Text:
    if check.holds:
        return Text.assemble(("  ✓ ", "green"), check.text)
    return Text.assemble(("  ✗ ", "red"), check.text, (f" (expected {check.expected}, found {check.found})", "red"))


def _show_what_was_told(buyer: str, data_dir: Path | None) -> None:
    """The inbox of one buyer, asked of notify with the buyer's token, and the last mail as it arrived."""
    out.print(Rule("What the buyer was told", style="bold"))
    inbox = Table(title=f"The inbox of {buyer}", title_justify="left", box=None, header_style="bold")
    for title in ("told on", "through", "subject"):
        inbox.add_column(title)
    for notice in inbox_of(buyer, data_dir, locale="en", limit=NOTICES_SHOWN):
        told_on = local_time(datetime.fromisoformat(notice["created_at"]))
        inbox.add_row(told_on, notice.get("channel", "-"), notice.get("subject", notice["kind"]))
    out.print(inbox)
    for letter in letters(data_dir or DATA_DIR, buyer)[-1:]:
        out.print(shown_letter(letter))


def _closing_table(outcomes: list[tuple[Story, list[Check]]]) -> Table:
    table = Table(title="What came of it", title_style="bold", box=None, header_style="bold")
    for title in ("story", "", "expectations met", "outcome"):
        table.add_column(title)
    for story, checks in outcomes:
        met = sum(check.holds for check in checks)
        good = met == len(checks)
        outcome = Text("as expected", "green") if good else Text("NOT as expected", "bold red")
        table.add_row(story.name, story.title, f"{met}/{len(checks)}", outcome)
    return table
