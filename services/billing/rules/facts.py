"""The events of billing, made from the rows they speak of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date

from services.billing.deadlines import DaysLeft
from services.billing.rules.collection import Prospect, unresolved
from services.billing.rules.delinquency import bucket_at
from services.billing.rules.dues import amount_due
from services.billing.rules.settlement import Settlement
from services.billing.state import Bill, Book, Line, Plan, Repayment, RepaymentStatus
from shared.contracts.billing import (
    Allocation,
    BillDueSoon,
    BillIssued,
    BillLine,
    BillPaid,
    CollectionFailed,
    CollectionPending,
    CollectionRequested,
    DelinquencyChanged,
    Instalment,
    OverpaymentDetected,
    PlanOpened,
    PlanSettled,
    RepaymentAllocated,
    ReportCollection,
)
from shared.contracts.message import Event

__all__ = [
    "bill_due_soon",
    "bill_issued",
    "collection_failed",
    "collection_pending",
    "collection_requested",
    "delinquency_changed",
    "plan_opened",
    "settled",
]

Plans = Mapping[str, Plan]


def plan_opened(plan: Plan, bills: Mapping[str, Bill], book: Book) -> PlanOpened:
    """The debt of an order exists; ``bills`` are those its instalments sit on."""
    return PlanOpened(
        buyer_id=plan.buyer_id,
        order_id=plan.order_id,
        merchant_id=plan.merchant_id,
        currency=plan.currency,
        product=plan.product,
        principal=plan.principal,
        fee=plan.fee,
        instalments=tuple(
            Instalment(
                seq=one.seq, bill_id=one.bill_id, due_on=bills[one.bill_id].due_on, principal=one.principal, fee=one.fee
            )
            for one in plan.instalments
        ),
        outstanding_principal=book.outstanding_principal,
        book_version=book.version,
    )


def bill_issued(bill: Bill, plans: Plans) -> BillIssued:
    """The amount is fixed and payable: the amount notice."""
    parts = [plans[line.order_id].instalments[line.seq - 1] for line in bill.lines]
    return BillIssued(
        buyer_id=bill.buyer_id,
        bill_id=bill.bill_id,
        currency=bill.currency,
        kind=bill.kind,
        due_on=bill.due_on,
        due_version=bill.due_version,
        lines=tuple(_line(line, plans[line.order_id]) for line in bill.lines),
        amount_due=sum(part.due_part for part in parts),
        paused=sum(part.paused for part in parts),
    )


def _line(line: Line, plan: Plan) -> BillLine:
    part = plan.instalments[line.seq - 1]
    return BillLine(
        order_id=line.order_id,
        merchant_id=line.merchant_id,
        seq=line.seq,
        of=len(plan.instalments),
        principal=part.principal,
        fee=part.fee,
    )


def bill_due_soon(bill: Bill, days_left: DaysLeft, amount_due: int, book: Book) -> BillDueSoon:
    """The reminder: ``amount_due`` is payable by the due date."""
    return BillDueSoon(
        buyer_id=bill.buyer_id,
        bill_id=bill.bill_id,
        currency=bill.currency,
        due_on=bill.due_on,
        due_version=bill.due_version,
        days_left=days_left,
        amount_due=amount_due,
        autopay=book.autopay.usable,
    )


def collection_requested(repayment: Repayment, attempt: int = 1) -> CollectionRequested:
    """The order to the payment adapter."""
    return CollectionRequested(
        buyer_id=repayment.buyer_id,
        repayment_id=repayment.repayment_id,
        bill_id=repayment.bill_id,
        order_id=repayment.order_id,
        currency=repayment.currency,
        amount=repayment.amount,
        instrument=repayment.instrument,
        mode=repayment.mode,
        attempt=attempt,
    )


def collection_pending(repayment: Repayment, ask: int) -> CollectionPending:
    """Nothing is known yet; ``ask`` is the number of the question to the adapter, 0 for none."""
    return CollectionPending(
        buyer_id=repayment.buyer_id,
        repayment_id=repayment.repayment_id,
        outcome="PENDING" if repayment.status is RepaymentStatus.PENDING else "UNKNOWN",
        ask=ask,
        unresolved=unresolved(repayment.asks),
    )


def collection_failed(repayment: Repayment, report: ReportCollection, prospect: Prospect) -> CollectionFailed:
    """The provider declined; what follows is in ``prospect``."""
    return CollectionFailed(
        buyer_id=repayment.buyer_id,
        repayment_id=repayment.repayment_id,
        bill_id=repayment.bill_id,
        reason=report.reason or "",
        decline=report.decline or "SOFT",
        final=prospect.next_at is None,
        stop_reason=prospect.stop_reason,
        next_at=prospect.next_at,
    )


def delinquency_changed(bill: Bill, dpd: int, book: Book, plans: Plans) -> DelinquencyChanged:
    """The bill reached a step, or with ``dpd`` 0 left them all."""
    return DelinquencyChanged(
        buyer_id=bill.buyer_id,
        bill_id=bill.bill_id,
        currency=bill.currency,
        due_version=bill.due_version,
        dpd=dpd,
        bucket=bucket_at(dpd),
        stage=bill.stage,
        account_stage=book.stage,
        amount_due=amount_due(bill, plans),
    )


def settled(settlement: Settlement) -> Iterator[Event]:
    """Everything a success brought about, in the order of B-X3."""
    yield _repayment_allocated(settlement)
    if settlement.repayment.overpaid:
        yield _overpayment_detected(settlement.repayment)
    yield from (_bill_paid(bill, settlement.paid_on) for bill in settlement.paid_bills)
    yield from (_plan_settled(plan, settlement.settled_on) for plan in settlement.settled_plans)
    for bill in settlement.cured:
        yield delinquency_changed(bill, 0, settlement.book, settlement.all_plans)


def _repayment_allocated(settlement: Settlement) -> RepaymentAllocated:
    repayment = settlement.repayment
    return RepaymentAllocated(
        buyer_id=repayment.buyer_id,
        repayment_id=repayment.repayment_id,
        currency=repayment.currency,
        mode=repayment.mode,
        instrument=repayment.instrument,
        amount=repayment.amount,
        paid_on=settlement.paid_on,
        allocations=tuple(
            Allocation(
                order_id=part.order_id,
                seq=part.seq,
                bill_id=part.bill_id,
                component=part.component,
                amount=part.amount,
            )
            for part in repayment.allocations
        ),
        outstanding_principal=settlement.book.outstanding_principal,
        book_version=settlement.book.version,
    )


def _overpayment_detected(repayment: Repayment) -> OverpaymentDetected:
    return OverpaymentDetected(
        buyer_id=repayment.buyer_id,
        overpayment_id=f"{repayment.repayment_id}:o1",
        currency=repayment.currency,
        amount=repayment.overpaid,
        repayment_id=repayment.repayment_id,
        instrument=repayment.instrument,
        reason="EXCEEDS_DEBT",
    )


def _bill_paid(bill: Bill, paid_on: date) -> BillPaid:
    return BillPaid(
        buyer_id=bill.buyer_id, bill_id=bill.bill_id, paid_on=paid_on, due_on=bill.due_on, max_dpd=bill.max_dpd
    )


def _plan_settled(plan: Plan, settled_on: date) -> PlanSettled:
    return PlanSettled(
        buyer_id=plan.buyer_id,
        order_id=plan.order_id,
        merchant_id=plan.merchant_id,
        currency=plan.currency,
        settled_on=settled_on,
        paid=plan.paid,
        refunded=plan.refunded,
    )
