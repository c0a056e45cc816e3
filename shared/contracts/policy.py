"""Merchant and platform policies, and the terms that are frozen from them on an order (README section 8).

A merchant states only what differs from the platform, the platform only what differs from :data:`DEFAULTS`.
What is stated is stated whole: a structure such as ``late_fee`` replaces the platform's, members it leaves out take
the default named at the member.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationInfo, ValidatorFunctionWrapHandler, WrapValidator, model_validator
from pydantic_core import to_json

from shared.contracts.fields import (
    Bps,
    ChosenId,
    Code,
    Count,
    Currency,
    Instant,
    Label,
    Listed,
    Money,
    Part,
    Points,
    Product,
    Score,
)

__all__ = [
    "DEFAULTS",
    "INTEREST_FREE_DAYS",
    "PLATFORM",
    "Approver",
    "CardPredicate",
    "CategoryReturnTerms",
    "ContactTerms",
    "DunningTerms",
    "ExtensionOption",
    "ExtensionTerms",
    "FrozenTerms",
    "LateFeeTerms",
    "LateFeeTier",
    "LimitBand",
    "PolicyFields",
    "PolicyVersions",
    "PublishedPolicy",
    "RefundPolicy",
    "ReturnTerms",
    "RiskThresholds",
    "Terms",
]

PLATFORM = "platform"
"""The merchant_id under which the platform's own policy is published."""

INTEREST_FREE_DAYS = 30
"""From a monthly statement to its due date (B-P2); no policy states it."""

Approver = Literal["AUTO", "MERCHANT", "PLATFORM"]
RefundPolicy = Literal["REVERSE_DUE", "PAST_DUE_FIRST", "PRO_RATA"]
InstalmentFees = dict[Literal["3", "6", "12"], Bps]
PolicyVersion = Annotated[int, Field(ge=1, le=10**9, description="Version number chosen by the publisher, from 1")]
LocalTime = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$", description="Local time of day, HH:MM")]


class LateFeeTier(Part):
    """The late fee while the past-due principal lies below a bound."""

    below: Money | None = Field(default=None, description="Past-due principal below this, in minor units; absent: any")
    fee: Money = Field(description="Late fee in minor units")


class LateFeeTerms(Part):
    """How a late bill is charged (B-F): when, how much, and never beyond the cap."""

    scheme: Literal["FLAT_TIER", "DAILY_BPS"] = Field(default="FLAT_TIER", description="Tiers, or a daily ratio")
    tiers: Listed[LateFeeTier] = Field(
        default=(
            LateFeeTier(below=2500, fee=0),
            LateFeeTier(below=6000, fee=200),
            LateFeeTier(below=10000, fee=400),
            LateFeeTier(below=20000, fee=600),
            LateFeeTier(fee=800),
        ),
        description="FLAT_TIER: the first tier whose bound lies above the past-due principal applies",
    )
    grace_days: Count = Field(default=3, description="FLAT_TIER: the first fee falls on the day after these days late")
    second_after_days: Count = Field(default=7, description="FLAT_TIER: days from the first fee to the second and last")
    cap_bps: Bps = Field(default=2500, description="All late fees of a bill, as a ratio of its principal, at most")
    cap_abs: Money = Field(default=2400, description="All late fees of a bill in minor units, at most")
    waive_hours: Count = Field(default=48, description="Hours after the first fee in which paying all waives it (B-F6)")
    daily_bps: Bps = Field(default=5, description="DAILY_BPS: fee per day late, as a ratio of the past-due principal")


class ExtensionOption(Part):
    """One offer to pay later."""

    days: Count = Field(description="Days by which the due date moves")
    fee: Money = Field(default=0, description="Price in minor units")


class ExtensionTerms(Part):
    """Who may grant a later due date, and for how long (B-E)."""

    approver: Approver = Field(default="AUTO", description="Who decides; AUTO grants at once")
    options: Listed[ExtensionOption] = Field(
        default=(ExtensionOption(days=7), ExtensionOption(days=14)), description="What a buyer may ask for"
    )
    max_dpd: Count = Field(default=3, description="Days past due up to which a buyer may still ask")


class DunningTerms(Part):
    """When an unpaid bill is collected again and when it climbs a step (B-C2, B-D1)."""

    collect_days: Listed[Count] = Field(default=(0, 1, 3, 6, 9, 13), description="Days after the due date, ascending")
    step_days: Listed[Count] = Field(default=(1, 4, 10, 31, 61, 91, 121, 181), description="Days past due, ascending")


class GradeDeductions(Part):
    """What a returned unit loses by its condition."""

    a: Bps = Field(default=0, alias="A", description="As new")
    b: Bps = Field(default=2000, alias="B", description="Slightly used")
    c: Bps = Field(default=5000, alias="C", description="Damaged")
    d: Bps = Field(default=10000, alias="D", description="Worthless")


class ReturnReasons(Part):
    """Why goods may come back: changed mind, or fault of the seller."""

    remorse: Listed[Code] = Field(
        default=("NOT_WANTED", "WRONG_CHOICE"), alias="REMORSE", description="Reasons of the buyer's own"
    )
    fault: Listed[Code] = Field(
        default=("DAMAGED", "DEFECTIVE", "WRONG_ITEM", "MISSING_PARTS", "NOT_AS_DESCRIBED"),
        alias="FAULT",
        description="Reasons the seller answers for",
    )


class CategoryReturnTerms(Part):
    """Whether, how long and at what price goods may be returned (refunds section 4.1)."""

    flow: Literal["SELLER", "PLATFORM"] = Field(default="SELLER", description="Who reviews the request")
    trigger: Literal["ON_PICKUP", "ON_RECEIPT", "ON_INSPECTION"] = Field(
        default="ON_RECEIPT", description="PLATFORM flow: what makes the refund due"
    )
    returnable: bool = Field(default=True, description="Whether goods may come back at all")
    window_days: Count = Field(default=7, description="Days after acceptance for a change of mind")
    fault_window_days: Count = Field(default=15, description="Days after acceptance for a fault")
    seller_silence: Literal["AUTO_APPROVE", "ESCALATE"] = Field(
        default="AUTO_APPROVE", description="What follows when the seller does not answer"
    )
    return_fee: Money = Field(default=0, description="Deducted from a refund for a change of mind, in minor units")
    restocking_bps: Bps = Field(default=0, description="Deducted from a refund for a change of mind, of the goods")
    grade_bps: GradeDeductions = Field(default=GradeDeductions(), description="Deducted by condition, of the goods")
    reasons: ReturnReasons = Field(default=ReturnReasons(), description="The reasons a buyer may give")


class ReturnTerms(CategoryReturnTerms):
    """Return terms, with those categories that differ."""

    by_category: dict[Code, CategoryReturnTerms] = Field(
        default={}, description="Terms of the categories that differ, each standing whole"
    )

    def of_category(self, category: str) -> CategoryReturnTerms:
        """The terms that hold for goods of this category."""
        return self.by_category.get(category, self)


class ContactTerms(Part):
    """When and how often a buyer may be told of a debt (notify section 4)."""

    opens_at: LocalTime = Field(default="08:00", description="From this local time on")
    closes_at: LocalTime = Field(default="22:00", description="Before this local time")
    debt_per_day: Count = Field(default=3, description="Debt notices per buyer and local day, at most")
    debt_per_week: Count = Field(default=7, description="Debt notices per buyer and 7 local days, at most")
    calls_per_day: Count = Field(default=6, description="Calls per buyer and local day, at most")


class RiskThresholds(Part):
    """From how many points an order is held, and from how many declined (C-R5)."""

    hold: Points = Field(default=50, description="Held for review from this sum on")
    decline: Points = Field(default=80, description="Declined from this sum on")


class LimitBand(Part):
    """The credit limit that goes with a score (C-R3)."""

    min_score: Score = Field(description="From this score on")
    limit: Money = Field(description="Limit in minor units")


class CardPredicate(Part):
    """Which cards may back an account (C-R1)."""

    card_types: Listed[Code] = Field(default=("DEBIT", "CREDIT"), description="Accepted types")
    issuers: Listed[Label] | None = Field(default=None, description="Accepted issuers; absent: all")
    brands: Listed[Label] | None = Field(default=None, description="Accepted brands; absent: all")
    holder_match: bool = Field(default=True, description="Whether the holder must be the verified buyer")


class PolicyFields(Part):
    """What a policy version may state; whatever it leaves open is the platform's, else Houfu's default."""

    status: Literal["OPEN", "WATCH", "BLOCKED"] | None = Field(
        default=None, description="Whether the merchant may sell on credit; set by the platform only"
    )
    display_name: Label | None = Field(default=None, description="Name in the directory")
    categories: Listed[Code] | None = Field(default=None, description="What the merchant sells (directory)")
    keywords: Listed[Label] | None = Field(default=None, description="What the merchant is found by (directory)")
    products: Listed[Product] | None = Field(default=None, description="Credit products on offer")
    min_score: Score | None = Field(default=None, description="Lowest score the merchant accepts")
    service_min_score: dict[ChosenId, Score] | None = Field(
        default=None, description="Lowest score per service_code, where it differs"
    )
    max_order_amount: Money | None = Field(default=None, description="Largest order in minor units")
    window_days: Count | None = Field(
        default=None,
        description="PAY_AFTER_USE: days from acceptance to the due date, 7-30; above 14 needs long_window",
    )
    long_window: bool | None = Field(default=None, description="Whether windows above 14 days are allowed (platform)")
    instalment_fee_bps: InstalmentFees | None = Field(
        default=None, description="Fee of a whole plan by number of instalments, as a ratio of its principal, 0-3000"
    )
    consent_required: bool | None = Field(default=None, description="Whether a buyer must have activated the merchant")
    blocked_categories: Listed[Code] | None = Field(
        default=None, description="Goods that cannot be bought on credit; a merchant's come on top of the platform's"
    )
    agreement_version: ChosenId | None = Field(
        default=None, description="Version of the credit agreement in force (platform)"
    )
    liquid_categories: Listed[Code] | None = Field(default=None, description="Goods easily turned into cash (C-R5)")
    card_predicate: CardPredicate | None = Field(default=None, description="Which cards may back an account (platform)")
    authorisation_days: Count | None = Field(default=None, description="Days an authorisation lasts")
    auto_accept_days: Count | None = Field(default=None, description="Days from delivery to automatic acceptance")
    cancel_hours: Count | None = Field(default=None, description="Hours from authorisation in which a buyer may cancel")
    limit_bands: Listed[LimitBand] | None = Field(default=None, description="Limit by score, ascending")
    risk: RiskThresholds | None = Field(default=None, description="Points from which an order is held or declined")
    late_fee: LateFeeTerms | None = Field(default=None, description="Late fees (B-F)")
    extension: ExtensionTerms | None = Field(default=None, description="Extensions (B-E)")
    dunning: DunningTerms | None = Field(default=None, description="Collection attempts and steps (B-C2, B-D1)")
    refund_policy: RefundPolicy | None = Field(
        default=None, description="Which instalments a refund lowers first (B-R)"
    )
    return_terms: ReturnTerms | None = Field(default=None, alias="return", description="Returns (refunds section 4.1)")
    contact: ContactTerms | None = Field(default=None, description="Contact hours and caps (platform)")

    def over(self, base: PolicyFields) -> PolicyFields:
        """This policy's statements over another's: merchant over platform, platform over the defaults."""
        stated = {name: value for name in PolicyFields.model_fields if (value := getattr(self, name)) is not None}
        return PolicyFields.model_construct(**{**_fields_of(base), **stated})


class PublishedPolicy(PolicyFields):
    """A version of a merchant's or the platform's policy on its way (key merchant_id)."""

    merchant_id: ChosenId = Field(description="The merchant, or 'platform'")
    version: PolicyVersion
    effective_from: Instant = Field(description="In force from then on; at least 1 h after publication")
    currency: Currency | None = Field(default=None, description="ISO 4217 code of every amount; required with one")

    @model_validator(mode="after")
    def _an_amount_has_a_currency(self) -> Self:
        amounts = self.max_order_amount, self.limit_bands, self.late_fee, self.extension, self.return_terms
        if self.currency is None and any(amount is not None for amount in amounts):
            raise ValueError("an amount needs a currency")
        return self


_TERMS_REMEMBERED = 1_000
"""Terms kept in memory at most, some kilobytes each; those of the policy versions in use recur with every order."""


class Terms(Part):
    """The resolved policy frozen on an order: every later decision of any service about this order uses it."""

    window_days: Count = Field(description="PAY_AFTER_USE: days from acceptance to the due date")
    instalment_fee_bps: InstalmentFees = Field(description="Fee of the plan by number of instalments, of its principal")
    late_fee: LateFeeTerms = Field(description="Late fees (B-F)")
    extension: ExtensionTerms = Field(description="Extensions (B-E)")
    dunning: DunningTerms = Field(description="Collection attempts and steps (B-C2, B-D1)")
    refund_policy: RefundPolicy = Field(description="Which instalments a refund lowers first (B-R)")
    return_terms: ReturnTerms = Field(alias="return", description="Returns (refunds section 4.1)")
    cancel_hours: Count = Field(description="Hours from authorisation in which the buyer may cancel")
    authorisation_days: Count = Field(description="Days an authorisation lasts")
    auto_accept_days: Count = Field(description="Days from delivery to automatic acceptance")

    def fee_bps(self, instalments: int) -> int:
        """The fee of a plan of so many instalments, as a ratio of its principal in basis points (B-P3); 0 in one."""
        return {int(count): bps for count, bps in self.instalment_fee_bps.items()}.get(instalments, 0)

    @classmethod
    def frozen(cls, policy: PolicyFields) -> Self:
        """The part of a resolved policy that an order keeps; the policy must leave none of it open."""
        return cls.model_validate({name: getattr(policy, name) for name in cls.model_fields})


@lru_cache(maxsize=_TERMS_REMEMBERED)
def _read_terms(stated: bytes) -> Terms:
    return Terms.model_validate_json(stated)


def _terms(value: Any, read: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Terms:
    terms: Terms = _read_terms(to_json(value)) if info.mode == "json" else read(value)
    return terms


FrozenTerms = Annotated[Terms, WrapValidator(_terms)]
"""The terms of an order as they come with every message about it.

The orders of one policy version carry the same, and reading them is most of reading such a message: each is read once.
"""


class PolicyVersions(Part):
    """Which policy versions an order was placed under; 0 where none was in force and Houfu's defaults held."""

    platform: Count = Field(description="Version of the platform's policy, 0 for none")
    merchant: Count = Field(description="Version of the merchant's policy, 0 for none")


DEFAULTS = PolicyFields(
    status="OPEN",
    products=("PAY_AFTER_USE", "MONTHLY"),
    min_score=550,
    service_min_score={},
    max_order_amount=1_000_000,
    window_days=7,
    long_window=False,
    instalment_fee_bps={"3": 0, "6": 0, "12": 0},
    consent_required=True,
    blocked_categories=("GIFT_CARD", "PREPAID", "TOP_UP", "BULLION"),
    liquid_categories=("PHONE", "ACCESSORY", "GOLD", "LUXURY"),
    card_predicate=CardPredicate(),
    authorisation_days=28,
    auto_accept_days=10,
    cancel_hours=24,
    limit_bands=(
        LimitBand(min_score=500, limit=50_000),
        LimitBand(min_score=600, limit=200_000),
        LimitBand(min_score=700, limit=500_000),
        LimitBand(min_score=800, limit=1_000_000),
        LimitBand(min_score=900, limit=2_000_000),
    ),
    risk=RiskThresholds(),
    late_fee=LateFeeTerms(),
    extension=ExtensionTerms(),
    dunning=DunningTerms(),
    refund_policy="REVERSE_DUE",
    return_terms=ReturnTerms(),
    contact=ContactTerms(),
)
"""What holds where neither the merchant nor the platform says anything (checkout section 4.1)."""


def _fields_of(policy: PolicyFields) -> dict[str, object]:
    return {name: getattr(policy, name) for name in PolicyFields.model_fields}
