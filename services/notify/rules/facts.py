"""What notify publishes about a notice, told from its row."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from services.notify.state import Mailbox, Notice
from shared.contracts.notify import (
    Channel,
    DeliveryRequested,
    NoticeDeferred,
    NoticeDelivered,
    NoticeFailed,
    NoticeRetryArmed,
    NoticeSent,
    NoticeSuppressed,
    SuppressionReason,
)

__all__ = ["deferred", "delivered", "delivery_requested", "failed", "retry_armed", "sent", "suppressed"]


def delivery_requested(notice: Notice, channel: Channel, mailbox: Mailbox) -> DeliveryRequested:
    """The order to the adapter of a channel: this attempt, to this contact."""
    return DeliveryRequested(
        buyer_id=notice.buyer_id,
        notice_id=notice.notice_id,
        delivery_id=notice.delivery_id,
        kind=notice.kind,
        class_=notice.class_,
        subject_id=notice.subject_id,
        channel=channel,
        contact_ref=mailbox.contacts[channel],
        locale=notice.locale,
        template=notice.template,
        params=notice.params,
    )


def deferred(notice: Notice, until: datetime) -> NoticeDeferred:
    """It waits for contact hours."""
    return NoticeDeferred(buyer_id=notice.buyer_id, notice_id=notice.notice_id, kind=notice.kind, until=until)


def retry_armed(notice: Notice, until: datetime) -> NoticeRetryArmed:
    """Its channel is tried again."""
    return NoticeRetryArmed(buyer_id=notice.buyer_id, notice_id=notice.notice_id, kind=notice.kind, until=until)


def sent(notice: Notice) -> NoticeSent:
    """Its channel took it over: the evidence, of a reminder with the bill and the due date it reminds of (N-R6)."""
    return NoticeSent(**_proof(notice))


def delivered(notice: Notice, delivered_at: datetime) -> NoticeDelivered:
    """It reached the buyer."""
    return NoticeDelivered(**_proof(notice), delivered_at=delivered_at, read=notice.read)


def failed(notice: Notice) -> NoticeFailed:
    """No channel is left; each is named once, in the order tried."""
    return NoticeFailed(
        buyer_id=notice.buyer_id,
        notice_id=notice.notice_id,
        kind=notice.kind,
        subject_id=notice.subject_id,
        tried=tuple(dict.fromkeys(notice.tried)),
    )


def suppressed(notice: Notice, reason: SuppressionReason) -> NoticeSuppressed:
    """It is deliberately not sent."""
    return NoticeSuppressed(
        buyer_id=notice.buyer_id,
        notice_id=notice.notice_id,
        kind=notice.kind,
        subject_id=notice.subject_id,
        reason=reason,
    )


def _proof(notice: Notice) -> dict[str, Any]:
    """Which notice its channel took over, and when."""
    return {
        "buyer_id": notice.buyer_id,
        "notice_id": notice.notice_id,
        "kind": notice.kind,
        "class_": notice.class_,
        "subject_id": notice.subject_id,
        "bill_id": notice.bill_id,
        "due_version": notice.due_version,
        "channel": notice.channel,
        "sent_at": None if notice.channel is None else notice.sent_through(notice.channel),
    }
