"""The account from application to closing (spec 2.1)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from services.checkout.deadlines import ApplicationIdle
from services.checkout.handlers.credit import status_changed
from services.checkout.rules.admission import refuse_other_currency
from services.checkout.rules.application import (
    IDLE_AFTER,
    activated,
    applied,
    check_card,
    missing_steps,
    with_step,
)
from services.checkout.rules.policy import platform_policy
from services.checkout.rules.standing import with_action
from services.checkout.service import checkout
from services.checkout.state import ACCOUNT_MACHINE, Account, AccountStatus, PlatformPolicy
from shared.contracts.checkout import (
    AccountActivated,
    AccountApplied,
    AccountRejected,
    ApplicationAdvanced,
    ApplicationStep,
    ApplyForAccount,
    BindCard,
    CardBound,
    ChangeAccountStatus,
    RecordPasswordSet,
    ReportIdentity,
    ReportScore,
    ReviewAccount,
)
from shared.contracts.policy import CardPredicate
from shared.engine.refusals import require
from shared.engine.service import Yielded
from shared.engine.vocabulary import Deadline, Disarm

__all__: list[str] = []


@checkout.on(ApplyForAccount)
def apply_for_account(application: ApplyForAccount, now: datetime, account: Account | None) -> Iterator[Yielded]:
    """A registered buyer asks for a credit line (CHK-01)."""
    yield applied(application, account, now)
    yield AccountApplied(buyer_id=application.buyer_id, currency=application.currency)
    yield Deadline(now + IDLE_AFTER, ApplicationIdle(application.buyer_id))


@checkout.on(ReportIdentity)
def report_identity(report: ReportIdentity, now: datetime, account: Account) -> Iterator[Yielded]:
    """The real-name check is done, for good or bad (CHK-02)."""
    require(ACCOUNT_MACHINE, account.status, "ReportIdentity")
    yield from step_taken(account, "IDENTITY", now, done=report.outcome == "VERIFIED")


@checkout.on(BindCard)
def bind_card(card: BindCard, now: datetime, account: Account, platform: PlatformPolicy) -> Iterator[Yielded]:
    """A card is bound to the application, or replaces the one in use (CHK-03)."""
    require(ACCOUNT_MACHINE, account.status, "BindCard")
    check_card(card, platform_policy(platform, now).card_predicate or CardPredicate())
    account = replace(account, instrument=card.instrument)
    if account.status is AccountStatus.APPLIED:
        yield from step_taken(account, "CARD", now)
    else:
        yield account
        yield CardBound(buyer_id=card.buyer_id, instrument=card.instrument)


@checkout.on(RecordPasswordSet)
def record_password_set(record: RecordPasswordSet, now: datetime, account: Account) -> Iterator[Yielded]:
    """The buyer has a payment password (CHK-04)."""
    require(ACCOUNT_MACHINE, account.status, "RecordPasswordSet")
    yield from step_taken(account, "PASSWORD", now)


def step_taken(account: Account, step: ApplicationStep, now: datetime, *, done: bool = True) -> Iterator[Yielded]:
    """A step of the application was done or failed; with the last one the application goes to the desk."""
    account = with_step(account, step, done=done)
    yield account
    yield advanced(account, step, done=done)
    if account.status is AccountStatus.UNDER_REVIEW:
        yield Disarm(ApplicationIdle, account.buyer_id)
    else:
        yield Deadline(now + IDLE_AFTER, ApplicationIdle(account.buyer_id))


def advanced(account: Account, step: ApplicationStep, *, done: bool) -> ApplicationAdvanced:
    return ApplicationAdvanced(
        buyer_id=account.buyer_id,
        step=step,
        result="DONE" if done else "FAILED",
        missing=missing_steps(account),
        status=account.status.value,
    )


@checkout.on(ReportScore)
def report_score(report: ReportScore, account: Account) -> Iterator[Yielded]:
    """A provider's score for the review: it counts at activation only."""
    require(ACCOUNT_MACHINE, account.status, "ReportScore")
    account = replace(account, reported_score=report.score)
    yield account
    yield advanced(account, "SCORE", done=True)


@checkout.on(ApplicationIdle)
def application_idle(idle: ApplicationIdle, account: Account) -> Iterator[Yielded]:
    """Nobody went on with the application: it lapses."""
    if account.status is AccountStatus.APPLIED:
        expired = replace(account, status=AccountStatus.EXPIRED)
        yield expired
        yield status_changed(account, expired, idle.KIND)


@checkout.on(ReviewAccount)
def review_account(
    review: ReviewAccount, now: datetime, account: Account, platform: PlatformPolicy
) -> Iterator[Yielded]:
    """The desk approves the application with a limit, or rejects it (CHK-05)."""
    require(ACCOUNT_MACHINE, account.status, "ReviewAccount")
    if review.currency is not None:
        refuse_other_currency(account, review.currency)
    if review.decision == "REJECT":
        yield replace(account, status=AccountStatus.REJECTED, rejected_at=now)
        yield AccountRejected(buyer_id=review.buyer_id, reasons=review.reasons)
        return
    account = activated(account, review.limit, platform_policy(platform, now).limit_bands or (), now)
    yield from activation(account)


def activation(account: Account) -> Iterator[Yielded]:
    """The credit line is usable from now on, unless a hold outlived the account that was closed before."""
    yield account
    yield AccountActivated(
        buyer_id=account.buyer_id,
        currency=account.currency,
        score=account.score,
        limit=account.limit,
        instrument=account.card,
    )
    if account.status is not AccountStatus.ACTIVE:
        yield status_changed(replace(account, status=AccountStatus.ACTIVE), account, "HOLD")


@checkout.on(ChangeAccountStatus)
def change_account_status(change: ChangeAccountStatus, account: Account) -> Iterator[Yielded]:
    """An account is put on hold, released from it, or closed (C-R2); it is always answered where it now stands."""
    require(ACCOUNT_MACHINE, account.status, "ChangeAccountStatus")
    changed = with_action(account, change)
    yield changed
    yield status_changed(account, changed, change.reason)
