"""Billing's handlers, registered, in a tenant that lives by Shanghai's clock and plain weekends."""

import pytest

import services.billing.handlers  # noqa: F401 - importing registers them
from services.billing.service import billing
from shared.kernel.calendar import Calendar, WorkingWeek


@pytest.fixture(autouse=True, scope="session")
def _tenant() -> None:
    billing.provide(Calendar(week=WorkingWeek.CN_WEEKENDS))
