"""The field types every payload is built from: ids, money, instants, codes.

Shapes and limits are those of the published contract; a value outside them makes the whole message malformed.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

__all__ = [
    "Bps",
    "BusinessDate",
    "ChosenId",
    "Code",
    "Count",
    "Currency",
    "DerivedId",
    "Instant",
    "Instrument",
    "Money",
    "Part",
    "Text",
]

MONEY_MAX = 10**12
"""Largest amount a message may carry, in minor units."""

LIST_MAX = 100
"""Longest list a message may carry."""


def _to_utc(instant: datetime) -> datetime:
    return instant if instant.tzinfo is UTC else instant.astimezone(UTC)


ChosenId = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$", description="Id chosen by the sender: 1-64 of A-Z a-z 0-9 . _ -")
]
DerivedId = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9._:-]{1,200}$", description="Id made by Houfu: up to 200 characters, may hold ':'")
]
Money = Annotated[int, Field(ge=0, le=MONEY_MAX, description="Amount in minor units of the payload's currency")]
Bps = Annotated[int, Field(ge=0, le=1_000_000, description="Ratio in basis points (1/10000)")]
Count = Annotated[int, Field(ge=0, le=10**9, description="Whole number")]
Code = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]{0,63}$", description="Stable code, UPPER_SNAKE")]
Text = Annotated[str, Field(max_length=500, description="Free text for people, at most 500 characters")]
Instant = Annotated[AwareDatetime, AfterValidator(_to_utc), Field(description="Instant, RFC 3339, UTC")]
BusinessDate = Annotated[date, Field(description="Date in the tenant's zone, YYYY-MM-DD")]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$", description="ISO 4217 code of every amount in this payload")]


class Part(BaseModel):
    """A structure inside a payload: frozen and strict like the payload itself; unknown fields are ignored."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")


class Instrument(Part):
    """What a buyer pays with: an opaque provider token, never a card number (CHK-26)."""

    kind: Literal["CARD", "WALLET", "BANK", "ALIPAY", "WECHAT", "EXTERNAL"] = Field(description="Kind of instrument")
    token: Annotated[str, Field(min_length=1, max_length=200, description="Opaque token issued by the provider")]
