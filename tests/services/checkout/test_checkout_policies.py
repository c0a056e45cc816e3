"""What merchants and the platform publish: bounds, notice, and how the versions resolve (spec 4.1, README 8)."""

import pytest
from checkout_story import MERCHANT, Story, local, names, policy

from services.checkout.rules.policy import resolve
from services.checkout.state import Policy
from shared.contracts.checkout import PublishMerchantPolicy
from shared.contracts.policy import (
    DEFAULTS,
    CardPredicate,
    CategoryReturnTerms,
    ContactTerms,
    DunningTerms,
    ExtensionOption,
    ExtensionTerms,
    GradeDeductions,
    LateFeeTerms,
    LimitBand,
    ReturnTerms,
)


def publish(
    version: int = 1, effective: str = "03-01 11:00", merchant_id: str = MERCHANT, currency: str = "CNY", **stated
) -> PublishMerchantPolicy:
    return PublishMerchantPolicy(
        merchant_id=merchant_id, version=version, effective_from=local(effective), currency=currency, **stated
    )


def test_bil_14_a_policy_is_published_an_hour_ahead() -> None:
    story = Story()
    (event,) = story.send(publish(window_days=10), "03-01 10:00").events
    assert names([event]) == ["MerchantPolicyPublished"]
    assert (event.key, event.version, event.window_days, event.min_score) == (MERCHANT, 1, 10, None)


def test_a_policy_without_notice_is_retroactive() -> None:
    refused = Story().send(publish(window_days=10), "03-01 10:00:01").rejected
    assert (refused.code, refused.details["earliest"]) == ("POLICY_RETROACTIVE", local("03-01 11:00:01"))


def test_a_version_exists_once() -> None:
    story = Story()
    story.send(publish(window_days=10), "03-01 10:00")
    assert story.send(publish(window_days=10), "03-01 10:30").rejected.code == "ALREADY_DONE"
    assert story.send(publish(window_days=10, currency="USD"), "03-01 10:30").rejected.code == "ALREADY_EXISTS"
    refused = story.send(publish(window_days=11), "03-01 10:30").rejected
    assert (refused.code, refused.details["version"]) == ("ALREADY_EXISTS", 1)


@pytest.mark.parametrize(
    ("stated", "field"),
    [
        ({"window_days": 6}, "window_days"),
        ({"window_days": 15}, "window_days"),
        ({"window_days": 31}, "window_days"),
        ({"instalment_fee_bps": {"3": 3001}}, "instalment_fee_bps"),
        ({"long_window": True}, "long_window"),
        ({"agreement_version": "9"}, "agreement_version"),
        ({"card_predicate": CardPredicate()}, "card_predicate"),
        ({"limit_bands": (LimitBand(min_score=0, limit=1),)}, "limit_bands"),
        ({"contact": ContactTerms()}, "contact"),
        ({"authorisation_days": 181}, "authorisation_days"),
        ({"auto_accept_days": 367}, "auto_accept_days"),
        ({"cancel_hours": 366 * 24 + 1}, "cancel_hours"),
        ({"return_terms": ReturnTerms(fault_window_days=10**9)}, "return"),
        ({"return_terms": ReturnTerms(by_category={"TOY": CategoryReturnTerms(window_days=367)})}, "return"),
        ({"extension": ExtensionTerms(options=(ExtensionOption(days=367),))}, "extension"),
        ({"dunning": DunningTerms(step_days=(1, 367))}, "dunning"),
        ({"late_fee": LateFeeTerms(grace_days=367)}, "late_fee"),
        ({"return_terms": ReturnTerms(restocking_bps=10_001)}, "return"),
        ({"return_terms": ReturnTerms(grade_bps=GradeDeductions(d=10_001))}, "return"),
    ],
)
def test_a_merchant_keeps_within_the_bounds(stated: dict, field: str) -> None:
    refused = Story().send(publish(**stated), "03-01 10:00").rejected
    assert (refused.code, refused.details["field"]) == ("POLICY_OUT_OF_BOUNDS", field)


@pytest.mark.parametrize(("opens_at", "closes_at"), [("22:00", "08:00"), ("09:00", "09:00")])
def test_contact_hours_open_before_they_close(opens_at: str, closes_at: str) -> None:
    own = publish(merchant_id="platform", contact=ContactTerms(opens_at=opens_at, closes_at=closes_at))
    refused = Story().send(own, "03-01 10:00").rejected
    assert (refused.code, refused.details["field"]) == ("POLICY_OUT_OF_BOUNDS", "contact")


@pytest.mark.parametrize("days", [7, 14])
def test_a_window_of_one_or_two_weeks_needs_no_leave(days: int) -> None:
    assert Story().send(publish(window_days=days), "03-01 10:00").rejected is None


def test_a_long_window_needs_the_platforms_leave() -> None:
    allowed = Story(policy("platform", long_window=True))
    assert allowed.send(publish(window_days=30), "03-01 10:00").rejected is None
    own = publish(merchant_id="platform", window_days=30)
    assert Story().send(own, "03-01 10:00").rejected.code == "POLICY_OUT_OF_BOUNDS"
    own = publish(merchant_id="platform", window_days=30, long_window=True)
    assert Story().send(own, "03-01 10:00").rejected is None


def test_a_version_holds_from_its_instant_on() -> None:
    story = Story()
    story.send(publish(1, "03-01 11:00", window_days=8), "03-01 10:00")
    story.send(publish(2, "03-02 11:00", window_days=9), "03-01 10:00")
    merchant = story.given.row(Policy, MERCHANT)
    days = {
        at: resolve(None, merchant, local(at)).fields.window_days
        for at in ("03-01 10:59", "03-01 11:00", "03-02 10:59", "03-02 11:00")
    }
    assert list(days.values()) == [7, 8, 8, 9]
    assert resolve(None, merchant, local("03-02 11:00")).versions.merchant == 2


def test_the_longest_superseded_of_many_versions_are_forgotten() -> None:
    story = Story()
    for version in range(1, 31):
        at = f"03-{version:02} 10:00"
        assert story.send(publish(version, f"03-{version:02} 12:00", min_score=version), at).rejected is None
    versions = story.given.row(Policy, MERCHANT).versions
    assert [one.version for one in versions] == list(range(11, 31))


def test_versions_to_come_never_push_out_the_one_in_force() -> None:
    story = Story()
    for version in range(1, 26):
        story.send(publish(version, f"05-{version:02} 12:00", min_score=version), "03-01 10:00")
    story.send(publish(99, "03-01 11:00", min_score=99), "03-01 10:00")
    merchant = story.given.row(Policy, MERCHANT)
    story.send(publish(100, "06-01 11:00"), "03-01 12:00")
    merchant = story.given.row(Policy, MERCHANT)
    assert resolve(None, merchant, local("03-01 12:00")).fields.min_score == 99


def test_merchant_stands_over_platform_over_the_defaults() -> None:
    platform = policy("platform", window_days=9, cancel_hours=12, agreement_version="p")
    merchant = policy(window_days=8)
    resolved = resolve(platform, merchant, local("03-01 10:00"))
    assert (resolved.fields.window_days, resolved.fields.cancel_hours) == (8, 12)
    assert resolved.fields.auto_accept_days == DEFAULTS.auto_accept_days
    assert resolve(None, None, local("03-01 10:00")).versions.platform == 0


def test_blocked_categories_add_up() -> None:
    resolved = resolve(
        policy("platform", blocked_categories=("GOLD",)), policy(blocked_categories=("TOY",)), local("03-01 10:00")
    )
    assert resolved.fields.blocked_categories == ("GOLD", "TOY")


def test_only_pay_after_use_takes_late_fees_from_the_merchant() -> None:
    own = LateFeeTerms(cap_abs=1)
    resolved = resolve(policy("platform"), policy(late_fee=own), local("03-01 10:00"))
    assert resolved.terms("PAY_AFTER_USE").late_fee == own
    assert resolved.terms("MONTHLY").late_fee == DEFAULTS.late_fee
