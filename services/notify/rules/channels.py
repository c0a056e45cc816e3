"""Through which channel a notice goes (N-R2)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from services.notify.state import Mailbox, Notice
from shared.contracts.notify import Channel, NoticeClass

__all__ = ["INBOX", "choose"]

INBOX: Channel = "IN_APP"
"""Notify's own: it needs no contact and no adapter."""

DEFAULT_ORDER: Mapping[NoticeClass, tuple[Channel, ...]] = {
    "TRANSACTIONAL": ("PUSH", "SMS", "EMAIL", INBOX),
    "DEBT": ("SMS", "PUSH", "EMAIL", INBOX),
    "LEGAL": ("SMS", "EMAIL", INBOX),
}


def choose(notice: Notice, mailbox: Mailbox) -> Channel | None:
    """The channel a notice keeps to, else the first it has not tried; None if there is none left."""
    usable = tuple(_usable(mailbox, notice.class_))
    if notice.channel in usable:
        return notice.channel
    return next((channel for channel in usable if channel not in notice.tried), None)


def _usable(mailbox: Mailbox, class_: NoticeClass) -> Iterator[Channel]:
    """The buyer's channels for a class, in order; without a contact there is no way, and nobody is called unasked."""
    for channel in mailbox.order.get(class_, DEFAULT_ORDER[class_]):
        if channel == INBOX or (channel != "PHONE" and channel in mailbox.contacts):
            yield channel
