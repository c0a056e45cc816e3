"""C-R1: what an application for an account needs, which cards may back it, and what an approval gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from services.checkout.rules.limit import band
from services.checkout.rules.standing import standing
from services.checkout.state import ACCOUNT_MACHINE, Account, AccountStatus
from shared.contracts.checkout import ApplicationStep, ApplyForAccount, BindCard
from shared.contracts.policy import CardPredicate, LimitBand
from shared.engine.refusals import refusal, require
from shared.engine.vocabulary import Rejected

__all__ = ["IDLE_AFTER", "activated", "applied", "check_card", "missing_steps", "with_step"]

IDLE_AFTER = timedelta(days=7)
"""An application nobody adds to lapses after this time."""

REJECTED_FOR = timedelta(days=30)
"""Whoever was rejected may apply again after this time."""

SCORE_UNREPORTED = 600
SCORE_FLOOR = 500

_STEPS: tuple[ApplicationStep, ...] = ("IDENTITY", "CARD", "PASSWORD")


def applied(application: ApplyForAccount, account: Account | None, now: datetime) -> Account:
    """A fresh application; one that follows an ended account keeps its score, its holds and what it owes."""
    fresh = Account(
        buyer_id=application.buyer_id,
        status=AccountStatus.APPLIED,
        currency=application.currency,
        platform_account_ref=application.platform_account_ref,
        agreement_version=application.agreement_version,
    )
    if account is None:
        return fresh
    require(ACCOUNT_MACHINE, account.status, "ApplyForAccount")
    if account.rejected_at is not None and now - account.rejected_at <= REJECTED_FOR:
        until = account.rejected_at + REJECTED_FOR
        raise Rejected("ILLEGAL_TRANSITION", until=until, **refusal(account.status, ()))
    return replace(
        fresh,
        score=account.score,
        used=account.used,
        book_version=account.book_version,
        open_orders=account.open_orders,
        stage=account.stage,
        desk_hold=account.desk_hold,
        risk_hold=account.risk_hold,
        month_points=account.month_points,
        activated_at=account.activated_at,
    )


def missing_steps(account: Account) -> tuple[ApplicationStep, ...]:
    """The steps an application still lacks, in the order they are asked for."""
    return tuple(step for step in _STEPS if step not in account.steps)


def with_step(account: Account, step: ApplicationStep, *, done: bool) -> Account:
    """The application after a step was done, or failed and is missing again; complete, it goes to the desk."""
    steps = tuple(one for one in _STEPS if (done if one == step else one in account.steps))
    status = AccountStatus.UNDER_REVIEW if steps == _STEPS else AccountStatus.APPLIED
    return replace(account, steps=steps, status=status)


def check_card(card: BindCard, predicate: CardPredicate) -> None:
    """Refuse a card the platform does not accept: CARD_NOT_ELIGIBLE with the ``failed`` test."""
    tests = {
        "card_types": card.card_type in predicate.card_types,
        "issuers": predicate.issuers is None or card.issuer in predicate.issuers,
        "brands": predicate.brands is None or card.brand in predicate.brands,
        "holder_match": card.holder_match or not predicate.holder_match,
    }
    for test, passed in tests.items():
        if not passed:
            raise Rejected("CARD_NOT_ELIGIBLE", f"The card fails the test of {test}", failed=test)


def activated(account: Account, wished: int | None, bands: Sequence[LimitBand], now: datetime) -> Account:
    """The approved account with its start score and limit; the desk may set the limit lower, never higher.

    ``wished`` is the desk's limit in minor units. SCORE_BELOW_FLOOR, LIMIT_ABOVE_BAND.
    """
    score = account.score if account.activated_at is not None else account.reported_score
    score = SCORE_UNREPORTED if score is None else score
    if score < SCORE_FLOOR:
        raise Rejected("SCORE_BELOW_FLOOR", score=score, floor=SCORE_FLOOR)
    highest = band(score, bands)
    if wished is not None and wished > highest:
        raise Rejected("LIMIT_ABOVE_BAND", limit=wished, band=highest)
    limit = highest if wished is None else wished
    return replace(
        account, status=standing(account), score=score, limit=limit, good_bills=0, activated_at=now, rejected_at=None
    )
