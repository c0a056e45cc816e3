"""Double entry: which accounts a fact moves (spec 6). The postings of one fact sum to zero (I-1)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import NamedTuple

from services.billing.state import Allocation, Component, JournalFact, LedgerAccount, Plan, Posting, Refund
from shared.contracts.refunds import PayoutReported
from shared.engine.vocabulary import Cause

__all__ = [
    "Movement",
    "Unbalanced",
    "charged_off",
    "credit_applied",
    "debt_reinstated",
    "extension_granted",
    "instalment_fee_cancelled",
    "late_fee_assessed",
    "late_fee_reversed",
    "money_came",
    "money_left_over",
    "paid",
    "payout_reported",
    "plan_opened",
    "post",
    "refund_in_cash",
    "refund_on_debt",
    "reinstated_fee_reversed",
]

_A = LedgerAccount

_RECEIVABLE: Mapping[Component, LedgerAccount] = {
    "LATE_FEE": _A.LATE_FEE_RECEIVABLE,
    "FEE": _A.FEE_RECEIVABLE,
    "PRINCIPAL": _A.PRINCIPAL_RECEIVABLE,
}


class Unbalanced(ValueError):
    """Debits and credits of one fact differ: a mistake in the rules, and nothing is posted."""


class Movement(NamedTuple):
    """An amount on one account: a debit above zero, a credit below."""

    fact: JournalFact
    account: LedgerAccount
    amount: int
    order_id: str | None = None
    bill_id: str | None = None
    merchant_id: str | None = None


# -- debts arise -------------------------------------------------------------------------------------------------------


def plan_opened(plan: Plan) -> list[Movement]:
    """The buyer owes principal and fee; the merchant is owed the principal, the fee is earned."""
    order, merchant = plan.order_id, plan.merchant_id
    return [
        Movement("PLAN_OPENED", _A.PRINCIPAL_RECEIVABLE, plan.principal, order, None, merchant),
        Movement("PLAN_OPENED", _A.FEE_RECEIVABLE, plan.fee, order, None, merchant),
        Movement("PLAN_OPENED", _A.MERCHANT_PAYABLE, -plan.principal, order, None, merchant),
        Movement("PLAN_OPENED", _A.INSTALMENT_FEE_INCOME, -plan.fee, order, None, merchant),
    ]


def late_fee_assessed(bill_id: str, amount: int) -> list[Movement]:
    """The buyer owes a late fee, and it is earned."""
    return [
        Movement("LATE_FEE_ASSESSED", _A.LATE_FEE_RECEIVABLE, amount, bill_id=bill_id),
        Movement("LATE_FEE_ASSESSED", _A.LATE_FEE_INCOME, -amount, bill_id=bill_id),
    ]


def extension_granted(plan: Plan, bill_id: str, fee: int) -> list[Movement]:
    """The buyer owes the price of a later due date, and it is earned."""
    order, merchant = plan.order_id, plan.merchant_id
    return [
        Movement("EXTENSION_GRANTED", _A.FEE_RECEIVABLE, fee, order, bill_id, merchant),
        Movement("EXTENSION_GRANTED", _A.EXTENSION_FEE_INCOME, -fee, order, bill_id, merchant),
    ]


# -- money comes in ----------------------------------------------------------------------------------------------------


def money_came(
    amount: int, *, order_id: str | None, bill_id: str | None, merchant_id: str | None = None
) -> list[Movement]:
    """The provider holds it; paid outside, to ``merchant_id``, that one is owed less. Its use is posted apart."""
    account = _A.PROVIDER_CASH if merchant_id is None else _A.MERCHANT_PAYABLE
    return [Movement("REPAYMENT", account, amount, order_id, bill_id, merchant_id)]


def money_left_over(amount: int, *, order_id: str | None, bill_id: str | None) -> list[Movement]:
    """What nobody owed is the buyer's credit."""
    return [Movement("REPAYMENT", _A.BUYER_CREDIT, -amount, order_id, bill_id)]


def paid(parts: Iterable[Allocation], plans: Mapping[str, Plan]) -> Iterator[Movement]:
    """Money of the buyer pays parts of the debt."""
    return _lowered("REPAYMENT", parts, plans)


def debt_reinstated(part: Allocation, bill_id: str, plans: Mapping[str, Plan]) -> list[Movement]:
    """A bank took money back: what it had paid is owed again, on another bill; late fees as fees."""
    about = (part.order_id, bill_id, plans[part.order_id].merchant_id)
    account = _A.PRINCIPAL_RECEIVABLE if part.component == "PRINCIPAL" else _A.FEE_RECEIVABLE
    return [
        Movement("REPAYMENT_REVERSED", account, part.amount, *about),
        Movement("REPAYMENT_REVERSED", _A.PROVIDER_CASH, -part.amount, *about),
    ]


# -- debts are taken back ----------------------------------------------------------------------------------------------


def late_fee_reversed(bill_id: str, unpaid: int, paid: int) -> list[Movement]:
    """Less is earned: the unpaid part is owed no longer, the paid part is the buyer's credit."""
    return [
        Movement("FEE_REVERSED", _A.LATE_FEE_INCOME, unpaid + paid, bill_id=bill_id),
        Movement("FEE_REVERSED", _A.LATE_FEE_RECEIVABLE, -unpaid, bill_id=bill_id),
        Movement("FEE_REVERSED", _A.BUYER_CREDIT, -paid, bill_id=bill_id),
    ]


def reinstated_fee_reversed(part: Allocation, bill_id: str, plans: Mapping[str, Plan]) -> Iterator[Movement]:
    """Less is earned of a late fee of ``bill_id``, and less is owed of the fee it had become elsewhere: ``part``."""
    yield Movement("FEE_REVERSED", _A.LATE_FEE_INCOME, part.amount, bill_id=bill_id)
    yield from _lowered("FEE_REVERSED", (part,), plans)


def credit_applied(parts: Iterable[Allocation], plans: Mapping[str, Plan]) -> Iterator[Movement]:
    """The buyer's credit, which was a late fee, pays parts of the debt."""
    for part in parts:
        order, merchant = _subject(part, plans)
        yield Movement("FEE_REVERSED", _A.BUYER_CREDIT, part.amount, order, part.bill_id, merchant)
    yield from _lowered("FEE_REVERSED", parts, plans)


def instalment_fee_cancelled(plan: Plan, bill_id: str, amount: int) -> list[Movement]:
    """The fee of an instalment not yet billed is not earned (B-R2)."""
    order, merchant = plan.order_id, plan.merchant_id
    return [
        Movement("FEE_REVERSED", _A.INSTALMENT_FEE_INCOME, amount, order, bill_id, merchant),
        Movement("FEE_REVERSED", _A.FEE_RECEIVABLE, -amount, order, bill_id, merchant),
    ]


def refund_on_debt(part: Allocation, plan: Plan) -> list[Movement]:
    """A refund pays a part of the debt: the merchant is owed less by as much."""
    order, merchant = plan.order_id, plan.merchant_id
    return [
        Movement("REFUND", _A.MERCHANT_PAYABLE, part.amount, order, None, merchant),
        *_lowered("REFUND", (part,), {plan.order_id: plan}),
    ]


def refund_in_cash(plan: Plan, amount: int) -> list[Movement]:
    """What is to be paid out the merchant is owed less."""
    order, merchant = plan.order_id, plan.merchant_id
    return [
        Movement("REFUND", _A.MERCHANT_PAYABLE, amount, order, None, merchant),
        Movement("REFUND", _A.REFUNDS_PAYABLE, -amount, order, None, merchant),
    ]


def charged_off(component: Component, amount: int, bill_id: str, plan: Plan | None = None) -> list[Movement]:
    """What is written off is a loss; late fees are no plan's."""
    about = (plan.order_id, bill_id, plan.merchant_id) if plan is not None else (None, bill_id, None)
    return [
        Movement("CHARGE_OFF", _A.CREDIT_LOSS, amount, *about),
        Movement("CHARGE_OFF", _RECEIVABLE[component], -amount, *about),
    ]


# -- money goes out ----------------------------------------------------------------------------------------------------


def payout_reported(reported: PayoutReported, refund: Refund) -> list[Movement]:
    """Money left, or bounced and came back; nothing else a provider says moves an account.

    Outside, the merchant pays in the provider's place: posted only for an overpayment, where billing owed the money.
    """
    overpaid = reported.cause == "OVERPAYMENT"
    if reported.outcome not in ("SUCCEEDED", "RETURNED") or (reported.kind == "EXTERNAL" and not overpaid):
        return []
    owed = _A.BUYER_CREDIT if overpaid else _A.REFUNDS_PAYABLE
    payer = _A.MERCHANT_PAYABLE if reported.kind == "EXTERNAL" else _A.PROVIDER_CASH
    amount = reported.amount if reported.outcome == "SUCCEEDED" else -reported.amount
    subject = (refund.order_id, refund.bill_id, refund.merchant_id)
    return [Movement("PAYOUT", owed, amount, *subject), Movement("PAYOUT", payer, -amount, *subject)]


# -- the journal -------------------------------------------------------------------------------------------------------


def post(buyer_id: str, currency: str, movements: Iterable[Movement], cause: Cause, now: datetime) -> list[Posting]:
    """The postings of one message: movements of one fact on one account about one subject together, none of zero.

    :class:`Unbalanced` unless they sum to zero.
    """
    sums: dict[tuple[JournalFact, LedgerAccount, str | None, str | None, str | None], int] = {}
    for fact, account, amount, order_id, bill_id, merchant_id in movements:
        place = (fact, account, order_id, bill_id, merchant_id)
        sums[place] = sums.get(place, 0) + amount
    if sum(sums.values()):
        raise Unbalanced(f"the postings of {cause.id} do not sum to zero")
    moved = [(*place, amount) for place, amount in sums.items() if amount]
    return [
        Posting(buyer_id, cause.id, n, now, fact, account, max(amount, 0), max(-amount, 0), currency, *subject)
        for n, (fact, account, *subject, amount) in enumerate(moved)
    ]


def _lowered(fact: JournalFact, parts: Iterable[Allocation], plans: Mapping[str, Plan]) -> Iterator[Movement]:
    """Less is owed; of what had been written off that is a recovery."""
    for part in parts:
        order, merchant = _subject(part, plans)
        about = (order, part.bill_id, merchant)
        yield Movement(fact, _RECEIVABLE[part.component], part.recovers - part.amount, *about)
        yield Movement(fact, _A.RECOVERIES, -part.recovers, *about)


def _subject(part: Allocation, plans: Mapping[str, Plan]) -> tuple[str | None, str | None]:
    """The order and merchant a part is about; a late fee is the bill's."""
    if part.component == "LATE_FEE":
        return None, None
    return part.order_id, plans[part.order_id].merchant_id
