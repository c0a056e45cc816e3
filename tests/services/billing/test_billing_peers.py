"""What peers have published about refunds on plans that are partly paid or late, lived through here.

The amounts are theirs, in minor units. Their instalments are a fortnight or a month apart; here each stands on a bill
of its own, and only their order, what was paid and what is past due matter.
"""

from dataclasses import replace
from datetime import date, timedelta

from billing_stories import BUYER, CARD, bill, line, plan

from services.billing.rules import refunding
from services.billing.rules.debts import Debts
from services.billing.state import Book, Instalment, Payment
from shared.contracts.policy import RefundPolicy
from shared.kernel.calendar import Calendar, WorkingWeek

TODAY = date(2027, 3, 3)
CALENDAR = Calendar(week=WorkingWeek.CN_WEEKENDS)


def refunded(
    amount: int, instalments: list[int], *, paid: int = 0, past_due: int = 0, policy: RefundPolicy = "REVERSE_DUE"
) -> refunding.Fall:
    """A refund of an order in ``instalments``, of which the first ones are ``paid``, or if not, ``past_due``."""
    days = [TODAY - timedelta(days=len(instalments) - seq) for seq, _ in enumerate(instalments, start=1)]
    parts = [
        Instalment(seq, f"m-{seq}", one, 0, paid=one if seq <= paid else 0)
        for seq, one in enumerate(instalments, start=1)
    ]
    payments = [Payment(f"pay-{one.seq}", CARD, days[one.seq - 1], one.paid, one.paid) for one in parts if one.paid]
    order = replace(plan("o-1", TODAY, *parts, refund_policy=policy), payments=tuple(payments))
    due_on = [TODAY - timedelta(days=1) if seq <= past_due else TODAY for seq, _ in enumerate(instalments, start=1)]
    bills = {one.bill_id: bill(line("o-1", due_on[one.seq - 1], one.seq), bill_id=one.bill_id) for one in parts}
    debts = Debts(Book(BUYER, "CNY", outstanding_principal=order.owed), {"o-1": order}, bills)
    asked = refunding.RefundAsked("rf-1", "o-1", amount, "ORIGINAL_ROUTE", TODAY)
    return refunding.fall(asked, debts, TODAY, CALENDAR)


def left(fallen: refunding.Fall) -> list[int]:
    return [one.outstanding for one in fallen.after.instalments]


def cash(fallen: refunding.Fall) -> list[tuple[str | None, int]]:
    return [(leg.repayment_id, leg.amount) for leg in fallen.legs if leg.kind != "DEBT"]


def test_afterpay_a_refund_cancels_the_final_payment_and_lowers_the_one_before() -> None:
    """B-R1. 500.40 in four, two paid, 143.10 back: the last becomes 0.00, the third 107.10, nothing in cash.

    https://help.afterpay.com/hc/en-au/articles/19827993596313-My-refund-amount-is-different-to-what-I-was-expecting-Why
    """
    fallen = refunded(14310, [12510] * 4, paid=2)
    assert (left(fallen), cash(fallen)) == ([0, 0, 10710, 0], [])


def test_afterpay_what_was_paid_goes_back_from_the_final_payment_on() -> None:
    """B-R3. 57.27 in four, all paid, 15.00 back: 14.31 of the last payment and 0.69 of the third.

    The same page; its other three payments are taken as 14.32 each.
    """
    fallen = refunded(1500, [1432, 1432, 1432, 1431], paid=4)
    assert cash(fallen) == [("pay-4", 1431), ("pay-3", 69)]


def test_afterpay_only_what_exceeds_the_debt_goes_back() -> None:
    """B-R1, B-R3. 100 in four, one paid, 80 back: three payments are cancelled, 5 of the first come back.

    https://help.afterpay.com/hc/en-nz/articles/360031623571-How-do-Refunds-and-Returns-work-at-Afterpay-
    """
    fallen = refunded(8000, [2500] * 4, paid=1)
    assert (left(fallen), cash(fallen)) == ([0, 0, 0, 0], [("pay-1", 500)])


def test_affirm_a_refund_is_credited_to_the_last_bill_and_then_to_the_preceding_one() -> None:
    """B-R1: "All other payment amounts will not change". The amounts are ours, for the page has none.

    https://docs.affirm.com/Merchant_Resources/For_Customer-Facing_Teams/Refunds
    """
    assert left(refunded(8000, [5000] * 6)) == [5000, 5000, 5000, 5000, 2000, 0]


def test_fineract_a_refund_pays_what_is_past_due_and_the_rest_evenly_of_what_is_to_come() -> None:
    """B-R1: PAST_DUE_FIRST, 500 in four, the first past due, 300 back: 0 / 66.67 / 66.67 / 66.66.

    Apache Fineract, merchant issued refund on a progressive loan with past due first and future instalments spread:
    https://github.com/apache/fineract, fineract-e2e-tests, LoanMerchantIssuedRefund.feature
    """
    fallen = refunded(30000, [12500] * 4, past_due=1, policy="PAST_DUE_FIRST")
    assert (left(fallen), cash(fallen)) == ([0, 6667, 6667, 6666], [])
