"""The sandbox's payment provider: what it answers is decided by the instrument's token alone.

========================  ===========================================================================
token                     answer to a collection
========================  ===========================================================================
``tok_soft``              declined, worth another try (SOFT, INSUFFICIENT_FUNDS)
``tok_soft_once``         declined like that at the first attempt, taken at any later one
``tok_hard``              declined for good (HARD, CARD_CLOSED)
``tok_pending``           PENDING at first; looked up, the money was taken
``tok_silent``            no answer, ever
any other                 the money is taken
========================  ===========================================================================

========================  ===========================================================================
token                     answer to a payout
========================  ===========================================================================
``tok_payout_soft_once``  failed at the first try, worth another (SOFT, TRY_LATER), paid at any later one
``tok_payout_hard``       failed for good (HARD, CARD_CLOSED)
``tok_payout_pending``    PENDING at first; asked, it was paid
any other, or none        paid
========================  ===========================================================================

A process of its own, as any integrator's: ``python -m shared.integration.sandbox --from beginning``. It has no memory
and needs none: the same request always has the same outcome, and what it must look up it finds on the log.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass

from shared.contracts.billing import CollectionPending, CollectionRequested, ReportCollection
from shared.contracts.envelope import Envelope, EnvelopeInvalid
from shared.contracts.message import Command
from shared.contracts.refunds import PayoutRequested, ReportPayout
from shared.drivers.observer import Observer
from shared.engine.ports import Record
from shared.integration.adapter import Adapter
from shared.integration.process import main
from shared.kernel.partition import home_partition

__all__ = ["PROVIDER", "Ledger", "Verdict", "payout_verdict", "sandbox_provider", "verdict"]

PROVIDER = "sandbox-provider"
"""Name of the adapter, and of its consumer group."""

sandbox_provider = Adapter(PROVIDER, source="https://provider.sandbox.invalid")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the provider says of one request; ``weight`` tells a refusal worth another try (SOFT) from a final one."""

    outcome: str
    weight: str | None = None
    reason: str | None = None


TAKEN = Verdict("SUCCEEDED")
SOFT = Verdict("DECLINED", "SOFT", "INSUFFICIENT_FUNDS")
HARD = Verdict("DECLINED", "HARD", "CARD_CLOSED")
PENDING = Verdict("PENDING")
PAID = Verdict("SUCCEEDED")


def verdict(token: str, attempt: int, *, looked_up: bool) -> Verdict | None:
    """The outcome for a token, the same at every repetition; None is silence. ``attempt`` counts from 1."""
    match token:
        case "tok_soft":
            return SOFT
        case "tok_soft_once":
            return SOFT if attempt <= 1 else TAKEN
        case "tok_hard":
            return HARD
        case "tok_pending":
            return TAKEN if looked_up else PENDING
        case "tok_silent":
            return None
        case _:
            return TAKEN


def payout_verdict(token: str, attempt: int, *, asked: bool) -> Verdict:
    """The outcome of a payout, the same at every repetition; ``attempt`` counts from 1."""
    match token:
        case "tok_payout_soft_once" if attempt <= 1:
            return Verdict("FAILED", "SOFT", "TRY_LATER")
        case "tok_payout_hard":
            return Verdict("FAILED", "HARD", "CARD_CLOSED")
        case "tok_payout_pending" if not asked:
            return PENDING
        case _:
            return PAID


class Ledger:
    """The provider's record of what it was asked for: the requests on the log themselves."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap

    async def find(self, buyer_id: str, repayment_id: str) -> CollectionRequested | None:
        """The request of this repayment."""
        async with Observer(self._bootstrap) as observer:
            partitions = await observer.partitions([CollectionRequested.topic()])
            home = partitions[home_partition(buyer_id, len(partitions))]
            async for record in observer.records_of([home]):
                if record.key == buyer_id.encode() and _requests(record, repayment_id):
                    return CollectionRequested.from_json(record.value or b"")
        return None


def _requests(record: Record, repayment_id: str) -> bool:
    try:
        envelope = Envelope.parse(record.headers, record.key)
    except EnvelopeInvalid:
        return False
    return envelope.type == CollectionRequested.TYPE and envelope.subject == repayment_id


@sandbox_provider.on(CollectionRequested)
async def collect(request: CollectionRequested, envelope: Envelope) -> AsyncIterator[Command]:
    """Take the money, decline, or keep silent, as the token says."""
    if found := verdict(request.instrument.token, request.attempt, looked_up=False):
        yield report(request, found, envelope)


@sandbox_provider.on(CollectionPending)
async def look_up(pending: CollectionPending, envelope: Envelope, ledger: Ledger) -> AsyncIterator[Command]:
    """Asked what became of a request, tell; a PENDING that the provider itself reported asks for nothing."""
    if pending.ask == 0:
        return
    request = await ledger.find(pending.buyer_id, pending.repayment_id)
    found = verdict(request.instrument.token, request.attempt, looked_up=True) if request else None
    if request and found:
        yield report(request, found, envelope)


def report(request: CollectionRequested, found: Verdict, asked: Envelope) -> ReportCollection:
    """The report of a verdict; dated by the question, so that a repetition says the same to the letter."""
    return ReportCollection.model_validate(
        {
            "buyer_id": request.buyer_id,
            "repayment_id": request.repayment_id,
            "outcome": found.outcome,
            "decline": found.weight,
            "reason": found.reason,
            "currency": request.currency,
            "amount": request.amount,
            "provider_ref": _provider_ref(request.repayment_id),
            "occurred_at": asked.time,
        }
    )


@sandbox_provider.on(PayoutRequested, kind="ORIGINAL_ROUTE")
@sandbox_provider.on(PayoutRequested, kind="WALLET")
async def pay_out(request: PayoutRequested, envelope: Envelope) -> AsyncIterator[Command]:
    """Pay a leg, or say what became of it; what a merchant pays outside is none of the provider's business."""
    attempt = int(request.payout_id.rpartition(":")[2])
    token = request.instrument.token if request.instrument else ""
    found = payout_verdict(token, attempt, asked=request.ask > 0)
    yield ReportPayout.model_validate(
        {
            "buyer_id": request.buyer_id,
            "refund_id": request.refund_id,
            "payout_id": request.payout_id,
            "case_id": request.case_id,
            "outcome": found.outcome,
            "failure": found.weight,
            "reason": found.reason,
            "provider_ref": _provider_ref(request.payout_id),
            "occurred_at": envelope.time,
        }
    )


def _provider_ref(request_id: str) -> str:
    return f"sandbox:{request_id}"[:200]


if __name__ == "__main__":
    sys.exit(main(sandbox_provider, provide=lambda settings: Ledger(settings.kafka_bootstrap)))
