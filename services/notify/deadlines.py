"""What notify tells itself to do later (H-7): each class is one kind of deadline, armed once per subject."""

from __future__ import annotations

from dataclasses import dataclass

from shared.engine.vocabulary import Due

__all__ = ["Age", "NoReport", "Release", "Retry"]


@dataclass(frozen=True, slots=True)
class Release(Due, subject="buyer_id"):
    """Contact hours begin: whatever waits for them goes out (N-R3). One per buyer."""

    buyer_id: str


@dataclass(frozen=True, slots=True)
class NoReport(Due, subject="notice_id"):
    """The channel has not said a word about an attempt: that counts as a failure for now."""

    buyer_id: str
    notice_id: str


@dataclass(frozen=True, slots=True)
class Retry(Due, subject="notice_id"):
    """The pause after a failure is over: the same channel is tried again."""

    buyer_id: str
    notice_id: str


@dataclass(frozen=True, slots=True)
class Age(Due, subject="notice_id"):
    """A notice was sent so long ago that nothing more is expected of it."""

    buyer_id: str
    notice_id: str
