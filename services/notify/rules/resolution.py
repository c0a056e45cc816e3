"""What a bill's events make idle talk: nobody is reminded of what is paid (N-R5)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import get_args

from services.notify.rules.catalogue import WHILE_DUE
from services.notify.state import NOTICE_MACHINE, Notice, Subject
from shared.contracts.billing import (
    BillPaid,
    BillPaused,
    BillResumed,
    BillVoided,
    DelinquencyChanged,
    ExtensionDecided,
)
from shared.contracts.message import Event
from shared.engine.vocabulary import Rows

__all__ = ["RESOLVING", "BillEvent", "bill_of", "obsolete", "resolved_by"]

BillEvent = BillPaid | BillVoided | BillPaused | ExtensionDecided | DelinquencyChanged
"""Events that may make notices of their bill obsolete."""

RESOLVING: tuple[type[Event], ...] = get_args(BillEvent)


def bill_of(event: BillEvent) -> str:
    """The bill such an event is about."""
    return event.bill_id


def obsolete(event: BillEvent, notices: Rows[Notice]) -> Iterator[Notice]:
    """The notices of the bill that were still to be sent and no longer say anything."""
    kinds = _idle_kinds(event)
    for notice in notices.values():
        waiting = "RESOLVED" in NOTICE_MACHINE[notice.status]
        if waiting and notice.subject_id == event.bill_id and notice.kind in kinds:
            yield notice


def resolved_by(event: Event, subject: Subject) -> Subject:
    """The bill as it stands after an event about it: whether anything is due on it."""
    match event:
        case BillPaid() | BillVoided() | BillPaused(amount_due=0):
            return replace(subject, resolved=True)
        case BillResumed():
            return replace(subject, resolved=False)
        case _:
            return subject


def _idle_kinds(event: BillEvent) -> frozenset[str]:
    match event:
        case BillPaid() | BillVoided() | BillPaused(amount_due=0) | ExtensionDecided(decision="GRANTED"):
            return WHILE_DUE
        case DelinquencyChanged(stage="NONE"):
            return frozenset({"OVERDUE"})
        case _:
            return frozenset()
