"""What notify proves: that a buyer was reminded of a bill while there was time to pay."""

from __future__ import annotations

from collections.abc import Iterator

from services.billing.rules.evidence import reminded
from services.billing.service import billing
from services.billing.state import Evidence
from shared.contracts.notify import NoticeSent
from shared.engine.service import Yielded

__all__ = ["keep_evidence"]


@billing.on(NoticeSent)
def keep_evidence(sent: NoticeSent, evidence: Evidence | None) -> Iterator[Yielded]:
    """A reminder went out: the proof is kept by due date, for the day a late fee has to be justified (B-F5)."""
    kept = reminded(evidence, sent)
    if kept != evidence and kept is not None:
        yield kept
