"""Who may see what: every cell of the table in docs/views.md, asked of the real views over real rows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import jwt
import pytest

from shared.operations.house import ROOT
from shared.operations.tokens import TokenSettings
from tests.views.bench import AUDIENCE, ISSUER, WORDS, Bench, secret_of, token
from tests.views.rows import (
    BUYER,
    KINDS,
    ORDER,
    SHOP,
    account,
    bill,
    case,
    journal,
    mailbox,
    notice,
    order,
    plan,
    refund,
)

PAGE = (ROOT / "docs" / "views.md").read_text("utf-8")

CALLERS = {
    "operator": "operator",
    "the buyer": f"buyer:{BUYER}",
    "another buyer": "buyer:bob",
    "the order's merchant": f"merchant:{SHOP}",
    "another merchant": "merchant:other",
}
"""What the columns of the table mean."""

IDS = {
    "buyer_id": BUYER,
    "order_id": ORDER,
    "bill_id": f"b:{ORDER}",
    "case_id": "case-1",
    "refund_id": "case-1:r1",
    "notice_id": "4f0e:BILL_DUE_SOON",
}
"""Ids of what exists; ``ROWS`` has them."""

ROWS: dict[str, tuple[Any, ...]] = {
    "checkout": (account(), order()),
    "billing": (plan(), bill(), *journal()),
    "refunds": (case(), refund()),
    "notify": (mailbox(), notice()),
}

FORGED = {
    "no token": None,
    "garbage": "abc.def.ghi",
    "expired": token("operator", now=datetime.now(UTC) - timedelta(days=1)),
    "not valid yet": token("operator", now=datetime.now(UTC) + timedelta(days=1)),
    "of another issuer": token("operator", issuer="https://elsewhere.test"),
    "for another audience": token("operator", audience="elsewhere"),
    "signed with another key": token("operator", secret=secret_of("an altogether different secret of 32+")),
    "signed by nobody": jwt.encode(
        {"iss": ISSUER, "aud": AUDIENCE, "exp": 4_000_000_000, "scope": "operator"}, None, "none"
    ),
}


def table() -> Iterator[tuple[str, dict[str, int]]]:
    """The rows of the page's table: a view's path, and the status for each caller."""
    lines = re.findall(r"^\|(.*)\|$", PAGE.partition("## Who may see what")[2].partition("\n## ")[0], re.MULTILINE)
    header, _, *rows = ([cell.strip(" `") for cell in line.split("|")] for line in lines)
    for path, *statuses in rows:
        yield path, dict(zip(header[1:], map(int, statuses), strict=True))


CELLS = [
    pytest.param(path, caller, status, id=f"{path} {caller}")
    for path, statuses in table()
    for caller, status in statuses.items()
]


@pytest.fixture
async def filled(empty: dict[str, Bench]) -> dict[str, Bench]:
    """Ann's rows in every service."""
    for service, rows in ROWS.items():
        await empty[service].save(*rows)
    return empty


def served(benches: dict[str, Bench]) -> dict[str, Bench]:
    """Every view there is, with the service that has it."""
    return {path: bench for bench in benches.values() for path in bench.app.openapi()["paths"]}


async def ask(benches: dict[str, Bench], path: str, *scopes: str, **ids: str) -> httpx.Response:
    return await served(benches)[path].get(path.format(**{**IDS, **ids}), *scopes)


def test_the_table_has_every_view_and_a_column_for_every_caller(benches: dict[str, Bench]) -> None:
    assert sorted(path for path, _ in table()) == sorted(served(benches))
    assert all(list(statuses) == list(CALLERS) for _, statuses in table())


@pytest.mark.parametrize(("path", "caller", "status"), CELLS)
async def test_a_caller_is_answered_as_the_table_says(
    filled: dict[str, Bench], path: str, caller: str, status: int
) -> None:
    answer = await ask(filled, path, CALLERS[caller])
    assert answer.status_code == status, answer.text
    if status != 200:
        assert SHOP not in answer.text, "a refusal tells nothing of what was asked for"


@pytest.mark.parametrize(("path", "caller", "status"), CELLS)
async def test_no_answer_tells_whether_somebody_elses_thing_exists(
    filled: dict[str, Bench], empty: dict[str, Bench], path: str, caller: str, status: int
) -> None:
    """The rows are there, then they are not: who is refused is refused in the same words."""
    before = await ask(filled, path, CALLERS[caller])
    for service, rows in ROWS.items():
        await empty[service].empty({type(row) for row in rows})
    after = await ask(empty, path, CALLERS[caller])
    if status != 200:
        assert (after.status_code, after.text, after.headers) == (before.status_code, before.text, before.headers)
    elif "{" in path.partition("{buyer_id}")[2] or path.endswith("account"):
        assert (before.status_code, after.status_code) == (200, 404)
    else:
        assert all(before.json().values()), "something is listed"
        assert not any(after.json().values()), "and then nothing is"


@pytest.mark.parametrize("path", [path for path, _ in table()])
@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED.keys())
async def test_nobody_is_let_in_without_a_token_that_is_believed(
    filled: dict[str, Bench], path: str, forged: str | None
) -> None:
    refused = await served(filled)[path].get(path.format(**IDS), bearer=forged)
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"].startswith('Bearer realm="houfu"')


@pytest.mark.parametrize("path", [path for path, _ in table()])
async def test_a_token_without_a_scope_of_ours_is_for_nothing(filled: dict[str, Bench], path: str) -> None:
    nothing = jwt.encode(
        {"iss": ISSUER, "aud": AUDIENCE, "exp": 4_000_000_000, "scope": "openid"}, WORDS, "HS256", {"kid": "sandbox"}
    )
    refused = await served(filled)[path].get(path.format(**IDS), bearer=nothing)
    assert (refused.status_code, refused.json()["code"]) == (403, "SCOPE_INSUFFICIENT")


async def test_several_scopes_allow_what_each_of_them_does(filled: dict[str, Bench]) -> None:
    both = ("buyer:bob", f"merchant:{SHOP}")
    assert (await ask(filled, "/buyers/{buyer_id}/orders/{order_id}", *both)).status_code == 200
    assert (await ask(filled, "/buyers/{buyer_id}/account", *both)).status_code == 403
    assert (await ask(filled, "/buyers/{buyer_id}/account", *both, buyer_id="bob")).status_code == 404


def test_the_page_names_every_setting_and_every_code() -> None:
    settings = {f"HOUFU_TOKEN_{name}".upper() for name in TokenSettings.model_fields}
    unknown = {kind.UNKNOWN for kinds in KINDS.values() for kind in kinds if kind.UNKNOWN}
    said = {"BAD_CURSOR", "INVALID_REQUEST", "SCOPE_INSUFFICIENT", "UNAVAILABLE", "NOT_FOUND", "METHOD_NOT_ALLOWED"}
    tokens = {"TOKEN_MISSING", "TOKEN_INVALID", "TOKEN_EXPIRED", "INTERNAL_SERVER_ERROR"}
    assert {one for one in settings | unknown | said | tokens if f"`{one}`" not in PAGE} == set()
