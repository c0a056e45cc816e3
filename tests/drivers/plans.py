"""Some rows and an entry to keep: shaped as the services' own are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

from shared.contracts.fields import Instant, Instrument
from shared.engine.ports import Changes, Held, Until
from shared.engine.vocabulary import Entry, Live, Row

REVISIONS = Path(__file__).parent / "migrations"

NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Status(StrEnum):
    OPEN = "OPEN"
    CHARGED_OFF = "CHARGED_OFF"
    SETTLED = "SETTLED"


@dataclass(frozen=True, slots=True)
class Instalment:
    number: int
    due_on: date
    amount: int
    paid_at: Instant | None = None


@dataclass(frozen=True, slots=True)
class Plan(Row, table="plan", id="order_id", unknown="UNKNOWN_ORDER", live=Live.when("status", "OPEN", "CHARGED_OFF")):
    buyer_id: str
    order_id: str
    merchant_id: str = "m-1"
    currency: str = "CNY"
    status: Status = Status.OPEN
    principal: int = 10_000
    outstanding: int = 10_000
    refunded: int = 0
    disputed: bool = False
    opened_at: Instant = NOON
    due_on: date | None = None
    instalments: tuple[Instalment, ...] = (
        Instalment(1, date(2027, 4, 1), 3334, NOON),
        Instalment(2, date(2027, 5, 1), 3333),
        Instalment(3, date(2027, 6, 1), 3333),
    )


@dataclass(frozen=True, slots=True)
class Wallet(Row, table="wallet"):
    buyer_id: str
    instrument: Instrument | None = None
    limit: int = 0


@dataclass(frozen=True, slots=True)
class JournalLine(Entry, table="journal_line"):
    buyer_id: str
    entry_id: str
    account: str
    amount: int


JOURNAL_IDENTITY = ("buyer_id", "entry_id", "account")


def changes(*rows: Row, entries: list[Entry] | None = None, **other: Any) -> Changes:
    """What a turn saves: rows and entries sorted under their classes."""
    saved = Changes(**other)
    for row in rows:
        saved.rows.setdefault(type(row), []).append(row)
    for entry in entries or ():
        saved.entries.setdefault(type(entry), []).append(entry)
    return saved


def deadline(key: str, due_at: datetime, kind: str = "COLLECT", subject: str = "o-1", **other: Any) -> Held:
    return Held(
        **{"lane": 0, "message": "{}", "id": "d", "held_at": NOON, **other},
        key=key,
        until=Until.TIME,
        kind=kind,
        subject=subject,
        due_at=due_at,
    )


def early(key: str, waits_for: str = "plan/o-1", **other: Any) -> Held:
    return Held(
        **{"lane": 0, "message": "{}", "id": "e", "held_at": NOON, **other},
        key=key,
        until=Until.ROW,
        waits_for=waits_for,
    )


def dead(key: str, fingerprint: str = "bug", **other: Any) -> Held:
    return Held(
        **{"lane": 0, "message": "{}", "id": "x", "held_at": NOON, **other},
        key=key,
        until=Until.OPERATOR,
        reason="HANDLER_FAILED",
        fingerprint=fingerprint,
    )


def behind(key: str, **other: Any) -> Held:
    return Held(**{"lane": 0, "message": "{}", "id": "b", "held_at": NOON, **other}, key=key, until=Until.BEHIND)
