"""The rows notify keeps, and the machine a notice moves through.

The spec's *mailbox* is spread over rows (H-8): a small header with the buyer's wishes and counts, a row for each
notice, and a row for each subject with what was heard of it, so that a message rewrites only what it changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from shared.contracts.notify import Channel, NoticeClass, NoticeParams, SuppressionReason
from shared.contracts.policy import PLATFORM, ContactTerms
from shared.engine.vocabulary import Live, Named, Row

__all__ = [
    "NOTICE_MACHINE",
    "ContactPolicy",
    "ContactVersion",
    "DebtDay",
    "Evidence",
    "Mailbox",
    "Notice",
    "NoticeStatus",
    "PlatformContact",
    "Subject",
]

DEFAULT_LOCALE = "zh-CN"

SEEN_MAX = 200
"""Marks kept of one subject; an order, bill, case or refund gathers a few dozen, an account some in a year."""


# -- the mailbox -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DebtDay:
    """How many debt notices went to a buyer's channels on one local day."""

    day: date
    count: int


@dataclass(frozen=True, slots=True)
class Mailbox(Row, table="mailbox", owner="buyer_id"):
    """How a buyer wants to be reached, and how often the buyer has been told of debts lately."""

    buyer_id: str
    locale: str = DEFAULT_LOCALE
    contacts: dict[str, str] = field(default_factory=dict)
    """Opaque reference by channel; the address itself stays outside."""
    order: dict[NoticeClass, tuple[Channel, ...]] = field(default_factory=dict)
    """Channels by class, where the buyer has said so; else N-R2's."""
    muted: tuple[str, ...] = ()
    debt_days: tuple[DebtDay, ...] = ()
    """Days of the last week on which there was a debt notice, ascending."""


# -- the subject -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Subject(Row, table="subject", owner="buyer_id", id="subject_id"):
    """What a buyer is told about - account, order, repayment, bill, case, refund, appeal - and what was heard of it."""

    buyer_id: str
    subject_id: str
    heard: tuple[str, ...] = ()
    """Ids of the events acted on: read again, none of them does anything, whether the inbox knows it or not."""
    seen: tuple[str, ...] = ()
    """Dedup keys ``kind:cause`` of what was told under more than one event id (N-R4)."""
    resolved: bool = False
    """A bill nothing is due on: paid, voided or wholly paused (N-R5)."""

    def hearing(self, event_id: str, key: str | None) -> Subject:
        """The subject after an event about it was acted on, and its dedup key, if it has one, was used."""
        seen = self.seen if key is None or key in self.seen else (*self.seen, key)[-SEEN_MAX:]
        return replace(self, heard=(*self.heard, event_id)[-SEEN_MAX:], seen=seen)


# -- the notice --------------------------------------------------------------------------------------------------------


class NoticeStatus(StrEnum):
    """Where a notice stands (spec 2)."""

    SUPPRESSED = "SUPPRESSED"
    DEFERRED = "DEFERRED"
    QUEUED = "QUEUED"
    SENT = "SENT"
    DELIVERED = "DELIVERED"
    CANCELLED = "CANCELLED"
    UNDELIVERABLE = "UNDELIVERABLE"


_N = NoticeStatus

_ONWARD = (_N.QUEUED, _N.DEFERRED, _N.SENT, _N.UNDELIVERABLE)
"""Where a further attempt may lead: to a channel, to contact hours, into the buyer's inbox, or to the end of them."""

_TRUTH: Mapping[str, tuple[NoticeStatus, ...]] = {
    "ACCEPTED": (_N.SENT,),
    "DELIVERED": (_N.DELIVERED,),
    "READ": (_N.DELIVERED,),
}
"""That a channel took a notice over or that it arrived is true whenever it is said, and of whichever attempt."""

NOTICE_MACHINE: Mapping[NoticeStatus, Mapping[str, tuple[NoticeStatus, ...]]] = {
    _N.SUPPRESSED: {},
    _N.DEFERRED: {**_TRUTH, "RELEASE": (*_ONWARD, _N.SUPPRESSED), "RESOLVED": (_N.CANCELLED,)},
    _N.QUEUED: {
        **_TRUTH,
        "FAILED_SOFT": _ONWARD,
        "BOUNCED": _ONWARD,
        "NO_REPORT": _ONWARD,
        "RETRY": _ONWARD,
        "RESOLVED": (_N.CANCELLED,),
    },
    _N.SENT: {**_TRUTH, "BOUNCED": _ONWARD, "AGE": (_N.SENT,)},
    _N.DELIVERED: {"READ": (_N.DELIVERED,)},
    _N.CANCELLED: {},
    _N.UNDELIVERABLE: _TRUTH,
}
"""The triggers are reported outcomes, deadlines by kind, and RESOLVED for an event after which a notice is idle talk.

A failure counts for the attempt that is awaited; in DEFERRED none is, so nothing fails there. ACCEPTED in SENT is news
of another channel only.
"""

OPEN = frozenset({_N.DEFERRED, _N.QUEUED, _N.SENT})


@dataclass(frozen=True, slots=True)
class Evidence:
    """Proof that a channel took a notice over (N-R6)."""

    channel: Channel
    sent_at: datetime


@dataclass(frozen=True, slots=True)
class Notice(
    Row,
    table="notice",
    owner="buyer_id",
    id="notice_id",
    unknown="UNKNOWN_NOTICE",
    live=Live.when("folder", "OPEN"),
):
    """One thing a buyer is told. ``notice_id`` is ``<id of the event>:<kind>``."""

    buyer_id: str
    notice_id: str
    cause: str
    """Id of the event it comes from."""
    kind: str
    class_: NoticeClass
    subject_id: str
    template: str
    params: NoticeParams
    locale: str
    """The language it is told in: that of the mailbox when it was made, then of each attempt."""
    created_at: datetime
    due_version: int | None = None
    """Of a reminder: which due date of the bill it reminds of."""
    status: NoticeStatus = _N.QUEUED
    folder: Literal["OPEN", "FILED"] = "OPEN"
    """FILED once nothing more is expected of it."""
    reason: SuppressionReason | None = None
    """Why it was suppressed or cancelled."""
    channel: Channel | None = None
    """The channel it is with, or goes to next if that is settled."""
    tried: tuple[Channel, ...] = ()
    """The channel of every attempt, from the first."""
    attempt: int = 0
    """The attempt that counts, from 1: the last one made, or an earlier one by which it turned out to have arrived."""
    until: datetime | None = None
    """What it waits for: contact hours (DEFERRED), or the next try of the same channel (QUEUED)."""
    deferred_at: datetime | None = None
    evidence: tuple[Evidence, ...] = ()
    """By channel, in the order in which they took it over."""
    sent_at: datetime | None = None
    """When the first channel took it over."""
    delivered_at: datetime | None = None
    read: bool = False

    @property
    def delivery_id(self) -> str:
        """The attempt that counts, as channels know it."""
        return f"{self.notice_id}:{self.attempt}"

    @property
    def tries(self) -> int:
        """How often its channel was tried."""
        return sum(one == self.channel for one in self.tried)

    @property
    def in_flight(self) -> bool:
        """Whether the word of a channel is awaited."""
        return self.status is _N.QUEUED and self.until is None

    @property
    def bill_id(self) -> str | None:
        """Of a reminder: the bill."""
        return self.subject_id if self.due_version is not None else None

    def sent_through(self, channel: Channel) -> datetime | None:
        """When this channel took it over; None if it has not."""
        return next((one.sent_at for one in self.evidence if one.channel == channel), None)

    def taken_over(self, attempt: int, now: datetime) -> Notice:
        """The notice after a channel took it over by one of its attempts; a channel's first word is the evidence."""
        channel = self.tried[attempt - 1]
        new = () if self.sent_through(channel) else (Evidence(channel, now),)
        sent_at = self.sent_at or now
        return replace(self, attempt=attempt, channel=channel, evidence=(*self.evidence, *new), sent_at=sent_at)

    def moved(self, status: NoticeStatus, **changes: Any) -> Notice:
        """The notice in another state, or again in the same: what it waited for is over, unless a change says so."""
        folder = "OPEN" if status in OPEN else "FILED"
        return replace(self, **{"status": status, "folder": folder, "until": None, **changes})


# -- contact law -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ContactVersion:
    """The contact rules of one version of the platform's policy."""

    version: int
    effective_from: datetime
    terms: ContactTerms


@dataclass(frozen=True, slots=True)
class ContactPolicy(Row, table="contact_policy", owner="merchant_id"):
    """When and how often buyers may be told of debts, as the platform published it, in the order of taking effect."""

    merchant_id: str
    versions: tuple[ContactVersion, ...] = ()


PlatformContact = Annotated[ContactPolicy | None, Named(owner=PLATFORM)]
"""How a handler asks for the platform's contact rules."""
