"""What became of a bill and of a plan, reckoned from the journal, oldest first.

A plan is opened in the journal by one posting for its principal and one for its fee, both about the order; whatever
moves a receivable afterwards is posted about an order and a bill, or about a bill alone where it is a late fee. An
order has one instalment on a bill, so order and bill name the instalment. Amounts are minor units.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import groupby

from pydantic import Field

from services.billing.state import Bill, Component, Instalment, JournalFact, LedgerAccount, Plan, Posting
from shared.contracts.billing import InstalmentBalance
from shared.contracts.fields import Instant, Money, OrderId, SignedMoney
from shared.operations.views import View

__all__ = ["DebtChange", "ScheduleChange", "bill_history", "plan_history"]

_A = LedgerAccount

_COMPONENTS: Mapping[LedgerAccount, Component] = {
    _A.PRINCIPAL_RECEIVABLE: "PRINCIPAL",
    _A.FEE_RECEIVABLE: "FEE",
    _A.LATE_FEE_RECEIVABLE: "LATE_FEE",
    _A.RECOVERIES: "PRINCIPAL",
}
"""What a posting on these accounts says of a debt; on the others it is about money, income and loss."""


# -- of a bill ---------------------------------------------------------------------------------------------------------


class DebtChange(View):
    """Something that happened to what a bill costs.

    ``owed`` is what was owed before + ``amount``; only a CHARGE_OFF of principal leaves it, as that can still be paid.
    """

    posted_at: Instant = Field(
        description="When it happened; what was heard of late is older than what stands before it"
    )
    fact: JournalFact = Field(description="What happened, as in the journal")
    order_id: OrderId | None = Field(default=None, description="The order; absent for a late fee, which is the bill's")
    component: Component = Field(description="What it was about")
    amount: SignedMoney = Field(description="What it added (above 0) or took away (below 0), in minor units")
    owed: Money = Field(description="What the bill cost afterwards, all that could still be paid, in minor units")
    charged_off: Money | None = Field(
        default=None, description="How much of it was principal that is written off, in minor units; absent: none"
    )
    cause_id: str = Field(description="The message that brought it about")


def bill_history(bill: Bill, plans: Mapping[str, Plan], postings: Iterable[Posting]) -> list[DebtChange]:
    """What happened to a bill; ``postings`` are those about it, and those that opened the plans of its orders."""
    postings = tuple(postings)
    changes = []
    owed = charged_off = 0
    for posting in postings:
        component = _COMPONENTS.get(posting.account)
        if component is None:
            continue
        amount = _opened(bill, plans, posting, postings) if posting.bill_id is None else _moved(posting)
        if not amount:
            continue
        if posting.fact == "CHARGE_OFF" and component == "PRINCIPAL":
            charged_off -= amount
        else:
            owed += amount
        if posting.account is _A.RECOVERIES:
            charged_off += amount
        changes.append(
            DebtChange.of(posting, component=component, amount=amount, owed=owed, charged_off=charged_off or None)
        )
    return changes


def _opened(bill: Bill, plans: Mapping[str, Plan], opening: Posting, postings: Iterable[Posting]) -> int:
    """The bill's share in the posting that opened a plan: its instalment as it was then; of a reversal it has none."""
    if bill.kind == "REVERSAL" or opening.order_id is None:
        return 0
    part = next(one for one in plans[opening.order_id].instalments if one.bill_id == bill.bill_id)
    if opening.account is _A.PRINCIPAL_RECEIVABLE:
        return part.principal
    return _fee_at_first(part, opening.order_id, postings)


def _fee_at_first(part: Instalment, order_id: str, postings: Iterable[Posting]) -> int:
    """The fee of an instalment without the price of an extension, and with what a refund cancelled of it (B-R2)."""
    mine = [one for one in postings if (one.order_id, one.bill_id) == (order_id, part.bill_id)]
    added = sum(_moved(one) for one in mine if one.fact == "EXTENSION_GRANTED" and one.account is _A.FEE_RECEIVABLE)
    cancelled = sum(_moved(one) for one in mine if one.account is _A.INSTALMENT_FEE_INCOME)
    return part.fee - added + cancelled


# -- of a plan ---------------------------------------------------------------------------------------------------------


class ScheduleChange(View):
    """Something that changed the schedule of an order: its unpaid principal before and after."""

    posted_at: Instant = Field(
        description="When it happened; what was heard of late is older than what stands before it"
    )
    facts: tuple[JournalFact, ...] = Field(description="What happened, as in the journal")
    before: tuple[InstalmentBalance, ...] = Field(description="Each instalment; none before the plan was opened")
    after: tuple[InstalmentBalance, ...] = Field(description="Each instalment; a reversed repayment brings a new one")
    cause_id: str = Field(description="The message that brought it about")


def plan_history(plan: Plan, bills: Iterable[Bill], postings: Iterable[Posting]) -> list[ScheduleChange]:
    """How the schedule of a plan changed; ``postings`` are those that opened instalments or moved their principal.

    A reversed repayment brings an instalment of its own, also where it had paid fees alone.
    """
    reinstated = {bill.bill_id for bill in bills if bill.kind == "REVERSAL"}
    seqs = {part.bill_id: part.seq for part in plan.instalments}
    balances: dict[int, int] = {}
    changes = []
    for cause_id, postings_of_cause in groupby(postings, lambda one: one.cause_id):
        together = list(postings_of_cause)
        before = _balances(balances)
        for posting in together:
            if posting.bill_id is None:
                balances = {one.seq: one.principal for one in plan.instalments if one.bill_id not in reinstated}
            else:
                seq = seqs[posting.bill_id]
                principal = _moved(posting) if posting.account is _A.PRINCIPAL_RECEIVABLE else 0
                balances[seq] = balances.get(seq, 0) + principal
        changes.append(
            ScheduleChange(
                posted_at=together[0].posted_at,
                facts=tuple(dict.fromkeys(posting.fact for posting in together)),
                before=before,
                after=_balances(balances),
                cause_id=cause_id,
            )
        )
    return changes


def _balances(balances: Mapping[int, int]) -> tuple[InstalmentBalance, ...]:
    return tuple(InstalmentBalance(seq=seq, outstanding=balances[seq]) for seq in sorted(balances))


def _moved(posting: Posting) -> int:
    return posting.debit - posting.credit
