"""The journal as people read it: a statement of account with balances, and a trial balance that finance can check."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from services.billing.rules.ledger import Movement
from services.billing.state import LedgerAccount, Posting
from services.billing.views.bills import BILL
from services.billing.views.ledger import CARRIED, POSTINGS, TRIAL_BALANCE
from services.billing.views.plans import PLAN
from shared.drivers.queries import Query
from shared.operations.house import ROOT
from tests.views.bench import Bench
from tests.views.rows import DAY, NOON, ORDER, SHOP, journal, posted

ANN = "buyer:ann"
STATEMENT = "/buyers/ann/journal"
PAGE = (ROOT / "docs" / "views.md").read_text("utf-8")
TRIAL_BALANCE_PATH = "/trial-balance"

_A = LedgerAccount


async def sql(bench: Bench, statement: str, *arguments: Any) -> list[dict[str, Any]]:
    """What somebody is answered who asks the schema itself."""
    async with bench.database.connection("reading") as connection:
        return [dict(record) for record in await connection.fetch(statement, *arguments)]


async def explained(bench: Bench, *statements: str) -> str:
    """What the last of these statements says, on a connection as views have them."""
    async with bench.app.state.asking.questions._database.connection("planning") as connection:
        for statement in statements[:-1]:
            await connection.execute(statement)
        return "\n".join(record[0] for record in await connection.fetch(statements[-1]))


# -- the statement of an account ---------------------------------------------------------------------------------------


async def test_a_statement_shows_every_posting_with_what_its_account_stands_at(billing: Bench) -> None:
    """BIL-15: Every movement of money can be read, in the order in which it was posted."""
    await billing.save(*journal())
    shown = (await billing.read(STATEMENT, ANN))["items"]
    entries = [one.pop("entry") for one in shown]
    assert entries == sorted(set(entries))
    opened = {"posted_at": "2027-03-04T04:00:00Z", "fact": "PLAN_OPENED", "cause_id": "4f0e", "currency": "CNY"}
    repaid = {"posted_at": "2027-03-05T04:00:00Z", "fact": "REPAYMENT", "cause_id": "4f0f", "currency": "CNY"}
    order: dict[str, Any] = {"order_id": ORDER, "merchant_id": SHOP}
    bill: dict[str, Any] = {"bill_id": f"b:{ORDER}"}
    principal, cash = {"account": "1100", "name": "Principal receivable"}, {"account": "1000", "name": "Provider cash"}
    payable = {"account": "2000", "name": "Merchant payable"}
    assert shown == [
        {**opened, **order, **principal, "debit": 12_900, "credit": 0, "balance": 12_900},
        {**opened, **order, **payable, "debit": 0, "credit": 12_900, "balance": -12_900},
        {**repaid, **bill, **cash, "debit": 2_900, "credit": 0, "balance": 2_900},
        {**repaid, **order, **bill, **principal, "debit": 0, "credit": 2_900, "balance": 10_000},
    ]


def paid(number: int, amount: int = 100) -> list[Posting]:
    """One of many payments, on one of three orders."""
    about = (f"o-{number % 3}", f"b:o-{number % 3}", SHOP)
    return posted(
        Movement("REPAYMENT", _A.PROVIDER_CASH, amount, *about),
        Movement("REPAYMENT", _A.PRINCIPAL_RECEIVABLE, -amount, *about),
        cause_id=f"paid-{number}",
        at=NOON + number * DAY,
    )


async def pages(bench: Bench, **asked: Any) -> AsyncIterator[list[dict[str, Any]]]:
    """The postings of each page, following the cursors."""
    while True:
        page = await bench.read(STATEMENT, ANN, **asked)
        yield page["items"]
        if "next_cursor" not in page:
            return
        asked["cursor"] = page["next_cursor"]


@pytest.mark.parametrize("limit", [1, 7, 100])
async def test_every_posting_is_visited_once_and_balances_go_on_from_page_to_page(billing: Bench, limit: int) -> None:
    """BIL-15: What is posted meanwhile comes at the end; what was shown is never changed by it."""
    await billing.save(*(line for number in range(60) for line in paid(number)))
    visited: list[dict[str, Any]] = []
    async for page in pages(billing, limit=limit):
        if not visited:
            await billing.save(*paid(60))
        visited += page
    assert [one["cause_id"] for one in visited] == [f"paid-{number}" for number in range(61) for _ in "dc"]
    balances: Counter[str] = Counter()
    for one in visited:
        balances[one["account"]] += one["debit"] - one["credit"]
        assert one["balance"] == balances[one["account"]]


@pytest.mark.parametrize(
    "asked", [{"account": "1100"}, {"order_id": "o-1"}, {"bill_id": "b:o-2"}, {"account": "1000", "order_id": "o-0"}]
)
async def test_a_statement_of_one_account_order_or_bill_has_balances_of_its_own(
    billing: Bench, asked: dict[str, str]
) -> None:
    """BIL-15: Asked about something, a statement adds up that and nothing else."""
    await billing.save(*(line for number in range(30) for line in paid(number)))
    visited = [one async for page in pages(billing, limit=4, **asked) for one in page]
    everything = [one async for page in pages(billing, limit=100) for one in page]
    wanted = [one for one in everything if all(one[name] == value for name, value in asked.items())]
    assert visited, "there is something to add up"
    assert [one["entry"] for one in visited] == [one["entry"] for one in wanted]
    balances: Counter[str] = Counter()
    for one in visited:
        balances[one["account"]] += one["debit"] - one["credit"]
        assert one["balance"] == balances[one["account"]]


@pytest.mark.parametrize("asked", ["account=9999", "order_id=a b", "bill_id='", "limit=0"])
async def test_what_no_statement_can_be_asked_about_is_refused(billing: Bench, asked: str) -> None:
    name, _, value = asked.partition("=")
    refused = await billing.get(STATEMENT, ANN, **{name: value})
    assert (refused.status_code, refused.json()["code"]) == (422, "INVALID_REQUEST")
    assert [one["parameter"] for one in refused.json()["errors"]] == [f"query.{name}"]


async def test_a_cursor_of_another_list_is_refused(billing: Bench) -> None:
    refused = await billing.get(STATEMENT, ANN, cursor="WyJiaWxscyIsIjIwMjctMDMtMTEiLCJiOm8tMSJd")
    assert (refused.status_code, refused.json()["code"]) == (400, "BAD_CURSOR")


async def test_two_currencies_are_never_added_up(billing: Bench) -> None:
    """I-1: Balances are per account and currency."""
    euros = [Posting(**{**fields(one), "currency": "EUR", "cause_id": "euros"}) for one in paid(1, 7)]
    await billing.save(*paid(0), *euros)
    shown = (await billing.read(STATEMENT, ANN))["items"]
    cash = [(one["currency"], one["balance"]) for one in shown if one["account"] == "1000"]
    assert cash == [("CNY", 100), ("EUR", 7)]


def fields(posting: Posting) -> dict[str, Any]:
    return {name: getattr(posting, name) for name in Posting.__slots__}


async def test_in_sql_the_statement_is_a_view_with_the_same_balances(billing: Bench) -> None:
    """BIL-15: ``account_statement`` for people who ask the database."""
    await billing.save(*journal(), *(line for number in range(10) for line in paid(number)))
    shown = [one async for page in pages(billing, limit=5) for one in page]
    rows = await sql(billing, "SELECT * FROM account_statement WHERE buyer_id = 'ann' ORDER BY entry")
    assert [(row["entry"], row["name"], row["balance"]) for row in rows] == [
        (one["entry"], one["name"], one["balance"]) for one in shown
    ]


# -- the trial balance -------------------------------------------------------------------------------------------------


async def test_a_trial_balance_names_its_accounts_and_shows_that_debits_are_credits(billing: Bench) -> None:
    """I-1, BIL-15: A finance person reads the accounts by their names and sees that they balance."""
    await billing.save(*journal())
    assert await billing.read(TRIAL_BALANCE_PATH, "operator") == {
        "accounts": [
            {
                "account": "1000",
                "name": "Provider cash",
                "kind": "ASSET",
                "currency": "CNY",
                "debit": 2_900,
                "credit": 0,
                "balance": 2_900,
            },
            {
                "account": "1100",
                "name": "Principal receivable",
                "kind": "ASSET",
                "currency": "CNY",
                "debit": 12_900,
                "credit": 2_900,
                "balance": 10_000,
            },
            {
                "account": "2000",
                "name": "Merchant payable",
                "kind": "LIABILITY",
                "currency": "CNY",
                "debit": 0,
                "credit": 12_900,
                "balance": -12_900,
            },
        ],
        "totals": [{"currency": "CNY", "debit": 15_800, "credit": 15_800, "balanced": True}],
    }


async def test_a_day_ends_at_the_tenants_midnight(billing: Bench) -> None:
    """T-2: What is posted at the last moment of a local day belongs to it, at its midnight to the next one."""
    midnight = datetime(2027, 3, 31, 16, tzinfo=UTC)  # in Shanghai
    last = midnight.replace(hour=15, minute=59, second=59, microsecond=999_999)
    for number, at in enumerate((last, midnight)):
        await billing.save(*(Posting(**{**fields(one), "posted_at": at}) for one in paid(number)))
    for day, cash in (("2027-03-30", None), ("2027-03-31", 100), ("2027-04-01", 200), (None, 200)):
        shown = await billing.read(TRIAL_BALANCE_PATH, "operator", **({"on": day} if day else {}))
        assert shown.get("on") == day
        assert {one["account"]: one["balance"] for one in shown["accounts"]}.get("1000") == cash
        assert all(one["balanced"] for one in shown["totals"])


async def test_each_currency_has_its_own_accounts_and_its_own_total(billing: Bench) -> None:
    """I-1: Debits and credits are equal in every currency."""
    euros = [Posting(**{**fields(one), "currency": "EUR", "cause_id": "euros"}) for one in paid(1, 7)]
    await billing.save(*paid(0), *euros)
    shown = await billing.read(TRIAL_BALANCE_PATH, "operator")
    assert [(one["currency"], one["account"], one["balance"]) for one in shown["accounts"]] == [
        ("CNY", "1000", 100),
        ("CNY", "1100", -100),
        ("EUR", "1000", 7),
        ("EUR", "1100", -7),
    ]
    assert [(one["currency"], one["debit"], one["credit"]) for one in shown["totals"]] == [
        ("CNY", 100, 100),
        ("EUR", 7, 7),
    ]


async def test_sums_may_be_larger_than_any_amount_of_a_message(billing: Bench) -> None:
    """Many payments of the largest amount there is: a sum has no limit of its own."""
    largest = 10**12
    await billing.save(*(line for number in range(20) for line in paid(number, largest)))
    shown = await billing.read(TRIAL_BALANCE_PATH, "operator")
    assert [one["debit"] for one in shown["totals"]] == [20 * largest]
    assert (await billing.read(STATEMENT, ANN))["items"][-1]["balance"] < -largest


@pytest.mark.parametrize("on", ["yesterday", "2027-02-29", "20270301", "9999-01-01", ""])
async def test_a_day_that_is_none_is_refused(billing: Bench, on: str) -> None:
    refused = await billing.get(TRIAL_BALANCE_PATH, "operator", on=on)
    assert (refused.status_code, refused.json()["code"]) == (422, "INVALID_REQUEST")


async def test_whoever_is_no_operator_is_told_whom_it_is_for(billing: Bench) -> None:
    refused = await billing.get(TRIAL_BALANCE_PATH, ANN)
    assert (refused.status_code, refused.json()["code"]) == (403, "SCOPE_INSUFFICIENT")
    assert 'error="insufficient_scope"' in refused.headers["www-authenticate"]


async def test_in_sql_the_trial_balance_is_a_view_and_of_a_day_a_function(billing: Bench) -> None:
    """BIL-15: ``trial_balance`` and ``trial_balance_on`` for people who ask the database."""
    await billing.save(*journal(), *(line for number in range(10) for line in paid(number)))
    for statement, asked in (
        ("SELECT * FROM trial_balance", {}),
        ("SELECT * FROM trial_balance_on('2027-03-04')", {"on": "2027-03-04"}),
        ("SELECT * FROM trial_balance_on('2027-03-04', 'America/Lima')", {"on": "2027-03-05"}),  # at noon in Shanghai
    ):
        rows = await sql(billing, statement)
        assert rows == (await billing.read(TRIAL_BALANCE_PATH, "operator", **asked))["accounts"]
        assert sum(row["balance"] for row in rows) == 0


async def test_finance_may_be_given_these_and_nothing_else(billing: Bench) -> None:
    """BIL-15: The grants that the page names are enough to read, and for no more."""
    await billing.save(*journal())
    granted = re.search(r"GRANT SELECT ON (.*) TO finance;", PAGE)
    assert granted is not None
    async with billing.database.connection("reading") as connection:
        change = connection.transaction()
        await change.start()
        await connection.execute(f"""
            CREATE ROLE finance;
            GRANT USAGE ON SCHEMA billing_views TO finance;
            GRANT SELECT ON {granted[1].replace("billing.", "billing_views.")} TO finance;
            SET LOCAL ROLE finance;
        """)
        for readable in ("trial_balance", "trial_balance_on('2027-03-31')", "account_statement", "ledger_account"):
            assert await connection.fetch(f"SELECT * FROM {readable}")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.fetch("SELECT * FROM bill")
        await change.rollback()


async def test_every_account_of_the_chart_has_a_name(billing: Bench) -> None:
    """BIL-15: No account is left to a reader's memory, and none is named that is not there."""
    rows = await sql(billing, "SELECT * FROM ledger_account")
    assert {row["account"] for row in rows} == set(LedgerAccount)
    assert len({row["name"] for row in rows}) == len(LedgerAccount)
    of_kind = {"1": "ASSET", "2": "LIABILITY", "4": "INCOME", "5": "EXPENSE"}
    assert all(row["kind"] == of_kind[row["account"][0]] for row in rows)


# -- what they cost ----------------------------------------------------------------------------------------------------

LONG_JOURNAL = """
INSERT INTO journal (buyer_id, cause_id, n, posted_at, fact, account, debit, credit, currency, order_id)
SELECT 'b-' || number % 500, 'c-' || number, n, timestamptz '2027-01-01' + number * interval '1 hour', 'REPAYMENT',
       CASE n WHEN 0 THEN '1000' ELSE '1100' END, (1 - n) * 100, n * 100, 'CNY', 'o-' || number % 1000
FROM generate_series(1, 20000) AS number, generate_series(0, 1) AS n
"""


@pytest.fixture
async def long_journal(billing: Bench) -> Bench:
    """A journal of two years and of many buyers, of which the planner knows."""
    async with billing.database.connection("writing") as connection:
        await connection.execute(LONG_JOURNAL)
        await connection.execute("ANALYZE journal")
        await connection.execute("SELECT brin_summarize_new_values('journal_by_time')")  # as time does
    return billing


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        ("SELECT * FROM account_statement WHERE buyer_id = 'b-7' ORDER BY entry", "journal_of_buyer"),
        ("SELECT * FROM trial_balance", "journal_by_time"),
        ("SELECT * FROM trial_balance_on('2027-02-01')", "journal_by_time"),
    ],
)
async def test_what_is_asked_in_sql_goes_by_an_index(long_journal: Bench, statement: str, index: str) -> None:
    plan = await explained(long_journal, f"EXPLAIN {statement}")
    assert index in plan
    assert "Seq Scan" not in plan


@pytest.mark.parametrize(
    ("query", "given", "index"),
    [
        pytest.param(POSTINGS, "'b-7', 5000, NULL, NULL, NULL, 21", "journal_of_buyer", id="postings"),
        pytest.param(CARRIED, "'b-7', 5000, NULL, NULL, NULL", "journal_of_buyer", id="carried"),
        pytest.param(BILL, "'b-7', 'Asia/Shanghai', 'b:o-7'", "journal_of_buyer", id="bill"),
        pytest.param(PLAN, "'b-7', 'o-7'", "journal_of_buyer", id="plan"),
        pytest.param(TRIAL_BALANCE, "'2027-02-01', 'Asia/Shanghai'", "journal_by_time", id="trial balance"),
    ],
)
async def test_what_is_asked_of_a_long_journal_goes_by_an_index(
    long_journal: Bench, query: Query[Any], given: str, index: str
) -> None:
    """With the plan that is kept for every caller, over a table whose size the planner knows."""
    prepared = f"SET plan_cache_mode = force_generic_plan; PREPARE long AS {query.sql}"
    try:
        plan = await explained(long_journal, prepared, f"EXPLAIN EXECUTE long ({given})")
    finally:
        await explained(long_journal, "RESET plan_cache_mode", "DEALLOCATE long", "SELECT 'as it was'")
    assert index in plan
    assert "Seq Scan" not in plan


async def test_a_trial_balance_of_an_early_day_reads_the_journal_up_to_it_only(long_journal: Bench) -> None:
    """The index on the time says where the day ends; what was posted long after it is not looked at."""
    statement = "SELECT * FROM trial_balance_on('2027-01-15')"
    plan = await explained(long_journal, f"EXPLAIN (ANALYZE, TIMING OFF, SUMMARY OFF) {statement}")
    (read,) = re.findall(r"Heap Blocks: lossy=(\d+)", plan)
    (size,) = await sql(long_journal, "SELECT pg_relation_size('journal') / 8192 AS blocks")
    assert int(read) < size["blocks"] / 2
