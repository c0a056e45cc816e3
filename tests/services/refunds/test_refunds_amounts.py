"""What a return is worth, to the last unit (R-R4, M-1, M-3, M-4)."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from refunds_stories import (
    Story,
    assessed,
    disputed,
    gesture,
    graded,
    line,
    local,
    received,
    refund_due,
    request,
    ruling,
    units,
)

from services.refunds.rules import amounts, intake
from services.refunds.rules.units import decided, taken
from services.refunds.state import Case, Order
from shared.contracts.policy import CategoryReturnTerms, GradeDeductions, ReturnReasons, ReturnTerms
from shared.contracts.refunds import RequestReturn, ReturnAssessed
from shared.kernel.calendar import Calendar


def computed(story: Story) -> ReturnAssessed:
    return story.events(ReturnAssessed)[-1]


# -- deductions --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("grade", "damage"), [("A", 0), ("B", 2500), ("C", 6250), ("D", 12500)])
def test_ref_15_the_buyer_answers_for_the_condition_of_the_goods(grade: str, damage: int) -> None:
    found = computed(assessed(grades=graded(("A", 1, grade), by="BUYER")))
    assert (found.damage, found.amount) == (damage, 12500 - damage)


@pytest.mark.parametrize("by", ["SELLER", "CARRIER"])
def test_ref_15_nobody_else_answers_to_the_buyers_cost(by: str) -> None:
    found = computed(assessed(grades=graded(("A", 1, "D"), by=by)))
    assert (found.damage, found.amount, found.responsibility) == (0, 12500, by)


def test_units_are_graded_in_the_order_listed_and_the_rest_last_and_as_new() -> None:
    """10000 over 3 units: the groups are worth 3333 (C), 3333 (B) and 3334, which nobody graded (A: 1 %)."""
    terms = ReturnTerms(grade_bps=GradeDeductions(a=100, b=2000, c=5000, d=10000))
    grades = graded(("A", 1, "C"), ("A", 1, "B"), by="BUYER")
    three = request(lines=units(A=3))
    found = computed(assessed(three, line(goods=10000, freight=0, quantity=3), grades=grades, returns=terms))
    assert found.damage == 1666 + 666 + 33
    assert found.lines == grades.lines


def test_a_change_of_mind_leaves_the_freight_with_the_buyer_and_a_fault_does_not() -> None:
    assert computed(assessed(request("WRONG_CHOICE"))).freight == 0
    assert computed(assessed(request("MISSING_PARTS"))).freight == 384


def test_the_way_back_is_charged_once_a_parcel_and_never_for_a_fault() -> None:
    terms = ReturnTerms(return_fee=800, restocking_bps=1000)
    two = units(A=1, B=1)
    lines = line("A", 1005, 0, 1), line("B", 1005, 0, 1)
    mind = computed(assessed(request(lines=two), *lines, returns=terms))
    assert (mind.restocking, mind.return_fee, mind.amount) == (201, 800, 2010 - 201 - 800)
    fault = computed(assessed(request("DAMAGED", two), *lines, returns=terms))
    assert (fault.restocking, fault.return_fee, fault.amount) == (0, 0, 2010)


def test_each_line_bears_the_deductions_of_its_category_and_the_dearest_way_back() -> None:
    shoes = CategoryReturnTerms(restocking_bps=2000, return_fee=300, grade_bps=GradeDeductions(b=5000))
    terms = ReturnTerms(restocking_bps=1000, return_fee=100, by_category={"SHOES": shoes})
    lines = line("A", 1000, 0, 1), line("S", 1000, 0, 1, category="SHOES")
    grades = graded(("A", 1, "B"), ("S", 1, "B"), by="BUYER")
    found = computed(assessed(request(lines=units(A=1, S=1)), *lines, grades=grades, returns=terms))
    assert (found.damage, found.restocking, found.return_fee) == (200 + 500, 100 + 200, 300)


def test_a_reason_may_be_a_fault_of_one_line_and_a_change_of_mind_of_another() -> None:
    shoes = CategoryReturnTerms(reasons=ReturnReasons(remorse=("DEFECTIVE",), fault=()), return_fee=300)
    terms = ReturnTerms(by_category={"SHOES": shoes}, return_fee=100)
    lines = line("A", 1000, 50, 1), line("S", 1000, 50, 1, category="SHOES")
    found = computed(assessed(request("DEFECTIVE", units(A=1, S=1)), *lines, returns=terms))
    assert (found.freight, found.return_fee) == (50, 300)


def test_more_is_never_deducted_than_the_goods_are_worth() -> None:
    found = computed(assessed(returns=ReturnTerms(return_fee=999_999)))
    assert (found.return_fee, found.amount) == (999_999, 0)


def test_a_ratio_beyond_the_whole_takes_the_whole_of_its_goods_and_nothing_of_others() -> None:
    ruinous = CategoryReturnTerms(restocking_bps=1_000_000, grade_bps=GradeDeductions(b=1_000_000))
    lines = line("A", 5000, 0, 1), line("S", 1000, 0, 1, category="SHOES")
    grades = graded(("S", 1, "B"), by="BUYER")
    two = request(lines=units(A=1, S=1))
    found = computed(assessed(two, *lines, grades=grades, returns=ReturnTerms(by_category={"SHOES": ruinous})))
    assert (found.damage, found.restocking, found.amount) == (1000, 1000, 4000)


# -- bounds ------------------------------------------------------------------------------------------------------------


def test_r_r_6_after_a_gesture_a_return_gives_back_what_is_left_of_the_order() -> None:
    story = received(request("DEFECTIVE")).then(gesture(25000), at="03-18 14:00").then(graded(), at="03-18 15:00")
    assert (computed(story).goods, computed(story).freight, computed(story).amount) == (12500, 384, 769)
    story = story.then(ruling(), at="03-18 16:00")
    assert story.told[-1].amount == 769
    assert (story.order.rest, story.order.lines[0].refunded, story.order.lines[0].refunded_qty) == (0, 769, 1)


def test_r_r_6_after_a_gesture_of_everything_a_return_gives_nothing_back() -> None:
    story = received().then(gesture(25769), at="03-18 14:00").then(graded(), at="03-18 15:00")
    assert story.then(ruling(), at="03-18 16:00").case.outcome == "NO_REFUND"


def test_each_line_bears_its_share_of_what_is_granted() -> None:
    """8000 granted of 10000 and 3333: 6000.15 and 1999.85, the odd unit to the larger remainder (M-1)."""
    lines = line("A", 10000, 0, 1), line("B", 3333, 0, 1)
    story = disputed(request(lines=units(A=1, B=1)), *lines).then(ruling(by="PLATFORM", amount=8000), at="03-19 10:00")
    assert [line.refunded for line in story.order.lines] == [6000, 2000]


def test_skus_of_what_came_back_are_named_once() -> None:
    lines = line("A", sku="shoe"), line("B", sku="shoe"), line("C")
    story = refund_due(request(lines=units(A=1, B=1, C=1)), *lines, came=units(A=1, B=1))
    assert story.told[-1].skus == ("shoe",)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 100_000), st.integers(0, 1000), st.lists(st.integers(1, 4), min_size=1, max_size=6))
def test_m_3_a_line_is_worth_itself_in_whatever_steps_it_comes_back(goods: int, freight: int, steps: list[int]) -> None:
    order = Story.of_an_order(line(goods=goods, freight=freight, quantity=sum(steps))).order
    granted = []
    for quantity in steps:
        case = opened_case(order, request("DEFECTIVE", units(A=quantity)))
        computed = amounts.assess(order, case)
        granted.append(computed.amount)
        order = decided(taken(order, case), case, computed, computed.amount)
    assert sum(granted) == goods + freight == order.refunded == order.lines[0].refunded
    assert (order.rest, order.lines[0].free_qty) == (0, 0)


def opened_case(order: Order, asked: RequestReturn) -> Case:
    return intake.opened(asked, order, local("03-15 10:00"), Calendar(), "digest")
