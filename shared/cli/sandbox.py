"""``houfu sandbox``: what only a sandbox can do."""

from __future__ import annotations

import asyncio
import os
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from services.checkout.rules.proof import PaymentProofs
from services.checkout.rules.proof import Purchase as Proven
from shared.cli.access import DATA_DIR, AsJson, DataDir, access_of
from shared.cli.console import Complaint, out, write_json
from shared.operations.embedded import proof_secret
from shared.operations.remote import RunningSystem
from shared.operations.stories import Prove, Purchase

__all__ = ["app", "prover"]

app = typer.Typer(help="What only a sandbox can do.", no_args_is_help=True)

SECRET = "HOUFU_CHECKOUT_PAYMENT_PROOF_SECRET"  # noqa: S105 - the name of the setting that holds it


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


def prover(data_dir: Path | None) -> Prove:
    """Signs proofs with the sandbox's own secret: the environment's, or the one of the data directory."""
    secret = os.environ.get(SECRET, "") if data_dir is None else ""
    if not secret and data_dir is None and os.environ.get("HOUFU_KAFKA_BOOTSTRAP"):
        raise Complaint(f"HOUFU_KAFKA_BOOTSTRAP is set but not {SECRET}")
    proofs = PaymentProofs(secret or proof_secret(data_dir or DATA_DIR))

    def prove(purchase: Purchase, now: datetime) -> str:
        proven = Proven(purchase.buyer_id, purchase.order_id, purchase.amount, purchase.currency, purchase.device_ref)
        return proofs.sign(proven, now)

    return prove
