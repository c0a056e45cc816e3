"""The notify service: its name, its refusal, and every event it may publish."""

from __future__ import annotations

from shared.contracts.notify import (
    CommandRejected,
    DeliveryRequested,
    NoticeDeferred,
    NoticeDelivered,
    NoticeFailed,
    NoticeRetryArmed,
    NoticeSent,
    NoticeSuppressed,
    PreferencesChanged,
)
from shared.engine.service import Service

__all__ = ["notify"]

notify = Service(
    "notify",
    rejected=CommandRejected,
    emits=(
        DeliveryRequested,
        NoticeDeferred,
        NoticeDelivered,
        NoticeFailed,
        NoticeRetryArmed,
        NoticeSent,
        NoticeSuppressed,
        PreferencesChanged,
    ),
)
