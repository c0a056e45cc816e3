"""Money is divided without losing or making a unit: the spec's numbers, then every number."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.kernel.money import equal_split, percentage, proportional_split, quantity_share

amounts = st.integers(0, 10**12)


def test_m_1_freight_goes_by_largest_remainder() -> None:
    assert proportional_split(1000, [25000, 7499]) == [769, 231]


def test_m_1_ties_go_to_the_earlier_weight() -> None:
    assert proportional_split(100, [1, 1, 1]) == [34, 33, 33]
    assert proportional_split(2, [5, 5, 5]) == [1, 1, 0]


def test_m_1_a_refund_pro_rata_over_equal_instalments() -> None:
    assert proportional_split(4000, [3333, 3333]) == [2000, 2000]


def test_m_1_nothing_can_be_divided_over_nothing_but_something_cannot() -> None:
    assert proportional_split(0, [0, 0]) == [0, 0]
    with pytest.raises(ValueError, match="cannot divide 5"):
        proportional_split(5, [0, 0])
    with pytest.raises(ValueError, match="cannot divide 5"):
        proportional_split(5, [-1, 3])


@given(amounts, st.lists(st.integers(0, 10**12), min_size=1, max_size=100).filter(any))
def test_m_1_shares_sum_to_the_whole_and_stay_within_one_unit(amount: int, weights: list[int]) -> None:
    shares = proportional_split(amount, weights)
    assert sum(shares) == amount
    for share, weight in zip(shares, weights, strict=True):
        assert 0 <= share - amount * weight // sum(weights) <= 1
        assert weight or not share


@pytest.mark.parametrize(
    ("amount", "parts", "shares"),
    [(10000, 3, [3334, 3333, 3333]), (10003, 6, [1668, 1667, 1667, 1667, 1667, 1667]), (25769, 1, [25769])],
)
def test_m_2_equal_parts_the_earliest_longer(amount: int, parts: int, shares: list[int]) -> None:
    assert equal_split(amount, parts) == shares


@given(amounts, st.integers(1, 12))
def test_m_2_parts_sum_to_the_whole_and_never_grow(amount: int, parts: int) -> None:
    shares = equal_split(amount, parts)
    assert sum(shares) == amount
    assert shares == sorted(shares, reverse=True)
    assert shares[0] - shares[-1] <= 1


def test_m_3_the_last_unit_takes_the_remainder() -> None:
    assert [quantity_share(10000, done, 1, 3) for done in range(3)] == [3333, 3333, 3334]


def test_m_3_the_second_of_two_units_of_25769_is_dearer() -> None:
    assert [quantity_share(25769, done, 1, 2) for done in range(2)] == [12884, 12885]


@given(amounts, st.lists(st.integers(1, 50), min_size=1, max_size=20))
def test_m_3_however_the_units_go_they_are_worth_the_line(total: int, steps: list[int]) -> None:
    done, value = 0, 0
    for quantity in steps:
        value += quantity_share(total, done, quantity, sum(steps))
        done += quantity
    assert value == total


@pytest.mark.parametrize(("amount", "bps", "share"), [(10000, 150, 150), (6000, 2500, 1500), (9999, 1, 0)])
def test_m_4_percentages_round_down(amount: int, bps: int, share: int) -> None:
    assert percentage(amount, bps) == share


@given(amounts, st.integers(0, 1_000_000))
def test_m_4_a_percentage_is_the_floor(amount: int, bps: int) -> None:
    assert 0 <= amount * bps - percentage(amount, bps) * 10_000 < 10_000
