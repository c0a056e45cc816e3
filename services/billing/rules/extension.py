"""A later due date: who may grant it, for how long and at what price (B-E). Amounts are minor units."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from services.billing.rules import ledger
from services.billing.rules.debts import Debts
from services.billing.rules.dues import lines_of
from services.billing.rules.lines import next_version, redated
from services.billing.state import Bill, BillStatus, Extension, ExtensionStatus, Plan
from shared.contracts.billing import RequestExtension
from shared.contracts.policy import Approver, ExtensionOption

__all__ = ["DECIDED_WITHIN", "approver", "extended", "offered", "requested"]

DECIDED_WITHIN = timedelta(hours=48)
"""A wish that nobody has decided on by then lapses."""


def offered(bill: Bill, days: int) -> ExtensionOption | None:
    """The option of the bill's terms for so many days."""
    return next((option for option in bill.terms.extension.options if option.days == days), None)


def approver(bill: Bill) -> Approver:
    """Who decides: a merchant only where every line is one merchant's, else the platform in its place."""
    stated = bill.terms.extension.approver
    shared = len({line.merchant_id for line in bill.lines}) > 1
    return "PLATFORM" if stated == "MERCHANT" and shared else stated


def requested(command: RequestExtension, option: ExtensionOption, bill: Bill, now: datetime, content: str) -> Extension:
    """The wish, waiting for its decision."""
    return Extension(
        buyer_id=command.buyer_id,
        extension_id=command.extension_id,
        bill_id=command.bill_id,
        status=ExtensionStatus.REQUESTED,
        days=option.days,
        fee=option.fee,
        approver=approver(bill),
        until=now + DECIDED_WITHIN,
        content=content,
    )


def extended(debts: Debts, extension: Extension) -> Debts:
    """The debts with the extension granted: every unpaid line of the bill is due later, each new date with its number.

    The ladder begins anew; the price is a fee of the first unpaid line.
    """
    bill = debts.bills[extension.bill_id]
    unpaid = {line.place for line, part in lines_of(bill, debts.plans) if part.unpaid}
    dates = sorted({line.due_on for line in bill.lines if line.place in unpaid})
    versions = {due_on: version for version, due_on in enumerate(dates, start=next_version(bill))}
    lines = tuple(
        replace(
            line,
            due_on=line.due_on + timedelta(days=extension.days),
            due_version=versions[line.due_on],
            paused_dpd=None if line.paused_dpd is None else max(0, line.paused_dpd - extension.days),
            last_step=0,
        )
        if line.place in unpaid
        else line
        for line in bill.lines
    )
    first = min((line for line in lines if line.place in unpaid), key=lambda line: line.due_on)
    plan = debts.plans[first.order_id]
    if extension.fee:
        debts = debts.with_plans(_with_fee(plan, first.seq, extension.fee))
        debts = debts.moving(ledger.extension_granted(plan, bill.bill_id, extension.fee))
    later = replace(bill, lines=lines, extended=True, status=BillStatus.ISSUED)
    return debts.with_bills(replace(redated(later, debts.plans), last_step=0, max_dpd=0))


def _with_fee(plan: Plan, seq: int, fee: int) -> Plan:
    one = plan.instalments[seq - 1]
    return plan.with_instalment(replace(one, fee=one.fee + fee))
