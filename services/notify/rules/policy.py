"""Which contact rules are in force: of the platform's versions the last that has taken effect (README section 8)."""

from __future__ import annotations

from datetime import datetime

from services.notify.state import ContactPolicy, ContactVersion
from shared.contracts.checkout import MerchantPolicyPublished
from shared.contracts.policy import ContactTerms

__all__ = ["terms_in_force", "with_version"]

VERSIONS_KEPT = 20
"""The ones that take effect last. Whatever was forgotten is forgotten again when it is read again."""

HOUFU_TERMS = ContactTerms()
"""What holds where the platform says nothing."""


def terms_in_force(policy: ContactPolicy | None, now: datetime) -> ContactTerms:
    """The contact rules at ``now``; Houfu's where no version is in force."""
    versions = () if policy is None else policy.versions
    return next((one.terms for one in reversed(versions) if one.effective_from <= now), HOUFU_TERMS)


def with_version(policy: ContactPolicy, published: MerchantPolicyPublished) -> ContactPolicy:
    """The policy with one more version, or as it was if it has it."""
    if any(one.version == published.version for one in policy.versions):
        return policy
    version = ContactVersion(published.version, published.effective_from, _sound(published.contact or HOUFU_TERMS))
    versions = sorted((*policy.versions, version), key=lambda one: (one.effective_from, one.version))
    return ContactPolicy(policy.merchant_id, tuple(versions[-VERSIONS_KEPT:]))


def _sound(terms: ContactTerms) -> ContactTerms:
    """Hours that end before they begin would hold every debt notice back for ever: Houfu's stand in for them."""
    if terms.opens_at < terms.closes_at:
        return terms
    return terms.model_copy(update={"opens_at": HOUFU_TERMS.opens_at, "closes_at": HOUFU_TERMS.closes_at})
