"""What can be looked at in notify: a buyer's inbox, each notice in words."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import structlog
from fastapi import Path
from fastapi import Query as Parameter
from pydantic import Field

from services.notify.rendering import NotRenderable, language_of, render
from services.notify.state import Notice, NoticeStatus
from shared.contracts.fields import BuyerId, Instant
from shared.contracts.notify import Channel, Locale, NoticeClass, NoticeId, NoticeKind, SubjectId
from shared.drivers.queries import Query
from shared.operations.paging import Asked, Keyset, Page
from shared.operations.views import LISTING, SINGLE, OwnBuyer, Questions, View, Views, Zone, unknown

__all__ = ["views"]

log: Any = structlog.get_logger(__name__)

views = Views(tags=["notify"])


class NoticeView(View):
    """One thing a buyer is told, in words."""

    buyer_id: BuyerId
    notice_id: NoticeId
    kind: NoticeKind
    class_: NoticeClass = Field(
        serialization_alias="class", description="What contact law makes of it: service message, debt, legal notice"
    )
    subject_id: SubjectId
    status: NoticeStatus = Field(description="Where the notice stands with the channels beside the inbox")
    channel: Channel | None = Field(default=None, description="The channel it is with")
    created_at: Instant
    sent_at: Instant | None = Field(default=None, description="When the first channel took it over")
    read: bool = Field(description="Whether it is known to have been read")
    language: str = Field(description="Language of subject and text, BCP 47: the nearest there is to the one wanted")
    subject: str | None = Field(default=None, description="One line; absent where this build has no words for it")
    text: str | None = Field(default=None, description="Plain text; absent likewise")


@dataclass(frozen=True, slots=True)
class NoticeFound:
    """A notice and the language its buyer wants to read."""

    notice: Notice
    locale: str


_NOTICE_FOUND = """
SELECT to_jsonb(notice) AS notice,
       coalesce((SELECT mailbox.locale FROM mailbox WHERE mailbox.buyer_id = $1), notice.locale) AS locale
FROM notice WHERE buyer_id = $1 AND status NOT IN ('SUPPRESSED', 'DEFERRED', 'CANCELLED')
"""
"""What is not to be told - never, not before contact hours, or no longer - is in no inbox (N-R3)."""

INBOX = Query(
    "inbox",
    NoticeFound,
    f"""{_NOTICE_FOUND} AND created_at <= $2 AND (created_at < $2 OR notice_id > $3)
    ORDER BY created_at DESC, notice_id LIMIT $4""",
)
"""As the index ``notice_inbox`` has them: notices of one instant in the order of their ids."""

NOTICE = Query("notice", NoticeFound, f"{_NOTICE_FOUND} AND notice_id = $2")

NEWEST_NOTICES = Keyset.of_instants("inbox", "created_at", "notice_id")

Wanted = Annotated[Locale | None, Parameter(description="Language to read it in; absent: the buyer's own")]


@views.get("/buyers/{buyer_id}/inbox", responses=LISTING)
async def list_notices(
    buyer_id: OwnBuyer, asked: Asked, questions: Questions, zone: Zone, locale: Wanted = None
) -> Page[NoticeView]:
    """What a buyer was told, the newest first, whichever channels it took besides."""
    found = await questions.all(INBOX, buyer_id, *NEWEST_NOTICES.after(asked))
    return NEWEST_NOTICES.page(asked, await _in_words(found, locale, zone))


@views.get("/buyers/{buyer_id}/inbox/{notice_id}", responses=SINGLE)
async def show_notice(
    buyer_id: OwnBuyer,
    notice_id: Annotated[NoticeId, Path()],
    questions: Questions,
    zone: Zone,
    locale: Wanted = None,
) -> NoticeView:
    """One notice of a buyer."""
    found = await questions.all(NOTICE, buyer_id, notice_id)
    if not found:
        raise unknown(Notice.UNKNOWN)
    (notice,) = await _in_words(found, locale, zone)
    return notice


async def _in_words(found: Sequence[NoticeFound], locale: str | None, zone: str) -> list[NoticeView]:
    """The notices put into words, aside: a page of them takes longer than a turn may be kept waiting."""
    return await asyncio.to_thread(lambda: [_worded(one.notice, locale or one.locale, zone) for one in found])


def _worded(notice: Notice, locale: str, zone: str) -> NoticeView:
    """A notice in words; one for which there are none keeps its place, and is logged."""
    language = language_of(locale).replace("_", "-")
    try:
        words = render(notice.template, locale, notice.params, zone)
    except NotRenderable as defect:
        log.warning("notice.not_renderable", notice_id=notice.notice_id, reason=str(defect))
        return NoticeView.of(notice, language=language, subject=None, text=None)
    return NoticeView.of(notice, language=language, subject=words.subject, text=words.text)
