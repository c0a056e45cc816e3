"""The field types every payload is built from: ids, money, instants, codes.

Shapes and limits are those of the published contract; a value outside them makes the whole message malformed.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal, Protocol, TypeVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

__all__ = [
    "CURRENCIES",
    "AnyLines",
    "Bps",
    "BusinessDate",
    "BuyerId",
    "ChosenId",
    "Code",
    "Count",
    "Currency",
    "DerivedId",
    "Instant",
    "Instrument",
    "Label",
    "LineId",
    "Listed",
    "MerchantId",
    "Money",
    "OrderId",
    "Part",
    "Points",
    "Product",
    "Quantity",
    "Ref",
    "Score",
    "SignedMoney",
    "SomeLines",
    "Text",
    "example",
]

MONEY_MAX = 10**12
"""Largest amount a message may carry, in minor units."""

LIST_MAX = 100
"""Longest list a message may carry."""

YEAR_MAX = 9900
"""Latest year of an instant or date: whatever term is added to one stays representable."""

CURRENCIES = frozenset(
    (  # noqa: SIM905 - a list of 155 lines would bury what follows
        "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CLP "
        "CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG "
        "HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL "
        "MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR "
        "RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD "
        "TZS UAH UGX USD UYU UZS VED VES VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG"
    ).split()
)
"""The active ISO 4217 codes of money in circulation; metals, funds and test codes are no currency of a payload."""


def _to_utc(instant: datetime) -> datetime:
    if not 1 < instant.year <= YEAR_MAX:
        raise ValueError(f"the year must lie between 2 and {YEAR_MAX}")
    return instant if instant.tzinfo is UTC else instant.astimezone(UTC)


def _within_years(day: date) -> date:
    if day.year > YEAR_MAX:
        raise ValueError(f"the year must not be after {YEAR_MAX}")
    return day


class _KnownCurrency:
    """Exactly one of the codes, as pydantic looks it up itself; schemas show its shape and not the list."""

    @staticmethod
    def __get_pydantic_core_schema__(_: Any, __: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.custom_error_schema(
            core_schema.literal_schema(sorted(CURRENCIES)),
            custom_error_type="currency_unknown",
            custom_error_message="not an active ISO 4217 currency code",
        )

    @staticmethod
    def __get_pydantic_json_schema__(_: CoreSchema, __: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {
            "type": "string",
            "pattern": r"^[A-Z]{3}$",
            "description": "ISO 4217 code of every amount in this payload",
        }


ChosenId = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$", description="Id chosen by the sender: 1-64 of A-Z a-z 0-9 . _ -")
]
DerivedId = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9._:-]{1,200}$", description="Id made by Houfu: up to 200 characters, may hold ':'")
]
Ref = Annotated[
    str,
    Field(
        pattern=r"^[!-~]{1,200}$",
        description="Opaque reference the sender can resolve: 1-200 printable ASCII characters without spaces",
    ),
]
BuyerId = Annotated[ChosenId, Field(description="The buyer")]
MerchantId = Annotated[ChosenId, Field(description="The merchant")]
OrderId = Annotated[ChosenId, Field(description="The order, unique per buyer")]
LineId = Annotated[ChosenId, Field(description="The line, unique per order")]
Money = Annotated[int, Field(ge=0, le=MONEY_MAX, description="Amount in minor units of the payload's currency")]
SignedMoney = Annotated[
    int,
    Field(ge=-MONEY_MAX, le=MONEY_MAX, description="Amount in minor units of the payload's currency, may be negative"),
]
Bps = Annotated[int, Field(ge=0, le=1_000_000, description="Ratio in basis points (1/10000)")]
Count = Annotated[int, Field(ge=0, le=10**9, description="Whole number")]
Quantity = Annotated[int, Field(ge=1, le=10**9, description="Number of units, at least 1")]
Score = Annotated[int, Field(ge=0, le=1000, description="Credit score, 0-1000")]
Points = Annotated[int, Field(ge=0, le=1000, description="Risk points, 0-1000; those of one order add up")]
Code = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]{0,63}$", description="Stable code, UPPER_SNAKE")]
Label = Annotated[
    str, Field(pattern=r"^[^\x00-\x1f\x7f]{1,100}$", description="Name on one line, 1-100 characters, for people")
]
Text = Annotated[
    str, Field(max_length=500, pattern=r"^[^\x00]*$", description="Free text for people, at most 500 characters")
]
Instant = Annotated[AwareDatetime, AfterValidator(_to_utc), Field(description="Instant, RFC 3339, UTC")]
BusinessDate = Annotated[
    date, AfterValidator(_within_years), Field(description="Date in the tenant's zone, YYYY-MM-DD")
]
Currency = Annotated[str, _KnownCurrency]

Product = Literal["PAY_AFTER_USE", "MONTHLY"]

Item = TypeVar("Item")
Listed = Annotated[tuple[Item, ...], Field(max_length=LIST_MAX)]
"""A list of at most 100 members."""


class Lined(Protocol):
    """Whatever speaks of one line of an order."""

    @property
    def line_id(self) -> str:
        """The line, unique per order."""


OneLine = TypeVar("OneLine", bound=Lined)


def _distinct(lines: tuple[OneLine, ...]) -> tuple[OneLine, ...]:
    if len({line.line_id for line in lines}) < len(lines):
        raise ValueError("a line_id occurs twice")
    return lines


AnyLines = Annotated[tuple[OneLine, ...], Field(max_length=LIST_MAX), AfterValidator(_distinct)]
"""Lines of an order, each once; there may be none."""

SomeLines = Annotated[tuple[OneLine, ...], Field(min_length=1, max_length=LIST_MAX), AfterValidator(_distinct)]
"""Lines of an order, each once, at least one."""


class Part(BaseModel):
    """A structure inside a payload: frozen and strict like the payload itself; unknown fields are ignored."""

    model_config = ConfigDict(
        frozen=True, strict=True, extra="ignore", validate_by_name=True, validate_by_alias=True, serialize_by_alias=True
    )


class Instrument(Part):
    """What a buyer pays with: an opaque provider token, never a card number (CHK-26)."""

    kind: Literal["CARD", "WALLET", "BANK", "ALIPAY", "WECHAT", "EXTERNAL"] = Field(description="Kind of instrument")
    token: Annotated[str, Field(min_length=1, max_length=200, description="Opaque token issued by the provider")]


def example(**fields: Any) -> ConfigDict:
    """The model configuration that shows one message as it stands on the wire; a name Python keeps ends in ``_``."""
    return ConfigDict(json_schema_extra={"examples": [{name.removesuffix("_"): fields[name] for name in fields}]})
