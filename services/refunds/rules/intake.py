"""Whether a buyer may give goods back, and the case that begins if so (R-R1, R-R2)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from services.refunds.rules.amounts import share
from services.refunds.rules.terms import is_fault, is_listed, window_days
from services.refunds.state import Case, CaseLine, CaseStatus, Order, OrderLine, Proof
from shared.contracts.refunds import RequestReturn
from shared.engine.vocabulary import Rejected
from shared.kernel.calendar import Calendar

__all__ = ["check", "opened"]


def check(request: RequestReturn, order: Order, now: datetime, calendar: Calendar) -> None:
    """Refuse what may not come back; the first failure speaks (R-R1).

    A line the order does not have has nothing left to give back. What R-R1 would let pass, but needs the platform's
    own review, is FLOW_NOT_OFFERED.
    """
    _refuse_kind(request, order)
    lines = [line for part in request.lines if (line := order.line(part.line_id)) is not None]
    _refuse_reason(request, order, lines)
    _refuse_kept(order, lines)
    _refuse_late(request, order, lines, now, calendar)
    _refuse_quantities(request, order)
    _refuse_unproven(request, order, lines)
    _refuse_flow(order, lines)


def opened(request: RequestReturn, order: Order, now: datetime, calendar: Calendar, content: str) -> Case:
    """The case of a request that may be; ``content`` is its digest."""
    share_amount = 0
    for part in request.lines:
        if (line := order.line(part.line_id)) is not None:
            share_amount += share(line, part.quantity)
    return Case(
        buyer_id=request.buyer_id,
        case_id=request.case_id,
        order_id=order.order_id,
        merchant_id=order.merchant_id,
        content=content,
        status=CaseStatus.UNDER_REVIEW,
        kind=request.kind,
        review_mode="SELLER",
        reason=request.reason,
        lines=tuple(CaseLine(part.line_id, part.quantity) for part in request.lines),
        evidence=(Proof("BUYER", request.evidence_refs, request.description, now),),
        destination=request.destination,
        currency=order.currency,
        share_amount=share_amount,
        opened_at=now,
        value_on=calendar.date(now),
    )


def _refuse_kind(request: RequestReturn, order: Order) -> None:
    """A service that was used can only be claimed for (ABU-6); of what can be asked, returns for a refund are built."""
    if order.kind == "SERVICE" and request.kind != "CLAIM":
        raise Rejected("SERVICE_NOT_RETURNABLE", kind=request.kind)
    if request.kind != "RETURN_REFUND":
        raise Rejected("KIND_NOT_ALLOWED", kind=request.kind, allowed=["RETURN_REFUND"])


def _refuse_reason(request: RequestReturn, order: Order, lines: Sequence[OrderLine]) -> None:
    for line in lines:
        terms = order.terms_of(line)
        if not is_listed(terms, request.reason):
            allowed = [*terms.reasons.remorse, *terms.reasons.fault]
            raise Rejected("REASON_NOT_ALLOWED", line_id=line.line_id, reason=request.reason, allowed=allowed)


def _refuse_kept(order: Order, lines: Sequence[OrderLine]) -> None:
    for line in lines:
        if not (line.returnable and order.terms_of(line).returnable):
            raise Rejected("NOT_RETURNABLE", line_id=line.line_id)


def _refuse_late(
    request: RequestReturn, order: Order, lines: Sequence[OrderLine], now: datetime, calendar: Calendar
) -> None:
    accepted_on, today = calendar.date(order.accepted_at), calendar.date(now)
    for line in lines:
        days = window_days(order.terms_of(line), request.reason)
        if (today - accepted_on).days > days:
            until = accepted_on + timedelta(days=days)
            raise Rejected("RETURN_WINDOW_CLOSED", line_id=line.line_id, until=until)


def _refuse_quantities(request: RequestReturn, order: Order) -> None:
    for part in request.lines:
        line = order.line(part.line_id)
        left = line.free_qty if line is not None else 0
        if part.quantity > left:
            raise Rejected("QUANTITY_EXCEEDED", line_id=part.line_id, quantity=part.quantity, left=left)


def _refuse_unproven(request: RequestReturn, order: Order, lines: Sequence[OrderLine]) -> None:
    if not request.description.strip():
        raise Rejected("EVIDENCE_MISSING", "The request says nothing", missing="description")
    faulty = any(is_fault(order.terms_of(line), request.reason) for line in lines)
    if faulty and not request.evidence_refs:
        raise Rejected("EVIDENCE_MISSING", "A fault must be shown", missing="evidence_refs")


def _refuse_flow(order: Order, lines: Sequence[OrderLine]) -> None:
    for line in lines:
        terms = order.terms_of(line)
        if terms.flow == "PLATFORM" or terms.seller_silence == "ESCALATE":
            raise Rejected("FLOW_NOT_OFFERED", "The platform reviews no returns of its own", line_id=line.line_id)
