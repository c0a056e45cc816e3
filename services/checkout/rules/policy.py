"""Which policy holds: merchant over platform over the defaults, as of an instant (spec 4.1, README section 8)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from services.checkout.state import Policy, PublishedPolicy
from shared.contracts.fields import Product
from shared.contracts.policy import DEFAULTS, PLATFORM, PolicyFields, PolicyVersions, ReturnTerms, Terms
from shared.engine.refusals import repeated
from shared.engine.vocabulary import Rejected

__all__ = ["ResolvedPolicy", "check_publication", "in_force", "platform_policy", "resolve", "with_version"]

NOTICE = timedelta(hours=1)
"""A version takes effect this long after its publication at the earliest: no decision depends on propagation speed."""

VERSIONS_KEPT = 20

WINDOW_DAYS = range(7, 31)
WINDOW_DAYS_WITHOUT_LEAVE = 14
INSTALMENT_FEE_BPS_MAX = 3000
WHOLE_BPS = 10_000

AUTHORISATION_DAYS_MAX = 180
"""No authorisation outlasts C-R7's limit."""

DAYS_MAX = 366
"""Nothing else a policy counts in days lasts longer than a year: no later date can fall off the calendar."""

_PLATFORM_ONLY = ("long_window", "agreement_version", "card_predicate", "limit_bands", "contact")


@dataclass(frozen=True, slots=True)
class ResolvedPolicy:
    """What holds between one merchant and the platform, and which versions say so."""

    fields: PolicyFields
    versions: PolicyVersions
    terms_after_use: Terms
    terms_monthly: Terms

    def terms(self, product: Product) -> Terms:
        """What is frozen on an order. A statement mixes merchants, so MONTHLY is late and extended by the platform."""
        return self.terms_after_use if product == "PAY_AFTER_USE" else self.terms_monthly


def in_force(policy: Policy | None, now: datetime) -> PublishedPolicy | None:
    """The version in force at ``now``: of those that have taken effect, the last."""
    if policy is None:
        return None
    return next((one for one in reversed(policy.versions) if one.effective_from <= now), None)


def resolve(platform: Policy | None, merchant: Policy | None, now: datetime) -> ResolvedPolicy:
    """Merchant over platform over the defaults, as of ``now``. No policy published: no merchant is unknown."""
    return _resolved(in_force(platform, now), in_force(merchant, now))


def platform_policy(platform: Policy | None, now: datetime) -> PolicyFields:
    """The platform over the defaults, as of ``now``."""
    return _resolved(in_force(platform, now), None).fields


@lru_cache(maxsize=4096)
def _resolved(platform: PublishedPolicy | None, merchant: PublishedPolicy | None) -> ResolvedPolicy:
    """Few policies serve many orders: a resolution is made once per pair of published versions."""
    base = DEFAULTS if platform is None else platform.fields.over(DEFAULTS)
    own = base if merchant is None else merchant.fields.over(base)
    blocked = dict.fromkeys((*(base.blocked_categories or ()), *(own.blocked_categories or ())))
    fields = own.model_copy(update={"blocked_categories": tuple(blocked)})
    monthly = fields.model_copy(update={"late_fee": base.late_fee, "extension": base.extension})
    return ResolvedPolicy(
        fields=fields,
        versions=PolicyVersions(
            platform=0 if platform is None else platform.version, merchant=0 if merchant is None else merchant.version
        ),
        terms_after_use=Terms.frozen(fields),
        terms_monthly=Terms.frozen(monthly),
    )


def check_publication(policy: Policy, version: PublishedPolicy, platform: Policy | None, now: datetime) -> None:
    """Refuse a version that stands already, comes too late to be known everywhere, or lies beyond its bounds.

    ALREADY_DONE, ALREADY_EXISTS (details: the version), POLICY_RETROACTIVE (details: the earliest instant),
    POLICY_OUT_OF_BOUNDS (details: the field and its bound).
    """
    for one in policy.versions:
        if one.version == version.version:
            stands = {"version": one.version, "effective_from": one.effective_from}
            raise repeated(same=one == version, **stands)
    if version.effective_from < now + NOTICE:
        raise Rejected("POLICY_RETROACTIVE", effective_from=version.effective_from, earliest=now + NOTICE)
    if policy.merchant_id == PLATFORM:
        leave = version.fields.long_window
    else:
        _check_platform_only(version.fields)
        leave = platform_policy(platform, version.effective_from).long_window
    _check_window(version.fields.window_days, long_window=bool(leave))
    for name, length, longest in _durations(version.fields):
        if length > longest:
            raise _out_of_bounds(name, f"at most {longest}")
    if any(bps > INSTALMENT_FEE_BPS_MAX for bps in (version.fields.instalment_fee_bps or {}).values()):
        raise _out_of_bounds("instalment_fee_bps", f"at most {INSTALMENT_FEE_BPS_MAX}")
    if any(bps > WHOLE_BPS for bps in _deductions(version.fields.return_terms)):
        raise _out_of_bounds("return", f"a deduction is at most {WHOLE_BPS} basis points")
    contact = version.fields.contact
    if contact is not None and contact.opens_at >= contact.closes_at:
        raise _out_of_bounds("contact", "opens_at comes before closes_at")


def _check_platform_only(fields: PolicyFields) -> None:
    for name in _PLATFORM_ONLY:
        if getattr(fields, name) is not None:
            raise _out_of_bounds(name, "only the platform may state it")


def _check_window(days: int | None, *, long_window: bool) -> None:
    if days is None:
        return
    if days not in WINDOW_DAYS:
        raise _out_of_bounds("window_days", f"{WINDOW_DAYS.start} to {WINDOW_DAYS.stop - 1} days")
    if days > WINDOW_DAYS_WITHOUT_LEAVE and not long_window:
        raise _out_of_bounds("window_days", f"above {WINDOW_DAYS_WITHOUT_LEAVE} days needs long_window")


def _durations(fields: PolicyFields) -> Iterator[tuple[str, int, int]]:
    """Every span of days (or hours) a policy states, with the longest that still makes sense of a calendar."""
    yield "authorisation_days", fields.authorisation_days or 0, AUTHORISATION_DAYS_MAX
    yield "auto_accept_days", fields.auto_accept_days or 0, DAYS_MAX
    yield "cancel_hours", fields.cancel_hours or 0, DAYS_MAX * 24
    if fields.return_terms is not None:
        for terms in (fields.return_terms, *fields.return_terms.by_category.values()):
            yield "return", max(terms.window_days, terms.fault_window_days), DAYS_MAX
    if fields.extension is not None:
        yield "extension", max((option.days for option in fields.extension.options), default=0), DAYS_MAX
    if fields.dunning is not None:
        yield "dunning", max((*fields.dunning.collect_days, *fields.dunning.step_days), default=0), DAYS_MAX
    if fields.late_fee is not None:
        yield "late_fee", max(fields.late_fee.grace_days, fields.late_fee.second_after_days), DAYS_MAX


def _deductions(terms: ReturnTerms | None) -> Iterator[int]:
    """What a return may cost the buyer, as ratios of the goods."""
    for one in (terms, *terms.by_category.values()) if terms is not None else ():
        yield from (one.restocking_bps, one.grade_bps.a, one.grade_bps.b, one.grade_bps.c, one.grade_bps.d)


def _out_of_bounds(field: str, bound: str) -> Rejected:
    return Rejected("POLICY_OUT_OF_BOUNDS", f"{field}: {bound}", field=field, bound=bound)


def with_version(policy: Policy, version: PublishedPolicy, now: datetime) -> Policy:
    """The policy with one more version; beyond twenty the ones longest superseded are forgotten."""
    versions = sorted((*policy.versions, version), key=lambda one: (one.effective_from, one.version))
    current = in_force(policy, now)
    superseded = versions.index(current) if current in versions else 0
    return Policy(policy.merchant_id, tuple(versions[min(superseded, max(0, len(versions) - VERSIONS_KEPT)) :]))
