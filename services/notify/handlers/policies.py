"""What the platform publishes about contact: hours and caps."""

from __future__ import annotations

from collections.abc import Iterator

from services.notify.rules.policy import with_version
from services.notify.service import notify
from services.notify.state import ContactPolicy
from shared.contracts.checkout import MerchantPolicyPublished
from shared.contracts.policy import PLATFORM
from shared.engine.service import Yielded

__all__ = ["keep_contact_rules"]


@notify.on(MerchantPolicyPublished)
def keep_contact_rules(published: MerchantPolicyPublished, policy: ContactPolicy | None) -> Iterator[Yielded]:
    """A new version of the platform's policy: its contact rules hold from its day on. A merchant's has none."""
    if published.merchant_id != PLATFORM:
        return
    yield with_version(policy or ContactPolicy(PLATFORM), published)
