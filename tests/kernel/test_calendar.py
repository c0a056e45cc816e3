"""Business dates, local instants and working days (T-2, T-4)."""

import logging
from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.kernel.calendar import MIDNIGHT, Calendar, WorkingWeek

WEEKENDS = Calendar(week=WorkingWeek.CN_WEEKENDS)
CHINA = Calendar(week="CN")


def local(text: str) -> datetime:
    """An instant by the clock of Shanghai, in UTC."""
    return datetime.fromisoformat(f"{text}+08:00").astimezone(UTC)


def test_t_2_a_business_date_is_the_local_one() -> None:
    assert WEEKENDS.date(datetime(2027, 3, 18, 15, 59, 59, tzinfo=UTC)) == date(2027, 3, 18)
    assert WEEKENDS.date(datetime(2027, 3, 18, 16, 0, tzinfo=UTC)) == date(2027, 3, 19)


def test_t_2_at_is_the_local_clock_in_utc() -> None:
    collected = WEEKENDS.at(date(2027, 3, 19), time(14))
    assert collected == local("2027-03-19T14:00")
    assert collected.tzinfo is UTC


def test_t_2_another_tenant_lives_by_its_own_zone() -> None:
    assert Calendar(zone="Europe/Berlin").at(date(2027, 7, 1), MIDNIGHT) == datetime(2027, 6, 30, 22, tzinfo=UTC)


def test_t_4_three_working_days_from_a_friday_afternoon() -> None:
    assert WEEKENDS.working_days_after(local("2027-03-12T15:00"), 3) == local("2027-03-18T00:00")


def test_t_4_no_working_days_end_with_the_same_day() -> None:
    assert WEEKENDS.working_days_after(local("2027-03-12T15:00"), 0) == local("2027-03-13T00:00")


def test_t_4_china_rests_in_golden_week_and_works_the_sunday_before() -> None:
    assert not CHINA.is_working_day(date(2026, 10, 1))
    assert CHINA.is_working_day(date(2026, 9, 20))
    assert CHINA.working_days_after(local("2026-09-30T10:00"), 1) == local("2026-10-09T00:00")


def test_t_4_beyond_the_published_years_a_week_is_monday_to_friday_and_says_so_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    calendar = Calendar(week=WorkingWeek.CN)
    horizon = calendar.horizon
    assert horizon is not None
    assert horizon >= date(2026, 12, 31)
    beyond = date(horizon.year + 1, 1, 1)
    with caplog.at_level(logging.WARNING):
        assert all(calendar.is_working_day(day) is (day.weekday() < 5) for day in days_from(beyond, 300))
    assert [str(horizon.year + 1) in record.getMessage() for record in caplog.records] == [True]


def test_t_4_plain_weekends_need_no_publication() -> None:
    assert WEEKENDS.horizon is None
    assert WEEKENDS.is_working_day(date(2026, 10, 1))


def test_an_unknown_calendar_is_refused() -> None:
    with pytest.raises(ValueError, match="CN-HOLIDAYS"):
        Calendar(week="CN-HOLIDAYS")


def days_from(first: date, count: int) -> list[date]:
    return [first + timedelta(days=n) for n in range(count)]


@given(st.dates(date(2000, 1, 1), date(2100, 1, 1)), st.times())
def test_the_date_of_an_instant_on_a_day_is_that_day(day: date, clock: time) -> None:
    assert WEEKENDS.date(WEEKENDS.at(day, clock)) == day


@given(st.dates(date(2020, 1, 1), date(2090, 1, 1)), st.times(), st.integers(1, 15))
def test_one_working_day_after_another_is_as_far_as_all_at_once(day: date, clock: time, days: int) -> None:
    step = now = WEEKENDS.at(day, clock)
    for _ in range(days):
        step = WEEKENDS.working_days_after(step, 1) - timedelta(seconds=1)
    assert step + timedelta(seconds=1) == WEEKENDS.working_days_after(now, days)
