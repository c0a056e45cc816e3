"""``houfu sandbox``: what only a sandbox can do."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.panel import Panel
from rich.text import Text

from services.checkout.rules.proof import PaymentProofs
from services.checkout.rules.proof import Purchase as Proven
from shared.cli.access import DATA_DIR, AsJson, DataDir, access_of
from shared.cli.console import Complaint, out, write_json
from shared.cli.post import Letter, letters
from shared.operations.embedded import TOKEN_AUDIENCE, TOKEN_ISSUER, proof_secret, token_secret
from shared.operations.remote import RunningSystem
from shared.operations.scene import Prove, Purchase
from shared.operations.tokens import sign_token

__all__ = ["app", "prover", "shown_letter", "token_for"]

app = typer.Typer(help="What only a sandbox can do.", no_args_is_help=True)

SECRET = "HOUFU_CHECKOUT_PAYMENT_PROOF_SECRET"  # noqa: S105 - the name of the setting that holds it
TOKEN_SECRET = "HOUFU_TOKEN_SECRET"  # noqa: S105 - the name of the setting that holds it


@app.callback()
def sandbox() -> None:
    """What only a sandbox can do."""


@app.command()
def proof(
    buyer: Annotated[str, typer.Option(help="The buyer who would have entered the password")],
    order: Annotated[str, typer.Option(help="The order")],
    amount: Annotated[int, typer.Option(min=0, help="Its amount in minor units")],
    device: Annotated[str, typer.Option(help="The device it is placed on, as device_ref")],
    currency: Annotated[str, typer.Option(help="ISO 4217 code")] = "CNY",
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Sign a payment proof, valid for five minutes of business time, as checkout's password endpoint would."""
    access = access_of(data_dir)
    if access.clock != "movable":
        raise Complaint("payment proofs are signed here in sandboxes only: start one with --clock movable")

    async def ask() -> datetime:
        async with RunningSystem(access) as system:
            return await system.now()

    signed = prover(data_dir)(Purchase(buyer, order, amount, currency, device), asyncio.run(ask()))
    if as_json:
        write_json({"payment_proof": signed})
    else:
        out.print(signed, soft_wrap=True)


@app.command()
def token(
    scope: Annotated[list[str], typer.Option(help="operator, buyer:<id> or merchant:<id>; may be repeated")],
    hours: Annotated[float, typer.Option(min=0.01, max=24, help="How long it is valid, by the wall clock")] = 1,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Sign a bearer token for the read views of a sandbox, as the issuer of a real deployment would."""
    try:
        signed = token_for(data_dir, *scope, valid_for=timedelta(hours=hours))
    except ValueError as wrong:
        raise Complaint(str(wrong)) from None
    if as_json:
        write_json({"token": signed})
    else:
        out.print(signed, soft_wrap=True)


@app.command()
def mail(
    to: Annotated[str | None, typer.Option(help="Only mail to this contact or address")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Show at most so many, the youngest")] = 1,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show the mail that has arrived in a sandbox, as its readers see it."""
    found = letters(data_dir or DATA_DIR, to)[-limit:]
    if as_json:
        write_json(found)
        return
    for letter in found:
        out.print(shown_letter(letter))
    if not found:
        out.print("no mail")


def shown_letter(letter: Letter) -> Panel:
    """A mail as its reader sees it."""
    head = Text.assemble(("From ", "dim"), letter.sender, ("\nTo   ", "dim"), letter.recipient, "\n\n")
    return Panel(head + Text(letter.text.strip()), title=letter.subject, title_align="left", width=100)


def token_for(data_dir: Path | None, *scopes: str, valid_for: timedelta = timedelta(hours=1)) -> str:
    """A token for these scopes, signed with the sandbox's own key; ValueError for a scope that means nothing."""
    secret = _own_secret(data_dir, TOKEN_SECRET) or token_secret(data_dir or DATA_DIR)
    issuer = os.environ.get("HOUFU_TOKEN_ISSUER") or TOKEN_ISSUER
    audience = os.environ.get("HOUFU_TOKEN_AUDIENCE") or TOKEN_AUDIENCE
    return sign_token(secret, scopes, issuer=issuer, audience=audience, now=datetime.now(UTC), valid_for=valid_for)


def _own_secret(data_dir: Path | None, setting: str) -> str:
    """The environment's secret; empty where the one of a data directory is meant."""
    if data_dir is not None:
        return ""
    secret = os.environ.get(setting, "")
    if not secret and os.environ.get("HOUFU_KAFKA_BOOTSTRAP"):
        raise Complaint(f"HOUFU_KAFKA_BOOTSTRAP is set but not {setting}")
    return secret


def prover(data_dir: Path | None) -> Prove:
    """Signs proofs with the sandbox's own secret: the environment's, or the one of the data directory."""
    proofs = PaymentProofs(_own_secret(data_dir, SECRET) or proof_secret(data_dir or DATA_DIR))

    def prove(purchase: Purchase, now: datetime) -> str:
        proven = Proven(purchase.buyer_id, purchase.order_id, purchase.amount, purchase.currency, purchase.device_ref)
        return proofs.sign(proven, now)

    return prove
