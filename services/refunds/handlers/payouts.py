"""Payouts: answered by the provider, asked about, tried again, repaired by a person (2.2)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from services.refunds.deadlines import Ask, Retry
from services.refunds.handlers.refunds import CaseOfRefund, complete
from services.refunds.rules import facts, payouts, timetable
from services.refunds.service import refunds
from services.refunds.state import LEG_MACHINE, REFUND_MACHINE, Case, Leg, LegStatus, Refund, RefundStatus
from shared.contracts.refunds import ReportPayout, RetryPayout
from shared.engine.refusals import refuse_future, require
from shared.engine.service import Yielded
from shared.engine.vocabulary import Deadline, Disarm, Rejected

__all__ = ["ask_provider", "report_payout", "retry_by_hand", "retry_by_itself"]


@refunds.on(ReportPayout)
def report_payout(report: ReportPayout, now: datetime, refund: Refund, case: CaseOfRefund) -> Iterator[Yielded]:
    """What the provider, or of an external leg the merchant, says of one payout; it is never believed twice."""
    if report.case_id not in (None, refund.case_id):
        raise Rejected(Case.UNKNOWN, "This refund comes from another case", case_id=report.case_id)
    before = payouts.reported_leg(refund, report)
    refuse_future(report.occurred_at, now)
    leg = payouts.reported(before, report)
    refund = payouts.with_leg(refund, leg)
    yield refund
    yield facts.payout_reported(refund, leg, report)
    yield from _what_follows(refund, before, leg, now)
    if refund.status is RefundStatus.COMPLETED:
        yield from complete(refund, case)


def _what_follows(refund: Refund, before: Leg, leg: Leg, now: datetime) -> Iterator[Yielded]:
    """In doubt the provider is asked, from the first doubt on; after a soft failure a day later comes another try."""
    match leg.status:
        case LegStatus.PENDING | LegStatus.UNKNOWN:
            if before.status is LegStatus.REQUESTED:
                yield Deadline(now + timetable.FIRST_ASK, Ask(refund.buyer_id, refund.refund_id, leg.leg_id))
        case LegStatus.FAILED:
            yield Disarm(Ask, leg.leg_id)
            yield Deadline(now + timetable.RETRY, Retry(refund.buyer_id, refund.refund_id, leg.leg_id))
        case _:
            yield Disarm(Ask, leg.leg_id)
            yield Disarm(Retry, leg.leg_id)


@refunds.on(Ask)
def ask_provider(due: Ask, now: datetime, refund: Refund) -> Iterator[Yielded]:
    """Nobody knows yet whether a leg was paid: the provider must look it up, under the same payout."""
    leg = refund.leg(due.leg_id)
    if leg is None or due.KIND not in LEG_MACHINE[leg.status]:
        return
    asked = payouts.asked(leg)
    yield payouts.with_leg(refund, asked)
    yield facts.payout_requested(refund, asked)
    yield Deadline(now + timetable.LATER_ASK, due)


@refunds.on(Retry)
def retry_by_itself(due: Retry, refund: Refund) -> Iterator[Yielded]:
    """A day after a soft failure the leg is paid anew."""
    leg = refund.leg(due.leg_id)
    if leg is not None and due.KIND in LEG_MACHINE[leg.status]:
        yield from _pay_again(refund, payouts.next_payout(leg))


@refunds.on(RetryPayout)
def retry_by_hand(retry: RetryPayout, refund: Refund) -> Iterator[Yielded]:
    """A person repairs a leg that could not be paid, perhaps with another instrument."""
    require(REFUND_MACHINE, refund.status, "RetryPayout")
    leg = payouts.repairable_leg(refund, retry)
    yield from _pay_again(refund, payouts.next_payout(leg, retry.instrument))
    yield Disarm(Retry, leg.leg_id)


def _pay_again(refund: Refund, leg: Leg) -> Iterator[Yielded]:
    """The leg's next payout is requested; the one before it is news no more."""
    yield payouts.with_leg(refund, leg)
    yield facts.payout_requested(refund, leg)
