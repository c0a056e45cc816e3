"""The account from application to closing: worked example 1, C-R1, C-R2 and the account machine (spec 2.1)."""

from datetime import timedelta

import pytest
from checkout_story import (
    AGREEMENT,
    BUYER,
    CARD,
    MERCHANT,
    Story,
    account,
    authorised,
    cancel,
    delinquent,
    local,
    names,
    policy,
    repaid,
)

from services.checkout.state import ACCOUNT_MACHINE, AccountStatus
from shared.contracts import checkout as c
from shared.contracts.policy import CardPredicate, LimitBand

APPLY = c.ApplyForAccount(buyer_id=BUYER, currency="CNY", platform_account_ref="acc-7", agreement_version=AGREEMENT)
VERIFIED = c.ReportIdentity(buyer_id=BUYER, outcome="VERIFIED", document_ref="doc-7")
FAILED = c.ReportIdentity(buyer_id=BUYER, outcome="FAILED", document_ref="doc-7", reason="blurred")
CARD_FACTS = {
    "buyer_id": BUYER,
    "instrument": CARD,
    "issuer": "ICBC",
    "brand": "UNIONPAY",
    "card_type": "DEBIT",
    "holder_match": True,
    "device_ref": "dev-1",
}
BIND = c.BindCard(**CARD_FACTS)
PASSWORD = c.RecordPasswordSet(buyer_id=BUYER, set_at=local("03-01 09:00"))


def score(points: int) -> c.ReportScore:
    return c.ReportScore(buyer_id=BUYER, score=points, provider="zhima")


def review(decision: str = "APPROVE", limit: int | None = None, currency: str = "CNY") -> c.ReviewAccount:
    return c.ReviewAccount(buyer_id=BUYER, decision=decision, limit=limit, currency=currency, reasons=("CHECKED",))


def change(action: str, by: str = "DESK") -> c.ChangeAccountStatus:
    return c.ChangeAccountStatus(buyer_id=BUYER, action=action, by=by, reason="as asked")


def under_review(points: int | None = None) -> Story:
    story = Story()
    for message in (APPLY, VERIFIED, BIND, PASSWORD, *([] if points is None else [score(points)])):
        assert story.send(message, "03-01 10:00").rejected is None
    return story


def test_example_1_an_application_goes_step_by_step_to_the_desk_and_is_activated() -> None:
    story = Story()
    assert names(story.send(APPLY, "03-01 10:00").events) == ["AccountApplied"]
    steps = [story.send(message, "03-01 11:00").events[0] for message in (VERIFIED, BIND, PASSWORD)]
    assert [step.missing for step in steps] == [("CARD", "PASSWORD"), ("PASSWORD",), ()]
    assert [step.status for step in steps] == ["APPLIED", "APPLIED", "UNDER_REVIEW"]
    assert story.armed() == []
    (reported,) = story.send(score(640), "03-01 12:00").events
    assert (reported.step, reported.status) == ("SCORE", "UNDER_REVIEW")
    (activated,) = story.send(review(), "03-01 13:00").events
    assert activated == c.AccountActivated(buyer_id=BUYER, currency="CNY", score=640, limit=200_000, instrument=CARD)


def test_example_1_a_score_below_the_floor_cannot_be_approved() -> None:
    story = under_review(480)
    assert story.send(review(), "03-01 13:00").rejected.code == "SCORE_BELOW_FLOOR"
    assert story.account.status is AccountStatus.UNDER_REVIEW


def test_chk_05_without_a_reported_score_the_account_starts_at_600() -> None:
    story = under_review()
    story.send(review(), "03-01 13:00")
    assert (story.account.score, story.account.limit) == (600, 200_000)


def test_cr1_the_desk_may_set_a_lower_limit_but_never_a_higher_one() -> None:
    story = under_review(640)
    refused = story.send(review(limit=200_001), "03-01 13:00").rejected
    assert (refused.code, refused.details) == ("LIMIT_ABOVE_BAND", {"limit": 200_001, "band": 200_000})
    assert story.send(review(limit=1, currency="USD"), "03-01 13:00").rejected.code == "CURRENCY_MISMATCH"
    story.send(review(limit=150_000), "03-01 13:00")
    assert story.account.limit == 150_000


def test_cr1_the_platforms_own_bands_give_the_limit() -> None:
    story = Story(account(status=AccountStatus.UNDER_REVIEW, activated_at=None, reported_score=640, limit=0))
    story.given = type(story.given)(
        story.given.service, *story.given.rows, policy("platform", limit_bands=(LimitBand(min_score=1, limit=7),))
    )
    assert story.send(review(), "03-01 13:00").events[0].limit == 7


def test_a_failed_identity_check_keeps_the_step_missing() -> None:
    story = Story()
    story.send(APPLY, "03-01 10:00")
    story.send(VERIFIED, "03-01 10:00")
    (advanced,) = story.send(FAILED, "03-01 11:00").events
    assert (advanced.result, advanced.missing) == ("FAILED", ("IDENTITY", "CARD", "PASSWORD"))


@pytest.mark.parametrize(
    ("facts", "failed"),
    [
        ({"card_type": "PREPAID"}, "card_types"),
        ({"issuer": "ABC"}, "issuers"),
        ({"brand": "VISA"}, "brands"),
        ({"holder_match": False}, "holder_match"),
    ],
)
def test_chk_03_a_card_outside_the_predicate_is_not_eligible(facts: dict, failed: str) -> None:
    predicate = CardPredicate(issuers=("ICBC",), brands=("UNIONPAY",))
    story = Story(policy("platform", card_predicate=predicate))
    story.send(APPLY, "03-01 10:00")
    refused = story.send(c.BindCard(**{**CARD_FACTS, **facts}), "03-01 10:00").rejected
    assert (refused.code, refused.details) == ("CARD_NOT_ELIGIBLE", {"failed": failed})


def test_chk_03_a_card_is_replaced_after_activation() -> None:
    story = Story(account())
    new = BIND.model_copy(update={"instrument": CARD.model_copy(update={"token": "tok_2"})})
    assert names(story.send(new, "03-01 10:00").events) == ["CardBound"]
    assert story.account.instrument.token == "tok_2"


def test_an_idle_application_expires_a_week_after_its_last_step() -> None:
    story = Story()
    story.send(APPLY, "03-01 10:00")
    story.send(VERIFIED, "03-03 10:00")
    assert story.until("03-10 09:59") == []
    (expired,) = story.until("03-10 10:00")
    (event,) = expired.events
    assert (event.from_status, event.to_status, event.reasons) == ("APPLIED", "EXPIRED", ("APPLICATION_IDLE",))
    assert names(story.send(APPLY, "03-11 10:00").events) == ["AccountApplied"]
    assert story.account.steps == ()


def test_a_rejected_buyer_may_apply_again_after_thirty_days() -> None:
    story = under_review(640)
    assert names(story.send(review("REJECT"), "03-01 13:00").events) == ["AccountRejected"]
    refused = story.send(APPLY, "03-31 13:00").rejected
    assert (refused.code, refused.details["from"]) == ("ILLEGAL_TRANSITION", "REJECTED")
    assert refused.details["until"] == local("03-31 13:00")
    assert story.send(APPLY, "03-31 13:01").rejected is None


def test_a_reopened_account_keeps_its_last_score() -> None:
    story = Story(account(score=713))
    story.send(change("CLOSE", "BUYER"), "03-01 10:00")
    for message in (APPLY, VERIFIED, BIND, PASSWORD, score(520), review()):
        assert story.send(message, "03-02 10:00").rejected is None
    assert (story.account.status, story.account.score, story.account.limit) == (AccountStatus.ACTIVE, 713, 500_000)


def test_cr2_a_hold_outlives_closing_and_a_new_approval() -> None:
    story = Story(account(risk_hold=True, status=AccountStatus.SUSPENDED))
    story.send(change("CLOSE", "DESK"), "03-01 10:00")
    for message in (APPLY, VERIFIED, BIND, PASSWORD):
        story.send(message, "03-02 10:00")
    (_, held) = story.send(review(), "03-02 10:00").events
    assert (held.from_status, held.to_status) == ("ACTIVE", "SUSPENDED")
    assert story.account.status is AccountStatus.SUSPENDED


def test_cr2_holds_of_desk_and_risk_are_set_and_lifted_by_their_own_party() -> None:
    story = Story(account())
    for action, by, stands in (
        ("SUSPEND", "DESK", "SUSPENDED"),
        ("SUSPEND", "RISK", "SUSPENDED"),
        ("REINSTATE", "DESK", "SUSPENDED"),
        ("REINSTATE", "RISK", "ACTIVE"),
        ("REINSTATE", "RISK", "ACTIVE"),
    ):
        (event,) = story.send(change(action, by), "03-01 10:00").events
        assert (event.to_status, event.reasons) == (stands, ("as asked",))


@pytest.mark.parametrize(("action", "by"), [("SUSPEND", "BUYER"), ("REINSTATE", "BUYER"), ("CLOSE", "RISK")])
def test_h5_a_party_may_only_do_what_is_its_own(action: str, by: str) -> None:
    assert Story(account()).send(change(action, by), "03-01 10:00").rejected.code == "PARTY_NOT_ALLOWED"


def test_an_empty_account_closes_at_once() -> None:
    (event,) = Story(account()).send(change("CLOSE", "BUYER"), "03-01 10:00").events
    assert event.to_status == "CLOSED"


def test_a_closing_account_closes_with_its_last_order() -> None:
    story = authorised()
    (event,) = story.send(change("CLOSE", "BUYER"), "03-01 11:00").events
    assert event.to_status == "CLOSING"
    then = story.send(cancel(), "03-01 12:00")
    assert names(then.events) == ["OrderCancelled", "CreditLineChanged", "AccountStatusChanged"]
    assert story.account.status is AccountStatus.CLOSED


def test_a_closing_account_closes_with_its_last_debt() -> None:
    story = Story(account(used=500, status=AccountStatus.CLOSING, book_version=4))
    then = story.send(repaid(0, 5), "03-01 12:00")
    assert names(then.events) == ["CreditLineChanged", "AccountStatusChanged"]
    assert story.account.status is AccountStatus.CLOSED


@pytest.mark.parametrize(
    ("stage", "stands"),
    [
        ("REMINDER", "ACTIVE"),
        ("RESTRICTED", "RESTRICTED"),
        ("SUSPENDED", "SUSPENDED"),
        ("COLLECTIONS", "SUSPENDED"),
        ("CHARGED_OFF", "SUSPENDED"),
    ],
)
def test_cr2_delinquency_restricts_or_suspends_and_a_cure_restores(stage: str, stands: str) -> None:
    story = Story(account())
    story.send(delinquent(5, stage), "03-20 00:00")
    assert story.account.status == stands
    story.send(delinquent(0, "NONE"), "03-21 00:00")
    assert story.account.status is AccountStatus.ACTIVE


def test_cr2_a_hold_outlives_the_cure() -> None:
    story = Story(account(risk_hold=True, status=AccountStatus.SUSPENDED, stage="RESTRICTED"))
    story.send(delinquent(0, "NONE"), "03-21 00:00")
    assert story.account.status is AccountStatus.SUSPENDED


COMMANDS = {
    "ApplyForAccount": APPLY,
    "ReportIdentity": VERIFIED,
    "BindCard": BIND,
    "RecordPasswordSet": PASSWORD,
    "ReportScore": score(640),
    "ReviewAccount": review(),
    "ChangeAccountStatus": change("SUSPEND"),
}


@pytest.mark.parametrize("status", AccountStatus)
@pytest.mark.parametrize("command", COMMANDS)
def test_every_account_command_is_known_to_its_state_or_refused(status: AccountStatus, command: str) -> None:
    story = Story(account(status=status, rejected_at=local("01-01 00:00")))
    then = story.send(COMMANDS[command], "03-01 10:00")
    to = ACCOUNT_MACHINE[status].get(command)
    if to is None:
        assert then.rejected.code == "ILLEGAL_TRANSITION"
        assert then.rejected.details == {"from": status, "allowed": sorted(ACCOUNT_MACHINE[status])}
    else:
        assert then.rejected is None
        assert story.account.status in to


@pytest.mark.parametrize("command", [one for one in COMMANDS if one != "ApplyForAccount"])
def test_h5_a_buyer_without_account_is_unknown(command: str) -> None:
    assert Story().send(COMMANDS[command], "03-01 10:00").rejected.code == "UNKNOWN_ACCOUNT"


def consent(*, granted: bool, version: str = "1") -> c.SetMerchantConsent:
    return c.SetMerchantConsent(
        buyer_id=BUYER, merchant_id=MERCHANT, granted=granted, text_version=version, scopes=("CREDIT_DECISION",)
    )


def test_chk_06_a_merchant_is_activated_and_withdrawn() -> None:
    story = Story(account())
    (event,) = story.send(consent(granted=True), "03-01 10:00").events
    assert event == c.MerchantConsentChanged(buyer_id=BUYER, merchant_id=MERCHANT, granted=True, text_version="1")
    assert story.send(consent(granted=True), "03-01 10:00").rejected.code == "ALREADY_DONE"
    assert story.send(consent(granted=True, version="2"), "03-01 10:00").rejected is None
    assert story.send(consent(granted=False), "03-01 10:00").rejected is None
    assert story.send(consent(granted=False), "03-01 10:00").rejected.code == "ALREADY_DONE"
    assert Story().send(consent(granted=True), "03-01 10:00").rejected.code == "UNKNOWN_ACCOUNT"


def test_cr10_consent_cannot_be_withdrawn_while_orders_are_in_flight() -> None:
    story = authorised()
    assert story.send(consent(granted=False), "03-01 11:00").rejected.code == "ORDERS_IN_FLIGHT"
    story.send(cancel(), "03-01 12:00")
    assert story.send(consent(granted=False), "03-01 13:00").rejected is None


def test_deadlines_of_an_application_that_went_on_change_nothing() -> None:
    story = Story()
    story.send(APPLY, "03-01 10:00")
    idle = story.given.armed[0].message
    for message in (VERIFIED, BIND, PASSWORD):
        story.send(message, "03-01 10:00")
    assert story.send(idle, local("03-01 10:00") + timedelta(days=7)).yields == []
