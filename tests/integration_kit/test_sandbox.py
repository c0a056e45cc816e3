"""The sandbox's provider: the token alone decides, and the same question always has the same answer."""

from __future__ import annotations

import pytest

from shared.contracts.billing import CollectionPending, CollectionRequested, ReportCollection
from shared.contracts.message import Command
from shared.contracts.refunds import PayoutRequested, ReportPayout
from shared.integration.sandbox import (
    Ledger,
    Verdict,
    collect,
    look_up,
    pay_out,
    payout_verdict,
    sandbox_provider,
    verdict,
)
from tests.integration_kit.kit import NOON, enveloped, requested


class KnownRequests(Ledger):
    """A ledger that holds one request."""

    def __init__(self, request: CollectionRequested | None) -> None:
        super().__init__("")
        self._request = request

    async def find(self, buyer_id: str, repayment_id: str) -> CollectionRequested | None:
        return self._request


def pending(ask: int) -> CollectionPending:
    return CollectionPending(buyer_id="b-7", repayment_id="r-1", outcome="UNKNOWN", ask=ask, unresolved=False)


async def asked(request: CollectionRequested | None, ask: int) -> list[Command]:
    question = pending(ask)
    return [one async for one in look_up(question, enveloped(question), KnownRequests(request))]


@pytest.mark.parametrize(
    ("token", "attempt", "looked_up", "outcome", "decline"),
    [
        ("tok_ok", 1, False, "SUCCEEDED", None),
        ("any-other", 1, False, "SUCCEEDED", None),
        ("tok_soft", 5, False, "DECLINED", "SOFT"),
        ("tok_soft_once", 1, False, "DECLINED", "SOFT"),
        ("tok_soft_once", 2, False, "SUCCEEDED", None),
        ("tok_hard", 1, False, "DECLINED", "HARD"),
        ("tok_pending", 1, False, "PENDING", None),
        ("tok_pending", 1, True, "SUCCEEDED", None),
    ],
)
def test_the_token_decides(token: str, attempt: int, looked_up: bool, outcome: str, decline: str | None) -> None:
    found = verdict(token, attempt, looked_up=looked_up)
    assert found is not None
    assert (found.outcome, found.weight) == (outcome, decline)


def test_a_silent_token_is_never_answered() -> None:
    assert verdict("tok_silent", 1, looked_up=False) is None
    assert verdict("tok_silent", 1, looked_up=True) is None


async def test_a_request_is_answered_for_its_amount_and_dated_by_the_question() -> None:
    request = requested(token="tok_hard")
    [report] = [one async for one in collect(request, enveloped(request))]
    assert isinstance(report, ReportCollection)
    assert (report.repayment_id, report.amount, report.currency) == ("r-1", 25769, "CNY")
    assert (report.decline, report.occurred_at) == ("HARD", NOON)


async def test_asked_what_became_of_a_request_the_provider_looks_it_up() -> None:
    [report] = await asked(requested(token="tok_pending"), ask=1)
    assert isinstance(report, ReportCollection)
    assert report.outcome == "SUCCEEDED"


async def test_a_pending_that_the_provider_reported_itself_asks_for_nothing() -> None:
    assert await asked(requested(token="tok_pending"), ask=0) == []


async def test_a_request_that_is_not_on_the_log_is_not_answered() -> None:
    assert await asked(None, ask=1) == []


def test_verdicts_are_values() -> None:
    assert verdict("tok_ok", 1, looked_up=False) == Verdict("SUCCEEDED")


def payout(token: str = "tok_ok", attempt: int = 1, ask: int = 0, kind: str = "ORIGINAL_ROUTE") -> PayoutRequested:
    return PayoutRequested.model_validate(
        {
            "buyer_id": "b-7",
            "order_id": "o-1",
            "merchant_id": "m-42",
            "refund_id": "case-1:r1",
            "case_id": "case-1",
            "leg_id": "case-1:r1:2",
            "payout_id": f"case-1:r1:2:{attempt}",
            "currency": "CNY",
            "kind": kind,
            "amount": 1334,
            "instrument": None if kind == "WALLET" else {"kind": "CARD", "token": token},
            "ask": ask,
        }
    )


@pytest.mark.parametrize(
    ("token", "attempt", "asked_again", "outcome", "failure"),
    [
        ("tok_ok", 1, False, "SUCCEEDED", None),
        ("", 1, False, "SUCCEEDED", None),
        ("tok_payout_soft_once", 1, False, "FAILED", "SOFT"),
        ("tok_payout_soft_once", 1, True, "FAILED", "SOFT"),
        ("tok_payout_soft_once", 2, False, "SUCCEEDED", None),
        ("tok_payout_hard", 3, False, "FAILED", "HARD"),
        ("tok_payout_pending", 1, False, "PENDING", None),
        ("tok_payout_pending", 1, True, "SUCCEEDED", None),
    ],
)
def test_the_token_decides_about_a_payout(
    token: str, attempt: int, asked_again: bool, outcome: str, failure: str | None
) -> None:
    found = payout_verdict(token, attempt, asked=asked_again)
    assert (found.outcome, found.weight) == (outcome, failure)


@pytest.mark.parametrize("kind", ["ORIGINAL_ROUTE", "WALLET"])
async def test_a_leg_is_paid_under_the_ids_of_its_request(kind: str) -> None:
    request = payout(kind=kind)
    assert sandbox_provider.reaction_to(request) is not None
    [report] = [one async for one in pay_out(request, enveloped(request))]
    assert isinstance(report, ReportPayout)
    assert (report.refund_id, report.payout_id, report.case_id) == ("case-1:r1", "case-1:r1:2:1", "case-1")
    assert (report.outcome, report.occurred_at) == ("SUCCEEDED", NOON)


def test_what_a_merchant_pays_outside_is_none_of_the_providers_business() -> None:
    assert sandbox_provider.reaction_to(payout(kind="EXTERNAL")) is None
