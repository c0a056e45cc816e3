"""Double entry: which accounts a fact moves (spec 6). The postings of one fact sum to zero (I-1)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

from services.billing.rules.refunding import Fall
from services.billing.state import Component, LedgerAccount, Plan, Posting, Refund, Repayment
from shared.contracts.refunds import PayoutReported
from shared.engine.vocabulary import Cause

__all__ = [
    "Movement",
    "Unbalanced",
    "payout_reported",
    "plan_opened",
    "post",
    "refund_allocated",
    "repayment_allocated",
]

_RECEIVABLE: Mapping[Component, LedgerAccount] = {
    "LATE_FEE": LedgerAccount.LATE_FEE_RECEIVABLE,
    "FEE": LedgerAccount.FEE_RECEIVABLE,
    "PRINCIPAL": LedgerAccount.PRINCIPAL_RECEIVABLE,
}


class Unbalanced(ValueError):
    """Debits and credits of one fact differ: a mistake in the rules, and nothing is posted."""


class Movement(NamedTuple):
    """An amount on one account: a debit above zero, a credit below."""

    account: LedgerAccount
    amount: int
    order_id: str | None
    bill_id: str | None
    merchant_id: str | None


def plan_opened(plan: Plan, cause: Cause, now: datetime) -> list[Posting]:
    """The buyer owes principal and fee; the merchant is owed the principal, the fee is earned."""
    order, merchant = plan.order_id, plan.merchant_id
    movements = (
        Movement(LedgerAccount.PRINCIPAL_RECEIVABLE, plan.principal, order, None, merchant),
        Movement(LedgerAccount.FEE_RECEIVABLE, plan.fee, order, None, merchant),
        Movement(LedgerAccount.MERCHANT_PAYABLE, -plan.principal, order, None, merchant),
        Movement(LedgerAccount.INSTALMENT_FEE_INCOME, -plan.fee, order, None, merchant),
    )
    return post(plan.buyer_id, plan.currency, movements, cause, now)


def repayment_allocated(repayment: Repayment, plans: Iterable[Plan], cause: Cause, now: datetime) -> list[Posting]:
    """Cash came in from the provider, receivables went down; what nobody owed is the buyer's credit."""
    merchants = {plan.order_id: plan.merchant_id for plan in plans}
    target = (repayment.order_id, repayment.bill_id)
    movements = [Movement(LedgerAccount.PROVIDER_CASH, repayment.amount, *target, None)]
    for part in repayment.allocations:
        account, merchant = _RECEIVABLE[part.component], merchants[part.order_id]
        movements.append(Movement(account, -part.amount, part.order_id, part.bill_id, merchant))
    movements.append(Movement(LedgerAccount.BUYER_CREDIT, -repayment.overpaid, *target, None))
    return post(repayment.buyer_id, repayment.currency, movements, cause, now)


def refund_allocated(fall: Fall, cause: Cause, now: datetime) -> list[Posting]:
    """The merchant is owed less: by what the buyer owes less, and by what is to be paid out.

    An EXTERNAL leg the merchant pays by himself, and what is unallocated nobody pays: neither is in the journal.
    """
    plan = fall.plan
    order, merchant = plan.order_id, plan.merchant_id
    cash = fall.amount_of("ORIGINAL_ROUTE", "WALLET")
    movements = [Movement(LedgerAccount.MERCHANT_PAYABLE, fall.amount_of("DEBT") + cash, order, None, merchant)]
    for seq, amount in fall.taken.items():
        bill_id = plan.instalments[seq - 1].bill_id
        movements.append(Movement(LedgerAccount.PRINCIPAL_RECEIVABLE, -amount, order, bill_id, merchant))
    movements.append(Movement(LedgerAccount.REFUNDS_PAYABLE, -cash, order, None, merchant))
    return post(plan.buyer_id, plan.currency, movements, cause, now)


def payout_reported(reported: PayoutReported, refund: Refund, cause: Cause, now: datetime) -> list[Posting]:
    """Money left, or bounced and came back; nothing else a provider says moves an account.

    Outside, the merchant pays in the provider's place: posted only for an overpayment, where billing owed the money.
    """
    overpaid = reported.cause == "OVERPAYMENT"
    if reported.outcome not in ("SUCCEEDED", "RETURNED") or (reported.kind == "EXTERNAL" and not overpaid):
        return []
    owed = LedgerAccount.BUYER_CREDIT if overpaid else LedgerAccount.REFUNDS_PAYABLE
    payer = LedgerAccount.MERCHANT_PAYABLE if reported.kind == "EXTERNAL" else LedgerAccount.PROVIDER_CASH
    amount = reported.amount if reported.outcome == "SUCCEEDED" else -reported.amount
    subject = (refund.order_id, refund.bill_id, refund.merchant_id)
    movements = (Movement(owed, amount, *subject), Movement(payer, -amount, *subject))
    return post(reported.buyer_id, reported.currency, movements, cause, now)


def post(buyer_id: str, currency: str, movements: Iterable[Movement], cause: Cause, now: datetime) -> list[Posting]:
    """The postings of one fact, without zero amounts; :class:`Unbalanced` unless they sum to zero."""
    postings: list[Posting] = []
    balance = 0
    for account, amount, *subject in movements:
        if amount:
            balance += amount
            debit, credit = (amount, 0) if amount > 0 else (0, -amount)
            n = len(postings)
            postings.append(Posting(buyer_id, cause.id, n, now, account, debit, credit, currency, *subject))
    if balance:
        raise Unbalanced(f"the postings of {cause.id} do not sum to zero")
    return postings
