"""From an accepted order to its plan, and to the bills its instalments stand on (B-P)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import date, timedelta

from services.billing.state import Bill, BillStatus, BillTerms, Instalment, Line, Plan, PlanStatus
from shared.contracts.checkout import OrderAccepted
from shared.contracts.policy import INTEREST_FREE_DAYS
from shared.kernel.calendar import months_after
from shared.kernel.money import equal_split, percentage

__all__ = [
    "CurrencyDiffers",
    "StatementsUnknown",
    "bill_id_of",
    "bills_holding",
    "opened_plan",
    "statement_id",
    "statement_ids",
]

FIRST_DUE_VERSION = 1

STATEMENTS_SPARE = 3
"""How many statements may be cut already when an order is heard of whose instalments would stand on them."""


class CurrencyDiffers(ValueError):
    """An order in another currency than its buyer's debts: a dead letter, so that sums stay sums."""


class StatementsUnknown(ValueError):
    """An order is heard of so late that its statements were cut long ago: a dead letter, so that no debt is lost."""


def bill_id_of(order_id: str) -> str:
    """The id of the bill that holds one PAY_AFTER_USE order."""
    return f"b:{order_id}"


def statement_id(buyer_id: str, statement_on: date) -> str:
    """The id of a buyer's statement of that day."""
    return f"m:{buyer_id}:{statement_on}"


def statement_ids(accepted: OrderAccepted) -> Iterator[str]:
    """The statements an order may stand on, by the message alone: some more than it has instalments."""
    if accepted.product == "MONTHLY":
        earliest = accepted.accepted_at.date() - timedelta(days=1)  # whatever the tenant's zone is
        for statement_on in months_after(earliest, accepted.instalments + STATEMENTS_SPARE):
            yield statement_id(accepted.buyer_id, statement_on)


def opened_plan(accepted: OrderAccepted, accepted_on: date, statements: Mapping[str, Bill]) -> Plan:
    """The plan of an accepted order (B-P1 to P3).

    PAY_AFTER_USE has one instalment on a bill of its own, without a fee. MONTHLY has one or several, each on the next
    statement after the acceptance date that is not cut; principal and fee are split evenly, the earlier taking more.
    ``statements`` are those that exist already of :func:`statement_ids`.
    """
    count = accepted.instalments
    if accepted.product == "PAY_AFTER_USE":
        bill_ids, fee = [bill_id_of(accepted.order_id)], 0
    else:
        bill_ids = list(_next_statements(accepted, accepted_on, statements))
        fee = percentage(accepted.amount, accepted.terms.fee_bps(count))
    parts = zip(bill_ids, equal_split(accepted.amount, count), equal_split(fee, count), strict=True)
    return Plan(
        buyer_id=accepted.buyer_id,
        order_id=accepted.order_id,
        merchant_id=accepted.merchant_id,
        status=PlanStatus.OPEN,
        product=accepted.product,
        currency=accepted.currency,
        accepted_on=accepted_on,
        principal=accepted.amount,
        instalments=tuple(Instalment(seq, *part) for seq, part in enumerate(parts, start=1)),
        refund_policy=accepted.terms.refund_policy,
    )


def bills_holding(plan: Plan, accepted: OrderAccepted, statements: Mapping[str, Bill]) -> list[Bill]:
    """The bills of a new plan with its instalments on them; a bill has the terms of its first line (B-P4)."""
    if plan.product == "PAY_AFTER_USE":
        due_on = plan.accepted_on + timedelta(days=accepted.terms.window_days)
        return [_new_bill(plan, accepted, plan.instalments[0], due_on, None)]
    return [_statement_holding(plan, accepted, one, statements.get(one.bill_id)) for one in plan.instalments]


def _statement_holding(plan: Plan, accepted: OrderAccepted, one: Instalment, statement: Bill | None) -> Bill:
    statement_on = date.fromisoformat(one.bill_id.rpartition(":")[2])
    if statement is None:
        return _new_bill(plan, accepted, one, statement_on + timedelta(days=INTEREST_FREE_DAYS), statement_on)
    line = Line(plan.order_id, plan.merchant_id, one.seq, statement.due_on, statement.due_version)
    return replace(statement, lines=(*statement.lines, line), billed=statement.billed + one.principal)


def _new_bill(plan: Plan, accepted: OrderAccepted, one: Instalment, due_on: date, statement_on: date | None) -> Bill:
    terms = accepted.terms
    return Bill(
        buyer_id=plan.buyer_id,
        bill_id=one.bill_id,
        kind=plan.product,
        status=BillStatus.ISSUED if statement_on is None else BillStatus.SCHEDULED,
        currency=plan.currency,
        due_on=due_on,
        due_version=FIRST_DUE_VERSION,
        lines=(Line(plan.order_id, plan.merchant_id, one.seq, due_on, FIRST_DUE_VERSION),),
        terms=BillTerms(terms.late_fee, terms.extension, terms.dunning),
        billed=one.principal,
        statement_on=statement_on,
    )


def _next_statements(accepted: OrderAccepted, accepted_on: date, statements: Mapping[str, Bill]) -> Iterable[str]:
    """The statements of an order's instalments: the first ones after its acceptance that are not cut yet (B-P2)."""
    known = set(statement_ids(accepted))
    ids = (statement_id(accepted.buyer_id, day) for day in months_after(accepted_on, len(known)))
    free = [one for one in ids if one in known and _is_open(statements.get(one))][: accepted.instalments]
    if len(free) < accepted.instalments:
        raise StatementsUnknown(f"the statements of {accepted.order_id} are cut")
    return free


def _is_open(statement: Bill | None) -> bool:
    return statement is None or statement.status is BillStatus.SCHEDULED
