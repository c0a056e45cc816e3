"""Billing's calculators on values of their own, beyond what today's messages can reach."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from billing_stories import BUYER, CARD, MERCHANT, TERMS, accepted, bill, first_bill, line, local, monthly, plan
from hypothesis import given
from hypothesis import strategies as st

from services.billing.rules import allocation, collection, delinquency, dues, ledger, schedule, timetable
from services.billing.rules.debts import Debts
from services.billing.rules.ledger import Movement
from services.billing.state import STAGES, Autopay, BillStatus, Book, Instalment, LedgerAccount
from shared.engine.vocabulary import Cause
from shared.kernel.calendar import Calendar, WorkingWeek

CALENDAR = Calendar(week=WorkingWeek.CN_WEEKENDS)


# -- allocation --------------------------------------------------------------------------------------------------------

STATEMENT = bill(line("o-2", date(2027, 3, 31)), line("o-1", date(2027, 3, 3)))
PLANS = {
    "o-1": plan("o-1", date(2027, 1, 12), Instalment(1, "m", 3334, 50)),
    "o-2": plan("o-2", date(2027, 1, 20), Instalment(1, "m", 5000, 100, paid=1000, paused=1500)),
}


def test_b_a_1_a_bill_is_paid_by_due_date_fee_before_principal_paused_parts_last() -> None:
    parts = allocation.parts_of_bill(STATEMENT, PLANS)
    assert [(part.order_id, part.component, part.amount) for part in parts] == [
        ("o-1", "FEE", 50),
        ("o-1", "PRINCIPAL", 3334),
        ("o-2", "FEE", 100),
        ("o-2", "PRINCIPAL", 2500),
        ("o-2", "PRINCIPAL", 1500),
    ]


def test_b_a_1_lines_due_alike_are_paid_by_the_day_of_acceptance_then_by_order() -> None:
    same_day = bill(line("o-2", date(2027, 3, 3)), line("o-3", date(2027, 3, 3)), line("o-1", date(2027, 3, 3)))
    plans = {**PLANS, "o-3": plan("o-3", date(2027, 1, 12), Instalment(1, "m", 10, 0))}
    parts = allocation.parts_of_bill(same_day, plans)
    assert list(dict.fromkeys(part.order_id for part in parts)) == ["o-1", "o-3", "o-2"]


def test_b_a_1_an_order_is_paid_instalment_by_instalment() -> None:
    order = plan("o-1", date(2027, 1, 12), *(Instalment(seq, f"m{seq}", 100, 10) for seq in (1, 2)))
    assert [(part.seq, part.component) for part in allocation.parts_of_order(order, {})] == [
        (1, "FEE"),
        (1, "PRINCIPAL"),
        (2, "FEE"),
        (2, "PRINCIPAL"),
    ]


@given(st.integers(0, 20000))
def test_b_a_3_a_repayment_is_allocated_as_far_as_it_reaches(amount: int) -> None:
    parts = allocation.parts_of_bill(STATEMENT, PLANS)
    allocations = allocation.allocate(amount, parts)
    assert allocation.total(allocations) == min(amount, allocation.total(parts))
    assert all(part.amount > 0 for part in allocations)
    assert [replace(one, amount=0) for one in allocations] == [replace(one, amount=0) for one in parts][
        : len(allocations)
    ]
    assert all(one == part for one, part in list(zip(allocations, parts, strict=False))[:-1])


ORDER = plan("o-1", date(2027, 1, 12), Instalment(1, "m", 100, 10))
DEBTS = Debts(Book(BUYER, "CNY", outstanding_principal=100), {"o-1": ORDER}, {})
MONEY = allocation.Money("pay-1", CARD, date(2027, 3, 3))


def test_a_payment_on_a_plan_remembers_the_principal_it_may_give_back() -> None:
    after = allocation.applied(DEBTS, allocation.allocate(105, allocation.parts_of_order(ORDER, {})), MONEY)
    order = after.plans["o-1"]
    assert (order.instalments[0].fee_paid, order.instalments[0].paid, order.unpaid) == (10, 95, 5)
    assert (order.payments[0].principal, order.payments[0].refundable) == (95, 95)


def test_money_that_pays_a_second_time_on_an_order_stays_one_payment() -> None:
    """B-F7: the paid part of a fee that was taken back pays principal with the same repayment's money."""
    first = allocation.applied(DEBTS, allocation.allocate(60, allocation.parts_of_order(ORDER, {})), MONEY)
    rest = allocation.parts_of_order(first.plans["o-1"], {})
    order = allocation.applied(first, allocation.allocate(20, rest), MONEY).plans["o-1"]
    assert [(one.repayment_id, one.principal, one.refundable) for one in order.payments] == [("pay-1", 70, 70)]


# -- what is due -------------------------------------------------------------------------------------------------------


def test_due_parts_count_from_their_own_date_and_without_what_is_paused() -> None:
    assert dues.due_part(STATEMENT, PLANS) == 3384 + 2600
    assert dues.amount_due(STATEMENT, PLANS) == 3384 + 2600
    assert dues.collectable(STATEMENT, PLANS, date(2027, 3, 30)) == 3384
    assert dues.past_due(STATEMENT, PLANS, date(2027, 3, 3)) == 0
    assert dues.past_due(STATEMENT, PLANS, date(2027, 3, 4)) == 3384
    assert dues.unpaid(STATEMENT, PLANS) == 3384 + 4100


def test_the_fee_of_a_wholly_paused_instalment_waits_too() -> None:
    assert Instalment(1, "m", 100, 10, paused=100).due_part == 0
    assert Instalment(1, "m", 100, 10, paused=99).due_part == 11
    assert Instalment(1, "m", 100, 10, paid=100).due_part == 10


@given(st.integers(0, 400))
def test_stages_and_buckets_only_worsen_with_time(day: int) -> None:
    assert STAGES.index(delinquency.stage_at(day)) <= STAGES.index(delinquency.stage_at(day + 1))
    assert (delinquency.stage_at(day) == "NONE") is (delinquency.bucket_at(day) == "NONE") is (day == 0)


def test_b_d_1_the_ladder_has_the_steps_and_the_fee_days() -> None:
    """B-D1, B-F2: with the default terms fees fall on days 4 and 11, one of them a step as well."""
    terms = bill(line("o-1", date(2027, 3, 3))).terms
    assert delinquency.ladder(terms) == (1, 4, 10, 11, 31, 61, 91, 121, 181)
    assert [day for day in delinquency.ladder(terms) if not delinquency.climbs(terms, day)] == [11]


def test_2_1_an_arm_set_skips_what_has_passed() -> None:
    late = first_bill(accepted())
    armed = [(type(one.message).__name__, one.at) for one in timetable.arm_set(late, local("03-23 12:00"), CALENDAR)]
    assert armed == [("Collect", local("03-25 14:00")), ("Step", local("03-29 00:00"))]


# -- collections -------------------------------------------------------------------------------------------------------


def test_b_c_3_why_no_attempt_follows() -> None:
    one = bill(line("o-1", date(2027, 3, 3)))
    usable, at = Autopay(instrument=CARD), local("03-20 14:00")
    assert collection.prospect(one, 100, usable, at) == collection.Prospect(at, None)
    reasons = [
        collection.prospect(None, 0, usable, at),
        collection.prospect(one, 0, replace(usable, blocked=True), at),
        collection.prospect(one, 0, replace(usable, enabled=False), at),
        collection.prospect(one, 100, replace(usable, enabled=False), at),
        collection.prospect(one, 100, Autopay(), at),
        collection.prospect(one, 100, usable, None),
    ]
    assert [reason.stop_reason for reason in reasons] == [
        "PAID",
        "HARD_DECLINED",
        "PAUSED",
        "AUTOPAY_OFF",
        "AUTOPAY_OFF",
        "EXHAUSTED",
    ]


# -- plans and the ledger ----------------------------------------------------------------------------------------------


def test_b_p_1_the_window_of_the_terms_sets_the_due_date() -> None:
    order = accepted(terms=TERMS.model_copy(update={"window_days": 14}))
    assert first_bill(order).due_on == date(2027, 3, 26)


def test_b_p_2_a_statement_that_is_cut_already_takes_no_new_line() -> None:
    """B-P2, B-P4: the next one takes it; a statement that is open keeps the terms of its first line."""
    order = monthly(instalments=3)
    first, second = "m:b-7:2027-02-01", "m:b-7:2027-03-01"
    one = bill(line("o-9", date(2027, 3, 3)), bill_id=first)
    statement = replace(one, kind="MONTHLY", statement_on=date(2027, 2, 1))
    waiting = replace(statement, bill_id=second, status=BillStatus.SCHEDULED, statement_on=date(2027, 3, 1))
    statements = {first: statement, second: waiting}
    opened = schedule.opened_plan(order, date(2027, 1, 12), statements)
    assert [one.bill_id for one in opened.instalments] == [second, "m:b-7:2027-04-01", "m:b-7:2027-05-01"]
    holding = schedule.bills_holding(opened, order, statements)
    assert [one.order_ids for one in holding] == [("o-9", "o-1"), ("o-1",), ("o-1",)]
    assert holding[0].terms is waiting.terms
    assert holding[0].billed == waiting.billed + 3334


def test_an_order_whose_statements_were_cut_long_ago_is_an_error_and_never_dropped() -> None:
    order = monthly(instalments=3)
    cut = bill(line("o-9", date(2027, 3, 3)))
    with pytest.raises(schedule.StatementsUnknown, match="o-1"):
        schedule.opened_plan(order, date(2027, 1, 12), dict.fromkeys(schedule.statement_ids(order), cut))


@given(st.integers(0, 4 * 365 * 24), st.sampled_from((1, 3, 6, 12)))
def test_b_p_2_the_message_alone_names_the_statements_of_an_order(hours: int, count: int) -> None:
    accepted_at = local("01-01 00:00") + timedelta(hours=hours)
    order = accepted(at=accepted_at, product="MONTHLY", instalments=count)
    opened = schedule.opened_plan(order, CALENDAR.date(accepted_at), {})
    assert {one.bill_id for one in opened.instalments} <= set(schedule.statement_ids(order))
    assert min(date.fromisoformat(one.bill_id[-10:]) for one in opened.instalments) > CALENDAR.date(accepted_at)


def test_section_6_a_plan_with_a_fee_earns_it_when_it_opens() -> None:
    order = plan("o-1", date(2027, 1, 12), Instalment(1, "m", 10000, 150))
    postings = ledger.post(BUYER, "CNY", ledger.plan_opened(order), Cause("cause"), local("03-03 10:00"))
    assert [(one.n, one.account, one.debit, one.credit) for one in postings] == [
        (0, LedgerAccount.PRINCIPAL_RECEIVABLE, 10000, 0),
        (1, LedgerAccount.FEE_RECEIVABLE, 150, 0),
        (2, LedgerAccount.MERCHANT_PAYABLE, 0, 10000),
        (3, LedgerAccount.INSTALMENT_FEE_INCOME, 0, 150),
    ]
    assert all((one.order_id, one.merchant_id, one.fact) == ("o-1", MERCHANT, "PLAN_OPENED") for one in postings)


def test_i_1_postings_that_do_not_balance_are_refused() -> None:
    movements = [Movement("PAYOUT", LedgerAccount.PROVIDER_CASH, 1, "o-1")]
    with pytest.raises(ledger.Unbalanced):
        ledger.post(BUYER, "CNY", movements, Cause("cause"), local("03-03 10:00"))
