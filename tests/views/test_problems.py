"""How a view says no: RFC 6750 for tokens, RFC 9457 for everything, one stable code each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from shared.drivers.queries import PostgresQueries
from shared.operations.tokens import TokenSettings, TokenVerifier
from shared.operations.views import Views, serve_views
from tests.views.bench import Bench, token
from tests.views.rows import account

ACCOUNT = "/buyers/ann/account"


def problem(response: httpx.Response) -> dict[str, Any]:
    """The problem in an answer, which must be one."""
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["cache-control"] == "no-store"
    found: dict[str, Any] = response.json()
    assert found["status"] == response.status_code
    assert (found["type"], found["title"]) == ("about:blank", HTTPStatus(response.status_code).phrase)
    return found


async def test_without_a_token_the_challenge_says_what_is_wanted_and_accuses_nobody(checkout: Bench) -> None:
    refused = await checkout.get(ACCOUNT)
    assert (refused.status_code, problem(refused)["code"]) == (401, "TOKEN_MISSING")
    assert refused.headers["www-authenticate"] == 'Bearer realm="houfu"'


@pytest.mark.parametrize("credentials", ["Basic YW5uOmFubg==", "Bearer", "Bearer ", "token", ""])
async def test_other_credentials_are_no_token(checkout: Bench, credentials: str) -> None:
    refused = await checkout.client.get(ACCOUNT, headers={"Authorization": credentials})
    assert (refused.status_code, problem(refused)["code"]) == (401, "TOKEN_MISSING")


async def test_a_token_that_is_not_believed_is_challenged_with_the_reason(checkout: Bench) -> None:
    expired = token("operator", now=datetime.now(UTC) - timedelta(days=1))
    refused = await checkout.get(ACCOUNT, bearer=expired)
    assert (refused.status_code, problem(refused)["code"]) == (401, "TOKEN_EXPIRED")
    assert refused.headers["www-authenticate"] == (
        'Bearer realm="houfu", error="invalid_token", error_description="The token has expired"'
    )


async def test_a_token_for_something_else_lacks_the_scope(checkout: Bench) -> None:
    refused = await checkout.get(ACCOUNT, "buyer:bob")
    assert (refused.status_code, problem(refused)["code"]) == (403, "SCOPE_INSUFFICIENT")
    assert 'error="insufficient_scope"' in refused.headers["www-authenticate"]


ABSENT = {
    ACCOUNT: ("checkout", "UNKNOWN_ACCOUNT"),
    "/buyers/ann/orders/o-9": ("checkout", "UNKNOWN_ORDER"),
    "/buyers/ann/bills/b:o-9": ("billing", "UNKNOWN_BILL"),
    "/buyers/ann/plans/o-9": ("billing", "UNKNOWN_ORDER"),
    "/buyers/ann/returns/case-9": ("refunds", "UNKNOWN_CASE"),
    "/buyers/ann/refunds/case-9:r1": ("refunds", "UNKNOWN_REFUND"),
    "/buyers/ann/inbox/4f0e:BILL_AMOUNT": ("notify", "UNKNOWN_NOTICE"),
}


@pytest.mark.parametrize("path", ABSENT)
async def test_what_is_not_there_has_the_code_a_command_about_it_would_meet(empty: dict[str, Bench], path: str) -> None:
    service, code = ABSENT[path]
    refused = await empty[service].get(path, "buyer:ann")
    assert (refused.status_code, problem(refused)["code"]) == (404, code)


@pytest.mark.parametrize("buyer", ["a b", "ann'--", "ann%00", "a" * 65, "💥"])
async def test_an_id_that_is_none_is_refused_before_anything_is_looked_up(checkout: Bench, buyer: str) -> None:
    refused = await checkout.get(f"/buyers/{buyer}/account", "operator")
    assert (refused.status_code, problem(refused)["code"]) == (422, "INVALID_REQUEST")
    assert [one["parameter"] for one in refused.json()["errors"]] == ["path.buyer_id"]


async def test_whoever_has_no_token_learns_nothing_about_parameters(checkout: Bench) -> None:
    refused = await checkout.get("/buyers/a b/orders", limit="ten", cursor="abc")
    assert (refused.status_code, problem(refused)["code"]) == (401, "TOKEN_MISSING")


async def test_a_path_that_is_not_there_is_a_problem_too(checkout: Bench) -> None:
    refused = await checkout.get("/nowhere", "operator")
    assert (refused.status_code, problem(refused)["code"]) == (404, "NOT_FOUND")
    refused = await checkout.client.post(ACCOUNT)
    assert (refused.status_code, problem(refused)["code"]) == (405, "METHOD_NOT_ALLOWED")
    assert refused.headers["allow"] == "GET"


async def test_an_answer_stays_in_no_cache(checkout: Bench) -> None:
    await checkout.save(account())
    assert (await checkout.get(ACCOUNT, "buyer:ann")).headers["cache-control"] == "no-store"


@pytest.fixture
def overtaken(checkout: Bench) -> Iterator[Bench]:
    """The bench, whose questions may be replaced for one test."""
    before = checkout.app.state.asking
    yield checkout
    checkout.app.state.asking = before


async def test_a_database_that_does_not_answer_in_time_is_a_503(overtaken: Bench, dsn: str) -> None:
    narrow = await PostgresQueries.open(dsn, "checkout", schema="checkout_views", at_once=1, acquire_timeout_s=0.5)
    overtaken.app.state.asking = replace(overtaken.app.state.asking, questions=narrow)
    async with narrow._database.connection("keeping the only one"):
        refused = await overtaken.get(ACCOUNT, "buyer:ann")
    await narrow.close()
    assert (refused.status_code, problem(refused)["code"]) == (503, "UNAVAILABLE")
    assert refused.headers["retry-after"] == "2"


async def test_a_schema_of_another_build_is_a_503(overtaken: Bench, dsn: str) -> None:
    lost = await PostgresQueries.open(dsn, "checkout", schema="nowhere")
    overtaken.app.state.asking = replace(overtaken.app.state.asking, questions=lost)
    refused = await overtaken.get(ACCOUNT, "buyer:ann")
    await lost.close()
    assert (refused.status_code, problem(refused)["code"]) == (503, "UNAVAILABLE")
    assert "account" not in refused.text, "which table is missing is for the log"


async def test_where_no_keys_are_set_every_view_answers_401(overtaken: Bench) -> None:
    closed = TokenVerifier.of(TokenSettings(issuer="", audience=""))
    overtaken.app.state.asking = replace(overtaken.app.state.asking, tokens=closed)
    refused = await overtaken.get(ACCOUNT, "operator")
    assert (refused.status_code, problem(refused)["code"]) == (401, "TOKEN_INVALID")


async def test_a_defect_in_a_view_is_a_500_that_tells_nothing(checkout: Bench) -> None:
    broken = Views()

    @broken.get("/broken")
    async def _broken() -> dict[str, str]:
        raise LookupError("something private")

    app = FastAPI()
    serve_views(app, [broken])
    app.state.asking = checkout.app.state.asking
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://views.test") as client:
        failed = await client.get("/broken", headers={"Authorization": f"Bearer {token('operator')}"})
    assert (failed.status_code, problem(failed)["code"]) == (500, "INTERNAL_SERVER_ERROR")
    assert "private" not in failed.text
