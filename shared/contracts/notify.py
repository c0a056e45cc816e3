"""Messages of notify: what a buyer is told, through which channel, and the proof of it.

A notice is asked of a channel adapter with ``DeliveryRequested``; the adapter answers with ``ReportNoticeDelivery``.
Personal data stays outside: a contact is an opaque reference that only the adapter can resolve.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from shared.contracts.fields import (
    BuyerId,
    Code,
    Count,
    DerivedId,
    Instant,
    Listed,
    Ref,
    example,
)
from shared.contracts.message import Command, Event, Rejection

__all__ = [
    "Channel",
    "CommandRejected",
    "DeliveryOutcome",
    "DeliveryRequested",
    "Locale",
    "NoticeClass",
    "NoticeDeferred",
    "NoticeDelivered",
    "NoticeFailed",
    "NoticeParams",
    "NoticeRetryArmed",
    "NoticeSent",
    "NoticeSuppressed",
    "PreferencesChanged",
    "ReportNoticeDelivery",
    "SetPreferences",
    "SuppressionReason",
]

Channel = Literal["PUSH", "SMS", "EMAIL", "IN_APP", "PHONE"]
NoticeClass = Literal["TRANSACTIONAL", "DEBT", "LEGAL"]
DeliveryOutcome = Literal["ACCEPTED", "DELIVERED", "READ", "FAILED_SOFT", "BOUNCED"]
SuppressionReason = Literal["MUTED", "DUPLICATE", "CAP", "OBSOLETE", "NO_CONTACT"]
Locale = Annotated[
    str, Field(pattern=r"^[a-z]{2}(-[A-Z]{2})?$", description="Language of the buyer as BCP 47, e.g. zh-CN or en")
]
NoticeParams = Annotated[
    dict[str, str | int | bool | list[str]],
    Field(
        max_length=40, description="What the template fills in, as its cause has it: amounts, dates, ids, never names"
    ),
]
ChannelOrder = Annotated[
    dict[NoticeClass, Listed[Channel]], Field(description="Channels by class of notice, the first is tried first")
]
MutedKinds = Annotated[Listed[Code], Field(description="Kinds of notices the buyer does not want")]

NoticeId = Annotated[DerivedId, Field(description="The notice: <ce_id of its cause>:<kind>, or chosen by a desk")]
DeliveryId = Annotated[DerivedId, Field(description="One attempt to deliver it: <notice_id>:<n>, from 1")]
NoticeKind = Annotated[Code, Field(description="Kind of notice (N-R1), e.g. BILL_DUE_SOON")]
SubjectId = Annotated[DerivedId, Field(description="What it is about: the order, bill, case, refund or account")]
SentClass = Annotated[
    NoticeClass, Field(alias="class", description="What contact law makes of it: service message, debt, legal notice")
]

_NOTICE = {"buyer_id": "b-7", "notice_id": "4f0e1b52-7a44-8c1e-9b36-2a6f1d1c0a01:BILL_DUE_SOON"}
_KIND = {"kind": "BILL_DUE_SOON", "class_": "TRANSACTIONAL", "subject_id": "b:o-1001"}


# ------------------------------------------------------------------ commands


class SetPreferences(Command, service="notify", sender="shop"):
    """How a buyer wants to be reached; what is not stated stays (NOT-11)."""

    model_config = example(
        buyer_id="b-7",
        locale="zh-CN",
        contacts={"EMAIL": "contact-7"},
        order={"TRANSACTIONAL": ["EMAIL", "IN_APP"]},
        muted=["ORDER_STATUS"],
    )

    buyer_id: BuyerId
    locale: Locale | None = Field(default=None, description="Language of the notices")
    contacts: dict[Literal["PUSH", "SMS", "EMAIL", "PHONE"], Ref] | None = Field(
        default=None, description="Opaque reference by channel, replacing all there were; the address stays outside"
    )
    order: ChannelOrder | None = Field(default=None, description="Channels by class, replacing those of the classes")
    muted: MutedKinds | None = Field(default=None, description="Kinds not wanted, replacing all there were")


class ReportNoticeDelivery(
    Command, service="notify", subject="notice_id", sender="channel adapter", not_content=("occurred_at",)
):
    """A channel's answer to a DeliveryRequested, or its later truth."""

    model_config = example(
        **_NOTICE,
        delivery_id=f"{_NOTICE['notice_id']}:1",
        outcome="ACCEPTED",
        occurred_at="2027-03-16T01:00:05Z",
    )

    buyer_id: BuyerId
    notice_id: NoticeId
    delivery_id: DeliveryId
    outcome: DeliveryOutcome = Field(
        description="Taken over, reached, read, failed for now, or undeliverable there for good"
    )
    occurred_at: Instant = Field(description="When; dates DELIVERED and READ, never the evidence (N-R6)")


# ------------------------------------------------------------------ events


class PreferencesChanged(Event, service="notify", subject="buyer_id"):
    """A buyer's preferences are stored."""

    model_config = example(
        buyer_id="b-7", locale="zh-CN", order={"TRANSACTIONAL": ["EMAIL", "IN_APP"]}, muted=["ORDER_STATUS"]
    )

    buyer_id: BuyerId
    locale: Locale
    order: ChannelOrder
    muted: MutedKinds


class DeliveryRequested(Event, service="notify", subject="notice_id"):
    """An order to a channel adapter; idempotent on (buyer_id, delivery_id)."""

    model_config = example(
        **_NOTICE,
        **_KIND,
        delivery_id=f"{_NOTICE['notice_id']}:1",
        channel="EMAIL",
        contact_ref="contact-7",
        locale="zh-CN",
        template="bill_due_soon",
        params={
            "bill_id": "b:o-1001",
            "currency": "CNY",
            "amount_due": 25769,
            "due_on": "2027-03-19",
            "days_left": 3,
            "autopay": True,
        },
    )

    buyer_id: BuyerId
    notice_id: NoticeId
    delivery_id: DeliveryId
    kind: NoticeKind
    class_: SentClass
    subject_id: SubjectId
    channel: Channel = Field(description="Whose order it is")
    contact_ref: Ref | None = Field(default=None, description="Opaque reference the adapter resolves to an address")
    locale: Locale
    template: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")] = Field(description="Which text")
    params: NoticeParams


class NoticeDeferred(Event, service="notify", subject="notice_id"):
    """A notice waits for contact hours (N-R3)."""

    model_config = example(**_NOTICE, kind="OVERDUE", until="2027-03-20T00:00:00Z")

    buyer_id: BuyerId
    notice_id: NoticeId
    kind: NoticeKind
    until: Instant = Field(description="When it goes out")


class NoticeRetryArmed(Event, service="notify", subject="notice_id"):
    """A channel failed for now; the same one is tried again."""

    model_config = example(**_NOTICE, kind="BILL_DUE_SOON", until="2027-03-16T01:05:05Z")

    buyer_id: BuyerId
    notice_id: NoticeId
    kind: NoticeKind
    until: Instant = Field(description="When it is tried again")


class NoticeSent(Event, service="notify", subject="notice_id"):
    """Evidence: a channel has taken the notice over (N-R6)."""

    model_config = example(
        **_NOTICE, **_KIND, bill_id="b:o-1001", due_version=1, channel="EMAIL", sent_at="2027-03-16T01:00:05Z"
    )

    buyer_id: BuyerId
    notice_id: NoticeId
    kind: NoticeKind
    class_: SentClass
    subject_id: SubjectId
    bill_id: DerivedId | None = Field(default=None, description="The bill it reminds of, if it is a reminder")
    due_version: Count | None = Field(default=None, description="Which due date of the bill it reminds of")
    channel: Channel = Field(description="Through which channel; IN_APP alone is no evidence for fees (B-F5)")
    sent_at: Instant = Field(description="When, by the clock of the report")


class NoticeDelivered(Event, service="notify", subject="notice_id"):
    """A notice reached the buyer."""

    model_config = example(
        **_NOTICE,
        **_KIND,
        bill_id="b:o-1001",
        due_version=1,
        channel="EMAIL",
        sent_at="2027-03-16T01:00:05Z",
        delivered_at="2027-03-16T01:00:09Z",
        read=False,
    )

    buyer_id: BuyerId
    notice_id: NoticeId
    kind: NoticeKind
    class_: SentClass
    subject_id: SubjectId
    bill_id: DerivedId | None = Field(default=None, description="The bill it reminds of, if it is a reminder")
    due_version: Count | None = Field(default=None, description="Which due date of the bill it reminds of")
    channel: Channel = Field(description="Through which channel")
    sent_at: Instant = Field(description="When a channel took it over")
    delivered_at: Instant = Field(description="When it reached the buyer, as the channel says")
    read: bool = Field(description="Whether it is known to have been read")


class NoticeFailed(Event, service="notify", subject="notice_id"):
    """Every channel failed."""

    model_config = example(**_NOTICE, kind="BILL_DUE_SOON", subject_id="b:o-1001", tried=["SMS", "EMAIL"])

    buyer_id: BuyerId
    notice_id: NoticeId
    kind: NoticeKind
    subject_id: SubjectId
    tried: Listed[Channel] = Field(description="In this order")


class NoticeSuppressed(Event, service="notify", subject="notice_id"):
    """A notice is deliberately not sent, and why (N-R4)."""

    model_config = example(**_NOTICE, kind="OVERDUE", subject_id="b:o-1001", reason="OBSOLETE")

    buyer_id: BuyerId
    notice_id: NoticeId
    kind: NoticeKind
    subject_id: SubjectId
    reason: SuppressionReason = Field(description="Why")


class CommandRejected(Rejection, service="notify", subject="command_id"):
    """notify refused a command; nothing changed (H-2)."""

    model_config = example(
        command_id="0b6cb2f6-9f0c-4b7e-8f0a-0d3c3f6a1c55",
        command_type="houfu.notify.set_preferences.v1",
        code="NOT_MUTABLE",
        message="Not mutable",
        details={"kinds": ["BILL_AMOUNT"]},
        buyer_id="b-7",
    )
