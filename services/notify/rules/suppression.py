"""Why a buyer is not told something after all (N-R4)."""

from __future__ import annotations

from services.notify.rules.catalogue import WHILE_DUE
from services.notify.rules.contact import Moment, is_capped
from services.notify.state import Mailbox, Notice, Subject
from shared.contracts.notify import SuppressionReason

__all__ = ["reason_against"]


def reason_against(
    notice: Notice, key: str | None, subject: Subject, mailbox: Mailbox, moment: Moment
) -> SuppressionReason | None:
    """The first reason not to send a new notice, None if there is none; ``key`` is its dedup key, if it has one.

    The caps are asked when a notice is queued: one that must wait for contact hours meets them at its release.
    """
    if key is not None and key in subject.seen:
        return "DUPLICATE"
    if notice.kind in mailbox.muted:
        return "MUTED"
    if is_capped(notice, mailbox, moment):
        return "CAP"
    return "OBSOLETE" if subject.resolved and notice.kind in WHILE_DUE else None
