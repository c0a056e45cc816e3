"""The sandbox's provider: the token alone decides, and the same question always has the same answer."""

from __future__ import annotations

import pytest

from shared.contracts.billing import CollectionPending, CollectionRequested, ReportCollection
from shared.contracts.message import Command
from shared.integration.sandbox import Ledger, Verdict, collect, look_up, verdict
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
    assert (found.outcome, found.decline) == (outcome, decline)


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
