"""How a refund is spread over a plan and falls on debt and cash: the specification's numbers, by the pure rules."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from billing_stories import BUYER, CARD, OTHER_CARD, bill, line, local, plan
from hypothesis import given
from hypothesis import strategies as st

from services.billing.rules import refunding, spread
from services.billing.rules.debts import Debts
from services.billing.state import Book, Instalment, Pause, PausedShare, Payment, Plan
from shared.contracts.fields import Instrument
from shared.contracts.policy import RefundPolicy
from shared.kernel.calendar import Calendar, WorkingWeek
from shared.kernel.money import equal_split

EXTERNAL = Instrument(kind="EXTERNAL", token="cash")
MARCH = date(2027, 3, 3)
CALENDAR = Calendar(week=WorkingWeek.CN_WEEKENDS)


def payment(repayment_id: str, amount: int, paid_on: date = MARCH, instrument: Instrument = CARD) -> Payment:
    return Payment(repayment_id, instrument, paid_on, amount, amount)


def instalments(amount: int, count: int, paid: int) -> Plan:
    """A plan of ``amount`` in ``count`` instalments, the first of which are paid, each by a repayment of its own."""
    parts = equal_split(amount, count)
    order = plan(
        "o-1",
        date(2027, 1, 12),
        *(
            Instalment(seq, f"m-{seq}", part, 0, paid=part if seq <= paid else 0)
            for seq, part in enumerate(parts, start=1)
        ),
    )
    return replace(order, payments=tuple(payment(f"pay-{n}", parts[n - 1]) for n in range(1, paid + 1)))


def fall(order: Plan, amount: int, destination: str = "ORIGINAL_ROUTE", past_due: int = 0) -> refunding.Fall:
    """Let a refund of case-1 fall on an order whose first ``past_due`` instalments are late."""
    due_on = {one.seq: MARCH - timedelta(days=1) if one.seq <= past_due else MARCH for one in order.instalments}
    bills = {one.bill_id: bill(line("o-1", due_on[one.seq], one.seq), bill_id=one.bill_id) for one in order.instalments}
    asked = refunding.RefundAsked("case-1:r1", "o-1", amount, destination, MARCH, refs=("case-1",))
    book = Book(BUYER, "CNY", outstanding_principal=order.owed)
    return refunding.fall(asked, Debts(book, {"o-1": order}, bills), MARCH, CALENDAR)


def left(fallen: refunding.Fall) -> list[int]:
    return [one.outstanding for one in fallen.after.instalments]


def legs(fallen: refunding.Fall) -> list[tuple[str, int]]:
    return [(leg.kind, leg.amount) for leg in fallen.legs]


# -- worked examples ---------------------------------------------------------------------------------------------------


def test_example_6_a_refund_of_less_than_the_debt_pays_nothing_out() -> None:
    fallen = fall(instalments(10000, 3, paid=1), 4000)
    assert left(fallen) == [0, 2666, 0]
    assert legs(fallen) == [("DEBT", 4000)]


def test_example_6_what_exceeds_the_debt_goes_back_to_what_paid_it() -> None:
    fallen = fall(instalments(10000, 3, paid=1), 8000)
    assert left(fallen) == [0, 0, 0]
    assert [leg.model_dump(exclude_none=True) for leg in fallen.legs] == [
        {"leg_id": "case-1:r1:1", "kind": "DEBT", "amount": 6666},
        {
            "leg_id": "case-1:r1:2",
            "kind": "ORIGINAL_ROUTE",
            "amount": 1334,
            "instrument": CARD.model_dump(),
            "repayment_id": "pay-1",
        },
    ]
    assert fallen.after.payments[0].refundable == 2000
    assert (fallen.after.unpaid, fallen.after.refunded_total) == (0, 8000)


def test_example_6_the_last_instalments_go_first() -> None:
    fallen = fall(instalments(60000, 6, paid=2), 25000)
    assert left(fallen) == [0, 0, 10000, 5000, 0, 0]
    assert legs(fallen) == [("DEBT", 25000)]


def test_refunds_example_6_cash_goes_to_the_wallet_where_the_buyer_chose_it() -> None:
    fallen = fall(instalments(10000, 3, paid=1), 8000, "WALLET")
    assert legs(fallen) == [("DEBT", 6666), ("WALLET", 1334)]
    assert (fallen.legs[1].instrument, fallen.legs[1].repayment_id) == (None, None)


@pytest.mark.parametrize(
    ("policy", "unpaid", "past_due", "amount", "after"),
    [
        ("REVERSE_DUE", [12510, 12510], 0, 14310, [10710, 0]),
        ("PAST_DUE_FIRST", [12500] * 4, 1, 30000, [0, 6667, 6667, 6666]),
        ("PRO_RATA", [3333, 3333], 0, 4000, [1333, 1333]),
    ],
)
def test_b_r_the_checks_of_the_policies(
    policy: RefundPolicy, unpaid: list[int], past_due: int, amount: int, after: list[int]
) -> None:
    """B-R1: the table of section 4."""
    parts = [Instalment(seq, f"m-{seq}", one, 0) for seq, one in enumerate(unpaid, start=1)]
    fallen = fall(replace(plan("o-1", MARCH, *parts), refund_policy=policy), amount, past_due=past_due)
    assert left(fallen) == after
    assert legs(fallen) == [("DEBT", amount)]


# -- the policies ------------------------------------------------------------------------------------------------------


def test_past_due_first_takes_late_instalments_from_the_oldest_on() -> None:
    assert spread.past_due_first(150, [100, 100, 100], [31, 1, 0]) == [100, 50, 0]
    assert spread.past_due_first(150, [100, 100, 100], [0, 5, 23]) == [0, 50, 100]


def test_past_due_first_gives_what_is_too_much_for_one_to_the_last_first() -> None:
    assert spread.past_due_first(9000, [1000, 12500, 12500], [0] * 3) == [1000, 3000, 5000]


def test_past_due_first_passes_over_what_is_paid() -> None:
    assert spread.past_due_first(90, [0, 100, 100], [0] * 3) == [0, 45, 45]


amounts = st.integers(0, 50_000)
plans = st.lists(st.tuples(st.integers(0, 9_000), st.integers(0, 40)), min_size=1, max_size=12)


@given(st.sampled_from(("REVERSE_DUE", "PAST_DUE_FIRST", "PRO_RATA")), amounts, plans)
def test_every_policy_takes_all_there_is_and_no_more(
    policy: RefundPolicy, amount: int, parts: list[tuple[int, int]]
) -> None:
    unpaid, days_late = [one for one, _ in parts], [late for _, late in parts]
    shares = spread.spread(policy, amount, unpaid, days_late)
    assert sum(shares) == min(amount, sum(unpaid))
    assert all(0 <= share <= one for share, one in zip(shares, unpaid, strict=True))


# -- cash --------------------------------------------------------------------------------------------------------------


def paid_by(*payments: Payment) -> Plan:
    """An order that these payments have paid."""
    total = sum(one.principal for one in payments)
    return replace(plan("o-1", MARCH, Instalment(1, "m-1", total, 0, paid=total)), payments=payments)


def test_b_r_3_cash_goes_back_along_the_latest_payment_first_ties_by_the_higher_id() -> None:
    order = paid_by(
        payment("pay-b", 100, date(2027, 3, 4)),
        payment("pay-c", 100, date(2027, 3, 5), OTHER_CARD),
        payment("pay-a", 100, date(2027, 3, 5)),
    )
    fallen = fall(order, 250)
    assert [(leg.repayment_id, leg.instrument, leg.amount) for leg in fallen.legs] == [
        ("pay-c", OTHER_CARD, 100),
        ("pay-a", CARD, 100),
        ("pay-b", CARD, 50),
    ]
    assert [one.refundable for one in fallen.after.payments] == [50, 0, 0]


def test_b_r_3_what_was_paid_outside_goes_back_outside() -> None:
    order = paid_by(payment("pay-1", 100), payment("x:1", 60, instrument=EXTERNAL), payment("pay-2", 40))
    assert legs(fall(order, 150)) == [("EXTERNAL", 60), ("ORIGINAL_ROUTE", 40), ("ORIGINAL_ROUTE", 50)]
    to_wallet = fall(order, 150, "WALLET")
    assert legs(to_wallet) == [("WALLET", 90), ("EXTERNAL", 60)]
    assert (to_wallet.legs[1].instrument, to_wallet.legs[1].repayment_id) == (EXTERNAL, "x:1")


def test_b_r_4_what_exceeds_the_order_goes_nowhere() -> None:
    fallen = fall(fall(instalments(10000, 3, paid=1), 8000).after, 3000)
    assert legs(fallen) == [("ORIGINAL_ROUTE", 2000)]
    assert (fallen.unallocated, fallen.after.refunded_total) == (1000, 10000)
    assert (fall(fallen.after, 1).legs, fall(fallen.after, 1).unallocated) == ((), 1)


def test_a_refund_along_more_payments_than_a_message_can_list_leaves_the_rest_unallocated() -> None:
    fallen = fall(paid_by(*(payment(f"pay-{n}", 1) for n in range(150))), 150)
    assert (len(fallen.legs), fallen.unallocated) == (99, 51)


# -- pauses give way ---------------------------------------------------------------------------------------------------


def held(ref: str, seq: int, amount: int) -> Pause:
    return Pause(ref, (f"e-{ref}",), MARCH, local("04-05 10:00"), (PausedShare(seq, amount),))


def test_b_h_1_a_refund_lowers_the_pause_of_its_case_line_by_line_by_what_it_took() -> None:
    """Seq 3 is paused for case 2, seq 2 for case 1; the refund of case 1 takes the last line first."""
    parts = [Instalment(seq, f"m-{seq}", 100, 0, paused=paused) for seq, paused in ((1, 0), (2, 100), (3, 100))]
    order = replace(plan("o-1", MARCH, *parts), pauses=(held("case-2", 3, 100), held("case-1", 2, 100)))
    after = fall(order, 130).after
    assert [one.outstanding for one in after.instalments] == [100, 70, 0]
    assert [one.paused for one in after.instalments] == [0, 70, 0]
    assert [(one.ref, one.shares, one.ended_on) for one in after.pauses] == [
        ("case-2", (), MARCH),
        ("case-1", (PausedShare(2, 70),), None),
    ]


def test_b_h_1_of_two_pauses_on_a_line_that_is_refunded_the_later_gives_way() -> None:
    order = replace(
        plan("o-1", MARCH, Instalment(1, "m-1", 100, 0, paused=90)),
        pauses=(held("case-3", 1, 50), held("case-2", 1, 40)),
    )
    after = fall(order, 30).after
    assert [one.shares for one in after.pauses] == [(PausedShare(1, 50),), (PausedShare(1, 20),)]
    assert after.instalments[0].paused == after.instalments[0].outstanding == 70
