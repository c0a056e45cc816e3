"""What a notice says: the event it comes from, reduced to what a text may hold."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from services.notify.rules.catalogue import Occasion, subject_of
from services.notify.state import Mailbox, Notice
from shared.contracts.message import Event
from shared.contracts.notify import NoticeParams

__all__ = ["compose", "dedup_key", "params_of", "template_of"]

WITHHELD = frozenset({"buyer_id", "signals"})
"""Who the buyer is, the envelope says; what made an order look risky is no one else's business."""


def compose(event: Event, occasion: Occasion, cause: str, mailbox: Mailbox, now: datetime) -> Notice:
    """The notice an event makes, before anything is decided about it."""
    return Notice(
        buyer_id=event.key,
        notice_id=f"{cause}:{occasion.kind}",
        cause=cause,
        kind=occasion.kind,
        class_=occasion.class_,
        subject_id=subject_of(event),
        template=template_of(type(event)),
        params=params_of(event),
        locale=mailbox.locale,
        created_at=now,
        due_version=getattr(event, "due_version", None) if occasion.kind == "BILL_DUE_SOON" else None,
    )


def template_of(event: type[Event]) -> str:
    """The name of the text: the event's own in snake case, as ``bill_due_soon``."""
    return event.TYPE.split(".")[-2]


def params_of(event: Event) -> NoticeParams:
    """The event's plain fields under their wire names, amounts unchanged; structures, such as instruments, stay out."""
    plain = _plain_fields(type(event))
    body = event.model_dump(mode="json", exclude_none=True)
    return {name: value for name, value in body.items() if name in plain}


def dedup_key(event: Event, occasion: Occasion | None) -> str | None:
    """``kind:cause`` where the notice is the same under another event id; None where every event is news (N-R4)."""
    if occasion is None or not occasion.told_once_per:
        return None
    return ":".join((occasion.kind, *(str(getattr(event, name)) for name in occasion.told_once_per)))


@cache
def _plain_fields(event: type[Event]) -> frozenset[str]:
    """Wire names of the fields that are text, a number, yes or no, or a list of texts."""
    named = {field.alias or name: field.annotation for name, field in event.model_fields.items()}
    return frozenset(name for name, annotation in named.items() if not _is_structured(annotation)) - WITHHELD


def _is_structured(annotation: Any) -> bool:
    kind = get_origin(annotation) or annotation
    if isinstance(kind, type) and issubclass(kind, BaseModel | dict):
        return True
    return any(_is_structured(member) for member in get_args(annotation))
