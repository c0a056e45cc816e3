"""Whatever a buyer, a shop, a provider and a desk do in a life: what must hold holds after every step (README 10).

Each property looks at a life after a step. Those in ``ALWAYS`` hold of every message and deadline by itself, those in
``AT_REST`` as soon as nothing is left to happen at the same instant.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from itertools import cycle
from typing import Any

import pytest
from billing_stories import BUYER
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st
from lives import BIRTH, CALENDAR, MONEY_CAME, OPEN, Life, Script, Sent, Step, scripts

from services.billing.deadlines import Ask, Collect, DueSoon, ExtensionEnd, PauseEnd, StatementCut
from services.billing.deadlines import Step as Ageing
from services.billing.rules.delinquency import ladder
from services.billing.service import billing
from services.billing.state import (
    BILL_MACHINE,
    EXTENSION_MACHINE,
    PLAN_MACHINE,
    REPAYMENT_MACHINE,
    Bill,
    BillStatus,
    Book,
    Evidence,
    Extension,
    Instalment,
    LateFee,
    Line,
    Plan,
    PlanStatus,
    Posting,
    Refund,
    Repayment,
    RepaymentStatus,
    Reversal,
)
from services.billing.state import LedgerAccount as Account
from shared.contracts.billing import (
    BillIssued,
    BillPaid,
    BillVoided,
    CollectionRequested,
    DebtChanged,
    DelinquencyChanged,
    FeeReversed,
    LateFeeAssessed,
    LateFeeWithheld,
    OverpaymentDetected,
    PlanReopened,
    PlanSettled,
    RecordExternalPayment,
    RefundAllocated,
    RefundSimulated,
    RepayBill,
    RepaymentAllocated,
    ReportCollectionReversal,
    RequestExtension,
    SimulateRefund,
)
from shared.contracts.message import Command, Event, Rejection
from shared.contracts.notify import NoticeSent
from shared.contracts.policy import LateFeeTerms
from shared.contracts.refunds import RefundApproved
from shared.engine.vocabulary import Due, Row
from shared.testing.world import World

ROWS = (Book, Plan, Bill, Evidence, Extension, Repayment, Reversal, Refund)
MACHINES = {Plan: PLAN_MACHINE, Bill: BILL_MACHINE, Repayment: REPAYMENT_MACHINE, Extension: EXTENSION_MACHINE}

# -- of every message and deadline by itself ---------------------------------------------------------------------------


def a_command_has_an_outcome_and_a_rejection_changes_nothing(life: Life, step: Step) -> None:
    """H-2, H-6: a command is answered, a refused one leaves no trace; a fact or a deadline is never refused."""
    if step.then.rejected is not None:
        assert isinstance(step.message, Command)
        assert step.then.yields == []
        assert (step.then.given.rows, step.then.given.armed) == (step.before.rows, step.before.armed)
    elif isinstance(step.message, Command):
        assert step.events
    assert all(type(event) in billing.emits for event in step.events)


def what_a_cause_posts_sums_to_zero(life: Life, step: Step) -> None:
    """I-1: debits are credits, in one currency, each posting one of both and about a debt."""
    for n, one in enumerate(step.postings):
        assert (one.cause_id, one.n) == (step.cause.id, n)
        assert min(one.debit, one.credit) == 0 < max(one.debit, one.credit)
        assert one.order_id or one.bill_id
    assert sum(one.debit - one.credit for one in step.postings) == 0


def what_is_told_once_more_changes_nothing(life: Life, step: Step) -> None:
    """Law 4, I-8: a fact that is read again, by a service that forgot it, changes no row and no deadline."""
    if step.heard_before:
        assert (step.events, step.postings) == ([], [])
        assert all(row == known for known, row in step.rows)
        assert life.armed == step.before.armed


ASKED_ONCE = (RepayBill, RecordExternalPayment, ReportCollectionReversal, RequestExtension)


def what_is_asked_once_more_is_done_already(life: Life, step: Step) -> None:
    """H-3: the same request under a new id is answered ALREADY_DONE."""
    if isinstance(step.message, ASKED_ONCE):
        asked_before = any(one.message == step.message and one is not step for one in life.heard)
        assert not asked_before or (step.then.rejected and step.then.rejected.code == "ALREADY_DONE")


ORDER = (
    FeeReversed,
    OverpaymentDetected,
    (BillPaid, BillVoided),
    PlanSettled,
    PlanReopened,
    BillIssued,
    DelinquencyChanged,
)


def events_leave_in_their_order_and_tell_one_total(life: Life, step: Step) -> None:
    """B-X2, B-X3, README 11: the fact first; all speak of the debt after the whole message, one version later."""
    if len(step.events) < 2:
        return
    ranks = [next((n for n, kind in enumerate(ORDER, 1) if isinstance(event, kind)), 0) for event in step.events]
    assert ranks == sorted(ranks)
    told = {(one.outstanding_principal, one.book_version) for one in step.events if isinstance(one, DebtChanged)}
    assert len(told) <= 1


def every_change_of_state_stands_in_its_table(life: Life, step: Step) -> None:
    """Section 2: a plan, bill, repayment or extension goes only where its machine leads."""
    for known, row in step.rows:
        if known is not None and (machine := MACHINES.get(type(row))) is not None and known.status != row.status:
            assert row.status in machine[known.status].get(step.trigger, ()), (step.trigger, known.status, row.status)


def a_refund_is_taken_whole_and_once(life: Life, step: Step) -> None:
    """I-7, I-9, B-R4: an approved refund falls once and to the cent; only what exceeds the order goes nowhere."""
    if isinstance(step.message, RefundApproved) and not step.heard_before:
        assert [type(event) for event in step.events].count(RefundAllocated) == 1
    for event in step.events:
        if isinstance(event, RefundAllocated):
            approval = step.message
            assert isinstance(approval, RefundApproved)
            assert (event.refund_id, event.amount, event.cause) == (approval.refund_id, approval.amount, approval.cause)
            assert life.observer.refunded[event.refund_id] == 1
            assert sum(leg.amount for leg in event.legs) + event.unallocated == event.amount
            plan = step.before.row(Plan, event.order_id)
            assert event.unallocated == max(0, event.amount - (plan.principal - plan.refunded_total))
            assert life.rows[Refund][event.refund_id].cause == event.cause != "OVERPAYMENT"
        if isinstance(event, OverpaymentDetected):
            refund = life.rows[Refund][f"op:{event.overpayment_id}"]
            assert (refund.cause, refund.amount) == ("OVERPAYMENT", event.amount)
            assert life.observer.overpaid[event.overpayment_id] == event.amount > 0


def a_simulation_says_what_the_refund_does(life: Life, step: Step) -> None:
    """B-R, decision on simulation: the same numbers to the cent, from a question that leaves nothing behind."""
    if isinstance(step.message, SimulateRefund) and step.then.rejected is None:
        assert [type(one) for one in step.then.yields] == [RefundSimulated]
    if isinstance(step.message, RefundApproved) and not step.heard_before and step.events:
        fallen, asked = step.events[0], life.events[-len(step.events) - 1]
        if isinstance(asked, RefundSimulated) and asked.simulation_id == f"sim-{life.number}":
            assert _numbers(asked) == _numbers(fallen)


def _numbers(told: RefundSimulated | RefundAllocated) -> dict[str, Any]:
    names = (
        "amount",
        "before",
        "after",
        "policy",
        "value_on",
        "fees_reversed",
        "fees_cancelled",
        "unallocated",
        "trace",
    )
    legs = [(leg.kind, leg.amount, leg.instrument, leg.repayment_id) for leg in told.legs]
    return {"legs": legs, **{name: getattr(told, name) for name in names}}


def a_bill_lists_what_it_asks_for(life: Life, step: Step) -> None:
    """BIL-09, B-P2: the amount notice is about the lines that still cost something, and sums them up."""
    for event in step.events:
        if isinstance(event, BillIssued):
            left = [(line, part) for line, part in life.lines_of(life.bills[event.bill_id]) if part.unpaid]
            assert [(one.order_id, one.seq) for one in event.lines] == [line.place for line, _ in left]
            assert event.amount_due + event.paused <= sum(part.unpaid for _, part in left)


def no_late_fee_without_a_reminder(life: Life, step: Step) -> None:
    """I-10, B-F1, B-F5: a late fee rests on principal of whose due date the buyer was reminded in time, on no other."""
    for event in step.events:
        if isinstance(event, LateFeeAssessed | LateFeeWithheld):
            bill = step.before.row(Bill, event.bill_id)
            on = bill.due_on + timedelta(days=event.dpd)
            late = [
                (line, part.outstanding - part.paused)
                for line, part in zip(bill.lines, _parts(step, bill), strict=True)
                if line.due_on < on
            ]
            proven = sum(amount for line, amount in late if _reminded(life, bill, line))
            if isinstance(event, LateFeeAssessed):
                standing = sum(fee.live for fee in bill.late_fees)
                assert event.base == proven > 0
                assert event.amount == min(_rated(bill.terms.late_fee, proven, event.dpd), event.cap - standing) > 0
                assert event.fees_total == standing + event.amount == life.observer.late_fees[bill.bill_id]
            else:
                assert proven < sum(amount for _, amount in late)


def no_step_of_a_due_date_is_taken_twice(life: Life, step: Step) -> None:
    """B-D1, B-F2, B-H3: however often a bill turns to another due date and back, each day of the ladder comes once."""
    if isinstance(step.message, Ageing) and step.rows:
        assert sum(_taken(one) == _taken(step) for one in life.steps) == 1


def _taken(step: Step) -> tuple[str, int, int] | None:
    """The bill, its due date's number and the day, where a deadline was a step that was taken."""
    if not isinstance(step.message, Ageing) or not step.rows:
        return None
    bill = step.before.row(Bill, step.message.bill_id)
    return bill.bill_id, bill.due_version, step.message.day


def _rated(terms: LateFeeTerms, base: int, dpd: int) -> int:
    """B-F1, B-F2: the fee of the tier, or of the days since the last fee day."""
    if terms.scheme == "FLAT_TIER":
        return next(tier.fee for tier in terms.tiers if tier.below is None or base < tier.below)
    days = dpd - max(day for day in (0, 4, 11, 31, 61, 91) if day < dpd)
    return base * terms.daily_bps * days // 10_000


def _parts(step: Step, bill: Bill) -> list[Instalment]:
    return [step.before.row(Plan, line.order_id).instalments[line.seq - 1] for line in bill.lines]


def _reminded(life: Life, bill: Bill, line: Line) -> bool:
    overdue_from = CALENDAR.at(line.due_on + timedelta(days=1), time())
    return any(
        one.bill_id == bill.bill_id
        and one.due_version == line.due_version
        and one.kind == "BILL_DUE_SOON"
        and one.channel in ("SMS", "EMAIL", "PUSH")
        and one.sent_at < overdue_from
        for one in (sent.message for sent in life.sent)
        if isinstance(one, NoticeSent)
    )


def a_collection_asks_for_what_is_due(life: Life, step: Step) -> None:
    """B-C1, B-C2, B-H3: what is due by today and late fees, no paused share, and nothing while money is on its way."""
    for event in step.events:
        if isinstance(event, CollectionRequested) and event.mode == "AUTO":
            bill = step.before.row(Bill, event.bill_id)
            lines = zip(bill.lines, _parts(step, bill), strict=True)
            reached = sum(part.due_part for line, part in lines if line.due_on <= CALENDAR.date(step.now))
            assert event.amount == reached + sum(fee.unpaid for fee in bill.late_fees) > 0
            assert bill.in_flight is None


def money_that_came_in_time_was_not_late(life: Life, step: Step) -> None:
    """B-D3, B-F6: what was paid by the due date costs no fee assessed since; prompt payment takes unpaid fees back."""
    for event in step.events:
        if isinstance(event, RepaymentAllocated):
            repayment = life.rows[Repayment][event.repayment_id]
            for bill_id in {part.bill_id for part in event.allocations}:
                known, bill = step.before.row(Bill, bill_id), life.bills[bill_id]
                late = _is_late(life, bill)
                paid_before = any(fee.paid for fee in known.late_fees)  # that may be all that was left to pay
                if event.paid_on <= known.due_on and not late and not paid_before:
                    assert bill.max_dpd == 0 or not known.last_step
                    assert not any(fee.revocable and _day(fee) > event.paid_on for fee in bill.late_fees)
                assert bill.max_dpd >= known.max_dpd or not late
                assert not any(fee.unpaid for fee in bill.late_fees if fee.fee_id in repayment.waive_fee_ids)
        if isinstance(event, FeeReversed) and event.cause == "LATE_SUCCESS":
            assert not _is_late(life, life.bills[event.bill_id])


def _is_late(life: Life, bill: Bill) -> bool:
    """Whether something unpaid is past due, or was when it was paused or written off."""
    paused_on = {
        (order_id, share.seq): pause.opened_on  # the last one's
        for order_id in bill.order_ids
        for pause in life.plans[order_id].pauses
        for share in pause.shares
    }
    running = any(
        (part.due_part or part.charged_off) and line.due_on < life.today for line, part in life.lines_of(bill)
    )
    return running or any(line.due_on < paused_on.get(line.place, line.due_on) for line in bill.lines)


def a_bill_waits_for_what_would_be_paid_on_it(life: Life, step: Step) -> None:
    """B-D3, B-F6: its share of the repayment in flight is no more than it costs without the fees that would go."""
    for known, bill in step.rows:
        if isinstance(bill, Bill) and bill.in_flight is not None and bill.in_flight != (known and known.in_flight):
            repayment = life.rows[Repayment][bill.in_flight.repayment_id]
            waived = sum(fee.unpaid for fee in bill.late_fees if fee.fee_id in repayment.waive_fee_ids)
            assert 0 <= bill.in_flight.amount <= life.unpaid(bill) - waived


def _day(fee: LateFee) -> date:
    return CALENDAR.date(fee.assessed_at)


def a_refund_of_a_case_lowers_its_pause(life: Life, step: Step) -> None:
    """B-H1: by what it took, line by line; the pauses of others only where nothing unpaid is left to pause."""
    if isinstance(step.message, RefundApproved) and step.events:
        ref, order_id = step.message.case_id or step.message.appeal_id, step.message.order_id
        before, after = step.before.row(Plan, order_id), life.plans[order_id]
        for known, now in zip(before.pauses, after.pauses, strict=True):
            kept = {share.seq: share.amount for share in now.shares}
            for share in known.shares:
                part = after.instalments[share.seq - 1]
                taken = part.refunded - before.instalments[share.seq - 1].refunded
                wanted = max(0, share.amount - taken) if known.ref == ref else share.amount
                assert kept.get(share.seq, 0) <= wanted
                assert kept.get(share.seq, 0) == wanted or part.paused == part.outstanding


def a_refund_takes_what_is_late_the_oldest_first(life: Life, step: Step) -> None:
    """B-R1, PAST_DUE_FIRST: nothing is taken of what became due later while something due earlier and late is left."""
    for event in step.events:
        if isinstance(event, RefundAllocated) and event.policy == "PAST_DUE_FIRST":
            plan = step.before.row(Plan, event.order_id)
            bills = (step.before.row(Bill, part.bill_id) for part in plan.instalments)
            late = {
                line.seq: _days_late(line, life.today)
                for bill in bills
                for line in bill.lines
                if line.order_id == plan.order_id
            }
            taken = {one.seq for one, now in zip(event.before, event.after, strict=True) if now != one}
            left = {one.seq for one in event.after if one.outstanding}
            assert all(late[one] >= late[other] for one in taken for other in left)


def _days_late(line: Line, today: date) -> int:
    return max(0, (today - line.due_on).days) if line.paused_dpd is None else line.paused_dpd


def a_settled_plan_was_paid_or_refunded(life: Life, step: Step) -> None:
    """I-2 in words: what PlanSettled says was paid and refunded is the order's price."""
    for event in step.events:
        if isinstance(event, PlanSettled):
            assert event.paid + event.refunded == life.plans[event.order_id].principal


ALWAYS = (
    a_command_has_an_outcome_and_a_rejection_changes_nothing,
    what_a_cause_posts_sums_to_zero,
    what_is_told_once_more_changes_nothing,
    what_is_asked_once_more_is_done_already,
    events_leave_in_their_order_and_tell_one_total,
    every_change_of_state_stands_in_its_table,
    a_refund_is_taken_whole_and_once,
    a_simulation_says_what_the_refund_does,
    a_bill_lists_what_it_asks_for,
    no_late_fee_without_a_reminder,
    no_step_of_a_due_date_is_taken_twice,
    a_collection_asks_for_what_is_due,
    money_that_came_in_time_was_not_late,
    a_bill_waits_for_what_would_be_paid_on_it,
    a_refund_of_a_case_lowers_its_pause,
    a_refund_takes_what_is_late_the_oldest_first,
    a_settled_plan_was_paid_or_refunded,
)

# -- as soon as nothing is left to happen at the same instant ----------------------------------------------------------


def every_plan_adds_up(life: Life, step: Step) -> None:
    """I-2: principal = paid + refunded + charged off + outstanding, part by part, none below 0; pauses within it."""
    for plan in _touched_plans(life):
        assert sum(part.principal for part in plan.instalments) == plan.principal + plan.reinstated
        shares = Counter[int]()
        for pause in plan.pauses:
            shares.update({share.seq: share.amount for share in pause.shares})
        for part in plan.instalments:
            assert part.principal == part.paid + part.refunded + part.charged_off + part.outstanding
            assert min(part.paid, part.refunded, part.charged_off, part.outstanding) >= 0
            assert part.fee == part.fee_paid + part.fee_charged_off + part.unpaid_fee
            assert min(part.fee_paid, part.fee_charged_off, part.unpaid_fee) >= 0
            assert part.paused == shares[part.seq]
            assert 0 <= part.paused <= part.outstanding
        assert (plan.status is PlanStatus.SETTLED) is (plan.unpaid == 0)
        assert sum(one.principal for one in plan.payments) == sum(part.paid for part in plan.instalments)
        assert all(0 <= one.refundable <= max(0, one.principal - one.reversed) for one in plan.payments)
        rest = plan.principal - plan.refunded_total
        can_give = plan.owed + sum(one.refundable for one in plan.payments)
        assert 0 <= rest <= can_give if plan.reinstated else rest == can_give


def a_repayment_is_allocated_to_the_cent(life: Life, step: Step) -> None:
    """B-A3: what money did not pay is overpaid, and nothing is allocated before it came."""
    for _, one in step.rows:
        if isinstance(one, Repayment):
            used = one.overpaid + sum(part.amount for part in one.allocations)
            assert used == (one.amount if one.status in MONEY_CAME else 0)
            assert 0 <= one.reversed <= used


def late_fees_stay_within_their_cap(life: Life, step: Step) -> None:
    """I-6, B-F3: the late fees of a bill that stand, never more than its terms allow of what it billed and kept."""
    for bill in _touched_bills(life):
        parts, terms = life.parts_of(bill), bill.terms.late_fee
        assert bill.billed == sum(part.principal for part in parts)
        assert bill.refunded == sum(part.refunded for part in parts)
        cap = min((bill.billed - bill.refunded) * terms.cap_bps // 10_000, terms.cap_abs)
        for fee in bill.late_fees:
            assert min(fee.amount, fee.reversed, fee.charged_off, fee.paid, fee.unpaid) >= 0
        assert sum(fee.revocable for fee in bill.late_fees) <= cap  # what was reinstated is a fee of another bill


def a_refund_takes_too_high_late_fees_back_wherever_they_are_unpaid(life: Life, step: Step) -> None:
    """I-6, B-F7, B-C7: also where a bank took their payment back and they are owed as fees of a reversal's bill."""
    for known, bill in step.rows:
        if isinstance(known, Bill) and isinstance(bill, Bill) and bill.refunded > known.refunded:
            terms = bill.terms.late_fee
            cap = min((bill.billed - bill.refunded) * terms.cap_bps // 10_000, terms.cap_abs)
            if sum(fee.live for fee in bill.late_fees) > cap:
                parts = life.plans[bill.lines[0].order_id].instalments
                assert not any(part.unpaid_fee for part in parts if life.bills[part.bill_id].kind == "REVERSAL")


def no_more_cash_goes_out_than_came_in(life: Life, step: Step) -> None:
    """I-4, ABU-3, ABU-4: for the buyer and for each order, from the events alone; paid outside is not cash in."""
    came, back = life.observer.came, life.observer.back
    assert all(back[whose] <= came[whose] for whose in back)
    out = [life.observer.paid_out(overpaid=overpaid, outside=False) for overpaid in (True, False)]
    assert sum(out) <= back[None]
    for plan in _touched_plans(life):
        inside = sum(one.principal for one in plan.payments if one.instrument.kind != "EXTERNAL")
        assert back[plan.order_id] <= inside


def the_journal_alone_knows_the_rows(life: Life, step: Step) -> None:
    """Section 6: every balance of the rows is the sum of its postings."""
    journal, plans = life.journal, life.plans.values()
    assert journal.all() == 0
    for plan in _touched_plans(life):
        assert journal.of(Account.PRINCIPAL_RECEIVABLE, plan.order_id) == plan.outstanding
        assert journal.of(Account.FEE_RECEIVABLE, plan.order_id) == sum(part.unpaid_fee for part in plan.instalments)
    for bill in _touched_bills(life):
        assert journal.of(Account.LATE_FEE_RECEIVABLE, bill.bill_id) == sum(fee.unpaid for fee in bill.late_fees)
    if not life.touched.money:
        return
    repayments, refunds = life.rows[Repayment].values(), life.rows[Refund].values()
    inside = [one for one in repayments if one.mode != "EXTERNAL" and one.status in MONEY_CAME]
    outside = [one for one in repayments if one.mode == "EXTERNAL"]
    owed = [one for one in refunds if one.cause != "OVERPAYMENT"]
    overpaid = sum(one.amount for one in refunds if one.cause == "OVERPAYMENT")
    paid_out = life.observer.paid_out
    out = paid_out(overpaid=True, outside=False) + paid_out(overpaid=False, outside=False)
    assert journal.balance(Account.PROVIDER_CASH) == sum(one.amount - one.reversed for one in inside) - out
    to_merchants = sum(plan.principal for plan in plans) - sum(one.debt + one.cash for one in owed)
    to_merchants += paid_out(overpaid=True, outside=True) - sum(one.amount for one in outside)
    assert -journal.balance(Account.MERCHANT_PAYABLE) == to_merchants
    cash = sum(one.cash for one in owed)
    assert -journal.balance(Account.REFUNDS_PAYABLE) == cash - paid_out(overpaid=False, outside=False)
    given_back = paid_out(overpaid=True, outside=False) + paid_out(overpaid=True, outside=True)
    assert -journal.balance(Account.BUYER_CREDIT) == overpaid - given_back
    parts = [part for plan in plans for part in plan.instalments]
    late_fees = [fee for bill in life.bills.values() for fee in bill.late_fees]
    reinstated = sum(
        part.amount for one in life.rows[Reversal].values() for part in one.undone if part.component != "PRINCIPAL"
    )
    fees = journal.balance(Account.INSTALMENT_FEE_INCOME) + journal.balance(Account.EXTENSION_FEE_INCOME)
    assert -fees == sum(part.fee for part in parts) - (reinstated - life.observer.owed_no_more)
    granted = sum(one.fee for one in life.rows[Extension].values() if one.status == "GRANTED")
    assert -journal.balance(Account.EXTENSION_FEE_INCOME) == granted
    assert -journal.balance(Account.LATE_FEE_INCOME) == sum(fee.amount - fee.reversed for fee in late_fees)
    lost = sum(part.charged_off + part.fee_charged_off for part in parts) + sum(fee.charged_off for fee in late_fees)
    assert journal.balance(Account.CREDIT_LOSS) + journal.balance(Account.RECOVERIES) == lost


def the_book_sums_up_the_plans(life: Life, step: Step) -> None:
    """README 11, B-X2: outstanding principal is all unpaid principal, and its version grows by one when it changes."""
    assert life.book.outstanding_principal == sum(plan.owed for plan in life.plans.values())
    overdue = {bill.bill_id: bill.stage for bill in life.bills.values() if bill.stage != "NONE"}
    assert {one.bill_id: one.stage for one in life.book.overdue} == overdue
    for known, row in step.rows:
        if isinstance(row, Book) and isinstance(known, Book):
            assert row.version == known.version + (row.outstanding_principal != known.outstanding_principal)


def an_observer_of_the_events_knows_what_the_rows_know(life: Life, step: Step) -> None:
    """I-8: whoever folds the events from zero knows every balance and state."""
    knows = life.observer
    assert knows.debt == (life.book.outstanding_principal, life.book.version)
    assert knows.told_again == []
    assert knows.account_stage == life.book.stage
    out = sum(knows.paid_out(overpaid=overpaid, outside=False) for overpaid in (True, False))
    assert knows.taken - out == life.journal.balance(Account.PROVIDER_CASH)
    for plan in _touched_plans(life):
        assert knows.owed[plan.order_id] == {part.seq: part.owed for part in plan.instalments}
        assert knows.settled[plan.order_id] is (plan.status is PlanStatus.SETTLED)
    for bill in _touched_bills(life):
        assert knows.fees[bill.bill_id] == sum(part.unpaid_fee for part in life.parts_of(bill))
        assert knows.late_fees[bill.bill_id] == sum(fee.live for fee in bill.late_fees)
        assert knows.stages.get(bill.bill_id, "NONE") == bill.stage
        if bill.status is BillStatus.VOIDED and bill.statement_on is not None and bill.bill_id not in knows.bills:
            continue  # nothing was left when it was cut
        told = {BillStatus.SCHEDULED: None, BillStatus.ISSUED: "OPEN", BillStatus.OVERDUE: "OPEN"}
        assert knows.bills.get(bill.bill_id) == told.get(bill.status, str(bill.status))


def deadlines_stand_exactly_while_something_is_due(life: Life, step: Step) -> None:
    """2.1, B-H1, B-H3, B-C4, B-E: a bill with a due part has all that is ahead, one without has nothing."""
    armed = {(type(one.message), one.message.subject): one for one in life.armed}
    for bill in _touched_bills(life):
        mine = {kind: armed.get((kind, bill.bill_id)) for kind in (StatementCut, DueSoon, Collect, Ageing)}
        assert all(one.message.order_ids == bill.order_ids for one in mine.values() if one is not None)
        if bill.status is BillStatus.SCHEDULED:
            cut = mine.pop(StatementCut)
            assert cut is not None
            assert cut.at == CALENDAR.at(bill.statement_on, time())
            assert not any(mine.values())
        elif bill.status in OPEN and any(part.due_part for part in life.parts_of(bill)):
            assert mine[StatementCut] is None
            _has_what_is_ahead(bill, life.now, mine)
        else:
            assert not any(mine.values())
    waiting = {one.repayment_id for one in life.rows[Repayment].values() if _is_awaited(one)}
    assert {subject for kind, subject in armed if kind is Ask} == waiting
    for bill in _touched_bills(life):
        assert bill.in_flight is None or bill.in_flight.repayment_id in waiting
    asked = {one.extension_id: one.until for one in life.rows[Extension].values() if one.status == "REQUESTED"}
    assert {subject: one.at for (kind, subject), one in armed.items() if kind is ExtensionEnd} == asked
    paused = {one.ref: one.until for plan in life.plans.values() for one in plan.pauses if one.shares}
    assert {subject: one.at for (kind, subject), one in armed.items() if kind is PauseEnd} == paused


def _is_awaited(repayment: Repayment) -> bool:
    live = (RepaymentStatus.REQUESTED, RepaymentStatus.PENDING, RepaymentStatus.UNKNOWN)
    return repayment.status in live and repayment.asks < 7


def _has_what_is_ahead(bill: Bill, now: datetime, armed: dict[type[Due], Any]) -> None:
    reminders = [CALENDAR.at(bill.due_on - timedelta(days=days), time(9)) for days in (3, 1, 0)]
    assert (armed[DueSoon] and armed[DueSoon].at) == _next(reminders, now)
    attempts = [CALENDAR.at(bill.due_on + timedelta(days=days), time(14)) for days in bill.terms.dunning.collect_days]
    assert (armed[Collect] and armed[Collect].at) == _next(attempts, now)
    ahead = [day for day in ladder(bill.terms) if day > bill.last_step]
    steps = {CALENDAR.at(bill.due_on + timedelta(days=day), time()): day for day in ahead}
    if (first := _next(steps, now)) is not None:
        assert armed[Ageing] is not None
        assert bill.last_step < armed[Ageing].message.day <= steps[first]


def _next(instants: Iterable[datetime], now: datetime) -> datetime | None:
    return min((one for one in instants if one > now), default=None)


def a_bill_has_a_stage_only_while_something_is_past_due(life: Life, step: Step) -> None:
    """B-D2: repayment, refund, waiver and extension cure; a pause does not."""
    for bill in _touched_bills(life):
        if bill.status in OPEN and bill.stage != "NONE":
            lines = life.lines_of(bill)
            assert any(part.unpaid and (line.paused_dpd or line.due_on < life.today) for line, part in lines)
        elif bill.status in (BillStatus.SCHEDULED, BillStatus.PAID, BillStatus.VOIDED):
            assert bill.stage == "NONE"


def _touched_plans(life: Life) -> list[Plan]:
    return [life.plans[order_id] for order_id in life.touched.orders]


def _touched_bills(life: Life) -> list[Bill]:
    return [life.bills[bill_id] for bill_id in life.touched.bills if bill_id in life.bills]


AT_REST = (
    every_plan_adds_up,
    a_repayment_is_allocated_to_the_cent,
    late_fees_stay_within_their_cap,
    a_refund_takes_too_high_late_fees_back_wherever_they_are_unpaid,
    no_more_cash_goes_out_than_came_in,
    the_journal_alone_knows_the_rows,
    the_book_sums_up_the_plans,
    an_observer_of_the_events_knows_what_the_rows_know,
    deadlines_stand_exactly_while_something_is_due,
    a_bill_has_a_stage_only_while_something_is_past_due,
)


def look(life: Life, step: Step) -> None:
    """Every property of this step."""
    for holds in ALWAYS:
        holds(life, step)
    if life.at_rest:
        for holds in AT_REST:
            holds(life, step)
        life.touched = type(life.touched)()


def lived(script: Script, buyer: str = BUYER) -> Life:
    """The life of this script, looked at after every step; if something is wrong it is told as a story."""
    life = Life(script, look, buyer)
    with telling(life):
        return life.play()


@contextmanager
def telling(*lives: Life) -> Iterator[None]:
    """Whatever goes wrong within: these are the lives it went wrong in."""
    try:
        yield
    except Exception:
        for life in lives:
            note(life.story())
        raise


def tried_on(lives: int) -> settings:
    """So many lives. What is told of one that fails explains it better than the lines that ran."""
    phases = [phase for phase in Phase if phase is not Phase.explain]
    return settings(max_examples=lives, deadline=None, phases=phases, suppress_health_check=list(HealthCheck))


def test_whatever_happens_in_a_life_the_books_are_right_after_every_step(pytestconfig: pytest.Config) -> None:
    """BIL-09, I-1, I-2, I-4, I-6, I-7, I-8, I-10, H-2, H-3, B-A3, B-C1, B-C2, B-D1, B-D2, B-D3, B-F1, B-F2, B-F3, B-F5,
    B-F6, B-H1, B-H3, B-P2, B-R1, B-R4, B-X2, B-X3: all the properties above.
    """

    @tried_on(pytestconfig.getoption("lives"))
    @given(scripts())
    def is_right(script: Script) -> None:
        lived(script)

    is_right()


# -- through the engine, late ------------------------------------------------------------------------------------------

LATER = timedelta(days=20)


@dataclass(frozen=True)
class Pace:
    """How late a service is: how many records a turn takes, and how many turns pass after each message, in a circle."""

    records: int
    turns: tuple[int, ...]
    again: tuple[int, ...]
    """How far back the message stands that is written once more after each, 0 for none."""


paces = st.builds(
    Pace,
    st.sampled_from((500, 1, 2, 3, 7)),
    st.lists(st.integers(0, 2), min_size=1, max_size=9).map(tuple),
    st.lists(st.integers(0, 9), min_size=1, max_size=5).map(tuple),
)


async def processed(lives: Sequence[Life], pace: Pace) -> World:
    """The same messages on the topics at the same times, read by the real engine when it comes to it."""
    world = await World(billing, start=BIRTH, records=pace.records).start()
    sent = sorted((one for life in lives for one in life.sent), key=lambda one: one.at)
    turns, again = cycle(pace.turns), cycle(pace.again)
    for number, one in enumerate(sent):
        if one.at > await world.clock.now():
            world.clock.advance(one.at)
        await write(world, one)
        if back := next(again):
            await write(world, sent[max(0, number - back)])
        for _ in range(next(turns)):
            await world.members["billing"].step()
    world.clock.advance(max(life.now for life in lives))
    await world.settle()
    return world


async def write(world: World, one: Sent) -> None:
    await world.publish(one.message, id=one.id, at=one.at)


def test_law_5_late_equals_punctual(pytestconfig: pytest.Config) -> None:
    """I-8: delayed, in small turns, told twice and among others', a life comes to the same rows, journal and events."""

    @tried_on(max(1, pytestconfig.getoption("lives") // 20))
    @given(scripts(), scripts(moves=8), paces)
    def compare(mine: Script, anothers: Script, pace: Pace) -> None:
        lives = [lived(mine), lived(anothers, "b-8")]
        end = max(life.now for life in lives) + LATER
        with telling(*lives):
            for life in lives:
                life.wait_until(end)
            asyncio.run(check(lives, pace))

    async def check(lives: Sequence[Life], pace: Pace) -> None:
        world = await processed(lives, pace)
        await assert_same(world, lives)
        world.members["billing"].database.empty_inbox()
        for one in (one for life in lives for one in life.sent if isinstance(one.message, Event)):
            await write(world, one)
        await world.settle()
        await assert_same(world, lives)

    compare()


async def assert_same(world: World, lives: Sequence[Life]) -> None:
    """The world of the engine knows of each buyer what the life knows."""
    database = world.members["billing"].database
    standing = await database.standing()
    assert (await database.dead_letters(10), standing.outbox_rows, standing.waiting) == ([], 0, 0)
    rows, journal, told = world_rows(world), world_journal(world), await world_told(world)
    for life in lives:
        for kind in ROWS:
            assert rows[kind, life.buyer] == life.rows.get(kind, {}), kind.__name__
        assert journal[life.buyer] == [replace(one, cause_id="") for step in life.steps for one in step.postings]
        assert told.get(life.buyer, []) == life.told


def world_rows(world: World) -> dict[tuple[type[Row], str], dict[str, Row]]:
    rows: defaultdict[tuple[type[Row], str], dict[str, Row]] = defaultdict(dict)
    for kind in ROWS:
        for row in world.rows(billing, kind):
            owner, row_id = row.identity()
            rows[kind, owner][row_id] = row
    return rows


def world_journal(world: World) -> dict[str, list[Posting]]:
    """Without the ids of causes: those of deadlines are the engine's own."""
    journal: defaultdict[str, list[Posting]] = defaultdict(list)
    for posting in world.entries(billing, Posting):
        journal[posting.buyer_id].append(replace(posting, cause_id=""))
    return journal


async def world_told(world: World) -> dict[str, list[Event | str]]:
    """What each buyer's observers hear, each event once; of a rejection the code."""
    told: defaultdict[str, dict[str, Any]] = defaultdict(dict)
    for one in await world.told("billing.events"):
        outcome = one.message.code if isinstance(one.message, Rejection) else one.message
        told[one.envelope.key].setdefault(one.envelope.id, outcome)
    return {buyer: list(outcomes.values()) for buyer, outcomes in told.items()}
