"""The events of billing, made from the rows they speak of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Literal

from services.billing.deadlines import DaysLeft
from services.billing.rules.collection import Prospect, unresolved
from services.billing.rules.delinquency import bucket_at
from services.billing.rules.dues import amount_due
from services.billing.rules.lines import BillChange
from services.billing.rules.refunding import RefundSettlement
from services.billing.rules.settlement import Settlement, overpayment_id
from services.billing.state import Bill, BillStatus, Book, Line, Pause, Plan, PlanStatus, Repayment, RepaymentStatus
from shared.contracts.billing import (
    Allocation,
    BillDueSoon,
    BillIssued,
    BillLine,
    BillPaid,
    BillPaused,
    BillResumed,
    BillVoided,
    CollectionFailed,
    CollectionPending,
    CollectionRequested,
    DelinquencyChanged,
    Instalment,
    InstalmentBalance,
    OverpaymentDetected,
    PlanOpened,
    PlanSettled,
    RefundAllocated,
    RepaymentAllocated,
    ReportCollection,
)
from shared.contracts.message import Event

__all__ = [
    "bill_due_soon",
    "bill_issued",
    "bills_paused",
    "bills_resumed",
    "collection_failed",
    "collection_pending",
    "collection_requested",
    "delinquency_changed",
    "plan_opened",
    "refunded",
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


def bills_paused(plan: Plan, pause: Pause, changes: Iterable[BillChange]) -> Iterator[BillPaused]:
    """A share of each of these bills is out of collection and dunning; ``plan`` holds the pause."""
    for bill, amount, due_part, _ in _shares(plan, pause, changes):
        if pause.until is not None:
            yield BillPaused(
                buyer_id=plan.buyer_id,
                bill_id=bill.bill_id,
                order_id=plan.order_id,
                merchant_id=plan.merchant_id,
                currency=plan.currency,
                ref=pause.ref,
                amount=amount,
                amount_due=due_part,
                until=pause.until,
            )


def bills_resumed(
    plan: Plan, pause: Pause, changes: Iterable[BillChange], reason: Literal["RETURN_CLOSED", "LIMIT"]
) -> Iterator[BillResumed]:
    """The share each of these bills had in a pause is payable again, by the date its line has now."""
    for bill, amount, due_part, line in _shares(plan, pause, changes):
        yield BillResumed(
            buyer_id=plan.buyer_id,
            bill_id=bill.bill_id,
            order_id=plan.order_id,
            merchant_id=plan.merchant_id,
            currency=plan.currency,
            ref=pause.ref,
            amount=amount,
            amount_due=due_part,
            due_on=line.due_on,
            due_version=line.due_version,
            reason=reason,
        )


def _shares(plan: Plan, pause: Pause, changes: Iterable[BillChange]) -> Iterator[tuple[Bill, int, int, Line]]:
    """The bills a pause has shares in, each with the share, what is due besides it, and its line."""
    shares = {share.seq: share.amount for share in pause.shares}
    for change in changes:
        for line in change.after.lines:
            if line.order_id == plan.order_id and line.seq in shares:
                yield change.after, shares[line.seq], change.due_after, line


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
    yield from _closed(settlement.changes)
    for plan in settlement.plans:
        if plan.status is PlanStatus.SETTLED:
            yield _plan_settled(plan, settlement.settled_on)
    yield from _cured(settlement.changes, settlement.book, settlement.all_plans)


def refunded(refunding: RefundSettlement, today: date) -> Iterator[Event]:
    """Everything a refund brought about, in the order of B-X3."""
    yield _refund_allocated(refunding)
    yield from _closed(refunding.changes)
    if refunding.plan.status is not refunding.before.status:
        yield _plan_settled(refunding.plan, today)
    yield from _cured(refunding.changes, refunding.book, refunding.all_plans)


def _refund_allocated(refunding: RefundSettlement) -> RefundAllocated:
    approved, fall = refunding.approved, refunding.fall
    return RefundAllocated(
        buyer_id=approved.buyer_id,
        order_id=approved.order_id,
        merchant_id=approved.merchant_id,
        refund_id=approved.refund_id,
        case_id=approved.case_id,
        currency=approved.currency,
        cause=approved.cause,
        amount=approved.amount,
        legs=fall.legs,
        before=_balances(refunding.before),
        after=_balances(refunding.plan),
        policy=refunding.plan.refund_policy,
        value_on=approved.value_on,
        fees_reversed=0,
        unallocated=fall.unallocated,
        skus=approved.skus,
        outstanding_principal=refunding.book.outstanding_principal,
        book_version=refunding.book.version,
    )


def _balances(plan: Plan) -> tuple[InstalmentBalance, ...]:
    return tuple(InstalmentBalance(seq=one.seq, outstanding=one.outstanding) for one in plan.instalments)


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
        overpayment_id=overpayment_id(repayment),
        currency=repayment.currency,
        amount=repayment.overpaid,
        repayment_id=repayment.repayment_id,
        instrument=repayment.instrument,
        reason="EXCEEDS_DEBT",
    )


def _closed(changes: Iterable[BillChange]) -> Iterator[BillPaid | BillVoided]:
    """Of these bills those that were closed."""
    for change in changes:
        bill = change.after
        if bill.status is BillStatus.PAID and bill.paid_on is not None:
            yield BillPaid(
                buyer_id=bill.buyer_id,
                bill_id=bill.bill_id,
                paid_on=bill.paid_on,
                due_on=bill.due_on,
                max_dpd=bill.max_dpd,
            )
        elif bill.status is BillStatus.VOIDED:
            yield BillVoided(buyer_id=bill.buyer_id, bill_id=bill.bill_id)


def _cured(changes: Iterable[BillChange], book: Book, plans: Plans) -> Iterator[DelinquencyChanged]:
    """Of these bills those that left their stage."""
    for change in changes:
        if change.is_cured:
            yield delinquency_changed(change.after, 0, book, plans)


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
