"""The rows checkout keeps, and the two machines they move through.

The states of risk review and of services join the order machine together with their messages.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from hashlib import blake2b
from typing import Annotated, Any

from shared.contracts.checkout import AuthorizedLine, OrderKind
from shared.contracts.fields import Instrument, Product
from shared.contracts.policy import PLATFORM, PolicyFields, PolicyVersions, Terms
from shared.engine.vocabulary import Live, Named, Row
from shared.kernel.money import quantity_share

__all__ = [
    "ACCOUNT_MACHINE",
    "ORDER_MACHINE",
    "Acceptance",
    "Account",
    "AccountStatus",
    "BillScore",
    "Consent",
    "Line",
    "MerchantPair",
    "MonthPoints",
    "Order",
    "OrderStatus",
    "PlatformPolicy",
    "Policy",
    "PublishedPolicy",
    "Refund",
    "ReturnCase",
    "Shipment",
    "ShipmentStatus",
    "Units",
]

# -- the account -------------------------------------------------------------------------------------------------------


class AccountStatus(StrEnum):
    """Where a buyer's account stands (spec 2.1)."""

    APPLIED = "APPLIED"
    UNDER_REVIEW = "UNDER_REVIEW"
    ACTIVE = "ACTIVE"
    RESTRICTED = "RESTRICTED"
    SUSPENDED = "SUSPENDED"
    CLOSING = "CLOSING"
    CLOSED = "CLOSED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"


_A = AccountStatus
_STANDING = (_A.ACTIVE, _A.RESTRICTED, _A.SUSPENDED)
_IN_USE = {
    "BindCard": _STANDING,
    "ChangeAccountStatus": (*_STANDING, _A.CLOSING, _A.CLOSED),
    "DelinquencyChanged": _STANDING,
}

ACCOUNT_MACHINE: Mapping[AccountStatus, Mapping[str, tuple[AccountStatus, ...]]] = {
    _A.APPLIED: {
        "ReportIdentity": (_A.APPLIED, _A.UNDER_REVIEW),
        "BindCard": (_A.APPLIED, _A.UNDER_REVIEW),
        "RecordPasswordSet": (_A.APPLIED, _A.UNDER_REVIEW),
        "ReportScore": (_A.APPLIED,),
        "APPLICATION_IDLE": (_A.EXPIRED,),
    },
    _A.UNDER_REVIEW: {"ReportScore": (_A.UNDER_REVIEW,), "ReviewAccount": (*_STANDING, _A.REJECTED)},
    _A.ACTIVE: _IN_USE,
    _A.RESTRICTED: _IN_USE,
    _A.SUSPENDED: _IN_USE,
    _A.CLOSING: {"BindCard": (_A.CLOSING,)},
    _A.CLOSED: {"ApplyForAccount": (_A.APPLIED,)},
    _A.REJECTED: {"ApplyForAccount": (_A.APPLIED,)},
    _A.EXPIRED: {"ApplyForAccount": (_A.APPLIED,)},
}
"""CLOSING turns CLOSED with whatever message frees the last of its limit."""


@dataclass(frozen=True, slots=True)
class MonthPoints:
    """The good points a calendar month (``YYYY-MM``) has brought; C-R4 caps them."""

    month: str
    points: int


@dataclass(frozen=True, slots=True)
class Account(Row, table="account", owner="buyer_id", unknown="UNKNOWN_ACCOUNT"):
    """A buyer's credit line. ``available`` = limit - held - used (I-5); a cut of the limit may make it negative."""

    buyer_id: str
    status: AccountStatus
    currency: str
    platform_account_ref: str
    agreement_version: str
    steps: tuple[str, ...] = ()
    """The steps of the application that are done."""
    reported_score: int | None = None
    instrument: Instrument | None = None
    score: int = 0
    limit: int = 0
    held: int = 0
    used: int = 0
    book_version: int = 0
    """Version of billing's book that ``used`` was copied from."""
    open_orders: int = 0
    """Orders placed and neither ended nor settled."""
    stage: str = "NONE"
    desk_hold: bool = False
    risk_hold: bool = False
    good_bills: int = 0
    """Bills paid without delay since the limit last changed."""
    month_points: tuple[MonthPoints, ...] = ()
    activated_at: datetime | None = None
    rejected_at: datetime | None = None

    @property
    def available(self) -> int:
        return self.limit - self.held - self.used

    @property
    def card(self) -> Instrument:
        """The bound card; whoever may order has one (C-R1)."""
        if self.instrument is None:
            raise LookupError(f"no card is bound to the account of {self.buyer_id}")
        return self.instrument


@dataclass(frozen=True, slots=True)
class Consent:
    """What the buyer agreed to, or no longer agrees to, towards one merchant."""

    granted: bool
    text_version: str
    scopes: tuple[str, ...]
    at: datetime


@dataclass(frozen=True, slots=True)
class MerchantPair(Row, table="merchant_pair", owner="buyer_id", id="merchant_id", unknown="UNKNOWN_ORDER"):
    """One buyer and one merchant: the consent between them and how many orders are open."""

    buyer_id: str
    merchant_id: str
    consent: Consent | None = None
    open_orders: int = 0


@dataclass(frozen=True, slots=True)
class PublishedPolicy:
    """One published policy. Versions with one ``digest`` are one, so ``fields`` are not compared again."""

    version: int
    effective_from: datetime
    digest: str
    fields: PolicyFields = field(compare=False)
    currency: str | None = None
    """Currency of the amounts stated, if any is."""

    @classmethod
    def of(
        cls, version: int, effective_from: datetime, fields: PolicyFields, currency: str | None = None
    ) -> PublishedPolicy:
        content = fields.model_dump_json(by_alias=True, exclude_none=True)
        digest = blake2b(content.encode(), digest_size=16).hexdigest()
        return cls(version, effective_from, digest, fields, currency)


@dataclass(frozen=True, slots=True)
class Policy(Row, table="policy", owner="merchant_id"):
    """What a merchant, or the platform under its own name, has published, in the order of taking effect."""

    merchant_id: str
    versions: tuple[PublishedPolicy, ...] = ()


PlatformPolicy = Annotated[Policy | None, Named(owner=PLATFORM)]
"""How a handler asks for the platform's own policy."""


@dataclass(frozen=True, slots=True)
class Acceptance(Row, table="acceptance", id="order_id", unknown="ORDER_NOT_ACCEPTED"):
    """The mark that an order was accepted: what billing says of its plan waits for it (H-6).

    Billing cannot know of a plan earlier, but this service may read so: restored to an older state, it meets billing's
    events before its own commands.
    """

    buyer_id: str
    order_id: str
    accepted_at: datetime


@dataclass(frozen=True, slots=True)
class BillScore(Row, table="bill_score", owner="buyer_id", id="bill_id"):
    """What one bill has done to the score; all points as they were really posted."""

    buyer_id: str
    bill_id: str
    paid: bool = False
    good_points: int = 0
    late_points: int = 0
    level: int = 0
    """Points of the worst late level entered."""
    steps_counted: tuple[str, ...] = ()
    """Ids of the events already applied that can be so more than once, as steps of dunning, extensions and reversals:
    a replay from zero must not walk the stages again."""


# -- the order ---------------------------------------------------------------------------------------------------------


class OrderStatus(StrEnum):
    """Where an order stands (spec 2.2)."""

    AUTHORIZED = "AUTHORIZED"
    PARTIALLY_SHIPPED = "PARTIALLY_SHIPPED"
    SHIPPED = "SHIPPED"
    DELIVERED = "DELIVERED"
    ACCEPTED = "ACCEPTED"
    COMPLETED = "COMPLETED"
    REFUNDED = "REFUNDED"
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"
    DECLINED = "DECLINED"


_O = OrderStatus
_ON_ITS_WAY = (_O.AUTHORIZED, _O.PARTIALLY_SHIPPED, _O.SHIPPED, _O.DELIVERED, _O.ACCEPTED)

ORDER_MACHINE: Mapping[OrderStatus, Mapping[str, tuple[OrderStatus, ...]]] = {
    _O.AUTHORIZED: {
        "CancelOrder": (_O.AUTHORIZED, _O.CANCELLED),
        "ExtendAuthorisation": (_O.AUTHORIZED,),
        "ReportShipment": (_O.PARTIALLY_SHIPPED, _O.SHIPPED, _O.CANCELLED),
        "AUTH_EXPIRY": (_O.EXPIRED,),
    },
    _O.PARTIALLY_SHIPPED: {
        "CancelOrder": (_O.PARTIALLY_SHIPPED, _O.SHIPPED, _O.DELIVERED, _O.CANCELLED),
        "ExtendAuthorisation": (_O.PARTIALLY_SHIPPED,),
        "ReportShipment": (_O.PARTIALLY_SHIPPED, _O.SHIPPED, _O.CANCELLED),
        "ReportDelivery": (_O.PARTIALLY_SHIPPED, _O.CANCELLED),
        "AUTH_EXPIRY": (_O.SHIPPED, _O.DELIVERED, _O.EXPIRED),
    },
    _O.SHIPPED: {
        "ReportDelivery": (_O.SHIPPED, _O.DELIVERED, _O.CANCELLED),
        "ConfirmReceipt": (_O.ACCEPTED,),
        "AUTH_EXPIRY": (_O.ACCEPTED,),
    },
    _O.DELIVERED: {"ConfirmReceipt": (_O.ACCEPTED,), "AUTO_ACCEPT": (_O.ACCEPTED,)},
    _O.ACCEPTED: {
        "RETURN_WINDOW": (_O.ACCEPTED, _O.COMPLETED),
        "PlanOpened": (_O.ACCEPTED,),
        "PlanSettled": (_O.ACCEPTED, _O.COMPLETED),
        "PlanReopened": (_O.ACCEPTED,),
        "ReturnOpened": (_O.ACCEPTED,),
        "ReturnClosed": (_O.ACCEPTED, _O.COMPLETED),
        "RefundAllocated": (_O.ACCEPTED, _O.REFUNDED),
    },
    _O.COMPLETED: {
        "PlanSettled": (_O.COMPLETED,),
        "PlanReopened": (_O.COMPLETED,),
        "ReturnOpened": (_O.COMPLETED,),
        "ReturnClosed": (_O.COMPLETED,),
        "RefundAllocated": (_O.COMPLETED, _O.REFUNDED),
    },
    _O.REFUNDED: dict.fromkeys(
        ("PlanSettled", "PlanReopened", "ReturnOpened", "ReturnClosed", "RefundAllocated"), (_O.REFUNDED,)
    ),
    _O.CANCELLED: {},
    _O.EXPIRED: {},
    _O.DECLINED: {},
}
"""An order under which nothing of value is left ends CANCELLED (by AUTH_EXPIRY: EXPIRED), whatever released it."""


@dataclass(frozen=True, slots=True)
class Line:
    """One position of an order, as sold and as far as it has come; units neither shipped nor released can be either."""

    sold: AuthorizedLine
    shipped: int = 0
    """Units handed to a carrier."""
    released: int = 0
    """Units that will never be: cancelled or lapsed."""

    @property
    def line_id(self) -> str:
        return self.sold.line_id

    @property
    def unshipped(self) -> int:
        return self.sold.quantity - self.shipped - self.released

    def next_units(self, quantity: int) -> Units:
        """The next ``quantity`` units to leave, with their cumulative shares of goods and freight (M-3)."""
        goods = quantity_share(self.sold.amount, self.shipped, quantity, self.sold.quantity)
        freight = quantity_share(self.sold.freight_share, self.shipped, quantity, self.sold.quantity)
        return Units(self.line_id, quantity, goods, freight)


@dataclass(frozen=True, slots=True)
class Units:
    """Some units of one line, and what they are worth."""

    line_id: str
    quantity: int
    goods: int
    freight: int

    @property
    def value(self) -> int:
        return self.goods + self.freight


class ShipmentStatus(StrEnum):
    """What became of a parcel; OPEN until the carrier reports."""

    OPEN = "OPEN"
    DELIVERED = "DELIVERED"
    REFUSED = "REFUSED"
    LOST = "LOST"


@dataclass(frozen=True, slots=True)
class Shipment:
    """One parcel. ``content`` is the digest of the report that announced it (H-3)."""

    shipment_id: str
    status: ShipmentStatus
    lines: tuple[Units, ...]
    content: str

    @property
    def value(self) -> int:
        return sum(line.value for line in self.lines)


@dataclass(frozen=True, slots=True)
class Order(
    Row,
    table="orders",
    owner="buyer_id",
    id="order_id",
    unknown="UNKNOWN_ORDER",
    live=Live.when("status", *_ON_ITS_WAY),
):
    """A pay-later order from placement to completion; ``held_amount`` is its part of the account's ``held``."""

    buyer_id: str
    order_id: str
    merchant_id: str
    content: str
    """Digest of the request that placed it (H-3)."""
    status: OrderStatus
    kind: OrderKind
    product: Product
    instalments: int
    currency: str
    lines: tuple[Line, ...]
    freight: int
    amount: int
    held_amount: int
    expected_receipt_on: date
    terms: Terms
    policy_versions: PolicyVersions
    shipments: tuple[Shipment, ...] = ()
    authorised_at: datetime | None = None
    expires_at: datetime | None = None
    extended_on: date | None = None
    delivered_at: datetime | None = None
    accepted_at: datetime | None = None
    accepted_amount: int = 0
    return_until: datetime | None = None
    """End of the longest return window; None before acceptance and once it is over."""
    plan_settled: bool = False
    refunded_amount: int = 0
    """What refunds gave back of the accepted amount, as less debt or in cash."""
    open_cases: int = 0
    """Return cases that are not closed."""
    plan_heard: tuple[str, ...] = ()
    """Ids of the events that settled its plan and opened it again: read once more, none of them counts again."""

    @property
    def is_open(self) -> bool:
        """Whether it counts among the buyer's open orders: not at its end yet, and its plan not settled (section 2).

        A completed order whose plan is opened again by a reversal stays completed, so it does not count again.
        """
        return self.status in _ON_ITS_WAY and not self.plan_settled

    def named(self) -> dict[str, Any]:
        """The fields in which every event says of which order it speaks."""
        return {
            "buyer_id": self.buyer_id,
            "order_id": self.order_id,
            "merchant_id": self.merchant_id,
            "currency": self.currency,
        }

    def agreed(self) -> dict[str, Any]:
        """The fields that say under which terms it was bought."""
        return {
            "product": self.product,
            "instalments": self.instalments,
            "terms": self.terms,
            "policy_versions": self.policy_versions,
        }


# -- returns and refunds -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ReturnCase(Row, table="return_case", owner="buyer_id", id="case_id", unknown="UNKNOWN_CASE"):
    """A return case of an order: open or not, and which of its events have been counted."""

    buyer_id: str
    case_id: str
    order_id: str
    is_open: bool = False
    heard: tuple[str, ...] = ()
    """Ids of the events that opened and closed it: read once more, none of them counts again."""


@dataclass(frozen=True, slots=True)
class Refund(Row, table="refund", owner="buyer_id", id="refund_id"):
    """The mark that a refund has been counted on its order."""

    buyer_id: str
    refund_id: str
    order_id: str
    amount: int
    """What it gave back, in minor units."""
