"""Which notices prove that a buyer was reminded in time (B-F5). Nothing rests on them until late fees exist."""

from __future__ import annotations

from services.billing.state import Evidence, Reminder
from shared.contracts.notify import NoticeSent

__all__ = ["reminded"]

REMINDER = "BILL_DUE_SOON"

PROVING_CHANNELS = frozenset({"SMS", "EMAIL", "PUSH"})
"""IN_APP reaches only who looks by himself, PHONE leaves nothing to read again."""


def reminded(evidence: Evidence | None, sent: NoticeSent) -> Evidence | None:
    """The evidence of a bill with this notice added: of each due date the earliest reminder, whatever came first.

    Unchanged by a notice that reminds of no bill, or through a channel that proves nothing.
    """
    if (
        sent.kind != REMINDER
        or sent.channel not in PROVING_CHANNELS
        or sent.bill_id is None
        or sent.due_version is None
    ):
        return evidence
    known = {one.due_version: one for one in evidence.reminders} if evidence is not None else {}
    earliest = min(sent.sent_at, known[sent.due_version].sent_at) if sent.due_version in known else sent.sent_at
    known[sent.due_version] = Reminder(sent.due_version, earliest)
    return Evidence(sent.buyer_id, sent.bill_id, tuple(known[version] for version in sorted(known)))
