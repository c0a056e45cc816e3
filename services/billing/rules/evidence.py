"""Which notices prove that a buyer was reminded in time: what a late fee rests on (B-F5)."""

from __future__ import annotations

from datetime import timedelta

from services.billing.state import Evidence, Line, Reminder
from shared.contracts.notify import NoticeSent
from shared.kernel.calendar import MIDNIGHT, Calendar

__all__ = ["reminded", "reminded_in_time"]

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


def reminded_in_time(evidence: Evidence | None, line: Line, calendar: Calendar) -> bool:
    """Whether a reminder of the line's due date was sent before the line was overdue."""
    if evidence is None:
        return False
    overdue_from = calendar.at(line.due_on + timedelta(days=1), MIDNIGHT)
    return any(one.due_version == line.due_version and one.sent_at < overdue_from for one in evidence.reminders)
