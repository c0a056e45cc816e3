"""Writing a bill off: its fees are forgiven, its principal is a loss that can still be recovered (B-D4)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from services.billing.rules import ledger
from services.billing.rules.debts import Debts
from services.billing.rules.dues import lines_of
from services.billing.state import BillStatus, Instalment

__all__ = ["WrittenOff", "written_off"]


@dataclass(frozen=True, slots=True)
class WrittenOff:
    """The debts afterwards, and what was written off, in minor units."""

    debts: Debts
    principal: int
    fee: int
    late_fee: int


def written_off(debts: Debts, bill_id: str) -> WrittenOff:
    """Write off all that is outstanding on a bill, what is paused included."""
    bill = debts.bills[bill_id]
    principal = fee = 0
    for line, part in list(lines_of(bill, debts.plans)):
        principal, fee = principal + part.outstanding, fee + part.unpaid_fee
        debts = debts.with_plans(debts.plans[line.order_id].with_instalment(_forgiven(part)))
        plan = debts.plans[line.order_id]
        debts = debts.moving(ledger.charged_off("PRINCIPAL", part.outstanding, bill_id, plan))
        debts = debts.moving(ledger.charged_off("FEE", part.unpaid_fee, bill_id, plan))
    late_fee = bill.unpaid_late_fees
    debts = debts.moving(ledger.charged_off("LATE_FEE", late_fee, bill_id))
    closed = replace(
        bill,
        status=BillStatus.CHARGED_OFF,
        stage="CHARGED_OFF",
        late_fees=tuple(replace(one, charged_off=one.charged_off + one.unpaid) for one in bill.late_fees),
    )
    return WrittenOff(debts.with_bills(closed), principal, fee, late_fee)


def _forgiven(part: Instalment) -> Instalment:
    return replace(
        part,
        charged_off=part.charged_off + part.outstanding,
        fee_charged_off=part.fee_charged_off + part.unpaid_fee,
    )
