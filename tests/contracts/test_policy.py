"""Policies: merchant over platform over Houfu's defaults, and the terms an order keeps (README section 8)."""

import json

import pytest
from pydantic import ValidationError

from shared.contracts.checkout import MerchantPolicyPublished, PublishMerchantPolicy
from shared.contracts.policy import DEFAULTS, LateFeeTerms, PolicyFields, ReturnTerms, Terms

PUBLISHED = {"merchant_id": "m-42", "version": 1, "effective_from": "2027-03-01T02:00:00Z"}


def test_the_merchant_is_over_the_platform_and_the_platform_over_the_defaults() -> None:
    platform = PolicyFields(window_days=10, cancel_hours=12)
    merchant = PolicyFields(window_days=14)
    resolved = merchant.over(platform.over(DEFAULTS))
    assert (resolved.window_days, resolved.cancel_hours, resolved.min_score) == (14, 12, 550)


def test_a_published_version_speaks_for_its_fields_alone() -> None:
    published = PublishMerchantPolicy.from_json(json.dumps({**PUBLISHED, "window_days": 9}))
    resolved = published.over(DEFAULTS)
    assert resolved.window_days == 9
    assert type(resolved) is PolicyFields


def test_what_is_stated_is_stated_whole() -> None:
    platform = PolicyFields(late_fee=LateFeeTerms(cap_abs=1000))
    merchant = PolicyFields(late_fee=LateFeeTerms(cap_bps=100))
    resolved = merchant.over(platform.over(DEFAULTS)).late_fee
    assert resolved is not None
    assert (resolved.cap_bps, resolved.cap_abs) == (100, 2400)


def test_the_terms_of_an_order_are_complete_on_the_wire() -> None:
    terms = Terms.frozen(DEFAULTS)
    body = terms.model_dump_json(exclude_none=True)
    assert Terms.model_validate_json(body) == terms
    assert json.loads(body)["return"]["grade_bps"] == {"A": 0, "B": 2000, "C": 5000, "D": 10000}
    assert json.loads(body)["late_fee"]["tiers"][0] == {"below": 2500, "fee": 0}


def test_an_open_policy_cannot_be_frozen() -> None:
    with pytest.raises(ValidationError):
        Terms.frozen(PolicyFields(window_days=7))


def test_a_category_has_its_own_return_terms_where_they_differ() -> None:
    terms = ReturnTerms.model_validate_json('{"window_days": 14, "by_category": {"FOOD": {"returnable": false}}}')
    assert terms.of_category("PHONE").window_days == 14
    assert not terms.of_category("FOOD").returnable
    assert terms.of_category("FOOD").window_days == 7


@pytest.mark.parametrize("kind", [PublishMerchantPolicy, MerchantPolicyPublished])
@pytest.mark.parametrize("amounts", [{"max_order_amount": 1}, {"late_fee": {}}, {"return": {"return_fee": 5}}])
def test_a_policy_with_amounts_needs_a_currency(kind: type, amounts: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="currency"):
        kind.from_json(json.dumps({**PUBLISHED, **amounts}))
    assert kind.from_json(json.dumps({**PUBLISHED, **amounts, "currency": "CNY"})).currency == "CNY"
