"""The journal as people read it: a buyer's statement of account, and the trial balance of the house.

In SQL the same are the views ``account_statement`` and ``trial_balance`` and the function ``trial_balance_on``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Literal

from fastapi import Query as Parameter
from pydantic import Field

from services.billing.state import JournalFact, LedgerAccount
from shared.contracts.billing import BillId
from shared.contracts.fields import BusinessDate, Currency, Instant, MerchantId, OrderId
from shared.drivers.queries import Query
from shared.operations.paging import Asked, Keyset, Page
from shared.operations.views import LISTING, OPERATORS_ONLY, OwnBuyer, Questions, View, Views, Zone

__all__ = ["views"]

views = Views(tags=["billing"])

Sum = Annotated[int, Field(description="Minor units; sums know no limit but the database's")]
AccountName = Annotated[str, Field(description="What the account is called")]


# -- the statement of an account ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PostingFound:
    """A posting and the name of its account."""

    entry: int
    posted_at: datetime
    fact: JournalFact
    account: LedgerAccount
    name: str
    order_id: str | None
    bill_id: str | None
    merchant_id: str | None
    currency: str
    debit: int
    credit: int
    cause_id: str

    @property
    def place(self) -> tuple[LedgerAccount, str]:
        """What has a balance of its own: an account in a currency."""
        return self.account, self.currency


@dataclass(frozen=True, slots=True)
class Carried:
    """What an account stood at before a page begins."""

    account: LedgerAccount
    currency: str
    balance: int


_ASKED_FOR = """
    buyer_id = $1 AND ($3::text IS NULL OR account = $3) AND ($4::text IS NULL OR order_id = $4)
    AND ($5::text IS NULL OR bill_id = $5)
"""

POSTINGS = Query(
    "postings",
    PostingFound,
    f"""
    SELECT id AS entry, posted_at, fact, account,
           (SELECT chart.name FROM ledger_account AS chart WHERE chart.account = journal.account) AS name,
           order_id, bill_id, merchant_id, currency, debit, credit, cause_id
    FROM journal WHERE id > $2 AND {_ASKED_FOR} ORDER BY id LIMIT $6
    """,  # noqa: S608
)
CARRIED = Query(
    "carried",
    Carried,
    f"""
    SELECT account, currency, sum(debit - credit)::bigint AS balance
    FROM journal WHERE id <= $2 AND {_ASKED_FOR} GROUP BY account, currency
    """,  # noqa: S608
)

OLDEST_POSTINGS = Keyset.of_numbers("journal", "entry", "account")
"""By their number, the oldest first: the order in which they were posted, and nothing is ever put in between."""


class PostingView(View):
    """One line of the journal: a debit or a credit, and what its account stood at afterwards."""

    entry: int = Field(ge=1, description="Its number in the journal; later ones are higher")
    posted_at: Instant = Field(
        description="When it happened; what was heard of late is older than what stands before it"
    )
    fact: JournalFact = Field(description="What happened")
    account: LedgerAccount = Field(description="Number of the account")
    name: AccountName
    order_id: OrderId | None = Field(default=None, description="The order it is about, if it is about one")
    bill_id: BillId | None = Field(default=None, description="The bill it is about, if it is about one")
    merchant_id: MerchantId | None = Field(default=None, description="The order's merchant")
    currency: Currency
    debit: Sum = Field(description="In minor units; 0 for a credit")
    credit: Sum = Field(description="In minor units; 0 for a debit")
    balance: Sum = Field(
        description="Debits - credits of the account up to here, within what was asked for, in minor units"
    )
    cause_id: str = Field(description="The message that brought it about; its postings sum to zero")


OfAccount = Annotated[LedgerAccount | None, Parameter(description="Of this account only")]
OfOrder = Annotated[OrderId | None, Parameter(description="About this order only")]
OfBill = Annotated[
    BillId | None, Parameter(description="About this bill only; the opening of a plan is about its order")
]


@views.get("/buyers/{buyer_id}/journal", responses=LISTING)
async def list_postings(
    buyer_id: OwnBuyer,
    asked: Asked,
    questions: Questions,
    account: OfAccount = None,
    order_id: OfOrder = None,
    bill_id: OfBill = None,
) -> Page[PostingView]:
    """The statement of a buyer's account: all that was posted, the oldest first, each with its account's balance.

    A page goes by an index; the balances it begins with fold what the buyer has before it.
    """
    after, _, limit = OLDEST_POSTINGS.after(asked)
    about = (account, order_id, bill_id)
    found = await questions.all(POSTINGS, buyer_id, after, *about, limit)
    carried = await questions.all(CARRIED, buyer_id, after, *about) if after else []
    return OLDEST_POSTINGS.page(asked, list(_balanced(found, carried)))


def _balanced(found: Iterable[PostingFound], carried: Iterable[Carried]) -> Iterator[PostingView]:
    """The postings, each with what its account stands at after it."""
    balances = {(one.account, one.currency): one.balance for one in carried}
    for posting in found:
        balances[posting.place] = balances.get(posting.place, 0) + posting.debit - posting.credit
        yield PostingView.of(posting, balance=balances[posting.place])


# -- the trial balance -------------------------------------------------------------------------------------------------

END_OF_DAYS = date.max
"""For PostgreSQL this is infinity: all that is posted."""

AccountKind = Literal["ASSET", "LIABILITY", "INCOME", "EXPENSE"]


@dataclass(frozen=True, slots=True)
class AccountFound:
    """An account as it stands, in one currency."""

    account: LedgerAccount
    name: str
    kind: AccountKind
    currency: str
    debit: int
    credit: int
    balance: int


TRIAL_BALANCE = Query(
    "trial_balance",
    AccountFound,
    """
    SELECT account, name, kind, currency, debit, credit, balance
    FROM trial_balance_on($1, $2) ORDER BY currency, account
    """,
)


class AccountView(View):
    """One account in one currency."""

    account: LedgerAccount = Field(description="Number of the account")
    name: AccountName
    kind: AccountKind = Field(description="ASSET and EXPENSE stand in debit as a rule, LIABILITY and INCOME in credit")
    currency: Currency
    debit: Sum = Field(description="All its debits, in minor units")
    credit: Sum = Field(description="All its credits, in minor units")
    balance: Sum = Field(description="debit - credit, in minor units; below 0 a credit balance")


class TotalView(View):
    """All accounts of one currency together."""

    currency: Currency
    debit: Sum = Field(description="All debits, in minor units")
    credit: Sum = Field(description="All credits, in minor units")
    balanced: bool = Field(description="Whether the two are equal, as they must be")

    @classmethod
    def of_currency(cls, currency: str, accounts: Iterable[AccountFound]) -> TotalView:
        mine = [one for one in accounts if one.currency == currency]
        debit, credit = sum(one.debit for one in mine), sum(one.credit for one in mine)
        return cls(currency=currency, debit=debit, credit=credit, balanced=debit == credit)


class TrialBalanceView(View):
    """Every account on which something was posted, and the proof that debits and credits are equal."""

    on: BusinessDate | None = Field(
        default=None, description="At the end of this day in the tenant's zone; absent: with all that is posted"
    )
    accounts: tuple[AccountView, ...] = Field(description="By currency, then by number")
    totals: tuple[TotalView, ...] = Field(description="One for each currency")


OnDay = Annotated[
    BusinessDate | None, Parameter(description="At the end of this day, YYYY-MM-DD; absent: with all that is posted")
]


@views.get("/trial-balance", dependencies=[OPERATORS_ONLY])
async def show_trial_balance(questions: Questions, zone: Zone, on: OnDay = None) -> TrialBalanceView:
    """The accounts of the house, for operators.

    It folds the journal up to the end of the day, by an index on the time, which tells where that is. So it takes half
    a second or more for each million postings, and like every view it is cut off after two seconds: then ask
    ``trial_balance_on`` in SQL, where nobody is kept waiting.
    """
    found = await questions.all(TRIAL_BALANCE, on or END_OF_DAYS, zone)
    currencies = dict.fromkeys(one.currency for one in found)
    return TrialBalanceView(
        on=on,
        accounts=tuple(AccountView.of(one) for one in found),
        totals=tuple(TotalView.of_currency(currency, found) for currency in currencies),
    )
