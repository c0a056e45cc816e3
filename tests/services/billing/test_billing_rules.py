"""Billing's calculators on values of their own, beyond what today's messages can reach."""

from dataclasses import replace
from datetime import date

import pytest
from billing_stories import BUYER, CARD, MERCHANT, TERMS, accepted, bill, line, local, plan
from hypothesis import given
from hypothesis import strategies as st

from services.billing.rules import allocation, collection, delinquency, dues, ledger, schedule, timetable
from services.billing.rules.ledger import Movement
from services.billing.state import (
    Allocation,
    Autopay,
    Instalment,
    LedgerAccount,
    Repayment,
    RepaymentStatus,
)
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
    parts = allocation.open_parts_of_bill(STATEMENT, PLANS)
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
    parts = allocation.open_parts_of_bill(same_day, plans)
    assert list(dict.fromkeys(part.order_id for part in parts)) == ["o-1", "o-3", "o-2"]


def test_b_a_1_an_order_is_paid_instalment_by_instalment() -> None:
    order = plan("o-1", date(2027, 1, 12), *(Instalment(seq, f"m{seq}", 100, 10) for seq in (1, 2)))
    assert [(part.seq, part.component) for part in allocation.open_parts_of_order(order)] == [
        (1, "FEE"),
        (1, "PRINCIPAL"),
        (2, "FEE"),
        (2, "PRINCIPAL"),
    ]


@given(st.integers(0, 20000))
def test_b_a_3_a_repayment_is_allocated_as_far_as_it_reaches(amount: int) -> None:
    parts = allocation.open_parts_of_bill(STATEMENT, PLANS)
    allocations = allocation.allocate(amount, parts)
    assert allocation.outstanding(allocations) == min(amount, allocation.outstanding(parts))
    assert all(part.amount > 0 for part in allocations)
    assert [replace(one, amount=0) for one in allocations] == [replace(one, amount=0) for one in parts][
        : len(allocations)
    ]
    assert all(one == part for one, part in list(zip(allocations, parts, strict=False))[:-1])


def test_a_payment_on_a_plan_remembers_the_principal_it_may_give_back() -> None:
    order = plan("o-1", date(2027, 1, 12), Instalment(1, "m", 100, 10))
    repayment = a_repayment(105)
    after = allocation.paid(order, repayment.allocations, repayment, date(2027, 3, 3))
    assert (after.instalments[0].fee_paid, after.instalments[0].paid, after.unpaid) == (10, 95, 5)
    assert (after.payments[0].principal, after.payments[0].refundable) == (95, 95)


def a_repayment(amount: int) -> Repayment:
    order = plan("o-1", date(2027, 1, 12), Instalment(1, "m", 100, 10))
    allocations = allocation.allocate(amount, allocation.open_parts_of_order(order))
    return Repayment(
        BUYER,
        "pay-1",
        RepaymentStatus.SUCCEEDED,
        "MANUAL",
        None,
        "o-1",
        amount,
        "CNY",
        CARD,
        local("03-03 10:00"),
        allocations=allocations,
        overpaid=amount - allocation.outstanding(allocations),
    )


# -- what is due -------------------------------------------------------------------------------------------------------


def test_due_parts_count_from_their_own_date_and_without_what_is_paused() -> None:
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
    ladder = ("NONE", "REMINDER", "RESTRICTED", "SUSPENDED", "COLLECTIONS")
    assert ladder.index(delinquency.stage_at(day)) <= ladder.index(delinquency.stage_at(day + 1))
    assert (delinquency.stage_at(day) == "NONE") is (delinquency.bucket_at(day) == "NONE") is (day == 0)


def test_the_ladder_ends_before_the_day_of_charging_off() -> None:
    terms = bill(line("o-1", date(2027, 3, 3))).terms
    assert delinquency.ladder(terms) == (1, 4, 10, 31, 61, 91, 121)


def test_2_1_an_arm_set_skips_what_has_passed() -> None:
    late = schedule.first_bill(accepted(), date(2027, 3, 12))
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
    assert schedule.first_bill(order, date(2027, 3, 12)).due_on == date(2027, 3, 26)


@pytest.mark.parametrize("other", [{"product": "MONTHLY", "instalments": 3}, {"product": "MONTHLY"}])
def test_an_order_this_build_cannot_bill_is_an_error_and_never_dropped(other: dict) -> None:
    with pytest.raises(schedule.ProductNotBilled, match="MONTHLY"):
        schedule.opened_plan(accepted(**other), date(2027, 3, 12))


def test_section_6_a_plan_with_a_fee_earns_it_when_it_opens() -> None:
    order = plan("o-1", date(2027, 1, 12), Instalment(1, "m", 10000, 150))
    postings = ledger.plan_opened(order, Cause("cause"), local("03-03 10:00"))
    assert [(one.n, one.account, one.debit, one.credit) for one in postings] == [
        (0, LedgerAccount.PRINCIPAL_RECEIVABLE, 10000, 0),
        (1, LedgerAccount.FEE_RECEIVABLE, 150, 0),
        (2, LedgerAccount.MERCHANT_PAYABLE, 0, 10000),
        (3, LedgerAccount.INSTALMENT_FEE_INCOME, 0, 150),
    ]


def test_section_6_money_nobody_owed_is_the_buyers_credit() -> None:
    order = plan("o-1", date(2027, 1, 12), Instalment(1, "m", 100, 10))
    postings = ledger.repayment_allocated(a_repayment(150), [order], Cause("cause"), local("03-03 10:00"))
    assert [(one.account, one.debit - one.credit) for one in postings] == [
        (LedgerAccount.PROVIDER_CASH, 150),
        (LedgerAccount.FEE_RECEIVABLE, -10),
        (LedgerAccount.PRINCIPAL_RECEIVABLE, -100),
        (LedgerAccount.BUYER_CREDIT, -40),
    ]
    assert all(one.merchant_id == MERCHANT for one in postings[1:3])


def test_i_1_postings_that_do_not_balance_are_refused() -> None:
    movements = [Movement(LedgerAccount.PROVIDER_CASH, 1, "o-1", None, None)]
    with pytest.raises(ledger.Unbalanced):
        ledger.post(BUYER, "CNY", movements, Cause("cause"), local("03-03 10:00"))


def test_an_allocation_keeps_what_it_paid_for() -> None:
    assert Allocation("o-1", 1, "m", "FEE", 10) in a_repayment(105).allocations
