"""What merchants and the platform publish about their terms (spec 4.1)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from services.checkout.rules.policy import check_publication, with_version
from services.checkout.service import checkout
from services.checkout.state import PlatformPolicy, Policy, PublishedPolicy
from shared.contracts.checkout import MerchantPolicyPublished, PublishMerchantPolicy
from shared.contracts.policy import PolicyFields
from shared.engine.service import Yielded

__all__: list[str] = []


@checkout.on(PublishMerchantPolicy)
def publish_merchant_policy(
    publish: PublishMerchantPolicy, now: datetime, policy: Policy | None, platform: PlatformPolicy
) -> Iterator[Yielded]:
    """A new version of a merchant's or the platform's policy, in force an hour from now at the earliest (BIL-14)."""
    policy = policy or Policy(publish.merchant_id)
    stated = publish.over(PolicyFields())
    version = PublishedPolicy.of(publish.version, publish.effective_from, stated, publish.currency)
    check_publication(policy, version, platform, now)
    yield with_version(policy, version, now)
    yield MerchantPolicyPublished.model_validate(dict(publish))
