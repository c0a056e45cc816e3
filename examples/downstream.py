"""A downstream team's whole program: what buyers pay and what goes back to them, as a running report of JSON lines.

It keeps nothing. Every start has a name of its own, and so no memory, and folds the events from the beginning of time:
the report is always whole. Run it as README.md beside it says.
"""

import json
import sys
from collections import Counter
from collections.abc import AsyncIterator
from uuid import uuid4

from shared.contracts.billing import BillPaid
from shared.contracts.envelope import Envelope
from shared.contracts.message import Command
from shared.contracts.refunds import RefundCompleted
from shared.integration import Adapter, main

crm = Adapter(f"crm-{uuid4()}", source="https://crm.example/houfu")
totals: Counter[str] = Counter()
known: set[str] = set()


def fold(envelope: Envelope, **figures: int) -> None:
    """Count an event once, however often it comes."""
    if envelope.id not in known:
        known.add(envelope.id)
        totals.update(figures)
        print(json.dumps(totals), flush=True)  # noqa: T201 - this is the report


@crm.on(BillPaid)
async def bill_paid(bill: BillPaid, envelope: Envelope) -> AsyncIterator[Command]:
    """A bill is fully paid."""
    fold(envelope, bills_paid=1, paid_late=int(bill.max_dpd > 0))
    return
    yield  # no command: who only listens has nothing to answer


@crm.on(RefundCompleted)
async def refund_completed(refund: RefundCompleted, envelope: Envelope) -> AsyncIterator[Command]:
    """All of a refund has arrived."""
    fold(envelope, refunds=1, **{f"refunded_{refund.currency}": refund.amount})
    return
    yield


if __name__ == "__main__":
    sys.exit(main(crm))
