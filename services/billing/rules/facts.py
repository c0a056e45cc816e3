"""The events of billing, made from the rows they speak of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Any, Literal

from services.billing.deadlines import DaysLeft
from services.billing.rules.closing import Outcome
from services.billing.rules.collection import Prospect, unresolved
from services.billing.rules.debts import Overpayment
from services.billing.rules.delinquency import bucket_at
from services.billing.rules.dues import amount_due, lines_of
from services.billing.rules.late_fees import cap, standing
from services.billing.rules.lines import BillChange
from services.billing.rules.refunding import Fall, RefundAsked
from services.billing.rules.write_off import WrittenOff
from services.billing.state import Allocation as Share
from services.billing.state import (
    Bill,
    BillStatus,
    Book,
    Extension,
    ExtensionStatus,
    LateFee,
    Line,
    Pause,
    Plan,
    PlanStatus,
    Repayment,
    RepaymentStatus,
    Reversal,
)
from shared.contracts.billing import (
    Allocation,
    BillChargedOff,
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
    ExtensionDecided,
    ExtensionRequested,
    FeeReversed,
    Instalment,
    InstalmentBalance,
    LateFeeAssessed,
    LateFeeWithheld,
    OverpaymentDetected,
    PlanOpened,
    PlanReopened,
    PlanSettled,
    RefundAllocated,
    RefundSimulated,
    RepaymentAllocated,
    RepaymentReversed,
    ReportCollection,
    SimulateRefund,
)
from shared.contracts.message import Event
from shared.contracts.refunds import RefundApproved

__all__ = [
    "ResumeReason",
    "bill_charged_off",
    "bill_due_soon",
    "bill_issued",
    "bills_paused",
    "bills_resumed",
    "collection_failed",
    "collection_pending",
    "collection_requested",
    "consequences",
    "delinquency_changed",
    "extension_decided",
    "extension_requested",
    "late_fee_assessed",
    "late_fee_withheld",
    "plan_opened",
    "plan_reopened",
    "refund_allocated",
    "refund_simulated",
    "repayment_allocated",
    "repayment_reversed",
]

Plans = Mapping[str, Plan]

ResumeReason = Literal["RETURN_CLOSED", "APPEAL_DECIDED", "LIMIT"]


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
    """The amount is fixed and payable: the amount notice, of the lines that still cost something.

    Of a statement others were paid or refunded before it was cut, in a busy month more than a message can list.
    """
    return BillIssued(
        buyer_id=bill.buyer_id,
        bill_id=bill.bill_id,
        currency=bill.currency,
        kind=bill.kind,
        statement_on=bill.statement_on,
        due_on=bill.due_on,
        due_version=bill.due_version,
        lines=tuple(_line(line, plans[line.order_id]) for line, part in lines_of(bill, plans) if part.unpaid),
        amount_due=amount_due(bill, plans),
        paused=sum(part.paused for _, part in lines_of(bill, plans)),
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


def bills_paused(pause: Pause, plan: Plan, plans: Plans, changes: Iterable[BillChange]) -> Iterator[BillPaused]:
    """A share of each of these bills is out of collection and dunning; ``plan`` holds the pause."""
    for bill, amount, _ in _shares(plan, pause, changes):
        if pause.until is not None:
            yield BillPaused(
                buyer_id=plan.buyer_id,
                bill_id=bill.bill_id,
                order_id=plan.order_id,
                merchant_id=plan.merchant_id,
                currency=plan.currency,
                ref=pause.ref,
                amount=amount,
                amount_due=amount_due(bill, plans),
                until=pause.until,
            )


def bills_resumed(
    pause: Pause, plan: Plan, plans: Plans, changes: Iterable[BillChange], reason: ResumeReason
) -> Iterator[BillResumed]:
    """The share each of these bills had in a pause is payable again, by the date its line has now."""
    for bill, amount, line in _shares(plan, pause, changes):
        yield BillResumed(
            buyer_id=plan.buyer_id,
            bill_id=bill.bill_id,
            order_id=plan.order_id,
            merchant_id=plan.merchant_id,
            currency=plan.currency,
            ref=pause.ref,
            amount=amount,
            amount_due=amount_due(bill, plans),
            due_on=line.due_on,
            due_version=line.due_version,
            reason=reason,
        )


def _shares(plan: Plan, pause: Pause, changes: Iterable[BillChange]) -> Iterator[tuple[Bill, int, Line]]:
    """The issued bills a pause has shares in, each with the share and its line."""
    shares = {share.seq: share.amount for share in pause.shares}
    for bill in (change.after for change in changes):
        for line in bill.lines if bill.status is not BillStatus.SCHEDULED else ():
            if line.order_id == plan.order_id and line.seq in shares:
                yield bill, shares[line.seq], line


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
        mode="AUTO" if repayment.mode == "AUTO" else "MANUAL",
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


# -- late fees, extensions, write-off ----------------------------------------------------------------------------------


def late_fee_assessed(fee: LateFee, bill: Bill) -> LateFeeAssessed:
    """A late fee was added; ``bill`` holds it."""
    return LateFeeAssessed(
        buyer_id=bill.buyer_id,
        bill_id=bill.bill_id,
        fee_id=fee.fee_id,
        currency=bill.currency,
        amount=fee.amount,
        base=sum(one.amount for one in fee.base),
        dpd=fee.dpd,
        fees_total=standing(bill),
        cap=cap(bill),
    )


def late_fee_withheld(bill: Bill, dpd: int) -> LateFeeWithheld:
    """A late fee was not charged: nothing proves that the buyer was reminded."""
    return LateFeeWithheld(buyer_id=bill.buyer_id, bill_id=bill.bill_id, dpd=dpd, reason="NO_REMINDER_EVIDENCE")


def extension_requested(extension: Extension, bill: Bill) -> ExtensionRequested:
    """A later due date waits for whoever decides on it."""
    return ExtensionRequested(
        buyer_id=extension.buyer_id,
        extension_id=extension.extension_id,
        bill_id=extension.bill_id,
        currency=bill.currency,
        days=extension.days,
        fee=extension.fee,
        approver=extension.approver,
        until=extension.until,
    )


def extension_decided(extension: Extension, bill: Bill) -> ExtensionDecided:
    """A later due date was granted, declined or lapsed; ``bill`` as it is afterwards."""
    granted = extension.status is ExtensionStatus.GRANTED
    decisions: Mapping[ExtensionStatus, Literal["GRANTED", "DECLINED", "LAPSED"]] = {
        ExtensionStatus.GRANTED: "GRANTED",
        ExtensionStatus.DECLINED: "DECLINED",
        ExtensionStatus.LAPSED: "LAPSED",
    }
    return ExtensionDecided(
        buyer_id=extension.buyer_id,
        extension_id=extension.extension_id,
        bill_id=extension.bill_id,
        currency=bill.currency,
        decision=decisions[extension.status],
        due_on=bill.due_on if granted else None,
        due_version=bill.due_version if granted else None,
        fee=extension.fee,
    )


def bill_charged_off(bill: Bill, off: WrittenOff, dpd: int, book: Book) -> BillChargedOff:
    """What a bill still cost is written off."""
    return BillChargedOff(
        buyer_id=bill.buyer_id,
        bill_id=bill.bill_id,
        currency=bill.currency,
        principal=off.principal,
        fee=off.fee,
        late_fee=off.late_fee,
        dpd=dpd,
        **_totals(book),
    )


# -- repayments and refunds --------------------------------------------------------------------------------------------


def repayment_allocated(repayment: Repayment, paid_on: date, book: Book) -> RepaymentAllocated:
    """Money came in and was applied."""
    return RepaymentAllocated(
        buyer_id=repayment.buyer_id,
        repayment_id=repayment.repayment_id,
        currency=repayment.currency,
        mode=repayment.mode,
        instrument=repayment.instrument,
        amount=repayment.amount,
        paid_on=paid_on,
        allocations=_allocations(repayment.allocations),
        **_totals(book),
    )


def repayment_reversed(reversal: Reversal, book: Book) -> RepaymentReversed:
    """A bank took money back."""
    return RepaymentReversed(
        buyer_id=reversal.buyer_id,
        reversal_id=reversal.reversal_id,
        repayment_id=reversal.repayment_id,
        currency=reversal.currency,
        amount=reversal.amount,
        reason=reversal.reason,
        bill_ids=tuple(dict.fromkeys(part.bill_id for part in reversal.undone)),
        order_ids=tuple(dict.fromkeys(part.order_id for part in reversal.undone)),
        **_totals(book),
    )


def plan_reopened(plan: Plan, bill: Bill, book: Book) -> PlanReopened:
    """Something is owed again on an order: its last instalment, on ``bill``."""
    one = plan.instalments[-1]
    return PlanReopened(
        buyer_id=plan.buyer_id,
        order_id=plan.order_id,
        merchant_id=plan.merchant_id,
        currency=plan.currency,
        principal=one.principal,
        fee=one.fee,
        bill_id=bill.bill_id,
        due_on=bill.due_on,
        **_totals(book),
    )


def refund_allocated(approved: RefundApproved, fall: Fall) -> RefundAllocated:
    """An approved refund has fallen."""
    return RefundAllocated(
        **_fallen(fall),
        refund_id=approved.refund_id,
        case_id=approved.case_id,
        cause=approved.cause,
        amount=approved.amount,
        value_on=approved.value_on,
        skus=approved.skus,
        **_totals(fall.outcome.after.book),
    )


def refund_simulated(command: SimulateRefund, asked: RefundAsked, fall: Fall) -> RefundSimulated:
    """What a refund would do; the same numbers, and nothing stored."""
    return RefundSimulated(
        **_fallen(fall), simulation_id=command.simulation_id, amount=asked.amount, value_on=asked.value_on
    )


def consequences(outcome: Outcome) -> Iterator[Event]:
    """What followed from a change of the debts, in the order of B-X3; the change itself is told before."""
    after, book = outcome.after, outcome.after.book
    for one in after.fee_reversals:
        yield FeeReversed(
            buyer_id=book.buyer_id,
            bill_id=one.bill_id,
            fee_id=one.fee_id,
            currency=book.currency,
            amount=one.amount,
            cause=one.cause,
            reapplied=_allocations(one.reapplied),
            **_totals(book),
        )
    for overpayment in after.overpayments:
        yield _overpayment_detected(overpayment, book)
    changes = outcome.bills
    yield from _closed(changes)
    for before, plan in outcome.plans:
        if plan.status is PlanStatus.SETTLED and before.status is not PlanStatus.SETTLED:
            yield _plan_settled(plan, outcome.today)
    for change in changes:
        if change.is_cured:
            yield delinquency_changed(change.after, 0, book, after.plans)


def _fallen(fall: Fall) -> dict[str, Any]:
    """What a refund and its simulation say alike."""
    plan = fall.before
    return {
        "buyer_id": plan.buyer_id,
        "order_id": plan.order_id,
        "merchant_id": plan.merchant_id,
        "currency": plan.currency,
        "legs": fall.legs,
        "before": _balances(plan),
        "after": _balances(fall.after),
        "policy": plan.refund_policy,
        "fees_reversed": fall.fees_reversed,
        "fees_cancelled": fall.fees_cancelled,
        "unallocated": fall.unallocated,
        "trace": fall.trace,
    }


def _totals(book: Book) -> dict[str, Any]:
    """How the buyer's debt stands after the whole message (README 11)."""
    return {"outstanding_principal": book.outstanding_principal, "book_version": book.version}


def _balances(plan: Plan) -> tuple[InstalmentBalance, ...]:
    return tuple(InstalmentBalance(seq=one.seq, outstanding=one.outstanding) for one in plan.instalments)


def _allocations(parts: Iterable[Share]) -> tuple[Allocation, ...]:
    """As they are told: a late fee is the bill's, not an order's."""
    return tuple(
        Allocation(bill_id=part.bill_id, component=part.component, amount=part.amount)
        if part.component == "LATE_FEE"
        else Allocation(
            order_id=part.order_id,
            seq=part.seq,
            bill_id=part.bill_id,
            component=part.component,
            amount=part.amount,
        )
        for part in parts
    )


def _overpayment_detected(overpayment: Overpayment, book: Book) -> OverpaymentDetected:
    return OverpaymentDetected(
        buyer_id=book.buyer_id,
        overpayment_id=overpayment.overpayment_id,
        currency=book.currency,
        amount=overpayment.amount,
        repayment_id=overpayment.repayment_id,
        instrument=overpayment.instrument,
        reason=overpayment.reason,
    )


def _closed(changes: Iterable[BillChange]) -> Iterator[BillPaid | BillVoided]:
    """Of these bills those that were closed by it."""
    for before, bill in ((change.before, change.after) for change in changes):
        if bill.status is before.status:
            continue
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
