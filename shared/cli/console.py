"""How the command line speaks: to people in the tenant's time, to programs in JSON, of failures in one line."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from pydantic_core import to_json
from rich.console import Console

__all__ = ["Complaint", "duration_of", "err", "facts", "instant_of", "local_time", "out", "write_json"]

PAPER_WIDTH = 160
"""Columns where there is no terminal, as in a file."""

out = Console(highlight=False, width=None if sys.stdout.isatty() else PAPER_WIDTH)
err = Console(stderr=True, highlight=False)

_DURATION = re.compile(r"^(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?$")


class Complaint(Exception):
    """The command cannot be carried out; the text is one line for the person who typed it."""


def write_json(value: Any, *, line: bool = False) -> None:
    """Write ``value`` for a program: indented, or with ``line`` as one line."""
    sys.stdout.write(to_json(value, indent=None if line else 2).decode() + "\n")
    sys.stdout.flush()


def local_time(instant: datetime) -> str:
    """An instant in the tenant's zone (``HOUFU_ZONE``, by default Asia/Shanghai)."""
    return instant.astimezone(_zone()).strftime("%Y-%m-%d %H:%M:%S")


def instant_of(text: str) -> datetime:
    """An ISO 8601 instant; without an offset it is meant in the tenant's zone."""
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise Complaint(f"{text!r} is no instant such as 2027-03-01T09:00+08:00") from None
    return (instant if instant.tzinfo else instant.replace(tzinfo=_zone())).astimezone(UTC)


def duration_of(text: str) -> timedelta:
    """A length of time such as ``30d``, ``2h`` or ``1d12h``."""
    found = _DURATION.match(text)
    if not text or found is None:
        raise Complaint(f"{text!r} is no length of time such as 30d, 2h or 1d12h")
    days, hours, minutes = (int(part or 0) for part in found.groups())
    return timedelta(days=days, hours=hours, minutes=minutes)


def decimal(minor: int) -> str:
    """An amount of minor units as people write it: ``129.00``."""
    return f"{minor / 100:.2f}"


def facts(body: Mapping[str, Any], most: int = 5) -> str:
    """What a payload says, in a few words: no ids, no parts, amounts with their decimals."""
    said = []
    for name, value in body.items():
        if name.endswith(("_id", "_ref", "_at", "_by", "_on", "_version", "_proof")) or name in _UNSAID:
            continue
        if not value and name in _UNSAID_AT_ZERO:
            continue
        if isinstance(value, list) and value and all(isinstance(one, str) for one in value):
            said.append(f"{name} {', '.join(value)}")
        elif isinstance(value, int) and name in _AMOUNTS:
            said.append(f"{name} {decimal(value)}")
        elif isinstance(value, str | int) and value != "":
            said.append(f"{name} {value}")
    return " · ".join(said[:most])


_UNSAID = {
    "autopay",
    "carrier",
    "class",
    "currency",
    "description",
    "evidence_refs",
    "instalments",
    "locale",
    "message",
    "mode",
    "policy",
    "product",
    "promise_from",
    "ref",
    "score",
    "skus",
    "template",
    "until",
    "waybill_no",
}
_UNSAID_AT_ZERO = {
    "ask",
    "damage",
    "fee",
    "fees_reversed",
    "freight",
    "paused",
    "refunded",
    "released_amount",
    "reopened",
    "restocking",
    "return_fee",
    "score_delta",
    "unallocated",
}
_AMOUNTS = {
    "amount",
    "amount_due",
    "available",
    "base",
    "cap",
    "cash_amount",
    "claim_amount",
    "damage",
    "fee",
    "fees_cancelled",
    "fees_reversed",
    "fees_total",
    "freight",
    "goods",
    "held",
    "late_fee",
    "limit",
    "max_order_amount",
    "outstanding_principal",
    "paid",
    "paused",
    "principal",
    "refunded",
    "released_amount",
    "restocking",
    "return_fee",
    "share_amount",
    "unallocated",
    "used",
}


def _zone() -> ZoneInfo:
    name = os.environ.get("HOUFU_ZONE", "Asia/Shanghai")
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        raise Complaint(f"HOUFU_ZONE: there is no time zone {name!r}") from None
