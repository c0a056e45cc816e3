"""The ``houfu`` command: one module a noun, put together here. What goes wrong is said in one line."""

from __future__ import annotations

import logging
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from shared.cli import clock, contracts, demo, doctor, messages, operator, sandbox, system
from shared.cli.console import Complaint, err
from shared.drivers.topics import TopicsUnfit
from shared.engine.ports import Unavailable
from shared.local.process import StartFailed
from shared.operations.embedded import NotMigrated
from shared.operations.house import ServiceMisnamed
from shared.operations.logs import configure_logs
from shared.operations.remote import ClockFixed, NotSettled

__all__ = ["app"]

EXPECTED = (ClockFixed, Complaint, NotMigrated, NotSettled, ServiceMisnamed, StartFailed, TopicsUnfit, Unavailable)
"""What may go wrong without a mistake in Houfu."""


class Politely(TyperGroup):
    """Says what went wrong in one line instead of a traceback, and ends with a code other than 0."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except EXPECTED as reason:
            if tail := getattr(reason, "tail", ""):
                err.print(tail, style="dim", markup=False)
            err.print(f"houfu: {reason}", style="red", markup=False, soft_wrap=True)
            sys.exit(1)


app = typer.Typer(
    cls=Politely,
    help="Houfu (后付): the pay-later commerce backbone.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(system.app)
app.add_typer(messages.app)
app.add_typer(clock.app, name="clock")
app.add_typer(operator.app)
app.add_typer(doctor.app)
app.add_typer(contracts.app, name="contracts")
app.add_typer(sandbox.app, name="sandbox")
app.add_typer(demo.app)


@app.callback()
def houfu() -> None:
    """Houfu (后付): the pay-later commerce backbone."""
    configure_logs("critical", "cli")
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # a command says what went wrong itself, in one line


if __name__ == "__main__":
    app()
